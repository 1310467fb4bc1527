//! The closed list of reasons for a refusal, one file per group.
//!
//! Each reason is in one entry, with everything that follows from it: the status, the OAuth error code, the code and
//! the sentence for the caller, and for the operator the cause and the remedy. Handlers, pages, audit, `explain` and
//! the documentation read this list; none of them words a refusal itself.
//!
//! Several reasons may show the caller one code: a caller that has not proved possession of a credential must not learn
//! whether it exists (RFC 6749 section 5.2, OWASP ASVS V6.3.8).

use std::{borrow::Cow, fmt};

use crate::refusal::{MISSING_ROLE, MISSING_SCOPE, PARAMETER, SCOPE};

/// The path of the pages about denials, below the issuer's URL.
pub const PAGES: &str = "/denials/";

/// What a reason is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Nothing valid shows who the caller is: a credential, a code or a session is missing, wrong, expired or revoked.
    Credential,
    /// The server can't decide at the moment. This says nothing about the request or the credential in it.
    Outage,
    /// The caller is known and may not do this, or the user did not allow it.
    Permission,
    /// The request can't be served for any caller: it is malformed, unsupported, too large, too late or one of too
    /// many.
    Request,
}

/// Everything that follows from a reason.
#[derive(Clone, Copy, Debug)]
struct Entry {
    code: &'static str,
    status: u16,
    error: &'static str,
    class: Class,
    shown_as: &'static str,
    sentence: &'static str,
    cause: &'static str,
    remedy: &'static str,
}

// Each group's macro appends its entries and passes all of them on to the next.
#[macro_use]
mod access_tokens;
#[macro_use]
mod authorization_page;
#[macro_use]
mod authorization_redirect;
#[macro_use]
mod client_authentication;
#[macro_use]
mod decisions;
#[macro_use]
mod keys;
#[macro_use]
mod management;
#[macro_use]
mod presented;
#[macro_use]
mod sign_in;
#[macro_use]
mod token_endpoint;
#[macro_use]
mod transport;

/// The last one in the row: makes the list out of all entries.
macro_rules! denials {
    ($($variant:ident { code: $code:literal, status: $status:literal, error: $error:literal, class: $class:ident,
       $(shown_as: $shown_as:literal,)? sentence: $sentence:literal, cause: $cause:literal, remedy: $remedy:literal })*) => {
        /// A reason for a refusal. New reasons may be added; a reason's code never changes.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Denial {
            $(#[doc = $cause] $variant,)*
        }

        impl Denial {
            /// Every reason there is, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            const fn entry(self) -> Entry {
                match self {
                    $(Self::$variant => Entry {
                        code: $code,
                        status: $status,
                        error: $error,
                        class: Class::$class,
                        shown_as: {
                            const CODES: &[&str] = &[$code $(, $shown_as)?];
                            CODES[CODES.len() - 1]
                        },
                        sentence: $sentence,
                        cause: $cause,
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

presented! {
    keys, access_tokens, decisions, transport, client_authentication, token_endpoint, authorization_page,
    authorization_redirect, sign_in, management, denials,
}

impl Denial {
    /// The operator's code, as in the audit log and in `explain`.
    pub const fn code(self) -> &'static str {
        self.entry().code
    }

    /// The caller's code, as in responses.
    pub const fn shown_as(self) -> &'static str {
        self.entry().shown_as
    }

    /// The status of the answer (RFC 9110 section 15).
    pub const fn status(self) -> u16 {
        self.entry().status
    }

    /// The `error` that OAuth has for it: RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, RFC 8707 section 2,
    /// OpenID Connect Core section 3.1.2.6.
    pub const fn error(self) -> &'static str {
        self.entry().error
    }

    /// What it is about.
    pub const fn class(self) -> Class {
        self.entry().class
    }

    /// Whether a client failed to authenticate (RFC 6749 section 5.2): it is challenged in its own scheme.
    pub fn is_invalid_client(self) -> bool {
        self.error() == "invalid_client"
    }

    /// Whether the caller is shown another code than the operator.
    pub fn hides_cause(self) -> bool {
        self.code() != self.shown_as()
    }

    /// The sentence for the caller: what happened and what to do. It has no secret and does not reveal what exists.
    pub const fn sentence(self) -> &'static str {
        self.entry().sentence
    }

    /// The sentence with the name of the parameter, the scopes or the role that it is about, if `fact` gives one. A name
    /// that callers made up, and that could mean something where it is shown, is not repeated.
    pub fn sentence_about<'f>(self, fact: impl Fn(&str) -> Option<&'f str>) -> Cow<'static, str> {
        let is_plain = |most: usize, marks: &'static [u8]| {
            move |name: &&str| {
                let in_grammar = |b: u8| b.is_ascii_alphanumeric() || marks.contains(&b);
                (1..=most).contains(&name.len()) && name.bytes().all(in_grammar)
            }
        };
        let scopes = |name| fact(name).filter(is_plain(200, b"_-.:/ ")).map(str::to_owned);
        let about = match self {
            Self::InsufficientScope => scopes(MISSING_SCOPE),
            Self::InsufficientPermission => {
                fact(MISSING_ROLE).filter(is_plain(64, b"_-.:")).map(|role| format!("the role {role} is missing"))
            }
            Self::ScopeExceedsGrant
            | Self::ScopeInvalid
            | Self::ScopeMalformed
            | Self::ScopeNotAllowed
            | Self::ScopeOfSeveralApis => scopes(SCOPE),
            _ => fact(PARAMETER).filter(is_plain(64, b"_-.")).map(str::to_owned),
        };
        match about {
            Some(about) => format!("{}: {about}.", self.sentence().trim_end_matches('.')).into(),
            None => self.sentence().into(),
        }
    }

    /// The true cause, for the operator.
    pub const fn cause(self) -> &'static str {
        self.entry().cause
    }

    /// What the operator can do about it.
    pub const fn remedy(self) -> &'static str {
        self.entry().remedy
    }

    /// Whether a guard in front of an API can refuse a request for this reason. All others are the authorization server's
    /// own, and no API can report them.
    pub const fn is_of_a_guard(self) -> bool {
        use Denial::*;
        matches!(
            self,
            CredentialInQuery
                | CredentialMalformed
                | CredentialMissing
                | CredentialMultiple
                | InsufficientPermission
                | InsufficientScope
                | KeyAddressNotAllowed
                | KeyDisabled
                | KeyExpired
                | KeyInBrowser
                | KeyMistyped
                | KeyOfAnotherApi
                | KeyOriginNotAllowed
                | KeyOwnerDisabled
                | KeyQuotaExhausted
                | KeyRateLimited
                | KeyRevoked
                | KeyUnknown
                | KeyUsesExhausted
                | LegacyRateLimited
                | TokenAlgorithmRefused
                | TokenAudienceWrong
                | TokenBindingUnproven
                | TokenClaimsInvalid
                | TokenExpired
                | TokenHeaderRefused
                | TokenIssuerWrong
                | TokenKeyUnknown
                | TokenMalformed
                | TokenNotYetValid
                | TokenOfNoApi
                | TokenRevoked
                | TokenSignatureWrong
                | TokenTypeWrong
                | TokenUnknown
                | VerifierUnavailable
        )
    }

    /// Whether it says something about one use of a credential that is good otherwise: the next use can be accepted.
    pub const fn is_about_one_use(self) -> bool {
        use Denial::{KeyAddressNotAllowed, KeyOriginNotAllowed, KeyQuotaExhausted, KeyRateLimited, KeyUsesExhausted};
        matches!(
            self,
            KeyAddressNotAllowed | KeyOriginNotAllowed | KeyQuotaExhausted | KeyRateLimited | KeyUsesExhausted
        )
    }

    /// The page about the caller's code, below the issuer's URL. The issuer serves it.
    pub fn page(self, issuer: &str) -> String {
        format!("{}{PAGES}{}", issuer.trim_end_matches('/'), self.shown_as())
    }

    /// The reasons behind a code, the operator's or the caller's, in the order of the list.
    pub fn behind(code: &str) -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(move |denial| denial.code() == code || denial.shown_as() == code)
    }

    /// The reason with this operator's code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|denial| denial.code() == code)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const OAUTH_ERRORS: [&str; 20] = [
        "",
        "access_denied",
        "consent_required",
        "insufficient_scope",
        "interaction_required",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "invalid_token",
        "login_required",
        "request_not_supported",
        "request_uri_not_supported",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
        "unsupported_token_type",
    ];

    #[test]
    fn every_code_is_unique_and_reads_back() {
        let codes: BTreeSet<_> = Denial::ALL.iter().map(|denial| denial.code()).collect();
        assert_eq!(codes.len(), Denial::ALL.len());
        for denial in Denial::ALL {
            assert_eq!(Denial::from_code(denial.code()), Some(*denial));
            assert!(denial.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        }
    }

    #[test]
    fn no_denial_answers_with_success() {
        for denial in Denial::ALL {
            assert!((400..=503).contains(&denial.status()), "{denial}");
            assert!(OAUTH_ERRORS.contains(&denial.error()), "{denial}");
        }
    }

    #[test]
    fn sentences_follow_the_grammar_of_error_descriptions() {
        for denial in Denial::ALL {
            let sentence = denial.sentence();
            assert!(sentence.chars().all(|c| c != '"' && c != '\\' && !c.is_control()), "{denial}");
            assert!(sentence.ends_with('.') && !sentence.contains('!'), "{denial}");
            assert!(denial.cause().ends_with('.') && denial.remedy().ends_with('.'), "{denial}");
        }
    }

    #[test]
    fn reasons_that_share_a_code_look_exactly_alike_to_the_caller() {
        let mut faces = BTreeMap::new();
        for denial in Denial::ALL {
            let face = (denial.status(), denial.error(), denial.sentence());
            assert_eq!(*faces.entry(denial.shown_as()).or_insert(face), face, "{denial}");
        }
    }

    #[test]
    fn class_agrees_with_status_and_error() {
        for denial in Denial::ALL {
            assert_eq!(denial.class() == Class::Outage, denial.status() == 503, "{denial}");
            let is_about_proof = denial.status() == 401 || denial.error() == "invalid_grant";
            assert!(!is_about_proof || denial.class() == Class::Credential, "{denial}");
            assert!(!denial.is_invalid_client() || denial.status() == 401, "{denial}");
        }
    }

    #[test]
    fn scope_that_can_not_be_had_is_named_unless_it_could_mislead() {
        let told = |scope: &'static str| Denial::ScopeInvalid.sentence_about(|name| (name == SCOPE).then_some(scope));
        assert!(told("notes:burn https://x.example/a").ends_with(": notes:burn https://x.example/a."));
        for misleading in ["", "<b>", "a\u{202e}b", "a;b"] {
            assert_eq!(told(misleading), Denial::ScopeInvalid.sentence(), "{misleading:?}");
        }
        let long: &'static str = "a".repeat(201).leak();
        assert_eq!(told(long), Denial::ScopeInvalid.sentence());
    }

    #[test]
    fn guard_refuses_for_reasons_of_its_groups_only() {
        // The groups of credentials and decisions come first.
        let of_its_groups = Denial::ALL.iter().take_while(|denial| **denial != Denial::BodyMalformed);
        let expected: Vec<_> = of_its_groups.chain([&Denial::VerifierUnavailable]).collect();
        assert_eq!(Denial::ALL.iter().filter(|denial| denial.is_of_a_guard()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_code_that_is_shown_has_reasons_behind_it() {
        for denial in Denial::ALL {
            assert!(Denial::behind(denial.shown_as()).any(|behind| behind == *denial), "{denial}");
            assert!(Denial::behind(denial.code()).any(|behind| behind == *denial), "{denial}");
        }
        assert_eq!(Denial::behind("nothing").count(), 0);
    }

    #[test]
    fn bad_credentials_at_an_api_are_401_invalid_token() {
        for denial in Denial::ALL.iter().filter(|denial| denial.error() == "invalid_token") {
            assert_eq!(denial.status(), 401, "{denial}");
        }
    }

    #[test]
    fn caller_is_led_to_the_page_of_the_code_that_it_is_shown() {
        let page = format!("https://issuer.example/denials/{}", Denial::KeyExpired.shown_as());
        assert_eq!(Denial::KeyExpired.page("https://issuer.example"), page);
        assert_eq!(Denial::KeyExpired.page("https://issuer.example/"), page);
    }

    #[test]
    fn callers_code_leads_to_every_reason_behind_it() {
        assert!(Denial::ClientSecretWrong.hides_cause() && !Denial::InsufficientScope.hides_cause());
        let behind: Vec<_> = Denial::behind(Denial::ClientSecretWrong.shown_as()).collect();
        assert!(behind.contains(&Denial::ClientSecretWrong) && behind.contains(&Denial::ClientUnknown));
        let operators: Vec<_> = Denial::behind(Denial::ClientSecretWrong.code()).collect();
        assert!(operators.contains(&Denial::ClientSecretWrong) && !operators.contains(&Denial::ClientUnknown));
        assert_eq!(Denial::ClientSecretWrong.to_string(), Denial::ClientSecretWrong.code());
    }

    #[test]
    fn parameter_or_role_is_named_unless_it_could_mislead() {
        let told = |denial: Denial, wanted: &'static str, value: &'static str| {
            denial.sentence_about(|name| (name == wanted).then_some(value)).into_owned()
        };
        assert!(told(Denial::ParameterMissing, PARAMETER, "code_verifier").ends_with(": code_verifier."));
        assert!(told(Denial::InsufficientPermission, MISSING_ROLE, "a:b").ends_with(": the role a:b is missing."));
        let long: [&'static str; 2] = [64, 65].map(|length| &*"a".repeat(length).leak());
        for (denial, wanted) in [(Denial::ParameterMissing, PARAMETER), (Denial::InsufficientPermission, MISSING_ROLE)]
        {
            assert!(told(denial, wanted, long[0]).contains(long[0]));
            assert_eq!(told(denial, wanted, long[1]), denial.sentence());
        }
    }
}
