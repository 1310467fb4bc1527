"""An application that uses Authlib: one client of the demo, and each exchange with the server as one call.

Easy to get wrong: `OAuth2Session` checks `state` and nothing else of what comes back. `iss` (RFC 9207), an `error`, and
the ID token (OpenID Connect Core 3.1.3.7) are the caller's to look at; given a callback without a code, `fetch_token`
would even ask for a client_credentials token.
"""

import os
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2 import rfc9207
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.jwk import KeySet

from checks import equal
from demo import TIMEOUT, demo
from person import Person

SCOPE = "openid profile email offline_access notes:read notes:write"

INACTIVE = {"active": False}
"""All that introspection says of a token that is not active (RFC 7662 2.2)."""

# The demo speaks plain HTTP on loopback.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"


def discover() -> OpenIDProviderMetadata:
    """Reads the discovery document and lets Authlib validate every member (OpenID Connect Discovery 4)."""
    metadata = OpenIDProviderMetadata(_document(get_well_known_url(demo.issuer, external=True)))
    metadata.validate(metadata_classes=[rfc9207.AuthorizationServerMetadata])
    equal(metadata["issuer"], demo.issuer)
    return metadata


def new_verifier() -> str:
    """A code_verifier (RFC 7636 4.1)."""
    return generate_token(48)


@dataclass(frozen=True)
class Answer:
    """What came back from an authorization request, and what was sent along or kept for the token request."""

    callback: str
    shown: list[str]
    state: str
    nonce: str
    verifier: str

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.callback).query, strict_parsing=True))


class Application:
    """A client by its credential; without a secret it is a public one. `last` is the latest answer of `/token`."""

    last: requests.Response

    def __init__(
        self, client_id: str, secret: str | None = None, *, redirect_uri: str | None = None, method: str | None = None
    ) -> None:
        self.metadata = discover()
        self._session = OAuth2Session(
            client_id,
            secret,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            scope=SCOPE,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            token_endpoint=self.metadata["token_endpoint"],
            default_timeout=TIMEOUT,
        )
        for hook in ("access_token_response", "refresh_token_response"):
            self._session.register_compliance_hook(hook, self._remember)

    def ask(
        self, person: Person, *, untick: tuple[str, ...] = (), decision: str = "allow", **parameters: str
    ) -> Answer:
        """Sends the person to the authorization endpoint; `parameters` replace or join those of the request."""
        verifier, nonce = new_verifier(), generate_token()
        url, state = self._session.create_authorization_url(
            self.metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, **parameters
        )
        callback, shown = person.authorize(url, self._session.redirect_uri, untick=untick, decision=decision)
        return Answer(callback, shown, state, nonce, verifier)

    def redeem(self, answer: Answer) -> tuple[dict, CodeIDToken]:
        """Checks the authorization response and redeems its code; gives the tokens and the claims of the ID token.

        Raises `OAuthError` when either endpoint refused.
        """
        parameters = answer.parameters
        equal(parameters.get("iss"), demo.issuer)
        equal(parameters.get("state"), answer.state)
        if "error" in parameters:
            raise OAuthError(parameters["error"], parameters.get("error_description"))
        tokens = self._session.fetch_token(
            authorization_response=answer.callback, state=answer.state, code_verifier=answer.verifier
        )
        return tokens, self._id_token(tokens, answer.nonce)

    def refresh(self, refresh_token: str) -> dict:
        return self._session.refresh_token(refresh_token=refresh_token)

    def credentials(self, scope: str, **parameters: str) -> dict:
        """The client_credentials grant."""
        return self._session.fetch_token(grant_type="client_credentials", scope=scope, **parameters)

    def user_info(self, tokens: dict) -> dict:
        with OAuth2Session(token=dict(tokens), default_timeout=TIMEOUT) as session:
            response = session.get(self.metadata["userinfo_endpoint"])
        response.raise_for_status()
        return response.json()

    def introspect(self, token: str) -> dict:
        response = self._session.introspect_token(self.metadata["introspection_endpoint"], token=token)
        response.raise_for_status()
        return response.json()

    def revoke(self, token: str) -> None:
        response = self._session.revoke_token(self.metadata["revocation_endpoint"], token=token)
        equal(response.status_code, 200)

    def _remember(self, response: requests.Response) -> requests.Response:
        self.last = response
        return response

    def _id_token(self, tokens: dict, nonce: str) -> CodeIDToken:
        """Checks signature, iss, aud, exp, nonce and at_hash; the last is optional in the standard and not here."""
        keys = KeySet.import_key_set(_document(self.metadata["jwks_uri"]))
        algorithms = self.metadata["id_token_signing_alg_values_supported"]
        token = jwt.decode(tokens["id_token"], keys, algorithms=algorithms)
        client_id = self._session.client_id
        options = {
            "iss": {"essential": True, "value": demo.issuer},
            "aud": {"essential": True, "value": client_id},
            "nonce": {"essential": True, "value": nonce},
            "at_hash": {"essential": True},
        }
        parameters = {"client_id": client_id, "nonce": nonce, "access_token": tokens["access_token"]}
        claims = CodeIDToken(token.claims, token.header, options, parameters)
        claims.validate()
        return claims


def _document(url: str) -> dict:
    response = requests.get(url, timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()
