//! `doorward api …`

use std::time::Duration;

use clap::{Args, Subcommand};
use doorward_core::{
    api::{ApiMetadata, DescribedScope, ResourceIdentifier, Role, TokenFormat},
    api_key::{DEFAULT_PREFIX, KeyPrefix},
    jwk::Algorithm,
    key_policy::KeyPolicy,
    leaks::LeakPolicy,
    scope::Scope,
    secret::ExposeSecret,
};
use doorward_server::{
    App,
    actor::Actor,
    manage::{
        ManageError,
        apis::{self, ApiView, CreatedApi},
    },
};
use doorward_store::idempotency::KeptAnswer;
use serde_json::json;

use super::{
    confirmation::{self, Confirmation},
    durations, every, word,
};
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
    Show(Named),
    /// Change an API; what was issued for it stays verifiable
    Update(UpdateArgs),
    /// Replace the secret of an API's credential; the old one stops working within a second
    RotateSecret(Named),
    /// Delete an API and its credential, and end its scopes and roles
    Delete {
        #[command(flatten)]
        api: Named,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

#[derive(Args, Debug)]
pub(super) struct Named {
    /// The API's name, id or identifier
    api: String,
}

#[derive(Args, Debug)]
pub(super) struct UpdateArgs {
    #[command(flatten)]
    api: Named,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Changes {
    /// Another name: lower-case letters, digits and -
    #[arg(long)]
    name: Option<String>,
    /// A scope to add, or one of its own to describe again, and the sentence that users see; repeatable
    #[arg(long = "add-scope", value_name = "SCOPE=SENTENCE", value_parser = described_scope)]
    add_scopes: Vec<DescribedScope>,
    /// A scope to remove; it ends wherever it was granted; repeatable
    #[arg(long = "remove-scope", value_name = "SCOPE", value_parser = Scope::parse)]
    remove_scopes: Vec<Scope>,
    /// A role to add; repeatable
    #[arg(long = "add-role", value_name = "ROLE", value_parser = Role::parse)]
    add_roles: Vec<Role>,
    /// A role to remove; nobody who was given it has it then; repeatable
    #[arg(long = "remove-role", value_name = "ROLE", value_parser = Role::parse)]
    remove_roles: Vec<Role>,
    /// Format of its access tokens
    #[arg(long, value_name = "FORM", value_parser = word(&TokenFormat::ALL, TokenFormat::as_str))]
    token_format: Option<TokenFormat>,
    /// Algorithm that signs its JWTs
    #[arg(long, value_name = "ALG", value_parser = word(&Algorithm::ALL, Algorithm::as_str))]
    algorithm: Option<Algorithm>,
    /// Lifetime of its access tokens
    #[arg(long, value_name = "TIME", value_parser = durations::parse)]
    access_token_ttl: Option<Duration>,
    /// How long its keys live and when they are rotated, as a JSON object, in seconds; keys that exist keep their end
    #[arg(long, value_name = "JSON", value_parser = key_policy)]
    key_policy: Option<KeyPolicy>,
    /// Demand nothing of its keys any more
    #[arg(long, conflicts_with = "key_policy")]
    no_key_policy: bool,
    /// Prefix of its keys; those that exist keep theirs
    #[arg(long, value_name = "PREFIX", value_parser = KeyPrefix::parse)]
    key_prefix: Option<KeyPrefix>,
    /// A scope that users may give to keys of their own from now on; repeatable
    #[arg(long = "add-user-key-scope", value_name = "SCOPE", value_parser = Scope::parse)]
    add_user_key_scopes: Vec<Scope>,
    /// A scope that users may not give to new keys any more; repeatable
    #[arg(long = "remove-user-key-scope", value_name = "SCOPE", value_parser = Scope::parse)]
    remove_user_key_scopes: Vec<Scope>,
    /// A scope that publishable keys may have from now on; repeatable
    #[arg(long = "add-public-scope", value_name = "SCOPE", value_parser = Scope::parse)]
    add_public_scopes: Vec<Scope>,
    /// A scope that publishable keys may not have any more; those that have it lose it; repeatable
    #[arg(long = "remove-public-scope", value_name = "SCOPE", value_parser = Scope::parse)]
    remove_public_scopes: Vec<Scope>,
    /// What happens to a key that somebody found and reported
    #[arg(long, value_name = "POLICY", value_parser = word(&LeakPolicy::ALL, LeakPolicy::as_str))]
    leak_policy: Option<LeakPolicy>,
}

impl Changes {
    /// What is registered after the change.
    fn applied_to(&self, before: &ApiMetadata) -> Result<ApiMetadata, ManageError> {
        let mut to = before.clone();
        for scope in &self.remove_scopes {
            let at = to.scopes.iter().position(|described| described.scope == *scope);
            to.scopes.remove(at.ok_or_else(|| lacks(before, "scope", scope.as_str()))?);
            to.user_key_scopes.remove(scope);
            to.public_scopes.remove(scope);
        }
        for added in &self.add_scopes {
            match to.scopes.iter_mut().find(|described| described.scope == added.scope) {
                Some(known) => known.description.clone_from(&added.description),
                None => to.scopes.push(added.clone()),
            }
        }
        for role in &self.remove_roles {
            if !to.roles.remove(role.as_str()) {
                return Err(lacks(before, "role", role.as_str()));
            }
        }
        to.roles.extend(self.add_roles.iter().cloned());
        for scope in &self.remove_user_key_scopes {
            if !to.user_key_scopes.remove(scope) {
                return Err(lacks(before, "scope for keys of users", scope.as_str()));
            }
        }
        to.user_key_scopes.extend(self.add_user_key_scopes.iter().cloned());
        for scope in &self.remove_public_scopes {
            if !to.public_scopes.remove(scope) {
                return Err(lacks(before, "public scope", scope.as_str()));
            }
        }
        to.public_scopes.extend(self.add_public_scopes.iter().cloned());
        Ok(ApiMetadata {
            name: self.name.clone().unwrap_or(to.name),
            token_format: self.token_format.unwrap_or(to.token_format),
            signing_algorithm: self.algorithm.unwrap_or(to.signing_algorithm),
            access_token_ttl: self.access_token_ttl.unwrap_or(to.access_token_ttl),
            key_prefix: self.key_prefix.clone().unwrap_or(to.key_prefix),
            leak_policy: self.leak_policy.unwrap_or(to.leak_policy),
            key_policy: self.key_policy.or(to.key_policy).filter(|_| !self.no_key_policy),
            ..to
        })
    }
}

fn lacks(api: &ApiMetadata, kind: &'static str, name: &str) -> ManageError {
    ManageError::NotFound { kind, name: format!("{name} at {}", api.name) }
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
    /// A scope that users may give to keys of their own, which they make on the account page; repeatable
    #[arg(long = "user-key-scope", value_name = "SCOPE", value_parser = Scope::parse)]
    user_key_scopes: Vec<Scope>,
    /// A scope that publishable keys may have: what the whole world may do; repeatable
    #[arg(long = "public-scope", value_name = "SCOPE", value_parser = Scope::parse)]
    public_scopes: Vec<Scope>,
    /// What happens to a key that somebody found and reported
    #[arg(long, value_name = "POLICY", default_value = LeakPolicy::default().as_str(),
          value_parser = word(&LeakPolicy::ALL, LeakPolicy::as_str))]
    leak_policy: LeakPolicy,
    /// How long its keys live and when they are rotated, as a JSON object, in seconds
    #[arg(long, value_name = "JSON", value_parser = key_policy)]
    key_policy: Option<KeyPolicy>,
}

fn key_policy(text: &str) -> Result<KeyPolicy, String> {
    serde_json::from_str(text).map_err(|error| format!("a JSON object such as {{\"max_lifetime\":7776000}}: {error}"))
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
            let apis = every(async |after, limit| apis::list(app, actor, after, limit).await).await?;
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
        Verb::Show(Named { api }) => {
            let api = apis::show(app, actor, &api).await?;
            output.print(&api, || describe(&api))?;
            Ok(())
        }
        Verb::Update(args) => {
            let (name, edit) = (&args.api.api, |api: &ApiView| args.changes.applied_to(&api.metadata));
            if args.confirmation.dry_run {
                let ends = apis::preview_update(app, actor, name, edit).await?.ends;
                return confirmation::print("api", name, &ends, output);
            }
            let api = apis::update(app, actor, name, args.confirmation.confirm, edit).await?;
            output.print(&api, || describe(&api))?;
            Ok(())
        }
        Verb::RotateSecret(Named { api }) => {
            let show = |(client_id, secret): &apis::Credential| {
                let secret = secret.expose_secret();
                output.print_once(&json!({"client_id": client_id, "client_secret": secret}), || {
                    format!("{secret}\nThe secret is shown only once. The old one stops working within a second.")
                })
            };
            apis::rotate_secret_shown(app, actor, &api, |_| Ok(()), show).await?;
            Ok(())
        }
        Verb::Delete { api: Named { api }, confirmation } => {
            if confirmation.dry_run {
                let ends = apis::ends_of_deletion(app, actor, &api).await?;
                return confirmation::print("api", &api, &ends, output);
            }
            apis::delete(app, actor, &api, confirmation.confirm, |_| Ok(())).await?;
            output.print(&json!({"api": api, "deleted": true}), || format!("{api} is deleted."))?;
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
        user_key_scopes: args.user_key_scopes.into_iter().collect(),
        public_scopes: args.public_scopes.into_iter().collect(),
        leak_policy: args.leak_policy,
        key_policy: args.key_policy,
        ..ApiMetadata::new(args.name, args.identifier)
    };
    apis::create_shown(app, actor, metadata, |created| show(created, output)).await?;
    Ok(())
}

fn show(created: &CreatedApi, output: Output) -> Result<Option<KeptAnswer>, Failure> {
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
    })?;
    Ok(None)
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
        ("scopes of users' keys", metadata.user_key_scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")),
        ("public scopes", metadata.public_scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")),
        ("leaked keys", metadata.leak_policy.as_str().to_owned()),
        ("key policy", metadata.key_policy.map(|policy| json!(policy).to_string()).unwrap_or_default()),
        ("roles", metadata.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")),
        ("created", time(api.created_at)),
    ]);
    shown.push_str("scopes\n");
    for described in &metadata.scopes {
        shown.push_str(&format!("  {}  {}\n", described.scope, described.description));
    }
    shown
}
