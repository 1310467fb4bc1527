//! Signing out at the request of an application (OpenID Connect RP-Initiated Logout 1.0 section 2).
//!
//! Easy to get wrong: any site can send a browser here. Without an ID token of the very session that would end, the
//! person is asked first; and nobody is sent on to an address that a known client did not register.

use crate::{
    authorization_response,
    client::Client,
    denial::Denial,
    form::Parameters,
    id::{SessionId, UserId},
    id_token::{HintedSignIn, IdTokenHint, IssuedIdTokens},
    redirect_uri,
    refusal::Refusal,
};

/// The parameters of a request.
pub const PARAMETERS: [&str; 4] = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

/// A request to sign out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogoutRequest {
    /// The sign-in that the application names by `id_token_hint`; `None` also where the hint can't be verified.
    pub hint: Option<HintedSignIn>,
    /// The application, as `client_id` or the hint names it. It decides where the browser may go and nothing else, so a
    /// hint names it also where it can't be verified because its key is gone (RP-Initiated Logout 1.0 section 3).
    pub client_id: Option<String>,
    /// Where to go afterwards.
    pub post_logout_redirect_uri: Option<String>,
    /// `state`, returned unchanged.
    pub state: Option<String>,
}

/// What a request to sign out needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogoutStep {
    /// Ask the person.
    Ask,
    /// Do nothing, since nobody is signed in.
    Nothing,
    /// Sign out at once.
    SignOut,
}

impl LogoutRequest {
    /// Reads a request. Refused are parameters that contradict each other, on a page.
    pub fn parse(form: &Parameters<'_>, id_tokens: IssuedIdTokens<'_>) -> Result<Self, Refusal> {
        form.refuse_repeated(&[])?;
        // A hint that can't be verified is no reason to leave the person signed in: the page asks.
        let hint = form.optional("id_token_hint")?.and_then(|token| id_tokens.read_hint(token).ok());
        let (hint, unverified) = match hint {
            Some(IdTokenHint::Verified(hint)) => (Some(hint), Vec::new()),
            Some(IdTokenHint::KeyGone { audience }) => (None, audience),
            None => (None, Vec::new()),
        };
        let stated = form.optional("client_id")?;
        if let (Some(hint), Some(stated)) = (&hint, stated)
            && !hint.audience.iter().any(|audience| audience == stated)
        {
            return Err(Refusal::new(Denial::ParameterInvalid).parameter("client_id").fact("why", "not the hint's"));
        }
        let hinted = || hint.as_ref().map_or(&unverified, |hint| &hint.audience).first().map(String::as_str);
        Ok(Self {
            client_id: stated.or_else(hinted).map(str::to_owned),
            hint,
            post_logout_redirect_uri: form.optional("post_logout_redirect_uri")?.map(str::to_owned),
            state: authorization_response::state(form)?,
        })
    }

    /// Where the browser goes afterwards; `None`: to a page of this server. `client` is the application, if it is known.
    /// An address that it did not register is refused, on a page.
    pub fn destination(&self, client: Option<&Client>) -> Result<Option<String>, Refusal> {
        let (Some(client), Some(asked)) = (client, &self.post_logout_redirect_uri) else { return Ok(None) };
        if client.disabled_at.is_some() || !client.has_post_logout_redirect_uri(asked) {
            let refusal = Refusal::new(Denial::PostLogoutRedirectUriNotRegistered)
                .fact("client_id", &client.id)
                .fact("post_logout_redirect_uri", asked);
            return Err(redirect_uri::naming_the_slash(refusal, &client.metadata.post_logout_redirect_uris, asked));
        }
        let state = self.state.as_deref().map(|state| ("state", state));
        Ok(Some(match state {
            Some(state) => redirect_uri::with_query(asked, [state]),
            None => asked.clone(),
        }))
    }

    /// What to do, given who is signed in and in which session. An ID token of another session is suspect, also
    /// of the same user (RP-Initiated Logout 1.0 section 2).
    pub fn step(&self, signed_in: Option<(&UserId, &SessionId)>) -> LogoutStep {
        let Some((user, session)) = signed_in else { return LogoutStep::Nothing };
        let is_meant = |hint: &HintedSignIn| hint.user == *user && hint.session.as_ref() == Some(session);
        match self.hint.as_ref().is_some_and(is_meant) {
            true => LogoutStep::SignOut,
            false => LogoutStep::Ask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authorization_request::tests::client,
        client_metadata::ClientMetadata,
        clock::Timestamp,
        jwk::{Algorithm, KeySet, SigningKey},
        jws,
        random::SeededRng,
        redirect_uri::RedirectUri,
    };

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const ISSUER: &str = "https://issuer.example";
    const BYE: &str = "https://app.example/bye";

    fn user(seed: u64) -> UserId {
        UserId::new(NOW, &SeededRng::new(seed))
    }

    fn session(seed: u64) -> SessionId {
        SessionId::new(NOW, &SeededRng::new(seed))
    }

    fn app() -> Client {
        let post_logout_redirect_uris = vec![RedirectUri::parse(BYE).unwrap()];
        Client { metadata: ClientMetadata { post_logout_redirect_uris, ..client().metadata }, ..client() }
    }

    fn parse(form: &str) -> Result<LogoutRequest, Denial> {
        let key = SigningKey::generate("k1".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap();
        let gone = SigningKey::generate("k0".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap();
        let mut claims = serde_json::json!({"iss": ISSUER, "sub": user(1), "aud": app().id, "exp": 1});
        let without_sid = jws::sign(&key, "JWT", claims.to_string().as_bytes()).unwrap();
        claims["sid"] = session(1).as_str().into();
        let sign = |key: &SigningKey| jws::sign(key, "JWT", claims.to_string().as_bytes()).unwrap();
        let form = form.replace("HINT", &sign(&key)).replace("GONE", &sign(&gone)).replace("NO_SID", &without_sid);
        let keys = KeySet::new(vec![key.verifying_key()]);
        let id_tokens = IssuedIdTokens { issuer: ISSUER, keys: &keys };
        LogoutRequest::parse(&Parameters::parse(form.as_bytes()).unwrap(), id_tokens).map_err(|refusal| refusal.denial)
    }

    #[test]
    fn only_the_hint_of_the_session_signs_out_without_asking() {
        let step = |form, of: u64, session_of: u64| parse(form).unwrap().step(Some((&user(of), &session(session_of))));
        assert_eq!(step("id_token_hint=HINT", 1, 1), LogoutStep::SignOut);
        assert_eq!(step("id_token_hint=HINT", 2, 1), LogoutStep::Ask, "another user");
        assert_eq!(step("id_token_hint=HINT", 1, 2), LogoutStep::Ask, "another session of the user");
        for form in ["id_token_hint=NO_SID", "id_token_hint=GONE", "id_token_hint=nonsense", ""] {
            assert_eq!(step(form, 1, 1), LogoutStep::Ask, "{form}");
        }
        assert_eq!(parse("id_token_hint=HINT").unwrap().step(None), LogoutStep::Nothing);
    }

    #[test]
    fn client_is_the_hints_and_another_contradicts_it() {
        assert_eq!(parse("id_token_hint=HINT").unwrap().client_id, Some(app().id.to_string()));
        assert_eq!(parse("id_token_hint=GONE").unwrap().client_id, Some(app().id.to_string()));
        assert_eq!(parse("id_token_hint=GONE&client_id=other").unwrap().client_id, Some("other".to_owned()));
        assert_eq!(parse("id_token_hint=nonsense").unwrap().client_id, None);
        let same = format!("id_token_hint=HINT&client_id={}", app().id);
        assert_eq!(parse(&same).unwrap().client_id, Some(app().id.to_string()));
        assert_eq!(parse("id_token_hint=HINT&client_id=other"), Err(Denial::ParameterInvalid));
        assert_eq!(parse("client_id=a&client_id=a"), Err(Denial::ParameterRepeated));
    }

    #[test]
    fn browser_is_sent_on_to_a_registered_address_only() {
        let destination = |form: &str, client: Option<&Client>| {
            parse(form).unwrap().destination(client).map_err(|refusal| refusal.denial)
        };
        let (app, bye) = (app(), format!("post_logout_redirect_uri={BYE}"));
        assert_eq!(destination(&format!("{bye}&state=a+b"), Some(&app)), Ok(Some(format!("{BYE}?state=a%20b"))));
        assert_eq!(destination(&bye, Some(&app)), Ok(Some(BYE.to_owned())));
        assert_eq!(destination("state=x", Some(&app)), Ok(None));
        assert_eq!(destination(&bye, None), Ok(None), "nobody knows whose address it is");
        let not_registered = Err(Denial::PostLogoutRedirectUriNotRegistered);
        assert_eq!(destination(&format!("{bye}?x=1"), Some(&app)), not_registered);
        let slash = parse(&format!("{bye}/")).unwrap().destination(Some(&app)).unwrap_err();
        assert!(slash.facts.contains(&("differs", "by a trailing slash".to_owned())), "{slash:?}");
        let disabled = Client { disabled_at: Some(NOW), ..app };
        assert_eq!(destination(&bye, Some(&disabled)), not_registered);
    }
}
