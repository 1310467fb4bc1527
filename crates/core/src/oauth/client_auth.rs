//! Client authentication (RFC 6749 section 2.3, RFC 7523, OpenID Connect Core section 9).
//!
//! What was presented is read first, then held against the client. A client that does not exist costs the same work
//! and gets the same answer as a wrong secret.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    access_token::{audience, text, time},
    api_key,
    client::{AuthenticationMethod, Client},
    client_metadata::ClientKeys,
    clock::Timestamp,
    denial::Denial,
    digest::{Digest, KeyedDigest, Peppers},
    form::Parameters,
    jwk::{Algorithm, KeySet},
    jws::{self, KeyChoice, Verified},
    refusal::Refusal,
    secret::{ExposeSecret, SecretString},
};

/// `client_assertion_type` of a JWT (RFC 7523 section 2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How far ahead an assertion's `exp` may lie.
pub const MAX_ASSERTION_LIFETIME: Duration = Duration::from_secs(5 * 60);

const ASSERTION_SKEW: Duration = Duration::from_secs(30);

/// What a request presented as the client's authentication.
#[derive(Debug)]
pub struct ClientCredential {
    /// `client_id`, not yet verified.
    pub client_id: String,
    /// The proof that came with it.
    pub proof: Proof,
}

/// How the client would prove itself.
#[derive(Debug)]
pub enum Proof {
    /// A JWT signed by the client.
    Assertion(SecretString),
    /// No proof, as from a public client.
    None,
    /// A secret in the Authorization header.
    SecretBasic(SecretString),
    /// A secret in the body.
    SecretPost(SecretString),
}

impl Proof {
    fn method(&self) -> AuthenticationMethod {
        match self {
            Self::Assertion(_) => AuthenticationMethod::PrivateKeyJwt,
            Self::None => AuthenticationMethod::None,
            Self::SecretBasic(_) => AuthenticationMethod::ClientSecretBasic,
            Self::SecretPost(_) => AuthenticationMethod::ClientSecretPost,
        }
    }
}

/// Reads what was presented, out of the Authorization header and the form.
pub fn present(authorization: Option<&[u8]>, form: &Parameters<'_>) -> Result<ClientCredential, Refusal> {
    let in_body = form.optional("client_id")?;
    let secret = form.optional("client_secret")?;
    let assertion = form.optional("client_assertion")?;
    let proofs = [authorization.is_some(), secret.is_some(), assertion.is_some()];
    if proofs.iter().filter(|given| **given).count() > 1 {
        return Err(Refusal::new(Denial::ClientAuthenticationMultiple));
    }
    let (client_id, proof) = if let Some(header) = authorization {
        let (client_id, secret) = basic(header).ok_or(Denial::ClientAuthenticationMalformed)?;
        // Libraries send the id of a public client so; nobody has an empty secret.
        let is_public = secret.expose_secret().is_empty();
        (client_id, if is_public { Proof::None } else { Proof::SecretBasic(secret) })
    } else if let Some(assertion) = assertion {
        if form.optional("client_assertion_type")? != Some(ASSERTION_TYPE) {
            return Err(Refusal::new(Denial::ClientAuthenticationMalformed).parameter("client_assertion_type"));
        }
        let subject = unverified_subject(assertion).ok_or(Denial::ClientAssertionInvalid)?;
        (subject, Proof::Assertion(assertion.into()))
    } else {
        let client_id = in_body.ok_or(Denial::ClientAuthenticationMissing)?;
        (client_id.to_owned(), secret.map_or(Proof::None, |secret| Proof::SecretPost(secret.into())))
    };
    if in_body.is_some_and(|stated| stated != client_id) {
        return Err(Refusal::new(Denial::ClientAuthenticationMalformed).parameter("client_id"));
    }
    Ok(ClientCredential { client_id, proof })
}

/// What else must hold before the client is authenticated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Authenticated {
    /// The client is authenticated; nothing more to check.
    Yes,
    /// The assertion's `jti` must not have been seen before `expires_at` has passed.
    OnceByAssertion {
        /// `jti`.
        id: String,
        /// `exp`.
        expires_at: Timestamp,
    },
}

/// What assertions may be addressed to.
#[derive(Clone, Copy, Debug)]
pub struct AssertionAudience<'a> {
    /// The issuer, which every assertion may name.
    pub issuer: &'a str,
    /// The path of the token endpoint, which follows the issuer, for clients that are registered so.
    pub token_path: &'a str,
}

impl AssertionAudience<'_> {
    fn is_token_endpoint(&self, audience: &str) -> bool {
        audience.strip_prefix(self.issuer) == Some(self.token_path)
    }
}

/// Holds what was presented against the client, which may not exist.
pub fn authenticate(
    credential: &ClientCredential,
    client: Option<&Client>,
    peppers: &Peppers,
    audience: AssertionAudience<'_>,
    now: Timestamp,
) -> Result<Authenticated, Refusal> {
    let refuse = |denial| Refusal::new(denial).fact("client_id", loggable_id(&credential.client_id));
    // A secret is compared in any case, so that the work is the same for a client that does not exist.
    let unmatchable = KeyedDigest { pepper: peppers.current().id().to_owned(), digest: Digest::from_bytes([0; 32]) };
    let secret_matches = match &credential.proof {
        Proof::SecretBasic(secret) | Proof::SecretPost(secret) => {
            let stored = client.and_then(|client| client.secret.as_ref()).unwrap_or(&unmatchable);
            peppers.matches(secret.expose_secret(), stored)
        }
        _ => false,
    };
    // A signature is checked in any case, likewise.
    let assertion = match &credential.proof {
        Proof::Assertion(assertion) => Some(verified_assertion(assertion.expose_secret(), client)),
        _ => None,
    };
    let client = client.ok_or_else(|| refuse(Denial::ClientUnknown))?;
    let method = credential.proof.method();
    let method_is_right = match client.metadata.token_endpoint_auth_method {
        AuthenticationMethod::ClientSecret => {
            matches!(method, AuthenticationMethod::ClientSecretBasic | AuthenticationMethod::ClientSecretPost)
        }
        registered => method == registered,
    };
    if !method_is_right {
        return Err(refuse(Denial::ClientMethodRefused).fact("used", method.as_str()));
    }
    let authenticated = match (&credential.proof, assertion) {
        (_, Some(verified)) => check_assertion(verified, client, audience, now)
            .map_err(|why| refuse(Denial::ClientAssertionInvalid).fact("assertion", why))?,
        (Proof::SecretBasic(_) | Proof::SecretPost(_), None) if !secret_matches => {
            return Err(refuse(Denial::ClientSecretWrong));
        }
        (_, None) => Authenticated::Yes,
    };
    match client.disabled_at {
        Some(_) => Err(refuse(Denial::ClientDisabled)),
        None => Ok(authenticated),
    }
}

/// A stated `client_id` as it may be noted: people put the secret, or a key, where the id belongs.
pub(crate) fn loggable_id(stated: &str) -> String {
    let is_secret = stated.starts_with("dw_") || api_key::looks_like_key(stated);
    if is_secret { format!("{}…", stated.chars().take(6).collect::<String>()) } else { stated.to_owned() }
}

/// Verifies the signature of an assertion with the keys that its client registered for that, if there are any.
fn verified_assertion(assertion: &str, client: Option<&Client>) -> Result<Verified, Refusal> {
    let none = KeySet::default();
    let by_keys =
        client.filter(|client| client.metadata.token_endpoint_auth_method == AuthenticationMethod::PrivateKeyJwt);
    let keys = by_keys.and_then(|client| client.metadata.jwks.as_ref()).map_or(&none, ClientKeys::keys);
    jws::verify_or_pretend(assertion, keys, &Algorithm::ALL, KeyChoice::ByKidOrAlgorithm)
}

/// RFC 7523 section 3. The error says what failed, for the operator.
fn check_assertion(
    verified: Result<Verified, Refusal>,
    client: &Client,
    expected: AssertionAudience<'_>,
    now: Timestamp,
) -> Result<Authenticated, String> {
    let reason = |refusal: Refusal| match refusal.facts.first() {
        Some((name, value)) => format!("{} ({name}: {value})", refusal.denial),
        None => refusal.denial.to_string(),
    };
    let verified = verified.map_err(reason)?;
    // A token made for another purpose must not pass for an assertion (RFC 8725 section 3.11).
    if verified.header.typ.is_some()
        && !verified.header.has_type("JWT")
        && !verified.header.has_type("client-authentication+jwt")
    {
        return Err("typ".to_owned());
    }
    let claims = &verified.claims;
    for name in ["iss", "sub"] {
        if text(claims, name).map_err(reason)? != client.id.as_str() {
            return Err(format!("{name} is not the client_id"));
        }
    }
    let stated = audience(claims).map_err(reason)?;
    let is_ours = |aud: &str| {
        aud == expected.issuer || (client.metadata.assertion_for_token_endpoint && expected.is_token_endpoint(aud))
    };
    // One audience alone: an assertion that others may use as well could be carried here by them.
    match &stated[..] {
        [one] if is_ours(one) => {}
        [one] if expected.is_token_endpoint(one) => {
            return Err("aud is the token endpoint, and the client is not registered for that".to_owned());
        }
        _ => return Err("aud is not the issuer alone".to_owned()),
    }
    let expires_at = time(claims, "exp").map_err(reason)?.ok_or("exp is missing")?;
    if now >= expires_at.plus(ASSERTION_SKEW) {
        return Err("exp has passed".to_owned());
    }
    if expires_at > now.plus(MAX_ASSERTION_LIFETIME).plus(ASSERTION_SKEW) {
        return Err("exp is too far ahead".to_owned());
    }
    for name in ["nbf", "iat"] {
        if time(claims, name).map_err(reason)?.is_some_and(|start| start > now.plus(ASSERTION_SKEW)) {
            return Err(format!("{name} lies ahead"));
        }
    }
    let id = text(claims, "jti").map_err(reason)?;
    if id.len() > 256 {
        return Err("jti is too long".to_owned());
    }
    Ok(Authenticated::OnceByAssertion { id: id.to_owned(), expires_at: expires_at.plus(ASSERTION_SKEW) })
}

/// `Basic base64(id ":" secret)`, both form-encoded (RFC 6749 section 2.3.1). Our ids and secrets hold nothing that
/// encoding would change, so raw ones read the same.
fn basic(header: &[u8]) -> Option<(String, SecretString)> {
    let (scheme, encoded) = std::str::from_utf8(header).ok()?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 1_024 {
        return None;
    }
    let decoded = zeroize::Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let plain = |part: &str| {
        if !part.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
            return Some(part.to_owned());
        }
        let spaced = part.replace('+', " ");
        Some(percent_encoding::percent_decode_str(&spaced).decode_utf8().ok()?.into_owned())
    };
    let id = plain(id).filter(|id| !id.is_empty())?;
    Some((id, plain(secret)?.into()))
}

/// The `sub` of an assertion, to find the client whose keys will verify it.
fn unverified_subject(assertion: &str) -> Option<String> {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    jws::Header::peek(assertion)?;
    let payload = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    text(&crate::json::parse_object(&payload).ok()?, "sub").ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::client_metadata::ClientMetadata;
    use crate::{digest::MasterKey, id::ClientId, jwk::SigningKey, random::SeededRng, scope::ScopeSet};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const AUDIENCE: AssertionAudience<'_> =
        AssertionAudience { issuer: "https://issuer.example", token_path: "/token" };
    const TOKEN_ENDPOINT: &str = "https://issuer.example/token";

    fn peppers() -> Peppers {
        Peppers::new([&MasterKey::generate(&SeededRng::new(9))])
    }

    fn key() -> SigningKey {
        SigningKey::generate("c1".into(), Algorithm::EdDSA, &SeededRng::new(3)).unwrap()
    }

    fn client(authentication: AuthenticationMethod) -> Client {
        Client {
            secret: authentication.has_secret().then(|| peppers().digest("s3cret")),
            ..Client::new(
                ClientId::new(NOW, &SeededRng::new(4)),
                ClientMetadata {
                    client_name: "Client".into(),
                    token_endpoint_auth_method: authentication,
                    grant_types: [].into(),
                    redirect_uris: vec![],
                    scope: ScopeSet::default(),
                    ..ClientMetadata::default()
                },
                NOW,
            )
        }
    }

    fn read(authorization: Option<&str>, form: &str) -> Result<ClientCredential, Denial> {
        present(authorization.map(str::as_bytes), &Parameters::parse(form.as_bytes()).unwrap())
            .map_err(|refusal| refusal.denial)
    }

    fn basic_header(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn attempt(credential: &ClientCredential, client: Option<&Client>) -> Result<Authenticated, Denial> {
        authenticate(credential, client, &peppers(), AUDIENCE, NOW).map_err(|refusal| refusal.denial)
    }

    #[test]
    fn basic_reads_raw_and_form_encoded_alike() {
        for encoded in ["cli_1:a-b_c", "cli%5F1:a%2Db_c"] {
            let credential = read(Some(&basic_header(encoded)), "").unwrap();
            assert_eq!(credential.client_id, "cli_1");
            assert!(matches!(credential.proof, Proof::SecretBasic(secret) if secret.expose_secret() == "a-b_c"));
        }
    }

    #[test]
    fn malformed_basic_is_an_invalid_request() {
        for bad in [
            "Basic",
            "Basic ",
            "Basic !!!!",
            "Bearer abc",
            &basic_header("cli_1:x").replace("Basic", "Bearer"),
            &basic_header("nocolon"),
            &basic_header(":x"),
            "Basic \u{e4}",
        ] {
            assert_eq!(read(Some(bad), "").unwrap_err(), Denial::ClientAuthenticationMalformed, "{bad}");
        }
    }

    #[test]
    fn two_ways_at_once_are_refused_and_an_equal_client_id_is_not() {
        let header = basic_header("cli_1:x");
        assert_eq!(read(Some(&header), "client_secret=x").unwrap_err(), Denial::ClientAuthenticationMultiple);
        assert!(read(Some(&header), "client_id=cli_1").is_ok());
        assert_eq!(read(Some(&header), "client_id=cli_2").unwrap_err(), Denial::ClientAuthenticationMalformed);
        assert_eq!(read(None, "").unwrap_err(), Denial::ClientAuthenticationMissing);
    }

    #[test]
    fn secret_is_accepted_only_in_the_registered_place() {
        use AuthenticationMethod as Method;
        let basic = read(Some(&basic_header("cli_1:s3cret")), "").unwrap();
        let post = read(None, "client_id=cli_1&client_secret=s3cret").unwrap();
        let none = read(None, "client_id=cli_1").unwrap();
        assert_eq!(attempt(&basic, Some(&client(Method::ClientSecret))), Ok(Authenticated::Yes));
        assert_eq!(attempt(&post, Some(&client(Method::ClientSecret))), Ok(Authenticated::Yes));
        assert_eq!(attempt(&post, Some(&client(Method::ClientSecretBasic))), Err(Denial::ClientMethodRefused));
        assert_eq!(attempt(&none, Some(&client(Method::ClientSecret))), Err(Denial::ClientMethodRefused));
        assert_eq!(attempt(&none, Some(&client(Method::None))), Ok(Authenticated::Yes));
        assert_eq!(attempt(&basic, Some(&client(Method::None))), Err(Denial::ClientMethodRefused));
    }

    #[test]
    fn empty_secret_by_basic_is_that_of_a_public_client() {
        use AuthenticationMethod as Method;
        let empty = read(Some(&basic_header("cli_1:")), "").unwrap();
        assert!(matches!(empty.proof, Proof::None));
        assert_eq!(attempt(&empty, Some(&client(Method::None))), Ok(Authenticated::Yes));
        assert_eq!(attempt(&empty, Some(&client(Method::ClientSecret))), Err(Denial::ClientMethodRefused));
        let with_another = read(Some(&basic_header("cli_1:")), "client_secret=x").unwrap_err();
        assert_eq!(with_another, Denial::ClientAuthenticationMultiple);
    }

    #[test]
    fn a_secret_where_the_id_belongs_is_not_noted() {
        assert_eq!(loggable_id("dw_cs_wrongFieldwrongFieldwrongFieldwrongField"), "dw_cs_…");
        for id in ["cli_0190", "my-app", ""] {
            assert_eq!(loggable_id(id), id);
        }
        let swapped = read(Some(&basic_header("dw_cs_wrongField:cli_1")), "").unwrap();
        let refusal = authenticate(&swapped, None, &peppers(), AUDIENCE, NOW).unwrap_err();
        assert_eq!(refusal.facts, [("client_id", "dw_cs_…".to_owned())]);
    }

    #[test]
    fn unknown_wrong_and_disabled_look_alike() {
        let wrong = read(Some(&basic_header("cli_1:other")), "").unwrap();
        let right = read(Some(&basic_header("cli_1:s3cret")), "").unwrap();
        let disabled = Client { disabled_at: Some(NOW), ..client(AuthenticationMethod::ClientSecret) };
        let denials = [
            attempt(&right, None).unwrap_err(),
            attempt(&wrong, Some(&client(AuthenticationMethod::ClientSecret))).unwrap_err(),
            attempt(&right, Some(&disabled)).unwrap_err(),
        ];
        assert_eq!(denials, [Denial::ClientUnknown, Denial::ClientSecretWrong, Denial::ClientDisabled]);
        assert!(denials.iter().all(|denial| denial.shown_as() == denials[0].shown_as()));
    }

    fn asserted(change: Value) -> Result<Authenticated, Denial> {
        let mut client = client(AuthenticationMethod::PrivateKeyJwt);
        client.metadata.jwks = ClientKeys::parse(json!({"keys": [key().public_jwk()]}).to_string().as_bytes()).ok();
        client.metadata.assertion_for_token_endpoint = change.get("registered").is_some();
        let mut claims = json!({"iss": client.id, "sub": client.id, "aud": AUDIENCE.issuer, "jti": "j1",
            "exp": NOW.as_secs() + 60, "iat": NOW.as_secs()});
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let assertion = jws::sign(&key(), "JWT", claims.to_string().as_bytes()).unwrap();
        let form = format!("client_assertion={assertion}&client_assertion_type={ASSERTION_TYPE}");
        attempt(&read(None, &form).unwrap(), Some(&client))
    }

    #[test]
    fn an_assertion_is_for_the_issuer_once_and_short() {
        assert!(matches!(asserted(json!({})), Ok(Authenticated::OnceByAssertion { id, .. }) if id == "j1"));
        for bad in [
            json!({"aud": TOKEN_ENDPOINT}),
            json!({"aud": [AUDIENCE.issuer, "https://other.example"]}),
            json!({"aud": "https://other.example"}),
            json!({"iss": "cli_2"}),
            json!({"exp": NOW.as_secs() - 31}),
            json!({"exp": NOW.as_secs() + 400}),
            json!({"iat": NOW.as_secs() + 100}),
            json!({"jti": ""}),
        ] {
            assert_eq!(asserted(bad.clone()), Err(Denial::ClientAssertionInvalid), "{bad}");
        }
        assert!(asserted(json!({"aud": TOKEN_ENDPOINT, "registered": true})).is_ok());
        assert!(asserted(json!({"aud": [AUDIENCE.issuer]})).is_ok());
    }

    #[test]
    fn times_of_an_assertion_may_be_half_a_minute_off() {
        let at = |ahead: i64| NOW.as_secs() + ahead;
        for (good, bad) in [
            (json!({"exp": at(-29)}), json!({"exp": at(-30)})),
            (json!({"exp": at(330)}), json!({"exp": at(331)})),
            (json!({"iat": at(30)}), json!({"iat": at(31)})),
            (json!({"nbf": at(30)}), json!({"nbf": at(31)})),
        ] {
            let ends = good.get("exp").map_or(at(60), |exp| exp.as_i64().unwrap()) + 30;
            let once = Authenticated::OnceByAssertion { id: "j1".into(), expires_at: Timestamp::from_secs(ends) };
            assert_eq!(asserted(good.clone()), Ok(once), "{good}");
            assert_eq!(asserted(bad.clone()), Err(Denial::ClientAssertionInvalid), "{bad}");
        }
    }

    #[test]
    fn jti_of_an_assertion_has_256_bytes_at_most() {
        assert!(asserted(json!({"jti": "j".repeat(256)})).is_ok());
        assert_eq!(asserted(json!({"jti": "j".repeat(257)})), Err(Denial::ClientAssertionInvalid));
    }

    #[test]
    fn token_of_another_type_is_no_assertion() {
        let client = client(AuthenticationMethod::PrivateKeyJwt);
        let claims = json!({"iss": client.id, "sub": client.id, "aud": AUDIENCE.issuer, "jti": "j1",
            "exp": NOW.as_secs() + 60});
        let check = |typ: &str, claims: &Value| {
            let token = jws::sign(&key(), typ, claims.to_string().as_bytes()).unwrap();
            let keys = KeySet::new(vec![key().verifying_key()]);
            let verified = jws::verify(&token, &keys, &Algorithm::ALL, KeyChoice::ByKid);
            check_assertion(verified, &client, AUDIENCE, NOW).map(|_| ())
        };
        for typ in ["JWT", "client-authentication+jwt", "application/jwt"] {
            assert_eq!(check(typ, &claims), Ok(()), "{typ}");
        }
        for typ in ["at+jwt", ""] {
            assert_eq!(check(typ, &claims), Err("typ".to_owned()), "{typ}");
        }
        let with = |name: &str, value: &str| {
            let mut claims = claims.clone();
            claims[name] = value.into();
            check("JWT", &claims).unwrap_err()
        };
        assert_eq!(with("sub", "cli_2"), "sub is not the client_id");
        assert_eq!(with("aud", "https://other.example"), "aud is not the issuer alone");
        let endpoint = with("aud", TOKEN_ENDPOINT);
        assert_eq!(endpoint, "aud is the token endpoint, and the client is not registered for that");
    }

    #[test]
    fn assertion_comes_with_its_type() {
        let assertion = jws::sign(&key(), "JWT", br#"{"sub":"cli_1"}"#).unwrap();
        let read = |assertion_type: &str| {
            read(None, &format!("client_assertion={assertion}&client_assertion_type={assertion_type}"))
        };
        assert_eq!(read(ASSERTION_TYPE).unwrap().client_id, "cli_1");
        assert_eq!(read("other").unwrap_err(), Denial::ClientAuthenticationMalformed);
    }

    #[test]
    fn basic_credentials_have_1024_characters_at_most() {
        let of_length = |length: usize| basic_header(&format!("cli_1:{}", "s".repeat(length - 6)));
        assert!(read(Some(&of_length(768)), "").is_ok());
        assert_eq!(read(Some(&of_length(769)), "").unwrap_err(), Denial::ClientAuthenticationMalformed);
    }

    #[test]
    fn api_key_where_the_id_belongs_is_not_noted() {
        assert_eq!(loggable_id(&format!("sk_live_{}", "a".repeat(38))), "sk_liv…");
        assert_eq!(loggable_id("dw_x"), "dw_x…");
    }
}
