//! `doorward client …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use doorward_core::{
    client::{AuthenticationMethod, GrantType},
    client_metadata::{ClientKeys, ClientMetadata, ClientProfile, IdTokenClaims},
    client_settings::ClientSettings,
    jwk::Algorithm,
    redirect_uri::RedirectUri,
    scope::ScopeSet,
    secret::{ExposeSecret, SecretString},
};
use doorward_server::{
    App,
    actor::Actor,
    manage::clients::{self, ClientView, CreatedClient},
};
use doorward_store::{clients::ClientFilter, idempotency::KeptAnswer};
use serde_json::json;

use super::{
    client_update,
    confirmation::{self, Confirmation, Keys},
    every, word,
};
use crate::{
    failure::Failure,
    output::{Output, fields, line, table, time, time_or},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Create a client and print its secret once
    Create(Box<CreateArgs>),
    /// List clients
    List(ListArgs),
    /// Show a client
    Show(Id),
    /// Replace a client's secret; the old one stops working within a second
    RotateSecret(Id),
    /// Change a client
    Update(Box<client_update::UpdateArgs>),
    /// Disable a client and end what users granted it
    Disable(DisableArgs),
    /// Enable a disabled client again
    Enable(Id),
    /// Delete a client and end what users granted it
    Delete(EndArgs),
}

#[derive(Args, Debug)]
pub(super) struct Id {
    /// The client's id
    client: String,
}

#[derive(Args, Debug)]
pub(super) struct EndArgs {
    /// The client's id
    client: String,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Args, Debug)]
pub(super) struct DisableArgs {
    /// The client's id
    client: String,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only clients that are disabled; with `false`, only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    disabled: Option<bool>,
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Name that users see
    #[arg(long)]
    name: String,
    /// URL of a web page about the client
    #[arg(long, value_name = "URL")]
    client_uri: Option<String>,
    /// Create a public client, without a secret, for apps in browsers and on users' devices
    #[arg(long, conflicts_with = "auth_method")]
    public: bool,
    /// Authentication method; `client_secret` allows Basic and post
    #[arg(long, value_name = "METHOD", default_value = AuthenticationMethod::default().as_str(),
          value_parser = word(&AuthenticationMethod::CONFIDENTIAL, AuthenticationMethod::as_str))]
    auth_method: AuthenticationMethod,
    /// Grant type it may use; repeatable
    #[arg(long = "grant", value_name = "GRANT", required = true,
          value_parser = word(&GrantType::ALL, GrantType::as_str))]
    grants: Vec<GrantType>,
    /// Redirect URI; requests must match it exactly; repeatable
    #[arg(long = "redirect-uri", value_name = "URI", value_parser = RedirectUri::parse)]
    redirect_uris: Vec<RedirectUri>,
    /// Redirect URI after sign-out; repeatable
    #[arg(long = "post-logout-redirect-uri", value_name = "URI", value_parser = RedirectUri::parse)]
    post_logout_redirect_uris: Vec<RedirectUri>,
    /// `oauth-2.1` requires PKCE; `oidc-basic` requires neither PKCE nor a nonce, for confidential clients that support
    /// neither
    #[arg(long, value_name = "PROFILE", default_value = ClientProfile::default().as_str(),
          value_parser = word(&ClientProfile::ALL, ClientProfile::as_str))]
    profile: ClientProfile,
    /// Scopes it may request, separated by spaces or by repeating the flag; at least one
    #[arg(long = "scope", value_name = "SCOPES")]
    scopes: Vec<String>,
    /// Scopes of client_credentials requests without `scope`
    #[arg(long = "default-scope", value_name = "SCOPES")]
    default_scopes: Vec<String>,
    /// Algorithm that signs its ID tokens
    #[arg(long, value_name = "ALG", default_value = ClientMetadata::DEFAULT_ID_TOKEN_ALGORITHM.as_str(),
          value_parser = word(&Algorithm::ALL, Algorithm::as_str))]
    id_token_alg: Algorithm,
    /// User claims in its ID tokens: those of the granted scopes, or only `sub`
    #[arg(long, value_name = "CLAIMS", default_value = IdTokenClaims::default().as_str(),
          value_parser = word(&IdTokenClaims::ALL, IdTokenClaims::as_str))]
    id_token_claims: IdTokenClaims,
    /// File with its public keys as a JWK set, for private_key_jwt
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Also accept the token endpoint as the `aud` of its assertions, as Spring sends it
    #[arg(long)]
    assertion_for_token_endpoint: bool,
    /// For a client of the API "doorward": an API that it may manage; repeatable [default: all]
    #[arg(long = "limit-to", value_name = "API")]
    limited_to: Vec<String>,
    /// For a client of the API "doorward": an owner whose things it may manage; repeatable [default: all]
    #[arg(long = "limit-to-owner", value_name = "OWNER")]
    limited_to_owners: Vec<String>,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let done = |word: &'static str, id: &str| {
        let value = json!({"client_id": id, word: true});
        output.print(&value, || format!("{id} is {word}."))
    };
    match verb {
        Verb::Create(args) => create(*args, app, actor, output).await?,
        Verb::List(ListArgs { disabled }) => {
            let filter = ClientFilter { disabled };
            let page = async |after, limit| clients::list(app, actor, filter.clone(), after, limit).await;
            let clients = every(page).await?;
            output.print(&clients, || {
                let row = |client: &ClientView| {
                    let name = client.metadata.client_name.clone();
                    [client.client_id.to_string(), name, grants(client), marks(client)]
                };
                table(["CLIENT_ID", "NAME", "GRANTS", ""], clients.iter().map(row))
            })?;
        }
        Verb::Show(Id { client }) => {
            let client = clients::show(app, actor, &client).await?;
            output.print(&client, || describe(&client))?;
        }
        Verb::RotateSecret(Id { client }) => {
            let show = |secret: &SecretString| {
                let secret = secret.expose_secret();
                output.print_once(&json!({"client_id": client, "client_secret": secret}), || {
                    format!("{secret}\nThe secret is shown only once. The old one stops working within a second.")
                })
            };
            clients::rotate_secret_shown(app, actor, &client, |_| Ok(()), show).await?;
        }
        Verb::Update(args) => client_update::run(*args, app, actor, output).await?,
        Verb::Disable(DisableArgs { client, keys, confirmation: Confirmation { dry_run: true, .. } }) => {
            let would = clients::disabling(app, actor, &client, &keys.departure()).await?;
            confirmation::print_disabling("client_id", &client, &would, output)?;
        }
        Verb::Disable(DisableArgs { client, keys, confirmation }) => {
            let (departure, confirm) = (keys.departure(), confirmation.confirm);
            clients::disable_with_keys(app, actor, &client, &departure, confirm, |_| Ok(())).await?;
            done("disabled", &client)?;
        }
        Verb::Enable(Id { client }) => {
            clients::enable(app, actor, &client, |_| Ok(())).await?;
            done("enabled", &client)?;
        }
        Verb::Delete(EndArgs { client, confirmation: Confirmation { dry_run: true, .. } }) => {
            confirmation::print("client_id", &client, &clients::ends_of_deletion(app, actor, &client).await?, output)?;
        }
        Verb::Delete(EndArgs { client, confirmation }) => {
            clients::delete(app, actor, &client, confirmation.confirm, |_| Ok(())).await?;
            done("deleted", &client)?;
        }
    }
    Ok(())
}

async fn create(args: CreateArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let metadata = ClientMetadata {
        client_name: args.name,
        client_uri: args.client_uri,
        token_endpoint_auth_method: if args.public { AuthenticationMethod::None } else { args.auth_method },
        grant_types: args.grants.into_iter().collect(),
        redirect_uris: args.redirect_uris,
        post_logout_redirect_uris: args.post_logout_redirect_uris,
        scope: read_scopes("--scope", &args.scopes)?,
        default_scope: read_scopes("--default-scope", &args.default_scopes)?,
        id_token_signed_response_alg: args.id_token_alg,
        id_token_claims: args.id_token_claims,
        profile: args.profile,
        jwks: args.jwks.as_ref().map(read_keys).transpose()?,
        assertion_for_token_endpoint: args.assertion_for_token_endpoint,
        limited_to: Vec::new(),
        limited_to_owners: Vec::new(),
    };
    let settings = ClientSettings { metadata, limited_to: args.limited_to, limited_to_owners: args.limited_to_owners };
    let created = clients::create_shown(app, actor, settings, |created| show(created, output)).await?;
    let is_unassured = |uri: &RedirectUri| args.public && uri.is_native();
    if !output.json && created.client.metadata.redirect_uris.iter().any(is_unassured) {
        line("Any program on a user's machine could pretend to be this client, so users must consent each time.")?;
    }
    Ok(())
}

pub(super) fn read_scopes(flag: &str, texts: &[String]) -> Result<ScopeSet, Failure> {
    ScopeSet::parse(&texts.join(" ")).map_err(|error| Failure::Usage(format!("{flag}: {error}")))
}

pub(super) fn read_keys(path: &PathBuf) -> Result<ClientKeys, Failure> {
    let document = std::fs::read(path).map_err(|error| Failure::system(&path.display().to_string(), error))?;
    ClientKeys::parse(&document).map_err(|error| Failure::Usage(format!("--jwks: {error}")))
}

fn show(created: &CreatedClient, output: Output) -> Result<Option<KeptAnswer>, Failure> {
    let CreatedClient { client, secret } = created;
    let secret = secret.as_ref().map(|secret| secret.expose_secret());
    let mut value = json!(client);
    if let Some(secret) = secret {
        value["client_secret"] = secret.into();
    }
    output.print_once(&value, || {
        let told = if secret.is_some() { "The secret is shown only once." } else { "" };
        let secret = secret.unwrap_or_default().to_owned();
        fields(&[("client_id", client.client_id.to_string()), ("client_secret", secret)]) + told
    })?;
    Ok(None)
}

/// What a list points out about a client.
fn marks(client: &ClientView) -> String {
    let without_pkce = client.metadata.profile == ClientProfile::OidcBasic;
    let marks = [without_pkce.then_some("PKCE optional"), client.disabled_at.map(|_| "disabled")];
    marks.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn grants(client: &ClientView) -> String {
    client.metadata.grant_types.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" ")
}

pub(super) fn describe(client: &ClientView) -> String {
    let metadata = &client.metadata;
    let joined = |uris: &[RedirectUri]| uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>().join(" ");
    let profile = match metadata.profile {
        ClientProfile::OidcBasic => "oidc-basic: PKCE is optional".to_owned(),
        profile => profile.as_str().to_owned(),
    };
    let audience = if metadata.assertion_for_token_endpoint { "issuer or token endpoint" } else { "" };
    fields(&[
        ("client_id", client.client_id.to_string()),
        ("name", metadata.client_name.clone()),
        ("web page", metadata.client_uri.clone().unwrap_or_default()),
        ("authentication", metadata.token_endpoint_auth_method.as_str().to_owned()),
        ("keys", client.key_ids.join(" ")),
        ("assertions for", audience.to_owned()),
        ("grants", grants(client)),
        ("profile", profile),
        ("redirect URIs", joined(&metadata.redirect_uris)),
        ("after signing out", joined(&metadata.post_logout_redirect_uris)),
        ("scope", metadata.scope.to_string()),
        ("default scope", metadata.default_scope.to_string()),
        ("limited to", client.limited_to.join(" ")),
        ("limited to owners", client.limited_to_owners.join(" ")),
        ("roles", client.roles.join(" ")),
        ("id_token alg", metadata.id_token_signed_response_alg.to_string()),
        ("id_token claims", metadata.id_token_claims.as_str().to_owned()),
        ("created", time(client.created_at)),
        ("disabled", time_or(client.disabled_at, "")),
    ])
}
