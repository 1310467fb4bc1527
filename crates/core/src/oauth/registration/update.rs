//! Rules for changing and deleting what is registered.

use std::time::Duration;

use super::{check_api, checked_user};
use crate::{
    api::{Api, ApiMetadata, MANAGEMENT},
    client_metadata::ClientMetadata,
    grant::audience::Apis,
    refusal::Mistake,
    rights::ADMIN,
    user::UserMetadata,
};

/// Refuses a change of an API. `all` are the APIs as they are, with this one.
///
/// The identifier never changes: it is the `aud` of tokens, and what callers have configured. The management API keeps
/// its name, by which it is found, its scopes, which the server itself asks for, and the role of administrators.
pub fn check_api_update(api: &Api, to: &ApiMetadata, all: &Apis, retire_after: Duration) -> Result<(), Vec<Mistake>> {
    let from = &api.metadata;
    let mut mistakes = Vec::new();
    let mut wrong = |member, why: &str| mistakes.push(Mistake::at(member, why));
    if to.identifier != from.identifier {
        wrong("identifier", "it never changes: it is in tokens and in the configuration of callers");
    }
    if from.name == MANAGEMENT {
        if to.name != from.name {
            wrong("name", "the management API keeps its name");
        }
        if to.scopes != from.scopes {
            wrong("scopes", "the management API keeps its scopes");
        }
        if from.roles.contains(ADMIN) && !to.roles.contains(ADMIN) {
            wrong("roles", "the management API keeps the role of administrators");
        }
    }
    let fits = check_api(to, &all.without(&api.id), retire_after);
    Mistake::none_in_both(Mistake::none(mistakes), fits).map(|_| ())
}

/// Refuses the deletion of the management API, without which nobody could manage anything.
pub fn check_api_deletion(api: &Api) -> Result<(), Vec<Mistake>> {
    match api.metadata.name == MANAGEMENT {
        true => Err(vec![Mistake::at("name", "the management API can't be deleted")]),
        false => Ok(()),
    }
}

/// The metadata of a user after a change, checked as for a new user. Another email address is not verified, unless the
/// change itself vouches for it. A name that does not change is not checked again: an older program allowed others.
pub fn checked_user_update(
    from: &UserMetadata,
    to: UserMetadata,
    vouches_for_email: bool,
) -> Result<UserMetadata, Vec<Mistake>> {
    let email_verified = to.email_verified && (vouches_for_email || to.email == from.email);
    let to = UserMetadata { email_verified, ..to };
    if to.username != from.username {
        return checked_user(to);
    }
    let username = to.username.clone();
    let checked = checked_user(UserMetadata { username: "unchanged".to_owned(), ..to })?;
    Ok(UserMetadata { username, ..checked })
}

/// Whether a change takes a scope, a redirect URI or a grant type from a client, which something in use may need.
pub fn narrows_client(from: &ClientMetadata, to: &ClientMetadata) -> bool {
    let loses_uri = from.redirect_uris.iter().any(|uri| !to.redirect_uris.contains(uri));
    !from.scope.is_subset(&to.scope) || !from.grant_types.is_subset(&to.grant_types) || loses_uri
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        api::{ResourceIdentifier, Role, TokenFormat},
        clock::Timestamp,
        id::ApiId,
        jwk::Algorithm,
        random::SeededRng,
        refusal::tests::places,
        registration::{taken_by_another_api, tests::api},
    };

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const DAY: Duration = Duration::from_secs(86_400);
    const NONE: [String; 0] = [];

    #[test]
    fn api_update_keeps_the_identifier_and_is_checked_as_a_new_api() {
        let (notes, mails) =
            (api("notes", "https://notes.example", "notes:read"), api("mails", "urn:mails", "mails:read"));
        let all = Apis::new(vec![Arc::new(notes.clone()), Arc::new(Api { id: other_id(), ..mails })]);
        let refused = |to: ApiMetadata| places(check_api_update(&notes, &to, &all, DAY));
        let fits = || notes.metadata.clone();
        let identifier = ResourceIdentifier::parse("https://notes.example/v2").unwrap();
        assert_eq!(refused(fits()), NONE, "an API is no other to itself");
        assert_eq!(refused(ApiMetadata { name: "notes2".into(), scopes: vec![], ..fits() }), NONE);
        let format = ApiMetadata { token_format: TokenFormat::Opaque, signing_algorithm: Algorithm::RS256, ..fits() };
        assert_eq!(refused(format), NONE);
        assert_eq!(refused(ApiMetadata { identifier, ..fits() }), ["/identifier"]);
        assert_eq!(refused(ApiMetadata { name: "Notes".into(), ..fits() }), ["/name"]);
        assert_eq!(refused(ApiMetadata { access_token_ttl: 2 * DAY, ..fits() }), ["/access_token_ttl"]);
        let twice = [fits().scopes, fits().scopes].concat();
        assert_eq!(refused(ApiMetadata { scopes: twice, ..fits() }), ["/scopes/1"]);
        let of_others = all.without(&notes.id);
        let taken = ApiMetadata { name: "mails".into(), ..fits() };
        assert!(
            taken_by_another_api(&taken, &of_others).is_some() && taken_by_another_api(&fits(), &of_others).is_none()
        );
    }

    fn other_id() -> ApiId {
        ApiId::new(NOW, &SeededRng::new(2))
    }

    #[test]
    fn client_is_narrowed_by_what_is_taken_from_it() {
        use crate::{client::GrantType, redirect_uri::RedirectUri, scope::ScopeSet};
        let uri = |uri: &str| RedirectUri::parse(uri).unwrap();
        let with = |scope, uris: &[&str], grants: &[GrantType]| ClientMetadata {
            scope: ScopeSet::parse(scope).unwrap(),
            redirect_uris: uris.iter().map(|text| uri(text)).collect(),
            grant_types: grants.iter().copied().collect(),
            ..ClientMetadata::default()
        };
        let (one, two) = ("https://a.example/1", "https://a.example/2");
        let (code, refresh) = (GrantType::AuthorizationCode, GrantType::RefreshToken);
        let less = with("openid", &[one], &[code]);
        for more in [
            with("openid notes:read", &[one], &[code]),
            with("openid", &[one, two], &[code]),
            with("openid", &[one], &[code, refresh]),
        ] {
            assert!(narrows_client(&more, &less) && !narrows_client(&less, &more));
        }
        assert!(!narrows_client(&less, &ClientMetadata { client_name: "Other".into(), ..less.clone() }));
    }

    #[test]
    fn management_api_keeps_its_name_and_scopes_and_stays() {
        let mut management = api(MANAGEMENT, "https://as.example/v1", "keys:verify");
        management.metadata.roles.insert(Role::parse(ADMIN).unwrap());
        let all = Apis::new(vec![Arc::new(management.clone())]);
        let refused = |to: ApiMetadata| places(check_api_update(&management, &to, &all, DAY));
        let fits = || management.metadata.clone();
        assert_eq!(refused(ApiMetadata { access_token_ttl: Duration::from_secs(60), ..fits() }), NONE);
        assert_eq!(refused(ApiMetadata { name: "other".into(), ..fits() }), ["/name"]);
        assert_eq!(refused(ApiMetadata { scopes: vec![], ..fits() }), ["/scopes"]);
        assert_eq!(refused(ApiMetadata { roles: Default::default(), ..fits() }), ["/roles"]);
        let other_name =
            ApiMetadata { name: "Other".into(), scopes: vec![], access_token_ttl: Duration::ZERO, ..fits() };
        assert_eq!(refused(other_name), ["/name", "/scopes", "/name", "/access_token_ttl"], "all at once");
        assert_eq!(places(check_api_deletion(&management)), ["/name"]);
        assert_eq!(check_api_deletion(&api("notes", "https://notes.example", "notes:read")), Ok(()));
    }

    #[test]
    fn changed_email_is_unverified_unless_the_change_vouches() {
        let user = |username: &str, email: Option<&str>, email_verified| UserMetadata {
            username: username.into(),
            email: email.map(str::to_owned),
            email_verified,
            name: None,
        };
        let from = user("ada", Some("a@example.com"), true);
        let verified =
            |to: &UserMetadata, vouches| checked_user_update(&from, to.clone(), vouches).unwrap().email_verified;
        let other = user("ada", Some("b@example.com"), true);
        assert!(!verified(&other, false) && verified(&other, true));
        assert!(verified(&user("eve", Some("a@example.com"), true), false), "the address is the same");
        assert!(!verified(&user("ada", Some("a@example.com"), false), true));
        assert!(!verified(&user("ada", None, true), false));
        let vouched = checked_user_update(&from, user("ada", None, true), true);
        assert_eq!(places(vouched), ["/email_verified"]);
    }

    #[test]
    fn name_of_an_older_program_stays_until_it_changes() {
        let from = UserMetadata { username: "ada\u{200b}".into(), ..UserMetadata::default() };
        let email = Some("a@example.com".to_owned());
        let updated = checked_user_update(&from, UserMetadata { email: email.clone(), ..from.clone() }, false);
        assert_eq!(updated, Ok(UserMetadata { email, ..from.clone() }));
        let renamed = UserMetadata { username: "eve\u{200b}".into(), ..from.clone() };
        assert_eq!(places(checked_user_update(&from, renamed, false)), ["/username"]);
    }
}
