//! What people see when a request can't continue: what happened, what to do, a reference for the operator.
//!
//! A code alone helps nobody, so details for developers are folded away. Easy to get wrong: an authorization request
//! whose client or redirect URI is in doubt ends here and is never answered by redirect (RFC 6749 section 4.1.2.1).

use askama::Template;
use doorward_core::{
    denial::{Class, Denial},
    refusal::Refusal,
    trace::TraceId,
};

use super::Layout;

#[derive(Debug, Template)]
#[template(path = "pages/error.html")]
pub(crate) struct ErrorPage<'a> {
    pub(crate) layout: &'a Layout,
    /// What happened, as a heading without full stop: "This page has expired".
    pub(crate) what_happened: String,
    /// What to do, in a sentence or two.
    pub(crate) what_to_do: String,
    /// A link to continue with, if there is one.
    pub(crate) way_on: Option<WayOn>,
    /// The trace id: 32 hexadecimal digits that `doorward explain` understands. None where the operator can't help.
    pub(crate) reference: Option<String>,
    /// Names and values for a developer: the code, the parameter, the value that was sent. Never a secret.
    pub(crate) details: Vec<(String, String)>,
}

/// A link that leads out of the error.
#[derive(Clone, Debug)]
pub(crate) struct WayOn {
    pub(crate) href: String,
    /// What it does, as a verb: "Start over".
    pub(crate) label: String,
}

impl WayOn {
    pub(crate) fn new(href: &str, label: &str) -> Self {
        Self { href: href.to_owned(), label: label.to_owned() }
    }
}

impl<'a> ErrorPage<'a> {
    /// The page for a refusal. Developers see the code, the cause (unless it is hidden or an outage), and what was
    /// wrong in the request. The operator's facts are not shown.
    pub(crate) fn of_refusal(layout: &'a Layout, refusal: &Refusal, trace_id: TraceId) -> Self {
        let denial = refusal.denial;
        let sentence = refusal.sentence();
        let (what_happened, what_to_do) = sentence.split_once(". ").unwrap_or((&sentence, ""));
        let for_developers = |name: &str| {
            matches!(name, "client_id" | "differs" | "parameter" | "post_logout_redirect_uri" | "redirect_uri")
        };
        let facts = refusal.facts.iter().filter(|(name, _)| for_developers(name));
        let code = ("code".to_owned(), denial.shown_as().to_owned());
        let tells_why = !denial.hides_cause() && denial.class() != Class::Outage;
        let why = tells_why.then(|| ("why".to_owned(), denial.cause().to_owned()));
        let is_ours = denial.class() == Class::Outage;
        Self {
            layout,
            what_happened: what_happened.trim_end_matches('.').to_owned(),
            what_to_do: match what_to_do {
                "" if is_ours => "Wait a moment and load the page again.".to_owned(),
                "" => "Go back to the app. If this happens again, contact its developers.".to_owned(),
                what_to_do => what_to_do.to_owned(),
            },
            way_on: None,
            reference: Some(trace_id.to_string()),
            details: std::iter::once(code)
                .chain(why)
                .chain(facts.map(|(name, value)| ((*name).to_owned(), value.clone())))
                .collect(),
        }
    }

    /// There is no page at this address. Most who see it mistyped one, or followed an old link.
    pub(crate) fn not_found(layout: &'a Layout, trace_id: TraceId) -> Self {
        Self {
            layout,
            what_happened: "There is no page at this address".to_owned(),
            what_to_do: "Check the address for a typing mistake. If an app sent you here, go back to it and try again."
                .to_owned(),
            way_on: Some(WayOn::new("/account", "Go to your account")),
            reference: None,
            details: vec![
                ("code".to_owned(), Denial::NotFound.code().to_owned()),
                ("trace_id".to_owned(), trace_id.to_string()),
            ],
        }
    }

    /// A page was left open for too long, or its form came twice. `start_over` begins the same request again;
    /// without it the request is not known any more.
    pub(crate) fn expired(layout: &'a Layout, trace_id: TraceId, start_over: Option<WayOn>) -> Self {
        let what_to_do = match start_over {
            Some(_) => "It was open for too long, or was already used. Nothing is lost. You can start over.",
            None => "It was open for too long, or was already used. Go back to the app you came from and try again.",
        };
        Self {
            layout,
            what_happened: "This page has expired".to_owned(),
            what_to_do: what_to_do.to_owned(),
            way_on: start_over,
            reference: Some(trace_id.to_string()),
            details: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::{accent::Accent, assets::Assets};

    fn trace_id() -> TraceId {
        TraceId::parse("4bf92f3577b34da6a3ce929d0e0e4736").unwrap()
    }

    fn layout() -> Layout {
        Layout::new("Doorward", &Assets::new(&Accent::default()))
    }

    #[test]
    fn untrusted_values_are_shown_as_text() {
        let layout = layout();
        let sent = r#"https://evil.example/"><script>alert(1)</script>"#;
        let page = ErrorPage {
            details: vec![("redirect_uri".into(), sent.into())],
            ..ErrorPage::expired(&layout, trace_id(), None)
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<script>alert"), "{html}");
        assert!(html.contains("https://evil.example/&#34;&#62;&#60;script&#62;"), "{html}");
    }

    #[test]
    fn expired_page_offers_to_start_over_only_if_possible() {
        let layout = layout();
        let lost = ErrorPage::expired(&layout, trace_id(), None).render().unwrap();
        let known =
            ErrorPage::expired(&layout, trace_id(), Some(WayOn::new("/sign-in/abc", "Start over"))).render().unwrap();
        assert!(!lost.contains("Start over"));
        assert!(known.contains(r#"href="/sign-in/abc""#) && known.contains("Start over"));
        assert!(known.contains("<title>This page has expired"));
    }
}
