//! `doorward client …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use doorward_core::{
    client::{AuthenticationMethod, Client, GrantType},
    jwk::{Algorithm, KeySet, VerifyingKey},
    scope::ScopeSet,
    secret::ExposeSecret,
};
use doorward_server::{
    App,
    actor::Actor,
    manage::clients::{self, NewClient},
};
use serde_json::{Value, json};

use super::{apis::Names, every};
use crate::{
    failure::Failure,
    output::{Output, fields, json_time, line, table, time, time_or},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Add a client; prints its secret once
    Create(CreateArgs),
    /// All clients
    List,
    /// One client
    Show(Id),
    /// Give a client another secret; the old one is refused within a second
    RotateSecret(Id),
    /// Refuse a client from now on, and end what users granted it
    Disable(Id),
    /// Let a disabled client in again
    Enable(Id),
    /// Remove a client, and end what users granted it
    Delete(Id),
}

#[derive(Args, Debug)]
pub(super) struct Id {
    /// The client's id
    client: String,
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Its name, shown to users
    #[arg(long)]
    name: String,
    /// A public client: no secret, for browsers and programs on people's machines
    #[arg(long, conflicts_with = "auth_method")]
    public: bool,
    /// How it authenticates; `client_secret` takes Basic and post
    #[arg(long, value_name = "METHOD", default_value = "client_secret",
          value_parser = ["client_secret", "client_secret_basic", "client_secret_post", "private_key_jwt"])]
    auth_method: String,
    /// A way to get tokens; may be repeated
    #[arg(long = "grant", value_name = "GRANT", required = true,
          value_parser = ["authorization_code", "client_credentials", "refresh_token"])]
    grants: Vec<String>,
    /// Where users are returned to, to the letter; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// What it may ask for: scopes with spaces between, or the flag repeated
    #[arg(long = "scope", value_name = "SCOPES")]
    scopes: Vec<String>,
    /// What client_credentials without `scope` asks for
    #[arg(long = "default-scope", value_name = "SCOPES")]
    default_scopes: Vec<String>,
    /// What its id_tokens are signed with
    #[arg(long, value_name = "ALG", default_value = "RS256", value_parser = ["EdDSA", "ES256", "PS256", "RS256"])]
    id_token_alg: String,
    /// A file with its public keys as a JWK set, for private_key_jwt
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Its assertions name the token endpoint instead of the issuer, as Spring's do
    #[arg(long)]
    assertion_for_token_endpoint: bool,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let done = |word: &'static str, id: &str| {
        let value = json!({"client_id": id, word: true});
        output.print(&value, || format!("{id} is {word}."));
    };
    match verb {
        Verb::Create(args) => create(args, app, actor, output).await?,
        Verb::List => {
            let after = |client: &Client| client.id.clone();
            let clients = every(async |last, limit| clients::list(app, last.map(after), limit).await).await?;
            let names = Names::load(app).await?;
            output.print(&clients.iter().map(|client| describe(&names, client)).collect::<Vec<_>>(), || {
                let row = |client: &Client| {
                    let grants: Vec<_> = client.grant_types.iter().map(|grant| grant.as_str()).collect();
                    let state = if client.disabled_at.is_some() { "disabled" } else { "" };
                    [client.id.to_string(), client.name.clone(), grants.join(" "), state.to_owned()]
                };
                table(["CLIENT_ID", "NAME", "GRANTS", ""], clients.iter().map(row))
            });
        }
        Verb::Show(Id { client }) => {
            let client = clients::show(app, &client).await?;
            let names = Names::load(app).await?;
            output.print(&describe(&names, &client), || {
                let uris: Vec<_> = client.redirect_uris.iter().map(|uri| uri.as_str()).collect();
                let grants: Vec<_> = client.grant_types.iter().map(|grant| grant.as_str()).collect();
                fields(&[
                    ("client_id", client.id.to_string()),
                    ("name", client.name.clone()),
                    ("authentication", client.authentication.as_str().to_owned()),
                    ("keys", key_ids(&client).join(" ")),
                    ("grants", grants.join(" ")),
                    ("redirect URIs", uris.join(" ")),
                    ("scope", client.scopes.to_string()),
                    ("default scope", client.default_scopes.to_string()),
                    ("roles", names.roles(&client.roles).join(" ")),
                    ("id_token alg", client.id_token_algorithm.to_string()),
                    ("created", time(client.created_at)),
                    ("disabled", time_or(client.disabled_at, "")),
                ])
            });
        }
        Verb::RotateSecret(Id { client }) => {
            let secret = clients::rotate_secret(app, actor, &client).await?;
            let secret = secret.expose_secret();
            output.print(&json!({"client_id": client, "client_secret": secret}), || {
                format!("{secret}\nThe secret is shown this once. The former one is refused within a second.")
            });
        }
        Verb::Disable(Id { client }) => {
            clients::disable(app, actor, &client).await?;
            done("disabled", &client);
        }
        Verb::Enable(Id { client }) => {
            clients::enable(app, actor, &client).await?;
            done("enabled", &client);
        }
        Verb::Delete(Id { client }) => {
            clients::delete(app, actor, &client).await?;
            done("deleted", &client);
        }
    }
    Ok(())
}

async fn create(args: CreateArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let scopes = |flag: &str, texts: &[String]| {
        ScopeSet::parse(&texts.join(" ")).map_err(|error| Failure::Usage(format!("{flag}: {error}")))
    };
    let method = if args.public { "none" } else { &args.auth_method };
    let jwks = args.jwks.map(|path| {
        std::fs::read_to_string(&path).map_err(|error| Failure::system(&path.display().to_string(), error))
    });
    let new = NewClient {
        name: args.name,
        authentication: AuthenticationMethod::parse(method).unwrap_or(AuthenticationMethod::ClientSecret),
        grant_types: args.grants.iter().filter_map(|grant| GrantType::parse(grant)).collect(),
        redirect_uris: args.redirect_uris,
        scopes: scopes("--scope", &args.scopes)?,
        default_scopes: scopes("--default-scope", &args.default_scopes)?,
        id_token_algorithm: Algorithm::parse(&args.id_token_alg).unwrap_or(Algorithm::RS256),
        jwks: jwks.transpose()?,
        assertion_for_token_endpoint: args.assertion_for_token_endpoint,
    };
    let created = clients::create(app, actor, new).await?;
    let mut value = describe(&Names::load(app).await?, &created.client);
    if let Some(secret) = &created.secret {
        value["client_secret"] = secret.expose_secret().into();
    }
    output.print(&value, || {
        let secret = created.secret.as_ref().map(|secret| secret.expose_secret().to_owned()).unwrap_or_default();
        let told = if secret.is_empty() { "" } else { "The secret is shown this once." };
        fields(&[("client_id", created.client.id.to_string()), ("client_secret", secret)]) + told
    });
    if !output.json && created.client.redirect_uris.iter().any(|uri| created.client.is_unassured(uri)) {
        line("Any program on a user's machine could pose as this client, so users are asked for consent each time.");
    }
    Ok(())
}

/// The ids of the public keys that a client registered; of one without an id, its thumbprint (RFC 7638).
fn key_ids(client: &Client) -> Vec<String> {
    let keys = client.jwks.as_deref().and_then(|jwks| KeySet::parse(jwks.as_bytes()).ok()).unwrap_or_default();
    keys.iter().map(|key: &VerifyingKey| key.kid().map_or_else(|| key.thumbprint(), str::to_owned)).collect()
}

fn describe(names: &Names, client: &Client) -> Value {
    json!({
        "client_id": client.id,
        "name": client.name,
        "token_endpoint_auth_method": client.authentication.as_str(),
        "key_ids": key_ids(client),
        "grant_types": client.grant_types,
        "redirect_uris": client.redirect_uris,
        "scope": client.scopes,
        "default_scope": client.default_scopes,
        "roles": names.roles(&client.roles),
        "id_token_signed_response_alg": client.id_token_algorithm,
        "created_at": json_time(Some(client.created_at)),
        "disabled_at": json_time(client.disabled_at),
    })
}
