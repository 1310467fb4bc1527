//! The page of the sample app: what a client gets at the end of the authorization code flow (RFC 6749 section 4.1),
//! with its tokens taken apart so that one can look at them.
//!
//! A real client treats an access token as opaque (RFC 9068 section 6); this one shows it for learning only.

use askama::Template;
use serde_json::Value;

/// Where the page expects [`STYLE`].
pub const STYLE_PATH: &str = "/app.css";

/// The look of the page, `text/css`.
pub const STYLE: &str = include_str!("app.css");

/// The page's `Content-Security-Policy`: nothing inline but the empty icon, no script, no frame.
pub const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page, in one of the states of signing in.
#[derive(Debug, Template)]
#[template(path = "app/app.html")]
pub struct AppPage {
    /// How far the person came.
    pub state: State,
    /// The link that begins a new authorization request.
    pub sign_in: String,
}

/// How far the person came.
#[derive(Debug)]
pub enum State {
    /// The issuer answered with an error (RFC 6749 section 4.1.2.1), or the answer could not be used.
    Refused {
        /// The value of `error`.
        error: String,
        /// The value of `error_description`, if there was one.
        description: Option<String>,
    },
    /// Tokens were given, and the API was called.
    SignedIn(Box<SignedIn>),
    /// Nothing happened yet.
    Start,
}

/// What the app got, and what it got for it.
#[derive(Debug)]
pub struct SignedIn {
    /// Who signed in: a name, or else the subject.
    pub name: String,
    /// The claims of the id_token, if `openid` was granted.
    pub id_token: Option<Value>,
    /// The claims of the access token; none if it is opaque.
    pub access_token: Option<Value>,
    /// Whether a refresh token came as well. It is a secret and not shown.
    pub has_refresh_token: bool,
    /// The call of the API.
    pub call: ApiCall,
    /// The link that calls the API again.
    pub call_again: String,
}

/// A request to the API, and the answer.
#[derive(Debug)]
pub struct ApiCall {
    /// Method and path: `GET /notes`.
    pub request: String,
    /// The status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub body: Value,
}

impl AppPage {
    fn heading(&self) -> String {
        match &self.state {
            State::Refused { error, .. } if error == "access_denied" => "You did not let Notes in".to_owned(),
            State::Refused { .. } => "Signing in did not work".to_owned(),
            State::SignedIn(signed_in) => format!("Signed in as {}", signed_in.name),
            State::Start => "Notes, a sample app".to_owned(),
        }
    }
}

impl ApiCall {
    fn was_accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn html(state: State) -> String {
        AppPage { state, sign_in: "/login".into() }.render().unwrap()
    }

    fn signed_in(access_token: Option<Value>, status: u16) -> State {
        State::SignedIn(Box::new(SignedIn {
            name: "Alice".into(),
            id_token: Some(json!({"sub": "usr_1", "name": "</pre><script>alert(1)</script>"})),
            access_token,
            has_refresh_token: true,
            call: ApiCall { request: "GET /notes".into(), status, body: json!([]) },
            call_again: "/call".into(),
        }))
    }

    #[test]
    fn claims_are_shown_indented_and_as_text() {
        let html = html(signed_in(Some(json!({"scope": "notes:read"})), 200));
        assert!(html.contains("{\n  &#34;scope&#34;: &#34;notes:read&#34;\n}"), "{html}");
        assert!(!html.contains("<script"), "{html}");
    }

    #[test]
    fn an_opaque_access_token_is_said_to_be_opaque() {
        assert!(html(signed_in(None, 200)).contains("only the authorization server can read"));
    }

    #[test]
    fn a_refusal_of_the_api_is_called_a_refusal() {
        assert!(html(signed_in(None, 403)).contains("The API refused the call"));
        assert!(!html(signed_in(None, 200)).contains("refused"));
    }

    #[test]
    fn an_issuers_error_is_shown_as_text_with_a_link_to_retry() {
        let html = html(State::Refused { error: "server_error".into(), description: Some("<b>later</b>".into()) });
        assert!(html.contains("<title>Signing in did not work"), "{html}");
        assert!(html.contains("&#60;b&#62;later"), "{html}");
        assert!(html.contains(r#"href="/login""#), "{html}");
    }
}
