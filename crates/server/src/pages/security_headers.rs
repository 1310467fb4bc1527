//! The headers that every page carries (RFC 9700 sections 4.2 and 4.16; Content Security Policy Level 3).
//!
//! Easy to get wrong: Chromium applies `form-action` to the whole chain of redirects that a form sets off. A page
//! whose form ends at a client (sign-in, consent) must not carry it, or the way back to the client is blocked.

use http::{
    HeaderName, HeaderValue,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
};

/// Where the forms of a page lead in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FormsEnd {
    /// At a client, by redirect: sign-in, consent and logout.
    AtClient,
    /// At a client that is posted to and may redirect further. Many apps compare the origin of a post with those that
    /// they trust, so this page sends its own (Fetch, "append a request Origin header"). Clients know it anyway.
    AtClientByPost,
    /// Here: the account page, and pages without a form.
    Here,
}

/// The headers of a page.
pub(crate) fn security_headers(forms: FormsEnd) -> [(HeaderName, HeaderValue); 4] {
    let (policy, referrer) = match forms {
        FormsEnd::AtClient => (ANY_FORM, "no-referrer"),
        FormsEnd::AtClientByPost => (ANY_FORM, "origin"),
        FormsEnd::Here => (HERE, "no-referrer"),
    };
    [
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (REFERRER_POLICY, HeaderValue::from_static(referrer)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ]
}

const ANY_FORM: &str = "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; base-uri 'none'; \
                        frame-ancestors 'none'";
const HERE: &str = "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; base-uri 'none'; \
                    frame-ancestors 'none'; form-action 'self'";

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(forms: FormsEnd) -> String {
        let headers = security_headers(forms);
        let (_, value) = headers.iter().find(|(name, _)| name == CONTENT_SECURITY_POLICY).unwrap();
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn no_page_allows_inline_code_framing_or_another_base() {
        for forms in [FormsEnd::AtClient, FormsEnd::AtClientByPost, FormsEnd::Here] {
            let policy = policy(forms);
            assert!(policy.starts_with("default-src 'none';"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{policy}");
            assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        }
    }

    #[test]
    fn form_action_is_absent_where_the_form_ends_at_a_client() {
        assert!(!policy(FormsEnd::AtClient).contains("form-action"));
        assert!(policy(FormsEnd::Here).contains("form-action 'self'"));
        assert!(!policy(FormsEnd::AtClientByPost).contains("form-action"));
    }
}
