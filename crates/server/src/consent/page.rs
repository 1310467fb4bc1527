//! The consent page (OpenID Connect Core section 3.1.2.4; RFC 9700 section 4.16 for what may lie above it).
//!
//! It says who asks, for what, and where the answer goes. Easy to get wrong: Enter in a box presses the form's first
//! submit button, so a form that begins with Allow lets people agree by a slip of the hand. Here a button without
//! effect comes first: `formmethod="dialog"` outside of a dialog sends nothing (HTML, "form submission algorithm"). A
//! disabled or hidden button would not work: Chromium skips it.

use askama::Template;

use crate::pages::{Layout, scope_in_words};

/// The consent page. Its form sends `csrf`, `decision` (`allow` or `deny`) and each ticked scope as `scope`; required
/// ones are not sent, since the server knows them.
#[derive(Debug, Template)]
#[template(path = "consent/consent.html")]
pub(crate) struct ConsentPage<'a> {
    pub(crate) layout: &'a Layout,
    /// Where the form is posted, with the interaction's id.
    pub(crate) action: String,
    pub(crate) csrf: String,
    /// The name of the application that asks.
    pub(crate) client_name: String,
    /// A web page about it (RFC 7591 section 2, `client_uri`).
    pub(crate) client_uri: Option<String>,
    /// Whose consent is asked for.
    pub(crate) username: String,
    /// Where another user can sign in instead.
    pub(crate) switch_account: String,
    /// Host and port of the redirect URI, or its scheme where it has no host: `localhost:8401`.
    pub(crate) returns_to: String,
    /// Whether the redirect URI belongs to this application alone. It does not with a loopback address or a private
    /// scheme, which any program on the device can claim (RFC 8252 section 8.6).
    pub(crate) identity_assured: bool,
    /// Whether the previous page had expired.
    pub(crate) expired: bool,
    /// What is asked for, in the order of the page.
    pub(crate) scopes: Vec<ConsentScope>,
}

/// One line of what is asked for.
#[derive(Clone, Debug)]
pub(crate) struct ConsentScope {
    /// The scope, sent back when ticked.
    pub(crate) scope: String,
    /// What it allows, in the user's words and as a command: "Read your notes".
    pub(crate) sentence: String,
    /// Whether it can't be left out.
    pub(crate) required: bool,
    /// Whether it is ticked.
    pub(crate) ticked: bool,
}

impl ConsentScope {
    /// The line of one of OpenID Connect's own scopes; none for the scope of an API, which brings its own sentence.
    pub(crate) fn of_openid_connect(scope: &str) -> Option<Self> {
        let sentence = scope_in_words::of_openid_connect(scope)?;
        let required = scope == "openid";
        Some(Self { scope: scope.to_owned(), sentence: sentence.to_owned(), required, ticked: true })
    }

    /// The line of an API's scope.
    pub(crate) fn of_an_api(scope: &str, description: &str) -> Self {
        Self { scope: scope.to_owned(), sentence: description.to_owned(), required: false, ticked: true }
    }

    fn is_of_an_api(&self) -> bool {
        Self::of_openid_connect(&self.scope).is_none()
    }
}

impl ConsentPage<'_> {
    /// "Notes CLI wants to read your notes": at most two scopes, the list below has them all.
    fn heading(&self) -> String {
        let wishes: Vec<String> =
            self.scopes.iter().filter(|scope| scope.is_of_an_api()).map(|scope| as_clause(&scope.sentence)).collect();
        let client = &self.client_name;
        match wishes.as_slice() {
            [] => format!("{client} wants to know who you are"),
            [one] => format!("{client} wants to {one}"),
            [one, two] => format!("{client} wants to {one} and {two}"),
            [one, two, ..] => format!("{client} wants to {one}, {two} and more"),
        }
    }
}

/// "Read your notes." becomes "read your notes"; "API calls" stays as it is.
fn as_clause(sentence: &str) -> String {
    let sentence = sentence.trim().trim_end_matches('.');
    let mut chars = sentence.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), second) if !second.is_some_and(char::is_uppercase) => first.to_lowercase().chain(chars).collect(),
        _ => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::{accent::Accent, assets::Assets};

    fn scope(scope: &str, sentence: &str) -> ConsentScope {
        ConsentScope::of_an_api(scope, sentence)
    }

    fn html(scopes: Vec<ConsentScope>, identity_assured: bool) -> String {
        let layout = Layout::new("Doorward", &Assets::new(&Accent::default()));
        ConsentPage {
            layout: &layout,
            action: "/consent/4f1c".into(),
            csrf: "token".into(),
            client_name: "Notes CLI".into(),
            client_uri: Some("https://notes.example/cli".into()),
            username: "alice".into(),
            switch_account: "/consent/4f1c/switch".into(),
            returns_to: "localhost:8401".into(),
            identity_assured,
            expired: false,
            scopes,
        }
        .render()
        .unwrap()
    }

    #[test]
    fn the_heading_says_who_wants_what() {
        let (read, write) = (scope("notes:read", "Read your notes."), scope("notes:write", "Change your notes"));
        let more = scope("mail:send", "Send mail");
        for (scopes, heading) in [
            (ConsentScope::of_openid_connect("openid").into_iter().collect(), "Notes CLI wants to know who you are"),
            (vec![read.clone()], "Notes CLI wants to read your notes"),
            (vec![read.clone(), write.clone()], "Notes CLI wants to read your notes and change your notes"),
            (vec![read, write, more], "Notes CLI wants to read your notes, change your notes and more"),
        ] {
            let html = html(scopes, true);
            assert!(html.contains(&format!("<h1>{heading}</h1>")), "{html}");
        }
    }

    #[test]
    fn a_name_in_capitals_stays_so() {
        assert_eq!(as_clause("API keys"), "API keys");
        assert_eq!(as_clause("Öffnen"), "öffnen");
        assert_eq!(as_clause(""), "");
    }

    #[test]
    fn client_page_opens_in_a_new_tab_without_a_referrer() {
        let link = r#"<a id="client-page" href="https://notes.example/cli" target="_blank" rel="noopener noreferrer">"#;
        let html = html(vec![], true);
        assert!(html.contains(link), "{html}");
    }

    #[test]
    fn required_scope_is_labelled_and_can_not_be_unticked() {
        let html = html(
            vec![ConsentScope::of_openid_connect("openid").unwrap(), scope("notes:read", "Read your notes")],
            true,
        );
        assert!(html.contains(r#"id="scope-openid" name="scope" value="openid" checked disabled"#), "{html}");
        assert!(html.contains(r#"id="scope-notes:read" name="scope" value="notes:read" checked>"#), "{html}");
        assert_eq!(html.matches("Required").count(), 1);
    }

    #[test]
    fn enter_in_a_box_presses_no_decision() {
        let html = html(vec![scope("notes:read", "Read your notes")], true);
        let first = html.find("<button").unwrap();
        assert!(html[first..].starts_with(r#"<button type="submit" formmethod="dialog""#), "{}", &html[first..]);
    }

    #[test]
    fn an_identity_that_is_not_assured_is_warned_about() {
        let warning = "any program on this device could use this name";
        assert!(html(vec![], false).to_lowercase().contains(warning));
        assert!(!html(vec![], true).to_lowercase().contains(warning));
    }
}
