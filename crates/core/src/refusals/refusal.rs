//! One refusal: a denial of the closed list, with what the operator will want to know about this case.
//!
//! Facts are for the audit log and must not contain secrets. The caller sees only the denial's public sentence and the
//! parameter, scope or role that it is about.

use std::{borrow::Cow, collections::BTreeSet, fmt, time::Duration};

use crate::{api::Role, credential, denial::Denial, id::UserId, scope::ScopeSet, text::presentable};

/// A request was refused, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The entry of the closed list.
    pub denial: Denial,
    /// Facts about this case for the operator: names and values without secrets.
    pub facts: Vec<(&'static str, String)>,
    /// The user that it is about, if someone may have tried to act as the user.
    pub subject: Option<UserId>,
    /// The scopes that would have been enough (RFC 6750 section 3, `scope`).
    pub required_scopes: Option<ScopeSet>,
    /// The required roles, if one is missing.
    pub required_roles: BTreeSet<Role>,
    /// When to try again (RFC 9110 section 10.2.3).
    pub retry_after: Option<Duration>,
}

/// The fact that names a parameter of the request. Answers contain it, and the facts below, as well.
pub const PARAMETER: &str = "parameter";
/// The fact that names the scopes of the request that can't be granted.
pub const SCOPE: &str = "scope";
/// The fact that names the scopes which the credential lacks.
pub const MISSING_SCOPE: &str = "missing_scope";
/// The fact that names the role which the principal lacks.
pub const MISSING_ROLE: &str = "missing_role";

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
        }
    }

    /// Adds a fact for the operator; at most 256 characters of it are kept, credentials and what may not be
    /// shown are replaced: callers put secrets into every field there is.
    pub fn fact(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        let value = credential::loggable_text(&value.to_string());
        self.facts.push((name, presentable(&value).chars().take(256).collect()));
        self
    }

    /// Names the user that the refusal is about. The caller does not see this.
    pub fn about(mut self, user: &UserId) -> Self {
        self.subject = Some(user.clone());
        self
    }

    /// Names the parameter of the request that it is about.
    pub fn parameter(self, name: impl fmt::Display) -> Self {
        self.fact(PARAMETER, name)
    }

    /// The caller's sentence: that of the denial and, if one is the cause, the parameter, the scope or the role.
    pub fn sentence(&self) -> Cow<'static, str> {
        self.denial.sentence_about(|wanted| {
            let fact = self.facts.iter().find(|(name, _)| *name == wanted);
            fact.map(|(_, value)| value.as_str())
        })
    }

    /// Adds the scopes that would have been enough.
    pub fn required_scopes(mut self, scopes: ScopeSet) -> Self {
        self.required_scopes = Some(scopes);
        self
    }

    /// Adds the roles that are required.
    pub fn required_roles(mut self, roles: BTreeSet<Role>) -> Self {
        self.required_roles = roles;
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
mod tests {
    use super::*;

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
