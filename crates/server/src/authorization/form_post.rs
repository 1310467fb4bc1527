//! The page that posts the answer to the client (OAuth 2.0 Form Post Response Mode section 2).
//!
//! The script submits its form at once. Without script people press the button.

use askama::Template;

use crate::pages::Layout;

/// A page with a form that leads to the client.
#[derive(Template)]
#[template(path = "authorization/form_post.html")]
pub(super) struct FormPostPage<'a> {
    pub(super) layout: &'a Layout,
    /// Where it leads, for people.
    pub(super) returns_to: String,
    pub(super) action: String,
    /// Names and values of the fields. They hold the code.
    pub(super) fields: Vec<(&'static str, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::{accent::Accent, assets::Assets};

    #[test]
    fn form_submits_itself_and_what_it_carries_stays_text() {
        let layout = Layout::new("Doorward", &Assets::new(&Accent::default()));
        let page = FormPostPage {
            layout: &layout,
            returns_to: "app.example".into(),
            action: "https://app.example/cb?x=\"1".into(),
            fields: vec![("state", "\"><script>".into())],
        };
        let html = page.render().unwrap();
        let form = r#"<form method="post" action="https://app.example/cb?x=&#34;1" data-submit>"#;
        assert!(html.contains(form), "{html}");
        assert!(html.contains(r#"<input type="hidden" name="state" value="&#34;&#62;&#60;script&#62;">"#), "{html}");
        assert!(html.contains(r#"<button id="continue" type="submit">Continue</button>"#), "{html}");
    }
}
