//! JSON Web Signature in compact form (RFC 7515 section 7.1), read strictly.
//!
//! Sizes are bounded before anything is parsed, and exactly two dots are looked for. The header may choose a key by
//! `kid` among those of the issuer and nothing else: `jku`, `jwk`, `x5u` and `x5c` are never followed.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{
    denial::Denial,
    json,
    jwk::{Algorithm, InvalidSigningKey, KeySet, SigningKey, VerifyingKey},
    refusal::Refusal,
};

/// Longest JWS that is read, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;

const MAX_HEADER_LENGTH: usize = 2 * 1024;

/// The protected header, as far as it counts here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// The value of `alg`.
    pub alg: String,
    /// `kid`.
    pub kid: Option<String>,
    /// The value of `typ`.
    pub typ: Option<String>,
    refused: bool,
}

impl Header {
    /// Reads the header of a compact JWS without looking at anything else of it.
    pub fn peek(token: &str) -> Option<Self> {
        if token.len() > MAX_LENGTH || !has_three_parts(token) {
            return None;
        }
        Self::parse(token.split('.').next()?)
    }

    /// Whether `typ` says that this is an access token (RFC 9068 section 2.1): with or without `application/`, in any
    /// case (RFC 7515 section 4.1.9).
    pub fn is_access_token(&self) -> bool {
        self.has_type("at+jwt")
    }

    /// Whether `typ` is this media type.
    pub fn has_type(&self, expected: &str) -> bool {
        let typ = self.typ.as_deref().unwrap_or_default();
        let short = match typ.get(.."application/".len()) {
            Some(prefix) if prefix.eq_ignore_ascii_case("application/") => &typ["application/".len()..],
            _ => typ,
        };
        short.eq_ignore_ascii_case(expected)
    }

    fn parse(encoded: &str) -> Option<Self> {
        if encoded.len() > MAX_HEADER_LENGTH {
            return None;
        }
        let header = json::parse_object(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()?;
        let text = |name: &str| match header.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.clone())),
            Some(_) => None,
        };
        // `crit` names what must be understood, and we understand none of it; `zip` decompresses without bound;
        // `b64` changes what is signed.
        let refused = ["crit", "zip", "b64"].iter().any(|name| header.contains_key(*name));
        Some(Self { alg: text("alg")??, kid: text("kid")?, typ: text("typ")?, refused })
    }
}

/// Whether a text has exactly two dots, as a compact JWS has. Every request with a token is asked this: the dots of a
/// chunk are counted in bytes, sixteen at a time.
pub(crate) fn has_three_parts(text: &str) -> bool {
    let in_chunk = |chunk: &[u8]| usize::from(chunk.iter().map(|byte| u8::from(*byte == b'.')).sum::<u8>());
    text.as_bytes().chunks(usize::from(u8::MAX)).map(in_chunk).sum::<usize>() == 2
}

/// A JWS whose signature was verified.
#[derive(Debug)]
pub struct Verified {
    /// The protected header, covered by the signature.
    pub header: Header,
    /// Its payload, a JSON object.
    pub claims: Map<String, Value>,
}

/// How the key is chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyChoice {
    /// By `kid`, which must be there.
    ByKid,
    /// By `kid` if it is there, otherwise any key of the set that can verify the `alg`.
    ByKidOrAlgorithm,
}

/// Verifies a compact JWS under one of `keys`. `typ` and claims are the caller's to check.
pub fn verify(token: &str, keys: &KeySet, allowed: &[Algorithm], choice: KeyChoice) -> Result<Verified, Refusal> {
    let unverified = Unverified::read(token, allowed)?;
    let fits = unverified.fits(keys, choice)?;
    unverified.verified(fits)
}

/// The same, at the cost of a signature check also where no key fits: what takes as long does not show who has keys.
pub fn verify_or_pretend(
    token: &str,
    keys: &KeySet,
    allowed: &[Algorithm],
    choice: KeyChoice,
) -> Result<Verified, Refusal> {
    let unverified = Unverified::read(token, allowed)?;
    let fits = unverified.fits(keys, choice).inspect_err(|_| unverified.pretend())?;
    unverified.verified(fits)
}

/// A JWS of an acceptable form, with nothing verified.
struct Unverified<'a> {
    token: &'a str,
    /// Where the payload begins and ends.
    dots: (usize, usize),
    header: Header,
    algorithm: Algorithm,
    signature: Vec<u8>,
}

fn malformed(what: &str) -> Refusal {
    Refusal::new(Denial::TokenMalformed).fact("token", what)
}

impl<'a> Unverified<'a> {
    fn read(token: &'a str, allowed: &[Algorithm]) -> Result<Self, Refusal> {
        if token.len() > MAX_LENGTH {
            return Err(malformed("too large"));
        }
        let mut dots = token.bytes().enumerate().filter(|(_, b)| *b == b'.').map(|(at, _)| at);
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(malformed("not three parts"));
        };
        let header = Header::parse(&token[..first]).ok_or_else(|| malformed("unreadable header"))?;
        if header.refused {
            return Err(Refusal::new(Denial::TokenHeaderRefused));
        }
        let algorithm = Algorithm::parse(&header.alg).filter(|alg| allowed.contains(alg));
        let algorithm = algorithm.ok_or_else(|| refused_algorithm(&header))?;
        let signature = URL_SAFE_NO_PAD.decode(&token[second + 1..]).map_err(|_| malformed("unreadable signature"))?;
        Ok(Self { token, dots: (first, second), header, algorithm, signature })
    }

    fn message(&self) -> &[u8] {
        &self.token.as_bytes()[..self.dots.1]
    }

    /// Whether the signature is that of a key; an error where there is no key to check it with.
    fn fits(&self, keys: &KeySet, choice: KeyChoice) -> Result<bool, Refusal> {
        let unknown_key = || Refusal::new(Denial::TokenKeyUnknown).fact("kid", self.kid());
        let fits = |key: &VerifyingKey| key.verify(self.algorithm, self.message(), &self.signature);
        match (&self.header.kid, choice) {
            (Some(kid), _) => {
                let key = keys.key(kid).ok_or_else(unknown_key)?;
                if !key.verifies(self.algorithm) {
                    return Err(refused_algorithm(&self.header));
                }
                Ok(fits(key))
            }
            (None, KeyChoice::ByKid) => Err(unknown_key()),
            (None, KeyChoice::ByKidOrAlgorithm) => {
                let mut candidates = keys.iter().filter(|key| key.verifies(self.algorithm)).peekable();
                if candidates.peek().is_none() {
                    return Err(unknown_key());
                }
                Ok(candidates.any(fits))
            }
        }
    }

    /// Checks the signature with a key that is nobody's; the outcome is nobody's business either.
    fn pretend(&self) {
        let key = NOBODYS_KEYS.iter().find(|key| key.verifies(self.algorithm));
        std::hint::black_box(key.map(|key| key.verify(self.algorithm, self.message(), &self.signature)));
    }

    fn verified(self, fits: bool) -> Result<Verified, Refusal> {
        if !fits {
            return Err(Refusal::new(Denial::TokenSignatureWrong).fact("kid", self.kid()));
        }
        let payload = URL_SAFE_NO_PAD.decode(&self.token[self.dots.0 + 1..self.dots.1]);
        let payload = payload.map_err(|_| malformed("unreadable payload"))?;
        let claims = json::parse_object(&payload).map_err(|_| malformed("payload is no acceptable JSON object"))?;
        Ok(Verified { header: self.header, claims })
    }

    fn kid(&self) -> &str {
        self.header.kid.as_deref().unwrap_or("(none)")
    }
}

fn refused_algorithm(header: &Header) -> Refusal {
    Refusal::new(Denial::TokenAlgorithmRefused).fact("alg", &header.alg)
}

/// A key of each algorithm, from the examples of RFC 7517 and RFC 8037. Nothing that they verify is ever accepted.
static NOBODYS_KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let document = br#"{"keys": [
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
         "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
        {"kty": "RSA", "e": "AQAB", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}
    ]}"#;
    KeySet::parse(document).unwrap_or_default()
});

/// Header and claims of a JWS, with nothing verified: for people who look at a token.
pub fn decode_unverified(token: &str) -> Option<(Map<String, Value>, Map<String, Value>)> {
    Header::peek(token)?;
    Some((object(token.split('.').next()?)?, claims_unverified(token)?))
}

/// The claims of a JWT, with nothing verified, not even its header.
pub(crate) fn claims_unverified(token: &str) -> Option<Map<String, Value>> {
    object(token.split('.').nth(1)?)
}

fn object(part: &str) -> Option<Map<String, Value>> {
    json::parse_object(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Signs `payload` as a compact JWS of type `typ`, naming the key.
pub fn sign(key: &SigningKey, typ: &str, payload: &[u8]) -> Result<String, InvalidSigningKey> {
    let header = format!(r#"{{"alg":"{}","typ":"{typ}","kid":"{}"}}"#, key.algorithm(), key.kid());
    let mut token = String::with_capacity(header.len() * 4 / 3 + payload.len() * 4 / 3 + 360);
    URL_SAFE_NO_PAD.encode_string(header, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::random::SeededRng;

    #[test]
    fn nobodys_keys_check_signatures_of_every_algorithm() {
        for algorithm in Algorithm::ALL {
            assert_eq!(NOBODYS_KEYS.iter().filter(|key| key.verifies(algorithm)).count(), 1, "{algorithm}");
        }
    }

    #[test]
    fn unknown_key_costs_the_same_signature_check() {
        let key = SigningKey::generate("k".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap();
        let token = sign(&key, "JWT", b"{}").unwrap();
        for choice in [KeyChoice::ByKid, KeyChoice::ByKidOrAlgorithm] {
            let refused = |outcome: Result<Verified, Refusal>| outcome.unwrap_err();
            let plain = refused(verify(&token, &KeySet::default(), &Algorithm::ALL, choice));
            let pretended = refused(verify_or_pretend(&token, &KeySet::default(), &Algorithm::ALL, choice));
            assert_eq!((pretended.denial, pretended.facts), (plain.denial, plain.facts));
            let own = KeySet::new(vec![key.verifying_key()]);
            assert!(verify_or_pretend(&token, &own, &Algorithm::ALL, choice).is_ok());
        }
    }

    #[test]
    fn refusal_names_the_key_that_the_token_names() {
        let fact = |header: &str| {
            let token = signed(header, b"{}", &ed25519());
            verify(&token, &KeySet::default(), &Algorithm::ALL, KeyChoice::ByKid).unwrap_err().facts
        };
        assert_eq!(fact(r#"{"alg":"EdDSA","kid":"k1"}"#), [("kid", "k1".to_owned())]);
        assert_eq!(fact(r#"{"alg":"EdDSA"}"#), [("kid", "(none)".to_owned())]);
    }

    fn keys(jwk: Value) -> KeySet {
        KeySet::new(vec![VerifyingKey::parse(jwk.as_object().unwrap()).unwrap()])
    }

    fn signed(header: &str, payload: &[u8], key: &SigningKey) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).unwrap());
        format!("{message}.{signature}")
    }

    fn ed25519() -> SigningKey {
        SigningKey::generate("k1".into(), Algorithm::EdDSA, &SeededRng::new(1)).unwrap()
    }

    fn denied(token: &str, key: &SigningKey) -> Denial {
        let keys = KeySet::new(vec![key.verifying_key()]);
        verify(token, &keys, &Algorithm::ALL, KeyChoice::ByKid).unwrap_err().denial
    }

    #[test]
    fn the_rs256_example_of_rfc_7515_verifies() {
        // RFC 7515 appendix A.2.
        let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        let keys = keys(json!({"kty": "RSA", "n": n, "e": "AQAB"}));
        let verified = verify(token, &keys, &[Algorithm::RS256], KeyChoice::ByKidOrAlgorithm).unwrap();
        assert_eq!(verified.claims["iss"], "joe");
        assert_eq!(verified.claims["exp"], 1_300_819_380);
    }

    #[test]
    fn the_es256_example_of_rfc_7515_verifies() {
        // RFC 7515 appendix A.3.
        let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let keys = keys(json!({"kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}));
        assert!(verify(token, &keys, &[Algorithm::ES256], KeyChoice::ByKidOrAlgorithm).is_ok());
    }

    #[test]
    fn the_eddsa_example_of_rfc_8037_has_the_signature_of_the_rfc() {
        // RFC 8037 appendices A.1, A.4 and A.5; the payload is no JSON, so the key is asked directly.
        let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let (message, signature) = token.rsplit_once('.').unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let key = VerifyingKey::parse(jwk.as_object().unwrap()).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(key.verify(Algorithm::EdDSA, message.as_bytes(), &signature));
    }

    #[test]
    fn none_and_hmac_are_refused_also_with_the_public_key_as_secret() {
        let key = ed25519();
        let public = URL_SAFE_NO_PAD.decode(key.public_jwk()["x"].as_str().unwrap()).unwrap();
        for alg in ["none", "None", "HS256", "hs256", ""] {
            let header = format!(r#"{{"alg":"{alg}","kid":"k1","typ":"at+jwt"}}"#);
            let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
            let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &public);
            let tag = aws_lc_rs::hmac::sign(&secret, message.as_bytes());
            assert_eq!(denied(&format!("{message}."), &key), Denial::TokenAlgorithmRefused, "{alg}");
            let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
            assert_eq!(denied(&forged, &key), Denial::TokenAlgorithmRefused, "{alg}");
        }
    }

    #[test]
    fn the_algorithm_is_the_keys_and_not_the_tokens() {
        let key = ed25519();
        let token = signed(r#"{"alg":"RS256","kid":"k1"}"#, b"{}", &key);
        assert_eq!(denied(&token, &key), Denial::TokenAlgorithmRefused);
    }

    #[test]
    fn crit_zip_and_b64_are_refused() {
        let key = ed25519();
        for member in [r#""crit":["exp"],"exp":1"#, r#""crit":[]"#, r#""zip":"DEF""#, r#""b64":false"#] {
            let token = signed(&format!(r#"{{"alg":"EdDSA","kid":"k1",{member}}}"#), b"{}", &key);
            assert_eq!(denied(&token, &key), Denial::TokenHeaderRefused, "{member}");
        }
    }

    #[test]
    fn keys_in_the_header_are_not_followed() {
        let (ours, theirs) =
            (ed25519(), SigningKey::generate("x".into(), Algorithm::EdDSA, &SeededRng::new(2)).unwrap());
        let jwk = Value::Object(theirs.public_jwk());
        let header = json!({"alg": "EdDSA", "jwk": jwk, "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"});
        assert_eq!(denied(&signed(&header.to_string(), b"{}", &theirs), &ours), Denial::TokenKeyUnknown);
    }

    #[test]
    fn malformed_tokens_are_refused_before_any_work() {
        let key = ed25519();
        let good = sign(&key, "at+jwt", b"{}").unwrap();
        let twice = signed(r#"{"alg":"EdDSA","alg":"EdDSA","kid":"k1"}"#, b"{}", &key);
        for bad in [
            String::new(),
            "..".into(),
            good.replace('.', ""),
            format!("{good}.x"),
            format!("{good}="),
            format!("{good} "),
            format!(" {good}"),
            ".".repeat(1_000_000),
            "a".repeat(1_000_000),
            twice,
            signed(r#"{"alg":"EdDSA","kid":"k1"}"#, b"{\"a\":1,\"a\":2}", &key),
            signed(r#"{"alg":"EdDSA","kid":7}"#, b"{}", &key),
        ] {
            assert_eq!(denied(&bad, &key), Denial::TokenMalformed, "{}", &bad[..bad.len().min(80)]);
        }
    }

    #[test]
    fn dots_are_counted_across_any_length() {
        for (text, is_so) in [
            ("..".to_owned(), true),
            ("a.b".to_owned(), false),
            (format!("{}.{}.", "a".repeat(254), "b".repeat(255)), true),
            (".".repeat(258), false),
            (".".repeat(255 + 256), false),
        ] {
            assert_eq!(has_three_parts(&text), is_so, "{}", text.len());
        }
    }

    #[test]
    fn stray_bits_in_the_last_character_are_refused() {
        // 64 bytes leave four unused bits in the last character of an Ed25519 signature.
        let key = ed25519();
        let mut token = sign(&key, "at+jwt", b"{}").unwrap();
        let last = token.pop().unwrap();
        let next = char::from(u8::try_from(last).unwrap() + 1);
        token.push(next);
        assert_eq!(denied(&token, &key), Denial::TokenMalformed);
    }

    #[test]
    fn types_are_compared_without_application_and_in_any_case() {
        let header = |typ: &str| Header { alg: "EdDSA".into(), kid: None, typ: Some(typ.into()), refused: false };
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
            assert!(header(typ).is_access_token(), "{typ}");
        }
        for typ in ["JWT", "at+jwt ", "text/at+jwt", "xpplication/at+jwt", "logout+jwt", ""] {
            assert!(!header(typ).is_access_token(), "{typ}");
        }
    }

    /// A signed token of exactly this length.
    fn of_length(length: usize, key: &SigningKey) -> String {
        let padded = |typ: &str, padding: usize| {
            let payload = format!(r#"{{"padding":"{}"}}"#, "x".repeat(padding));
            sign(key, typ, payload.as_bytes()).unwrap()
        };
        // Base64 skips a length in each four, so two headers are tried.
        let about = length * 3 / 4 - 160;
        let mut tokens = ["a", "ab"].into_iter().flat_map(|typ| (about..about + 80).map(move |padding| (typ, padding)));
        tokens.find_map(|(typ, padding)| Some(padded(typ, padding)).filter(|token| token.len() == length)).unwrap()
    }

    #[test]
    fn token_has_16_kib_at_most() {
        let key = ed25519();
        let keys = KeySet::new(vec![key.verifying_key()]);
        let longest = of_length(16 * 1024, &key);
        assert!(verify(&longest, &keys, &Algorithm::ALL, KeyChoice::ByKid).is_ok());
        assert!(Header::peek(&longest).is_some());
        let longer = of_length(16 * 1024 + 1, &key);
        assert_eq!(denied(&longer, &key), Denial::TokenMalformed);
        assert_eq!(Header::peek(&longer), None);
    }

    #[test]
    fn header_has_2_kib_at_most_in_base64() {
        let key = ed25519();
        let with = |padding: usize| {
            let header = format!(r#"{{"alg":"EdDSA","kid":"k1","x":"{}"}}"#, "x".repeat(padding));
            (URL_SAFE_NO_PAD.encode(&header).len(), signed(&header, b"{}", &key))
        };
        let keys = KeySet::new(vec![key.verifying_key()]);
        let (length, longest) = with(1_503);
        assert_eq!(length, 2 * 1024);
        assert!(verify(&longest, &keys, &Algorithm::ALL, KeyChoice::ByKid).is_ok());
        assert_eq!(denied(&with(1_504).1, &key), Denial::TokenMalformed);
    }

    #[test]
    fn header_is_peeked_at_in_tokens_of_three_parts_only() {
        let token = sign(&ed25519(), "at+jwt", b"{}").unwrap();
        assert_eq!(Header::peek(&token).and_then(|header| header.kid).as_deref(), Some("k1"));
        let (two_parts, _) = token.rsplit_once('.').unwrap();
        assert_eq!((Header::peek(two_parts), Header::peek(&format!("{token}.x"))), (None, None));
    }

    proptest! {
        #[test]
        fn reading_never_panics(token in "[A-Za-z0-9_.=-]{0,200}") {
            let _ = Header::peek(&token);
            let _ = verify(&token, &KeySet::default(), &Algorithm::ALL, KeyChoice::ByKid);
        }
    }
}
