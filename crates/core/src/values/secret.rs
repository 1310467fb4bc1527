//! Values that must not be seen: no `Debug`, no `Display`, no `Serialize`; wiped when dropped.
//!
//! The type is `secrecy`'s. Reading a secret takes an explicit call of [`ExposeSecret::expose_secret`].

pub use secrecy::{ExposeSecret, SecretBox, SecretString};
use subtle::ConstantTimeEq;

/// Whether two byte strings are equal, in time that depends on their lengths alone.
pub fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_only_are_equal() {
        assert!(constant_time_eq(b"ab", b"ab") && constant_time_eq(b"", b""));
        assert!(!constant_time_eq(b"ab", b"ac") && !constant_time_eq(b"ab", b"a"));
    }
}
