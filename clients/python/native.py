"""A native application: a public client on a loopback port of its own (RFC 8252)."""

from contextlib import AbstractContextManager

from application import INACTIVE, SCOPE, Application
from checks import Checks, equal
from demo import demo, notes
from person import Person
from refusal import refused


def native(checks: Checks, person: Person, redirect_uri: str) -> None:
    def check(promise: str) -> AbstractContextManager[None]:
        return checks.check(f"Authlib, public: {promise}")

    with check("the code flow works on a loopback port that was not registered"):
        assert redirect_uri != demo.redirect_uri
        application = Application(demo.public_client_id, redirect_uri=redirect_uri)
        api = Application(demo.api_client_id, demo.api_client_secret)
        answer = application.ask(person)
        equal(answer.shown, ["sign-in", "consent"])
        tokens, claims = application.redeem(answer)
        equal(set(tokens["scope"].split()), set(SCOPE.split()))
        assert claims["aud"] in (demo.public_client_id, [demo.public_client_id]), claims["aud"]
        equal(notes(tokens).status_code, 200)

    with check("userinfo answers under the same subject"):
        info = application.user_info(tokens)
        equal(info["sub"], claims["sub"])
        equal(info["preferred_username"], demo.username)

    with check("consent is asked each time, so prompt=none gets consent_required"):
        silent = application.ask(person, prompt="none")
        equal(silent.shown, [])
        with refused("consent_required"):
            application.redeem(silent)

    with check("a refresh rotates the token, and the old one is refused after the new one's use"):
        first = tokens["refresh_token"]
        rotated = application.refresh(first)
        assert rotated["refresh_token"] != first
        equal(application.refresh(first)["refresh_token"], rotated["refresh_token"])
        second = application.refresh(rotated["refresh_token"])
        equal(notes(second).status_code, 200)
        with refused("invalid_grant"):
            application.refresh(first)
        with refused("invalid_grant"):
            application.refresh(second["refresh_token"])

    with check("without offline_access there is no refresh token"):
        brief, _ = application.redeem(application.ask(person, scope="openid notes:read"))
        equal(set(brief["scope"].split()), {"openid", "notes:read"})
        assert "refresh_token" not in brief

    with check("revoking the refresh token ends its access token for the API that asks"):
        fresh, _ = application.redeem(application.ask(person))
        seen = api.introspect(fresh["access_token"])
        equal(seen["active"], True)
        equal(seen["client_id"], demo.public_client_id)
        application.revoke(fresh["refresh_token"])
        equal(api.introspect(fresh["access_token"]), INACTIVE)
        with refused("invalid_grant"):
            application.refresh(fresh["refresh_token"])
