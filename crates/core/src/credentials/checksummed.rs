//! The form of every opaque secret that Doorward issues: a prefix, 32 random base62 characters (190 bits) and 6 base62
//! characters of CRC-32 over everything before them.
//!
//! The checksum is no protection: it lets a mistyped or invented secret be refused without a look-up, and a scanner
//! recognise a real one offline.

use crate::{
    random::Rng,
    secret::{ExposeSecret, SecretString},
};

/// Characters of randomness in a secret.
pub const RANDOM_CHARACTERS: usize = 32;
/// Characters of checksum in a secret.
pub const CHECKSUM_CHARACTERS: usize = 6;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What every opaque access token begins with.
pub const ACCESS_TOKEN_PREFIX: &str = "dw_at_";
/// What every refresh token begins with.
pub const REFRESH_TOKEN_PREFIX: &str = "dw_rt_";
/// What every authorization code begins with.
pub const CODE_PREFIX: &str = "dw_ac_";
/// What every client secret begins with.
pub const CLIENT_SECRET_PREFIX: &str = "dw_cs_";

/// Creates a new secret that begins with `prefix`.
pub fn generate(prefix: &str, rng: &dyn Rng) -> SecretString {
    let mut text = String::with_capacity(prefix.len() + RANDOM_CHARACTERS + CHECKSUM_CHARACTERS);
    text.push_str(prefix);
    push_random(&mut text, RANDOM_CHARACTERS, rng);
    let checksum = checksum(&text);
    text.push_str(std::str::from_utf8(&checksum).expect("base62 is ASCII"));
    text.into()
}

/// Random base62 text of `length` characters, without prefix or checksum: for what only a browser holds.
pub fn random_text(length: usize, rng: &dyn Rng) -> SecretString {
    let mut text = String::with_capacity(length);
    push_random(&mut text, length, rng);
    text.into()
}

/// Whether `text` is a secret of this form: begins with `prefix`, has the exact length, and its checksum holds.
pub fn is_well_formed(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(is_body) && checksum_holds(text)
}

/// Whether `body` has the length and the characters of what follows a prefix.
pub(crate) fn is_body(body: &str) -> bool {
    body.len() == RANDOM_CHARACTERS + CHECKSUM_CHARACTERS && body.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether the last six characters of `text` are the checksum of the others.
pub(crate) fn checksum_holds(text: &str) -> bool {
    text.len()
        .checked_sub(CHECKSUM_CHARACTERS)
        .and_then(|at| text.split_at_checked(at))
        .is_some_and(|(before, stated)| checksum(before) == *stated.as_bytes())
}

fn checksum(text: &str) -> [u8; CHECKSUM_CHARACTERS] {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

fn push_random(text: &mut String, length: usize, rng: &dyn Rng) {
    let end = text.len() + length;
    let mut bytes = zeroize::Zeroizing::new([0; 48]);
    while text.len() < end {
        rng.fill(&mut *bytes);
        // Bytes of 248 and more would favour some characters: 248 is the largest multiple of 62.
        let fair = bytes.iter().filter(|b| **b < 248).map(|b| char::from(ALPHABET[usize::from(b % 62)]));
        text.extend(fair.take(end - text.len()));
    }
}

/// The characters that may be shown of a secret, in lists and logs: its prefix and the first four random ones.
pub fn hint(secret: &SecretString, prefix: &str) -> String {
    secret.expose_secret().chars().take(prefix.len() + 4).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SeededRng;

    #[test]
    fn a_new_secret_is_well_formed_and_a_mistyped_one_is_not() {
        let secret = generate(REFRESH_TOKEN_PREFIX, &SeededRng::new(7));
        let text = secret.expose_secret();
        assert_eq!(text.len(), 6 + 32 + 6);
        assert!(is_well_formed(text, REFRESH_TOKEN_PREFIX));
        assert!(!is_well_formed(text, ACCESS_TOKEN_PREFIX));
        for at in 0..text.len() {
            let mut mistyped = text.to_owned().into_bytes();
            mistyped[at] = if mistyped[at] == b'a' { b'b' } else { b'a' };
            assert!(!is_well_formed(std::str::from_utf8(&mistyped).unwrap(), REFRESH_TOKEN_PREFIX));
        }
    }

    #[test]
    fn the_checksum_is_crc32_most_significant_digit_first() {
        // CRC-32("123456789") = 0xCBF43926 = 3421780262 (the check value of CRC-32/ISO-HDLC).
        let value = checksum("123456789")
            .iter()
            .fold(0_u64, |value, digit| value * 62 + ALPHABET.iter().position(|a| a == digit).unwrap() as u64);
        assert_eq!(value, 3_421_780_262);
    }

    /// Gives these bytes again and again.
    struct Bytes([u8; 8]);

    impl crate::random::Rng for Bytes {
        fn fill(&self, bytes: &mut [u8]) {
            for (byte, given) in bytes.iter_mut().zip(self.0.iter().cycle()) {
                *byte = *given;
            }
        }
    }

    #[test]
    fn each_character_is_as_likely_as_every_other() {
        // 248 and more are skipped: 248 is the largest multiple of 62.
        let rng = Bytes([0, 247, 248, 255, 62, 61, 10, 36]);
        assert_eq!(random_text(40, &rng).expose_secret(), "0z0zAa0z0zAa0z0zAa0z0zAa0z0zAa0z0zAa0z0z");
        assert_eq!(generate("x_", &rng).expose_secret()[..34], *"x_0z0zAa0z0zAa0z0zAa0z0zAa0z0zAa0z");
    }

    #[test]
    fn hint_is_the_prefix_and_four_characters() {
        let secret = generate(CLIENT_SECRET_PREFIX, &SeededRng::new(7));
        assert_eq!(hint(&secret, CLIENT_SECRET_PREFIX), secret.expose_secret()[..10]);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".*") {
            prop_assert!(!is_well_formed(&text, CODE_PREFIX) || text.starts_with(CODE_PREFIX));
        }
    }
}
