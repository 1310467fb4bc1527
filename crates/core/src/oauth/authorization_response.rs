//! The authorization response (OAuth 2.1 section 4.1.2): where it goes, and how it gets there.
//!
//! Only a comparison with the client's registration creates a [`Target`]. If client, redirect URI or `state` are in
//! doubt, the error is shown on a page: a response that may not reach the client must not be sent.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{
    client::{Client, GrantType},
    client_auth,
    denial::Denial,
    form::Parameters,
    jws,
    redirect_uri::{self, RedirectUri},
    refusal::Refusal,
    trace::TraceId,
};

/// Longest `state`, in bytes.
const MAX_STATE: usize = 4_096;

/// How the response reaches the client (OAuth 2.0 Multiple Response Type Encoding Practices section 2.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// The browser posts it, by a form that submits itself (OAuth 2.0 Form Post Response Mode).
    FormPost,
    /// In the fragment, where the page's script reads it. Also the default of the response types that are refused here.
    Fragment,
    /// In the query: the default of `code`.
    #[default]
    Query,
}

impl ResponseMode {
    /// The modes that a client can ask for.
    pub const SUPPORTED: [Self; 3] = [Self::Query, Self::Fragment, Self::FormPost];

    /// The mode as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FormPost => "form_post",
            Self::Fragment => "fragment",
            Self::Query => "query",
        }
    }

    /// The mode that a request asks for. One that is not supported is refused in the default mode of its response type.
    fn asked(form: &Parameters<'_>) -> Self {
        let stated = form.all("response_mode").next().map(Cow::from).or_else(|| in_request_object(form));
        match Self::SUPPORTED.into_iter().find(|mode| Some(mode.as_str()) == stated.as_deref()) {
            Some(Self::FormPost) => Self::FormPost,
            Some(Self::Fragment) => Self::Fragment,
            Some(Self::Query) | None => Self::default_of(form.all("response_type").next().unwrap_or_default()),
        }
    }

    /// The default of a response type. No answer to a type whose default is the fragment goes into a query.
    fn default_of(response_type: &str) -> Self {
        match response_type.split(' ').any(|part| matches!(part, "token" | "id_token")) {
            true => Self::Fragment,
            false => Self::Query,
        }
    }
}

/// The `response_mode` of a request that has it in its request object alone. Request objects are refused, and the client
/// can take that refusal only where it expects the answer; nothing else of one is read.
fn in_request_object<'a>(form: &Parameters<'_>) -> Option<Cow<'a, str>> {
    let claims = jws::claims_unverified(form.all("request").next()?)?;
    Some(claims.get("response_mode")?.as_str()?.to_owned().into())
}

/// Where the response goes.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Target {
    /// `redirect_uri`, as the client sent it.
    pub redirect_uri: String,
    /// Whether nothing assures that the program behind it is the client.
    pub is_unassured: bool,
    /// `state`, returned unchanged.
    pub state: Option<String>,
    /// How it gets there.
    #[serde(default)]
    pub response_mode: ResponseMode,
}

/// A response on its way to the client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AuthorizationResponse {
    /// The browser posts these fields to this URL.
    FormPost {
        /// The redirect URI, to which the form is posted.
        action: String,
        /// Names and values, in their order.
        fields: Vec<(&'static str, String)>,
    },
    /// The browser is redirected to this URL.
    Redirect(String),
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
            let refusal = Refusal::new(Denial::RedirectUriNotRegistered).fact("client_id", &client.id);
            let refusal = refusal.fact("redirect_uri", asked);
            redirect_uri::naming_the_slash(refusal, &client.metadata.redirect_uris, asked)
        })?;
        Ok(Self {
            redirect_uri: asked.to_owned(),
            is_unassured: client.is_unassured(registered),
            state: state(form)?,
            response_mode: ResponseMode::asked(form),
        })
    }

    /// The response with a code (OAuth 2.1 section 4.1.2), with `iss` (RFC 9207 section 2).
    pub fn success(&self, code: &str, issuer: &str) -> AuthorizationResponse {
        self.respond(vec![("code", code.to_owned()), ("iss", issuer.to_owned())])
    }

    /// The response with an error (OAuth 2.1 section 4.1.2.1), with `iss`. The trace id is part of the description:
    /// clients warn about parameters that they don't know.
    pub fn error(&self, refusal: &Refusal, trace_id: TraceId, issuer: &str) -> AuthorizationResponse {
        let description = format!("{} Trace ID: {trace_id}", crate::challenge::ascii(&refusal.sentence()));
        let error = refusal.denial.error().to_owned();
        self.respond(vec![("error", error), ("error_description", description), ("iss", issuer.to_owned())])
    }

    /// Where the response goes, for people.
    pub fn display_host(&self) -> String {
        redirect_uri::display_host(&self.redirect_uri)
    }

    fn respond(&self, mut fields: Vec<(&'static str, String)>) -> AuthorizationResponse {
        fields.extend(self.state.clone().map(|state| ("state", state)));
        let pairs = fields.iter().map(|(name, value)| (*name, value.as_str()));
        match self.response_mode {
            ResponseMode::FormPost => AuthorizationResponse::FormPost { action: self.redirect_uri.clone(), fields },
            ResponseMode::Fragment => {
                AuthorizationResponse::Redirect(format!("{}#{}", self.redirect_uri, redirect_uri::encoded(pairs)))
            }
            ResponseMode::Query => AuthorizationResponse::Redirect(redirect_uri::with_query(&self.redirect_uri, pairs)),
        }
    }
}

/// `state`. One that is too long is refused on a page: without it the client would take the answer for a forgery.
pub(crate) fn state(form: &Parameters<'_>) -> Result<Option<String>, Refusal> {
    let state = form.all("state").next().filter(|state| !state.is_empty());
    match state {
        Some(state) if state.len() > MAX_STATE => {
            Err(Refusal::new(Denial::ParameterInvalid).parameter("state").fact("bytes", state.len()))
        }
        state => Ok(state.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::{
        authorization_request::tests::{GOOD, client},
        clock::Timestamp,
    };

    const ISSUER: &str = "https://issuer.example";
    const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn find(query: &str) -> Result<Target, Denial> {
        let form = Parameters::parse(query.as_bytes()).unwrap();
        Target::find(&form, Some(&client())).map_err(|refusal| refusal.denial)
    }

    fn error(query: &str, denial: Denial) -> AuthorizationResponse {
        find(query).unwrap().error(&denial.into(), TraceId::parse(TRACE_ID).unwrap(), ISSUER)
    }

    fn redirect(response: AuthorizationResponse) -> String {
        match response {
            AuthorizationResponse::Redirect(url) => url,
            other => panic!("{other:?}"),
        }
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
    fn state_of_4_kib_comes_back_and_a_longer_one_is_for_a_page() {
        let with = |length| find(&GOOD.replace("state=xyz", &format!("state={}", "s".repeat(length))));
        assert_eq!(with(4_096).unwrap().state.map(|state| state.len()), Some(4_096));
        assert_eq!(with(4_097), Err(Denial::ParameterInvalid));
    }

    #[test]
    fn responses_carry_state_and_issuer() {
        assert_eq!(
            redirect(find(GOOD).unwrap().success("abc", ISSUER)),
            "https://app.example/cb?code=abc&iss=https%3A%2F%2Fissuer.example&state=xyz"
        );
        let denied = redirect(error(GOOD, Denial::AccessDenied));
        assert!(denied.starts_with("https://app.example/cb?error=access_denied&"), "{denied}");
    }

    #[test]
    fn error_has_the_trace_id_only_in_its_description() {
        let url = url::Url::parse(&redirect(error(GOOD, Denial::AccessDenied))).unwrap();
        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names, ["error", "error_description", "iss", "state"]);
        let description = url.query_pairs().find(|(name, _)| name == "error_description").unwrap().1;
        assert_eq!(description, format!("The user denied access. Trace ID: {TRACE_ID}"));
    }

    #[test]
    fn error_of_a_refused_response_type_is_in_its_default_mode() {
        for (response_type, response_mode) in [("token", ""), ("code+id_token", "&response_mode=query")] {
            let query = GOOD.replace("response_type=code", &format!("response_type={response_type}{response_mode}"));
            let url = redirect(error(&query, Denial::ResponseTypeUnsupported));
            assert!(url.starts_with("https://app.example/cb#error="), "{url}");
        }
    }

    #[test]
    fn fragment_carries_codes_and_errors_where_it_is_asked_for() {
        let query = format!("{GOOD}&response_mode=fragment");
        assert_eq!(
            redirect(find(&query).unwrap().success("abc", ISSUER)),
            "https://app.example/cb#code=abc&iss=https%3A%2F%2Fissuer.example&state=xyz"
        );
        let denied = redirect(error(&query, Denial::AccessDenied));
        assert!(denied.starts_with("https://app.example/cb#error=access_denied&"), "{denied}");
        let unknown = redirect(error(&format!("{GOOD}&response_mode=jwt"), Denial::ResponseModeUnsupported));
        assert!(unknown.starts_with("https://app.example/cb?error=invalid_request&"), "{unknown}");
    }

    #[test]
    fn request_object_refusal_goes_to_its_redirect_uri() {
        let object = |claims: &str| format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims));
        let refused = |request: &str| error(&format!("{GOOD}&request={request}"), Denial::RequestObjectUnsupported);
        let posted = refused(&object(r#"{"response_mode":"form_post","redirect_uri":"https://evil.example"}"#));
        let AuthorizationResponse::FormPost { action, .. } = posted else { panic!("{posted:?}") };
        assert_eq!(action, "https://app.example/cb");
        let fragment = redirect(refused(&object(r#"{"response_mode":"fragment"}"#)));
        assert!(fragment.starts_with("https://app.example/cb#error=request_not_supported&"), "{fragment}");
        let own = error(
            &format!("{GOOD}&response_mode=query&request={}", object(r#"{"response_mode":"form_post"}"#)),
            Denial::RequestObjectUnsupported,
        );
        assert!(redirect(own).starts_with("https://app.example/cb?error="));
        for unreadable in ["x", "e30.e30.", "e30.!.", &object("[]"), &object(r#"{"response_mode":1}"#)] {
            assert!(redirect(refused(unreadable)).starts_with("https://app.example/cb?error="), "{unreadable}");
        }
    }

    #[test]
    fn form_post_carries_codes_and_errors_in_fields() {
        let query = format!("{GOOD}&response_mode=form_post");
        let AuthorizationResponse::FormPost { action, fields } = find(&query).unwrap().success("abc", ISSUER) else {
            panic!("not by form")
        };
        assert_eq!(action, "https://app.example/cb");
        assert_eq!(fields, [("code", "abc"), ("iss", ISSUER), ("state", "xyz")].map(|(n, v)| (n, v.to_owned())));
        let refused = error(&query.replace("response_type=code", "response_type=token"), Denial::AccessDenied);
        assert!(matches!(refused, AuthorizationResponse::FormPost { .. }), "{refused:?}");
    }

    #[test]
    fn people_are_shown_where_the_response_goes() {
        assert_eq!(find(GOOD).unwrap().display_host(), "app.example");
    }

    #[test]
    fn client_without_the_code_flow_has_no_target() {
        let form = Parameters::parse(GOOD.as_bytes()).unwrap();
        let metadata = crate::client_metadata::ClientMetadata { grant_types: [].into(), ..client().metadata };
        let refusal = Target::find(&form, Some(&Client { metadata, ..client() })).unwrap_err();
        assert_eq!(refusal.denial, Denial::AuthorizeClientUnknown);
    }

    #[test]
    fn empty_state_is_none_and_modes_read_back() {
        assert_eq!(find(&GOOD.replace("state=xyz", "state=")).unwrap().state, None);
        for mode in ResponseMode::SUPPORTED {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.as_str());
        }
    }
}
