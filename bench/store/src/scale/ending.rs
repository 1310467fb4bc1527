//! Refusing a client or a user who has many grants: how soon every server refuses, how long the rows take, and what
//! callers of another client notice meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::de::IgnoredAny;
use tokio::{task::JoinSet, time::sleep};

use super::{Filled, rounds::RESERVED};
use crate::{
    caller::Target,
    fill::{self, Shares},
    load::{self, Others, Times},
    site::{Credential, Server},
    template::number,
};

/// What ending the grants of a user and of a client did.
pub(super) struct Endings {
    /// How long others waited before and after.
    pub(super) usual: Times,
    pub(super) tokens: Vec<String>,
    pub(super) user: Ending,
    pub(super) client: Ending,
}

pub(super) struct Ending {
    pub(super) grants: u64,
    /// From the start of the command until every server refused.
    pub(super) refused: Duration,
    /// From the start of the command until the rows of all grants say so.
    pub(super) ended: Duration,
    /// How long others waited meanwhile.
    pub(super) others: Times,
}

/// Watches other callers for so long before, and as long after.
pub(super) async fn measure(filled: &Filled, watched: Duration) -> Result<Endings> {
    let site = &filled.site;
    let mut servers = vec![site.start().await?.0];
    if matches!(site.location, doorward_store::Location::Postgres(_)) {
        servers.push(site.start_beside().await?);
    }
    let Shares { others, user, crowd } = filled.size.shares();
    let tokens = (0..OTHERS).map(|nth| fill::refresh_token(others.start + nth)).collect();
    // What is done once at the beginning is not usual.
    let (_, tokens) = usual(filled, &servers[0], tokens, WARM_UP).await?;
    let (before, mut tokens) = usual(filled, &servers[0], tokens, watched).await?;
    let mut end = async |client: &Credential, last: u64, grants: u64, command: &str| {
        let mut probes = JoinSet::new();
        for (server, nth) in servers.iter().zip(1..=RESERVED) {
            let caller = Probe::new(filled, server, client, fill::refresh_token(last - nth)).await?;
            caller.start(&mut probes);
        }
        let callers = Others::start(&servers[0], &filled.refresh(&site.others), std::mem::take(&mut tokens));
        let (refused, ended) = end_all(filled, command, probes).await?;
        let (others, left) = callers.end().await?;
        tokens = left;
        Ok::<_, anyhow::Error>(Ending { grants, refused, ended, others })
    };
    let of_user = end(&site.others, user.end, user.end - user.start, "user disable busy --confirm").await?;
    let command = format!("client disable {} --confirm", site.crowd.client_id);
    let of_client = end(&site.crowd, crowd.end, crowd.end - crowd.start, &command).await?;
    let (after, tokens) = usual(filled, &servers[0], tokens, watched).await?;
    for server in servers {
        server.stop().await?;
    }
    Ok(Endings { usual: before.and(after), tokens, user: of_user, client: of_client })
}

/// How long callers of another client wait on a server while nothing else happens, and their tokens.
pub(super) async fn usual(
    filled: &Filled,
    server: &Server,
    tokens: Vec<String>,
    time: Duration,
) -> Result<(Times, Vec<String>)> {
    let others = Others::start(server, &filled.refresh(&filled.site.others), tokens);
    sleep(time).await;
    others.end().await
}

/// Runs the command. Gives how long it took until all were refused, and until nothing was left to be ended.
async fn end_all(filled: &Filled, command: &str, mut probes: JoinSet<Result<Instant>>) -> Result<(Duration, Duration)> {
    let store = filled.site.store().await?;
    sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    filled.site.command::<IgnoredAny>(command).await?;
    let mut refused = start;
    while let Some(at) = probes.join_next().await {
        refused = refused.max(at??);
    }
    let mut left = i64::MAX;
    while left > 0 {
        ensure!(start.elapsed() < LIMIT, "grants were still to be ended after {LIMIT:?}");
        sleep(Duration::from_millis(20)).await;
        left = number(&store, "SELECT count(*) FROM ending_grants").await?;
    }
    let ended = start.elapsed();
    store.close().await;
    Ok((refused - start, ended))
}

/// One who uses a grant on one server without a pause, until it is refused.
struct Probe {
    server: [crate::caller::Caller; 2],
    refresh: Target,
    introspect: Target,
    access_token: String,
    refresh_token: String,
}

impl Probe {
    async fn new(filled: &Filled, server: &Server, client: &Credential, refresh_token: String) -> Result<Self> {
        let refresh = filled.refresh(client);
        let introspect = Target { path: "/introspect".into(), ..filled.refresh(&filled.site.api) };
        let answer = server.caller().succeed(&refresh, &load::refresh(&refresh_token)).await?;
        let load::Tokens { access_token, refresh_token } = load::tokens(&answer)?;
        Ok(Self { server: [server.caller(), server.caller()], refresh, introspect, access_token, refresh_token })
    }

    /// Looks for the first refusal of the refresh token and of the access token.
    fn start(self, probes: &mut JoinSet<Result<Instant>>) {
        let Self { server: [mut one, mut other], refresh, introspect, access_token, mut refresh_token } = self;
        probes.spawn(async move {
            loop {
                let answer = one.post(&refresh, &load::refresh(&refresh_token)).await?;
                match answer.status {
                    200 => refresh_token = load::tokens(&answer.body)?.refresh_token,
                    400 | 401 => return Ok(Instant::now()),
                    status => anyhow::bail!("a refresh was answered {status}"),
                }
                sleep(PAUSE).await;
            }
        });
        probes.spawn(async move {
            let body = form_urlencoded::Serializer::new(String::new()).append_pair("token", &access_token).finish();
            loop {
                let answer = other.succeed(&introspect, &body).await?;
                let answer: serde_json::Value = serde_json::from_slice(&answer)?;
                if !answer["active"].as_bool().context("introspection says whether a token is active")? {
                    return Ok(Instant::now());
                }
                sleep(PAUSE).await;
            }
        });
    }
}

/// Callers of another client.
const OTHERS: u64 = 16;
pub(super) const WARM_UP: Duration = Duration::from_secs(2);
/// How long they are watched where the figures are reported.
pub(super) const WATCHED: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(2);
const LIMIT: Duration = Duration::from_secs(1_800);
