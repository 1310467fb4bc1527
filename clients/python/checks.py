"""What the suite promises, check by check, and the last line that `cargo xtask test` reads.

Easy to get wrong: checks stand in the order in which a client acts, so one that needs what an earlier one failed to get
must fail as well and not be left out. The body of a check is a `with` block for that: a name that an earlier block did
not bind is an error inside it.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from authlib.integrations.base_client import OAuthError


class Checks:
    """Runs checks and counts them."""

    def __init__(self) -> None:
        self._passed = 0
        self._failed = 0

    @contextmanager
    def check(self, promise: str) -> Iterator[None]:
        """Runs the block as the check of `promise`; whatever it raises makes it a failure."""
        try:
            yield
        except Exception:
            self._failed += 1
            print(f"FAILED  {promise}")
            print("\n".join(f"        {line}" for line in traceback.format_exc().splitlines()), flush=True)
        else:
            self._passed += 1
            print(f"ok      {promise}", flush=True)

    def finish(self) -> int:
        """Prints the count; gives the exit code."""
        print(f"{self._passed} passed, {self._failed} failed")
        return 0 if self._passed and not self._failed else 1


def equal(actual: object, expected: object) -> None:
    """Asserts equality and shows both values, which a bare `assert` does not."""
    if actual != expected:
        raise AssertionError(f"{actual!r} is not {expected!r}")


@contextmanager
def refused(error: str) -> Iterator[None]:
    """Asserts that the block ends in the OAuth error of this code (RFC 6749 4.1.2.1 and 5.2)."""
    try:
        yield
    except OAuthError as actual:
        equal(actual.error, error)
    else:
        raise AssertionError(f"was not refused as {error}")
