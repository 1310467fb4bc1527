//! Rules for clients (RFC 7591 section 2).

use crate::{
    client::{AuthenticationMethod, GrantType},
    client_metadata::{ClientMetadata, ClientProfile},
    grant::audience::Apis,
    refusal::Mistake,
    registration::display_name,
    rights::is_management,
    web_page::check_web_page,
};

/// The maximum number of redirect URIs of one client.
pub const MAX_REDIRECT_URIS: usize = 20;

/// The maximum number of APIs, and of owners, that a client can be limited to.
const MAX_LIMITS: usize = 100;

/// The metadata of a new client, with its name trimmed. Refused is metadata whose parts don't go together, or that asks
/// for what no API has.
pub fn checked_client(metadata: ClientMetadata, apis: &Apis) -> Result<ClientMetadata, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let client_name = display_name("client_name", &metadata.client_name).unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        String::new()
    });
    if let Some(Err(why)) = metadata.client_uri.as_deref().map(check_web_page) {
        mistakes.push(Mistake::at("client_uri", why));
    }
    mistakes.extend(mistakes_in_grant_types(&metadata));
    mistakes.extend(mistakes_in_scope(&metadata, apis));
    mistakes.extend(mistakes_in_limits(&metadata));
    let uses_keys = metadata.token_endpoint_auth_method == AuthenticationMethod::PrivateKeyJwt;
    match &metadata.jwks {
        None if uses_keys => mistakes.push(Mistake::at("jwks", "private_key_jwt needs the client's public keys")),
        Some(_) if !uses_keys => mistakes.push(Mistake::at("jwks", "only private_key_jwt uses keys")),
        _ => {}
    }
    Mistake::none(mistakes)?;
    Ok(ClientMetadata { client_name, ..metadata })
}

/// The metadata of a client after a change, checked as for a new client. A change that would make another client of it
/// is refused: users and operators trusted the one that it was.
pub fn checked_client_update(
    from: &ClientMetadata,
    to: ClientMetadata,
    apis: &Apis,
) -> Result<ClientMetadata, Vec<Mistake>> {
    let is_public = |metadata: &ClientMetadata| metadata.token_endpoint_auth_method == AuthenticationMethod::None;
    let stays = match is_public(from) == is_public(&to) {
        true => Ok(()),
        false => Err(vec![Mistake::at(
            "token_endpoint_auth_method",
            "a public client can't become confidential, nor the reverse: create another client",
        )]),
    };
    Mistake::none_in_both(checked_client(to, apis), stays).map(|(checked, ())| checked)
}

/// Mistakes in the grant types, and in what needs one of them.
fn mistakes_in_grant_types(metadata: &ClientMetadata) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut wrong = |member, why: &str| mistakes.push(Mistake::at(member, why));
    let is_public = metadata.token_endpoint_auth_method == AuthenticationMethod::None;
    let allows = |grant_type| metadata.grant_types.contains(&grant_type);
    let uses_code = allows(GrantType::AuthorizationCode);
    let at_most = format!("at most {MAX_REDIRECT_URIS}");
    if metadata.redirect_uris.len() > MAX_REDIRECT_URIS {
        wrong("redirect_uris", &at_most);
    }
    if metadata.post_logout_redirect_uris.len() > MAX_REDIRECT_URIS {
        wrong("post_logout_redirect_uris", &at_most);
    }
    if metadata.grant_types.is_empty() {
        // What else is wrong depends on those that are missing.
        wrong("grant_types", "at least one");
        return mistakes;
    }
    if uses_code == metadata.redirect_uris.is_empty() {
        wrong("redirect_uris", "needed by authorization_code, and by nothing else");
    }
    if !uses_code && !metadata.post_logout_redirect_uris.is_empty() {
        wrong("post_logout_redirect_uris", "only clients that sign users in, by authorization_code, have them");
    }
    if metadata.profile == ClientProfile::OidcBasic {
        if is_public {
            wrong("profile", "oidc-basic is for confidential clients: a public client needs PKCE");
        }
        if !uses_code {
            wrong("profile", "oidc-basic is about authorization_code, which is missing");
        }
    }
    if allows(GrantType::ClientCredentials) && is_public {
        wrong("grant_types", "a public client can't use client_credentials");
    }
    if allows(GrantType::RefreshToken) && !uses_code {
        wrong("grant_types", "refresh_token continues authorization_code, which is missing");
    }
    mistakes
}

/// Mistakes in the scopes that the client may ask for, and in those that it gets by default.
fn mistakes_in_scope(metadata: &ClientMetadata, apis: &Apis) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let mut wrong = |member, why: &str| mistakes.push(Mistake::at(member, why));
    let allows = |grant_type| metadata.grant_types.contains(&grant_type);
    let acts_only_for_itself = allows(GrantType::ClientCredentials) && !allows(GrantType::AuthorizationCode);
    let unknown = apis.unknown(&metadata.scope);
    if !unknown.is_empty() {
        wrong("scope", &format!("no API has {unknown}"));
    } else if metadata.scope.is_empty() {
        wrong("scope", "at least one: every request for tokens asks for scopes of the client's");
    } else if acts_only_for_itself && metadata.scope.iter().all(|scope| scope.is_oidc()) {
        wrong("scope", "client_credentials asks for scopes of an API, and none is among the client's");
    }
    let beyond = metadata.default_scope.difference(&metadata.scope);
    if !beyond.is_empty() {
        wrong("default_scope", &format!("{beyond} is not among the client's scopes"));
    }
    mistakes
}

/// Mistakes in what the client is limited to at the management API.
fn mistakes_in_limits(metadata: &ClientMetadata) -> Vec<Mistake> {
    let manages = metadata.scope.iter().any(is_management);
    let mistake = |(member, count): (&str, usize)| match count {
        0 => None,
        1..=MAX_LIMITS if manages => None,
        1..=MAX_LIMITS => Some(Mistake::at(member, "only clients with scopes of the management API can be limited")),
        _ => Some(Mistake::at(member, format!("at most {MAX_LIMITS}"))),
    };
    let counts = [("limited_to", metadata.limited_to.len()), ("limited_to_owners", metadata.limited_to_owners.len())];
    counts.into_iter().filter_map(mistake).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::{
        client_metadata::{ClientKeys, InvalidClientKeys},
        clock::Timestamp,
        holder::Owner,
        id::{ApiId, ClientId},
        jwk::{Algorithm, SigningKey},
        random::SeededRng,
        redirect_uri::RedirectUri,
        refusal::tests::places,
        registration::tests::{api, notes},
        scope::ScopeSet,
    };

    const NONE: [String; 0] = [];

    /// Where the mistakes of a client are.
    fn wrong(client: ClientMetadata) -> Vec<String> {
        places(checked_client(client, &notes()))
    }

    #[test]
    fn every_mistake_of_a_client_is_found_at_once() {
        let uri = RedirectUri::parse("https://app.example/out").unwrap();
        let wrong_everywhere = ClientMetadata {
            client_name: " ".into(),
            client_uri: Some("javascript:alert(1)".into()),
            scope: ScopeSet::parse("notes:burn").unwrap(),
            default_scope: ScopeSet::parse("notes:read").unwrap(),
            post_logout_redirect_uris: vec![uri],
            profile: ClientProfile::OidcBasic,
            token_endpoint_auth_method: AuthenticationMethod::PrivateKeyJwt,
            ..client(&[GrantType::ClientCredentials, GrantType::RefreshToken])
        };
        let all = [
            "/client_name",
            "/client_uri",
            "/post_logout_redirect_uris",
            "/profile",
            "/grant_types",
            "/scope",
            "/default_scope",
            "/jwks",
        ];
        assert_eq!(wrong(wrong_everywhere.clone()), all);
        let public = ClientMetadata { token_endpoint_auth_method: AuthenticationMethod::None, ..client(&[]) };
        let updated = places(checked_client_update(&public, wrong_everywhere, &notes()));
        assert_eq!(updated, [&all[..], &["/token_endpoint_auth_method"]].concat());
    }

    #[test]
    fn client_gets_its_name_without_surrounding_space() {
        let spaced = ClientMetadata { client_name: " App ".into(), ..client(&[GrantType::AuthorizationCode]) };
        let expected = client(&[GrantType::AuthorizationCode]);
        assert_eq!(checked_client(spaced.clone(), &notes()), Ok(expected.clone()));
        assert_eq!(checked_client_update(&expected, spaced, &notes()), Ok(expected));
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
    fn clients_that_go_together_are_accepted() {
        use GrantType::*;
        for grant_types in [
            &[ClientCredentials][..],
            &[AuthorizationCode],
            &[AuthorizationCode, RefreshToken],
            &[AuthorizationCode, ClientCredentials, RefreshToken],
        ] {
            assert_eq!(wrong(client(grant_types)), NONE, "{grant_types:?}");
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
            assert_eq!(wrong(client.clone()), [format!("/{member}")], "{client:?}");
        }
        for empty in ["{}", r#"{"keys":[]}"#] {
            assert_eq!(ClientKeys::parse(empty.as_bytes()), Err(InvalidClientKeys));
        }
    }

    #[test]
    fn address_of_a_client_is_that_of_a_web_page() {
        let with =
            |uri: &str| ClientMetadata { client_uri: Some(uri.to_owned()), ..client(&[GrantType::AuthorizationCode]) };
        assert_eq!(wrong(with("https://app.example/about")), NONE);
        let found = checked_client(with("javascript:alert(1)"), &notes()).unwrap_err();
        assert_eq!(found, [Mistake::at("client_uri", "use https://; http:// is for localhost only")]);
    }

    #[test]
    fn only_clients_that_manage_are_limited_and_within_a_bound() {
        let (now, rng) = (Timestamp::from_secs(1), SeededRng::new(1));
        let limited = |scope: &str, count: usize| ClientMetadata {
            scope: ScopeSet::parse(scope).unwrap(),
            limited_to: (0..count).map(|_| ApiId::new(now, &rng)).collect(),
            limited_to_owners: (0..count).map(|_| Owner::Client(ClientId::new(now, &rng))).collect(),
            ..client(&[GrantType::ClientCredentials])
        };
        let both = ["/limited_to", "/limited_to_owners"];
        assert_eq!(wrong(limited("notes:read", 1)), both);
        assert_eq!(wrong(limited("notes:read", 0)), NONE);
        let management = api("doorward", "urn:doorward", "keys:write");
        let apis = Apis::new(vec![Arc::new(management)]);
        let wrong = |client| places(checked_client(client, &apis));
        assert_eq!(wrong(limited("keys:write", MAX_LIMITS)), NONE);
        assert_eq!(wrong(limited("keys:write", MAX_LIMITS + 1)), both);
    }

    #[test]
    fn as_many_redirect_uris_as_allowed_are_accepted() {
        let uris = || (0..MAX_REDIRECT_URIS).map(|n| RedirectUri::parse(&format!("https://app.example/{n}")).unwrap());
        let full = ClientMetadata {
            redirect_uris: uris().collect(),
            post_logout_redirect_uris: uris().collect(),
            ..client(&[GrantType::AuthorizationCode])
        };
        assert_eq!((MAX_REDIRECT_URIS, wrong(full)), (20, vec![]));
    }

    #[test]
    fn client_that_signs_users_in_may_have_oidc_scopes_only() {
        let with = |grant_types: &[GrantType], scope| {
            wrong(ClientMetadata { scope: ScopeSet::parse(scope).unwrap(), ..client(grant_types) })
        };
        assert_eq!(with(&[GrantType::AuthorizationCode], "openid"), NONE);
        assert_eq!(with(&[GrantType::AuthorizationCode, GrantType::ClientCredentials], "openid"), NONE);
        assert_eq!(with(&[GrantType::ClientCredentials], "notes:read"), NONE);
    }

    #[test]
    fn profile_and_keys_that_go_together_are_accepted() {
        let code = || client(&[GrantType::AuthorizationCode]);
        let basic = ClientMetadata { profile: ClientProfile::OidcBasic, ..code() };
        assert_eq!(wrong(basic), NONE);
        let jwk = SigningKey::generate("k".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap().public_jwk();
        let by_keys = ClientMetadata {
            token_endpoint_auth_method: AuthenticationMethod::PrivateKeyJwt,
            jwks: ClientKeys::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).ok(),
            default_scope: ScopeSet::parse("notes:read").unwrap(),
            ..code()
        };
        assert_eq!(wrong(by_keys), NONE);
        let public = ClientMetadata { token_endpoint_auth_method: AuthenticationMethod::None, ..code() };
        assert_eq!(wrong(public), NONE);
    }
}
