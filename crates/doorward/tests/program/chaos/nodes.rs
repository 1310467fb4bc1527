//! Three nodes that are replaced one by one, under a load that tries the next node.

use std::path::Path;

use super::{load::Load, next_version, postgres::Postgres, site::Site};
use crate::support::{PROGRAM, Running};

const NODES: usize = 3;

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn nodes_that_are_restarted_one_by_one_fail_no_request() {
    let Some(postgres) = Postgres::start() else { return };
    let site = Site::on_postgres(&Postgres::url(&[&postgres]), NODES);
    let nodes: Vec<_> = (0..NODES).map(|node| site.start(node)).collect();
    let load = Load::start("Three nodes are restarted one by one", &site.target);
    let _nodes = replace_one_by_one(&site, nodes, &load, Path::new(PROGRAM));
    load.finish();
}

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn nodes_that_are_upgraded_one_by_one_fail_no_request() {
    let Some(postgres) = Postgres::start() else { return };
    let next = next_version::build();
    let site = Site::on_postgres(&Postgres::url(&[&postgres]), NODES);
    let schema = |sql: &str| postgres.psql(super::postgres::DATABASE, sql);
    let before = schema("SELECT max(number) FROM schema_migrations");
    let nodes: Vec<_> = (0..NODES).map(|node| site.start(node)).collect();
    let load = Load::start("Three nodes are upgraded one by one", &site.target);

    let _nodes = replace_one_by_one(&site, nodes, &load, &next);

    let after = schema("SELECT max(number) FROM schema_migrations");
    assert_ne!(before, after, "the next version has migrated the database");
    assert_eq!(schema("SELECT count(*) FROM next_version"), "0", "its table is there");
    load.finish();
}

/// Ends each node and starts the program in its place.
fn replace_one_by_one(site: &Site, nodes: Vec<Running>, load: &Load, program: &Path) -> Vec<Running> {
    let mut replaced = Vec::new();
    for (node, running) in nodes.into_iter().enumerate() {
        load.phase(&format!("node {node} ends"));
        assert_eq!(running.terminate(), Some(0));
        load.until_fulfilled(5);
        load.phase(&format!("node {node} is back"));
        replaced.push(site.start_by(node, site.serve(node, program)));
        load.until_fulfilled(20);
    }
    assert_eq!(load.shared().tally.failed(), 0, "{}", load.shared().tally.table());
    replaced
}
