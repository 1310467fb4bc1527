//! Signing out at the request of an application (OpenID Connect RP-Initiated Logout 1.0 section 2).
//!
//! Easy to get wrong: any site can send a browser here. Without an id_token of the user who is signed in, the person is
//! asked first; and nobody is sent on to an address that a known client did not register.

use crate::{
    authorization_response, client::Client, denial::Denial, form::Parameters, id::UserId, id_token::IssuedIdTokens,
    redirect_uri, refusal::Refusal,
};

/// A request to sign out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogoutRequest {
    /// The user that the application names by `id_token_hint`; `None` also where the hint can't be read.
    pub hinted_user: Option<UserId>,
    /// The application, as `client_id` or the hint names it.
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
    /// Nobody is signed in: nothing.
    Nothing,
    /// Sign out at once.
    SignOut,
}

impl LogoutRequest {
    /// Reads a request. Refused are parameters that contradict each other, on a page.
    pub fn parse(form: &Parameters<'_>, id_tokens: IssuedIdTokens<'_>) -> Result<Self, Refusal> {
        form.refuse_repeated(&[])?;
        // A hint whose key is gone is no reason to leave the person signed in: the page asks.
        let hint = form.optional("id_token_hint")?.and_then(|token| id_tokens.read_hint(token).ok());
        let stated = form.optional("client_id")?;
        if let (Some(hint), Some(stated)) = (&hint, stated)
            && !hint.audience.iter().any(|audience| audience == stated)
        {
            return Err(Refusal::new(Denial::ParameterInvalid).parameter("client_id").fact("why", "not the hint's"));
        }
        let hinted = || hint.as_ref().and_then(|hint| hint.audience.first()).map(String::as_str);
        Ok(Self {
            client_id: stated.or_else(hinted).map(str::to_owned),
            hinted_user: hint.map(|hint| hint.user),
            post_logout_redirect_uri: form.optional("post_logout_redirect_uri")?.map(str::to_owned),
            state: authorization_response::state(form)?,
        })
    }

    /// Where the browser goes afterwards; `None`: to a page of ours. `client` is the application, if it is known.
    /// An address that it did not register is refused, on a page.
    pub fn destination(&self, client: Option<&Client>) -> Result<Option<String>, Refusal> {
        let (Some(client), Some(asked)) = (client, &self.post_logout_redirect_uri) else { return Ok(None) };
        if client.disabled_at.is_some() || !client.has_post_logout_redirect_uri(asked) {
            return Err(Refusal::new(Denial::PostLogoutRedirectUriNotRegistered)
                .fact("client_id", &client.id)
                .fact("post_logout_redirect_uri", asked));
        }
        let state = self.state.as_deref().map(|state| ("state", state));
        Ok(Some(match state {
            Some(state) => redirect_uri::with_query(asked, [state]),
            None => asked.clone(),
        }))
    }

    /// What is to be done for who is signed in.
    pub fn step(&self, signed_in: Option<&UserId>) -> LogoutStep {
        match signed_in {
            None => LogoutStep::Nothing,
            Some(user) if self.hinted_user.as_ref() == Some(user) => LogoutStep::SignOut,
            Some(_) => LogoutStep::Ask,
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

    fn app() -> Client {
        let post_logout_redirect_uris = vec![RedirectUri::parse(BYE).unwrap()];
        Client { metadata: ClientMetadata { post_logout_redirect_uris, ..client().metadata }, ..client() }
    }

    fn parse(form: &str) -> Result<LogoutRequest, Denial> {
        let key = SigningKey::generate("k1".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap();
        let claims = serde_json::json!({"iss": ISSUER, "sub": user(1), "aud": app().id, "exp": 1});
        let hint = jws::sign(&key, "JWT", claims.to_string().as_bytes()).unwrap();
        let form = form.replace("HINT", &hint);
        let keys = KeySet::new(vec![key.verifying_key()]);
        let id_tokens = IssuedIdTokens { issuer: ISSUER, keys: &keys };
        LogoutRequest::parse(&Parameters::parse(form.as_bytes()).unwrap(), id_tokens).map_err(|refusal| refusal.denial)
    }

    #[test]
    fn hint_of_the_user_signs_out_and_everything_else_is_asked_about() {
        let step = |form, signed_in: Option<u64>| parse(form).unwrap().step(signed_in.map(user).as_ref());
        assert_eq!(step("id_token_hint=HINT", Some(1)), LogoutStep::SignOut);
        assert_eq!(step("id_token_hint=HINT", Some(2)), LogoutStep::Ask);
        assert_eq!(step("id_token_hint=nonsense", Some(1)), LogoutStep::Ask);
        assert_eq!(step("", Some(1)), LogoutStep::Ask);
        assert_eq!(step("id_token_hint=HINT", None), LogoutStep::Nothing);
    }

    #[test]
    fn client_is_the_hints_and_another_contradicts_it() {
        assert_eq!(parse("id_token_hint=HINT").unwrap().client_id, Some(app().id.to_string()));
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
        assert_eq!(destination(&format!("{bye}&state=a+b"), Some(&app)), Ok(Some(format!("{BYE}?state=a+b"))));
        assert_eq!(destination(&bye, Some(&app)), Ok(Some(BYE.to_owned())));
        assert_eq!(destination("state=x", Some(&app)), Ok(None));
        assert_eq!(destination(&bye, None), Ok(None), "nobody knows whose address it is");
        let not_registered = Err(Denial::PostLogoutRedirectUriNotRegistered);
        assert_eq!(destination(&format!("{bye}?x=1"), Some(&app)), not_registered);
        let disabled = Client { disabled_at: Some(NOW), ..app };
        assert_eq!(destination(&bye, Some(&disabled)), not_registered);
    }
}
