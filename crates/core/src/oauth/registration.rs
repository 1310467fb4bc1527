//! Rules for the registration of clients, APIs and users (RFC 7591 section 2 for clients).

use std::time::Duration;

use crate::{
    api::{ApiMetadata, DescribedScope, is_api_name},
    client::{AuthenticationMethod, GrantType},
    client_metadata::{ClientMetadata, ClientProfile},
    grant::audience::Apis,
    scope::ScopeSet,
    text::{is_name, is_presentable},
    user::UserMetadata,
    username,
    web_page::check_web_page,
};

/// The maximum number of redirect URIs of one client.
pub const MAX_REDIRECT_URIS: usize = 20;

/// A value that can't be registered, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{member}: {why}")]
pub struct InvalidRegistration {
    /// The member of the metadata.
    pub member: &'static str,
    /// Why not, and what to do.
    pub why: String,
}

impl InvalidRegistration {
    pub(crate) fn new(member: &'static str, why: impl ToString) -> Self {
        Self { member, why: why.to_string() }
    }
}

/// A name for people: 1 to 100 characters that are seen and mislead nobody.
pub fn display_name(member: &'static str, name: &str) -> Result<String, InvalidRegistration> {
    let name = name.trim();
    if name.chars().count() > 100 || !is_name(name) {
        return Err(InvalidRegistration::new(
            member,
            "1 to 100 characters with a letter or a digit among them, none of them invisible, changing the direction of \
             the text, or a control character",
        ));
    }
    Ok(name.to_owned())
}

/// Refuses metadata whose parts don't go together, or that asks for what no API has.
pub fn check_client(metadata: &ClientMetadata, apis: &Apis) -> Result<(), InvalidRegistration> {
    let invalid = |member, why: &str| Err(InvalidRegistration::new(member, why));
    if let Some(address) = &metadata.client_uri {
        check_web_page(address).map_err(|why| InvalidRegistration::new("client_uri", why))?;
    }
    if metadata.redirect_uris.len() > MAX_REDIRECT_URIS {
        return Err(InvalidRegistration::new("redirect_uris", format!("at most {MAX_REDIRECT_URIS}")));
    }
    if metadata.grant_types.is_empty() {
        return invalid("grant_types", "at least one");
    }
    let allows = |grant_type| metadata.grant_types.contains(&grant_type);
    let uses_code = allows(GrantType::AuthorizationCode);
    if uses_code == metadata.redirect_uris.is_empty() {
        return invalid("redirect_uris", "needed by authorization_code, and by nothing else");
    }
    if metadata.post_logout_redirect_uris.len() > MAX_REDIRECT_URIS {
        return Err(InvalidRegistration::new("post_logout_redirect_uris", format!("at most {MAX_REDIRECT_URIS}")));
    }
    if !uses_code && !metadata.post_logout_redirect_uris.is_empty() {
        return invalid(
            "post_logout_redirect_uris",
            "only clients that sign users in, by authorization_code, have them",
        );
    }
    if metadata.profile == ClientProfile::OidcBasic {
        if metadata.token_endpoint_auth_method == AuthenticationMethod::None {
            return invalid("profile", "oidc-basic is for confidential clients: a public client needs PKCE");
        }
        if !uses_code {
            return invalid("profile", "oidc-basic is about authorization_code, which is missing");
        }
    }
    let acts_for_itself = allows(GrantType::ClientCredentials);
    if acts_for_itself && metadata.token_endpoint_auth_method == AuthenticationMethod::None {
        return invalid("grant_types", "a public client can't use client_credentials");
    }
    if allows(GrantType::RefreshToken) && !uses_code {
        return invalid("grant_types", "refresh_token continues authorization_code, which is missing");
    }
    let unknown = apis.unknown(&metadata.scope);
    if !unknown.is_empty() {
        return Err(InvalidRegistration::new("scope", format!("no API has {unknown}")));
    }
    if metadata.scope.is_empty() {
        return invalid("scope", "at least one: every request for tokens asks for scopes of the client's");
    }
    if acts_for_itself && !uses_code && metadata.scope.iter().all(|scope| scope.is_oidc()) {
        return invalid("scope", "client_credentials asks for scopes of an API, and none is among the client's");
    }
    let beyond = metadata.default_scope.difference(&metadata.scope);
    if !beyond.is_empty() {
        return Err(InvalidRegistration::new("default_scope", format!("{beyond} is not among the client's scopes")));
    }
    let uses_keys = metadata.token_endpoint_auth_method == AuthenticationMethod::PrivateKeyJwt;
    match &metadata.jwks {
        None if uses_keys => invalid("jwks", "private_key_jwt needs the client's public keys"),
        Some(_) if !uses_keys => invalid("jwks", "only private_key_jwt uses keys"),
        _ => Ok(()),
    }
}

/// Refuses an API that can't be one. `retire_after` is how long a signing key is published after its time.
pub fn check_api(api: &ApiMetadata, others: &Apis, retire_after: Duration) -> Result<(), InvalidRegistration> {
    let invalid = |what, why: String| Err(InvalidRegistration::new(what, why));
    if !is_api_name(&api.name) {
        return invalid("name", "1 to 64 lower-case letters, digits and -, a letter first".to_owned());
    }
    let same = others.by_resource(api.identifier.as_str()).filter(|other| other.metadata.identifier != api.identifier);
    if let Some(other) = same {
        let (identifier, name) = (other.metadata.identifier.as_str(), &other.metadata.name);
        return invalid(
            "identifier",
            format!("the same as {identifier:?} of the API {name:?}, but for the trailing slash"),
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
        display_name("scopes", description)?;
    }
    Ok(())
}

/// Which values of an API are already taken, in words: names, identifiers and scopes are unique across all APIs.
pub fn taken_by_another_api(api: &ApiMetadata, others: &Apis) -> Option<String> {
    if others.by_name(&api.name).is_some() {
        return Some(format!("an API with the name {:?} exists", api.name));
    }
    if let Some(other) = others.by_resource(api.identifier.as_str()) {
        return Some(format!(
            "the API {:?} has the identifier {:?}",
            other.metadata.name,
            other.metadata.identifier.as_str()
        ));
    }
    api.scopes.iter().find_map(|DescribedScope { scope, .. }| {
        let owner = others.iter().find(|other| other.has_scope(scope))?;
        Some(format!("the API {:?} has the scope {scope}", owner.metadata.name))
    })
}

/// The metadata of a new user, with its names trimmed. Refused are names that nobody could type again or that can't be
/// shown, and what is not an email address.
pub fn checked_user(user: UserMetadata) -> Result<UserMetadata, InvalidRegistration> {
    let is_address = |email: &String| {
        email.len() <= 254 && email.contains('@') && !email.contains(|c: char| c.is_whitespace() || !is_presentable(c))
    };
    if user.email.as_ref().is_some_and(|email| !is_address(email)) {
        return Err(InvalidRegistration::new("email", "not a mail address"));
    }
    if user.email_verified && user.email.is_none() {
        return Err(InvalidRegistration::new("email_verified", "there is no email"));
    }
    let username = user.username.trim().to_owned();
    username::canonical(&username).map_err(|why| InvalidRegistration::new("username", why))?;
    Ok(UserMetadata { username, name: user.name.map(|name| display_name("name", &name)).transpose()?, ..user })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use serde_json::json;

    use super::*;
    use crate::{
        api::{Api, ResourceIdentifier, TokenFormat},
        api_key::KeyPrefix,
        client_metadata::{ClientKeys, InvalidClientKeys},
        clock::Timestamp,
        id::ApiId,
        jwk::{Algorithm, SigningKey},
        random::SeededRng,
        redirect_uri::RedirectUri,
        scope::Scope,
    };

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn api(name: &str, identifier: &str, scope: &str) -> Api {
        Api {
            id: ApiId::new(NOW, &SeededRng::new(1)),
            created_at: NOW,
            metadata: ApiMetadata {
                name: name.into(),
                identifier: ResourceIdentifier::parse(identifier).unwrap(),
                scopes: vec![DescribedScope { scope: Scope::parse(scope).unwrap(), description: "Do it".into() }],
                roles: BTreeSet::new(),
                token_format: TokenFormat::Jwt,
                signing_algorithm: Algorithm::EdDSA,
                access_token_ttl: Duration::from_secs(300),
                key_prefix: KeyPrefix::default(),
            },
        }
    }

    fn notes() -> Apis {
        Apis::new(vec![Arc::new(api("notes", "https://notes.example", "notes:read"))])
    }

    fn client(grant_types: &[GrantType]) -> ClientMetadata {
        let redirect_uris = match grant_types.contains(&GrantType::AuthorizationCode) {
            true => vec![RedirectUri::parse("https://app.example/callback").unwrap()],
            false => Vec::new(),
        };
        ClientMetadata {
            client_name: "App".into(),
            grant_types: grant_types.iter().copied().collect(),
            redirect_uris,
            scope: ScopeSet::parse("openid notes:read").unwrap(),
            ..ClientMetadata::default()
        }
    }

    #[test]
    fn name_of_unseen_or_misleading_characters_is_refused() {
        for bad in ["", " ", "No\u{202e}tes", "Not\u{200b}es", "No\u{2028}tes", "Notes\u{e0041}", "No\ntes"] {
            assert!(display_name("name", bad).is_err(), "{bad:?}");
        }
        assert_eq!(display_name("name", " Jos\u{e9}’s notes "), Ok("Jos\u{e9}’s notes".to_owned()));
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
        let by_keys = ClientMetadata { token_endpoint_auth_method: AuthenticationMethod::PrivateKeyJwt, ..code() };
        let public = AuthenticationMethod::None;
        let basic = ClientProfile::OidcBasic;
        let jwk = SigningKey::generate("k".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap().public_jwk();
        let jwks = ClientKeys::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).ok();
        for (client, member) in [
            (client(&[]), "grant_types"),
            (client(&[RefreshToken]), "grant_types"),
            (ClientMetadata { token_endpoint_auth_method: public, ..client(&[ClientCredentials]) }, "grant_types"),
            (ClientMetadata { redirect_uris: Vec::new(), ..code() }, "redirect_uris"),
            (ClientMetadata { redirect_uris: vec![uri(1)], ..client(&[ClientCredentials]) }, "redirect_uris"),
            (ClientMetadata { redirect_uris: (0..=MAX_REDIRECT_URIS).map(uri).collect(), ..code() }, "redirect_uris"),
            (ClientMetadata { scope: scopes("notes:burn"), ..code() }, "scope"),
            (ClientMetadata { scope: scopes(""), ..code() }, "scope"),
            (ClientMetadata { scope: scopes("openid"), ..client(&[ClientCredentials]) }, "scope"),
            (ClientMetadata { default_scope: scopes("email"), ..code() }, "default_scope"),
            (ClientMetadata { jwks, ..code() }, "jwks"),
            (
                ClientMetadata { post_logout_redirect_uris: (0..=MAX_REDIRECT_URIS).map(uri).collect(), ..code() },
                "post_logout_redirect_uris",
            ),
            (
                ClientMetadata { post_logout_redirect_uris: vec![uri(1)], ..client(&[ClientCredentials]) },
                "post_logout_redirect_uris",
            ),
            (ClientMetadata { profile: basic, token_endpoint_auth_method: public, ..code() }, "profile"),
            (ClientMetadata { profile: basic, ..client(&[ClientCredentials]) }, "profile"),
            (by_keys, "jwks"),
        ] {
            assert_eq!(check_client(&client, &notes()).map_err(|error| error.member), Err(member), "{client:?}");
        }
        for empty in ["{}", r#"{"keys":[]}"#] {
            assert_eq!(ClientKeys::parse(empty.as_bytes()), Err(InvalidClientKeys));
        }
    }

    #[test]
    fn address_of_a_client_is_that_of_a_web_page() {
        let with =
            |uri: &str| ClientMetadata { client_uri: Some(uri.to_owned()), ..client(&[GrantType::AuthorizationCode]) };
        assert_eq!(check_client(&with("https://app.example/about"), &notes()), Ok(()));
        let error = check_client(&with("javascript:alert(1)"), &notes()).unwrap_err();
        assert_eq!(error.to_string(), "client_uri: use https://; http:// is for localhost only");
    }

    #[test]
    fn each_part_of_an_api_that_does_not_fit_is_named() {
        let fits = || api("mails", "https://mails.example", "mails:read");
        assert_eq!(check_api(&fits().metadata, &notes(), DAY), Ok(()));
        let ttl = |secs| Api {
            metadata: ApiMetadata { access_token_ttl: Duration::from_secs(secs), ..fits().metadata },
            ..fits()
        };
        for (api, what) in [
            (Api { metadata: ApiMetadata { name: "Mails".into(), ..fits().metadata }, ..fits() }, "name"),
            (api("mails", "https://notes.example/", "mails:read"), "identifier"),
            (ttl(0), "access_token_ttl"),
            (ttl(86_401), "access_token_ttl"),
            (api("mails", "https://mails.example", "openid"), "scopes"),
        ] {
            assert_eq!(check_api(&api.metadata, &notes(), DAY).map_err(|error| error.member), Err(what), "{api:?}");
        }
        let outlives = check_api(&ttl(3_601).metadata, &notes(), Duration::from_secs(3_600)).unwrap_err();
        assert!(outlives.why.contains("retire_after"), "{outlives}");
    }

    #[test]
    fn reports_which_api_field_is_taken() {
        let taken = |name, identifier, scope| taken_by_another_api(&api(name, identifier, scope).metadata, &notes());
        assert_eq!(taken("mails", "https://mails.example", "mails:read"), None);
        assert!(taken("notes", "https://mails.example", "mails:read").unwrap().contains("the name"));
        assert!(taken("mails", "https://notes.example", "mails:read").unwrap().contains("the identifier"));
        assert!(taken("mails", "https://mails.example", "notes:read").unwrap().contains("the scope notes:read"));
    }

    #[test]
    fn names_have_100_characters_at_most() {
        assert!(display_name("name", &"\u{e4}".repeat(100)).is_ok());
        assert!(display_name("name", &"\u{e4}".repeat(101)).is_err());
    }

    #[test]
    fn as_many_redirect_uris_as_allowed_are_accepted() {
        let uris = || (0..MAX_REDIRECT_URIS).map(|n| RedirectUri::parse(&format!("https://app.example/{n}")).unwrap());
        let full = ClientMetadata {
            redirect_uris: uris().collect(),
            post_logout_redirect_uris: uris().collect(),
            ..client(&[GrantType::AuthorizationCode])
        };
        assert_eq!((MAX_REDIRECT_URIS, check_client(&full, &notes())), (20, Ok(())));
    }

    #[test]
    fn client_that_signs_users_in_may_have_oidc_scopes_only() {
        let with = |grant_types: &[GrantType], scope| {
            let metadata = ClientMetadata { scope: ScopeSet::parse(scope).unwrap(), ..client(grant_types) };
            check_client(&metadata, &notes()).map_err(|error| error.member)
        };
        assert_eq!(with(&[GrantType::AuthorizationCode], "openid"), Ok(()));
        assert_eq!(with(&[GrantType::AuthorizationCode, GrantType::ClientCredentials], "openid"), Ok(()));
        assert_eq!(with(&[GrantType::ClientCredentials], "notes:read"), Ok(()));
    }

    #[test]
    fn profile_and_keys_that_go_together_are_accepted() {
        let code = || client(&[GrantType::AuthorizationCode]);
        let basic = ClientMetadata { profile: ClientProfile::OidcBasic, ..code() };
        assert_eq!(check_client(&basic, &notes()), Ok(()));
        let jwk = SigningKey::generate("k".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap().public_jwk();
        let by_keys = ClientMetadata {
            token_endpoint_auth_method: AuthenticationMethod::PrivateKeyJwt,
            jwks: ClientKeys::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).ok(),
            default_scope: ScopeSet::parse("notes:read").unwrap(),
            ..code()
        };
        assert_eq!(check_client(&by_keys, &notes()), Ok(()));
        let public = ClientMetadata { token_endpoint_auth_method: AuthenticationMethod::None, ..code() };
        assert_eq!(check_client(&public, &notes()), Ok(()));
    }

    #[test]
    fn lifetimes_from_a_second_to_a_day_and_64_scopes_are_accepted() {
        let metadata = || api("mails", "https://mails.example", "mails:read").metadata;
        let ttl = |ttl| check_api(&ApiMetadata { access_token_ttl: ttl, ..metadata() }, &notes(), DAY);
        assert_eq!((ttl(Duration::from_secs(1)), ttl(DAY)), (Ok(()), Ok(())));
        let scopes = |count: usize| {
            let scope = |n| Scope::parse(&format!("mails:{n}")).unwrap();
            let described = |n| DescribedScope { scope: scope(n), description: "Do it".into() };
            let metadata = ApiMetadata { scopes: (0..count).map(described).collect(), ..metadata() };
            check_api(&metadata, &notes(), DAY).map_err(|error| error.member)
        };
        assert_eq!((scopes(64), scopes(65)), (Ok(()), Err("scopes")));
        let itself = api("notes", "https://notes.example", "notes:read").metadata;
        assert_eq!(check_api(&itself, &notes(), DAY), Ok(()), "an API is no other to itself");
    }

    #[test]
    fn mail_address_has_one_word_with_an_at_and_254_bytes_at_most() {
        let checked = |email: &str, email_verified| {
            let user = UserMetadata { username: "ada".into(), email: Some(email.into()), email_verified, name: None };
            checked_user(user).map_err(|error| error.member)
        };
        let of_length = |length: usize| format!("{}@app.example", "a".repeat(length - 12));
        assert!(checked("ada@app.example", true).is_ok() && checked(&of_length(254), false).is_ok());
        for bad in ["ada", "a da@app.example", "a\u{202e}da@app.example", &of_length(255)] {
            assert_eq!(checked(bad, false), Err("email"), "{bad:?}");
        }
        let without = UserMetadata { username: "ada".into(), email: None, email_verified: true, name: None };
        assert_eq!(checked_user(without.clone()).map_err(|error| error.member), Err("email_verified"));
        assert!(checked_user(UserMetadata { email_verified: false, ..without }).is_ok());
    }
}
