//! Whether a person's browser opens a page, or a page's image, script or frame asks for it (Fetch Metadata Request
//! Headers, W3C).
//!
//! A foreign page can make a browser ask for anything, as often as it likes, and cannot change these two headers. Old
//! browsers, and programs, send none.

/// Whether a request opens a page of its own, by `Sec-Fetch-Dest` and `Sec-Fetch-Mode`, if they were sent.
pub fn opens_a_page(dest: Option<&[u8]>, mode: Option<&[u8]>) -> bool {
    dest.is_none_or(|dest| dest == b"document") && mode.is_none_or(|mode| mode == b"navigate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_opens_a_page_or_says_nothing_passes() {
        let opens = |dest: &str, mode: &str| {
            let sent = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
            opens_a_page(sent(dest).as_deref(), sent(mode).as_deref())
        };
        assert!(opens("document", "navigate") && opens("", "") && opens("", "navigate") && opens("document", ""));
        for (dest, mode) in [
            ("image", "no-cors"),
            ("iframe", "navigate"),
            ("empty", "cors"),
            ("document", "no-cors"),
            ("script", ""),
            ("", "cors"),
        ] {
            assert!(!opens(dest, mode), "{dest} {mode}");
        }
    }
}
