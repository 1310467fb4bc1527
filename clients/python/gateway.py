"""A gateway that speaks introspection (RFC 7662) and knows nothing of Doorward: it takes API keys as it takes tokens."""

import time
from contextlib import AbstractContextManager

from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc7662 import IntrospectTokenValidator

from application import INACTIVE, Application
from checks import Checks, equal
from demo import TIMEOUT, demo
from keys import create_key, revoke_key


class Gateway(IntrospectTokenValidator):
    """Authlib's validator, with the one call that it leaves to the application."""

    def __init__(self) -> None:
        super().__init__()
        self.api = Application(demo.api_client_id, demo.api_client_secret)

    def introspect_token(self, token_string: str) -> dict:
        return self.api.introspect(token_string)

    def passes(self, token: str, scope: str) -> dict:
        """What it knows of the caller that it lets pass; raises what Authlib answers others with."""
        seen = self.authenticate_token(token)
        self.validate_token(seen, [scope], request=None)
        return seen


def gateway(checks: Checks) -> None:
    def check(promise: str) -> AbstractContextManager[None]:
        return checks.check(f"Authlib, gateway: {promise}")

    with check("a key passes with its scope, and is named by its id"):
        notes = Gateway()
        key = create_key("--api", "notes", "--scope", "notes:read")
        seen = notes.passes(key["secret"], "notes:read")
        equal((seen["sub"], seen["jti"], seen["client_id"]), (key["id"],) * 3)
        equal((seen["iss"], seen["aud"], seen["scope"]), (demo.issuer, demo.api_audience, "notes:read"))
        assert seen["iat"] < seen["exp"], seen

    with check("a key is refused where it lacks the scope"):
        try:
            passed = notes.passes(key["secret"], "notes:write")
        except InsufficientScopeError:
            pass
        else:
            raise AssertionError(passed)

    with check("a revoked key is refused within a moment"):
        revoke_key(key["id"])
        # The command works on the database; the server follows its log within a second.
        deadline = time.monotonic() + TIMEOUT
        while notes.api.introspect(key["secret"]) != INACTIVE and time.monotonic() < deadline:
            time.sleep(0.05)
        try:
            passed = notes.passes(key["secret"], "notes:read")
        except InvalidTokenError:
            pass
        else:
            raise AssertionError(passed)
