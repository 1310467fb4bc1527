//! Finding the one credential of a request, and telling its kind by its form.
//!
//! A credential comes in one header (`Authorization: Bearer`, RFC 6750 section 2.1, or `X-API-Key`) and nowhere else.
//! Everything that was sent is counted together: two are refused, and so is one in the URL, before anything is logged.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::masked;
use crate::{
    api_key::{self, Environment},
    checksummed::{self, ACCESS_TOKEN_PREFIX, REFRESH_TOKEN_PREFIX},
    denial::Denial,
    form, jws,
    text::is_presentable,
};

/// Longest credential that is looked at, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;

/// How often a text may be percent-encoded and still be read for credentials.
const MAX_ENCODINGS: usize = 4;

/// A credential as presented, sorted by its form; nothing of it is verified. It borrows from the request, which keeps
/// the text in memory anyway: a copy that is cleared afterwards would cost each request more than finding a token that was
/// verified before.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// Has the form of an API key, its checksum aside.
    ApiKey(CredentialText<'a>),
    /// Has three parts like a JWT in compact form.
    Jwt(CredentialText<'a>),
    /// Has the form of an opaque access token and its checksum holds.
    Opaque(CredentialText<'a>),
}

/// The text of a credential. `Debug` shows none of it.
#[derive(Clone, Copy)]
pub struct CredentialText<'a>(&'a str);

impl<'a> CredentialText<'a> {
    /// The text itself, for as long as the request lives.
    pub const fn expose_secret(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for CredentialText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialText(…)")
    }
}

impl<'a> Credential<'a> {
    /// What an API key says of its use; `None` for tokens. A key's checksum covers it.
    pub fn environment(&self) -> Option<Environment> {
        match self {
            Self::ApiKey(key) => api_key::environment(key.expose_secret()),
            Self::Jwt(_) | Self::Opaque(_) => None,
        }
    }

    /// Sorts a text by its form.
    pub fn classify(text: &'a str) -> Result<Self, Denial> {
        if text.len() > MAX_LENGTH {
            return Err(Denial::TokenMalformed);
        }
        if api_key::looks_like_key(text) {
            return Ok(Self::ApiKey(CredentialText(text)));
        }
        if text.starts_with(ACCESS_TOKEN_PREFIX) || text.starts_with(REFRESH_TOKEN_PREFIX) {
            let is_access_token = checksummed::is_well_formed(text, ACCESS_TOKEN_PREFIX);
            return if is_access_token { Ok(Self::Opaque(CredentialText(text))) } else { Err(Denial::TokenMalformed) };
        }
        if jws::has_three_parts(text) {
            return Ok(Self::Jwt(CredentialText(text)));
        }
        Err(if api_key::looks_cut(text) { Denial::KeyMistyped } else { Denial::TokenMalformed })
    }
}

/// Finds the credential among the values of all `Authorization` and `X-API-Key` headers and the query string.
///
/// `Ok(None)`: there is none. A scheme that is not `Bearer` counts as a credential that can't be read. An empty header
/// carries no credential: gateways and HTTP libraries send one where nothing is configured.
pub fn present<'a>(
    authorization: impl IntoIterator<Item = &'a [u8]>,
    x_api_key: impl IntoIterator<Item = &'a [u8]>,
    query: Option<&str>,
) -> Result<Option<Credential<'a>>, Denial> {
    let is_sent = |value: &&[u8]| !value.trim_ascii().is_empty();
    let mut authorization = authorization.into_iter().filter(is_sent);
    let mut x_api_key = x_api_key.into_iter().filter(is_sent);
    let (bearer, key) = (authorization.next(), x_api_key.next());
    let several = authorization.next().is_some() || x_api_key.next().is_some();
    let in_query = query.is_some_and(query_has_credential);
    let value = match (bearer, key, in_query) {
        (None, None, false) => return Ok(None),
        (None, None, true) => return Err(Denial::CredentialInQuery),
        _ if several || in_query => return Err(Denial::CredentialMultiple),
        (Some(_), Some(_), _) => return Err(Denial::CredentialMultiple),
        (Some(value), None, _) | (None, Some(value), _) => value,
    };
    if key.is_some() {
        let text = std::str::from_utf8(value).map_err(|_| Denial::CredentialMalformed)?.trim();
        if api_key::looks_like_key(text) {
            return Ok(Some(Credential::ApiKey(CredentialText(text))));
        }
        return Err(if api_key::looks_cut(text) { Denial::KeyMistyped } else { Denial::CredentialMalformed });
    }
    let text = std::str::from_utf8(value).map_err(|_| Denial::CredentialMalformed)?;
    Credential::classify(bearer_token(text).ok_or(Denial::CredentialMalformed)?).map(Some)
}

/// The credential of a request whose route accepts a key in its query: that key, if there is one, and else what was
/// [presented](present) without it. Only an API key may come that way.
pub fn with_query_key<'a>(
    presented: Option<Credential<'a>>,
    query_key: Option<&'a str>,
) -> Result<Option<Credential<'a>>, Denial> {
    match (presented, query_key) {
        (presented, None) => Ok(presented),
        (Some(_), Some(_)) => Err(Denial::CredentialMultiple),
        (None, Some(key)) if api_key::looks_like_key(key) => Ok(Some(Credential::ApiKey(CredentialText(key)))),
        (None, Some(_)) => Err(Denial::CredentialInQuery),
    }
}

/// The token of `Bearer <token>`; the scheme's name in any case (RFC 9110 section 11.1), the token by the grammar of
/// RFC 6750 section 2.1.
pub fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let in_grammar =
        |b: u8| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    // Every byte is looked at, without an end before the last: sixteen at a time, where `all` looks at one.
    let is_in_grammar = token.bytes().fold(true, |so_far, byte| so_far & in_grammar(byte));
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && is_in_grammar).then_some(token)
}

/// Whether a query string carries a credential: in a parameter named for one, whatever its value, or in any other as a
/// value that has the form of a key, an opaque token or an access token of ours.
pub fn query_has_credential(query: &str) -> bool {
    form::pairs(query.as_bytes())
        .any(|(name, value)| matches!(&*name, "api_key" | "apikey" | "access_token") || is_for_an_api(&value))
}

/// A text as it may be noted: what has the form of a credential is replaced, wherever somebody put it, also between
/// other characters or percent-encoded.
///
/// Encoded again and again it is read to the end, since a credential may follow one that is found earlier. What is still
/// encoded after [`MAX_ENCODINGS`] is replaced whole.
pub fn loggable_text(text: &str) -> String {
    let (mut decoded, mut masked) = (text.to_owned(), None);
    for _ in 0..=MAX_ENCODINGS {
        // Noted as it was meant, since its encoding has a credential in it.
        masked = masked::without_credentials(&decoded).or(masked);
        let next = percent_decode_str(&decoded).decode_utf8_lossy().into_owned();
        if next == decoded {
            return masked.unwrap_or_else(|| text.to_owned());
        }
        decoded = next;
    }
    "[encoded]".to_owned()
}

/// A text as a part of one line: at most so many characters, all of which may be shown, without credentials.
pub fn loggable_line(text: &str, most: usize) -> String {
    // Before credentials are looked for: what is invisible could stand between the parts of one.
    let visible: String = text.chars().filter(|c| is_presentable(*c)).collect();
    loggable_text(&visible).chars().filter(|c| is_presentable(*c)).take(most).collect()
}

/// A path or a method as one word of a log line: without credentials, and encoded where a character could end the word
/// or show something else.
pub fn loggable_word(text: &str) -> String {
    loggable_text(text).chars().fold(String::new(), |mut word, c| {
        match is_presentable(c) && !c.is_whitespace() {
            true => word.push(c),
            false => word.extend(utf8_percent_encode(c.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC)),
        }
        word
    })
}

/// What APIs take, and the refresh token that is taken for it. A code is not among them: it comes in URLs.
fn is_for_an_api(text: &str) -> bool {
    api_key::looks_like_key(text)
        || [ACCESS_TOKEN_PREFIX, REFRESH_TOKEN_PREFIX].iter().any(|prefix| is_opaque(prefix, text))
        || jws::Header::peek(text).is_some_and(|header| header.is_access_token())
}

fn is_opaque(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(checksummed::is_body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        api_key::{ApiKey, Environment, KeyPrefix},
        checksummed::CODE_PREFIX,
        random::SeededRng,
        secret::ExposeSecret,
    };

    fn key() -> String {
        ApiKey::generate(&KeyPrefix::default(), Environment::Live, &SeededRng::new(1)).reveal().to_owned()
    }

    fn find<'a>(
        authorization: &[&'a str],
        x_api_key: &[&'a str],
        query: Option<&str>,
    ) -> Result<Option<Credential<'a>>, Denial> {
        present(authorization.iter().map(|text| text.as_bytes()), x_api_key.iter().map(|text| text.as_bytes()), query)
    }

    #[test]
    fn a_key_is_found_in_either_header() {
        let (key, bearer) = (key(), format!("bEaReR  {}", key()));
        assert!(matches!(find(&[], &[&key], None), Ok(Some(Credential::ApiKey(_)))));
        assert!(matches!(find(&[&bearer], &[], None), Ok(Some(Credential::ApiKey(_)))));
    }

    #[test]
    fn key_that_was_not_copied_whole_looks_mistyped() {
        let key = key();
        let cut = &key[..key.len() - 3];
        assert_eq!(find(&[], &[cut], None).err(), Some(Denial::KeyMistyped));
        assert_eq!(find(&[&format!("Bearer {cut}")], &[], None).err(), Some(Denial::KeyMistyped));
        assert_eq!(find(&[&format!("Bearer {key}x")], &[], None).err(), Some(Denial::KeyMistyped));
        assert_eq!(find(&["Bearer sk_live_"], &[], None).err(), Some(Denial::TokenMalformed));
    }

    #[test]
    fn two_credentials_are_refused_wherever_they_stand() {
        let (key, bearer) = (key(), format!("Bearer {}", key()));
        let query = format!("api_key={key}");
        for attempt in [
            find(&[&bearer], &[&key], None),
            find(&[&bearer, &bearer], &[], None),
            find(&[], &[&key, &key], None),
            find(&[], &[&key], Some(&query)),
            find(&["Basic eA=="], &[&key], None),
        ] {
            assert_eq!(attempt.unwrap_err(), Denial::CredentialMultiple);
        }
    }

    #[test]
    fn empty_header_is_no_credential() {
        let (key, bearer) = (key(), format!("Bearer {}", key()));
        for empty in ["", " ", "\t"] {
            assert!(matches!(find(&[empty], &[&key], None), Ok(Some(Credential::ApiKey(_)))));
            assert!(matches!(find(&[&bearer], &[empty, empty], None), Ok(Some(Credential::ApiKey(_)))));
            assert!(matches!(find(&[&bearer, empty], &[], None), Ok(Some(Credential::ApiKey(_)))));
            assert!(matches!(find(&[empty], &[empty], None), Ok(None)));
        }
    }

    #[test]
    fn a_credential_in_the_query_is_refused_under_any_name() {
        let opaque = checksummed::generate(ACCESS_TOKEN_PREFIX, &SeededRng::new(1));
        for query in [
            "access_token=anything".to_owned(),
            "apikey=".to_owned(),
            format!("a=b&key={}", key()),
            format!("token={}", opaque.expose_secret()),
            // {"typ":"at+jwt","alg":"EdDSA"}
            "t=eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.AA".to_owned(),
            format!("x=%73{}", &key()[1..]),
        ] {
            assert_eq!(find(&[], &[], Some(&query)).unwrap_err(), Denial::CredentialInQuery, "{query}");
        }
    }

    #[test]
    fn a_credential_in_a_path_is_not_logged() {
        assert_eq!(loggable_text(&format!("/v1/keys/{}/x", key())), "/v1/keys/[credential]/x");
        assert_eq!(loggable_text("/notes/1"), "/notes/1");
    }

    #[test]
    fn a_credential_in_the_midst_of_a_text_is_not_logged() {
        let refresh = checksummed::generate(REFRESH_TOKEN_PREFIX, &SeededRng::new(1));
        for secret in [&*key(), refresh.expose_secret()] {
            for (before, after) in [("", ""), ("refresh_token=", ""), ("a b;", "&c"), ("\"", "\","), ("ä", "ö")] {
                let noted = loggable_text(&format!("{before}{secret}{after}"));
                assert_eq!(noted, format!("{before}[credential]{after}"));
            }
        }
        assert_eq!(loggable_text("a=1&b = 2"), "a=1&b = 2");
    }

    #[test]
    fn credential_that_is_encoded_or_glued_is_not_logged() {
        let refresh = checksummed::generate(REFRESH_TOKEN_PREFIX, &SeededRng::new(1));
        // {"typ":"JWT","alg":"EdDSA"}, an ID token's as well as an access token's.
        let jwt = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1c3JfMSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
        for secret in [&*key(), refresh.expose_secret(), jwt] {
            let hexadecimal = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
            let once = secret.replace('_', "%5F").replace('.', "%2e");
            for (at, text) in [
                format!("/notes/{once}"),
                format!("/notes/{}", hexadecimal(secret)),
                format!("/notes/{}", hexadecimal(secret).replace('%', "%25")),
                format!("/notes/x{secret}"),
                format!("/notes/X-{secret}.json"),
                format!("/notes/{secret}{secret}"),
                format!("curl/8 {secret}y"),
                format!("key_{secret}-1"),
            ]
            .iter()
            .enumerate()
            {
                let noted = loggable_text(text);
                let decoded = percent_decode_str(&noted).decode_utf8_lossy().into_owned();
                let tail = &secret[secret.len() - 16..];
                assert!(!noted.contains(tail) && !decoded.contains(tail), "{at}: {noted}");
                assert!(noted.contains("[credential]"), "{at}: {noted}");
            }
        }
        for plain in ["/notes/100%25/a%20b", "/a_live_b/c_test_", "Mozilla/5.0 (X11; Linux x86_64)", "a.b.c", "%zz%"] {
            assert_eq!(loggable_text(plain), plain);
        }
    }

    #[test]
    fn credential_behind_another_one_is_masked_at_any_depth() {
        let (key, opaque) = (key(), checksummed::generate(ACCESS_TOKEN_PREFIX, &SeededRng::new(1)));
        let opaque = opaque.expose_secret();
        let encode = |text: &str| text.replace('%', "%25").replace('_', "%5f");
        let mut second = opaque.to_owned();
        for depth in 0..6 {
            let noted = loggable_text(&format!("/a/{key}/{second}"));
            assert!(!noted.contains(&opaque[12..]), "{depth}: {noted}");
            second = encode(&second);
        }
        let split = opaque.replacen(&opaque[20..21], &format!("%{:02x}", opaque.as_bytes()[20]), 1);
        assert_eq!(loggable_text(&split), "[credential]");
    }

    #[test]
    fn word_of_a_log_line_ends_where_it_seems_to() {
        assert_eq!(loggable_word("/notes/\u{e4}"), "/notes/\u{e4}");
        for bad in ["a b", "a\nb", "a\u{1b}[31m", "a\u{9b}31m", "a\u{202e}b", "a\u{2028}b", "a\u{85}b", "a\u{a0}b"] {
            let noted = loggable_word(bad);
            assert!(noted.chars().all(|c| is_presentable(c) && !c.is_whitespace()), "{noted}");
        }
        let noted = loggable_word(&format!("/x%0aERROR%20root%1b%5b31m/{}", key().replace('_', "%5F")));
        assert_eq!(noted, "/x%0AERROR%20root%1B[31m/[credential]");
        assert_eq!(loggable_word(&key()), "[credential]", "a method, for example");
    }

    #[test]
    fn an_apis_own_parameters_stay_its_own() {
        let code = checksummed::generate(CODE_PREFIX, &SeededRng::new(1));
        let callback = format!("code={}&state=x", code.expose_secret());
        for query in ["token=abc", "key=1", "q=sk_live_", "id_token_hint=e30.e30.AA", "", &callback] {
            assert!(matches!(find(&[], &[], Some(query)), Ok(None)), "{query}");
        }
    }

    #[test]
    fn other_schemes_and_refresh_tokens_are_refused() {
        let refresh = checksummed::generate(REFRESH_TOKEN_PREFIX, &SeededRng::new(1));
        let refresh = format!("Bearer {}", refresh.expose_secret());
        for (header, denial) in [
            ("Basic eA==", Denial::CredentialMalformed),
            ("Bearer", Denial::CredentialMalformed),
            ("Bearer ", Denial::CredentialMalformed),
            ("Bearer a b", Denial::CredentialMalformed),
            ("Bearer abc", Denial::TokenMalformed),
            (refresh.as_str(), Denial::TokenMalformed),
        ] {
            assert_eq!(find(&[header], &[], None).unwrap_err(), denial, "{header}");
        }
    }

    #[test]
    fn credential_has_16_kib_at_most() {
        let of_length = |length: usize| format!("a.b.{}", "c".repeat(length - 4));
        assert!(matches!(Credential::classify(&of_length(16 * 1024)), Ok(Credential::Jwt(_))));
        assert_eq!(Credential::classify(&of_length(16 * 1024 + 1)).unwrap_err(), Denial::TokenMalformed);
    }

    #[test]
    fn text_with_doorwards_token_prefix_is_not_a_jwt() {
        for prefix in [ACCESS_TOKEN_PREFIX, REFRESH_TOKEN_PREFIX] {
            assert_eq!(Credential::classify(&format!("{prefix}a.b.c")).unwrap_err(), Denial::TokenMalformed);
        }
        let opaque = checksummed::generate(ACCESS_TOKEN_PREFIX, &SeededRng::new(1));
        assert!(matches!(Credential::classify(opaque.expose_secret()), Ok(Credential::Opaque(_))));
    }

    proptest! {
        #[test]
        fn masking_never_panics(text in "([a-z0-9_.%]|eyJ|_live_|dw_|ä)*") {
            let _ = loggable_text(&text);
        }

        #[test]
        fn finding_never_panics(header in any::<Vec<u8>>(), query in "\\PC*") {
            let _ = present([header.as_slice()], [], Some(&query));
        }
    }
}
