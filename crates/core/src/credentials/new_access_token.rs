//! The claims of a new access token: its subject, its use and its lifetime (RFC 9068 section 2.2).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crate::{
    access_token::Claims,
    api::{Api, Role},
    clock::Timestamp,
    digest::KeyedDigest,
    id::{GrantId, TokenId},
    scope::{self, ScopeSet},
};

/// What a new access token needs from outside: its names and its time.
#[derive(Clone, Debug)]
pub struct NewAccessToken {
    /// The issuer for `iss`, shared by all tokens.
    pub issuer: Arc<str>,
    /// Its `jti`.
    pub id: TokenId,
    /// The digest of its opaque form, stored if the API wants that form; may be left out if none does.
    pub opaque: Option<KeyedDigest>,
    /// The lifetime of a token that is for no API.
    pub default_ttl: Duration,
    /// When the token is issued.
    pub now: Timestamp,
}

/// The subject of a new access token, and what it carries.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// `sub`.
    pub subject: String,
    /// `client_id`.
    pub client_id: String,
    /// The scopes of the token.
    pub scopes: ScopeSet,
    /// The subject's roles at the API.
    pub roles: BTreeSet<Role>,
    /// The user's grant, if there is one.
    pub grant_id: Option<GrantId>,
    /// When the user signed in.
    pub auth_time: Option<Timestamp>,
}

impl NewAccessToken {
    /// When the token expires.
    pub fn expires_at(&self, api: Option<&Api>) -> Timestamp {
        self.now.plus(api.map_or(self.default_ttl, |api| api.metadata.access_token_ttl))
    }

    /// What the token says. `aud` is the API, plus the issuer when `openid` was granted, or the issuer alone.
    pub fn claims(&self, api: Option<&Api>, bearer: Bearer) -> Claims {
        let issuer = (api.is_none() || bearer.scopes.contains(scope::OPENID)).then(|| self.issuer.to_string());
        Claims {
            issuer: self.issuer.to_string(),
            subject: bearer.subject,
            audience: api.map(|api| api.metadata.identifier.to_string()).into_iter().chain(issuer).collect(),
            expires_at: self.expires_at(api),
            issued_at: self.now,
            id: self.id.clone(),
            client_id: bearer.client_id,
            scopes: bearer.scopes,
            roles: bearer.roles,
            grant_id: bearer.grant_id,
            auth_time: bearer.auth_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{grant::audience::tests::api, random::SeededRng};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    /// `aud`, and how long the token lives.
    fn claims(api: Option<&Api>, scopes: &str) -> (Vec<String>, Duration) {
        let token = NewAccessToken {
            issuer: "https://issuer.example".into(),
            id: TokenId::new(NOW, &SeededRng::new(1)),
            opaque: None,
            default_ttl: Duration::from_secs(60),
            now: NOW,
        };
        let bearer = Bearer {
            subject: "usr_1".into(),
            client_id: "cli_1".into(),
            scopes: ScopeSet::parse(scopes).unwrap(),
            roles: [].into(),
            grant_id: None,
            auth_time: None,
        };
        let claims = token.claims(api, bearer);
        (claims.audience, claims.expires_at.since(claims.issued_at))
    }

    #[test]
    fn audience_and_lifetime_follow_the_api_and_openid() {
        let (notes, issuer) = ("https://notes.example".to_owned(), "https://issuer.example".to_owned());
        let (api, of_api) = (api("notes", &["notes:read"]), Duration::from_secs(300));
        assert_eq!(claims(Some(&api), "notes:read"), (vec![notes.clone()], of_api));
        assert_eq!(claims(Some(&api), "notes:read openid"), (vec![notes, issuer.clone()], of_api));
        assert_eq!(claims(None, "openid"), (vec![issuer.clone()], Duration::from_secs(60)));
        assert_eq!(claims(None, "offline_access"), (vec![issuer], Duration::from_secs(60)));
    }
}
