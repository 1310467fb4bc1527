//! What a password must be (NIST SP 800-63B-4 section 3.1.1.2, OWASP ASVS V6.2): long enough and not commonly known.
//!
//! No composition rules, no truncation, no silent normalisation; 128 characters are always allowed.

/// Longest password that is accepted, in bytes of UTF-8: 128 characters of four bytes, and more of shorter ones.
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
    /// It has fewer characters than demanded.
    #[error("at least {0} characters")]
    TooShort(usize),
}

/// Checks a new password. `is_common` tells whether its lower-case form is on the list.
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
}
