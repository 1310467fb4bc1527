//! A PostgreSQL that does not answer, is gone, or is replaced.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{load::Load, postgres::Postgres, site::Site, tally::NO_ANSWER};
use crate::support::eventually;

/// How long it is frozen.
const FREEZE: Duration = Duration::from_secs(12);

/// What is unavailable is answered within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every request was answered, and in time. Commands wait for longer than a caller over HTTP does.
fn all_were_answered_in_time(load: &Load) {
    let late = load
        .shared()
        .tally
        .outcomes(|kind, outcome, slowest| !kind.contains("command") && (outcome == NO_ANSWER || slowest > PATIENCE));
    assert!(late.is_empty(), "answered within {PATIENCE:?}: {late:#?}");
}

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn frozen_postgresql_is_answered_503_in_time_and_loses_nothing() {
    let Some(postgres) = Postgres::start() else { return };
    let site = Site::on_postgres(&Postgres::url(&[&postgres]), 1);
    let node = site.start(0);
    let load = Load::start("PostgreSQL is frozen for 12 s", &site.target);

    load.phase("frozen");
    let begun = Instant::now();
    postgres.freeze();
    load.until_refused(2, || ());
    eventually("the node is not ready", || site.readiness(0) == 503);
    thread::sleep(FREEZE.saturating_sub(begun.elapsed()));
    postgres.thaw();

    load.phase("after");
    load.until_fulfilled(20);
    eventually("the node is ready", || site.readiness(0) == 200);
    all_were_answered_in_time(&load);
    load.finish();
    assert_eq!(node.terminate(), Some(0));
}

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn killed_postgresql_is_answered_503_in_time_and_loses_nothing() {
    let Some(mut postgres) = Postgres::start() else { return };
    let site = Site::on_postgres(&Postgres::url(&[&postgres]), 1);
    let node = site.start(0);
    let load = Load::start("PostgreSQL is killed and started again, three times", &site.target);

    for phase in ["killed and started at once", "killed and started again at once", "killed, and away for a while"] {
        load.phase(phase);
        postgres.kill();
        if phase.ends_with("while") {
            load.until_refused(20, || ());
        }
        postgres.restart();
        load.until_fulfilled(20);
    }
    all_were_answered_in_time(&load);
    load.finish();
    assert_eq!(node.terminate(), Some(0));
}

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn failed_over_postgresql_is_found_and_loses_nothing() {
    let Some(mut primary) = Postgres::start() else { return };
    let replica = primary.replica();
    let site = Site::on_postgres(&Postgres::url(&[&primary, &replica]), 1);
    let node = site.start(0);
    let load = Load::start("PostgreSQL's primary is killed, and its replica is promoted", &site.target);

    load.phase("no primary");
    primary.kill();
    load.until_refused(5, || ());
    load.phase("promoted");
    replica.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = ''");
    replica.promote();
    load.until_fulfilled(20);
    all_were_answered_in_time(&load);
    load.finish();
    assert_eq!(node.terminate(), Some(0));
}
