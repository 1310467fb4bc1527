//! What the management API takes over HTTP: the whole list of keys, page after page, and many new keys.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::json;

use super::fill::Filled;
use crate::{
    caller::{Caller, Target},
    load::{Quantiles, Times, answers_of_each},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many pages of the list are read at most
    #[arg(long, default_value_t = 5_001)]
    pages: usize,
    /// How many keys are created
    #[arg(long, default_value_t = 10_000)]
    create: usize,
}

#[derive(Serialize)]
pub(crate) struct Figures {
    /// Pages as they are by default.
    default: Pages,
    /// The largest that there are, from the first to the last.
    largest: Pages,
    /// Of one customer who has a thousandth of the keys.
    of_owner: Pages,
    /// Of the revoked keys, of which there are none.
    revoked: Pages,
    /// Of the expired keys, of which there are none either. No index finds them, so a page looks at many keys.
    expired: Pages,
    create_s: f64,
}

/// How long pages took.
#[derive(Serialize)]
struct Pages {
    count: usize,
    entries: usize,
    #[serde(flatten)]
    times: Quantiles,
    last_ns: f64,
    /// Whether the list ended there.
    is_whole: bool,
}

pub(crate) async fn measure(folder: &Path, options: &Options) -> Result<Figures> {
    let filled = Filled::read(folder)?;
    let authorization = format!("Bearer {}", filled.management_key);
    let mut list = List { caller: Caller::new(filled.port), authorization: &authorization };
    list.pages("", 10).await?;
    let figures = Figures {
        default: list.pages("", 200).await?,
        largest: list.pages("&limit=200", options.pages).await?,
        of_owner: list.pages("&owner=customer-7", 200).await?,
        revoked: list.pages("&revoked=true", 200).await?,
        expired: list.pages("&state=expired", 50).await?,
        create_s: create(&filled, &authorization, options.create).await?.as_secs_f64(),
    };
    ensure!(figures.default.entries > 0 && figures.of_owner.entries > 0, "a list is empty");
    Ok(figures)
}

struct List<'a> {
    caller: Caller,
    authorization: &'a str,
}

impl List<'_> {
    /// Reads so many pages, or to the end of the list.
    async fn pages(&mut self, filter: &str, most: usize) -> Result<Pages> {
        #[derive(Deserialize)]
        struct Page {
            items: Vec<IgnoredAny>,
            next: Option<String>,
        }
        let (mut times, mut entries, mut cursor) = (Vec::new(), 0, String::new());
        let is_whole = loop {
            let start = Instant::now();
            let body = self.caller.fetch(&format!("/v1/keys?{cursor}{filter}"), self.authorization).await?;
            times.push(start.elapsed());
            let Page { items, next } = serde_json::from_slice(&body)?;
            entries += items.len();
            match next {
                Some(next) if times.len() < most => cursor = format!("cursor={next}"),
                next => break next.is_none(),
            }
        };
        let (count, last) = (times.len(), *times.last().context("there was a page")?);
        let times = Times::new(times).quantiles();
        Ok(Pages { count, entries, times, last_ns: last.as_secs_f64() * 1e9, is_whole })
    }
}

/// Creates keys as a user can: a request for each, from as many connections as the load has.
async fn create(filled: &Filled, authorization: &str, count: usize) -> Result<Duration> {
    let bodies = (0..count).map(|nth| new_key(&format!("batch-{nth}"))).collect();
    let start = Instant::now();
    let created = answers_of_each(filled.port, &creation(authorization), bodies).await?;
    let took = start.elapsed();
    ensure!(created.len() == count, "{} of {count} keys were created", created.len());
    Ok(took)
}

/// A request that creates a key.
pub(super) fn creation(authorization: &str) -> Target {
    let content_type = "application/json";
    Target { path: "/v1/keys".into(), authorization: authorization.to_owned(), content_type }
}

/// The body of a request that creates a key.
pub(super) fn new_key(name: &str) -> String {
    json!({ "api": "notes", "name": name, "owner": "customer-new", "scopes": ["notes:read"] }).to_string()
}
