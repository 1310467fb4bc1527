//! The authorization request (OAuth 2.1 section 4.1.1, OpenID Connect Core section 3.1.2.1), read in two steps.
//!
//! First [`Target`]: who asks, and where does an answer go? A doubt about that is shown on a page.
//! Then [`AuthorizationRequest`]: a mistake in the rest is reported to the client, at the target.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    api::ResourceIdentifier,
    authorization_response::Target,
    client::{Client, GrantType},
    clock::Timestamp,
    denial::Denial,
    form::Parameters,
    grant::audience::Apis,
    id::UserId,
    id_token::{IdTokenHint, IssuedIdTokens},
    pkce::{self, CodeChallenge},
    refusal::Refusal,
    scope::{self, ScopeSet},
};

/// Longest `login_hint`, in bytes: a user name of 254 characters fits.
const MAX_LOGIN_HINT: usize = 1_024;

/// Parameters that may stand more than once.
pub const REPEATABLE: [&str; 1] = ["resource"];

/// What the client wants the user to be asked (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Prompt {
    /// `none`: no page at all.
    pub none: bool,
    /// `login`: sign in again.
    pub login: bool,
    /// `consent`: ask again.
    pub consent: bool,
    /// `select_account`: let the user choose an account, by signing in.
    pub select_account: bool,
}

impl Prompt {
    fn parse(text: &str) -> Option<Self> {
        let mut prompt = Self::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            match word {
                "none" => prompt.none = true,
                "login" => prompt.login = true,
                "consent" => prompt.consent = true,
                "select_account" => prompt.select_account = true,
                _ => return None,
            }
        }
        let others = prompt.login || prompt.consent || prompt.select_account;
        (!(prompt.none && others)).then_some(prompt)
    }
}

/// A valid authorization request. It is stored once, and no later step reads a parameter from the browser again.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct AuthorizationRequest {
    /// The client that sent the request.
    pub client_id: crate::id::ClientId,
    /// Where the answer goes.
    pub target: Target,
    /// What is asked for.
    pub scopes: ScopeSet,
    /// The resources named, in their order.
    pub resources: Vec<ResourceIdentifier>,
    /// The challenge that the code will be bound to; `None`: the client left out PKCE, and may.
    pub code_challenge: Option<CodeChallenge>,
    /// `nonce`, returned in the ID token.
    pub nonce: Option<String>,
    /// `prompt`.
    pub prompt: Prompt,
    /// `max_age`: how long ago the user may have signed in.
    pub max_age: Option<Duration>,
    /// `login_hint`: who the user probably is.
    pub login_hint: Option<String>,
    /// The user of `id_token_hint`: nobody else may be signed in.
    #[serde(default)]
    pub expected_user: Option<UserId>,
}

impl AuthorizationRequest {
    /// Reads the request. Every refusal of this step is for the client, at the target.
    pub fn parse(
        form: &Parameters<'_>,
        client: &Client,
        target: Target,
        apis: &Apis,
        id_tokens: IssuedIdTokens<'_>,
    ) -> Result<Self, Refusal> {
        form.refuse_repeated(&REPEATABLE)?;
        let invalid = |name: &'static str| Refusal::new(Denial::ParameterInvalid).parameter(name);
        if form.optional("request")?.is_some() {
            return Err(Denial::RequestObjectUnsupported.into());
        }
        if form.optional("request_uri")?.is_some() {
            return Err(Denial::RequestUriUnsupported.into());
        }
        let response_type = form.required("response_type")?;
        if response_type != "code" {
            return Err(Refusal::new(Denial::ResponseTypeUnsupported).fact("response_type", response_type));
        }
        if form.optional("response_mode")?.is_some_and(|mode| target.response_mode.as_str() != mode) {
            return Err(Denial::ResponseModeUnsupported.into());
        }
        let code_challenge = code_challenge(form, client)?;
        let bounded = |name: &'static str, longest: usize| match form.optional(name)? {
            Some(text) if text.len() > longest => Err(invalid(name)),
            text => Ok(text.map(str::to_owned)),
        };
        let resources = apis.resources(form.all("resource"))?;
        let max_age = form.optional("max_age")?.map(|text| text.parse().map(Duration::from_secs));
        let request = Self {
            client_id: client.id.clone(),
            scopes: requested_scopes(form, client, &resources, apis)?,
            resources,
            code_challenge,
            nonce: bounded("nonce", 512)?,
            prompt: Prompt::parse(form.optional("prompt")?.unwrap_or_default()).ok_or_else(|| invalid("prompt"))?,
            max_age: max_age.transpose().map_err(|_| invalid("max_age"))?,
            login_hint: bounded("login_hint", MAX_LOGIN_HINT)?,
            expected_user: None,
            target,
        };
        match id_token_hint(form, client, id_tokens)? {
            Some(hint) => request.expecting(hint),
            None => Ok(request),
        }
    }

    /// The same for the user that the client expects. A hint that names nobody can't say that the right user is signed
    /// in, so somebody has to sign in.
    fn expecting(self, hint: IdTokenHint) -> Result<Self, Refusal> {
        match hint {
            IdTokenHint::Verified(hint) => Ok(Self { expected_user: Some(hint.user), ..self }),
            IdTokenHint::KeyGone { .. } if self.prompt.none => {
                Err(Refusal::new(Denial::LoginRequired).fact("id_token_hint", "its key is gone"))
            }
            IdTokenHint::KeyGone { .. } => Ok(Self { prompt: Prompt { select_account: true, ..self.prompt }, ..self }),
        }
    }

    /// Whether the client may still have an answer: it may have been disabled or changed while the user looked at a
    /// page. Every refusal of this step is for a page.
    pub fn check_client<'c>(&self, client: Option<&'c Client>, apis: &Apis) -> Result<&'c Client, Refusal> {
        let usable =
            client.filter(|client| client.disabled_at.is_none() && client.allows(GrantType::AuthorizationCode));
        let refuse = |denial| Refusal::new(denial).fact("client_id", &self.client_id);
        let client = usable.ok_or_else(|| refuse(Denial::AuthorizeClientUnknown))?;
        if client.redirect_uri(&self.target.redirect_uri).is_none() {
            return Err(refuse(Denial::RedirectUriNotRegistered));
        }
        let beyond = self.scopes.difference(&client.registered_scope(apis));
        match beyond.is_empty() {
            true => Ok(client),
            false => Err(refuse(Denial::ScopeNotAllowed).fact("scope", beyond)),
        }
    }

    /// Whether a user who signed in at `auth_time` has to sign in again before this request can continue. A sign-in for
    /// this very request counts, whatever was asked.
    pub fn demands_sign_in(
        &self,
        user: &UserId,
        auth_time: Timestamp,
        requested_at: Timestamp,
        now: Timestamp,
    ) -> bool {
        let is_fresh = auth_time >= requested_at;
        let asked = self.prompt.login || self.prompt.select_account;
        let is_too_old = self.max_age.is_some_and(|max_age| now.since(auth_time) > max_age);
        !is_fresh && (asked || is_too_old || self.expects_another(user))
    }

    /// Whether the client expects another user than this one: it must not get an answer about this one (OpenID Connect
    /// Core section 3.1.2.1, `id_token_hint`).
    pub fn expects_another(&self, user: &UserId) -> bool {
        self.expected_user.as_ref().is_some_and(|expected| expected != user)
    }

    /// Whether consent has to be asked, given what the user allowed this client before.
    pub fn demands_consent(&self, client: &Client, remembered: Option<&ScopeSet>) -> bool {
        let needed = consent_to(client, &self.scopes, &self.scopes);
        let covers = remembered.is_some_and(|remembered| needed.is_subset(remembered));
        self.prompt.consent || self.target.is_unassured || !covers
    }

    /// Whether a scope can't be unticked: `openid`, and without it `offline_access`, which changes nothing there (see
    /// [`gives_refresh_token`]).
    pub fn is_required(&self, scope: &str) -> bool {
        scope == scope::OPENID || (scope == scope::OFFLINE_ACCESS && !self.scopes.contains(scope::OPENID))
    }

    /// Whether the client can have a refresh token, so that the page says so.
    pub fn may_stay_signed_in(&self, client: &Client) -> bool {
        gives_refresh_token(client, &self.scopes, &self.scopes)
    }

    /// The scopes that are granted, given what the user ticked. Required scopes always count as ticked. If nothing is
    /// ticked, the request is denied.
    pub fn consented(&self, ticked: &ScopeSet) -> Result<ScopeSet, Refusal> {
        let is_granted = |scope: &scope::Scope| self.is_required(scope.as_str()) || ticked.contains(scope.as_str());
        let granted = self.scopes.filtered(is_granted);
        if granted.iter().all(|scope| scope.as_str() == scope::OFFLINE_ACCESS) {
            return Err(Refusal::new(Denial::AccessDenied).fact("why", "nothing was ticked"));
        }
        Ok(granted)
    }
}

/// Whether a grant of these scopes comes with a refresh token.
pub fn gives_refresh_token(client: &Client, granted: &ScopeSet, asked: &ScopeSet) -> bool {
    let asked_openid = asked.contains(scope::OPENID);
    client.allows(GrantType::RefreshToken) && (granted.contains(scope::OFFLINE_ACCESS) || !asked_openid)
}

/// What a user consents to with a grant of these scopes, to be remembered: them, and `offline_access` if a refresh token
/// comes with it, whether or not that was what was asked for it.
pub fn consent_to(client: &Client, granted: &ScopeSet, asked: &ScopeSet) -> ScopeSet {
    let offline_access = scope::Scope::parse(scope::OFFLINE_ACCESS).expect("a constant that is a scope");
    let shown = granted.filtered(|scope| *scope != offline_access);
    match gives_refresh_token(client, granted, asked) {
        true => shown.union(&[offline_access].into_iter().collect()),
        false => shown,
    }
}

/// The challenge of the request. Only clients of the profile `oidc-basic` may leave it out (RFC 9700 section 2.1.1).
fn code_challenge(form: &Parameters<'_>, client: &Client) -> Result<Option<CodeChallenge>, Refusal> {
    let method = form.optional("code_challenge_method")?;
    let Some(challenge) = form.optional("code_challenge")? else {
        return match (client.may_leave_out_pkce(), method) {
            (true, None) => Ok(None),
            // The client uses PKCE after all, and somebody cut the challenge out of the request.
            (true, Some(_)) => Err(Denial::PkceChallengeMissing.into()),
            (false, _) => Err(Denial::PkceMissing.into()),
        };
    };
    if method != Some(pkce::METHOD) {
        return Err(Denial::PkceMethodUnsupported.into());
    }
    let invalid = |_| Refusal::new(Denial::ParameterInvalid).parameter("code_challenge");
    CodeChallenge::parse(challenge).map(Some).map_err(invalid)
}

/// `id_token_hint`, which must be an ID token that was issued to this client.
fn id_token_hint(
    form: &Parameters<'_>,
    client: &Client,
    id_tokens: IssuedIdTokens<'_>,
) -> Result<Option<IdTokenHint>, Refusal> {
    let Some(token) = form.optional("id_token_hint")? else { return Ok(None) };
    let hint = id_tokens.read_hint(token)?;
    if let IdTokenHint::Verified(hint) = &hint
        && !hint.audience.iter().any(|audience| audience == client.id.as_str())
    {
        return Err(Refusal::new(Denial::ParameterInvalid).parameter("id_token_hint").fact("why", "another client"));
    }
    Ok(Some(hint))
}

fn requested_scopes(
    form: &Parameters<'_>,
    client: &Client,
    resources: &[ResourceIdentifier],
    apis: &Apis,
) -> Result<ScopeSet, Refusal> {
    let asked = form.optional("scope")?.ok_or(Denial::ScopeMissing)?;
    let asked = ScopeSet::parse(asked).map_err(|_| Refusal::new(Denial::ScopeMalformed).fact("scope", asked))?;
    let known = apis.known(&asked);
    let unknown = asked.difference(&known);
    // OpenID Connect Core section 3.1.2.1: unknown scopes should be ignored; without it they are an error.
    if known.is_empty() || (!unknown.is_empty() && !asked.contains(scope::OPENID)) {
        return Err(Refusal::new(Denial::ScopeInvalid).fact("scope", unknown));
    }
    let forbidden = known.difference(&client.registered_scope(apis));
    if !forbidden.is_empty() {
        return Err(Refusal::new(Denial::ScopeNotAllowed).fact("scope", forbidden));
    }
    apis.check_together(&known, resources)?;
    Ok(known)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        client::AuthenticationMethod,
        client_metadata::{ClientMetadata, ClientProfile},
        grant::audience::tests::api,
        id::ClientId,
        jwk::KeySet,
        random::SeededRng,
        redirect_uri::RedirectUri,
    };

    pub(crate) const GOOD: &str = "client_id=c&response_type=code&redirect_uri=https://app.example/cb&scope=openid+notes:read\
        &state=xyz&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    pub(crate) fn client() -> Client {
        Client::new(
            ClientId::new(Timestamp::from_millis(1), &SeededRng::new(1)),
            ClientMetadata {
                client_name: "App".into(),
                token_endpoint_auth_method: AuthenticationMethod::None,
                grant_types: [GrantType::AuthorizationCode, GrantType::RefreshToken].into(),
                redirect_uris: ["https://app.example/cb", "http://127.0.0.1/cb"]
                    .map(|uri| RedirectUri::parse(uri).unwrap())
                    .into(),
                scope: ScopeSet::parse("openid profile offline_access notes:read").unwrap(),
                ..ClientMetadata::default()
            },
            Timestamp::from_millis(1),
        )
    }

    fn apis() -> Apis {
        Apis::new(vec![api("notes", &["notes:read", "notes:write"]), api("mails", &["mails:read"])])
    }

    fn parse(query: &str) -> Result<AuthorizationRequest, Denial> {
        parse_of(&client(), query)
    }

    fn parse_of(client: &Client, query: &str) -> Result<AuthorizationRequest, Denial> {
        let form = Parameters::parse(query.as_bytes()).unwrap();
        let target = Target::find(&form, Some(client)).map_err(|refusal| refusal.denial)?;
        let id_tokens = IssuedIdTokens { issuer: "https://issuer.example", keys: &KeySet::default() };
        let request = AuthorizationRequest::parse(&form, client, target, &apis(), id_tokens);
        request.map_err(|refusal| refusal.denial)
    }

    fn user(seed: u64) -> UserId {
        UserId::new(Timestamp::from_millis(1), &SeededRng::new(seed))
    }

    /// The good request with one parameter replaced or added.
    fn with(name: &str, value: &str) -> Result<AuthorizationRequest, Denial> {
        let kept = GOOD.split('&').filter(|pair| !pair.starts_with(&format!("{name}=")));
        parse(&kept.chain([format!("{name}={value}").as_str()]).collect::<Vec<_>>().join("&"))
    }

    #[test]
    fn a_good_request_is_read() {
        let request = parse(GOOD).unwrap();
        assert_eq!(request.scopes.to_string(), "notes:read openid");
        assert_eq!(request.target.state.as_deref(), Some("xyz"));
        assert!(!request.target.is_unassured);
    }

    #[test]
    fn mistakes_are_reported_to_the_client() {
        for (name, value, denial) in [
            ("response_type", "", Denial::ParameterMissing),
            ("response_type", "token", Denial::ResponseTypeUnsupported),
            ("response_type", "code+id_token", Denial::ResponseTypeUnsupported),
            ("response_mode", "query.jwt", Denial::ResponseModeUnsupported),
            ("response_mode", "Fragment", Denial::ResponseModeUnsupported),
            ("code_challenge", "", Denial::PkceMissing),
            ("code_challenge", "short", Denial::ParameterInvalid),
            ("code_challenge_method", "plain", Denial::PkceMethodUnsupported),
            ("code_challenge_method", "", Denial::PkceMethodUnsupported),
            ("scope", "", Denial::ScopeMissing),
            ("scope", "nothing", Denial::ScopeInvalid),
            ("scope", "notes:read+nothing", Denial::ScopeInvalid),
            ("scope", "notes:write", Denial::ScopeNotAllowed),
            ("scope", "openid+mails:read", Denial::ScopeNotAllowed),
            ("resource", "https://other.example", Denial::ResourceUnknown),
            ("resource", "https://mails.example", Denial::ScopeOfSeveralApis),
            ("request", "x", Denial::RequestObjectUnsupported),
            ("request_uri", "x", Denial::RequestUriUnsupported),
            ("prompt", "none+login", Denial::ParameterInvalid),
            ("prompt", "create", Denial::ParameterInvalid),
            ("max_age", "-1", Denial::ParameterInvalid),
            ("id_token_hint", "e30.e30.AA", Denial::ParameterInvalid),
        ] {
            assert_eq!(with(name, value).unwrap_err(), denial, "{name}={value}");
        }
        assert_eq!(parse(&format!("{GOOD}&nonce=1&nonce=2")).unwrap_err(), Denial::ParameterRepeated);
        assert!(
            parse(&format!("{GOOD}&unknown=1&resource=https://notes.example&resource=https://notes.example")).is_ok()
        );
    }

    #[test]
    fn unknown_scopes_are_dropped_with_openid() {
        assert_eq!(with("scope", "openid+nothing").unwrap().scopes.to_string(), "openid");
    }

    #[test]
    fn prompt_and_max_age_require_a_fresh_sign_in() {
        let at = Timestamp::from_secs;
        let demands = |request: &AuthorizationRequest, auth_time, requested_at, now| {
            request.demands_sign_in(&user(1), at(auth_time), at(requested_at), at(now))
        };
        let login = with("prompt", "login").unwrap();
        assert!(demands(&login, 99, 100, 101));
        assert!(!demands(&login, 100, 100, 101));
        let aged = with("max_age", "10").unwrap();
        assert!(!demands(&aged, 90, 100, 100));
        assert!(demands(&aged, 89, 100, 100));
        let zero = with("max_age", "0").unwrap();
        assert!(demands(&zero, 99, 100, 100));
        assert!(!demands(&parse(GOOD).unwrap(), 1, 100, 100));
    }

    #[test]
    fn sign_in_is_demanded_of_the_user_that_the_client_expects() {
        let at = Timestamp::from_secs;
        let request = AuthorizationRequest { expected_user: Some(user(1)), ..parse(GOOD).unwrap() };
        assert!(!request.expects_another(&user(1)) && request.expects_another(&user(2)));
        assert!(!request.demands_sign_in(&user(1), at(1), at(100), at(100)));
        assert!(request.demands_sign_in(&user(2), at(1), at(100), at(100)));
        assert!(!request.demands_sign_in(&user(2), at(100), at(100), at(100)), "asking once is enough");
    }

    #[test]
    fn hint_that_names_nobody_has_somebody_sign_in() {
        let expecting = |request: AuthorizationRequest| request.expecting(IdTokenHint::KeyGone { audience: vec![] });
        let refused = expecting(with("prompt", "none").unwrap()).unwrap_err();
        assert_eq!(refused.denial, Denial::LoginRequired);
        let request = expecting(parse(GOOD).unwrap()).unwrap();
        let demands = |auth_time: i64| {
            let at = Timestamp::from_secs;
            request.demands_sign_in(&user(1), at(auth_time), at(100), at(101))
        };
        assert!(demands(99) && !demands(100), "once, and anybody may");
        assert_eq!(request.expected_user, None);
    }

    #[test]
    fn only_basic_profile_clients_may_omit_pkce_entirely() {
        let basic = Client {
            metadata: ClientMetadata {
                profile: ClientProfile::OidcBasic,
                token_endpoint_auth_method: AuthenticationMethod::ClientSecret,
                ..client().metadata
            },
            ..client()
        };
        let without = |names: &[&str]| {
            let is_kept = |pair: &&str| !names.iter().any(|name| pair.starts_with(&format!("{name}=")));
            GOOD.split('&').filter(is_kept).collect::<Vec<_>>().join("&")
        };
        let none = without(&["code_challenge", "code_challenge_method"]);
        assert_eq!(parse_of(&basic, &none).unwrap().code_challenge, None);
        assert!(parse_of(&basic, GOOD).unwrap().code_challenge.is_some(), "what is sent counts");
        let no_challenge = without(&["code_challenge"]);
        assert_eq!(parse_of(&basic, &no_challenge).unwrap_err(), Denial::PkceChallengeMissing);
        assert_eq!(parse(&no_challenge).unwrap_err(), Denial::PkceMissing);
        let no_method = without(&["code_challenge_method"]);
        assert_eq!(parse_of(&basic, &no_method).unwrap_err(), Denial::PkceMethodUnsupported);
        assert_eq!(parse(&none).unwrap_err(), Denial::PkceMissing);
    }

    #[test]
    fn a_client_that_was_changed_meanwhile_gets_no_answer() {
        let request = parse(GOOD).unwrap();
        let denied = |client: Option<Client>| request.check_client(client.as_ref(), &apis()).unwrap_err().denial;
        assert!(request.check_client(Some(&client()), &apis()).is_ok());
        assert_eq!(denied(None), Denial::AuthorizeClientUnknown);
        let disabled = Client { disabled_at: Some(Timestamp::from_millis(1)), ..client() };
        assert_eq!(denied(Some(disabled)), Denial::AuthorizeClientUnknown);
        assert_eq!(
            denied(Some(Client {
                metadata: ClientMetadata { redirect_uris: vec![], ..client().metadata },
                ..client()
            })),
            Denial::RedirectUriNotRegistered
        );
        let narrower = Client {
            metadata: ClientMetadata { scope: ScopeSet::parse("openid").unwrap(), ..client().metadata },
            ..client()
        };
        assert_eq!(denied(Some(narrower)), Denial::ScopeNotAllowed);
    }

    #[test]
    fn consent_is_remembered_but_not_for_native_public_clients() {
        let all = ScopeSet::parse("openid notes:read").unwrap();
        let demands = |request: AuthorizationRequest, remembered: Option<&ScopeSet>| {
            request.demands_consent(&client(), remembered)
        };
        assert!(!demands(parse(GOOD).unwrap(), Some(&all)));
        assert!(demands(parse(GOOD).unwrap(), Some(&ScopeSet::parse("openid").unwrap())));
        assert!(demands(parse(GOOD).unwrap(), None));
        assert!(demands(with("prompt", "consent").unwrap(), Some(&all)));
        assert!(demands(with("redirect_uri", "http://127.0.0.1:999/cb").unwrap(), Some(&all)));
    }

    #[test]
    fn refresh_token_needs_a_new_consent() {
        let set = |text: &str| ScopeSet::parse(text).unwrap();
        let remembered = |scopes: &str| consent_to(&client(), &set(scopes), &set(scopes));
        let plain = with("scope", "notes:read").unwrap();
        assert!(plain.demands_consent(&client(), Some(&remembered("openid notes:read"))));
        assert!(!plain.demands_consent(&client(), Some(&remembered("openid notes:read offline_access"))));
        assert!(!plain.demands_consent(&client(), Some(&remembered("notes:read"))));
        let without = Client {
            metadata: ClientMetadata { grant_types: [GrantType::AuthorizationCode].into(), ..client().metadata },
            ..client()
        };
        let offline = with("scope", "openid notes:read offline_access").unwrap();
        assert!(!offline.demands_consent(&without, Some(&remembered("openid notes:read"))));
    }

    #[test]
    fn openid_is_kept_and_nothing_ticked_is_a_refusal() {
        let request = parse(GOOD).unwrap();
        let ticked = |text: &str| request.consented(&ScopeSet::parse(text).unwrap());
        assert_eq!(ticked("notes:read").unwrap().to_string(), "notes:read openid");
        assert_eq!(ticked("").unwrap().to_string(), "openid");
        assert_eq!(ticked("notes:write").unwrap().to_string(), "openid");
        for scope in ["notes:read", "notes:read offline_access"] {
            let without = with("scope", scope).unwrap();
            assert_eq!(without.consented(&ScopeSet::default()).unwrap_err().denial, Denial::AccessDenied, "{scope}");
        }
    }

    #[test]
    fn offline_access_can_be_unticked_only_if_it_has_an_effect() {
        let ticked = ScopeSet::parse("notes:read").unwrap();
        let granted = |scope| with("scope", scope).unwrap().consented(&ticked).unwrap().to_string();
        assert_eq!(granted("openid notes:read offline_access"), "notes:read openid");
        assert_eq!(granted("notes:read offline_access"), "notes:read offline_access");
        let may = |scope, client: &Client| with("scope", scope).unwrap().may_stay_signed_in(client);
        assert!(may("notes:read", &client()) && may("openid offline_access", &client()));
        assert!(!may("openid notes:read", &client()));
        let without = Client {
            metadata: ClientMetadata { grant_types: [GrantType::AuthorizationCode].into(), ..client().metadata },
            ..client()
        };
        assert!(!may("notes:read", &without) && !may("openid offline_access", &without));
    }

    #[test]
    fn a_refresh_token_follows_offline_access_or_plain_oauth() {
        let set = |text: &str| ScopeSet::parse(text).unwrap();
        let gives = |granted: &str, asked: &str| gives_refresh_token(&client(), &set(granted), &set(asked));
        assert!(gives("openid offline_access", "openid offline_access"));
        assert!(!gives("openid notes:read", "openid notes:read offline_access"));
        assert!(gives("notes:read", "notes:read"));
        let without = Client {
            metadata: ClientMetadata { grant_types: [GrantType::AuthorizationCode].into(), ..client().metadata },
            ..client()
        };
        assert!(!gives_refresh_token(&without, &set("notes:read"), &set("notes:read")));
    }

    #[test]
    fn nonce_and_login_hint_are_returned_as_sent_and_bounded() {
        for (name, longest) in [("nonce", 512), ("login_hint", 1_024)] {
            let value = "n".repeat(longest);
            let request = with(name, &value).unwrap();
            let kept = if name == "nonce" { request.nonce } else { request.login_hint };
            assert_eq!(kept, Some(value), "{name}");
            assert_eq!(with(name, &"n".repeat(longest + 1)).unwrap_err(), Denial::ParameterInvalid, "{name}");
        }
        assert_eq!((parse(GOOD).unwrap().nonce, parse(GOOD).unwrap().login_hint), (None, None));
    }

    #[test]
    fn prompt_values_combine_except_none() {
        let plain = Prompt::default();
        for (text, prompt) in [
            ("", plain),
            ("none", Prompt { none: true, ..plain }),
            ("login", Prompt { login: true, ..plain }),
            ("consent", Prompt { consent: true, ..plain }),
            ("select_account", Prompt { select_account: true, ..plain }),
            ("login  consent", Prompt { login: true, consent: true, ..plain }),
        ] {
            assert_eq!(Prompt::parse(text), Some(prompt), "{text}");
        }
        for bad in ["none login", "none consent", "none select_account", "create"] {
            assert_eq!(Prompt::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn choosing_an_account_is_to_sign_in_again() {
        let at = Timestamp::from_secs;
        let choose = with("prompt", "select_account").unwrap();
        assert!(choose.demands_sign_in(&user(1), at(99), at(100), at(101)));
        assert!(!choose.demands_sign_in(&user(1), at(100), at(100), at(101)));
    }

    #[test]
    fn hint_must_have_been_issued_to_the_client_that_sends_it() {
        use crate::jwk::{Algorithm, SigningKey};
        let key = SigningKey::generate("k1".into(), Algorithm::EdDSA, &SeededRng::new(1)).unwrap();
        let keys = KeySet::new(vec![key.verifying_key()]);
        let expected_user = |audience: &str| {
            let claims = serde_json::json!({"iss": "https://issuer.example", "sub": user(7), "aud": audience});
            let hint = crate::jws::sign(&key, "JWT", claims.to_string().as_bytes()).unwrap();
            let query = format!("{GOOD}&id_token_hint={hint}");
            let form = Parameters::parse(query.as_bytes()).unwrap();
            let target = Target::find(&form, Some(&client())).unwrap();
            let id_tokens = IssuedIdTokens { issuer: "https://issuer.example", keys: &keys };
            let request = AuthorizationRequest::parse(&form, &client(), target, &apis(), id_tokens);
            request.map(|request| request.expected_user).map_err(|refusal| refusal.denial)
        };
        assert_eq!(expected_user(client().id.as_str()), Ok(Some(user(7))));
        assert_eq!(expected_user("cli_other"), Err(Denial::ParameterInvalid));
    }

    #[test]
    fn offline_access_can_not_be_unticked_without_openid() {
        let plain = with("scope", "notes:read offline_access").unwrap();
        assert!(plain.is_required("offline_access") && !plain.is_required("notes:read"));
        let oidc = with("scope", "openid offline_access").unwrap();
        assert!(oidc.is_required("openid") && !oidc.is_required("offline_access"));
    }
}
