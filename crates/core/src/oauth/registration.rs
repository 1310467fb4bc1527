//! What a client, an API and a key must be like before they are registered (RFC 7591 section 2 names it client metadata).

use std::time::Duration;

use crate::{
    api::{Api, DescribedScope, is_api_name},
    client::{AuthenticationMethod, Client, GrantType},
    grant::audience::Apis,
    jwk::KeySet,
    scope::ScopeSet,
};

/// The most redirect URIs of one client.
pub const MAX_REDIRECT_URIS: usize = 20;

/// A value that can't be registered: which, and why not.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct InvalidRegistration {
    /// Which value.
    pub what: &'static str,
    /// Why not, and what to do.
    pub why: String,
}

impl InvalidRegistration {
    fn new(what: &'static str, why: impl ToString) -> Self {
        Self { what, why: why.to_string() }
    }
}

/// A name for people: 1 to 100 characters, none of them a control character.
pub fn display_name(what: &'static str, name: &str) -> Result<String, InvalidRegistration> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(InvalidRegistration::new(what, "1 to 100 characters without control characters"));
    }
    Ok(name.to_owned())
}

/// Refuses a client whose parts don't go together, or that asks for what no API has.
pub fn check_client(client: &Client, apis: &Apis) -> Result<(), InvalidRegistration> {
    let invalid = |what, why: &str| Err(InvalidRegistration::new(what, why));
    if client.redirect_uris.len() > MAX_REDIRECT_URIS {
        return Err(InvalidRegistration::new("redirect_uri", format!("at most {MAX_REDIRECT_URIS}")));
    }
    if client.grant_types.is_empty() {
        return invalid("grant_type", "at least one");
    }
    let uses_code = client.allows(GrantType::AuthorizationCode);
    if uses_code == client.redirect_uris.is_empty() {
        return invalid("redirect_uri", "needed by authorization_code, and by nothing else");
    }
    let acts_for_itself = client.allows(GrantType::ClientCredentials);
    if acts_for_itself && !client.is_confidential() {
        return invalid("grant_type", "a public client can't use client_credentials");
    }
    if client.allows(GrantType::RefreshToken) && !uses_code {
        return invalid("grant_type", "refresh_token continues authorization_code, which is missing");
    }
    let unknown = apis.unknown(&client.scopes);
    if !unknown.is_empty() {
        return Err(InvalidRegistration::new("scope", format!("no API has {unknown}")));
    }
    if acts_for_itself && !uses_code && client.scopes.iter().all(|scope| scope.is_oidc()) {
        return invalid("scope", "client_credentials asks for scopes of an API, and none is among the client's");
    }
    let beyond = client.default_scopes.difference(&client.scopes);
    if !beyond.is_empty() {
        return Err(InvalidRegistration::new("default_scope", format!("{beyond} is not among the client's scopes")));
    }
    let uses_keys = client.authentication == AuthenticationMethod::PrivateKeyJwt;
    match &client.jwks {
        None if uses_keys => invalid("jwks", "private_key_jwt needs the client's public keys"),
        Some(_) if !uses_keys => invalid("jwks", "only private_key_jwt uses keys"),
        Some(jwks) if KeySet::parse(jwks.as_bytes()).map_or(true, |keys| keys.is_empty()) => {
            invalid("jwks", "a JWK set with at least one usable public key")
        }
        _ => Ok(()),
    }
}

/// Refuses an API that can't be one. `retire_after` is how long a signing key is published after its time.
pub fn check_api(api: &Api, others: &Apis, retire_after: Duration) -> Result<(), InvalidRegistration> {
    let invalid = |what, why: String| Err(InvalidRegistration::new(what, why));
    if !is_api_name(&api.name) {
        return invalid("name", "1 to 64 lower-case letters, digits and -, a letter first".to_owned());
    }
    let same = others.by_resource(api.identifier.as_str()).filter(|other| other.identifier != api.identifier);
    if let Some(other) = same {
        let (identifier, name) = (other.identifier.as_str(), &other.name);
        return invalid(
            "identifier",
            format!("the same as {identifier:?} of the API {name:?} but for the slash at its end"),
        );
    }
    if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&api.access_token_ttl) {
        return invalid("access_token_ttl", "between a second and a day".to_owned());
    }
    if api.access_token_ttl > retire_after {
        let secs = retire_after.as_secs();
        let why = format!("beyond signing.retire_after, {secs} s: a token would outlive the key that verifies it");
        return invalid("access_token_ttl", why);
    }
    if api.scopes.len() > ScopeSet::MAX {
        return invalid("scopes", format!("at most {}", ScopeSet::MAX));
    }
    for DescribedScope { scope, description } in &api.scopes {
        if scope.is_oidc() {
            return invalid("scopes", format!("{scope} is OpenID Connect's own"));
        }
        display_name("scope description", description)?;
    }
    Ok(())
}

/// What of an API is taken already, in words: names, identifiers and scopes are unique across all APIs.
pub fn taken_by_another_api(api: &Api, others: &Apis) -> Option<String> {
    if others.by_name(&api.name).is_some() {
        return Some(format!("an API with the name {:?} exists", api.name));
    }
    if let Some(other) = others.by_resource(api.identifier.as_str()) {
        return Some(format!("the API {:?} has the identifier {:?}", other.name, other.identifier.as_str()));
    }
    api.scopes.iter().find_map(|DescribedScope { scope, .. }| {
        let owner = others.iter().find(|other| other.has_scope(scope))?;
        Some(format!("the API {:?} has the scope {scope}", owner.name))
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::{
        api::{ResourceIdentifier, TokenFormat},
        api_key::KeyPrefix,
        clock::Timestamp,
        id::{ApiId, ClientId},
        jwk::Algorithm,
        random::SeededRng,
        redirect_uri::RedirectUri,
        scope::Scope,
    };

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn api(name: &str, identifier: &str, scope: &str) -> Api {
        Api {
            id: ApiId::new(NOW, &SeededRng::new(1)),
            name: name.into(),
            identifier: ResourceIdentifier::parse(identifier).unwrap(),
            scopes: vec![DescribedScope { scope: Scope::parse(scope).unwrap(), description: "Do it".into() }],
            roles: BTreeSet::new(),
            token_format: TokenFormat::Jwt,
            signing_algorithm: Algorithm::EdDSA,
            access_token_ttl: Duration::from_secs(300),
            key_prefix: KeyPrefix::default(),
            created_at: NOW,
        }
    }

    fn notes() -> Apis {
        Apis::new(vec![Arc::new(api("notes", "https://notes.example", "notes:read"))])
    }

    fn client(grant_types: &[GrantType]) -> Client {
        let redirect_uris = match grant_types.contains(&GrantType::AuthorizationCode) {
            true => vec![RedirectUri::parse("https://app.example/callback").unwrap()],
            false => Vec::new(),
        };
        Client {
            id: ClientId::new(NOW, &SeededRng::new(1)),
            name: "App".into(),
            authentication: AuthenticationMethod::ClientSecret,
            secret: None,
            jwks: None,
            assertion_for_token_endpoint: false,
            grant_types: grant_types.iter().copied().collect(),
            redirect_uris,
            scopes: ScopeSet::parse("openid notes:read").unwrap(),
            default_scopes: ScopeSet::default(),
            id_token_algorithm: Algorithm::RS256,
            roles: Vec::new(),
            api: None,
            created_at: NOW,
            disabled_at: None,
            tokens_ended_at: None,
        }
    }

    #[test]
    fn clients_that_go_together_are_accepted() {
        use GrantType::*;
        for grant_types in [
            &[ClientCredentials][..],
            &[AuthorizationCode],
            &[AuthorizationCode, RefreshToken],
            &[AuthorizationCode, ClientCredentials, RefreshToken],
        ] {
            assert_eq!(check_client(&client(grant_types), &notes()), Ok(()), "{grant_types:?}");
        }
    }

    #[test]
    fn each_part_of_a_client_that_does_not_fit_is_named() {
        use GrantType::*;
        let scopes = |text| ScopeSet::parse(text).unwrap();
        let code = || client(&[AuthorizationCode]);
        let uri = |n| RedirectUri::parse(&format!("https://app.example/{n}")).unwrap();
        for (client, what) in [
            (client(&[]), "grant_type"),
            (client(&[RefreshToken]), "grant_type"),
            (Client { authentication: AuthenticationMethod::None, ..client(&[ClientCredentials]) }, "grant_type"),
            (Client { redirect_uris: Vec::new(), ..code() }, "redirect_uri"),
            (Client { redirect_uris: vec![uri(1)], ..client(&[ClientCredentials]) }, "redirect_uri"),
            (Client { redirect_uris: (0..=MAX_REDIRECT_URIS).map(uri).collect(), ..code() }, "redirect_uri"),
            (Client { scopes: scopes("notes:burn"), ..code() }, "scope"),
            (Client { scopes: scopes("openid"), ..client(&[ClientCredentials]) }, "scope"),
            (Client { default_scopes: scopes("email"), ..code() }, "default_scope"),
            (Client { jwks: Some("{}".into()), ..code() }, "jwks"),
            (Client { authentication: AuthenticationMethod::PrivateKeyJwt, ..code() }, "jwks"),
            (
                Client {
                    authentication: AuthenticationMethod::PrivateKeyJwt,
                    jwks: Some(r#"{"keys":[]}"#.into()),
                    ..code()
                },
                "jwks",
            ),
        ] {
            assert_eq!(check_client(&client, &notes()).map_err(|error| error.what), Err(what), "{client:?}");
        }
    }

    #[test]
    fn each_part_of_an_api_that_does_not_fit_is_named() {
        let fits = || api("mails", "https://mails.example", "mails:read");
        assert_eq!(check_api(&fits(), &notes(), DAY), Ok(()));
        let ttl = |secs| Api { access_token_ttl: Duration::from_secs(secs), ..fits() };
        for (api, what) in [
            (Api { name: "Mails".into(), ..fits() }, "name"),
            (api("mails", "https://notes.example/", "mails:read"), "identifier"),
            (ttl(0), "access_token_ttl"),
            (ttl(86_401), "access_token_ttl"),
            (api("mails", "https://mails.example", "openid"), "scopes"),
        ] {
            assert_eq!(check_api(&api, &notes(), DAY).map_err(|error| error.what), Err(what), "{api:?}");
        }
        let outlives = check_api(&ttl(3_601), &notes(), Duration::from_secs(3_600)).unwrap_err();
        assert!(outlives.why.contains("retire_after"), "{outlives}");
    }

    #[test]
    fn what_of_an_api_is_taken_is_said() {
        let taken = |name, identifier, scope| taken_by_another_api(&api(name, identifier, scope), &notes());
        assert_eq!(taken("mails", "https://mails.example", "mails:read"), None);
        assert!(taken("notes", "https://mails.example", "mails:read").unwrap().contains("the name"));
        assert!(taken("mails", "https://notes.example", "mails:read").unwrap().contains("the identifier"));
        assert!(taken("mails", "https://mails.example", "notes:read").unwrap().contains("the scope notes:read"));
    }
}
