//! The sign-in page (OpenID Connect Core section 3.1.2.3).
//!
//! A wrong password and an unknown name read alike, word for word. Easy to get wrong: the page carries no protocol
//! parameter, in no field and no link; the request is found again by the interaction id in `action`.

use std::time::Duration;

use askama::Template;

use crate::pages::{Layout, time_in_words};

/// The sign-in page in all its variants. Its form sends `csrf`, `username` and `password`.
#[derive(Debug, Template)]
#[template(path = "signin/sign_in.html")]
pub(crate) struct SignInPage<'a> {
    pub(crate) layout: &'a Layout,
    /// Where the form is posted, with the interaction's id.
    pub(crate) action: String,
    pub(crate) csrf: String,
    /// The name of the application that asks; none when people come by themselves, for their account.
    pub(crate) client_name: Option<String>,
    /// Whose password is asked for.
    pub(crate) username: Username,
    /// Where people go who are not the fixed user; offered with [`Username::Fixed`] only.
    pub(crate) other_account: Option<String>,
    /// Why the page is shown again.
    pub(crate) problem: Option<Problem>,
}

/// Whose password is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Username {
    /// The user types it. The field starts with this text (`login_hint`, or what was typed before; else empty).
    Asked(String),
    /// Somebody is signed in and is asked for the password again (`prompt=login`, `max_age`).
    Fixed(String),
}

/// Why the page is shown again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Problem {
    /// The page was open for too long, or somebody signed in from another one meanwhile.
    Expired,
    /// Too many attempts; the next one is looked at after this time.
    Throttled(Duration),
    /// Unknown name or wrong password, which look the same to the user.
    WrongCredentials,
}

impl SignInPage<'_> {
    fn heading(&self) -> &'static str {
        if self.is_reauthentication() { "Confirm that it’s you" } else { "Sign in" }
    }

    fn is_reauthentication(&self) -> bool {
        matches!(self.username, Username::Fixed(_))
    }

    fn name(&self) -> &str {
        let (Username::Asked(name) | Username::Fixed(name)) = &self.username;
        name
    }

    fn is_wrong(&self) -> bool {
        self.problem == Some(Problem::WrongCredentials)
    }

    /// In the title, and once on the page: wrong credentials at the field that has the focus, all else in a summary.
    fn what_happened(&self) -> Option<&'static str> {
        self.problem.map(|problem| match problem {
            Problem::Expired => "This page has expired",
            Problem::Throttled(_) => "Too many attempts",
            Problem::WrongCredentials if self.is_reauthentication() => "Wrong password",
            Problem::WrongCredentials => "Wrong username or password",
        })
    }

    fn what_to_do(&self) -> Option<String> {
        self.problem.map(|problem| match problem {
            Problem::Expired => "Your password was not checked. Sign in again.".to_owned(),
            Problem::Throttled(wait) => {
                format!("To protect this account, the next attempt is possible in {}.", time_in_words::wait(wait))
            }
            Problem::WrongCredentials => "Check what you typed, and try again.".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::{accent::Accent, assets::Assets};

    fn html(change: impl FnOnce(&mut SignInPage<'_>)) -> String {
        let layout = Layout::new("Doorward", &Assets::new(&Accent::default()));
        let mut page = SignInPage {
            layout: &layout,
            action: "/sign-in/4f1c".into(),
            csrf: "token".into(),
            client_name: Some("Notes CLI".into()),
            username: Username::Asked(String::new()),
            other_account: None,
            problem: None,
        };
        change(&mut page);
        page.render().unwrap()
    }

    #[test]
    fn the_only_hidden_field_is_the_csrf_token() {
        let html = html(|_| {});
        assert_eq!(html.matches(r#"type="hidden""#).count(), 1);
        assert!(html.contains(r#"<input type="hidden" name="csrf" value="token">"#), "{html}");
    }

    #[test]
    fn every_control_keeps_its_id() {
        let html = html(|_| {});
        for id in ["username", "password", "sign-in"] {
            assert_eq!(html.matches(&format!(r#" id="{id}""#)).count(), 1, "{id}");
        }
    }

    #[test]
    fn a_hint_can_not_leave_its_attribute() {
        let html = html(|page| page.username = Username::Asked(r#"" autofocus onfocus="alert(1)"#.into()));
        assert!(html.contains(r#"value="&#34; autofocus onfocus=&#34;alert(1)""#), "{html}");
    }

    #[test]
    fn wrong_credentials_are_reported_once_at_the_focused_field() {
        let html = html(|page| page.problem = Some(Problem::WrongCredentials));
        assert!(html.contains("<title>Wrong username or password"), "{html}");
        assert!(html.contains(r#"aria-invalid="true" aria-describedby="credentials-mistake" autofocus"#), "{html}");
        assert!(html.contains(r#"id="credentials-mistake""#), "{html}");
        assert_eq!(html.matches("autofocus").count(), 1, "the password alone has the focus");
        assert_eq!(html.matches("Wrong username or password").count(), 2, "in the title, and once on the page");
    }

    #[test]
    fn throttling_says_how_long_in_words() {
        let html = html(|page| page.problem = Some(Problem::Throttled(Duration::from_secs(90))));
        assert!(html.contains("possible in 2 minutes."), "{html}");
        assert!(!html.contains("aria-invalid"), "what was typed may be right");
    }

    #[test]
    fn a_fixed_username_can_not_be_edited() {
        let html = html(|page| page.username = Username::Fixed("alice".into()));
        assert!(html.contains(r#"value="alice" readonly"#), "{html}");
    }

    #[test]
    fn the_whole_page_weighs_under_15_kilobytes() {
        let assets = Assets::new(&Accent::default());
        let html = html(|page| page.problem = Some(Problem::WrongCredentials));
        assert!(html.len() + assets.style.body.len() + assets.script.body.len() + assets.icon.body.len() < 15 * 1024);
    }
}
