//! Rules for the registration of clients, APIs and users.
//!
//! Each finds every mistake, so that who sent a document learns them at once.

mod client;
mod identifier;
mod update;

use std::{collections::BTreeSet, time::Duration};

pub use self::{
    client::{MAX_REDIRECT_URIS, checked_client, checked_client_update},
    identifier::{check_identifier, identified_alike},
    update::{check_api_deletion, check_api_update, checked_user_update, narrows_client},
};
use crate::{
    api::{ApiMetadata, DescribedScope, MANAGEMENT, is_api_name},
    grant::audience::Apis,
    id::reads_as_id,
    key_kind::PUBLISHABLE_PREFIX,
    key_policy::KeyPolicy,
    refusal::Mistake,
    scope::{Scope, ScopeSet},
    text::{is_name, is_presentable},
    user::UserMetadata,
    username,
};

/// A name for people: 1 to 100 characters that are seen and mislead nobody.
pub fn display_name(member: &str, name: &str) -> Result<String, Mistake> {
    let name = name.trim();
    if name.chars().count() > 100 || !is_name(name) {
        return Err(Mistake::at(
            member,
            "1 to 100 characters with a letter or a digit among them, none of them invisible, changing the direction of \
             the text, or a control character",
        ));
    }
    Ok(name.to_owned())
}

/// Refuses an API that can't be one. `retire_after` is how long a signing key is published after its time.
pub fn check_api(api: &ApiMetadata, others: &Apis, retire_after: Duration) -> Result<(), Vec<Mistake>> {
    let mut mistakes = Vec::new();
    if !is_api_name(&api.name) {
        mistakes.push(Mistake::at("name", "1 to 64 lower-case letters, digits and -, a letter first"));
    }
    let same = others.by_resource(api.identifier.as_str()).filter(|other| other.metadata.identifier != api.identifier);
    if let Some(other) = same {
        let (identifier, name) = (other.metadata.identifier.as_str(), &other.metadata.name);
        let why = format!("the same as {identifier:?} of the API {name:?}, but for the trailing slash");
        mistakes.push(Mistake::at("identifier", why));
    }
    if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&api.access_token_ttl) {
        mistakes.push(Mistake::at("access_token_ttl", "between a second and a day"));
    } else if api.access_token_ttl > retire_after {
        let secs = retire_after.as_secs();
        let why = format!("beyond signing.retire_after, {secs} s: a token would outlive the key that verifies it");
        mistakes.push(Mistake::at("access_token_ttl", why));
    }
    mistakes.extend(mistakes_in_scopes(&api.scopes));
    if api.key_prefix.as_str() == PUBLISHABLE_PREFIX {
        let why = format!("{PUBLISHABLE_PREFIX} is the prefix of publishable keys, of every API");
        mistakes.push(Mistake::at("key_prefix", why));
    }
    mistakes.extend(mistakes_in_key_scopes(api, "user_key_scopes", &api.user_key_scopes));
    mistakes.extend(mistakes_in_key_scopes(api, "public_scopes", &api.public_scopes));
    let of_policy = api.key_policy.iter().flat_map(KeyPolicy::mistakes);
    mistakes.extend(of_policy.map(|mistake| mistake.within("key_policy")));
    Mistake::none(mistakes)
}

fn mistakes_in_scopes(scopes: &[DescribedScope]) -> Vec<Mistake> {
    if scopes.len() > ScopeSet::MAX {
        return vec![Mistake::at("scopes", format!("at most {}", ScopeSet::MAX))];
    }
    let mut mistakes = Vec::new();
    for (index, DescribedScope { scope, description }) in scopes.iter().enumerate() {
        let mut wrong = |why| mistakes.push(Mistake::at_element("scopes", index, why));
        if scopes[..index].iter().any(|other| other.scope == *scope) {
            wrong(format!("{scope} is there twice"));
        }
        if scope.is_oidc() {
            wrong(format!("{scope} is OpenID Connect's own"));
        }
        if let Err(Mistake { detail, .. }) = display_name("description", description) {
            mistakes.push(Mistake::at_element("scopes", index, detail).in_member("description"));
        }
    }
    mistakes
}

/// Of scopes that keys of some kind may have: those that the API does not have. The management API has no such keys.
fn mistakes_in_key_scopes(api: &ApiMetadata, member: &str, scopes: &BTreeSet<Scope>) -> Vec<Mistake> {
    let is_own = |scope: &Scope| api.scopes.iter().any(|described| described.scope == *scope);
    let foreign = scopes.iter().enumerate().filter(|(_, scope)| !is_own(scope));
    let mut mistakes: Vec<_> = foreign
        .map(|(index, scope)| Mistake::at_element(member, index, format!("{scope} is no scope of this API")))
        .collect();
    if api.name == MANAGEMENT && !scopes.is_empty() {
        mistakes.push(Mistake::at(member, format!("there are no such keys for the API {MANAGEMENT:?}")));
    }
    mistakes
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
pub fn checked_user(user: UserMetadata) -> Result<UserMetadata, Vec<Mistake>> {
    let is_address = |email: &String| {
        email.len() <= 254 && email.contains('@') && !email.contains(|c: char| c.is_whitespace() || !is_presentable(c))
    };
    let mut mistakes = Vec::new();
    if user.email.as_ref().is_some_and(|email| !is_address(email)) {
        mistakes.push(Mistake::at("email", "must be an email address"));
    }
    if user.email_verified && user.email.is_none() {
        mistakes.push(Mistake::at("email_verified", "there is no email"));
    }
    let username = user.username.trim().to_owned();
    match username::canonical(&username) {
        Err(why) => mistakes.push(Mistake::at("username", why)),
        Ok(canonical) if reads_as_id(&canonical) => {
            mistakes.push(Mistake::at("username", "it reads as an id, by which others are named"));
        }
        Ok(_) => {}
    }
    let name = user.name.map(|name| display_name("name", &name)).transpose().unwrap_or_else(|mistake| {
        mistakes.push(mistake);
        None
    });
    Mistake::none(mistakes)?;
    Ok(UserMetadata { username, name, ..user })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::{
        api::{Api, ResourceIdentifier, TokenFormat},
        api_key::KeyPrefix,
        clock::Timestamp,
        id::ApiId,
        jwk::Algorithm,
        random::SeededRng,
        refusal::tests::places,
        scope::Scope,
    };

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    pub(super) fn api(name: &str, identifier: &str, scope: &str) -> Api {
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
                user_key_scopes: Default::default(),
                public_scopes: Default::default(),
                leak_policy: Default::default(),
                key_policy: None,
            },
        }
    }

    pub(super) fn notes() -> Apis {
        Apis::new(vec![Arc::new(api("notes", "https://notes.example", "notes:read"))])
    }

    #[test]
    fn name_of_unseen_or_misleading_characters_is_refused() {
        for bad in ["", " ", "No\u{202e}tes", "Not\u{200b}es", "No\u{2028}tes", "Notes\u{e0041}", "No\ntes"] {
            assert!(display_name("name", bad).is_err(), "{bad:?}");
        }
        assert_eq!(display_name("name", " Jos\u{e9}’s notes "), Ok("Jos\u{e9}’s notes".to_owned()));
    }

    #[test]
    fn each_part_of_an_api_that_does_not_fit_is_named() {
        let fits = || api("mails", "https://mails.example", "mails:read");
        assert_eq!(check_api(&fits().metadata, &notes(), DAY), Ok(()));
        let ttl = |secs| Api {
            metadata: ApiMetadata { access_token_ttl: Duration::from_secs(secs), ..fits().metadata },
            ..fits()
        };
        let with_prefix = |prefix| {
            let key_prefix = KeyPrefix::parse(prefix).unwrap();
            Api { metadata: ApiMetadata { key_prefix, ..fits().metadata }, ..fits() }
        };
        let with_public = |api: &Api, scope| {
            let public_scopes = [Scope::parse(scope).unwrap()].into();
            Api { metadata: ApiMetadata { public_scopes, ..api.metadata.clone() }, ..api.clone() }
        };
        let management = || Api { metadata: ApiMetadata { name: MANAGEMENT.into(), ..fits().metadata }, ..fits() };
        let with_policy =
            |policy| Api { metadata: ApiMetadata { key_policy: Some(policy), ..fits().metadata }, ..fits() };
        for (api, what) in [
            (Api { metadata: ApiMetadata { name: "Mails".into(), ..fits().metadata }, ..fits() }, "name"),
            (api("mails", "https://notes.example/", "mails:read"), "identifier"),
            (ttl(0), "access_token_ttl"),
            (ttl(86_401), "access_token_ttl"),
            (with_policy(KeyPolicy { quiet_for: 0, ..KeyPolicy::default() }), "key_policy/quiet_for"),
            (api("mails", "https://mails.example", "openid"), "scopes/0"),
            (with_prefix("pk"), "key_prefix"),
            (with_public(&fits(), "notes:read"), "public_scopes/0"),
            (with_public(&management(), "mails:read"), "public_scopes"),
        ] {
            assert_eq!(places(check_api(&api.metadata, &notes(), DAY)), [format!("/{what}")], "{api:?}");
        }
        let outlives = check_api(&ttl(3_601).metadata, &notes(), Duration::from_secs(3_600)).unwrap_err();
        assert!(outlives[0].detail.contains("retire_after"), "{outlives:?}");
    }

    #[test]
    fn every_mistake_of_an_api_is_found_at_once() {
        let described = |scope: &str, description: &str| DescribedScope {
            scope: Scope::parse(scope).unwrap(),
            description: description.into(),
        };
        let scopes = ["mails:read", "openid", "mails:read"].into_iter().zip(["Read", " ", "\u{202e}"]);
        let wrong = ApiMetadata {
            name: "Mails".into(),
            access_token_ttl: Duration::ZERO,
            scopes: scopes.map(|(scope, description)| described(scope, description)).collect(),
            ..api("mails", "https://notes.example/", "mails:read").metadata
        };
        let of_scopes = ["/scopes/1", "/scopes/1/description", "/scopes/2", "/scopes/2/description"];
        let expected = [&["/name", "/identifier", "/access_token_ttl"][..], &of_scopes].concat();
        assert_eq!(places(check_api(&wrong, &notes(), DAY)), expected);
    }

    #[test]
    fn every_mistake_of_a_user_is_found_at_once() {
        let wrong = UserMetadata {
            username: "ada\u{200b}".into(),
            email: Some("ada".into()),
            name: Some("\u{202e}".into()),
            ..UserMetadata::default()
        };
        assert_eq!(places(checked_user(wrong)), ["/email", "/username", "/name"]);
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
    fn lifetimes_from_a_second_to_a_day_and_64_scopes_are_accepted() {
        let metadata = || api("mails", "https://mails.example", "mails:read").metadata;
        let ttl = |ttl| check_api(&ApiMetadata { access_token_ttl: ttl, ..metadata() }, &notes(), DAY);
        assert_eq!((ttl(Duration::from_secs(1)), ttl(DAY)), (Ok(()), Ok(())));
        let scopes = |count: usize| {
            let scope = |n| Scope::parse(&format!("mails:{n}")).unwrap();
            let described = |n| DescribedScope { scope: scope(n), description: "Do it".into() };
            let metadata = ApiMetadata { scopes: (0..count).map(described).collect(), ..metadata() };
            places(check_api(&metadata, &notes(), DAY))
        };
        assert_eq!((scopes(64), scopes(65)), (vec![], vec!["/scopes".to_owned()]));
        let itself = api("notes", "https://notes.example", "notes:read").metadata;
        assert_eq!(check_api(&itself, &notes(), DAY), Ok(()), "an API is no other to itself");
    }

    #[test]
    fn username_that_reads_as_an_id_is_refused() {
        let checked = |username: &str| {
            let user = UserMetadata { username: username.into(), email: None, email_verified: false, name: None };
            (
                checked_user(user.clone()).map_err(|_| "username"),
                checked_user_update(&UserMetadata { username: "ada".into(), ..user.clone() }, user, false).is_ok(),
            )
        };
        let digits = "019ac1f07c8d7f3e9d6c5b4a39281706";
        for prefix in ["usr", "cli", "key", "USR", " usr", "\u{ff55}sr"] {
            assert_eq!(checked(&format!("{prefix}_{digits}")), (Err("username"), false), "{prefix:?}");
        }
        assert_eq!(checked(&format!("usr_{}", digits.to_uppercase())), (Err("username"), false));
        for name in [format!("usr_{digits}0"), format!("usr-{digits}"), digits.to_owned(), "usr_ada".to_owned()] {
            let (new, is_changed) = checked(&name);
            assert!(new.is_ok() && is_changed, "{name}");
        }
    }

    #[test]
    fn mail_address_has_one_word_with_an_at_and_254_bytes_at_most() {
        let checked = |email: &str, email_verified| {
            let user = UserMetadata { username: "ada".into(), email: Some(email.into()), email_verified, name: None };
            places(checked_user(user))
        };
        let of_length = |length: usize| format!("{}@app.example", "a".repeat(length - 12));
        assert!(checked("ada@app.example", true).is_empty() && checked(&of_length(254), false).is_empty());
        for bad in ["ada", "a da@app.example", "a\u{202e}da@app.example", &of_length(255)] {
            assert_eq!(checked(bad, false), ["/email"], "{bad:?}");
        }
        let without = UserMetadata { username: "ada".into(), email: None, email_verified: true, name: None };
        assert_eq!(places(checked_user(without.clone())), ["/email_verified"]);
        assert!(checked_user(UserMetadata { email_verified: false, ..without }).is_ok());
    }
}
