//! APIs as resources: identifiers (RFC 8707 section 2, RFC 9728 section 1.2), scopes, roles and token settings.

use std::{borrow::Borrow, collections::BTreeSet, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use url::{Position, Url};

use crate::{
    api_key::KeyPrefix, clock::Timestamp, id::ApiId, jwk::Algorithm, key_policy::KeyPolicy, leaks::LeakPolicy,
    scope::Scope,
};

/// The identifier of an API: an absolute URI without a fragment. It is compared and written exactly as registered.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResourceIdentifier(Arc<str>);

/// A text that can't identify an API.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a resource identifier is an absolute URI without fragment, of at most 512 printable ASCII characters")]
pub struct InvalidResource;

impl ResourceIdentifier {
    /// Parses an absolute URI without fragment, of at most 512 printable ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidResource> {
        let printable = text.len() <= 512 && text.bytes().all(|b| b.is_ascii_graphic());
        if !printable || text.contains('#') || Url::parse(text).is_err() {
            return Err(InvalidResource);
        }
        Ok(Self(text.into()))
    }

    /// The identifier as registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `asked` names this resource: the exact text, or, when the identifier is an origin alone, the same
    /// with or without the final slash.
    pub fn matches(&self, asked: &str) -> bool {
        if *self.0 == *asked {
            return true;
        }
        let bare = |text: &'_ str| text.strip_suffix('/').unwrap_or(text).to_owned();
        self.is_origin() && bare(&self.0) == bare(asked)
    }

    /// The URL of this resource's metadata (RFC 9728 section 3.1): the well-known part goes between host and path.
    /// `None` if the identifier is not an `http` or `https` URL.
    pub fn metadata_url(&self) -> Option<String> {
        let url = Url::parse(&self.0).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let path = url[Position::BeforePath..].trim_end_matches('/');
        Some(format!("{}{}{path}", &url[..Position::BeforePath], "/.well-known/oauth-protected-resource"))
    }

    fn is_origin(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| url.has_host() && url.path() == "/" && url.query().is_none())
    }
}

impl TryFrom<String> for ResourceIdentifier {
    type Error = InvalidResource;
    fn try_from(text: String) -> Result<Self, InvalidResource> {
        Self::parse(&text)
    }
}

impl From<ResourceIdentifier> for String {
    fn from(identifier: ResourceIdentifier) -> Self {
        identifier.0.as_ref().into()
    }
}

impl fmt::Debug for ResourceIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ResourceIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A role of an API: 1 to 64 of letters, digits, `-`, `_`, `.` and `:`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Role(Arc<str>);

/// A text that is not a role.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a role is 1 to 64 letters, digits and -_.:")]
pub struct InvalidRole;

impl Role {
    /// Parses a role: 1 to 64 letters, digits, `-`, `_`, `.` and `:`.
    pub fn parse(text: &str) -> Result<Self, InvalidRole> {
        let valid =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
        valid.then(|| Self(text.into())).ok_or(InvalidRole)
    }

    /// The role as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Role {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Role {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Role {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl TryFrom<String> for Role {
    type Error = InvalidRole;
    fn try_from(text: String) -> Result<Self, InvalidRole> {
        Self::parse(&text)
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.0.as_ref().into()
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an API, for people and the command line: 1 to 64 lower-case letters, digits and `-`.
pub fn is_api_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The format of an API's access tokens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenFormat {
    /// JSON Web Tokens (RFC 9068), verified by the API itself.
    #[default]
    Jwt,
    /// Opaque: the API asks by introspection (RFC 7662).
    Opaque,
}

impl TokenFormat {
    /// Both formats, the default first.
    pub const ALL: [Self; 2] = [Self::Jwt, Self::Opaque];

    /// The format's name in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
        }
    }
}

/// A scope with the sentence that the consent page shows for it.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DescribedScope {
    /// The scope's name, unique across all APIs.
    pub scope: Scope,
    /// What it allows, in the user's words: "Read your notes".
    pub description: String,
}

/// The name of the API that manages Doorward itself.
pub const MANAGEMENT: &str = "doorward";

/// An API: a resource server that accepts Doorward's credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Api {
    /// The identifier of its row, which never changes.
    pub id: ApiId,
    /// The metadata that was registered for it.
    pub metadata: ApiMetadata,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What is registered of an API. It is created, changed, stored, shown and exported as this one type. A member that is
/// missing has its default; one that is not known is skipped, since a newer program may have stored it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiMetadata {
    /// The name for people and the command line, unique.
    pub name: String,
    /// Its identifier, unique: the `aud` of its tokens.
    pub identifier: ResourceIdentifier,
    /// The scopes that belong to this API, each with its sentence.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(default = Vec::<DescribedScope>::new))]
    pub scopes: Vec<DescribedScope>,
    /// The roles that can be granted at this API.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(default = BTreeSet::<Role>::new))]
    pub roles: BTreeSet<Role>,
    /// The form of its access tokens.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(default = TokenFormat::default))]
    pub token_format: TokenFormat,
    /// The algorithm that signs its JWTs.
    #[serde(default = "ApiMetadata::default_algorithm")]
    #[cfg_attr(feature = "openapi", schema(default = ApiMetadata::default_algorithm))]
    pub signing_algorithm: Algorithm,
    /// The lifetime of its access tokens, in whole seconds.
    #[serde(default = "ApiMetadata::default_ttl", with = "secs")]
    // The server that is asked has the default in its configuration.
    #[cfg_attr(feature = "openapi", schema(value_type = u64, minimum = 1, maximum = 86_400, default = "tokens.access_token_ttl"))]
    pub access_token_ttl: Duration,
    /// The prefix of its keys.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(default = KeyPrefix::default))]
    pub key_prefix: KeyPrefix,
    /// The scopes that users may give to keys of their own, which they make on the account page; none: they make no keys.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(default = BTreeSet::<Scope>::new))]
    pub user_key_scopes: BTreeSet<Scope>,
    /// The scopes that publishable keys may have: what the whole world may do; none: there are no such keys.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(default = BTreeSet::<Scope>::new))]
    pub public_scopes: BTreeSet<Scope>,
    /// What happens to a key that somebody found and handed in.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(default = LeakPolicy::default))]
    pub leak_policy: LeakPolicy,
    /// How long its keys live and when they are rotated, if it demands that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_policy: Option<KeyPolicy>,
}

impl ApiMetadata {
    /// An API with the defaults: JWTs by ES256 for five minutes, keys that begin with `sk`.
    pub fn new(name: impl Into<String>, identifier: ResourceIdentifier) -> Self {
        Self {
            name: name.into(),
            identifier,
            scopes: Vec::new(),
            roles: BTreeSet::new(),
            token_format: TokenFormat::default(),
            signing_algorithm: Self::default_algorithm(),
            access_token_ttl: Self::default_ttl(),
            key_prefix: KeyPrefix::default(),
            user_key_scopes: BTreeSet::new(),
            public_scopes: BTreeSet::new(),
            leak_policy: LeakPolicy::default(),
            key_policy: None,
        }
    }

    /// ES256, which every common library verifies. EdDSA is faster, but many libraries do not support it.
    pub const DEFAULT_SIGNING_ALGORITHM: Algorithm = Algorithm::ES256;

    const fn default_algorithm() -> Algorithm {
        Self::DEFAULT_SIGNING_ALGORITHM
    }

    const fn default_ttl() -> Duration {
        Duration::from_secs(300)
    }
}

/// A duration in whole seconds.
mod secs {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

impl Api {
    /// Whether the API has this scope.
    pub fn has_scope(&self, scope: &Scope) -> bool {
        self.metadata.scopes.iter().any(|described| described.scope == *scope)
    }

    /// Of the roles that somebody was given, those that count here: roles of this API that it still has.
    pub fn roles_among<'a>(&self, given: impl IntoIterator<Item = &'a (ApiId, Role)>) -> BTreeSet<Role> {
        let counts = |(at, role): &&(ApiId, Role)| *at == self.id && self.metadata.roles.contains(role);
        given.into_iter().filter(counts).map(|(_, role)| role.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(text: &str) -> ResourceIdentifier {
        ResourceIdentifier::parse(text).unwrap()
    }

    #[test]
    fn an_origin_matches_with_and_without_the_final_slash() {
        assert!(identifier("https://api.example").matches("https://api.example/"));
        assert!(identifier("https://api.example/").matches("https://api.example"));
        assert!(!identifier("https://api.example/v1").matches("https://api.example/v1/"));
        assert!(!identifier("https://api.example").matches("https://API.example"));
    }

    #[test]
    fn relative_uris_and_fragments_are_refused() {
        for bad in ["notes", "/notes", "https://api.example#x", "https://api.exämple", ""] {
            assert_eq!(ResourceIdentifier::parse(bad), Err(InvalidResource), "{bad}");
        }
        assert!(ResourceIdentifier::parse("urn:example:notes").is_ok());
    }

    #[test]
    fn metadata_path_goes_between_host_and_path() {
        // The examples of RFC 9728 section 3.1.
        let url = |text| identifier(text).metadata_url();
        assert_eq!(
            url("https://resource.example.com").unwrap(),
            "https://resource.example.com/.well-known/oauth-protected-resource"
        );
        assert_eq!(
            url("https://resource.example.com/resource1").unwrap(),
            "https://resource.example.com/.well-known/oauth-protected-resource/resource1"
        );
        assert_eq!(url("urn:example:notes"), None);
    }

    #[test]
    fn identifiers_and_roles_read_back_as_they_were_written() {
        let text = "https://api.example/v1";
        assert_eq!((format!("{:?}", identifier(text)), String::from(identifier(text))), (text.into(), text.into()));
        assert_eq!(serde_json::from_str::<ResourceIdentifier>("\"notes\"").ok(), None);
        let role = Role::parse("notes-admin_2.x:y").unwrap();
        assert_eq!((format!("{role:?}"), String::from(role.clone())), (role.to_string(), role.to_string()));
        assert_eq!(serde_json::from_str::<Role>("\"a b\"").ok(), None);
    }

    #[test]
    fn role_equals_its_own_text_only() {
        let role = Role::parse("admin").unwrap();
        assert!(role == *"admin" && role == "admin");
        assert!(role != *"Admin" && role != "reader");
    }

    #[test]
    fn role_has_1_to_64_characters_of_its_grammar() {
        assert!(Role::parse("a").is_ok() && Role::parse(&"a".repeat(64)).is_ok());
        for bad in ["", &"a".repeat(65), "a b", "a/b", "\u{e4}"] {
            assert_eq!(Role::parse(bad), Err(InvalidRole), "{bad:?}");
        }
    }

    #[test]
    fn api_name_has_1_to_64_characters_and_begins_with_a_letter() {
        for good in ["a", "notes-2", &"a".repeat(64)] {
            assert!(is_api_name(good), "{good}");
        }
        for bad in ["", &"a".repeat(65), "2notes", "-notes", "Notes", "no_tes", "n\u{f6}tes", "no tes"] {
            assert!(!is_api_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn identifier_has_512_characters_at_most() {
        let of_length = |length: usize| format!("urn:{}", "a".repeat(length - 4));
        assert!(ResourceIdentifier::parse(&of_length(512)).is_ok());
        assert_eq!(ResourceIdentifier::parse(&of_length(513)), Err(InvalidResource));
    }

    #[test]
    fn origin_with_a_query_must_match_exactly() {
        assert!(!identifier("https://api.example?a=1").matches("https://api.example?a=1/"));
        assert!(!identifier("urn:notes").matches("urn:notes/"));
    }

    #[test]
    fn metadata_reads_back_and_what_is_missing_has_its_default() {
        let written = r#"{"name":"notes","identifier":"https://api.example"}"#;
        let api: ApiMetadata = serde_json::from_str(written).unwrap();
        assert_eq!(api, ApiMetadata::new("notes", identifier("https://api.example")));
        assert_eq!((api.signing_algorithm, api.access_token_ttl), (Algorithm::ES256, Duration::from_secs(300)));
        let api = ApiMetadata { access_token_ttl: Duration::from_secs(60), ..api };
        let written = serde_json::to_value(&api).unwrap();
        assert_eq!(written["access_token_ttl"], 60);
        assert_eq!(serde_json::from_value::<ApiMetadata>(written).unwrap(), api);
    }

    #[test]
    fn only_roles_that_the_api_still_has_count_there() {
        let [notes, mails] =
            [1, 2].map(|secs| ApiId::new(Timestamp::from_secs(secs), &crate::random::SeededRng::new(1)));
        let role = |name| Role::parse(name).unwrap();
        let mut metadata = ApiMetadata::new("notes", identifier("https://api.example"));
        metadata.roles = [role("admin"), role("reader")].into();
        let api = Api { id: notes.clone(), metadata, created_at: Timestamp::from_secs(1) };
        let given = [(notes.clone(), role("admin")), (notes, role("removed")), (mails, role("reader"))];
        assert_eq!(api.roles_among(&given), [role("admin")].into());
    }

    #[test]
    fn token_formats_are_written_as_they_are_stored() {
        for format in TokenFormat::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.as_str());
        }
    }
}
