//! Rules for passwords (NIST SP 800-63B-4 section 3.1.1.2, OWASP ASVS V6.2): long enough and not commonly known.
//!
//! No composition rules and no truncation; 128 characters are always allowed. It is hashed in one form, so that two
//! keyboards that write the same text write the same password: the profile OpaqueString (RFC 8265 section 4.2), which
//! maps every space to U+0020 and composes letters with their accents. Characters that this profile refuses, such as
//! the joiners in emoji, are kept: refusing them would make nobody's password better.

use precis_profiles::{OpaqueString, precis_core::profile::PrecisFastInvocation};
use unicode_normalization::UnicodeNormalization;

use crate::secret::{ExposeSecret, SecretString};

/// Maximum length of a password, in bytes of UTF-8: 128 characters of four bytes, and more of shorter ones.
pub const MAX_BYTES: usize = 512;

/// Why a password was not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordRejected {
    /// It is on the list of common and breached passwords.
    #[error("this password is known from breaches; choose another")]
    Common,
    /// It is longer than [`MAX_BYTES`].
    #[error("at most {MAX_BYTES} bytes")]
    TooLong,
    /// It has fewer characters than required.
    #[error("at least {0} characters")]
    TooShort(usize),
}

/// The form of a password that is hashed.
pub fn prepared(password: &str) -> SecretString {
    match OpaqueString::enforce(password) {
        Ok(prepared) => prepared.into_owned().into(),
        Err(_) => password.nfc().collect::<String>().into(),
    }
}

/// The forms whose hashes are tried, in this order: the current form, then the form that an older program may have
/// hashed for the same text. Passwords in ASCII have one form.
pub fn candidates(password: &str) -> Vec<SecretString> {
    let prepared = prepared(password);
    let older: SecretString = match prepared.expose_secret() == password {
        true => password.nfd().collect::<String>().into(),
        false => password.into(),
    };
    let is_another = older.expose_secret() != prepared.expose_secret();
    std::iter::once(prepared).chain(is_another.then_some(older)).collect()
}

/// Checks a new password. `is_common` reports whether its lower-case form is on the list.
pub fn check(
    password: &str,
    min_characters: usize,
    is_common: impl FnOnce(&str) -> bool,
) -> Result<(), PasswordRejected> {
    if password.len() > MAX_BYTES {
        return Err(PasswordRejected::TooLong);
    }
    if password.chars().count() < min_characters {
        return Err(PasswordRejected::TooShort(min_characters));
    }
    let lower = zeroize::Zeroizing::new(password.to_lowercase());
    if is_common(&lower) || is_repetition(&lower) {
        return Err(PasswordRejected::Common);
    }
    Ok(())
}

/// One short piece, repeated: `aaaaaaaaaaaaaaa`, `abcabcabcabcabc`.
fn is_repetition(password: &str) -> bool {
    let bytes = password.as_bytes();
    (1..=4).any(|piece| bytes.len() > 2 * piece && bytes.chunks(piece).all(|chunk| bytes.starts_with(chunk)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(password: &str) -> Vec<String> {
        candidates(password).iter().map(|form| form.expose_secret().to_owned()).collect()
    }

    #[test]
    fn password_has_one_form_and_one_for_older_hashes() {
        assert_eq!(forms("correct horse"), ["correct horse"]);
        assert_eq!(forms("caf\u{e9}"), ["caf\u{e9}", "cafe\u{301}"]);
        assert_eq!(forms("cafe\u{301}"), ["caf\u{e9}", "cafe\u{301}"]);
        assert_eq!(forms("two\u{a0}words"), ["two words", "two\u{a0}words"]);
    }

    #[test]
    fn characters_outside_the_profile_are_kept_and_composed() {
        let family = "\u{1f468}\u{200d}\u{1f469} cafe\u{301}";
        assert_eq!(prepared(family).expose_secret(), "\u{1f468}\u{200d}\u{1f469} caf\u{e9}");
        assert_eq!(prepared("").expose_secret(), "");
        assert_eq!(prepared("tab\there").expose_secret(), "tab\there");
        assert_eq!(prepared("Case Stays").expose_secret(), "Case Stays");
    }

    fn checked(password: &str) -> Result<(), PasswordRejected> {
        check(password, 15, |lower| lower == "correct horse battery staple")
    }

    #[test]
    fn length_counts_in_characters_and_nothing_else_is_demanded() {
        assert_eq!(checked("short"), Err(PasswordRejected::TooShort(15)));
        assert_eq!(checked("äöüßäöüßäöüß-ok"), Ok(()));
        assert_eq!(checked("only lower case words"), Ok(()));
    }

    #[test]
    fn a_hundred_and_twenty_eight_characters_are_allowed() {
        let long: String = ('\u{10000}'..).take(128).collect();
        assert_eq!(long.chars().count(), 128);
        assert_eq!(checked(&long), Ok(()));
        assert_eq!(checked(&"ab1".repeat(200)), Err(PasswordRejected::TooLong));
    }

    #[test]
    fn common_passwords_and_repetitions_are_refused() {
        assert_eq!(checked("Correct Horse Battery Staple"), Err(PasswordRejected::Common));
        assert_eq!(checked("aaaaaaaaaaaaaaaaa"), Err(PasswordRejected::Common));
        assert_eq!(checked("abcabcabcabcabcab"), Err(PasswordRejected::Common));
    }

    #[test]
    fn pieces_of_four_characters_that_are_repeated_are_refused() {
        for repeated in ["aaa", "ababa", "abcabca", "abcdabcda"] {
            assert!(is_repetition(repeated), "{repeated}");
        }
        for varied in ["aa", "abab", "abcabc", "abcdabcd", "abcdeabcdeabcde", "aaaaaaab"] {
            assert!(!is_repetition(varied), "{varied}");
        }
    }

    #[test]
    fn password_keeps_within_its_shortest_and_longest_length() {
        let varied = |length: usize| ('a'..='z').cycle().take(length).collect::<String>();
        assert_eq!((checked(&varied(512)), checked(&varied(513))), (Ok(()), Err(PasswordRejected::TooLong)));
        assert_eq!((checked(&varied(15)), checked(&varied(14))), (Ok(()), Err(PasswordRejected::TooShort(15))));
    }
}
