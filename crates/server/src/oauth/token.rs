//! The token endpoint (OAuth 2.1 section 3.2).

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    api::{Api, TokenFormat},
    checksummed::{self, ACCESS_TOKEN_PREFIX, CODE_PREFIX, REFRESH_TOKEN_PREFIX},
    client::{Client, GrantType},
    denial::Denial,
    form::Parameters,
    grant::{audience, code::CodeRedemption, refresh::RefreshRequest},
    id::{FamilyId, TokenId},
    id_token,
    new_access_token::{Bearer, NewAccessToken},
    refusal::Refusal,
    scope::{self, ScopeSet},
    secret::{ExposeSecret, SecretString},
};
use doorward_store::{
    codes::{Issued, NewFamily, RedeemCode},
    refresh::Refresh,
    tokens::StoreAccessToken,
};
use http::{Request, Response, StatusCode};
use serde::Serialize;

use super::client_authentication;
use crate::{
    app::{App, Details},
    http::{Origin, body, respond},
};

/// What is answered (RFC 6749 section 5.1).
#[derive(Serialize)]
pub(crate) struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: ScopeSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, body) = request.into_parts();
    let answer = async {
        let bytes = body::form(&app, &head, body).await?;
        let form = Parameters::parse(&bytes)?;
        form.refuse_repeated(&["resource", "audience"])?;
        let client = client_authentication::client(&app, &origin, &head, &form).await?;
        grant(&app, &origin, client, &form).await
    };
    match answer.await {
        Ok(tokens) => respond::json_no_store(StatusCode::OK, &tokens),
        Err(refusal) => respond::oauth_error(&app, &origin, &refusal, client_authentication::sent_authorization(&head)),
    }
}

async fn grant(
    app: &App,
    origin: &Origin,
    client: Arc<Client>,
    form: &Parameters<'_>,
) -> Result<TokenResponse, Refusal> {
    app.check_sight()?;
    let stated = form.required("grant_type")?;
    let grant_type = GrantType::parse(stated);
    let grant_type = grant_type.ok_or_else(|| Refusal::new(Denial::GrantTypeUnsupported).fact("grant_type", stated))?;
    if !client.allows(grant_type) {
        return Err(Refusal::new(Denial::GrantTypeNotAllowed).fact("client_id", &client.id).fact("grant_type", stated));
    }
    match grant_type {
        // The two that wait for a transaction are boxed: the third is answered without, and should stay small.
        GrantType::AuthorizationCode => Box::pin(authorization_code(app, origin, client, form)).await,
        GrantType::ClientCredentials => client_credentials(app, origin, &client, form).await,
        GrantType::RefreshToken => Box::pin(refresh_token(app, origin, client, form)).await,
    }
}

/// RFC 6749 section 4.4. A JWT costs no write.
async fn client_credentials(
    app: &App,
    origin: &Origin,
    client: &Client,
    form: &Parameters<'_>,
) -> Result<TokenResponse, Refusal> {
    let apis = app.snapshots.apis();
    let resource = one_resource(form)?;
    let (api, scopes) = audience::client_credentials(&apis, client, form.optional("scope")?, resource)?;
    let (token, opaque) = new_access_token(app, api.token_format == TokenFormat::Opaque);
    let bearer = Bearer {
        subject: client.id.to_string(),
        client_id: client.id.to_string(),
        scopes: scopes.clone(),
        roles: client.roles_at(&api.id),
        grant_id: None,
        auth_time: None,
    };
    let claims = token.claims(Some(&api), bearer);
    let details = || Details::none().with("api", &api.name).with("scope", &scopes);
    let access_token = match api.token_format {
        TokenFormat::Jwt => {
            app.note_issued(origin, &client.id, &claims.id, details);
            sign(app, &api, &claims)?
        }
        TokenFormat::Opaque => {
            let actor = origin.actor(client.id.as_str());
            let audit = app.event(&actor, crate::audit::ISSUED, Some(claims.id.to_string()), details());
            app.write(StoreAccessToken { token, api: api.clone(), claims: claims.clone(), audit }).await?;
            opaque.expose_secret().to_owned()
        }
    };
    Ok(TokenResponse {
        access_token,
        token_type: "Bearer",
        expires_in: claims.expires_at.as_secs() - claims.issued_at.as_secs(),
        scope: scopes,
        refresh_token: None,
        id_token: None,
    })
}

/// OAuth 2.1 section 4.1.3.
async fn authorization_code(
    app: &App,
    origin: &Origin,
    client: Arc<Client>,
    form: &Parameters<'_>,
) -> Result<TokenResponse, Refusal> {
    let code = form.required("code")?;
    let redemption = CodeRedemption {
        client: client.clone(),
        code_verifier: form.required("code_verifier")?.to_owned(),
        redirect_uri: form.optional("redirect_uri")?.map(str::to_owned),
    };
    if !checksummed::is_well_formed(code, CODE_PREFIX) {
        return Err(Denial::CodeUnknown.into());
    }
    let now = app.now();
    let apis = app.snapshots.apis();
    let (access_token, opaque) = new_access_token(app, apis.any_opaque());
    let refresh_token = checksummed::generate(REFRESH_TOKEN_PREFIX, &*app.rng);
    let operation = RedeemCode {
        candidates: app.candidates(code),
        redemption,
        apis,
        resource: one_resource(form)?.map(str::to_owned),
        access_token,
        family: NewFamily {
            id: FamilyId::new(now, &*app.rng),
            token: app.peppers.digest(refresh_token.expose_secret()),
            expires_at: now.plus(app.settings.tokens.refresh.absolute),
        },
        audit: app.event(&origin.actor(client.id.as_str()), "code", None, Details::none()),
        now,
    };
    let issued = app.write(operation).await??;
    let refresh_token = issued.has_refresh_token.then_some(refresh_token);
    let nonce = issued.grant.nonce.clone();
    respond(app, &client, issued, opaque, refresh_token, nonce)
}

/// RFC 6749 section 6.
async fn refresh_token(
    app: &App,
    origin: &Origin,
    client: Arc<Client>,
    form: &Parameters<'_>,
) -> Result<TokenResponse, Refusal> {
    let token = form.required("refresh_token")?;
    let scopes = match form.optional("scope")? {
        None => None,
        Some(text) => {
            let scopes = ScopeSet::parse(text);
            Some(scopes.map_err(|_| Refusal::new(Denial::ScopeInvalid).fact("scope", text))?)
        }
    };
    if !checksummed::is_well_formed(token, REFRESH_TOKEN_PREFIX) {
        return Err(Denial::RefreshTokenUnknown.into());
    }
    let now = app.now();
    let apis = app.snapshots.apis();
    let (access_token, opaque) = new_access_token(app, apis.any_opaque());
    let successor = checksummed::generate(REFRESH_TOKEN_PREFIX, &*app.rng);
    let operation = Refresh {
        token: token.into(),
        candidates: app.candidates(token),
        request: RefreshRequest { client_id: client.id.clone(), address: origin.address },
        apis,
        scopes,
        resource: one_resource(form)?.map(str::to_owned),
        successor_digest: app.peppers.digest(successor.expose_secret()),
        successor,
        seal_nonce: app.random(),
        access_token,
        limits: app.settings.tokens.refresh,
        audit: app.event(&origin.actor(client.id.as_str()), "refresh_token", None, Details::none()),
        now,
    };
    let refreshed = app.write(operation).await??;
    // A refreshed id_token has no nonce (OpenID Connect Core section 12.2).
    respond(app, &client, refreshed.issued, opaque, Some(refreshed.refresh_token), None)
}

/// The answer to a client that acts for a user.
fn respond(
    app: &App,
    client: &Client,
    issued: Issued,
    opaque: SecretString,
    refresh_token: Option<SecretString>,
    nonce: Option<String>,
) -> Result<TokenResponse, Refusal> {
    let is_opaque = issued.api.as_ref().is_some_and(|api| api.token_format == TokenFormat::Opaque);
    let access_token = match &issued.api {
        _ if is_opaque => opaque.expose_secret().to_owned(),
        Some(api) => sign(app, api, &issued.claims)?,
        None => sign_for_issuer(app, &issued.claims)?,
    };
    let id_token = match issued.scopes.contains(scope::OPENID) {
        false => None,
        true => {
            let key = app.signing_keys().active(client.id_token_algorithm, app.now())?;
            let claims = id_token::Claims {
                issuer: app.settings.issuer.to_string(),
                subject: issued.grant.user_id.to_string(),
                audience: client.id.to_string(),
                expires_at: app.now().plus(app.settings.tokens.id_token_ttl),
                issued_at: app.now(),
                auth_time: Some(issued.grant.auth_time),
                nonce,
                at_hash: Some(id_token::at_hash(&access_token, key.algorithm())),
                sid: Some(issued.grant.session_id.to_string()),
            };
            Some(claims.sign(&key).map_err(signing_failed)?)
        }
    };
    Ok(TokenResponse {
        access_token,
        token_type: "Bearer",
        expires_in: issued.claims.expires_at.as_secs() - issued.claims.issued_at.as_secs(),
        scope: issued.scopes,
        refresh_token: refresh_token.map(|token| token.expose_secret().to_owned()),
        id_token,
    })
}

/// The names of a new access token, and its opaque form if it may have that.
fn new_access_token(app: &App, may_be_opaque: bool) -> (NewAccessToken, SecretString) {
    let now = app.now();
    let (opaque, digest) = match may_be_opaque {
        false => (SecretString::default(), None),
        true => {
            let opaque = checksummed::generate(ACCESS_TOKEN_PREFIX, &*app.rng);
            let digest = app.peppers.digest(opaque.expose_secret());
            (opaque, Some(digest))
        }
    };
    let token = NewAccessToken {
        issuer: app.settings.issuer.clone(),
        id: TokenId::new(now, &*app.rng),
        opaque: digest,
        default_ttl: app.settings.tokens.access_token_ttl,
        now,
    };
    (token, opaque)
}

fn sign(app: &App, api: &Api, claims: &doorward_core::access_token::Claims) -> Result<String, Refusal> {
    let key = app.signing_keys().active(api.signing_algorithm, claims.issued_at)?;
    claims.sign(&key).map_err(signing_failed)
}

/// A token for `/userinfo` alone.
fn sign_for_issuer(app: &App, claims: &doorward_core::access_token::Claims) -> Result<String, Refusal> {
    let key = app.signing_keys().active(doorward_core::jwk::Algorithm::EdDSA, claims.issued_at)?;
    claims.sign(&key).map_err(signing_failed)
}

fn signing_failed(error: doorward_core::jwk::InvalidSigningKey) -> Refusal {
    Refusal::new(Denial::Unavailable).fact("signing", error)
}

/// `resource` at /token names one API (RFC 8707 section 2.2).
fn one_resource<'a>(form: &'a Parameters<'_>) -> Result<Option<&'a str>, Refusal> {
    let mut resources = form.all("resource").filter(|resource| !resource.is_empty());
    let first = resources.next();
    match resources.next() {
        None => Ok(first),
        Some(_) => Err(Refusal::new(Denial::ParameterRepeated).parameter("resource")),
    }
}
