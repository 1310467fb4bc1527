//! `doorward key …`

use std::time::Duration;

use clap::{Args, Subcommand};
use doorward_core::{
    api_key::Environment,
    holder::Owner,
    id::KeyId,
    key_kind::KeyKind,
    key_usage::Day,
    scope::{Scope, ScopeSet},
};
use doorward_server::{
    App,
    actor::Actor,
    manage::{
        apis,
        keys::{
            self, CreatedKey, Expiry, KeySettings, KeyState, KeyView, NewKey, OldUseView, RotationRequest,
            RotationView, UsageDays, UsageView, WhichKeys,
        },
        times,
    },
};
use doorward_store::{idempotency::KeptAnswer, keys::KeyRevocation};
use serde_json::{Map, Value, json};

use super::{
    confirmation::Confirmation,
    durations,
    key_limits::{self, ChangedLimits, NewLimits},
    keys_where::{self, Condition},
    moment::Moment,
    word,
};
use crate::{
    failure::Failure,
    output::{Output, fields, table, time, time_or, warn},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Create a key and print it once
    Create(CreateArgs),
    /// List keys in order of creation
    List(ListArgs),
    /// Show a key
    Show(Id),
    /// Change a key; what is not named stays
    Update(UpdateArgs),
    /// Disable a key until it is enabled
    Disable(Id),
    /// Enable a disabled key
    Enable(Id),
    /// Give a key a successor, print it once, and let both work until the old key is no longer in use
    Rotate(RotateArgs),
    /// Show how often a key was used, by day and outcome
    Usage(UsageArgs),
    /// Revoke a key, or all keys that match; they stop working everywhere in under a second
    Revoke(RevokeArgs),
}

#[derive(Args, Debug)]
pub(super) struct Id {
    /// The key's id, or the key itself
    key: String,
}

#[derive(Args, Debug)]
pub(super) struct RevokeArgs {
    /// The key's id, or the key itself
    #[arg(required_unless_present = "conditions", conflicts_with_all = ["conditions", "Confirmation"])]
    key: Option<String>,
    /// All keys that match, in one transaction; repeatable, each condition leaves fewer keys: owner=OWNER, api=API, scope=SCOPE,
    /// created_by=ID, created_since=TIME, created_until=TIME
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<Condition>,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Args, Debug)]
pub(super) struct RotateArgs {
    /// The key's id, or the key itself
    key: String,
    /// For how long both keys work at most; with 0s the old key ends at once [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = durations::parse)]
    overlap: Option<Duration>,
    /// For how long the old key must be unused to end earlier, once its successor is used [default: 1d]
    #[arg(long, value_name = "TIME", value_parser = durations::parse)]
    quiet_for: Option<Duration>,
    /// Replace the secret of a successor that nobody has used
    #[arg(long)]
    replace_unused: bool,
}

#[derive(Args, Debug)]
pub(super) struct UsageArgs {
    /// The key's id, or the key itself
    key: String,
    /// The first day of UTC, as 2026-11-01
    #[arg(long, value_name = "DAY", value_parser = times::read_date)]
    since: Option<Day>,
    /// The last day of UTC [default: today]
    #[arg(long, value_name = "DAY", value_parser = times::read_date)]
    until: Option<Day>,
    /// Maximum number of rows
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u32,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only keys of this owner: a client's id, a user's id, user:NAME, or your own id of a customer
    #[arg(long)]
    owner: Option<String>,
    /// Only keys that were revoked, or with `false` only others
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    revoked: Option<bool>,
    /// Only keys for this API: its name, id or identifier
    #[arg(long)]
    api: Option<String>,
    /// Only keys with this scope
    #[arg(long, value_parser = Scope::parse)]
    scope: Option<Scope>,
    /// Only keys that this user, client, key or person at the command line (os:NAME) created
    #[arg(long, value_name = "ID")]
    created_by: Option<String>,
    /// Only keys that were created since then: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    created_since: Option<Moment>,
    /// Only keys that were created before then: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    created_until: Option<Moment>,
    /// Only keys in this state
    #[arg(long, value_parser = word(&KeyState::ALL, KeyState::as_str))]
    state: Option<KeyState>,
    /// Only keys that were not used for this time, and existed that long
    #[arg(long, value_name = "TIME", value_parser = durations::parse)]
    unused_for: Option<Duration>,
    /// Only keys that can be used and expire within this time
    #[arg(long, value_name = "TIME", value_parser = durations::parse)]
    expires_within: Option<Duration>,
    /// Only keys that are due for rotation by the policy of their API
    #[arg(long)]
    rotation_due: bool,
    /// List only keys created after this one
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Maximum number of keys
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Name for people
    #[arg(long)]
    name: String,
    /// API that it works for; repeatable, the first one gives the prefix
    #[arg(long = "api", value_name = "API", required = true)]
    apis: Vec<String>,
    /// Scopes, separated by spaces or by repeating the flag; a key without scopes can do very little
    #[arg(long = "scope", value_name = "SCOPES")]
    scopes: Vec<String>,
    /// Every scope that its APIs have now
    #[arg(long, conflicts_with = "scopes")]
    all_scopes: bool,
    /// Role as API:ROLE, or ROLE if the key is for one API; repeatable
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Owner: a client's id, a user's id, user:NAME, or your own id of a customer
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// For a key of the API "doorward": an API that it may manage; repeatable [default: all]
    #[arg(long = "limit-to", value_name = "API")]
    limited_to: Vec<String>,
    /// For a key of the API "doorward": an owner whose things it may manage; repeatable [default: all]
    #[arg(long = "limit-to-owner", value_name = "OWNER")]
    limited_to_owners: Vec<String>,
    /// Kind of key: `secret` for servers, `publishable` for pages in browsers
    #[arg(long, value_name = "KIND", default_value = KeyKind::default().as_str(),
          value_parser = word(&KeyKind::ALL, KeyKind::as_str))]
    kind: KeyKind,
    /// Mark the key as a test key
    #[arg(long)]
    test: bool,
    /// Lifetime [default: 90d]
    #[arg(long, value_name = "TIME", value_parser = durations::parse)]
    expires_in: Option<Duration>,
    /// Never expire; lists show a warning
    #[arg(long, conflicts_with = "expires_in")]
    never_expires: bool,
    /// What your service keeps with it: a JSON object of at most 4,096 bytes
    #[arg(long, value_name = "JSON", value_parser = parse_object)]
    metadata: Option<Object>,
    /// Address or network (CIDR) that it may be used from; repeatable [default: everywhere]
    #[arg(long = "allow-address", value_name = "CIDR")]
    allowed_addresses: Vec<String>,
    /// For a publishable key: origin of the pages that it may be used from, as https://app.example.com; repeatable
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allowed_origins: Vec<String>,
    #[command(flatten)]
    limits: NewLimits,
}

/// A JSON object as one argument.
type Object = Map<String, Value>;

fn parse_object(text: &str) -> Result<Object, String> {
    doorward_core::json::parse_object(text.as_bytes())
        .map_err(|_| "a JSON object such as {\"plan\":\"free\"}".to_owned())
}

#[derive(Args, Debug)]
pub(super) struct UpdateArgs {
    /// The key's id, or the key itself
    key: String,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// All its scopes from now on, separated by spaces or by repeating the flag; none with ""
    #[arg(long = "scope", value_name = "SCOPES")]
    scopes: Option<Vec<String>>,
    /// A role from now on, as API:ROLE, or ROLE if the key is for one API; repeatable; none with ""
    #[arg(long = "role", value_name = "ROLE")]
    roles: Option<Vec<String>>,
    /// What your service keeps with it, in place of what it kept: a JSON object of at most 4,096 bytes
    #[arg(long, value_name = "JSON", value_parser = parse_object)]
    metadata: Option<Object>,
    /// An address or network (CIDR) that it may be used from, from now on; repeatable; everywhere with ""
    #[arg(long = "allow-address", value_name = "CIDR")]
    allowed_addresses: Option<Vec<String>>,
    /// For a publishable key: an origin of the pages that it may be used from, from now on; repeatable
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allowed_origins: Option<Vec<String>>,
    #[command(flatten)]
    limits: ChangedLimits,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::Create(args) => create(args, app, actor, output).await?,
        Verb::List(args) => {
            let found = found(args, app, actor).await?;
            output.print(&found, || {
                let row = |key: &KeyView| {
                    [
                        format!("{}…", key.hint),
                        key.name.clone(),
                        key.apis.join(" "),
                        words(&key.scopes),
                        state(key),
                        time_or(key.expires_at, "NEVER EXPIRES"),
                        time_or(key.last_used_at, "never used"),
                        key.id.to_string(),
                    ]
                };
                table(["KEY", "NAME", "API", "SCOPE", "STATE", "EXPIRES", "LAST USED", "ID"], found.iter().map(row))
            })?;
        }
        Verb::Show(Id { key }) => {
            let key = keys::show(app, actor, &key).await?;
            print(&key, output)?;
        }
        Verb::Update(args) => update(args, app, actor, output).await?,
        Verb::Disable(Id { key }) => {
            keys::disable(app, actor, &key).await?;
            print(&keys::show(app, actor, &key).await?, output)?;
        }
        Verb::Enable(Id { key }) => {
            keys::enable(app, actor, &key).await?;
            print(&keys::show(app, actor, &key).await?, output)?;
        }
        Verb::Rotate(args) => rotate(args, app, actor, output).await?,
        Verb::Usage(args) => {
            let (days, limit) = (UsageDays { since: args.since, until: args.until }, args.limit);
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let found = keys::usage(app, actor, &args.key, days, None, limit).await?.items;
            output.print(&found, || {
                let row = |used: &UsageView| {
                    let latencies = [used.within_1ms, used.within_10ms, used.within_100ms, used.slower];
                    let [within_1ms, within_10ms, within_100ms, slower] = latencies.map(|count| count.to_string());
                    let (day, outcome) = (used.day.clone(), used.outcome.clone());
                    [day, outcome, used.count.to_string(), within_1ms, within_10ms, within_100ms, slower]
                };
                table(["DAY", "OUTCOME", "COUNT", "1 MS", "10 MS", "100 MS", "SLOWER"], found.iter().map(row))
            })?;
        }
        Verb::Revoke(RevokeArgs { key: None, conditions, confirmation }) => {
            keys_where::run(conditions, confirmation, app, actor, output).await?;
        }
        Verb::Revoke(RevokeArgs { key: Some(key), .. }) => {
            let shown = keys::show(app, actor, &key).await?;
            let revocation = keys::revoke(app, actor, shown.id.as_str()).await?;
            let was_before = revocation == KeyRevocation::Before;
            output.print(&json!({"id": shown.id, "revoked": true, "before": was_before}), || match was_before {
                true => format!("{} was already revoked.", shown.id),
                false => format!("{} ({}…) is revoked.", shown.id, shown.hint),
            })?;
            if let Some(successor) = shown.rotation.and_then(|rotation| rotation.successor) {
                warn(&format!(
                    "{successor} replaced this key and is not revoked. If the key leaked, check who created it: doorward key show \
                     {successor}"
                ));
            }
        }
    }
    Ok(())
}

/// The keys that were asked for. With filters a page may have few of them, or none, while more follow.
async fn found(args: ListArgs, app: &App, actor: &Actor) -> Result<Vec<KeyView>, Failure> {
    let after = args.after.map(|id| KeyId::parse(&id).map_err(|error| Failure::Usage(format!("--after: {error}"))));
    let (mut after, limit) = (after.transpose()?, usize::try_from(args.limit).unwrap_or(usize::MAX));
    let which = WhichKeys {
        owner: args.owner,
        revoked: args.revoked,
        api: args.api,
        scope: args.scope,
        created_by: args.created_by,
        created_since: args.created_since.map(|moment| moment.at(app.now())),
        created_until: args.created_until.map(|moment| moment.at(app.now())),
        state: args.state,
        unused_for: args.unused_for,
        expires_within: args.expires_within,
        rotation_due: args.rotation_due,
    };
    let mut found = Vec::new();
    loop {
        let page = keys::list(app, actor, which.clone(), after, limit - found.len()).await?;
        found.extend(page.items);
        after = page.next;
        if after.is_none() || found.len() >= limit {
            return Ok(found);
        }
    }
}

async fn rotate(args: RotateArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let asked = RotationRequest {
        overlap: args.overlap.map(|overlap| overlap.as_secs()),
        quiet_for: args.quiet_for.map(|quiet_for| quiet_for.as_secs()),
        replace_unused: args.replace_unused,
    };
    keys::rotate_shown(app, actor, &args.key, asked, |_| Ok(()), |created| show(created, output)).await.map(drop)
}

async fn update(args: UpdateArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let scopes = args.scopes.map(|scopes| parse_scopes(&scopes)).transpose()?;
    let edit = |key: &KeyView| {
        let present = args.limits.apply(KeySettings::of(key));
        let named = |texts: &Vec<String>| texts.iter().filter(|text| !text.is_empty()).cloned().collect();
        Ok(KeySettings {
            name: args.name.clone().unwrap_or(present.name),
            scopes: scopes.as_ref().map_or(present.scopes, |scopes| scopes.iter().cloned().collect()),
            roles: args.roles.as_ref().map_or(present.roles, named),
            metadata: args.metadata.clone().unwrap_or(present.metadata),
            allowed_addresses: args.allowed_addresses.as_ref().map_or(present.allowed_addresses, named),
            allowed_origins: args.allowed_origins.as_ref().map_or(present.allowed_origins, named),
            ..present
        })
    };
    print(&keys::update(app, actor, &args.key, edit).await?, output)
}

fn parse_scopes(scopes: &[String]) -> Result<ScopeSet, Failure> {
    ScopeSet::parse(&scopes.join(" ")).map_err(|error| Failure::Usage(format!("--scope: {error}")))
}

fn words(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(" ")
}

/// Whether a key can be used, and where its rotation is.
fn state(key: &KeyView) -> String {
    let rotation = key.rotation.as_ref().filter(|_| key.state == KeyState::Active);
    let is_due = |rotation: &RotationView| rotation.due_since.map(|_| "rotation due");
    match rotation.and_then(|rotation| rotation.state.or(is_due(rotation))) {
        Some(rotation) => format!("{}, {}", key.state.in_words(), words_of(rotation)),
        None => key.state.in_words(),
    }
}

/// Who uses a key that is being replaced, each by address and user agent.
fn callers(rotation: Option<&RotationView>) -> String {
    let caller = |used: &OldUseView| {
        let parts = [used.address.as_deref(), used.user_agent.as_deref()];
        format!("{} at {}", parts.into_iter().flatten().collect::<Vec<_>>().join(" "), time(used.last_used_at))
    };
    rotation.iter().flat_map(|rotation| &rotation.old_uses).map(caller).collect::<Vec<_>>().join(", ")
}

fn words_of(state: &str) -> String {
    state.replace('_', " ")
}

fn print(key: &KeyView, output: Output) -> Result<(), Failure> {
    let rotation = key.rotation.as_ref();
    let id = |id: Option<&KeyId>| id.map(ToString::to_string).unwrap_or_default();
    output.print(key, || {
        let [rate_limit, quota, uses] = key_limits::shown(key);
        fields(&[
            ("key", format!("{}…", key.hint)),
            ("id", key.id.to_string()),
            ("name", key.name.clone()),
            ("kind", key.kind.as_str().to_owned()),
            ("state", key.state.in_words()),
            ("api", key.apis.join(" ")),
            ("scopes", words(&key.scopes)),
            ("limited to", key.limited_to.join(" ")),
            ("limited to owners", key.limited_to_owners.iter().map(Owner::as_str).collect::<Vec<_>>().join(" ")),
            ("roles", key.roles.join(" ")),
            ("owner", key.owner.as_ref().map(ToString::to_string).unwrap_or_default()),
            ("metadata", if key.metadata.is_empty() { String::new() } else { json!(key.metadata).to_string() }),
            ("only from", key.allowed_addresses.join(" ")),
            ("only in pages of", key.allowed_origins.join(" ")),
            rate_limit,
            quota,
            uses,
            ("created", time(key.created_at)),
            ("created by", key.created_by.clone().unwrap_or_default()),
            ("expires", time_or(key.expires_at, "NEVER EXPIRES")),
            ("disabled", time_or(key.disabled_at, "")),
            ("revoked", time_or(key.revoked_at, "")),
            ("reported as leaked", time_or(key.leaked_at, "")),
            ("found at", key.leak_source.clone().unwrap_or_default()),
            ("last used", time_or(key.last_used_at, "never")),
            ("rotation", rotation.and_then(|rotation| rotation.state).map(words_of).unwrap_or_default()),
            ("rotation due", time_or(rotation.and_then(|rotation| rotation.due_since), "")),
            ("still used by", callers(rotation)),
            ("successor", id(rotation.and_then(|rotation| rotation.successor.as_ref()))),
            ("predecessor", id(rotation.and_then(|rotation| rotation.predecessor.as_ref()))),
            ("from", key.last_used_address.clone().unwrap_or_default()),
        ])
    })
}

async fn scopes_of(names: &[String], app: &App, actor: &Actor) -> Result<ScopeSet, Failure> {
    let mut scopes = Vec::new();
    for name in names {
        scopes.extend(apis::show(app, actor, name).await?.metadata.scopes.into_iter().map(|described| described.scope));
    }
    Ok(scopes.into_iter().collect())
}

async fn create(args: CreateArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let scopes = match args.all_scopes {
        true => scopes_of(&args.apis, app, actor).await?,
        false => parse_scopes(&args.scopes)?,
    };
    let new = NewKey {
        name: args.name,
        apis: args.apis,
        scopes,
        roles: args.roles,
        owner: args.owner,
        limited_to: args.limited_to,
        limited_to_owners: args.limited_to_owners,
        kind: args.kind,
        environment: if args.test { Environment::Test } else { Environment::Live },
        expiry: match args.expires_in {
            Some(lifetime) => Expiry::After(lifetime),
            None if args.never_expires => Expiry::Never,
            None => Expiry::Default,
        },
        metadata: args.metadata.unwrap_or_default(),
        allowed_addresses: args.allowed_addresses,
        allowed_origins: args.allowed_origins,
        rate_limit: args.limits.rate_limit,
        quota: args.limits.quota,
        uses: args.limits.uses,
    };
    let created = keys::create_shown(app, actor, new, |created| show(created, output)).await?;
    if created.view.scopes.is_empty() {
        warn(&format!(
            "this key has no scope: APIs refuse it wherever a route demands one. Make another one with --scope, and revoke \
             this one: doorward key revoke {}",
            created.view.id
        ));
    }
    Ok(())
}

fn show(created: &CreatedKey, output: Output) -> Result<Option<KeptAnswer>, Failure> {
    let mut value = json!(created.view);
    value["secret"] = created.key.reveal().into();
    output.print_once(&value, || {
        fields(&[
            ("key", created.key.reveal().to_owned()),
            ("id", created.view.id.to_string()),
            ("expires", time_or(created.view.expires_at, "NEVER EXPIRES")),
        ]) + "The key is shown only once."
    })?;
    Ok(None)
}
