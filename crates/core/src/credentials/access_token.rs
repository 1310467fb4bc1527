//! Access tokens as JWTs (RFC 9068): their claims, how they are issued and how they are verified.
//!
//! Verification covers all that RFC 9068 section 4 and RFC 8725 name: signature, `typ`, `alg`, `iss`, `aud`, `exp`,
//! `nbf`, `iat`, and that a bound token is not accepted as a bearer token (RFC 9449 section 7.2).

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    api::{ResourceIdentifier, Role},
    clock::Timestamp,
    denial::Denial,
    id::{GrantId, TokenId},
    jwk::{Algorithm, InvalidSigningKey, KeySet, SigningKey},
    jws::{self, KeyChoice},
    principal::{CredentialKind, Principal, PrincipalKind},
    refusal::Refusal,
    scope::ScopeSet,
};

/// `typ` of an access token (RFC 9068 section 2.1).
pub const TYPE: &str = "at+jwt";
/// The maximum allowed skew between two clocks.
pub const MAX_SKEW: Duration = Duration::from_secs(60);

/// The claims of a new access token, in either format.
#[derive(Clone, Debug, Serialize)]
pub struct Claims {
    /// The issuer, exactly as in the server's metadata.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// The user, or the client that acts for itself.
    #[serde(rename = "sub")]
    pub subject: String,
    /// The API; the issuer as well when `openid` was granted.
    #[serde(rename = "aud", serialize_with = "one_or_many")]
    pub audience: Vec<String>,
    /// When the token expires, in whole seconds.
    #[serde(rename = "exp", serialize_with = "as_secs")]
    pub expires_at: Timestamp,
    /// When the token was issued.
    #[serde(rename = "iat", serialize_with = "as_secs")]
    pub issued_at: Timestamp,
    /// The token's own id, by which it can be revoked.
    #[serde(rename = "jti")]
    pub id: TokenId,
    /// The client that the token was issued to.
    pub client_id: String,
    /// The scopes of the token.
    #[serde(rename = "scope")]
    pub scopes: ScopeSet,
    /// The subject's roles at the API (RFC 9068 section 2.2.3.1).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// The user's grant, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<GrantId>,
    /// When the user signed in (RFC 9068 section 2.2.1).
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_as_secs")]
    pub auth_time: Option<Timestamp>,
}

impl Claims {
    /// The token: signed, with `typ` and `kid`.
    pub fn sign(&self, key: &SigningKey) -> Result<String, InvalidSigningKey> {
        let mut payload = Vec::with_capacity(512);
        serde_json::to_writer(&mut payload, self).map_err(|_| InvalidSigningKey)?;
        jws::sign(key, TYPE, &payload)
    }
}

/// A single value is a string, several are an array (RFC 7519 section 4.1.3).
pub(crate) fn one_or_many<S: serde::Serializer>(values: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match values {
        [one] => serializer.serialize_str(one),
        many => many.serialize(serializer),
    }
}

pub(crate) fn as_secs<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(time.as_secs())
}

pub(crate) fn optional_as_secs<S: serde::Serializer>(time: &Option<Timestamp>, s: S) -> Result<S::Ok, S::Error> {
    time.map(Timestamp::as_secs).serialize(s)
}

/// What a verifier expects of a token.
#[derive(Clone, Debug)]
pub struct Expectation<'a> {
    /// The exact `iss`.
    pub issuer: &'a str,
    /// What `aud` must contain, exactly.
    pub audience: &'a str,
    /// The algorithms that are allowed.
    pub algorithms: &'a [Algorithm],
    /// How far clocks may differ, at most [`MAX_SKEW`].
    pub skew: Duration,
}

/// A verified access token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessToken {
    /// The user, or the client that acts for itself.
    pub subject: String,
    /// Everything in `aud`.
    pub audience: Vec<String>,
    /// When the token expires, in whole seconds.
    pub expires_at: Timestamp,
    /// When the token was issued.
    pub issued_at: Timestamp,
    /// The time before which it is not valid.
    pub not_before: Option<Timestamp>,
    /// The token's own id, by which it can be revoked.
    pub id: String,
    /// The client that the token was issued to.
    pub client_id: String,
    /// The scopes of the token.
    pub scopes: ScopeSet,
    /// The subject's roles at the API.
    pub roles: BTreeSet<Role>,
    /// The user's grant, if there is one.
    pub grant_id: Option<String>,
    /// The issuer, if the token names it.
    pub issuer: Option<String>,
    /// The other claims, which have no field here.
    pub other_claims: Map<String, Value>,
    /// Whether it is bound to a key (`cnf`, RFC 7800), which a bearer would have to prove.
    pub is_bound: bool,
}

/// How far the verifier's clock may differ from the issuer's.
#[derive(Clone, Copy, Debug)]
pub struct Leeway {
    start: Duration,
    end: Duration,
}

impl Leeway {
    /// For an issuer that verifies its own tokens: another node's clock may be ahead, so a token may start in the
    /// future. No token is accepted after its expiry.
    pub fn between_nodes(skew: Duration) -> Self {
        Self { start: skew.min(MAX_SKEW), end: Duration::ZERO }
    }
}

impl From<Duration> for Leeway {
    /// For all other verifiers: at the start and at the end.
    fn from(skew: Duration) -> Self {
        Self { start: skew.min(MAX_SKEW), end: skew.min(MAX_SKEW) }
    }
}

impl AccessToken {
    /// Checks the times of a token that was verified earlier and cached.
    pub fn check_times(&self, leeway: impl Into<Leeway>, now: Timestamp) -> Result<(), Refusal> {
        let Leeway { start, end } = leeway.into();
        if now >= self.expires_at.plus(end) {
            return Err(Refusal::new(Denial::TokenExpired).fact("exp", self.expires_at.as_secs()));
        }
        let latest_start = self.not_before.unwrap_or(self.issued_at).max(self.issued_at);
        if latest_start > now.plus(start) {
            return Err(Refusal::new(Denial::TokenNotYetValid).fact("valid_from", latest_start.as_secs()));
        }
        Ok(())
    }

    /// Refuses a token that may not be used at `audience` at `now`: it is for another API, outside its time, or bound to
    /// a key whose proof nothing here can check (RFC 9068 section 4, RFC 9449 section 7.2).
    pub fn check_use(&self, audience: &str, leeway: impl Into<Leeway>, now: Timestamp) -> Result<(), Refusal> {
        if !self.audience.iter().any(|stated| stated == audience) {
            // A token with OpenID Connect's scopes only is for the issuer only.
            let is_of_no_api = self.issuer.as_ref().is_some_and(|issuer| self.audience == [issuer.as_str()]);
            let denial = if is_of_no_api { Denial::TokenOfNoApi } else { Denial::TokenAudienceWrong };
            let refusal = Refusal::new(denial).fact("aud", self.audience.join(" ")).fact("expected", audience);
            return Err(refusal.fact("granted_scope", &self.scopes));
        }
        self.check_times(leeway, now)?;
        if self.is_bound {
            return Err(Refusal::new(Denial::TokenBindingUnproven));
        }
        Ok(())
    }

    /// The principal of the token at `audience`.
    pub fn into_principal(self, audience: ResourceIdentifier) -> Principal {
        let kind = if self.subject == self.client_id { PrincipalKind::Client } else { PrincipalKind::User };
        Principal {
            kind,
            subject: self.subject,
            client_id: Some(self.client_id),
            owner: None,
            name: None,
            credential: CredentialKind::AccessTokenJwt,
            credential_id: Some(self.id),
            grant_id: self.grant_id,
            audience,
            scopes: self.scopes,
            roles: self.roles,
            expires_at: Some(self.expires_at),
            claims: self.other_claims,
        }
    }
}

/// Verifies an access token in the form of a JWT (RFC 9068 section 4).
pub fn verify(token: &str, keys: &KeySet, expect: &Expectation<'_>, now: Timestamp) -> Result<AccessToken, Refusal> {
    let token = verify_issued(token, keys, expect.issuer, expect.algorithms)?;
    token.check_use(expect.audience, expect.skew, now)?;
    Ok(token)
}

/// Verifies that an access token is one and who issued it, but neither audience nor times: for the issuer itself, which
/// answers for the tokens of all its APIs.
pub fn verify_issued(
    token: &str,
    keys: &KeySet,
    issuer: &str,
    algorithms: &[Algorithm],
) -> Result<AccessToken, Refusal> {
    let verified = jws::verify(token, keys, algorithms, KeyChoice::ByKid)?;
    if !verified.header.is_access_token() {
        let typ = verified.header.typ.as_deref().unwrap_or("(none)");
        return Err(Refusal::new(Denial::TokenTypeWrong).fact("typ", typ));
    }
    let stated = text(&verified.claims, "iss")?;
    if stated != issuer {
        return Err(Refusal::new(Denial::TokenIssuerWrong).fact("iss", stated).fact("expected", issuer));
    }
    AccessToken::from_claims(&verified.claims)
}

impl AccessToken {
    /// Reads the claims of an access token whose issuer is known: a verified JWT's, or those stored for an opaque one.
    pub fn from_claims(claims: &Map<String, Value>) -> Result<Self, Refusal> {
        let scopes = match claims.get("scope") {
            None => ScopeSet::default(),
            Some(Value::String(scopes)) => ScopeSet::parse(scopes).map_err(|_| invalid("scope"))?,
            Some(_) => return Err(invalid("scope")),
        };
        Ok(Self {
            subject: text(claims, "sub")?.to_owned(),
            audience: audience(claims)?,
            expires_at: time(claims, "exp")?.ok_or_else(|| invalid("exp"))?,
            issued_at: time(claims, "iat")?.ok_or_else(|| invalid("iat"))?,
            not_before: time(claims, "nbf")?,
            id: text(claims, "jti")?.to_owned(),
            client_id: text(claims, "client_id")?.to_owned(),
            scopes,
            roles: roles(claims)?,
            grant_id: claims.get("grant_id").map(|_| text(claims, "grant_id").map(str::to_owned)).transpose()?,
            issuer: claims.get("iss").and_then(Value::as_str).map(str::to_owned),
            other_claims: claims
                .iter()
                .filter(|(name, _)| !is_read(name))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect(),
            is_bound: claims.contains_key("cnf"),
        })
    }
}

/// Whether a claim has a field of its own, or is a member of an introspection answer (RFC 7662 section 2.2) that says
/// the same.
fn is_read(claim: &str) -> bool {
    const READ: [&str; 14] = [
        "active",
        "aud",
        "client_id",
        "cnf",
        "exp",
        "grant_id",
        "iat",
        "iss",
        "jti",
        "nbf",
        "roles",
        "scope",
        "sub",
        "token_type",
    ];
    READ.contains(&claim)
}

fn invalid(claim: &'static str) -> Refusal {
    Refusal::new(Denial::TokenClaimsInvalid).fact("claim", claim)
}

/// A claim that must be a text, and not empty.
pub(crate) fn text<'a>(claims: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Refusal> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(|| invalid(name))
}

/// A claim that may be a NumericDate (RFC 7519 section 2): not negative, fractions cut.
pub(crate) fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let secs = value.as_i64().or_else(|| value.as_f64().map(|secs| secs.floor() as i64));
    secs.filter(|secs| *secs >= 0).map(|secs| Some(Timestamp::from_secs(secs))).ok_or_else(|| invalid(name))
}

/// `aud`: a text or a list of texts (RFC 7519 section 4.1.3).
pub(crate) fn audience(claims: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    match claims.get("aud") {
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(many)) => {
            many.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(|| invalid("aud"))).collect()
        }
        _ => Err(invalid("aud")),
    }
}

fn roles(claims: &Map<String, Value>) -> Result<BTreeSet<Role>, Refusal> {
    let Some(value) = claims.get("roles") else { return Ok(BTreeSet::new()) };
    let roles = value.as_array().ok_or_else(|| invalid("roles"))?;
    let role = |value: &Value| Role::parse(value.as_str()?).ok();
    roles.iter().map(|value| role(value).ok_or_else(|| invalid("roles"))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::random::SeededRng;

    const ISSUER: &str = "https://issuer.example";
    const API: &str = "https://api.example";
    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn key() -> SigningKey {
        SigningKey::generate("k1".into(), Algorithm::EdDSA, &SeededRng::new(1)).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            issuer: ISSUER.into(),
            subject: "usr_1".into(),
            audience: vec![API.into()],
            expires_at: NOW.plus(Duration::from_secs(300)),
            issued_at: NOW,
            id: TokenId::new(NOW, &SeededRng::new(2)),
            client_id: "cli_1".into(),
            scopes: ScopeSet::parse("notes:read").unwrap(),
            roles: [Role::parse("admin").unwrap()].into(),
            grant_id: None,
            auth_time: None,
        }
    }

    fn verify_at(token: &str, now: Timestamp) -> Result<AccessToken, Denial> {
        let expect = Expectation {
            issuer: ISSUER,
            audience: API,
            algorithms: &[Algorithm::EdDSA],
            skew: Duration::from_secs(30),
        };
        verify(token, &KeySet::new(vec![key().verifying_key()]), &expect, now).map_err(|refusal| refusal.denial)
    }

    /// The token with some claims replaced; `null` removes one.
    fn altered(change: Value) -> Result<AccessToken, Denial> {
        let mut claims = serde_json::to_value(claims()).unwrap();
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
            };
        }
        verify_at(&jws::sign(&key(), TYPE, claims.to_string().as_bytes()).unwrap(), NOW)
    }

    #[test]
    fn a_signed_token_reads_back() {
        let token = verify_at(&claims().sign(&key()).unwrap(), NOW).unwrap();
        let principal = token.into_principal(ResourceIdentifier::parse(API).unwrap());
        assert_eq!(principal.kind, PrincipalKind::User);
        assert_eq!(principal.scopes.to_string(), "notes:read");
        assert!(principal.roles.contains(&Role::parse("admin").unwrap()));
    }

    #[test]
    fn claims_without_a_field_are_kept_by_their_names() {
        let token = altered(json!({"acr": "2", "org": {"id": 7}})).unwrap();
        let principal = token.into_principal(ResourceIdentifier::parse(API).unwrap());
        assert_eq!(Value::from(principal.claims.clone()), json!({"acr": "2", "org": {"id": 7}}));
        assert_eq!(principal.claim("acr"), Some(&json!("2")));
        assert!(principal.has_scope("notes:read") && principal.has_role("admin") && !principal.has_scope("notes"));
    }

    #[test]
    fn single_audience_is_a_string() {
        let one = serde_json::to_value(claims()).unwrap();
        assert_eq!(one["aud"], API);
        let two = serde_json::to_value(Claims { audience: vec![API.into(), ISSUER.into()], ..claims() }).unwrap();
        assert_eq!(two["aud"], json!([API, ISSUER]));
    }

    #[test]
    fn each_claim_is_checked() {
        use Denial::*;
        for (change, denial) in [
            (json!({"iss": "https://issuer.example/"}), TokenIssuerWrong),
            (json!({"iss": null}), TokenClaimsInvalid),
            (json!({"aud": "https://other.example"}), TokenAudienceWrong),
            (json!({"aud": [ISSUER]}), TokenOfNoApi),
            (json!({"aud": ISSUER}), TokenOfNoApi),
            (json!({"aud": [ISSUER, "https://other.example"]}), TokenAudienceWrong),
            (json!({"aud": "https://api.example/"}), TokenAudienceWrong),
            (json!({"aud": []}), TokenAudienceWrong),
            (json!({"aud": 7}), TokenClaimsInvalid),
            (json!({"exp": null}), TokenClaimsInvalid),
            (json!({"exp": "1700000300"}), TokenClaimsInvalid),
            (json!({"exp": -1}), TokenClaimsInvalid),
            (json!({"nbf": -1}), TokenClaimsInvalid),
            (json!({"iat": -1}), TokenClaimsInvalid),
            (json!({"exp": 1_699_999_970}), TokenExpired),
            (json!({"nbf": 1_700_000_031}), TokenNotYetValid),
            (json!({"iat": 1_700_000_031}), TokenNotYetValid),
            (json!({"iat": null}), TokenClaimsInvalid),
            (json!({"sub": null}), TokenClaimsInvalid),
            (json!({"jti": null}), TokenClaimsInvalid),
            (json!({"client_id": ""}), TokenClaimsInvalid),
            (json!({"roles": "admin"}), TokenClaimsInvalid),
            (json!({"scope": ["notes:read"]}), TokenClaimsInvalid),
            (json!({"cnf": {"jkt": "x"}}), TokenBindingUnproven),
        ] {
            assert_eq!(altered(change.clone()), Err(denial), "{change}");
        }
        assert!(altered(json!({"exp": 1_699_999_971, "nbf": 1_700_000_030, "unknown": [1]})).is_ok());
        assert!(altered(json!({"exp": 1_700_000_300.5})).is_ok());
    }

    #[test]
    fn an_id_token_is_no_access_token() {
        let payload = serde_json::to_vec(&claims()).unwrap();
        for typ in ["JWT", "logout+jwt", "dpop+jwt"] {
            assert_eq!(verify_at(&jws::sign(&key(), typ, &payload).unwrap(), NOW), Err(Denial::TokenTypeWrong));
        }
    }

    #[test]
    fn issuer_accepts_tokens_of_a_node_with_a_fast_clock() {
        let token = verify_at(&claims().sign(&key()).unwrap(), NOW).unwrap();
        let leeway = Leeway::between_nodes(Duration::from_secs(30));
        assert!(token.check_times(leeway, NOW.minus(Duration::from_secs(30))).is_ok());
        assert!(token.check_times(leeway, NOW.minus(Duration::from_secs(31))).is_err());
        assert!(token.check_times(leeway, NOW.plus(Duration::from_secs(299))).is_ok());
        assert!(token.check_times(leeway, NOW.plus(Duration::from_secs(300))).is_err());
    }

    #[test]
    fn skew_is_bounded_to_a_minute() {
        let token = verify_at(&claims().sign(&key()).unwrap(), NOW).unwrap();
        let hour = Duration::from_secs(3600);
        assert!(token.check_times(hour, NOW.plus(Duration::from_secs(300 + 59))).is_ok());
        assert!(token.check_times(hour, NOW.plus(Duration::from_secs(300 + 60))).is_err());
    }
}
