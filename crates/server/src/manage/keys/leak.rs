//! Keys that somebody found and hands in.

use std::net::IpAddr;

use doorward_core::{
    api_key::ApiKey,
    denial::Denial,
    leaks::{LeakPolicy, reported_source},
    network::Network,
    partner_alerts::PartnerAlert,
    refusal::Refusal,
    trace::TraceId,
};
use doorward_store::{
    failures::{Counter, Reservation, ReserveAttempt},
    keys::{FindKeyByDigest, Leak, ReportLeak},
};

use crate::{actor::Actor, app::App};

/// Takes in a key that somebody found. The reporter learns nothing: a text that is no key, a key that is unknown, and one
/// that was reported before are taken in like any other.
///
/// # Errors
/// If the reporter's network has reported too many.
pub(crate) async fn report_leak(
    app: &App,
    (address, trace_id): (IpAddr, TraceId),
    text: &str,
    source: &str,
) -> Result<(), Refusal> {
    let subject = format!("leaks/{}", Network::of(address));
    let counter = Counter { subject, free: app.settings.throttle.free_leak_reports_per_address, slow: None };
    take_in(app, (address, trace_id), text, source, vec![counter]).await
}

/// The same for reports of somebody who is known, and may report any number.
pub(crate) async fn report_leaks(app: &App, from: (IpAddr, TraceId), leaks: &[PartnerAlert]) -> Result<(), Refusal> {
    for leak in leaks {
        take_in(app, from, &leak.token, leak.place(), Vec::new()).await?;
    }
    Ok(())
}

async fn take_in(
    app: &App,
    (address, trace_id): (IpAddr, TraceId),
    text: &str,
    source: &str,
    counters: Vec<Counter>,
) -> Result<(), Refusal> {
    // Anybody can compute the checksum, so that skipping the rest says nothing.
    let Some(key) = ApiKey::parse(text.trim()) else { return Ok(()) };
    let found = app.read(FindKeyByDigest { candidates: app.candidates(key.reveal()) }).await?;
    let now = app.now();
    let reporter = Actor { address: Some(address), trace_id: Some(trace_id), ..Actor::default() };
    // What everybody may read can't leak.
    let leak = found.filter(|key| key.metadata.kind.can_leak()).map(|key| {
        let apis = app.snapshots.apis();
        let policies = key.metadata.apis.iter().filter_map(|id| Some(apis.by_id(id)?.metadata.leak_policy));
        let policy = LeakPolicy::of_all(policies);
        let (audit, audit_of_revocation) = (app.audit(&reporter), app.audit(&reporter));
        Leak { id: key.id, policy, source: reported_source(source), now, audit, audit_of_revocation }
    });
    let attempt = ReserveAttempt { counters, max_wait: app.settings.throttle.max_wait, now };
    match app.write(ReportLeak { attempt, leak }).await? {
        Reservation::Go => Ok(()),
        Reservation::Slow(wait) | Reservation::Wait(wait) => {
            Err(Refusal::new(Denial::LeakReportsThrottled).retry_after(wait))
        }
    }
}
