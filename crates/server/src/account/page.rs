//! The account page and the page after signing out (OWASP ASVS 5.0, V7.5.2: see and end one's sessions).
//!
//! Each row names in its button what it ends, for people who hear the page and meet "Disconnect" five times.

use askama::Template;

use crate::pages::{Layout, time_in_words::Moment};

/// The account page. Each form sends `csrf`; a row's form also `client` or `session`.
#[derive(Debug, Template)]
#[template(path = "account/account.html")]
pub(crate) struct AccountPage<'a> {
    pub(crate) layout: &'a Layout,
    /// The token of all forms.
    pub(crate) csrf: String,
    /// Whose account it is.
    pub(crate) username: String,
    /// What was just done, as a sentence: "Notes CLI is disconnected."
    pub(crate) notice: Option<String>,
    /// Applications with access, latest first.
    pub(crate) apps: Vec<ConnectedApp>,
    /// Where the form of a connected application is posted.
    pub(crate) disconnect_action: String,
    /// Browsers that are signed in, this one first.
    pub(crate) sessions: Vec<Session>,
    /// Where the form of a session is posted.
    pub(crate) end_session_action: String,
    /// Where the form that ends all other sessions is posted.
    pub(crate) end_others_action: String,
    /// Where the form that signs this browser out is posted.
    pub(crate) sign_out_action: String,
    /// Whether the user has API keys or may make some.
    pub(crate) has_keys: bool,
    /// How many API keys leaked.
    pub(crate) leaked_keys: usize,
    /// Whether one of them still works.
    pub(crate) leaked_key_works: bool,
    /// What happened lately, latest first.
    pub(crate) events: Vec<SecurityEvent>,
}

/// An application that the person gave access.
#[derive(Clone, Debug)]
pub(crate) struct ConnectedApp {
    /// The client's id, sent by the form.
    pub(crate) client: String,
    pub(crate) name: String,
    /// What it may do, each a sentence: "Read your notes".
    pub(crate) may: Vec<String>,
    /// When access was given.
    pub(crate) since: Moment,
    /// When access was last used, if ever.
    pub(crate) last_used: Option<Moment>,
}

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The session's public id, sent by the form: never the secret in the cookie.
    pub(crate) session: String,
    /// The browser in words, from [`describe_user_agent`](super::user_agent::describe_user_agent).
    pub(crate) browser: String,
    /// The address that it began at.
    pub(crate) address: Option<String>,
    /// When it signed in.
    pub(crate) signed_in: Moment,
    /// When it was last seen.
    pub(crate) last_seen: Moment,
    /// Whether it is the browser that shows the page.
    pub(crate) this_one: bool,
}

/// Something that people may want to know about their account.
#[derive(Clone, Debug)]
pub(crate) struct SecurityEvent {
    /// What happened, in plain words: "You signed in".
    pub(crate) sentence: String,
    /// Where from, or what was done about it.
    pub(crate) detail: Option<String>,
    pub(crate) at: Moment,
    /// Whether people should look at it twice, such as the use of a token that was already used.
    pub(crate) alarming: bool,
}

impl AccountPage<'_> {
    fn has_other_sessions(&self) -> bool {
        self.sessions.iter().any(|session| !session.this_one)
    }
}

/// Asks whether to sign out, where an application wants it and it is not certain that the person does. Its form sends
/// `csrf`, and what of the application's request counts afterwards.
#[derive(Debug, Template)]
#[template(path = "account/logout.html")]
pub(crate) struct LogoutPage<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) csrf: String,
    /// Who is signed in.
    pub(crate) username: String,
    /// The name of the application, if it is known.
    pub(crate) client_name: Option<String>,
    /// Which application leads on.
    pub(crate) client_id: Option<String>,
    pub(crate) post_logout_redirect_uri: Option<String>,
    /// What it gets back.
    pub(crate) state: Option<String>,
}

/// Carries a request that was posted to `/logout` on to this server, as a request of its own. The script submits its form
/// at once. Without script people press the button.
#[derive(Template)]
#[template(path = "account/logout_forward.html")]
pub(crate) struct LogoutForwardPage<'a> {
    pub(crate) layout: &'a Layout,
    /// Names and values of the fields. They may hold an ID token.
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// What people see after they signed out.
#[derive(Debug, Template)]
#[template(path = "account/signed_out.html")]
pub(crate) struct SignedOutPage<'a> {
    pub(crate) layout: &'a Layout,
    /// Where they can sign in again.
    pub(crate) sign_in: String,
}

/// What people see where an application wants them signed out, and nobody is signed in.
#[derive(Debug, Template)]
#[template(path = "account/nobody_signed_in.html")]
pub(crate) struct NobodySignedInPage<'a> {
    pub(crate) layout: &'a Layout,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use doorward_core::clock::Timestamp;

    use super::*;
    use crate::pages::{accent::Accent, assets::Assets};

    fn ago(seconds: u64) -> Moment {
        let now = Timestamp::from_secs(1_795_525_500);
        Moment { at: now.minus(Duration::from_secs(seconds)), now }
    }

    fn html(change: impl FnOnce(&mut AccountPage<'_>)) -> String {
        let layout = Layout::new("Doorward", &Assets::new(&Accent::default()));
        let session = Session {
            session: "ses_1".into(),
            browser: "Firefox on Linux".into(),
            address: Some("192.0.2.4".into()),
            signed_in: ago(7200),
            last_seen: ago(0),
            this_one: true,
        };
        let mut page = AccountPage {
            layout: &layout,
            csrf: "token".into(),
            username: "alice".into(),
            notice: None,
            apps: vec![],
            disconnect_action: "/account/disconnect".into(),
            sessions: vec![session],
            end_session_action: "/account/end-session".into(),
            end_others_action: "/account/end-other-sessions".into(),
            sign_out_action: "/account/sign-out".into(),
            has_keys: false,
            leaked_keys: 0,
            leaked_key_works: false,
            events: vec![],
        };
        change(&mut page);
        page.render().unwrap()
    }

    #[test]
    fn an_app_is_disconnected_by_a_form_of_its_own() {
        let html = html(|page| {
            page.apps.push(ConnectedApp {
                client: "cli_7".into(),
                name: "Notes <CLI>".into(),
                may: vec!["Read your notes".into()],
                since: ago(21 * 86_400),
                last_used: Some(ago(7200)),
            });
        });
        assert!(html.contains(r#"<input type="hidden" name="client" value="cli_7">"#), "{html}");
        assert!(html.contains(r#"id="disconnect-cli_7""#) && html.contains("Notes &#60;CLI&#62;"), "{html}");
        assert!(
            html.contains(
                r#"<time datetime="2026-11-03T13:05:00Z" title="3 November 2026, 13:05 UTC">3 weeks ago</time>"#
            ),
            "{html}"
        );
    }

    #[test]
    fn this_browser_is_marked_and_only_others_can_be_ended() {
        let alone = html(|_| {});
        assert!(alone.contains("this browser"), "{alone}");
        assert!(!alone.contains("end-session-") && !alone.contains(r#"id="end-others""#), "{alone}");
        let two = html(|page| {
            let other = Session { session: "ses_2".into(), this_one: false, ..page.sessions[0].clone() };
            page.sessions.push(other);
        });
        assert!(two.contains(r#"id="end-session-ses_2""#) && !two.contains(r#"id="end-session-ses_1""#), "{two}");
        assert!(two.contains(r#"id="end-others""#), "{two}");
    }

    #[test]
    fn empty_lists_say_what_will_stand_there() {
        let html = html(|_| {});
        assert!(html.contains("No app has access yet.") && html.contains("Nothing to report yet."), "{html}");
    }

    #[test]
    fn leaked_keys_are_reported_above_everything_else() {
        assert!(!html(|_| {}).contains("leaked"));
        let one = html(|page| page.leaked_keys = 1);
        let (notice, apps) = (one.find("An API key of yours leaked"), one.find("Connected apps"));
        assert!(notice.is_some() && notice < apps, "{one}");
        assert!(html(|page| page.leaked_keys = 2).contains("2 API keys of yours leaked"));
    }

    #[test]
    fn every_form_carries_the_csrf_token() {
        let html = html(|page| {
            let other = Session { session: "ses_2".into(), this_one: false, ..page.sessions[0].clone() };
            page.sessions.push(other);
        });
        assert_eq!(html.matches("<form").count(), 3);
        assert_eq!(html.matches(r#"name="csrf" value="token""#).count(), 3);
    }
}
