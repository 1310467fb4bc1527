//! One client of the demo on top of `openidconnect`, with each exchange with the server as one call.
//!
//! Easy to get wrong: the library looks at the nonce of an ID token, but not at `state`, `iss` (RFC 9207) and `error` of
//! the authorization response, nor at `at_hash`; its callers must.

use std::cell::RefCell;
use std::error::Error;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient,
    CoreClientAuthMethod, CoreGrantType, CoreIdTokenClaims, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreRequestTokenError, CoreResponseMode, CoreResponseType,
    CoreRevocableToken, CoreSubjectIdentifierType, CoreTokenIntrospectionResponse, CoreTokenResponse,
    CoreUserInfoClaims,
};
use openidconnect::http::uri::Scheme;
use openidconnect::http::{self, Uri};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalProviderMetadata, AuthType, AuthorizationCode, ClientId, ClientSecret,
    CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpClientError, HttpRequest, HttpResponse,
    IntrospectionUrl, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata,
    RedirectUrl, RefreshToken, RevocationUrl, Scope, SubjectIdentifier, SyncHttpClient, TokenResponse, reqwest,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::checks::{Failure, equal, present};
use crate::demo::http_client;
use crate::person::{Acts, Callback, Person};

/// A client of the demo.
pub struct Application {
    metadata: Metadata,
    client: Client,
    wire: Wire,
}

type Client = CoreClient<EndpointSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointMaybeSet, EndpointMaybeSet>;

type Metadata = ProviderMetadata<
    Endpoints,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What RFC 8414 adds to the metadata of OpenID Connect Discovery.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Endpoints {
    code_challenge_methods_supported: Vec<String>,
    introspection_endpoint: IntrospectionUrl,
    revocation_endpoint: RevocationUrl,
}

impl AdditionalProviderMetadata for Endpoints {}

/// What an application asks for at the authorization endpoint, and what the person makes of it.
pub struct Ask {
    /// The scopes beside `openid`, which the library asks for by itself.
    pub scopes: &'static [&'static str],
    pub prompt: Option<CoreAuthPrompt>,
    pub acts: Acts,
}

impl Default for Ask {
    fn default() -> Self {
        let scopes = &["profile", "email", "offline_access", "notes:read", "notes:write"];
        Self { scopes, prompt: None, acts: Acts::default() }
    }
}

/// What came back from an authorization request, and what was kept for the token request.
pub struct Answer {
    pub callback: Callback,
    pub state: CsrfToken,
    nonce: Nonce,
    verifier: String,
}

impl Answer {
    /// The parameter of this name, if it came back exactly once (RFC 6749 3.1).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut values = self.callback.parameters.iter().filter(|(key, _)| key == name);
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value.as_str())
    }
}

/// The token answer to a code, and the verified claims of its ID token.
pub struct Granted {
    pub tokens: CoreTokenResponse,
    pub claims: CoreIdTokenClaims,
}

/// An error that came back to the redirect URI (RFC 6749 4.1.2.1).
#[derive(Debug, thiserror::Error)]
#[error("the authorization endpoint refused: {code}")]
pub struct AuthorizationError {
    pub code: String,
}

/// An error of the token endpoint (RFC 6749 5.2), or of the way to it.
pub type TokenError = CoreRequestTokenError<WireError>;

type WireError = HttpClientError<reqwest::Error>;

impl Application {
    /// Makes an application of a client's credential; without a secret it is a public one.
    pub fn discover(issuer: &str, client_id: &str, secret: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let wire = Wire { client: http_client()?, last: RefCell::default() };
        let metadata = Metadata::discover(&IssuerUrl::new(issuer.to_owned())?, &wire)?;
        let endpoints = metadata.additional_metadata();
        let client_id = ClientId::new(client_id.to_owned());
        let secret = secret.map(|secret| ClientSecret::new(secret.to_owned()));
        let client = CoreClient::from_provider_metadata(metadata.clone(), client_id, secret)
            .set_introspection_url(endpoints.introspection_endpoint.clone())
            .set_revocation_url(over_https(&endpoints.revocation_endpoint));
        Ok(Self { metadata, client, wire })
    }

    /// The same application with a redirect URI, without which it can't ask.
    pub fn returning_to(mut self, redirect_uri: &str) -> Result<Self, Box<dyn Error>> {
        self.client = self.client.set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned())?);
        Ok(self)
    }

    /// The same application with its secret in the body instead of the `Authorization` header (RFC 6749 2.3.1).
    pub fn with_secret_in_body(mut self) -> Self {
        self.client = self.client.set_auth_type(AuthType::RequestBody);
        self
    }

    /// The issuer that the discovery document names.
    pub fn issuer(&self) -> &str {
        self.metadata.issuer()
    }

    /// The PKCE methods that the discovery document names.
    pub fn code_challenge_methods(&self) -> &[String] {
        &self.metadata.additional_metadata().code_challenge_methods_supported
    }

    /// What the server answered last, down to what the library does not hand on.
    pub fn last_answer(&self) -> Option<HttpResponse> {
        self.wire.last.borrow().clone()
    }

    /// Sends the person to the authorization endpoint.
    pub fn ask(&self, person: &mut Person<'_>, ask: Ask) -> Result<Answer, Box<dyn Error>> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = self
            .client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(ask.scopes.iter().map(|scope| Scope::new((*scope).to_owned())))
            .set_pkce_challenge(challenge);
        if let Some(prompt) = ask.prompt {
            request = request.add_prompt(prompt);
        }
        let (url, state, nonce) = request.url();
        let redirect_uri = self.client.redirect_uri().ok_or("the application has no redirect URI")?;
        let callback = person.authorize(url.as_str(), redirect_uri, ask.acts)?;
        Ok(Answer { callback, state, nonce, verifier: verifier.into_secret() })
    }

    /// Checks the authorization response, redeems its code and verifies the ID token.
    pub fn redeem(&self, answer: &Answer) -> Result<Granted, Box<dyn Error>> {
        self.redeem_with(answer, PkceCodeVerifier::new(answer.verifier.clone()))
    }

    /// Redeems the code with any `code_verifier`.
    pub fn redeem_with(&self, answer: &Answer, verifier: PkceCodeVerifier) -> Result<Granted, Box<dyn Error>> {
        for (name, wanted) in [("state", answer.state.secret().as_str()), ("iss", self.issuer())] {
            let got = answer.parameter(name);
            if got != Some(wanted) {
                return Err(format!("{name} came back as {got:?}").into());
            }
        }
        if let Some(code) = answer.parameter("error") {
            return Err(AuthorizationError { code: code.to_owned() }.into());
        }
        let code = AuthorizationCode::new(answer.parameter("code").ok_or("no code came back")?.to_owned());
        let request = self.client.exchange_code(code)?.set_pkce_verifier(verifier);
        let tokens = request.request(&self.wire)?;
        let claims = self.verify(&tokens, &answer.nonce)?;
        Ok(Granted { tokens, claims })
    }

    /// Exchanges a refresh token.
    pub fn refresh(&self, token: &RefreshToken) -> Result<CoreTokenResponse, Box<dyn Error>> {
        Ok(self.client.exchange_refresh_token(token)?.request(&self.wire)?)
    }

    /// Asks for a token of the application's own with the scope `notes:read`, and for a resource (RFC 8707).
    pub fn credentials(&self, resource: Option<&str>) -> Result<CoreTokenResponse, Box<dyn Error>> {
        let mut request = self.client.exchange_client_credentials()?.add_scope(Scope::new("notes:read".to_owned()));
        if let Some(resource) = resource {
            request = request.add_extra_param("resource", resource);
        }
        Ok(request.request(&self.wire)?)
    }

    /// Gives the claims about the person, who has to be `subject`.
    pub fn user_info(
        &self,
        token: &AccessToken,
        subject: &SubjectIdentifier,
    ) -> Result<CoreUserInfoClaims, Box<dyn Error>> {
        Ok(self.client.user_info(token.clone(), Some(subject.clone()))?.request(&self.wire)?)
    }

    /// Asks about a token (RFC 7662). The library's type for it is that of an access token, whatever it is.
    pub fn introspect(&self, token: &AccessToken) -> Result<CoreTokenIntrospectionResponse, Box<dyn Error>> {
        Ok(self.client.introspect(token).request(&self.wire)?)
    }

    /// Asserts that introspection says that a token is inactive, and nothing else about it (RFC 7662 2.2).
    #[track_caller]
    pub fn assert_inactive(&self, token: &AccessToken) -> Result<(), Failure> {
        self.introspect(token)?;
        let answer = present(self.last_answer(), "answer")?;
        let body: Value = serde_json::from_slice(answer.body()).map_err(Box::<dyn Error>::from)?;
        equal(body, json!({ "active": false }))
    }

    /// Ends a token (RFC 7009).
    pub fn revoke(&self, token: impl Into<CoreRevocableToken>) -> Result<(), Box<dyn Error>> {
        Ok(self.client.revoke_token(token.into())?.request(&self.wire)?)
    }

    /// Checks signature, `iss`, `aud`, `exp`, nonce and `at_hash`, and that RS256 is used, which is due where a client
    /// registered nothing else (OpenID Connect Registration 2).
    fn verify(&self, tokens: &CoreTokenResponse, nonce: &Nonce) -> Result<CoreIdTokenClaims, Box<dyn Error>> {
        let algorithm = CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256;
        let verifier = self.client.id_token_verifier().set_allowed_algs([algorithm]);
        let id_token = tokens.id_token().ok_or("there is no id_token")?;
        let claims = id_token.claims(&verifier, nonce)?;
        let (algorithm, key) = (id_token.signing_alg()?, id_token.signing_key(&verifier)?);
        let hash = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)?;
        match claims.access_token_hash() {
            Some(named) if *named == hash => Ok(claims.clone()),
            named => Err(format!("at_hash is {named:?} and should be {hash:?}").into()),
        }
    }
}

/// The scopes that a token answer names, in alphabetical order.
pub fn scopes_of(tokens: &CoreTokenResponse) -> Vec<&str> {
    let mut scopes: Vec<&str> = tokens.scopes().into_iter().flatten().map(|scope| scope.as_str()).collect();
    scopes.sort_unstable();
    scopes
}

/// The library's way to the server, which keeps the last answer.
struct Wire {
    client: reqwest::blocking::Client,
    last: RefCell<Option<HttpResponse>>,
}

impl SyncHttpClient for Wire {
    type Error = WireError;

    fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, WireError> {
        self.last.take();
        let mut parts = request.uri().clone().into_parts();
        parts.scheme = Some(Scheme::HTTP);
        *request.uri_mut() = Uri::from_parts(parts).map_err(http::Error::from)?;
        let answer = self.client.call(request)?;
        self.last.replace(Some(answer.clone()));
        Ok(answer)
    }
}

/// The library revokes at `https` URLs alone (RFC 7009 2); the demo speaks plain HTTP on loopback, as does [`Wire`].
fn over_https(endpoint: &RevocationUrl) -> RevocationUrl {
    let mut url = endpoint.url().clone();
    url.set_scheme("https").expect("a URL of HTTP may become one of HTTPS");
    RevocationUrl::from_url(url)
}
