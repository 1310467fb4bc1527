//! Whether a person's browser opens a page, or a page's image, script or frame asks for it, or the browser only looks ahead
//! (Fetch Metadata Request Headers, W3C; Fetch, `Sec-Purpose`).
//!
//! A foreign page can make a browser ask for anything, as often as it likes, and cannot change these headers. Old
//! browsers, and programs, send none.

/// Whether a request opens a page of its own, by the headers that `sent` gives, if they were sent. `HEAD` opens none.
pub fn opens_a_page<'a>(method: &str, sent: impl Fn(&'static str) -> Option<&'a [u8]>) -> bool {
    let allows = |name, value: &[u8]| sent(name).is_none_or(|sent| sent == value);
    // `prefetch`, and `prefetch;prerender`. The other two are what browsers sent before.
    let looks_ahead = ["sec-purpose", "purpose", "x-moz"].into_iter().filter_map(&sent).any(is_prefetch);
    method != "HEAD" && allows("sec-fetch-dest", b"document") && allows("sec-fetch-mode", b"navigate") && !looks_ahead
}

fn is_prefetch(purpose: &[u8]) -> bool {
    let token = purpose.split(|byte| *byte == b';').next().unwrap_or_default();
    token.trim_ascii().eq_ignore_ascii_case(b"prefetch")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(method: &str, headers: &[(&str, &'static str)]) -> bool {
        opens_a_page(method, |name| headers.iter().find(|(sent, _)| *sent == name).map(|(_, value)| value.as_bytes()))
    }

    #[test]
    fn only_what_opens_a_page_or_says_nothing_passes() {
        let (dest, mode) = (|value| ("sec-fetch-dest", value), |value| ("sec-fetch-mode", value));
        let page = [dest("document"), mode("navigate")];
        for headers in [&page[..], &[], &page[..1], &page[1..], &[("sec-purpose", "something-else")]] {
            assert!(opens("GET", headers) && opens("POST", headers), "{headers:?}");
            assert!(!opens("HEAD", headers), "{headers:?}");
        }
        for headers in [
            &[dest("image"), mode("no-cors")][..],
            &[dest("iframe"), mode("navigate")],
            &[dest("empty"), mode("cors")],
            &[dest("document"), mode("no-cors")],
            &[dest("script")],
            &[mode("cors")],
        ] {
            assert!(!opens("GET", headers), "{headers:?}");
        }
    }

    #[test]
    fn prefetch_opens_no_page() {
        for purpose in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("sec-purpose", "prefetch; anonymous-client-ip"),
            ("purpose", "Prefetch"),
            ("x-moz", "prefetch"),
        ] {
            let headers = [("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate"), purpose];
            assert!(!opens("GET", &headers), "{purpose:?}");
        }
    }
}
