//! `doorward api …`

use std::time::Duration;

use clap::{Args, Subcommand};
use doorward_core::{
    api::{Api, DescribedScope, Role, TokenFormat},
    api_key::KeyPrefix,
    grant::audience::Apis,
    id::ApiId,
    jwk::Algorithm,
    scope::Scope,
    secret::ExposeSecret,
};
use doorward_server::{
    App,
    actor::Actor,
    manage::apis::{self, NewApi},
};
use serde_json::{Value, json};

use super::{durations, every};
use crate::{
    failure::Failure,
    output::{Output, fields, json_time, table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Add an API; prints its credential once
    Create(CreateArgs),
    /// All APIs
    List,
    /// One API
    Show {
        /// Its name, id or identifier
        api: String,
    },
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Its name: lower-case letters, digits and -
    #[arg(long)]
    name: String,
    /// Its identifier: an absolute URI, usually its own URL; the `aud` of its tokens
    #[arg(long, value_name = "URI")]
    identifier: String,
    /// A scope with the sentence that users see, as "notes:read=Read your notes"; may be repeated
    #[arg(long = "scope", value_name = "SCOPE=SENTENCE", value_parser = described_scope)]
    scopes: Vec<DescribedScope>,
    /// A role; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The form of its access tokens
    #[arg(long, value_name = "FORM", default_value = "jwt", value_parser = ["jwt", "opaque"])]
    token_format: String,
    /// What its JWTs are signed with
    #[arg(long, value_name = "ALG", default_value = "EdDSA", value_parser = ["EdDSA", "ES256", "PS256", "RS256"])]
    algorithm: String,
    /// How long its access tokens live; without it, as the configuration says (5m)
    #[arg(long, value_name = "TIME", value_parser = durations::parse)]
    access_token_ttl: Option<Duration>,
    /// What its keys begin with
    #[arg(long, value_name = "PREFIX", default_value = "sk")]
    key_prefix: String,
}

/// The names of all APIs, for what is stored by id.
pub(super) struct Names(Apis);

impl Names {
    /// Reads them.
    pub(super) async fn load(app: &App) -> Result<Self, Failure> {
        Ok(Self(apis::all(app).await?))
    }

    /// The name of the API of this id.
    pub(super) fn api(&self, id: &ApiId) -> &str {
        // APIs are never removed, but one can be new since the names were read.
        self.0.by_id(id).map_or("?", |api| api.name.as_str())
    }

    /// The names of the APIs of these ids, in their order.
    pub(super) fn apis(&self, ids: &[ApiId]) -> Vec<&str> {
        ids.iter().map(|id| self.api(id)).collect()
    }

    /// Roles as `role grant` and `--role` take them: `API:ROLE`.
    pub(super) fn roles(&self, roles: &[(ApiId, Role)]) -> Vec<String> {
        roles.iter().map(|(api, role)| format!("{}:{role}", self.api(api))).collect()
    }
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
            let after = |api: &Api| api.id.clone();
            let apis = every(async |last, limit| apis::list(app, last.map(after), limit).await).await?;
            output.print(&apis.iter().map(describe).collect::<Vec<_>>(), || {
                let row = |api: &Api| {
                    let scopes: Vec<_> = api.scopes.iter().map(|described| described.scope.as_str()).collect();
                    [api.name.clone(), api.identifier.to_string(), scopes.join(" "), api.id.to_string()]
                };
                table(["NAME", "IDENTIFIER", "SCOPES", "ID"], apis.iter().map(row))
            });
            Ok(())
        }
        Verb::Show { api } => {
            let (api, credential) = apis::show(app, &api).await?;
            let mut value = describe(&api);
            value["client_id"] = json!(credential);
            output.print(&value, || {
                let mut shown = fields(&[
                    ("name", api.name.clone()),
                    ("id", api.id.to_string()),
                    ("identifier", api.identifier.to_string()),
                    ("client_id", credential.map(|id| id.to_string()).unwrap_or_default()),
                    (
                        "tokens",
                        format!(
                            "{} {}, {} s",
                            format_word(&api),
                            api.signing_algorithm,
                            api.access_token_ttl.as_secs()
                        ),
                    ),
                    ("key prefix", api.key_prefix.as_str().to_owned()),
                    ("roles", api.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")),
                    ("created", time(api.created_at)),
                ]);
                shown.push_str("scopes\n");
                for described in &api.scopes {
                    shown.push_str(&format!("  {}  {}\n", described.scope, described.description));
                }
                shown
            });
            Ok(())
        }
    }
}

async fn create(args: CreateArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let usage = |what: &str, error: &dyn std::fmt::Display| Failure::Usage(format!("{what}: {error}"));
    let roles: Result<_, _> = args.roles.iter().map(|role| Role::parse(role)).collect();
    let new = NewApi {
        scopes: args.scopes,
        roles: roles.map_err(|error| usage("--role", &error))?,
        token_format: if args.token_format == "opaque" { TokenFormat::Opaque } else { TokenFormat::Jwt },
        signing_algorithm: Algorithm::parse(&args.algorithm).unwrap_or(Algorithm::EdDSA),
        access_token_ttl: args.access_token_ttl.unwrap_or(app.settings.tokens.access_token_ttl),
        key_prefix: KeyPrefix::parse(&args.key_prefix).map_err(|error| usage("--key-prefix", &error))?,
        ..NewApi::new(args.name, args.identifier)
    };
    let created = apis::create(app, actor, new).await?;
    let mut value = describe(&created.api);
    value["client_id"] = json!(created.client_id);
    value["client_secret"] = created.client_secret.expose_secret().into();
    output.print(&value, || {
        fields(&[
            ("id", created.api.id.to_string()),
            ("identifier", created.api.identifier.to_string()),
            ("client_id", created.client_id.to_string()),
            ("client_secret", created.client_secret.expose_secret().to_owned()),
        ]) + "The secret is shown this once: give it to the API's guard."
    });
    Ok(())
}

fn format_word(api: &Api) -> &'static str {
    match api.token_format {
        TokenFormat::Jwt => "jwt",
        TokenFormat::Opaque => "opaque",
    }
}

fn describe(api: &Api) -> Value {
    json!({
        "id": api.id,
        "name": api.name,
        "identifier": api.identifier,
        "scopes": api.scopes,
        "roles": api.roles,
        "token_format": format_word(api),
        "signing_algorithm": api.signing_algorithm,
        "access_token_ttl": api.access_token_ttl.as_secs(),
        "key_prefix": api.key_prefix,
        "created_at": json_time(Some(api.created_at)),
    })
}
