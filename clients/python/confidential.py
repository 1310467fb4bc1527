"""A web application with a secret: every grant, and what becomes of its tokens."""

from contextlib import AbstractContextManager
from dataclasses import replace

from application import INACTIVE, SCOPE, Application, new_verifier
from checks import Checks, equal
from demo import assert_may_not_write, demo, notes
from person import Person
from refusal import refused


def confidential(checks: Checks, person: Person) -> None:
    def check(promise: str) -> AbstractContextManager[None]:
        return checks.check(f"Authlib, confidential: {promise}")

    with check("discovery names the issuer and PKCE with S256"):
        application = Application(demo.client_id, demo.client_secret, redirect_uri=demo.redirect_uri)
        equal(application.metadata["issuer"], demo.issuer)
        equal(application.metadata["code_challenge_methods_supported"], ["S256"])

    with check("the code comes back with state and iss after sign-in and consent"):
        answer = application.ask(person)
        equal(answer.shown, ["sign-in", "consent"])
        equal(answer.parameters["state"], answer.state)
        equal(answer.parameters["iss"], demo.issuer)

    with check("the code is redeemed for an access token, a refresh token and an ID token"):
        tokens, claims = application.redeem(answer)
        equal(application.last.headers["Cache-Control"], "no-store")
        equal(tokens["token_type"].lower(), "bearer")
        equal(set(tokens["scope"].split()), set(SCOPE.split()))
        assert tokens["refresh_token"]
        equal(claims.header["alg"], "RS256")
        equal(claims["iss"], demo.issuer)
        assert claims["aud"] in (demo.client_id, [demo.client_id]), claims["aud"]
        equal(claims["nonce"], answer.nonce)

    with check("userinfo names who signed in, under the subject of the ID token"):
        info = application.user_info(tokens)
        equal(info["sub"], claims["sub"])
        equal(info["preferred_username"], demo.username)

    with check("the notes API takes the token for reading and for writing"):
        equal(notes(tokens).status_code, 200)
        equal(notes(tokens, "POST").status_code, 201)

    with check("a refresh rotates the token, a repeat gets the same successor, a reuse ends the family"):
        first = tokens["refresh_token"]
        rotated = application.refresh(first)
        assert rotated["refresh_token"] != first
        equal(application.refresh(first)["refresh_token"], rotated["refresh_token"])
        second = application.refresh(rotated["refresh_token"])
        assert second["refresh_token"] not in (first, rotated["refresh_token"])
        equal(application.introspect(second["access_token"])["active"], True)
        with refused("invalid_grant"):
            application.refresh(first)
        with refused("invalid_grant"):
            application.refresh(second["refresh_token"])
        equal(application.introspect(second["access_token"]), INACTIVE)

    with check("consent is remembered: prompt=none gets a code without a page"):
        silent = application.ask(person, prompt="none")
        equal(silent.shown, [])
        tokens, claims = application.redeem(silent)
        equal(notes(tokens).status_code, 200)

    with check("introspection turns from active to inactive when the token is revoked"):
        before = application.introspect(tokens["access_token"])
        equal(before["active"], True)
        equal(before["client_id"], demo.client_id)
        equal(before["sub"], claims["sub"])
        application.revoke(tokens["access_token"])
        equal(application.introspect(tokens["access_token"]), INACTIVE)
        application.revoke(tokens["refresh_token"])
        equal(application.introspect(tokens["refresh_token"]), INACTIVE)
        with refused("invalid_grant"):
            application.refresh(tokens["refresh_token"])

    with check("a scope that was unticked is not granted, and the API refuses what needs it"):
        narrowed, _ = application.redeem(application.ask(person, untick=("notes:write",), prompt="consent"))
        equal(set(narrowed["scope"].split()), set(SCOPE.split()) - {"notes:write"})
        equal(notes(narrowed).status_code, 200)
        assert_may_not_write(narrowed)

    with check("a code that is redeemed twice gives nothing and takes back what it gave"):
        again = application.ask(person)
        given, _ = application.redeem(again)
        equal(application.introspect(given["access_token"])["active"], True)
        with refused("invalid_grant"):
            application.redeem(again)
        equal(application.introspect(given["access_token"]), INACTIVE)
        with refused("invalid_grant"):
            application.refresh(given["refresh_token"])

    with check("a wrong code_verifier is refused and leaves the code good"):
        asked = application.ask(person)
        with refused("invalid_grant"):
            application.redeem(replace(asked, verifier=new_verifier()))
        late, _ = application.redeem(asked)
        equal(notes(late).status_code, 200)

    with check("a refusal by the person comes back as access_denied"):
        denied = application.ask(person, decision="deny", prompt="consent")
        equal(denied.parameters["iss"], demo.issuer)
        with refused("access_denied"):
            application.redeem(denied)

    with check("client_credentials gives a token without a refresh token, for the scopes that were asked"):
        own = application.credentials("notes:read", resource=demo.api_audience)
        equal(own["scope"], "notes:read")
        assert "refresh_token" not in own
        equal(notes(own).status_code, 200)
        assert_may_not_write(own)
        seen = application.introspect(own["access_token"])
        equal(seen["active"], True)
        assert seen["aud"] in (demo.api_audience, [demo.api_audience]), seen["aud"]
        application.revoke(own["access_token"])
        equal(application.introspect(own["access_token"]), INACTIVE)

    with check("the secret may stand in the body, and a wrong one is invalid_client"):
        posting = Application(demo.client_id, demo.client_secret, method="client_secret_post")
        equal(notes(posting.credentials("notes:read")).status_code, 200)
        for method in ("client_secret_post", "client_secret_basic"):
            wrong = Application(demo.client_id, demo.api_client_secret, method=method)
            with refused("invalid_client"):
                wrong.credentials("notes:read")
            equal(wrong.last.status_code, 401)
        # Basic is answered with a challenge of the same scheme (RFC 6749 5.2).
        assert wrong.last.headers["WWW-Authenticate"].startswith("Basic "), wrong.last.headers
