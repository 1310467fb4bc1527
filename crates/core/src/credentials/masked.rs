//! Texts without the credentials in them, for logs and the audit.
//!
//! Easy to get wrong: callers put a credential everywhere, and not as a word of its own. So it is found by its marks, and
//! what is glued to it goes with it.

use std::ops::Range;

/// What replaces a credential.
const REPLACEMENT: &str = "[credential]";

/// Fewer characters behind a mark are no credential, and not enough of one to be worth something.
const FEWEST: usize = 17;

/// The text with each credential replaced; `None` if there is none.
pub(super) fn without_credentials(text: &str) -> Option<String> {
    let mut found = found(text.as_bytes());
    found.sort_unstable_by_key(|range| range.start);
    let mut masked = String::new();
    let mut end = 0;
    for range in &found {
        // What lies in the one before, or begins in it, goes with it.
        if range.start >= end {
            masked.push_str(&text[end..range.start]);
            masked.push_str(REPLACEMENT);
        }
        end = end.max(range.end);
    }
    (!found.is_empty()).then(|| masked + &text[end..])
}

/// Where credentials are; they may overlap. All of their bytes are ASCII.
///
/// A caller chooses the text, and how often a mark is in it: so the time it takes must not depend on that.
fn found(text: &[u8]) -> Vec<Range<usize>> {
    let (mut letters, mut words, mut tokens) = (Run::default(), Run::default(), Run::default());
    let mut dots = Dots::default();
    let mut found = Vec::new();
    for at in 0..text.len() {
        match &text[at..] {
            // A key: letters and digits behind its mark, and those before it.
            [b'_', b'l', b'i', b'v', b'e', b'_', ..] | [b'_', b't', b'e', b's', b't', b'_', ..] => {
                let behind = at + "_live_".len();
                let end = letters.end(text, behind, is_alphanumeric);
                if end - behind >= FEWEST {
                    let prefix = text[..at].iter().rev().take_while(|byte| is_alphanumeric(**byte)).count();
                    found.push(at - prefix..end);
                }
            }
            // A token, a code or a secret of Doorward, also one that was cut off.
            [b'd', b'w', b'_', ..] => {
                let end = words.end(text, at, |byte| is_alphanumeric(byte) || byte == b'_');
                if end - at > FEWEST {
                    found.push(at..end);
                }
            }
            // A JWT in compact form: the base64url of `{"` and two dots behind it.
            [b'e', b'y', b'J', ..] => {
                let end = tokens.end(text, at, |byte| is_alphanumeric(byte) || b"-_.".contains(&byte));
                if end - at >= FEWEST && dots.are_behind(text, at, end) {
                    found.push(at..end);
                }
            }
            _ => {}
        }
    }
    found
}

/// The end of the bytes of one kind that a place is in. Places are asked for in order, and each byte is looked at once.
#[derive(Default)]
struct Run {
    end: usize,
}

impl Run {
    fn end(&mut self, text: &[u8], at: usize, is_of_kind: impl Fn(u8) -> bool) -> usize {
        // A known end beyond this place is its own: all bytes before it are of the kind.
        if self.end <= at {
            self.end = at + text[at..].iter().take_while(|byte| is_of_kind(**byte)).count();
        }
        self.end
    }
}

/// The last but one dot of a run, up to which two are behind a place.
#[derive(Default)]
struct Dots {
    /// The end of the run that was looked at.
    run: usize,
    last_but_one: Option<usize>,
}

impl Dots {
    fn are_behind(&mut self, text: &[u8], at: usize, end: usize) -> bool {
        if self.run != end {
            let mut dots = (at..end).rev().filter(|at| text[*at] == b'.');
            *self = Self { run: end, last_but_one: dots.nth(1) };
        }
        self.last_but_one.is_some_and(|dot| at < dot)
    }
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seventeen_characters_make_a_credential() {
        let masked = |text: String| without_credentials(&text).is_some();
        for mark in ["sk_live_", "sk_test_"] {
            assert!(
                masked(format!("{mark}{}", "a".repeat(17))) && !masked(format!("{mark}{}", "a".repeat(16))),
                "{mark}"
            );
        }
        assert!(masked(format!("dw_{}", "a".repeat(15))) && !masked(format!("dw_{}", "a".repeat(14))));
        assert!(masked(format!("eyJ{}..", "a".repeat(12))) && !masked(format!("eyJ{}..", "a".repeat(11))));
        assert!(!masked(format!("eyJ{}.", "a".repeat(40))), "one dot only");
    }

    /// What one byte more costs does not depend on how many marks are in the text: a text of 4 MB is done in the time of a
    /// test, where a cost that grows with the square would take hours.
    #[test]
    fn cost_does_not_grow_with_the_number_of_marks() {
        for part in
            ["eyJ", "dw_", "dw_aaaaaaaaaaaaaaaaa.", "_live_", "a_live_aaaaaaaaaaaaaaaaa", "eyJ.eyJ.", "_test_eyJ."]
        {
            let text = part.repeat((4 << 20) / part.len());
            let masked = without_credentials(&text);
            assert!(masked.is_none_or(|masked| masked.len() <= 2 * text.len()), "{part}");
        }
    }

    #[test]
    fn credentials_that_overlap_are_replaced_together() {
        let secret = "x".repeat(38);
        for (text, masked) in [
            (format!("eyJsk_live_{secret}.a.b c"), "[credential] c"),
            (format!("dw_at_{secret}_live_{secret}!"), "[credential]!"),
            (format!("sk_live_{secret}_test_{secret} "), "[credential] "),
            (format!("sk_live_{secret}dw_at_{secret}/"), "[credential]/"),
        ] {
            assert_eq!(without_credentials(&text).as_deref(), Some(masked), "{text}");
        }
    }

    #[test]
    fn only_the_credential_is_replaced() {
        let text = format!("a sk_live_{0} b dw_at_{0}, c", "x".repeat(38));
        assert_eq!(without_credentials(&text).unwrap(), "a [credential] b [credential], c");
        assert_eq!(without_credentials("a b"), None);
    }
}
