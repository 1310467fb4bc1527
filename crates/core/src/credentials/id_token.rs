//! ID tokens (OpenID Connect Core section 2): who signed in, for the client only.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    access_token::{as_secs, audience, optional_as_secs, text},
    clock::Timestamp,
    denial::Denial,
    id::{SessionId, UserId},
    jwk::{Algorithm, InvalidSigningKey, KeySet, SigningKey},
    jws::{self, Header, KeyChoice},
    refusal::Refusal,
    scope::{self, ScopeSet},
    session::SignInMethod,
    user::UserMetadata,
};

/// `typ` of an ID token: never that of an access token (RFC 8725 section 3.11).
pub const TYPE: &str = "JWT";

/// The claims of a new ID token.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    /// The issuer, exactly as in the server's metadata.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The id of the user who signed in.
    #[serde(rename = "sub")]
    pub subject: String,
    /// The client that the token was issued to.
    #[serde(rename = "aud")]
    pub audience: String,
    /// When the token expires, in whole seconds.
    #[serde(rename = "exp", serialize_with = "as_secs")]
    pub expires_at: Timestamp,
    /// When the token was issued.
    #[serde(rename = "iat", serialize_with = "as_secs")]
    pub issued_at: Timestamp,
    /// When the user signed in.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_as_secs")]
    pub auth_time: Option<Timestamp>,
    /// What the client sent, unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The first half of the SHA-256 of the access token (section 3.1.3.6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    /// The session at the issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// How well the user was authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'static str>,
    /// How the user was authenticated (RFC 8176).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<SignInMethod>,
    /// The user's claims, as far as the granted scopes permit.
    #[serde(flatten)]
    pub user: UserClaims,
}

/// Claims about a user (OpenID Connect Core section 5.1), as far as the granted scopes permit.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct UserClaims {
    /// `profile`: the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `profile`: the user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// `profile`: when any of these was last changed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_as_secs")]
    pub updated_at: Option<Timestamp>,
    /// `email`: the email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `email`: whether it was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
}

impl UserClaims {
    /// The claims of a user that `scopes` permit (OpenID Connect Core section 5.4). A claim without a value is left out.
    pub fn of(user: &UserMetadata, updated_at: Timestamp, scopes: &ScopeSet) -> Self {
        let has_profile = scopes.contains(scope::PROFILE);
        let email = user.email.clone().filter(|_| scopes.contains(scope::EMAIL));
        Self {
            name: user.name.clone().filter(|_| has_profile),
            preferred_username: has_profile.then(|| user.username.clone()),
            updated_at: has_profile.then_some(updated_at),
            email_verified: email.is_some().then_some(user.email_verified),
            email,
        }
    }
}

/// The one `acr` there is: the user proved one factor, a password.
pub const SINGLE_FACTOR: &str = "urn:doorward:acr:single-factor";

/// `acr` of a user who signed in by these methods; `None` where none of them is known.
pub fn acr(methods: &[SignInMethod]) -> Option<&'static str> {
    methods.contains(&SignInMethod::Password).then_some(SINGLE_FACTOR)
}

/// `amr` of a user who signed in by these methods: each once, those without a name left out.
pub fn amr(methods: &[SignInMethod]) -> Vec<SignInMethod> {
    let mut named = Vec::new();
    for method in methods.iter().filter(|method| **method != SignInMethod::Other) {
        if !named.contains(method) {
            named.push(*method);
        }
    }
    named
}

/// What verifies the ID tokens that this server issued.
#[derive(Clone, Copy, Debug)]
pub struct IssuedIdTokens<'a> {
    /// The issuer that the token must name.
    pub issuer: &'a str,
    /// The published keys of that issuer.
    pub keys: &'a KeySet,
}

/// An `id_token_hint`: an ID token of this server that a client sends back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IdTokenHint {
    /// It claims to be one of this server's, but its key has been removed. It names nobody.
    KeyGone {
        /// The client that it claims to be for, unverified.
        audience: Vec<String>,
    },
    /// It is one of this server's.
    Verified(HintedSignIn),
}

/// The contents of a verified `id_token_hint`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HintedSignIn {
    /// The user who had signed in.
    pub user: UserId,
    /// The session in which the user signed in.
    pub session: Option<SessionId>,
    /// The client that the token was issued to.
    pub audience: Vec<String>,
}

impl IssuedIdTokens<'_> {
    /// Reads an `id_token_hint`: signature, type and issuer must be right. It may have expired (OpenID Connect Core
    /// section 3.1.2.1); whether it was issued to the client that sends it is for the caller to check.
    pub fn read_hint(&self, token: &str) -> Result<IdTokenHint, Refusal> {
        match jws::verify(token, self.keys, &Algorithm::ALL, KeyChoice::ByKid) {
            Ok(verified) => self.stated_sign_in(&verified.header, &verified.claims).map(IdTokenHint::Verified),
            Err(refusal) if refusal.denial == Denial::TokenKeyUnknown => match self.unverified(token) {
                Some(HintedSignIn { audience, .. }) => Ok(IdTokenHint::KeyGone { audience }),
                None => Err(flawed(&refusal)),
            },
            Err(refusal) => Err(flawed(&refusal)),
        }
    }

    /// The contents of a token, unverified, if it looks like one of this server's.
    fn unverified(&self, token: &str) -> Option<HintedSignIn> {
        let (header, (_, claims)) = Header::peek(token).zip(jws::decode_unverified(token))?;
        self.stated_sign_in(&header, &claims).ok()
    }

    fn stated_sign_in(&self, header: &Header, claims: &Map<String, Value>) -> Result<HintedSignIn, Refusal> {
        let text = |name| text(claims, name).map_err(|refusal| flawed(&refusal));
        if !header.has_type(TYPE) {
            return Err(unusable("not an id_token"));
        }
        if text("iss")? != self.issuer {
            return Err(unusable("another issuer"));
        }
        Ok(HintedSignIn {
            user: UserId::parse(text("sub")?).map_err(|_| unusable("sub is no user"))?,
            session: claims.get("sid").and_then(Value::as_str).and_then(|sid| SessionId::parse(sid).ok()),
            audience: audience(claims).map_err(|refusal| flawed(&refusal))?,
        })
    }
}

fn unusable(why: &str) -> Refusal {
    Refusal::new(Denial::ParameterInvalid).parameter("id_token_hint").fact("why", why)
}

fn flawed(refusal: &Refusal) -> Refusal {
    unusable(refusal.denial.code())
}

impl Claims {
    /// Signs the claims as a compact JWS.
    pub fn sign(&self, key: &SigningKey) -> Result<String, InvalidSigningKey> {
        let payload = serde_json::to_vec(self).map_err(|_| InvalidSigningKey)?;
        jws::sign(key, TYPE, &payload)
    }
}

/// `at_hash` for an access token, for algorithms on SHA-256. EdDSA on Ed25519 hashes with SHA-512 inside
/// (RFC 8032 section 5.1), and clients take that for `at_hash` too.
pub fn at_hash(access_token: &str, algorithm: Algorithm) -> String {
    use aws_lc_rs::digest::{SHA256, SHA512, digest};
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    let hash = match algorithm {
        Algorithm::EdDSA => &SHA512,
        _ => &SHA256,
    };
    let digest = digest(hash, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRng;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const ISSUER: &str = "https://issuer.example";

    fn key() -> SigningKey {
        SigningKey::generate("k1".into(), Algorithm::EdDSA, &SeededRng::new(1)).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            issuer: ISSUER.into(),
            subject: UserId::new(NOW, &SeededRng::new(2)).to_string(),
            audience: "cli_1".into(),
            expires_at: NOW,
            issued_at: NOW,
            auth_time: None,
            nonce: None,
            at_hash: None,
            sid: None,
            acr: acr(&[SignInMethod::Password]),
            amr: amr(&[SignInMethod::Password, SignInMethod::Password]),
            user: UserClaims::default(),
        }
    }

    fn hint(token: &str) -> Result<IdTokenHint, Denial> {
        let keys = KeySet::new(vec![key().verifying_key()]);
        IssuedIdTokens { issuer: ISSUER, keys: &keys }.read_hint(token).map_err(|refusal| refusal.denial)
    }

    #[test]
    fn hint_names_user_session_and_client_after_it_expired() {
        let session = SessionId::new(NOW, &SeededRng::new(3));
        let with_sid = Claims { sid: Some(session.to_string()), ..claims() };
        for (claims, session) in [(claims(), None), (with_sid, Some(session))] {
            let user = UserId::parse(&claims.subject).unwrap();
            let verified = HintedSignIn { user, session, audience: vec!["cli_1".into()] };
            assert_eq!(hint(&claims.sign(&key()).unwrap()), Ok(IdTokenHint::Verified(verified)));
        }
    }

    #[test]
    fn hint_of_ours_whose_key_is_gone_names_nobody() {
        let gone = SigningKey::generate("k0".into(), Algorithm::EdDSA, &SeededRng::new(8)).unwrap();
        assert_eq!(hint(&claims().sign(&gone).unwrap()), Ok(IdTokenHint::KeyGone { audience: vec!["cli_1".into()] }));
        let payload = serde_json::to_vec(&claims()).unwrap();
        for (token, what) in [
            (jws::sign(&gone, "at+jwt", &payload).unwrap(), "an access token"),
            (Claims { issuer: "https://other.example".into(), ..claims() }.sign(&gone).unwrap(), "another issuer"),
            (Claims { subject: "cli_1".into(), ..claims() }.sign(&gone).unwrap(), "no user"),
        ] {
            assert_eq!(hint(&token), Err(Denial::ParameterInvalid), "{what}");
        }
    }

    #[test]
    fn hint_that_is_no_id_token_of_ours_is_refused() {
        let payload = serde_json::to_vec(&claims()).unwrap();
        let stranger = SigningKey::generate("k1".into(), Algorithm::EdDSA, &SeededRng::new(9)).unwrap();
        let sign = |claims: Claims| claims.sign(&key()).unwrap();
        for (token, what) in [
            ("nonsense".to_owned(), "no JWT"),
            (jws::sign(&key(), "at+jwt", &payload).unwrap(), "an access token"),
            (claims().sign(&stranger).unwrap(), "another signature"),
            (sign(Claims { issuer: "https://other.example".into(), ..claims() }), "another issuer"),
            (sign(Claims { subject: "cli_1".into(), ..claims() }), "no user"),
        ] {
            assert!(hint(&token).is_err(), "{what}");
        }
    }

    #[test]
    fn user_claims_follow_the_scopes() {
        let user = UserMetadata {
            username: "ada".into(),
            name: Some("Ada".into()),
            email: Some("ada@example.com".into()),
            email_verified: true,
        };
        let of = |scopes| UserClaims::of(&user, NOW, &ScopeSet::parse(scopes).unwrap());
        assert_eq!(of("openid notes:read"), UserClaims::default());
        let profile = of("openid profile");
        assert_eq!((profile.name.as_deref(), profile.updated_at, profile.email), (Some("Ada"), Some(NOW), None));
        let email = of("openid email");
        assert_eq!((email.email.as_deref(), email.email_verified), (Some("ada@example.com"), Some(true)));
        assert_eq!((email.name, email.preferred_username, email.updated_at), (None, None, None));
        let without = UserMetadata { email: None, ..user.clone() };
        let claims = UserClaims::of(&without, NOW, &ScopeSet::parse("email").unwrap());
        assert_eq!(claims, UserClaims::default(), "no address, so no statement about it");
    }

    #[test]
    fn amr_names_each_known_method_once() {
        assert_eq!(serde_json::to_value(amr(&[SignInMethod::Password; 2])).unwrap(), serde_json::json!(["pwd"]));
        assert_eq!((amr(&[SignInMethod::Other]), acr(&[SignInMethod::Other])), (vec![], None));
    }

    #[test]
    fn at_hash_is_that_of_openid_connect_core() {
        // OpenID Connect Core appendix A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(token, Algorithm::RS256), "77QmUPtjPfzWtF2AnpK9RQ");
    }

    #[test]
    fn acr_is_that_of_one_factor() {
        assert_eq!(acr(&[SignInMethod::Other, SignInMethod::Password]), Some(SINGLE_FACTOR));
        assert_eq!(acr(&[]), None);
    }

    #[test]
    fn at_hash_for_eddsa_is_half_of_sha_512() {
        // SHA-512("abc") begins so (FIPS 180-4, examples of the NIST).
        assert_eq!(at_hash("abc", Algorithm::EdDSA), "3a81oZNherrMQXNJriBBMRLm-k6JqX6iCp7u5ktV05o");
    }
}
