//! A user's sign-in at a client, as the store's operations record it: a grant, a refresh family and its first token.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use doorward_core::{
    checksummed::{self, CODE_PREFIX, REFRESH_TOKEN_PREFIX},
    client::Client,
    clock::Timestamp,
    grant::{
        audience::{Apis, RequestedAccess},
        code::CodeRedemption,
    },
    id::{AuditId, ClientId, FamilyId, GrantId, SessionId, TokenId, UserId},
    new_access_token::NewAccessToken,
    pkce::CodeChallenge,
    random::Rng,
    secret::ExposeSecret,
    session::SignInMethod,
};
use doorward_store::{
    Store,
    apis::ListApis,
    audit::{AuditContext, Details},
    authorization::{Answer, AnswerRequest, NewCode},
    clients::FindClient,
    codes::{NewFamily, RedeemCode},
    grants::GrantRecord,
};

use crate::site::{Credential, Site};

/// What a sign-in left in the database.
pub(crate) struct SignedIn {
    pub(crate) grant: String,
    pub(crate) family: String,
    /// The id of the event in the audit.
    pub(crate) event: String,
}

/// Signs the user of a site in at one of its clients.
pub(crate) async fn sign_in(site: &Site, store: &Store, client: &Credential, rng: &dyn Rng) -> Result<SignedIn> {
    let now = now();
    let (client, apis) = (find(store, client).await?, apis(store).await?);
    let scopes = client.metadata.scope.clone();
    let grant = GrantRecord {
        id: GrantId::new(now, rng),
        user_id: UserId::parse(&site.user)?,
        client_id: client.id.clone(),
        session_id: SessionId::new(now, rng),
        scopes: scopes.clone(),
        requested_scopes: scopes.clone(),
        resources: vec![],
        nonce: None,
        auth_time: now,
        sign_in_methods: vec![SignInMethod::Password],
        created_at: now,
        last_used_at: None,
        expires_at: now.plus(LONG),
        ended_at: None,
    };
    let code = checksummed::generate(CODE_PREFIX, rng);
    let digest = site.peppers.digest(code.expose_secret());
    let redirect_uri = client.metadata.redirect_uris.first().context("the client has one")?.as_str().to_owned();
    let new_code = NewCode {
        digest: digest.clone(),
        redirect_uri: redirect_uri.clone(),
        code_challenge: Some(CodeChallenge::parse(CHALLENGE).ok().context("a constant")?),
        expires_at: now.plus(Duration::from_secs(60)),
    };
    let grant_id = grant.id.clone();
    let answer = Answer::Allow { grant: Box::new(grant), code: Box::new(new_code), remember: Some(scopes) };
    store.write(AnswerRequest { stored: vec![], answer, now, audit: audit(now, &client, rng) }).await?;
    let token = site.peppers.digest(checksummed::generate(REFRESH_TOKEN_PREFIX, rng).expose_secret());
    let family = FamilyId::new(now, rng);
    let event = audit(now, &client, rng);
    let redeem = RedeemCode {
        candidates: vec![digest],
        redemption: CodeRedemption {
            client: client.clone(),
            code_verifier: Some(VERIFIER.to_owned()),
            redirect_uri: Some(redirect_uri),
        },
        apis,
        asked: Ok(RequestedAccess::default()),
        access_token: access_token(now, rng),
        family: NewFamily { id: family.clone(), token, expires_at: now.plus(LONG) },
        audit: event.clone(),
        now,
    };
    let redeemed = store.write(redeem).await?;
    redeemed.ok().context("the code was refused")?;
    Ok(SignedIn { grant: grant_id.to_string(), family: family.to_string(), event: event.id.to_string() })
}

pub(crate) async fn find(store: &Store, client: &Credential) -> Result<Arc<Client>> {
    let id = ClientId::parse(&client.client_id)?;
    Ok(Arc::new(store.read(FindClient { id }).await?.context("there is no such client")?))
}

pub(crate) async fn apis(store: &Store) -> Result<Arc<Apis>> {
    let apis = store.read(ListApis::ALL).await?;
    Ok(Arc::new(Apis::new(apis.into_iter().map(Arc::new).collect())))
}

pub(crate) fn access_token(now: Timestamp, rng: &dyn Rng) -> NewAccessToken {
    let (issuer, id) = ("http://127.0.0.1:8400".into(), TokenId::new(now, rng));
    NewAccessToken { issuer, id, opaque: None, default_ttl: Duration::from_secs(300), now }
}

/// As a request of a client has it.
pub(crate) fn audit(now: Timestamp, client: &Client, rng: &dyn Rng) -> AuditContext {
    let trace_id = GrantId::new(now, rng).as_str().rsplit('_').next().map(str::to_owned);
    let (actor, address) = (Some(client.id.to_string()), Some("127.0.0.1".to_owned()));
    AuditContext { id: AuditId::new(now, rng), at: now, trace_id, actor, address, details: Details::new() }
}

pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "rows that are to live must be of today")]
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or_default())
}

/// The pair of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

const LONG: Duration = Duration::from_secs(180 * 86_400);
