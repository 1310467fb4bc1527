//! `doorward client update`

use std::path::PathBuf;

use clap::Args;
use doorward_core::{
    client::{AuthenticationMethod, GrantType},
    client_metadata::{ClientKeys, ClientMetadata, ClientProfile, IdTokenClaims},
    client_settings::ClientSettings,
    jwk::Algorithm,
    redirect_uri::RedirectUri,
    scope::ScopeSet,
};
use doorward_server::{App, actor::Actor, manage::clients};

use super::{
    clients::{describe, read_keys, read_scopes},
    confirmation::{self, Confirmation},
    word,
};
use crate::{failure::Failure, output::Output};

/// What changes; what no flag names stays.
#[derive(Args, Debug)]
pub(super) struct UpdateArgs {
    /// The client's id
    client: String,
    /// Name that users see
    #[arg(long)]
    name: Option<String>,
    /// URL of a web page about the client; an empty one removes it
    #[arg(long, value_name = "URL")]
    client_uri: Option<String>,
    /// Authentication method of a confidential client
    #[arg(long, value_name = "METHOD",
          value_parser = word(&AuthenticationMethod::CONFIDENTIAL, AuthenticationMethod::as_str))]
    auth_method: Option<AuthenticationMethod>,
    /// Add a grant type; repeatable
    #[arg(long = "add-grant", value_name = "GRANT", value_parser = word(&GrantType::ALL, GrantType::as_str))]
    add_grants: Vec<GrantType>,
    /// Remove a grant type; repeatable
    #[arg(long = "remove-grant", value_name = "GRANT", value_parser = word(&GrantType::ALL, GrantType::as_str))]
    remove_grants: Vec<GrantType>,
    /// Add a redirect URI; repeatable
    #[arg(long = "add-redirect-uri", value_name = "URI", value_parser = RedirectUri::parse)]
    add_redirect_uris: Vec<RedirectUri>,
    /// Remove a redirect URI; repeatable
    #[arg(long = "remove-redirect-uri", value_name = "URI", value_parser = RedirectUri::parse)]
    remove_redirect_uris: Vec<RedirectUri>,
    /// Add a redirect URI after sign-out; repeatable
    #[arg(long = "add-post-logout-redirect-uri", value_name = "URI", value_parser = RedirectUri::parse)]
    add_post_logout_redirect_uris: Vec<RedirectUri>,
    /// Remove a redirect URI after sign-out; repeatable
    #[arg(long = "remove-post-logout-redirect-uri", value_name = "URI", value_parser = RedirectUri::parse)]
    remove_post_logout_redirect_uris: Vec<RedirectUri>,
    /// Add scopes that it may request, separated by spaces or by repeating the flag
    #[arg(long = "add-scope", value_name = "SCOPES")]
    add_scopes: Vec<String>,
    /// Remove scopes; its grants no longer give them at the next refresh
    #[arg(long = "remove-scope", value_name = "SCOPES")]
    remove_scopes: Vec<String>,
    /// Scopes of client_credentials requests without `scope`, instead of the present ones; an empty text for none
    #[arg(long = "default-scope", value_name = "SCOPES")]
    default_scopes: Vec<String>,
    /// `oauth-2.1` requires PKCE; `oidc-basic` does not
    #[arg(long, value_name = "PROFILE", value_parser = word(&ClientProfile::ALL, ClientProfile::as_str))]
    profile: Option<ClientProfile>,
    /// Algorithm that signs its ID tokens
    #[arg(long, value_name = "ALG", value_parser = word(&Algorithm::ALL, Algorithm::as_str))]
    id_token_alg: Option<Algorithm>,
    /// User claims in its ID tokens: those of the granted scopes, or only `sub`
    #[arg(long, value_name = "CLAIMS", value_parser = word(&IdTokenClaims::ALL, IdTokenClaims::as_str))]
    id_token_claims: Option<IdTokenClaims>,
    /// File with its public keys as a JWK set, instead of the present ones
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Whether to accept the token endpoint as the `aud` of its assertions
    #[arg(long, value_name = "BOOL")]
    assertion_for_token_endpoint: Option<bool>,
    /// For a client of the API "doorward": an API that it may manage, instead of the present ones; repeatable, an empty
    /// text for all
    #[arg(long = "limit-to", value_name = "API")]
    limited_to: Option<Vec<String>>,
    /// For a client of the API "doorward": an owner whose things it may manage, instead of the present ones; repeatable,
    /// an empty text for all
    #[arg(long = "limit-to-owner", value_name = "OWNER")]
    limited_to_owners: Option<Vec<String>>,
    #[command(flatten)]
    confirmation: Confirmation,
}

pub(super) async fn run(args: UpdateArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let change = Change {
        add_scopes: read_scopes("--add-scope", &args.add_scopes)?,
        remove_scopes: read_scopes("--remove-scope", &args.remove_scopes)?,
        default_scope: match args.default_scopes.is_empty() {
            true => None,
            false => Some(read_scopes("--default-scope", &args.default_scopes)?),
        },
        jwks: args.jwks.as_ref().map(read_keys).transpose()?,
    };
    let edit = |client: &clients::ClientView| Ok(change.of(client.settings(), &args));
    if args.confirmation.dry_run {
        let ends = clients::preview_update(app, actor, &args.client, edit).await?.ends;
        return confirmation::print("client_id", &args.client, &ends, output);
    }
    let client = clients::update(app, actor, &args.client, args.confirmation.confirm, edit).await?;
    output.print(&client, || describe(&client))
}

/// What was read of the flags.
struct Change {
    add_scopes: ScopeSet,
    remove_scopes: ScopeSet,
    default_scope: Option<ScopeSet>,
    jwks: Option<ClientKeys>,
}

impl Change {
    fn of(&self, before: ClientSettings, args: &UpdateArgs) -> ClientSettings {
        let limits = |flag: &Option<Vec<String>>, before: Vec<String>| match flag {
            Some(names) => names.iter().filter(|name| !name.is_empty()).cloned().collect(),
            None => before,
        };
        ClientSettings {
            metadata: self.of_metadata(before.metadata, args),
            limited_to: limits(&args.limited_to, before.limited_to),
            limited_to_owners: limits(&args.limited_to_owners, before.limited_to_owners),
        }
    }

    fn of_metadata(&self, before: ClientMetadata, args: &UpdateArgs) -> ClientMetadata {
        let scope = before.scope.union(&self.add_scopes).difference(&self.remove_scopes);
        let default_scope = self.default_scope.clone().unwrap_or(before.default_scope);
        let grant_types = before.grant_types.into_iter().chain(args.add_grants.iter().copied());
        ClientMetadata {
            client_name: args.name.clone().unwrap_or(before.client_name),
            client_uri: args.client_uri.clone().or(before.client_uri).filter(|address| !address.is_empty()),
            token_endpoint_auth_method: args.auth_method.unwrap_or(before.token_endpoint_auth_method),
            grant_types: grant_types.filter(|grant| !args.remove_grants.contains(grant)).collect(),
            redirect_uris: changed(before.redirect_uris, &args.add_redirect_uris, &args.remove_redirect_uris),
            post_logout_redirect_uris: changed(
                before.post_logout_redirect_uris,
                &args.add_post_logout_redirect_uris,
                &args.remove_post_logout_redirect_uris,
            ),
            // What the client may not request can't be its default.
            default_scope: default_scope.difference(&self.remove_scopes),
            scope,
            id_token_signed_response_alg: args.id_token_alg.unwrap_or(before.id_token_signed_response_alg),
            id_token_claims: args.id_token_claims.unwrap_or(before.id_token_claims),
            profile: args.profile.unwrap_or(before.profile),
            jwks: self.jwks.clone().or(before.jwks),
            assertion_for_token_endpoint: args
                .assertion_for_token_endpoint
                .unwrap_or(before.assertion_for_token_endpoint),
            limited_to: Vec::new(),
            limited_to_owners: Vec::new(),
        }
    }
}

fn changed(before: Vec<RedirectUri>, add: &[RedirectUri], remove: &[RedirectUri]) -> Vec<RedirectUri> {
    let added = add.iter().filter(|uri| !before.contains(uri)).cloned().collect::<Vec<_>>();
    before.into_iter().chain(added).filter(|uri| !remove.contains(uri)).collect()
}
