//! The world of every test: two APIs, their clients, two users, and keys. The admin's functions create all of it.

use std::{collections::BTreeSet, time::Duration};

use doorward_core::{
    api::{ApiMetadata, DescribedScope, ResourceIdentifier, Role, TokenFormat},
    api_key::Environment,
    client::{AuthenticationMethod, GrantType},
    client_metadata::{ClientMetadata, ClientProfile},
    clock::ManualClock,
    jwk::Algorithm,
    key_kind::KeyKind,
    redirect_uri::RedirectUri,
    scope::{Scope, ScopeSet},
    secret::ExposeSecret,
    user::UserMetadata,
};
use doorward_server::{
    App,
    actor::Actor,
    manage::{
        apis, clients,
        keys::{self, Expiry, NewKey},
        users,
    },
};

pub(crate) const ALICE: &str = "alice";
pub(crate) const BOB: &str = "bob";
/// The password of both.
pub(crate) const PASSWORD: &str = "plenty of lemons in the shed";

/// A client as it knows itself, or the credential of an API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registered {
    pub(crate) id: String,
    pub(crate) secret: Option<String>,
    pub(crate) redirect_uri: String,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    /// The API `https://notes.example`: JWTs, the scopes `notes:read` and `notes:write`, the role `admin`.
    pub(crate) notes: Registered,
    /// The API `https://mails.example/v1`: opaque tokens, the scope `mails:read`, signing with ES256.
    pub(crate) mails: Registered,
    /// A confidential client that may use every grant type and every scope.
    pub(crate) web: Registered,
    /// A public client at a loopback address.
    pub(crate) native: Registered,
    /// A public client at an https address.
    pub(crate) spa: Registered,
    /// A key for notes with both scopes.
    pub(crate) key: String,
    /// A key of the management API with `keys:verify`.
    pub(crate) management_key: String,
}

impl World {
    /// Makes everybody, one API after the other, so that they stand in this order everywhere.
    pub(crate) async fn make(app: &App, clock: &ManualClock) -> Self {
        let identifier = |uri| ResourceIdentifier::parse(uri).unwrap();
        let mut notes = ApiMetadata::new("notes", identifier("https://notes.example"));
        notes.scopes = vec![described("notes:read", "Read your notes"), described("notes:write", "Change your notes")];
        notes.roles = [Role::parse("admin").unwrap()].into();
        let mut mails = ApiMetadata::new("mails", identifier("https://mails.example/v1"));
        mails.scopes = vec![described("mails:read", "Read your mails")];
        mails.token_format = TokenFormat::Opaque;
        mails.signing_algorithm = Algorithm::ES256;
        clock.advance(Duration::from_secs(1));
        let notes = api(app, notes).await;
        clock.advance(Duration::from_secs(1));
        let mails = api(app, mails).await;
        let web = ClientMetadata {
            grant_types: GrantType::ALL.into(),
            default_scope: ScopeSet::parse("notes:read").unwrap(),
            ..client("Web", AuthenticationMethod::ClientSecret, "https://app.example/cb")
        };
        let native = client("Native", AuthenticationMethod::None, "http://127.0.0.1/cb");
        let spa = client("Spa", AuthenticationMethod::None, "https://spa.example/cb");
        for username in [ALICE, BOB] {
            user(app, username).await;
        }
        Self {
            notes,
            mails,
            web: register(app, web).await,
            native: register(app, native).await,
            spa: register(app, spa).await,
            key: key(app, new_key("notes", "notes:read notes:write")).await,
            management_key: key(app, new_key("doorward", "keys:verify")).await,
        }
    }
}

/// A client of the code flow, with refresh tokens and every scope.
pub(crate) fn client(name: &str, authentication: AuthenticationMethod, redirect_uri: &str) -> ClientMetadata {
    ClientMetadata {
        client_name: name.into(),
        token_endpoint_auth_method: authentication,
        grant_types: [GrantType::AuthorizationCode, GrantType::RefreshToken].into(),
        redirect_uris: vec![RedirectUri::parse(redirect_uri).unwrap()],
        scope: ScopeSet::parse("openid profile email offline_access notes:read notes:write mails:read").unwrap(),
        ..ClientMetadata::default()
    }
}

/// A confidential client of older make, that uses no PKCE.
pub(crate) fn basic_client() -> ClientMetadata {
    let basic = client("Older", AuthenticationMethod::ClientSecret, "https://older.example/cb");
    ClientMetadata { profile: ClientProfile::OidcBasic, ..basic }
}

pub(crate) async fn register(app: &App, new: ClientMetadata) -> Registered {
    let redirect_uri = new.redirect_uris.first().map(|uri| uri.as_str().to_owned()).unwrap_or_default();
    let created = clients::create(app, &operator(), new).await.unwrap();
    let secret = created.secret.map(|secret| secret.expose_secret().to_owned());
    Registered { id: created.client.client_id.to_string(), secret, redirect_uri }
}

/// A live key for one API, without an owner.
pub(crate) fn new_key(api: &str, scopes: &str) -> NewKey {
    NewKey {
        name: format!("key for {api}"),
        apis: vec![api.into()],
        scopes: ScopeSet::parse(scopes).unwrap(),
        roles: vec![],
        owner: None,
        limited_to: vec![],
        limited_to_owners: vec![],
        metadata: serde_json::Map::new(),
        allowed_addresses: vec![],
        kind: KeyKind::Secret,
        allowed_origins: vec![],
        rate_limit: None,
        quota: None,
        uses: None,
        environment: Environment::Live,
        expiry: Expiry::Default,
    }
}

pub(crate) async fn key(app: &App, new: NewKey) -> String {
    keys::create(app, &operator(), new).await.unwrap().key.reveal().to_owned()
}

pub(crate) async fn user(app: &App, username: &str) {
    let (name, email) = (Some(format!("{username} of the tests")), Some(format!("{username}@example.com")));
    let metadata = UserMetadata { username: username.into(), name, email, email_verified: false };
    users::create(app, &operator(), metadata, PASSWORD.into()).await.unwrap();
}

pub(crate) fn operator() -> Actor {
    Actor::command_line("tester")
}

async fn api(app: &App, metadata: ApiMetadata) -> Registered {
    let created = apis::create(app, &operator(), metadata).await.unwrap();
    Registered {
        id: created.client_id.to_string(),
        secret: Some(created.client_secret.expose_secret().to_owned()),
        redirect_uri: String::new(),
    }
}

fn described(scope: &str, description: &str) -> DescribedScope {
    DescribedScope { scope: Scope::parse(scope).unwrap(), description: description.into() }
}

/// The grant types of a client.
pub(crate) fn grants<const N: usize>(grant_types: [GrantType; N]) -> BTreeSet<GrantType> {
    grant_types.into()
}
