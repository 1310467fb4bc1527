//! An answer, read whole.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// Status, headers and body of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    /// The answer, after a look at its status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.body);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    /// A member of the JSON body that is a text.
    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> String {
        self.json()[member].as_str().unwrap_or_else(|| panic!("no {member}: {} {}", self.status, self.body)).to_owned()
    }

    /// The value of a header, which must not be there twice.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        assert!(values.next().is_none(), "{name} is repeated");
        Some(value.to_str().unwrap())
    }

    /// Where a redirect leads. It is 303 and nothing else.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.body);
        self.header("location").expect("a redirect says where to")
    }

    /// A parameter of the URL that a redirect leads to, in its query or its fragment.
    #[track_caller]
    pub(crate) fn sent(&self, name: &str) -> Option<String> {
        let url = url::Url::parse(self.location()).expect("an absolute URL");
        let parameters = url.fragment().or(url.query()).unwrap_or_default();
        let mut values = form_urlencoded::parse(parameters.as_bytes()).filter(|pair| pair.0 == name);
        let value = values.next().map(|pair| pair.1.into_owned());
        assert!(values.next().is_none(), "{name} is repeated in {url}");
        value
    }

    /// An error of an OAuth endpoint: status, `error` and the caller's code, in the form that RFC 6749 gives it.
    #[track_caller]
    pub(crate) fn oauth_error(&self) -> (u16, String, String) {
        assert_eq!(self.header("content-type"), Some("application/json"), "{}", self.body);
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("pragma"), Some("no-cache"));
        let Value::Object(members) = self.json() else { panic!("{}", self.body) };
        let names: Vec<&str> = members.keys().map(String::as_str).collect();
        assert_eq!(names, ["code", "error", "error_description", "trace_id"]);
        assert!(self.text("error_description").bytes().all(|b| matches!(b, b' '..=b'~' if b != b'"' && b != b'\\')));
        assert_trace_id(&self.text("trace_id"));
        (self.status, self.text("error"), self.text("code"))
    }

    /// A problem document (RFC 9457): status and code.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.json()["status"], self.status);
        assert_trace_id(&self.text("trace_id"));
        assert!(self.text("type").ends_with(&format!("/denials/{}", self.text("code"))), "{}", self.body);
        assert!(!self.text("detail").is_empty() && !self.text("title").is_empty());
        (self.status, self.text("code"))
    }

    /// The code on an error page, which leads nowhere else.
    #[track_caller]
    pub(crate) fn error_page(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("text/html; charset=utf-8"), "{}", self.body);
        assert_eq!(self.header("location"), None);
        let reference = between(&self.body, r#"<code id="reference" data-copy>"#, "<").expect("a reference");
        assert_trace_id(reference);
        let code = between(&self.body, "<dt>code</dt>\n<dd><code>", "<").unwrap_or("page_expired");
        (self.status, code.to_owned())
    }
}

/// The text between two others.
pub(crate) fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let from = text.find(start)? + start.len();
    Some(&text[from..from + text[from..].find(end)?])
}

#[track_caller]
fn assert_trace_id(text: &str) {
    let is_one = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    assert!(is_one, "{text} is no trace id");
}
