//! One refusal: a denial of the closed list, with what the operator will want to know about this case.
//!
//! Facts are for the audit log and must not contain secrets. The caller sees only the denial's public sentence and the
//! parameter, scope or role that it is about.

use std::{borrow::Cow, collections::BTreeSet, fmt, time::Duration};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    api::Role, credential, denial::Denial, id::UserId, key_limits::LimitStates, scope::ScopeSet, text::presentable,
};

/// A request was refused, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The entry of the closed list.
    pub denial: Denial,
    /// Facts about this case for the operator: names and values without secrets.
    pub facts: Vec<(&'static str, String)>,
    /// The user that it is about, if someone may have tried to act as the user.
    pub subject: Option<Box<UserId>>,
    /// The scopes that would have been enough (RFC 6750 section 3, `scope`).
    pub required_scopes: Option<Box<ScopeSet>>,
    /// The required roles, if one is missing.
    pub required_roles: BTreeSet<Role>,
    /// When to try again (RFC 9110 section 10.2.3).
    pub retry_after: Option<Duration>,
    /// The limits of the key that was used, with what is left of each.
    pub limits: Option<Box<LimitStates>>,
    /// What the problem document says beside that (RFC 9457 section 3.2). It is for the caller, and not for the log.
    pub extensions: Option<Box<Map<String, Value>>>,
}

/// A mistake in a body or a query, and what would be accepted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Mistake {
    /// Where it is: a JSON pointer into the body (RFC 6901), or `?` and the name of a query parameter.
    pub pointer: String,
    /// The mistake, and what would be accepted.
    pub detail: String,
    /// Whether it is that something is named which does not exist, or is beyond the caller's rights.
    #[serde(skip)]
    pub names_nothing: bool,
}

impl Mistake {
    /// A mistake in a member of the body, or in the body as a whole if the name is empty.
    pub fn at(member: &str, detail: impl fmt::Display) -> Self {
        let whole = Self::in_place(String::new(), detail);
        if member.is_empty() { whole } else { whole.within(member) }
    }

    /// A mistake in a member or an element as a mistake in what has it.
    pub fn within(self, name: &str) -> Self {
        Self { pointer: format!("/{}{}", escaped(name), self.pointer), ..self }
    }

    /// A mistake in an element of a list.
    pub fn at_element(member: &str, index: usize, detail: impl fmt::Display) -> Self {
        Self::in_place(format!("/{}/{index}", escaped(member)), detail)
    }

    /// A mistake in a parameter of the query.
    pub fn in_query(parameter: &str, detail: impl fmt::Display) -> Self {
        Self::in_place(format!("?{parameter}"), detail)
    }

    /// A mistake in a place that has its words already.
    pub fn in_place(pointer: String, detail: impl fmt::Display) -> Self {
        Self { pointer, detail: detail.to_string(), names_nothing: false }
    }

    /// The same mistake in a member of what it was in.
    pub fn in_member(self, member: &str) -> Self {
        Self { pointer: format!("{}/{}", self.pointer, escaped(member)), ..self }
    }

    /// The same mistake, which is that nothing has the name.
    pub fn of_unknown(self) -> Self {
        Self { names_nothing: true, ..self }
    }

    /// Refuses what has mistakes.
    pub fn none(found: Vec<Self>) -> Result<(), Vec<Self>> {
        match found.is_empty() {
            true => Ok(()),
            false => Err(found),
        }
    }

    /// Two parts of a document, or the mistakes of both.
    pub fn none_in_both<A, B>(one: Result<A, Vec<Self>>, other: Result<B, Vec<Self>>) -> Result<(A, B), Vec<Self>> {
        match (one, other) {
            (Ok(one), Ok(other)) => Ok((one, other)),
            (one, other) => Err([one.err(), other.err()].into_iter().flatten().flatten().collect()),
        }
    }
}

impl fmt::Display for Mistake {
    /// In a line for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.trim_start_matches('/') {
            "" => f.write_str(&self.detail),
            place => write!(f, "{place}: {}", self.detail),
        }
    }
}

/// A name as a token of a JSON pointer (RFC 6901 section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The fact that names a parameter of the request. Answers contain it, and the facts below, as well.
pub const PARAMETER: &str = "parameter";
/// The fact that names the scopes of the request that can't be granted.
pub const SCOPE: &str = "scope";
/// The fact that names the scopes which the credential lacks.
pub const MISSING_SCOPE: &str = "missing_scope";
/// The fact that names the role which the principal lacks.
pub const MISSING_ROLE: &str = "missing_role";
/// The fact that names who was refused, by id.
pub const PRINCIPAL: &str = "principal";

impl Refusal {
    /// A refusal without facts.
    pub fn new(denial: Denial) -> Self {
        Self {
            denial,
            facts: Vec::new(),
            subject: None,
            required_scopes: None,
            required_roles: BTreeSet::new(),
            retry_after: None,
            limits: None,
            extensions: None,
        }
    }

    /// Adds a fact for the operator; at most 256 characters of it are kept, credentials and what may not be
    /// shown are replaced: callers put secrets into every field there is.
    pub fn fact(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        let value = credential::loggable_text(&value.to_string());
        self.facts.push((name, presentable(&value).chars().take(256).collect()));
        self
    }

    /// The value of a fact.
    pub fn known_fact(&self, wanted: &str) -> Option<&str> {
        self.facts.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str())
    }

    /// Names the user that the refusal is about. The caller does not see this.
    pub fn about(mut self, user: &UserId) -> Self {
        self.subject = Some(Box::new(user.clone()));
        self
    }

    /// Names the parameter of the request that it is about.
    pub fn parameter(self, name: impl fmt::Display) -> Self {
        self.fact(PARAMETER, name)
    }

    /// The caller's sentence: that of the denial and, if one is the cause, the parameter, the scope or the role.
    pub fn sentence(&self) -> Cow<'static, str> {
        self.denial.sentence_about(|wanted| self.known_fact(wanted))
    }

    /// Adds the scopes that would have been enough.
    pub fn required_scopes(mut self, scopes: ScopeSet) -> Self {
        self.required_scopes = Some(Box::new(scopes));
        self
    }

    /// Adds the roles that are required.
    pub fn required_roles(mut self, roles: BTreeSet<Role>) -> Self {
        self.required_roles = roles;
        self
    }

    /// Adds a member to the problem document.
    pub fn extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.get_or_insert_default().insert(name.to_owned(), value.into());
        self
    }

    /// Lists every mistake in the request, as the member `errors`. The log has only where.
    pub fn mistakes(self, mistakes: &[Mistake]) -> Self {
        let places: Vec<_> = mistakes.iter().map(|mistake| mistake.pointer.as_str()).collect();
        self.fact("errors", places.join(" ")).extension("errors", serde_json::json!(mistakes))
    }

    /// Adds the limits of the key that was used.
    pub fn limits(mut self, limits: LimitStates) -> Self {
        self.limits = (limits != LimitStates::default()).then(|| Box::new(limits));
        self
    }

    /// Adds the time of the next useful attempt.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Whole seconds until another try makes sense, at least one.
    pub fn retry_after_secs(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).map(|secs| secs.max(1))
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::new(denial)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.denial.code())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Where the mistakes of a document are.
    pub(crate) fn places<T>(checked: Result<T, Vec<Mistake>>) -> Vec<String> {
        checked.err().into_iter().flatten().map(|mistake| mistake.pointer).collect()
    }

    #[test]
    fn mistake_has_the_place_of_a_member_in_an_element() {
        let mistake = Mistake::at_element("scopes", 2, "too long").in_member("a/b");
        assert_eq!(mistake.pointer, "/scopes/2/a~1b");
        assert_eq!(mistake.to_string(), "scopes/2/a~1b: too long");
        assert_eq!(serde_json::to_value(mistake.clone().of_unknown()).ok(), serde_json::to_value(mistake).ok());
    }

    #[test]
    fn two_parts_have_the_mistakes_of_both() {
        let wrong = |member| Err::<(), _>(vec![Mistake::at(member, "wrong")]);
        assert_eq!(places(Mistake::none_in_both(wrong("a"), wrong("b"))), ["/a", "/b"]);
        assert_eq!(places(Mistake::none_in_both(Ok(()), wrong("b"))), ["/b"]);
        assert_eq!(Mistake::none_in_both(Ok(1), Mistake::none(Vec::new())), Ok((1, ())));
    }

    #[test]
    fn caller_sees_the_parameter_and_no_other_fact() {
        let missing = Refusal::new(Denial::ParameterMissing).fact("client_id", "cli_7f3a").parameter("code_verifier");
        assert_eq!(missing.sentence(), "A required parameter is missing: code_verifier.");
        let unknown = Refusal::new(Denial::KeyUnknown).fact("hint", "sk_live_7f3a");
        assert_eq!(unknown.sentence(), Denial::KeyUnknown.sentence());
    }

    #[test]
    fn a_credential_in_the_place_of_a_name_is_not_repeated() {
        let key = format!("sk_live_{}", "a".repeat(38));
        let twice = Refusal::new(Denial::ParameterRepeated).parameter(&key);
        assert_eq!(twice.sentence(), Denial::ParameterRepeated.sentence());
        let markup = Refusal::new(Denial::ParameterRepeated).parameter("<b>Call 0900</b>");
        assert_eq!(markup.sentence(), Denial::ParameterRepeated.sentence());
    }

    #[test]
    fn wait_is_rounded_up_to_whole_seconds_at_least_one() {
        let secs =
            |millis| Refusal::new(Denial::KeyUnknown).retry_after(Duration::from_millis(millis)).retry_after_secs();
        assert_eq!([0, 1, 1_000, 1_001, 2_000].map(secs), [1, 1, 1, 2, 2].map(Some));
        assert_eq!(Refusal::new(Denial::KeyUnknown).retry_after_secs(), None);
    }

    #[test]
    fn fact_has_256_characters_without_credentials() {
        let refusal = Refusal::new(Denial::KeyUnknown)
            .fact("long", "\u{e4}".repeat(300))
            .fact("key", format!("sk_live_{}", "a".repeat(38)))
            .fact("odd", "a\u{202e}b");
        let facts = [("long", "\u{e4}".repeat(256)), ("key", "[credential]".into()), ("odd", "a\u{fffd}b".into())];
        assert_eq!(refusal.facts, facts);
        assert_eq!(refusal.to_string(), Denial::KeyUnknown.code());
    }
}
