//! Redeeming an authorization code (OAuth 2.1 section 4.1.3).
//!
//! The order is fixed: the code, its expiry, the verifier, the redirect URI, and only then the redemption. A request
//! that fails earlier consumes nothing and revokes nothing, so that someone who only saw a code can't end its grant.
//! The requested access comes last, so that a replay can't hide behind a `resource` that was not granted or can't be
//! read.

use std::sync::Arc;

use super::{
    audience::{Access, AccessRequest},
    binding::Binding,
};
use crate::{
    authorization_request::gives_refresh_token, client::Client, clock::Timestamp, denial::Denial, id::ClientId,
    pkce::CodeChallenge, refusal::Refusal, scope::ScopeSet,
};

/// What the store knows of a code.
#[derive(Clone, Debug)]
pub struct CodeFacts {
    /// The client that it was issued to.
    pub client_id: ClientId,
    /// The `redirect_uri` of the authorization request, as it was asked.
    pub redirect_uri: String,
    /// The challenge of the authorization request, if it had one.
    pub code_challenge: Option<CodeChallenge>,
    /// The scopes of the authorization request.
    pub requested_scopes: ScopeSet,
    /// When the code expires.
    pub expires_at: Timestamp,
    /// Whether it was redeemed before.
    pub is_redeemed: bool,
    /// Whether its grant was ended.
    pub grant_has_ended: bool,
    /// Whether its user is disabled or gone.
    pub user_is_unavailable: bool,
}

/// What a client presents to redeem a code.
#[derive(Clone, Debug)]
pub struct CodeRedemption {
    /// The client, already authenticated.
    pub client: Arc<Client>,
    /// `code_verifier`, if sent.
    pub code_verifier: Option<String>,
    /// `redirect_uri`, if sent.
    pub redirect_uri: Option<String>,
}

/// What happens to a presented code.
#[derive(Clone, Debug)]
pub enum CodeDecision {
    /// Redeem it for tokens.
    Redeem {
        /// What the access token is for.
        access: Access,
        /// How the refresh token is bound; `None`: there is none.
        refresh_token: Option<Binding>,
    },
    /// Refuse the request and change nothing.
    Refuse(Refusal),
    /// Refuse, and end the grant with all that the code gave: it was redeemed before.
    Revoke(Refusal),
}

/// Decides a redemption. It checks for a replay before it checks the requested access.
pub fn decide(request: &CodeRedemption, code: &CodeFacts, asked: &AccessRequest<'_>, now: Timestamp) -> CodeDecision {
    if let Err(refusal) = check(request, code, now) {
        return CodeDecision::Refuse(refusal);
    }
    if code.is_redeemed {
        return CodeDecision::Revoke(Refusal::new(Denial::CodeReplayed).fact("client_id", &code.client_id));
    }
    if code.grant_has_ended {
        return CodeDecision::Refuse(Denial::GrantEnded.into());
    }
    if code.user_is_unavailable {
        return CodeDecision::Refuse(Denial::UserUnavailable.into());
    }
    let client = &request.client;
    match asked.narrow() {
        Err(refusal) => CodeDecision::Refuse(refusal),
        Ok(access) => CodeDecision::Redeem {
            access,
            refresh_token: gives_refresh_token(client, asked.granted, &code.requested_scopes)
                .then(|| Binding::of(client)),
        },
    }
}

fn check(request: &CodeRedemption, code: &CodeFacts, now: Timestamp) -> Result<(), Refusal> {
    if request.client.id != code.client_id {
        return Err(Refusal::new(Denial::CodeOfAnotherClient)
            .fact("presented_by", &request.client.id)
            .fact("given_to", &code.client_id));
    }
    if now >= code.expires_at {
        return Err(Refusal::new(Denial::CodeExpired).fact("expired_at", code.expires_at.as_secs()));
    }
    check_verifier(request.code_verifier.as_deref(), code.code_challenge.as_ref())?;
    match &request.redirect_uri {
        Some(sent) if *sent != code.redirect_uri => {
            Err(Refusal::new(Denial::CodeRedirectUriMismatch).fact("sent", sent).fact("asked", &code.redirect_uri))
        }
        // Without PKCE this is what ties the code to its request (RFC 6749 section 4.1.3).
        None if code.code_challenge.is_none() => Err(Refusal::new(Denial::ParameterMissing).parameter("redirect_uri")),
        _ => Ok(()),
    }
}

/// Challenge and verifier come both or not at all: if one is missing, someone removed it (RFC 9700 section 4.8.2).
fn check_verifier(verifier: Option<&str>, challenge: Option<&CodeChallenge>) -> Result<(), Refusal> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (Some(challenge), Some(verifier)) if challenge.is_met_by(verifier) => Ok(()),
        (Some(_), Some(_)) => Err(Denial::CodeVerifierMismatch.into()),
        (Some(_), None) => Err(Refusal::new(Denial::ParameterMissing).parameter("code_verifier")),
        (None, Some(_)) => Err(Denial::CodeVerifierUnexpected.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::audience::{Apis, RequestedAccess},
        *,
    };
    use crate::{authorization_request::tests::client, random::SeededRng};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn facts() -> CodeFacts {
        CodeFacts {
            client_id: client().id,
            redirect_uri: "https://app.example/cb".into(),
            code_challenge: CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").ok(),
            requested_scopes: ScopeSet::default(),
            expires_at: NOW.plus(std::time::Duration::from_secs(60)),
            is_redeemed: false,
            grant_has_ended: false,
            user_is_unavailable: false,
        }
    }

    fn request() -> CodeRedemption {
        CodeRedemption { client: Arc::new(client()), code_verifier: Some(VERIFIER.into()), redirect_uri: None }
    }

    type Asked = Result<RequestedAccess, Refusal>;

    fn decision(request: &CodeRedemption, facts: &CodeFacts, asked: &Asked) -> CodeDecision {
        let (apis, granted) = (Apis::default(), ScopeSet::default());
        let (granted, granted_resources) = (&granted, &[]);
        let asked = AccessRequest {
            apis: &apis,
            granted,
            granted_at: NOW,
            registered: granted,
            requested: granted,
            granted_resources,
            asked,
        };
        decide(request, facts, &asked, NOW)
    }

    /// Why it is refused, and whether the grant ends.
    fn refused(decision: CodeDecision) -> Option<(Denial, bool)> {
        match decision {
            CodeDecision::Redeem { .. } => None,
            CodeDecision::Refuse(refusal) => Some((refusal.denial, false)),
            CodeDecision::Revoke(refusal) => Some((refusal.denial, true)),
        }
    }

    fn decided(request: CodeRedemption, facts: CodeFacts) -> Option<(Denial, bool)> {
        refused(decision(&request, &facts, &Ok(RequestedAccess::default())))
    }

    #[test]
    fn a_valid_request_redeems_and_a_second_one_ends_the_grant() {
        let redeemed = decision(&request(), &facts(), &Ok(RequestedAccess::default()));
        assert!(matches!(redeemed, CodeDecision::Redeem { refresh_token: Some(Binding::None), .. }), "{redeemed:?}");
        let redeemed = CodeFacts { is_redeemed: true, ..facts() };
        assert_eq!(decided(request(), redeemed), Some((Denial::CodeReplayed, true)));
    }

    #[test]
    fn requested_access_neither_consumes_nor_hides_a_replay() {
        let unknown = RequestedAccess { resource: Some("https://other.example".into()), ..Default::default() };
        for (asked, denial) in
            [(Ok(unknown), Denial::ResourceUnknown), (Err(Denial::ParameterRepeated.into()), Denial::ParameterRepeated)]
        {
            let decided = |facts| refused(decision(&request(), &facts, &asked));
            assert_eq!(decided(facts()), Some((denial, false)));
            let redeemed = CodeFacts { is_redeemed: true, ..facts() };
            assert_eq!(decided(redeemed), Some((Denial::CodeReplayed, true)));
        }
    }

    #[test]
    fn invalid_request_neither_consumes_nor_revokes_a_code() {
        let other = Arc::new(Client { id: ClientId::new(NOW, &SeededRng::new(2)), ..client() });
        for is_redeemed in [false, true] {
            let facts = CodeFacts { is_redeemed, ..facts() };
            let expired = CodeFacts { expires_at: NOW, ..facts.clone() };
            for (request, facts, denial) in [
                (CodeRedemption { client: other.clone(), ..request() }, facts.clone(), Denial::CodeOfAnotherClient),
                (request(), expired, Denial::CodeExpired),
                (
                    CodeRedemption { code_verifier: Some(VERIFIER.replace('d', "e")), ..request() },
                    facts.clone(),
                    Denial::CodeVerifierMismatch,
                ),
                (
                    CodeRedemption { redirect_uri: Some("https://app.example/cb/".into()), ..request() },
                    facts.clone(),
                    Denial::CodeRedirectUriMismatch,
                ),
            ] {
                assert_eq!(decided(request, facts), Some((denial, false)));
            }
        }
    }

    #[test]
    fn verifier_comes_exactly_where_a_challenge_came() {
        let without = CodeFacts { code_challenge: None, ..facts() };
        let redirect_uri = Some("https://app.example/cb".to_owned());
        let neither = CodeRedemption { code_verifier: None, redirect_uri, ..request() };
        assert_eq!(decided(neither.clone(), without.clone()), None);
        assert_eq!(decided(neither.clone(), facts()), Some((Denial::ParameterMissing, false)));
        let only_verifier = CodeRedemption { code_verifier: request().code_verifier, ..neither.clone() };
        assert_eq!(decided(only_verifier, without.clone()), Some((Denial::CodeVerifierUnexpected, false)));
        let bare = CodeRedemption { redirect_uri: None, ..neither };
        assert_eq!(decided(bare, without), Some((Denial::ParameterMissing, false)));
    }

    #[test]
    fn the_redirect_uri_may_be_left_out() {
        let sent = CodeRedemption { redirect_uri: Some("https://app.example/cb".into()), ..request() };
        assert_eq!(decided(sent, facts()), None);
        assert_eq!(decided(request(), facts()), None);
    }

    #[test]
    fn code_of_an_ended_grant_or_unavailable_user_is_refused() {
        let ended = CodeFacts { grant_has_ended: true, ..facts() };
        assert_eq!(decided(request(), ended), Some((Denial::GrantEnded, false)));
        let unavailable = CodeFacts { user_is_unavailable: true, ..facts() };
        assert_eq!(decided(request(), unavailable), Some((Denial::UserUnavailable, false)));
    }
}
