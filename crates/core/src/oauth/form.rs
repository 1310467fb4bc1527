//! `application/x-www-form-urlencoded`, in bodies and in queries (WHATWG URL section 5.1), as OAuth wants it: UTF-8,
//! bounded, each parameter once.

use std::borrow::Cow;

use crate::{denial::Denial, refusal::Refusal};

/// The pairs of a form. Bytes that are not UTF-8 are replaced; use [`Parameters::parse`] where they must be refused.
pub fn pairs(form: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(form)
}

/// The parameters of an OAuth request.
pub struct Parameters<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Parameters<'a> {
    /// The maximum number of pairs.
    pub const MAX_PAIRS: usize = 100;

    /// Reads a form. Refused are bytes that are not UTF-8, U+0000, and more than [`Self::MAX_PAIRS`] pairs.
    pub fn parse(form: &'a [u8]) -> Result<Self, Refusal> {
        let mut pairs = Vec::with_capacity(8);
        for pair in self::pairs(form) {
            if pairs.len() == Self::MAX_PAIRS {
                return Err(Refusal::new(Denial::BodyMalformed).fact("form", "too many parameters"));
            }
            // The decoder puts U+FFFD where bytes are no UTF-8; a sender who means U+FFFD itself is not missed.
            if pair.0.contains('\u{fffd}') || pair.1.contains('\u{fffd}') {
                return Err(Refusal::new(Denial::BodyMalformed).fact("form", "not UTF-8"));
            }
            // PostgreSQL stores no U+0000, and nobody means it.
            if pair.0.contains('\0') || pair.1.contains('\0') {
                return Err(Refusal::new(Denial::BodyMalformed).fact("form", "U+0000"));
            }
            pairs.push(pair);
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter. Absent and empty are alike (RFC 6749 section 3.1); a repeated one is refused.
    pub fn optional(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let mut values = self.all(name);
        let value = values.next();
        match values.next() {
            Some(_) => Err(Refusal::new(Denial::ParameterRepeated).parameter(name)),
            None => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// The value of a parameter that must be there.
    pub fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.optional(name)?.ok_or_else(|| Refusal::new(Denial::ParameterMissing).parameter(name))
    }

    /// Every value of a parameter that may be repeated, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |pair| pair.0 == name).map(|pair| &*pair.1)
    }

    /// Refuses any repeated parameter that is not in `repeatable` (RFC 6749 section 3.1).
    pub fn refuse_repeated(&self, repeatable: &[&str]) -> Result<(), Refusal> {
        for (at, (name, _)) in self.pairs.iter().enumerate() {
            let again = self.pairs[..at].iter().any(|(earlier, _)| earlier == name);
            if again && !repeatable.contains(&&**name) {
                return Err(Refusal::new(Denial::ParameterRepeated).parameter(name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn absent_and_empty_are_alike_and_repeated_is_refused() {
        let form = Parameters::parse(b"a=1&b=&c=1&c=2").unwrap();
        assert_eq!(form.optional("a").unwrap(), Some("1"));
        assert_eq!(form.optional("b").unwrap(), None);
        assert_eq!(form.required("b").unwrap_err().denial, Denial::ParameterMissing);
        assert_eq!(form.optional("c").unwrap_err().denial, Denial::ParameterRepeated);
        assert_eq!(form.refuse_repeated(&[]).unwrap_err().denial, Denial::ParameterRepeated);
        assert!(form.refuse_repeated(&["c"]).is_ok());
    }

    #[test]
    fn bytes_that_are_no_utf8_are_refused() {
        assert!(Parameters::parse(b"a=%ff").is_err());
        assert!(Parameters::parse(b"a=\xff").is_err());
        assert!(Parameters::parse(b"a=x%00y").is_err());
        assert_eq!(Parameters::parse(b"a=%C3%A4+b").unwrap().required("a").unwrap(), "ä b");
    }

    #[test]
    fn pairs_are_bounded() {
        assert!(Parameters::parse("a=1&".repeat(100).as_bytes()).is_ok());
        assert!(Parameters::parse("a=1&".repeat(101).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn reading_never_panics(form in any::<Vec<u8>>()) {
            let _ = Parameters::parse(&form);
        }
    }
}
