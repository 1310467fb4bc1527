//! Redeeming an authorization code (OAuth 2.1 section 4.1.3).
//!
//! The order is fixed: the code, its expiry, the verifier, the redirect URI, and only then the redemption. A request
//! that fails earlier consumes nothing and revokes nothing, so that whoever only saw a code can't end what it gave.

use crate::{clock::Timestamp, denial::Denial, id::ClientId, pkce::CodeChallenge, refusal::Refusal};

/// What the store knows of a code.
#[derive(Clone, Debug)]
pub struct CodeFacts {
    /// The client that it was given to.
    pub client_id: ClientId,
    /// The `redirect_uri` of the authorization request, as it was asked.
    pub redirect_uri: String,
    /// The challenge of the authorization request.
    pub code_challenge: CodeChallenge,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether it was redeemed before.
    pub is_redeemed: bool,
    /// Whether its grant was ended.
    pub grant_has_ended: bool,
    /// Whether its user can't be used any more.
    pub user_is_unavailable: bool,
}

/// What a client presents to redeem a code.
#[derive(Clone, Debug)]
pub struct CodeRedemption {
    /// The authenticated client.
    pub client_id: ClientId,
    /// `code_verifier`.
    pub code_verifier: String,
    /// `redirect_uri`, if sent.
    pub redirect_uri: Option<String>,
}

/// What is to be done; it is done also when the outcome is a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CodeEffect {
    /// End the grant, and with it all that the code gave.
    EndGrant,
    /// Nothing.
    None,
    /// Mark the code as redeemed.
    Redeem,
}

/// Decides a redemption.
pub fn decide(request: &CodeRedemption, code: &CodeFacts, now: Timestamp) -> (CodeEffect, Result<(), Refusal>) {
    match check(request, code, now) {
        Err(refusal) => (CodeEffect::None, Err(refusal)),
        Ok(()) if code.is_redeemed => {
            (CodeEffect::EndGrant, Err(Refusal::new(Denial::CodeReplayed).fact("client_id", &code.client_id)))
        }
        Ok(()) if code.grant_has_ended => (CodeEffect::None, Err(Denial::GrantEnded.into())),
        Ok(()) if code.user_is_unavailable => (CodeEffect::None, Err(Denial::UserUnavailable.into())),
        Ok(()) => (CodeEffect::Redeem, Ok(())),
    }
}

fn check(request: &CodeRedemption, code: &CodeFacts, now: Timestamp) -> Result<(), Refusal> {
    if request.client_id != code.client_id {
        return Err(Refusal::new(Denial::CodeOfAnotherClient)
            .fact("presented_by", &request.client_id)
            .fact("given_to", &code.client_id));
    }
    if now >= code.expires_at {
        return Err(Refusal::new(Denial::CodeExpired).fact("expired_at", code.expires_at.as_secs()));
    }
    if !code.code_challenge.is_met_by(&request.code_verifier) {
        return Err(Refusal::new(Denial::CodeVerifierMismatch));
    }
    match &request.redirect_uri {
        Some(sent) if *sent != code.redirect_uri => {
            Err(Refusal::new(Denial::CodeRedirectUriMismatch).fact("sent", sent).fact("asked", &code.redirect_uri))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRng;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn facts() -> CodeFacts {
        CodeFacts {
            client_id: ClientId::new(NOW, &SeededRng::new(1)),
            redirect_uri: "https://app.example/cb".into(),
            code_challenge: CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap(),
            expires_at: NOW.plus(std::time::Duration::from_secs(60)),
            is_redeemed: false,
            grant_has_ended: false,
            user_is_unavailable: false,
        }
    }

    fn request() -> CodeRedemption {
        CodeRedemption { client_id: facts().client_id, code_verifier: VERIFIER.into(), redirect_uri: None }
    }

    fn decided(request: CodeRedemption, facts: CodeFacts) -> (CodeEffect, Option<Denial>) {
        let (effect, outcome) = decide(&request, &facts, NOW);
        (effect, outcome.err().map(|refusal| refusal.denial))
    }

    #[test]
    fn a_valid_request_redeems_and_a_second_one_ends_the_grant() {
        assert_eq!(decided(request(), facts()), (CodeEffect::Redeem, None));
        let redeemed = CodeFacts { is_redeemed: true, ..facts() };
        assert_eq!(decided(request(), redeemed), (CodeEffect::EndGrant, Some(Denial::CodeReplayed)));
    }

    #[test]
    fn an_invalid_request_consumes_nothing_and_revokes_nothing_even_after_redemption() {
        let other = ClientId::new(NOW, &SeededRng::new(2));
        for is_redeemed in [false, true] {
            let facts = CodeFacts { is_redeemed, ..facts() };
            let expired = CodeFacts { expires_at: NOW, ..facts.clone() };
            for (request, facts, denial) in [
                (CodeRedemption { client_id: other.clone(), ..request() }, facts.clone(), Denial::CodeOfAnotherClient),
                (request(), expired, Denial::CodeExpired),
                (
                    CodeRedemption { code_verifier: VERIFIER.replace('d', "e"), ..request() },
                    facts.clone(),
                    Denial::CodeVerifierMismatch,
                ),
                (
                    CodeRedemption { redirect_uri: Some("https://app.example/cb/".into()), ..request() },
                    facts.clone(),
                    Denial::CodeRedirectUriMismatch,
                ),
            ] {
                assert_eq!(decided(request, facts), (CodeEffect::None, Some(denial)));
            }
        }
    }

    #[test]
    fn the_redirect_uri_may_be_left_out() {
        let sent = CodeRedemption { redirect_uri: Some("https://app.example/cb".into()), ..request() };
        assert_eq!(decided(sent, facts()).1, None);
        assert_eq!(decided(request(), facts()).1, None);
    }
}
