//! Texts without the credentials in them, for logs and the audit.
//!
//! Easy to get wrong: callers put a credential everywhere, and not as a word of its own. So it is found by its marks, and
//! what is glued to it goes with it.

/// What replaces a credential.
const REPLACEMENT: &str = "[credential]";

/// Fewer characters behind a mark are no credential, and not enough of one to be worth something.
const FEWEST: usize = 17;

/// The text with each credential replaced; `None` if there is none.
pub(super) fn without_credentials(text: &str) -> Option<String> {
    let mut masked = String::new();
    let mut rest = text;
    while let Some((start, end)) = first(rest) {
        masked.push_str(&rest[..start]);
        masked.push_str(REPLACEMENT);
        rest = &rest[end..];
    }
    (rest.len() < text.len()).then_some(masked + rest)
}

/// Where the first credential begins and ends.
fn first(text: &str) -> Option<(usize, usize)> {
    [key(text, "_live_"), key(text, "_test_"), opaque(text), jwt(text)].into_iter().flatten().min()
}

/// A key: letters and digits behind its mark, and those before it.
fn key(text: &str, mark: &str) -> Option<(usize, usize)> {
    text.match_indices(mark).find_map(|(at, _)| {
        let behind = at + mark.len();
        let end = behind + run(&text[behind..], is_alphanumeric);
        let prefix = text[..at].bytes().rev().take_while(|byte| is_alphanumeric(*byte)).count();
        (end - behind >= FEWEST).then_some((at - prefix, end))
    })
}

/// A token, a code or a secret of Doorward, also one that was cut off.
fn opaque(text: &str) -> Option<(usize, usize)> {
    text.match_indices("dw_").find_map(|(at, _)| {
        let length = run(&text[at..], |byte| is_alphanumeric(byte) || byte == b'_');
        (length > FEWEST).then_some((at, at + length))
    })
}

/// A JWT in compact form: the base64url of `{"` and two dots behind it.
fn jwt(text: &str) -> Option<(usize, usize)> {
    text.match_indices("eyJ").find_map(|(at, _)| {
        let is_of_jwt = |byte| is_alphanumeric(byte) || b"-_.".contains(&byte);
        let found = &text[at..at + run(&text[at..], is_of_jwt)];
        (found.matches('.').count() >= 2 && found.len() >= FEWEST).then_some((at, at + found.len()))
    })
}

/// How many bytes at the beginning are of a kind.
fn run(text: &str, is_of_kind: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is_of_kind(*byte)).count()
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

    #[test]
    fn only_the_credential_is_replaced() {
        let text = format!("a sk_live_{0} b dw_at_{0}, c", "x".repeat(38));
        assert_eq!(without_credentials(&text).unwrap(), "a [credential] b [credential], c");
        assert_eq!(without_credentials("a b"), None);
    }
}
