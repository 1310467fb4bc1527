//! `doorward webhook …`

use std::time::Duration;

use clap::{Args, Subcommand};
use doorward_core::{
    holder::Owner,
    id::{ApiId, EventId},
    secret::ExposeSecret,
    webhook::{WebhookMetadata, WebhookUrl},
    webhook_event::EventType,
    webhook_retry::DeliveryState,
};
use doorward_server::{
    App,
    actor::Actor,
    manage::{
        apis, holders,
        webhooks::{self, CreatedWebhook, DeliveryView, NewSecret, WebhookView},
    },
};
use doorward_store::idempotency::KeptAnswer;
use serde_json::json;

use super::{durations, every, moment::Moment, word};
use crate::{
    failure::Failure,
    output::{Output, fields, table, time, time_or},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Create an endpoint that events are sent to, and print its secret once
    Create(CreateArgs),
    /// List all endpoints
    List,
    /// Show an endpoint
    Show(Id),
    /// Change an endpoint; what is not named stays
    Update(UpdateArgs),
    /// Send an endpoint nothing any more
    Disable(Id),
    /// Send to an endpoint again
    Enable(Id),
    /// Replace the secret of an endpoint; the old one signs as well for a while
    RotateSecret {
        #[command(flatten)]
        webhook: Id,
        /// How long the old secret signs as well; 0s if it leaked
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = durations::parse)]
        overlap: Duration,
    },
    /// Delete an endpoint with all that was sent to it
    Delete(Id),
    /// Send an endpoint the event webhook.test
    Test(Id),
    /// List what was sent to an endpoint, the newest events first
    Deliveries(DeliveriesArgs),
    /// Send an event to its endpoint again, or all that were given up
    Replay(ReplayArgs),
}

#[derive(Args, Debug)]
pub(super) struct Id {
    /// The endpoint's id
    #[arg(value_name = "WEBHOOK")]
    webhook: String,
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Where events are sent: an https:// URL
    #[arg(long, value_parser = WebhookUrl::parse)]
    url: WebhookUrl,
    /// Type of the events that are sent; repeatable [default: all]
    #[arg(long = "event", value_name = "TYPE", value_parser = event_type)]
    events: Vec<EventType>,
    /// Send only events about this API; repeatable [default: all]
    #[arg(long = "api", value_name = "API")]
    apis: Vec<String>,
    /// Send only events about what this owner owns: a client's id, a user's id, user:NAME, or your own id of a customer;
    /// repeatable [default: all]
    #[arg(long = "owner", value_name = "OWNER")]
    owners: Vec<String>,
    /// What it is for, for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct UpdateArgs {
    #[command(flatten)]
    webhook: Id,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Changes {
    /// Where events are sent from now on, also those that wait
    #[arg(long, value_parser = WebhookUrl::parse)]
    url: Option<WebhookUrl>,
    /// Type of the events that are sent from now on; repeatable; all with ""
    #[arg(long = "event", value_name = "TYPE")]
    events: Option<Vec<String>>,
    /// Send only events about this API from now on; repeatable; all with ""
    #[arg(long = "api", value_name = "API")]
    apis: Option<Vec<String>>,
    /// Send only events about what this owner owns from now on: a client's id, a user's id, user:NAME, or your own id of a
    /// customer; repeatable; all with ""
    #[arg(long = "owner", value_name = "OWNER")]
    owners: Option<Vec<String>>,
    /// What it is for; an empty text removes it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct DeliveriesArgs {
    #[command(flatten)]
    webhook: Id,
    /// Only deliveries in this state
    #[arg(long, value_parser = word(&DeliveryState::ALL, DeliveryState::as_str))]
    state: Option<DeliveryState>,
    /// List only events before the one with this id
    #[arg(long, value_name = "ID", value_parser = EventId::parse)]
    before: Option<EventId>,
    /// Maximum number of deliveries
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    webhook: Id,
    /// The event's id
    #[arg(value_name = "EVENT", required_unless_present = "dead")]
    event: Option<String>,
    /// All events that were given up
    #[arg(long, conflicts_with = "event")]
    dead: bool,
    /// With --dead: only events at this time or later, as in 2026-11-28T14:00:00Z, or how long ago, as in 2h
    #[arg(long, value_name = "TIME", requires = "dead")]
    since: Option<Moment>,
}

fn event_type(word: &str) -> Result<EventType, doorward_core::webhook_event::UnknownEventType> {
    word.parse()
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::Create(args) => create(args, app, actor, output).await,
        Verb::List => {
            let webhooks = every(async |after, limit| webhooks::list(app, actor, after, limit).await).await?;
            output.print(&webhooks, || {
                let row = |webhook: &WebhookView| {
                    let events = or_all(webhook.metadata.events.iter().map(EventType::as_str));
                    [webhook.id.to_string(), webhook.metadata.url.to_string(), events, state(webhook)]
                };
                table(["ID", "URL", "EVENTS", ""], webhooks.iter().map(row))
            })?;
            Ok(())
        }
        Verb::Show(Id { webhook }) => print(&webhooks::show(app, actor, &webhook).await?, output),
        Verb::Update(UpdateArgs { webhook: Id { webhook }, changes }) => {
            let apis = match &changes.apis {
                Some(names) => Some(api_ids(names, app, actor).await?),
                None => None,
            };
            let owners = match &changes.owners {
                Some(names) => Some(owners(names, app, actor).await?),
                None => None,
            };
            let events =
                changes.events.as_deref().map(|words| given(words).map(|word| word.to_owned().into()).collect());
            let edit = |webhook: &WebhookView| {
                let before = webhook.metadata.clone();
                Ok(WebhookMetadata {
                    url: changes.url.clone().unwrap_or(before.url),
                    events: events.clone().unwrap_or(before.events),
                    apis: apis.clone().unwrap_or(before.apis),
                    owners: owners.clone().unwrap_or(before.owners),
                    description: match &changes.description {
                        Some(text) => Some(text.clone()).filter(|text| !text.is_empty()),
                        None => before.description,
                    },
                })
            };
            print(&webhooks::update(app, actor, &webhook, edit).await?, output)
        }
        Verb::Disable(Id { webhook }) => print(&webhooks::disable(app, actor, &webhook, |_| Ok(())).await?, output),
        Verb::Enable(Id { webhook }) => print(&webhooks::enable(app, actor, &webhook, |_| Ok(())).await?, output),
        Verb::RotateSecret { webhook: Id { webhook }, overlap } => {
            let show = |new: &NewSecret| show_secret(&webhook, new, output);
            webhooks::rotate_secret_shown(app, actor, &webhook, overlap, |_| Ok(()), show).await?;
            Ok(())
        }
        Verb::Delete(Id { webhook }) => {
            webhooks::delete(app, actor, &webhook, |_| Ok(())).await?;
            output.print(&json!({"webhook": webhook, "deleted": true}), || format!("{webhook} is deleted."))?;
            Ok(())
        }
        Verb::Test(Id { webhook }) => {
            let sent = webhooks::test(app, actor, &webhook, |_| Ok(())).await?;
            output
                .print(&sent, || format!("{} is on its way. See `doorward webhook deliveries {webhook}`.", sent.id))?;
            Ok(())
        }
        Verb::Deliveries(args) => deliveries(args, app, actor, output).await,
        Verb::Replay(ReplayArgs { webhook: Id { webhook }, event: Some(event), .. }) => {
            let sent = webhooks::replay(app, actor, &webhook, &event, |_| Ok(())).await?;
            output.print(&sent, || format!("{} is on its way.", sent.id))?;
            Ok(())
        }
        Verb::Replay(ReplayArgs { webhook: Id { webhook }, event: None, since, .. }) => {
            let since = since.map(|moment| moment.at(app.now()));
            let replayed = webhooks::replay_dead(app, actor, &webhook, since, |_| Ok(())).await?;
            output.print(&json!({"replayed": replayed}), || match replayed {
                1 => "1 event is on its way.".to_owned(),
                count => format!("{count} events are on their way."),
            })?;
            Ok(())
        }
    }
}

async fn create(args: CreateArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let metadata = WebhookMetadata {
        events: args.events,
        apis: api_ids(&args.apis, app, actor).await?,
        owners: owners(&args.owners, app, actor).await?,
        description: args.description,
        ..WebhookMetadata::new(args.url)
    };
    webhooks::create_shown(app, actor, metadata, |created| show_created(created, output)).await?;
    Ok(())
}

/// The texts that are not empty: `""` means none.
fn given(words: &[String]) -> impl Iterator<Item = &str> {
    words.iter().map(String::as_str).filter(|word| !word.is_empty())
}

async fn api_ids(names: &[String], app: &App, actor: &Actor) -> Result<Vec<ApiId>, Failure> {
    let mut ids = Vec::new();
    for name in given(names) {
        ids.push(apis::show(app, actor, name).await?.id);
    }
    Ok(ids)
}

async fn owners(names: &[String], app: &App, actor: &Actor) -> Result<Vec<Owner>, Failure> {
    let mut owners = Vec::new();
    for name in given(names) {
        owners.push(holders::owner_within(app, actor, name).await?);
    }
    Ok(owners)
}

fn show_created(created: &CreatedWebhook, output: Output) -> Result<Option<KeptAnswer>, Failure> {
    let mut value = json!(created.webhook);
    value["secret"] = created.secret.expose_secret().into();
    output.print_once(&value, || {
        fields(&[
            ("id", created.webhook.id.to_string()),
            ("url", created.webhook.metadata.url.to_string()),
            ("secret", created.secret.expose_secret().to_owned()),
        ]) + "The secret is shown only once. The receiver verifies signatures with it."
    })?;
    Ok(None)
}

fn show_secret(webhook: &str, new: &NewSecret, output: Output) -> Result<(), Failure> {
    let (secret, ends_at) = (new.secret.expose_secret(), time(new.previous_ends_at));
    output.print_once(&json!({"id": webhook, "secret": secret, "previous_secret_ends_at": ends_at}), || {
        format!("{secret}\nThe secret is shown only once. The old one signs as well until {ends_at}.")
    })
}

async fn deliveries(args: DeliveriesArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let page = webhooks::deliveries(app, actor, &args.webhook.webhook, args.state, args.before, limit).await?;
    output.print(&page.items, || {
        let row = |delivery: &DeliveryView| {
            [
                delivery.id.to_string(),
                delivery.event_type.to_string(),
                delivery.state.as_str().to_owned(),
                delivery.attempts.to_string(),
                time_or(delivery.next_attempt_at, ""),
                delivery.last_error.clone().unwrap_or_default(),
            ]
        };
        table(["EVENT", "TYPE", "STATE", "ATTEMPTS", "NEXT ATTEMPT", "LAST ERROR"], page.items.iter().map(row))
    })?;
    Ok(())
}

fn print(webhook: &WebhookView, output: Output) -> Result<(), Failure> {
    output.print(webhook, || describe(webhook))?;
    Ok(())
}

fn describe(webhook: &WebhookView) -> String {
    let metadata = &webhook.metadata;
    fields(&[
        ("id", webhook.id.to_string()),
        ("url", metadata.url.to_string()),
        ("events", or_all(metadata.events.iter().map(EventType::as_str))),
        ("apis", or_all(metadata.apis.iter().map(ApiId::as_str))),
        ("owners", or_all(metadata.owners.iter().map(Owner::as_str))),
        ("description", metadata.description.clone().unwrap_or_default()),
        ("state", state(webhook)),
        ("old secret ends", time_or(webhook.previous_secret_ends_at, "")),
        ("created", time(webhook.created_at)),
        ("updated", time(webhook.updated_at)),
    ])
}

fn or_all<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.collect();
    if words.is_empty() { "all".to_owned() } else { words.join(" ") }
}

fn state(webhook: &WebhookView) -> String {
    match (webhook.disabled_at, &webhook.disabled_because, webhook.failing_since) {
        (Some(at), Some(because), _) => format!("disabled {} ({because})", time(at)),
        (Some(at), None, _) => format!("disabled {}", time(at)),
        (None, _, Some(since)) => format!("failing since {}", time(since)),
        (None, _, None) => "enabled".to_owned(),
    }
}
