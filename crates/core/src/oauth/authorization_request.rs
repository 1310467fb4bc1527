//! The authorization request (OAuth 2.1 section 4.1.1, OpenID Connect Core section 3.1.2.1), read in two steps.
//!
//! First [`Target`]: who asks, and where would an answer go? A doubt there is shown on a page and never redirected.
//! Then [`AuthorizationRequest`]: a mistake there is told to the client, at the target.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    api::ResourceIdentifier,
    client::{Client, GrantType},
    client_auth,
    clock::Timestamp,
    denial::Denial,
    form::Parameters,
    grant::audience::Apis,
    pkce::{self, CodeChallenge},
    redirect_uri::{self, RedirectUri},
    refusal::Refusal,
    scope::{self, ScopeSet},
    trace::TraceId,
};

/// Longest `state`, in bytes.
const MAX_STATE: usize = 2_048;

/// Parameters that may stand more than once.
pub const REPEATABLE: [&str; 1] = ["resource"];

/// Where the answer goes. Made only by comparison with what the client registered.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Target {
    /// `redirect_uri`, as it was asked.
    pub redirect_uri: String,
    /// Whether nothing assures that the program behind it is the client.
    pub is_unassured: bool,
    /// `state`, returned unchanged.
    pub state: Option<String>,
    /// Whether errors of this request go into the fragment: the default of the refused response types.
    fragment: bool,
}

impl Target {
    /// Finds the target of a request of `client`. Every refusal of this step is for a page.
    pub fn find(form: &Parameters<'_>, client: Option<&Client>) -> Result<Self, Refusal> {
        let usable =
            client.filter(|client| client.disabled_at.is_none() && client.allows(GrantType::AuthorizationCode));
        let stated = form.all("client_id").next().unwrap_or("(none)");
        let unknown =
            || Refusal::new(Denial::AuthorizeClientUnknown).fact("client_id", client_auth::loggable_id(stated));
        let client = usable.ok_or_else(unknown)?;
        // Two client ids or redirect URIs leave a doubt about both.
        form.optional("client_id")?;
        let asked = form.optional("redirect_uri")?;
        let asked = asked.ok_or_else(|| Refusal::new(Denial::RedirectUriMissing).fact("client_id", &client.id))?;
        let registered: &RedirectUri = client.redirect_uri(asked).ok_or_else(|| {
            Refusal::new(Denial::RedirectUriNotRegistered).fact("client_id", &client.id).fact("redirect_uri", asked)
        })?;
        let response_type = form.all("response_type").next().unwrap_or_default();
        Ok(Self {
            redirect_uri: asked.to_owned(),
            is_unassured: client.is_unassured(registered),
            // One that is too long is refused, and not sent back in the refusal.
            state: form.all("state").next().filter(|state| (1..=MAX_STATE).contains(&state.len())).map(str::to_owned),
            fragment: response_type.split(' ').any(|part| matches!(part, "token" | "id_token")),
        })
    }

    /// The URL that tells the client its code (OAuth 2.1 section 4.1.2), with `iss` (RFC 9207 section 2).
    pub fn success(&self, code: &str, issuer: &str) -> String {
        self.answer(&[("code", code), ("iss", issuer)])
    }

    /// The URL that tells the client why not (OAuth 2.1 section 4.1.2.1), with `iss`, and what it can name to the
    /// operator.
    pub fn error(&self, refusal: &Refusal, trace_id: TraceId, issuer: &str) -> String {
        let description = crate::challenge::ascii(&refusal.sentence());
        let trace_id = trace_id.to_string();
        let error = ("error", refusal.denial.error());
        self.answer(&[error, ("error_description", &description), ("trace_id", &trace_id), ("iss", issuer)])
    }

    /// Where the answer goes, for people.
    pub fn display_host(&self) -> String {
        redirect_uri::display_host(&self.redirect_uri)
    }

    fn answer(&self, parameters: &[(&str, &str)]) -> String {
        let state = self.state.as_deref().map(|state| ("state", state));
        let parameters = parameters.iter().copied().chain(state);
        if self.fragment {
            let mut fragment = form_urlencoded::Serializer::new(String::new());
            fragment.extend_pairs(parameters);
            return format!("{}#{}", self.redirect_uri, fragment.finish());
        }
        redirect_uri::with_query(&self.redirect_uri, parameters)
    }
}

/// What the client wants the user to be asked (OpenID Connect Core section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Prompt {
    /// `none`: no page at all.
    pub none: bool,
    /// `login`: sign in again.
    pub login: bool,
    /// `consent`: ask again.
    pub consent: bool,
    /// `select_account`: let the user choose who he is, which is to sign in.
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
    /// The client.
    pub client_id: crate::id::ClientId,
    /// Where the answer goes.
    pub target: Target,
    /// What is asked for.
    pub scopes: ScopeSet,
    /// The resources named, in their order.
    pub resources: Vec<ResourceIdentifier>,
    /// The challenge that the code will be bound to.
    pub code_challenge: CodeChallenge,
    /// `nonce`, returned in the id_token.
    pub nonce: Option<String>,
    /// `prompt`.
    pub prompt: Prompt,
    /// `max_age`: how long ago the user may have signed in.
    pub max_age: Option<Duration>,
    /// `login_hint`: who the user probably is.
    pub login_hint: Option<String>,
}

impl AuthorizationRequest {
    /// Reads the request. Every refusal of this step is for the client, at the target.
    pub fn parse(form: &Parameters<'_>, client: &Client, target: Target, apis: &Apis) -> Result<Self, Refusal> {
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
        if form.optional("response_mode")?.is_some_and(|mode| mode != "query") {
            return Err(Denial::ResponseModeUnsupported.into());
        }
        let challenge = form.optional("code_challenge")?.ok_or(Denial::PkceMissing)?;
        if form.optional("code_challenge_method")? != Some(pkce::METHOD) {
            return Err(Denial::PkceMethodUnsupported.into());
        }
        let bounded = |name: &'static str, longest: usize| match form.optional(name)? {
            Some(text) if text.len() > longest => Err(invalid(name)),
            text => Ok(text.map(str::to_owned)),
        };
        bounded("state", MAX_STATE)?;
        let resources = apis.resources(form.all("resource"))?;
        let max_age = form.optional("max_age")?.map(|text| text.parse().map(Duration::from_secs));
        Ok(Self {
            client_id: client.id.clone(),
            scopes: requested_scopes(form, client, &resources, apis)?,
            resources,
            code_challenge: CodeChallenge::parse(challenge).map_err(|_| invalid("code_challenge"))?,
            nonce: bounded("nonce", 512)?,
            prompt: Prompt::parse(form.optional("prompt")?.unwrap_or_default()).ok_or_else(|| invalid("prompt"))?,
            max_age: max_age.transpose().map_err(|_| invalid("max_age"))?,
            login_hint: bounded("login_hint", 256)?,
            target,
        })
    }

    /// Whether the client may still have an answer: it may have been disabled or changed while the user looked at a
    /// page. Every refusal of this step is for a page.
    pub fn check_client<'c>(&self, client: Option<&'c Client>) -> Result<&'c Client, Refusal> {
        let usable =
            client.filter(|client| client.disabled_at.is_none() && client.allows(GrantType::AuthorizationCode));
        let refuse = |denial| Refusal::new(denial).fact("client_id", &self.client_id);
        let client = usable.ok_or_else(|| refuse(Denial::AuthorizeClientUnknown))?;
        if client.redirect_uri(&self.target.redirect_uri).is_none() {
            return Err(refuse(Denial::RedirectUriNotRegistered));
        }
        match self.scopes.is_subset(&client.metadata.scope) {
            true => Ok(client),
            false => {
                let beyond = self.scopes.difference(&client.metadata.scope);
                Err(refuse(Denial::ScopeNotAllowed).fact("scope", beyond))
            }
        }
    }

    /// Whether a user who signed in at `auth_time` has to sign in again before this request can go on. A sign-in
    /// made for this very request counts, whatever was asked.
    pub fn demands_sign_in(&self, auth_time: Timestamp, requested_at: Timestamp, now: Timestamp) -> bool {
        let is_fresh = auth_time >= requested_at;
        let asked = self.prompt.login || self.prompt.select_account;
        let is_too_old = self.max_age.is_some_and(|max_age| now.since(auth_time) > max_age);
        !is_fresh && (asked || is_too_old)
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

    /// What is granted, of what the user ticked: what can't be unticked counts as ticked; nothing ticked is a no.
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
    let forbidden = known.difference(&client.metadata.scope);
    if !forbidden.is_empty() {
        return Err(Refusal::new(Denial::ScopeNotAllowed).fact("scope", forbidden));
    }
    apis.check_together(&known, resources)?;
    Ok(known)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::client_metadata::ClientMetadata;
    use crate::{client::AuthenticationMethod, grant::audience::tests::api, id::ClientId, random::SeededRng};

    const ISSUER: &str = "https://issuer.example";
    const GOOD: &str = "client_id=c&response_type=code&redirect_uri=https://app.example/cb&scope=openid+notes:read\
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
        let form = Parameters::parse(query.as_bytes()).unwrap();
        let target = Target::find(&form, Some(&client())).map_err(|refusal| refusal.denial)?;
        AuthorizationRequest::parse(&form, &client(), target, &apis()).map_err(|refusal| refusal.denial)
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
    fn doubt_about_client_or_target_is_for_a_page() {
        let find = |query: &str, client: Option<&Client>| {
            Target::find(&Parameters::parse(query.as_bytes()).unwrap(), client).unwrap_err().denial
        };
        assert_eq!(find(GOOD, None), Denial::AuthorizeClientUnknown);
        let disabled = Client { disabled_at: Some(Timestamp::from_millis(1)), ..client() };
        assert_eq!(find(GOOD, Some(&disabled)), Denial::AuthorizeClientUnknown);
        assert_eq!(find("client_id=c", Some(&client())), Denial::RedirectUriMissing);
        assert_eq!(find("client_id=c&redirect_uri=", Some(&client())), Denial::RedirectUriMissing);
        let other = "client_id=c&redirect_uri=https://evil.example/cb";
        assert_eq!(find(other, Some(&client())), Denial::RedirectUriNotRegistered);
        let two = "client_id=c&redirect_uri=https://app.example/cb&redirect_uri=https://app.example/cb";
        assert_eq!(find(two, Some(&client())), Denial::ParameterRepeated);
    }

    #[test]
    fn mistakes_are_told_to_the_client() {
        for (name, value, denial) in [
            ("response_type", "", Denial::ParameterMissing),
            ("response_type", "token", Denial::ResponseTypeUnsupported),
            ("response_type", "code+id_token", Denial::ResponseTypeUnsupported),
            ("response_mode", "form_post", Denial::ResponseModeUnsupported),
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
    fn answers_carry_state_and_issuer() {
        let request = parse(GOOD).unwrap();
        let trace_id = TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        assert_eq!(
            request.target.success("abc", ISSUER),
            "https://app.example/cb?code=abc&iss=https%3A%2F%2Fissuer.example&state=xyz"
        );
        assert!(
            request
                .target
                .error(&Denial::AccessDenied.into(), trace_id, ISSUER)
                .starts_with("https://app.example/cb?error=access_denied&")
        );
        let implicit = GOOD.replace("response_type=code", "response_type=token");
        let form = Parameters::parse(implicit.as_bytes()).unwrap();
        let target = Target::find(&form, Some(&client())).unwrap();
        assert!(
            target
                .error(&Denial::ResponseTypeUnsupported.into(), trace_id, ISSUER)
                .starts_with("https://app.example/cb#error=")
        );
    }

    #[test]
    fn sign_in_is_demanded_by_prompt_and_age_and_satisfied_by_a_fresh_one() {
        let at = Timestamp::from_secs;
        let login = with("prompt", "login").unwrap();
        assert!(login.demands_sign_in(at(99), at(100), at(101)));
        assert!(!login.demands_sign_in(at(100), at(100), at(101)));
        let aged = with("max_age", "10").unwrap();
        assert!(!aged.demands_sign_in(at(90), at(100), at(100)));
        assert!(aged.demands_sign_in(at(89), at(100), at(100)));
        let zero = with("max_age", "0").unwrap();
        assert!(zero.demands_sign_in(at(99), at(100), at(100)));
        assert!(!parse(GOOD).unwrap().demands_sign_in(at(1), at(100), at(100)));
    }

    #[test]
    fn a_client_that_was_changed_meanwhile_gets_no_answer() {
        let request = parse(GOOD).unwrap();
        let denied = |client: Option<Client>| request.check_client(client.as_ref()).unwrap_err().denial;
        assert!(request.check_client(Some(&client())).is_ok());
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
    fn what_was_allowed_without_a_refresh_token_is_asked_again_with_one() {
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
    fn openid_stays_and_nothing_ticked_is_a_no() {
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
    fn staying_signed_in_can_be_unticked_only_where_that_changes_something() {
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
}
