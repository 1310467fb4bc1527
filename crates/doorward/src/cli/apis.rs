//! `doorward api …`

use std::time::Duration;

use clap::{Args, Subcommand};
use doorward_core::{
    api::{ApiMetadata, DescribedScope, ResourceIdentifier, Role, TokenFormat},
    api_key::{DEFAULT_PREFIX, KeyPrefix},
    jwk::Algorithm,
    scope::Scope,
    secret::ExposeSecret,
};
use doorward_server::{
    App,
    actor::Actor,
    manage::apis::{self, ApiView, CreatedApi},
};
use serde_json::json;

use super::{durations, every, word};
use crate::{
    failure::Failure,
    output::{Output, fields, table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Create an API and print its credential once
    Create(CreateArgs),
    /// List all APIs
    List,
    /// Show an API
    Show {
        /// The API's name, id or identifier
        api: String,
    },
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Name: lower-case letters, digits and -
    #[arg(long)]
    name: String,
    /// Identifier: an absolute URI, usually the API's URL; the `aud` of its tokens
    #[arg(long, value_name = "URI", value_parser = ResourceIdentifier::parse)]
    identifier: ResourceIdentifier,
    /// A scope and the sentence that users see, as "notes:read=Read your notes"; repeatable
    #[arg(long = "scope", value_name = "SCOPE=SENTENCE", value_parser = described_scope)]
    scopes: Vec<DescribedScope>,
    /// A role; repeatable
    #[arg(long = "role", value_name = "ROLE", value_parser = Role::parse)]
    roles: Vec<Role>,
    /// Format of its access tokens
    #[arg(long, value_name = "FORM", default_value = TokenFormat::default().as_str(),
          value_parser = word(&TokenFormat::ALL, TokenFormat::as_str))]
    token_format: TokenFormat,
    /// Algorithm that signs its JWTs
    #[arg(long, value_name = "ALG", default_value = ApiMetadata::DEFAULT_SIGNING_ALGORITHM.as_str(),
          value_parser = word(&Algorithm::ALL, Algorithm::as_str))]
    algorithm: Algorithm,
    /// Lifetime of its access tokens [default: tokens.access_token_ttl of the configuration]
    #[arg(long, value_name = "TIME", value_parser = durations::parse)]
    access_token_ttl: Option<Duration>,
    /// Prefix of its keys
    #[arg(long, value_name = "PREFIX", default_value = DEFAULT_PREFIX, value_parser = KeyPrefix::parse)]
    key_prefix: KeyPrefix,
}

fn described_scope(text: &str) -> Result<DescribedScope, String> {
    let (scope, description) = text.split_once('=').ok_or("write SCOPE=SENTENCE")?;
    let scope = Scope::parse(scope).map_err(|error| error.to_string())?;
    Ok(DescribedScope { scope, description: description.trim().to_owned() })
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::Create(args) => create(args, app, actor, output).await,
        Verb::List => {
            let after = |api: &ApiView| api.id.clone();
            let apis = every(async |last, limit| apis::list(app, last.map(after), limit).await).await?;
            output.print(&apis, || {
                let row = |api: &ApiView| {
                    let scopes: Vec<_> = api.metadata.scopes.iter().map(|described| described.scope.as_str()).collect();
                    let identifier = api.metadata.identifier.to_string();
                    [api.metadata.name.clone(), identifier, scopes.join(" "), api.id.to_string()]
                };
                table(["NAME", "IDENTIFIER", "SCOPES", "ID"], apis.iter().map(row))
            })?;
            Ok(())
        }
        Verb::Show { api } => {
            let api = apis::show(app, &api).await?;
            output.print(&api, || describe(&api))?;
            Ok(())
        }
    }
}

async fn create(args: CreateArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let metadata = ApiMetadata {
        scopes: args.scopes,
        roles: args.roles.into_iter().collect(),
        token_format: args.token_format,
        signing_algorithm: args.algorithm,
        access_token_ttl: args.access_token_ttl.unwrap_or(app.settings.tokens.access_token_ttl),
        key_prefix: args.key_prefix,
        ..ApiMetadata::new(args.name, args.identifier)
    };
    apis::create_shown(app, actor, metadata, |created| show(created, output)).await?;
    Ok(())
}

fn show(created: &CreatedApi, output: Output) -> Result<(), Failure> {
    let CreatedApi { api, client_id, client_secret } = created;
    let mut value = json!(api);
    value["client_secret"] = client_secret.expose_secret().into();
    output.print_once(&value, || {
        fields(&[
            ("id", api.id.to_string()),
            ("identifier", api.metadata.identifier.to_string()),
            ("client_id", client_id.to_string()),
            ("client_secret", client_secret.expose_secret().to_owned()),
        ]) + "The secret is shown only once. Give it to the API's guard."
    })
}

fn describe(api: &ApiView) -> String {
    let metadata = &api.metadata;
    let (form, algorithm) = (metadata.token_format.as_str(), metadata.signing_algorithm);
    let mut shown = fields(&[
        ("name", metadata.name.clone()),
        ("id", api.id.to_string()),
        ("identifier", metadata.identifier.to_string()),
        ("client_id", api.client_id.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("tokens", format!("{form} {algorithm}, {} s", metadata.access_token_ttl.as_secs())),
        ("key prefix", metadata.key_prefix.as_str().to_owned()),
        ("roles", metadata.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")),
        ("created", time(api.created_at)),
    ]);
    shown.push_str("scopes\n");
    for described in &metadata.scopes {
        shown.push_str(&format!("  {}  {}\n", described.scope, described.description));
    }
    shown
}
