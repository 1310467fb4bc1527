//! What people see: the frame that all pages share, its style, and the words that more than one page needs.
//!
//! Every page is whole without script, and nothing on it is inline, so that the content security policy can refuse
//! inline style and script altogether. Easy to get wrong: a `style` or `on…` attribute in a template is ignored by
//! the browser silently.

pub(crate) mod accent;
pub(crate) mod assets;
pub(crate) mod error;
pub(crate) mod in_code;
pub(crate) mod logo;
pub(crate) mod scope_in_words;
pub(crate) mod security_headers;
pub(crate) mod time_in_words;

use self::assets::Assets;

/// Pages of the operator, elsewhere, that people may look for.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// Where people get help.
    pub help: Option<String>,
    /// What is done with data about them.
    pub privacy: Option<String>,
    /// What they agree to.
    pub terms: Option<String>,
}

/// The frame around each page. Made once at start.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The name of this server, at the top of each page and at the end of its title.
    pub(crate) site: String,
    /// Path of the style sheet.
    pub(crate) style: String,
    /// Path of the script.
    pub(crate) script: String,
    /// Path of the icon.
    pub(crate) icon: String,
    /// Path of the operator's logo, if there is one.
    pub(crate) logo: Option<String>,
    /// Links below each page: what they are about, and where they lead.
    pub(crate) links: Vec<(&'static str, String)>,
}

impl Layout {
    /// The frame of the server called `site`.
    pub(crate) fn new(site: impl Into<String>, assets: &Assets) -> Self {
        Self {
            site: site.into(),
            style: assets.style.path.clone(),
            script: assets.script.path.clone(),
            icon: assets.icon.path.clone(),
            logo: assets.logo.as_ref().map(|logo| logo.path.clone()),
            links: Vec::new(),
        }
    }

    /// The same with the operator's links.
    pub(crate) fn with_links(self, Links { help, privacy, terms }: &Links) -> Self {
        let links = [("Help", help), ("Privacy", privacy), ("Terms", terms)];
        let links = links.into_iter().filter_map(|(label, href)| Some((label, href.clone()?))).collect();
        Self { links, ..self }
    }
}

#[cfg(test)]
mod tests {
    const TEMPLATES: [(&str, &str); 15] = [
        ("account", include_str!("../account/account.html")),
        ("consent", include_str!("../consent/consent.html")),
        ("denial", include_str!("../denials/denial.html")),
        ("denials", include_str!("../denials/denials.html")),
        ("error", include_str!("error.html")),
        ("form_post", include_str!("../authorization/form_post.html")),
        ("layout", include_str!("layout.html")),
        ("logout", include_str!("../account/logout.html")),
        ("logout_forward", include_str!("../account/logout_forward.html")),
        ("nobody_signed_in", include_str!("../account/nobody_signed_in.html")),
        ("password", include_str!("../account/password.html")),
        ("parts", include_str!("parts.html")),
        ("reference", include_str!("../v1/reference/reference.html")),
        ("sign_in", include_str!("../signin/sign_in.html")),
        ("signed_out", include_str!("../account/signed_out.html")),
    ];

    #[test]
    fn no_template_carries_what_the_content_security_policy_refuses() {
        for (name, html) in TEMPLATES {
            for refused in [" style=", "<style", " onclick=", " onload=", " onsubmit=", "javascript:", "//"] {
                assert!(!html.contains(refused), "{name} has {refused}");
            }
            assert_eq!(html.matches("<script").count(), html.matches("<script src=").count(), "{name}");
        }
    }

    #[test]
    fn no_template_marks_untrusted_input_as_safe() {
        for (name, html) in TEMPLATES {
            assert!(!html.contains("safe"), "{name}");
        }
    }
}
