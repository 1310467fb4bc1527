"""Refusals as Authlib reports them."""

from collections.abc import Iterator
from contextlib import contextmanager

from authlib.integrations.base_client import OAuthError

from checks import equal


@contextmanager
def refused(error: str) -> Iterator[None]:
    """Asserts that the block ends in the OAuth error of this code (RFC 6749 4.1.2.1 and 5.2)."""
    try:
        yield
    except OAuthError as actual:
        equal(actual.error, error)
    else:
        raise AssertionError(f"was not refused as {error}")
