//! Clients (RFC 6749 section 2): how they authenticate, and what they may request.

use serde::{Deserialize, Serialize};

use crate::{
    api::Role,
    client_metadata::{ClientMetadata, ClientProfile},
    clock::Timestamp,
    digest::KeyedDigest,
    grant::audience::Apis,
    id::{ApiId, ClientId},
    redirect_uri::RedirectUri,
    scope::ScopeSet,
};

/// A grant type (RFC 6749 section 1.3).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// The code flow (OAuth 2.1 section 4.1).
    AuthorizationCode,
    /// The client acts for itself.
    ClientCredentials,
    /// The client continues what a user allowed.
    RefreshToken,
}

impl GrantType {
    /// Every grant type, in alphabetical order.
    pub const ALL: [Self; 3] = [Self::AuthorizationCode, Self::ClientCredentials, Self::RefreshToken];

    /// The grant type as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::ClientCredentials => "client_credentials",
            Self::RefreshToken => "refresh_token",
        }
    }

    /// Reads a grant type.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant_type| grant_type.as_str() == text)
    }
}

/// How a client authenticates (OpenID Connect Core section 9). A client with a secret may use Basic or post unless its
/// registration names one.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationMethod {
    /// A secret, in either place.
    #[default]
    ClientSecret,
    /// A secret, in the Authorization header.
    ClientSecretBasic,
    /// A secret, in the body.
    ClientSecretPost,
    /// A signed assertion (RFC 7523).
    PrivateKeyJwt,
    /// Not at all: a public client.
    None,
}

impl AuthenticationMethod {
    /// The methods of confidential clients.
    pub const CONFIDENTIAL: [Self; 4] =
        [Self::ClientSecret, Self::ClientSecretBasic, Self::ClientSecretPost, Self::PrivateKeyJwt];

    /// The method as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecret => "client_secret",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
        }
    }

    /// Whether the client has a secret.
    pub const fn has_secret(self) -> bool {
        matches!(self, Self::ClientSecret | Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// A client, or the credential of an API.
#[derive(Clone, Debug)]
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// The metadata that was registered for it.
    pub metadata: ClientMetadata,
    /// The digest of its secret, if it has one.
    pub secret: Option<KeyedDigest>,
    /// Its roles, each at an API.
    pub roles: Vec<(ApiId, Role)>,
    /// The API, if this is an API's credential.
    pub api: Option<ApiId>,
    /// When the client was created.
    pub created_at: Timestamp,
    /// When it was disabled, if it is.
    pub disabled_at: Option<Timestamp>,
    /// When the client was last disabled. Tokens issued before stay ended when it is enabled again.
    pub tokens_ended_at: Option<Timestamp>,
    /// When it got its scopes, if that was not when it was created: those that were removed from their API since don't count.
    pub scope_given_at: Option<Timestamp>,
}

impl Client {
    /// A new client, without a secret and without roles.
    pub fn new(id: ClientId, metadata: ClientMetadata, now: Timestamp) -> Self {
        Self {
            id,
            metadata,
            secret: None,
            roles: Vec::new(),
            api: None,
            created_at: now,
            disabled_at: None,
            tokens_ended_at: None,
            scope_given_at: None,
        }
    }

    /// When it got its scopes.
    pub fn scope_given_at(&self) -> Timestamp {
        self.scope_given_at.unwrap_or(self.created_at)
    }

    /// The scopes that are registered of it now, without those that were removed from their API since it got them.
    pub fn registered_scope(&self, apis: &Apis) -> ScopeSet {
        apis.living(&self.metadata.scope, self.scope_given_at())
    }

    /// What is registered of it now, with such scopes alone.
    pub fn registered(&self, apis: &Apis) -> ClientMetadata {
        let default_scope = apis.living(&self.metadata.default_scope, self.scope_given_at());
        ClientMetadata { scope: self.registered_scope(apis), default_scope, ..self.metadata.clone() }
    }

    /// Whether it is a confidential client (RFC 6749 section 2.1).
    pub fn is_confidential(&self) -> bool {
        self.metadata.token_endpoint_auth_method != AuthenticationMethod::None
    }

    /// Whether tokens that it got at `issued_at` are still valid: it is enabled, and was not disabled since.
    pub fn allows_token_issued_at(&self, issued_at: Timestamp) -> bool {
        self.disabled_at.is_none() && self.tokens_ended_at.is_none_or(|ended| issued_at >= ended)
    }

    /// Whether it may use this grant type.
    pub fn allows(&self, grant_type: GrantType) -> bool {
        self.metadata.grant_types.contains(&grant_type)
    }

    /// The registered redirect URI that matches `asked`, if any. For native public clients the loopback port may differ.
    pub fn redirect_uri(&self, asked: &str) -> Option<&RedirectUri> {
        self.metadata.redirect_uris.iter().find(|registered| registered.matches(asked, !self.is_confidential()))
    }

    /// Whether `asked` is registered as a place to return to after signing out.
    pub fn has_post_logout_redirect_uri(&self, asked: &str) -> bool {
        let registered = &self.metadata.post_logout_redirect_uris;
        registered.iter().any(|registered| registered.matches(asked, !self.is_confidential()))
    }

    /// Whether it may request a code without PKCE: a confidential client of the profile `oidc-basic`.
    pub fn may_leave_out_pkce(&self) -> bool {
        self.is_confidential() && self.metadata.profile == ClientProfile::OidcBasic
    }

    /// Whether nothing assures that the program behind this redirect URI is the client: such a client is asked for
    /// consent each time (RFC 8252 section 8.6, OWASP ASVS V10.7.1).
    pub fn is_unassured(&self, registered: &RedirectUri) -> bool {
        !self.is_confidential() && registered.is_native()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRng;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn client(method: AuthenticationMethod) -> Client {
        let uris = || vec![RedirectUri::parse("http://127.0.0.1/cb").unwrap()];
        let metadata = ClientMetadata {
            token_endpoint_auth_method: method,
            redirect_uris: uris(),
            post_logout_redirect_uris: uris(),
            ..ClientMetadata::default()
        };
        Client::new(ClientId::new(NOW, &SeededRng::new(1)), metadata, NOW)
    }

    #[test]
    fn loopback_port_is_free_for_public_clients_only() {
        let asked = "http://127.0.0.1:8401/cb";
        let public = client(AuthenticationMethod::None);
        assert!(public.redirect_uri(asked).is_some() && public.has_post_logout_redirect_uri(asked));
        let confidential = client(AuthenticationMethod::ClientSecret);
        assert!(confidential.redirect_uri(asked).is_none() && !confidential.has_post_logout_redirect_uri(asked));
    }

    #[test]
    fn nothing_assures_a_native_public_client() {
        let [native, web] =
            ["http://127.0.0.1/cb", "https://app.example/cb"].map(|uri| RedirectUri::parse(uri).unwrap());
        let public = client(AuthenticationMethod::None);
        assert!(public.is_unassured(&native) && !public.is_unassured(&web));
        assert!(!client(AuthenticationMethod::PrivateKeyJwt).is_unassured(&native));
    }

    #[test]
    fn only_confidential_basic_clients_may_leave_out_pkce() {
        for (method, profile, may) in [
            (AuthenticationMethod::ClientSecret, ClientProfile::OidcBasic, true),
            (AuthenticationMethod::ClientSecret, ClientProfile::OAuth21, false),
            (AuthenticationMethod::None, ClientProfile::OidcBasic, false),
        ] {
            let plain = client(method);
            let client = Client { metadata: ClientMetadata { profile, ..plain.metadata }, ..plain };
            assert_eq!(client.may_leave_out_pkce(), may, "{method:?} {profile:?}");
        }
    }

    #[test]
    fn removed_scopes_of_a_client_are_not_registered_any_more() {
        let scopes = |text| ScopeSet::parse(text).unwrap();
        let given = scopes("notes:read notes:write");
        let plain = client(AuthenticationMethod::None);
        let metadata = ClientMetadata { scope: given.clone(), default_scope: given.clone(), ..plain.metadata };
        let (client, removed) = (Client { metadata, ..plain }, crate::scope::Scope::parse("notes:read").unwrap());
        let apis = crate::grant::audience::tests::apis().with_ended([(removed, NOW)].into_iter().collect());
        let registered = client.registered(&apis);
        assert_eq!((registered.scope, registered.default_scope), (scopes("notes:write"), scopes("notes:write")));
        let again = Client { scope_given_at: Some(apis.given_again(&given, NOW)), ..client };
        assert_eq!(again.registered(&apis), again.metadata);
    }

    #[test]
    fn enabling_a_client_does_not_revive_its_tokens() {
        let enabled = client(AuthenticationMethod::None);
        assert!(enabled.allows_token_issued_at(NOW));
        let again = Client { tokens_ended_at: Some(NOW), ..enabled.clone() };
        let before = Timestamp::from_millis(NOW.as_millis() - 1);
        assert!(again.allows_token_issued_at(NOW) && !again.allows_token_issued_at(before));
        assert!(!Client { disabled_at: Some(NOW), ..enabled }.allows_token_issued_at(NOW));
    }

    #[test]
    fn grant_types_and_methods_are_written_as_they_are_stored() {
        for grant_type in GrantType::ALL {
            assert_eq!(serde_json::to_value(grant_type).unwrap(), grant_type.as_str());
            assert_eq!(GrantType::parse(grant_type.as_str()), Some(grant_type));
        }
        assert_eq!(GrantType::parse("password"), None);
        for method in AuthenticationMethod::CONFIDENTIAL.into_iter().chain([AuthenticationMethod::None]) {
            assert_eq!(serde_json::to_value(method).unwrap(), method.as_str());
            assert_eq!(method.has_secret(), method.as_str().starts_with("client_secret"), "{method:?}");
        }
    }
}
