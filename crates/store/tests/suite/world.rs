//! A database with an API, clients and a user in it, and the operations of one deployment on it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use doorward_core::{
    api::{Api, ApiMetadata, DescribedScope, ResourceIdentifier, Role, TokenFormat},
    checksummed::{self, ACCESS_TOKEN_PREFIX, CODE_PREFIX, REFRESH_TOKEN_PREFIX},
    client::{AuthenticationMethod, Client, GrantType},
    client_metadata::ClientMetadata,
    clock::{Clock, ManualClock, Timestamp},
    denial::Denial,
    digest::{KeyedDigest, MasterKey, Peppers},
    grant::{
        audience::{Apis, RequestedAccess},
        code::CodeRedemption,
        refresh::{RefreshLimits, RefreshRequest},
    },
    id::{ApiId, AuditId, ClientId, FamilyId, GrantId, SessionId, TokenId, UserId},
    jwk::Algorithm,
    new_access_token::NewAccessToken,
    pkce::CodeChallenge,
    random::{self, SeededRng},
    redirect_uri::RedirectUri,
    refusal::Refusal,
    scope::{Scope, ScopeSet},
    secret::{ExposeSecret, SecretString},
    session::{Authentication, SessionTimes, SignInMethod},
    user::UserMetadata,
};
use doorward_store::{
    Operation, Store,
    apis::CreateApi,
    audit::{AuditContext, AuditEvent, AuditFilter, Details, RemoveOlder, SearchAudit},
    authorization::{Answer, AnswerRequest, NewCode},
    clients::CreateClient,
    codes::{Issued, NewFamily, RedeemCode},
    grants::{GrantFilter, GrantRecord, ListGrants},
    refresh::{Refresh, Refreshed},
    sessions::SessionRecord,
    sweep::{Retention, Sweep, Swept},
    users::{CreateUser, UserRecord},
};

use crate::harness::Database;

pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const REDIRECT_URI: &str = "https://app.example/cb";
/// How long the counts of a day are kept.
pub(crate) const KEY_USAGE: Duration = Duration::from_secs(400 * 86_400);
const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// What one deployment knows, and two handles on its database, as two processes have them.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) other: Store,
    pub(crate) clock: ManualClock,
    pub(crate) rng: SeededRng,
    pub(crate) peppers: Peppers,
    pub(crate) api: Arc<Api>,
    pub(crate) apis: Arc<Apis>,
    pub(crate) user: UserRecord,
    /// A client with a secret: its refresh tokens are bound.
    pub(crate) confidential: Arc<Client>,
    /// A client without: its refresh tokens are not.
    pub(crate) public: Arc<Client>,
}

/// A code that was given to a client.
pub(crate) struct Given {
    pub(crate) grant: GrantId,
    pub(crate) client: Arc<Client>,
    pub(crate) code: SecretString,
}

impl World {
    pub(crate) async fn new(database: &Database) -> World {
        World::seeded(database, 1).await
    }

    /// A world beside others in the same database.
    pub(crate) async fn seeded(database: &Database, seed: u64) -> World {
        let (store, other) = (database.open().await, database.open().await);
        store.migrate().await.unwrap();
        let rng = SeededRng::new(seed);
        let api = Arc::new(api(&rng, seed));
        let world = World {
            apis: Arc::new(Apis::new(vec![api.clone()])),
            user: user(&rng, &format!("Ada {seed}")),
            confidential: Arc::new(client(&rng, AuthenticationMethod::ClientSecret, &api)),
            public: Arc::new(client(&rng, AuthenticationMethod::None, &api)),
            peppers: Peppers::new([&MasterKey::generate(&rng)]),
            clock: ManualClock::at(START),
            api,
            store,
            other,
            rng,
        };
        let credential = Client { api: Some(world.api.id.clone()), ..world.fresh_client() };
        let api = (*world.api).clone();
        world.write(CreateApi { api, credential, audit: world.audit() }).await;
        world.write(CreateUser { user: world.user.clone(), audit: world.audit() }).await;
        for client in [&world.confidential, &world.public] {
            world.write(CreateClient { client: (**client).clone(), audit: world.audit() }).await;
        }
        world
    }

    pub(crate) async fn write<O: Operation>(&self, operation: O) -> O::Output {
        self.store.write(operation).await.unwrap()
    }

    pub(crate) async fn read<O: Operation>(&self, operation: O) -> O::Output {
        self.store.read(operation).await.unwrap()
    }

    /// The newest events that match, oldest first.
    pub(crate) async fn newest_events(&self, filter: AuditFilter, limit: usize) -> Vec<AuditEvent> {
        let mut events = self.read(SearchAudit { filter, after: None, before: None, limit }).await.events;
        events.reverse();
        events
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    pub(crate) fn audit(&self) -> AuditContext {
        AuditContext {
            id: AuditId::new(self.now(), &self.rng),
            at: self.now(),
            trace_id: None,
            actor: None,
            address: None,
            details: Details::new(),
        }
    }

    pub(crate) fn digest(&self, secret: &SecretString) -> KeyedDigest {
        self.peppers.digest(secret.expose_secret())
    }

    /// A client that is in no database.
    pub(crate) fn fresh_client(&self) -> Client {
        client(&self.rng, AuthenticationMethod::ClientSecret, &self.api)
    }

    /// A user who is in no database.
    pub(crate) fn fresh_user(&self, username: &str) -> UserRecord {
        user(&self.rng, username)
    }

    /// Sweeps a step of everything, with the bounds that a server has, except for the audit's. Returns how many rows.
    pub(crate) async fn sweep(&self, audit: Duration) -> u64 {
        let mut swept = 0;
        for what in Swept::ALL {
            swept += self.write(self.sweep_of(what)).await;
        }
        swept + self.write(RemoveOlder { before: self.now().minus(audit) }).await
    }

    /// A step of one kind.
    pub(crate) fn sweep_of(&self, what: Swept) -> Sweep {
        let (refresh_grace, session_absolute) = (Duration::from_secs(60), Duration::from_secs(30 * 86_400));
        Sweep { what, now: self.now(), retention: Retention { refresh_grace, session_absolute, key_usage: KEY_USAGE } }
    }

    pub(crate) fn session(&self) -> SessionRecord {
        SessionRecord {
            id: SessionId::new(self.now(), &self.rng),
            user_id: self.user.id.clone(),
            times: SessionTimes { created_at: self.now(), last_seen_at: self.now(), ended_at: None },
            authentications: vec![Authentication { method: SignInMethod::Password, at: self.now() }],
            address: "192.0.2.1".to_owned(),
            user_agent: "a browser".to_owned(),
        }
    }

    pub(crate) fn grant(&self, client: &Client) -> GrantRecord {
        GrantRecord {
            id: GrantId::new(self.now(), &self.rng),
            user_id: self.user.id.clone(),
            client_id: client.id.clone(),
            session_id: SessionId::new(self.now(), &self.rng),
            scopes: client.metadata.scope.clone(),
            requested_scopes: client.metadata.scope.clone(),
            resources: vec![],
            nonce: None,
            auth_time: self.now(),
            sign_in_methods: vec![SignInMethod::Password],
            created_at: self.now(),
            last_used_at: None,
            expires_at: self.now().plus(Duration::from_secs(180 * 86_400)),
            ended_at: None,
        }
    }

    /// The operation that gives a client a code.
    pub(crate) fn allow(&self, client: &Arc<Client>) -> (AnswerRequest, Given) {
        let grant = self.grant(client);
        let code = checksummed::generate(CODE_PREFIX, &self.rng);
        let given = Given { grant: grant.id.clone(), client: client.clone(), code };
        let code = NewCode {
            digest: self.digest(&given.code),
            redirect_uri: REDIRECT_URI.to_owned(),
            code_challenge: CodeChallenge::parse(CHALLENGE).ok(),
            expires_at: self.now().plus(Duration::from_secs(60)),
        };
        let remember = Some(grant.scopes.clone());
        let answer = Answer::Allow { grant: Box::new(grant), code: Box::new(code), remember };
        let audit = self.audit();
        (AnswerRequest { stored: vec![], answer, now: self.now(), audit }, given)
    }

    /// A code in a client's hands.
    pub(crate) async fn give(&self, client: &Arc<Client>) -> Given {
        let (operation, given) = self.allow(client);
        assert!(self.write(operation).await);
        given
    }

    /// The operation that redeems a code, and the refresh token that it would give.
    pub(crate) fn redeem(&self, given: &Given) -> (RedeemCode, SecretString) {
        let refresh_token = checksummed::generate(REFRESH_TOKEN_PREFIX, &self.rng);
        let operation = RedeemCode {
            candidates: vec![self.digest(&given.code)],
            redemption: CodeRedemption {
                client: given.client.clone(),
                code_verifier: Some(VERIFIER.to_owned()),
                redirect_uri: Some(REDIRECT_URI.to_owned()),
            },
            apis: self.apis.clone(),
            asked: Ok(RequestedAccess::default()),
            access_token: self.access_token().0,
            family: NewFamily {
                id: FamilyId::new(self.now(), &self.rng),
                token: self.digest(&refresh_token),
                expires_at: self.now().plus(Duration::from_secs(180 * 86_400)),
            },
            audit: self.audit(),
            now: self.now(),
        };
        (operation, refresh_token)
    }

    /// A refresh token in a client's hands, and its grant.
    pub(crate) async fn sign_in(&self, client: &Arc<Client>) -> (SecretString, Issued) {
        let given = self.give(client).await;
        let (operation, refresh_token) = self.redeem(&given);
        let issued = self.write(operation).await.unwrap();
        (refresh_token, issued)
    }

    /// The operation that presents a refresh token from `192.0.2.{address}`.
    pub(crate) fn refresh(&self, token: &SecretString, client: &Arc<Client>, address: u8) -> Refresh {
        let successor = checksummed::generate(REFRESH_TOKEN_PREFIX, &self.rng);
        Refresh {
            token: token.clone(),
            candidates: vec![self.digest(token)],
            request: RefreshRequest { client_id: client.id.clone(), address: IpAddr::from([192, 0, 2, address]) },
            apis: self.apis.clone(),
            registered: client.metadata.scope.clone(),
            asked: Ok(RequestedAccess::default()),
            successor_digest: self.digest(&successor),
            successor,
            seal_nonce: random::bytes(&self.rng),
            access_token: self.access_token().0,
            limits: RefreshLimits::default(),
            audit: self.audit(),
            now: self.now(),
        }
    }

    /// What a new access token needs, and its opaque form.
    pub(crate) fn access_token(&self) -> (NewAccessToken, SecretString) {
        let opaque = checksummed::generate(ACCESS_TOKEN_PREFIX, &self.rng);
        let token = NewAccessToken {
            issuer: "https://as.example".into(),
            id: TokenId::new(self.now(), &self.rng),
            opaque: Some(self.digest(&opaque)),
            default_ttl: Duration::from_secs(300),
            now: self.now(),
        };
        (token, opaque)
    }

    pub(crate) async fn live_grants(&self) -> Vec<GrantRecord> {
        let filter = GrantFilter { user_id: Some(self.user.id.clone()), ..GrantFilter::default() };
        self.read(ListGrants { filter, now: self.now(), after: None, limit: 500 }).await.grants
    }

    /// Whether a refresh token still gives anything to its client. Uses it up.
    pub(crate) async fn refreshes(&self, token: &SecretString, client: &Arc<Client>) -> Result<SecretString, Denial> {
        outcome(self.write(self.refresh(token, client, 1)).await)
    }
}

/// What came of a refresh: the successor, or the denial.
pub(crate) fn outcome(refreshed: Result<Refreshed, Refusal>) -> Result<SecretString, Denial> {
    refreshed.map(|refreshed| refreshed.refresh_token).map_err(|refusal| refusal.denial)
}

/// Runs operations at the same time, each second one as another process would.
pub(crate) async fn race<O: Operation>(world: &World, operations: Vec<O>) -> Vec<O::Output> {
    let tasks: Vec<_> = operations
        .into_iter()
        .zip([&world.store, &world.other].into_iter().cycle())
        .map(|(operation, store)| {
            let store = store.clone();
            tokio::spawn(async move { store.write(operation).await.unwrap() })
        })
        .collect();
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.unwrap());
    }
    outputs
}

fn user(rng: &SeededRng, username: &str) -> UserRecord {
    UserRecord {
        id: UserId::new(START, rng),
        metadata: UserMetadata { username: username.to_owned(), ..UserMetadata::default() },
        password_hash: "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA".into(),
        created_at: START,
        disabled_at: None,
        updated_at: None,
        known_browsers: 0,
    }
}

fn api(rng: &SeededRng, seed: u64) -> Api {
    let described = |name: &str| DescribedScope {
        scope: Scope::parse(&format!("notes{seed}:{name}")).unwrap(),
        description: format!("To {name} notes"),
    };
    Api {
        id: ApiId::new(START, rng),
        created_at: START,
        metadata: ApiMetadata {
            user_key_scopes: Default::default(),
            public_scopes: Default::default(),
            name: format!("notes{seed}"),
            identifier: ResourceIdentifier::parse(&format!("https://notes{seed}.example")).unwrap(),
            scopes: vec![described("read"), described("write")],
            roles: [Role::parse("admin").unwrap()].into(),
            token_format: TokenFormat::Jwt,
            signing_algorithm: Algorithm::EdDSA,
            access_token_ttl: Duration::from_secs(300),
            key_prefix: Default::default(),
            leak_policy: Default::default(),
            key_policy: None,
        },
    }
}

fn client(rng: &SeededRng, authentication: AuthenticationMethod, api: &Api) -> Client {
    Client::new(
        ClientId::new(START, rng),
        ClientMetadata {
            client_name: "An app".to_owned(),
            token_endpoint_auth_method: authentication,
            grant_types: GrantType::ALL.into(),
            redirect_uris: vec![RedirectUri::parse(REDIRECT_URI).unwrap()],
            scope: scopes_of(api),
            ..ClientMetadata::default()
        },
        START,
    )
}

fn scopes_of(api: &Api) -> ScopeSet {
    let names: Vec<_> = api.metadata.scopes.iter().map(|described| described.scope.as_str()).collect();
    ScopeSet::parse(&names.join(" ")).unwrap()
}
