//! The audit stays within its bounds: what it holds is known, the oldest events go first, and one event says what went.

use std::time::Duration;

use doorward_core::audit_bounds::{AuditBounds, AuditSize};
use doorward_store::{
    Store,
    audit::{AppendAudit, AuditEvent, AuditFilter, CountAudit, MeasureAudit, RemoveExcess, RemoveOlder, ReportRemoved},
};

use crate::{
    harness::{Ask, Plan, Recorded, Run, on_each_engine},
    world::World,
};

const UNBOUNDED: AuditBounds = AuditBounds { rows: i64::MAX, bytes: i64::MAX, refusals: i64::MAX };

/// Appends so many events of an action, one a second.
pub(crate) async fn append(world: &World, action: &str, count: usize) -> Vec<AuditEvent> {
    let event = |_| {
        world.advance(1);
        world.audit().event(action.into())
    };
    let events: Vec<_> = (0..count).map(event).collect();
    world.write(AppendAudit { events: events.clone() }).await;
    events
}

/// Counts what is old enough.
pub(crate) async fn count(world: &World) -> AuditSize {
    while world.write(CountAudit { now: world.now() }).await {}
    world.read(MeasureAudit).await
}

/// What the running totals should be: all that is counted, counted again.
pub(crate) async fn counted_again(world: &World) -> AuditSize {
    for sql in ["DELETE FROM audit_hours", "DELETE FROM audit_tally"] {
        world.write(Run::new(sql, [])).await;
    }
    count(world).await
}

async fn left(world: &World, action: &str) -> Vec<AuditEvent> {
    let filter = AuditFilter { action: Some(action.into()), ..AuditFilter::default() };
    world.newest_events(filter, 1_000).await
}

async fn remove(store: &Store, after: AuditBounds) -> u64 {
    let mut removed = 0;
    loop {
        match store.write(RemoveExcess { after }).await.unwrap() {
            0 => return removed,
            rows => removed += rows,
        }
    }
}

#[tokio::test]
async fn events_of_the_last_minutes_are_counted_later() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let before = world.read(Ask::new("SELECT id FROM audit", [])).await.len() as i64;
        append(&world, "client.created", 10).await;
        append(&world, "request.refused", 5).await;
        assert_eq!(count(&world).await.rows, 0, "a transaction may still append an older one");
        world.advance(118);
        let size = count(&world).await;
        assert_eq!((size.rows, size.refusals), (before + 12, 2));
        world.advance(60);
        let size = count(&world).await;
        assert_eq!((size.rows, size.refusals), (before + 15, 5));
        assert!((300 * size.rows..800 * size.rows).contains(&size.bytes), "{size:?}");
        assert_eq!(counted_again(&world).await, size);
    })
    .await;
}

#[tokio::test]
async fn oldest_events_go_first_and_one_event_reports_them() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let old = append(&world, "request.refused", 20).await;
        let many = usize::try_from(RemoveExcess::STEP).unwrap();
        let events = append(&world, "client.created", many + 50).await;
        world.advance(300);
        let size = count(&world).await;
        let after = AuditBounds { rows: 30, ..UNBOUNDED };
        assert_eq!(world.write(RemoveExcess { after }).await, RemoveExcess::STEP as u64, "a step and no more");
        let removed = RemoveExcess::STEP as u64 + remove(&world.store, after).await;
        assert_eq!(removed as i64, size.rows - 30);
        assert_eq!(left(&world, "client.created").await, events[many + 20..]);
        assert_eq!(left(&world, "request.refused").await, []);
        let size = world.read(MeasureAudit).await;
        assert_eq!((size.rows, size), (30, counted_again(&world).await));

        assert!(world.write(ReportRemoved { audit: world.audit() }).await);
        assert!(!world.write(ReportRemoved { audit: world.audit() }).await, "all is reported");
        let [report] = &left(&world, "audit.events_removed").await[..] else { panic!("not one report") };
        let detail = |name: &str| report.details[name].as_str().unwrap();
        assert_eq!((detail("events"), detail("bounds")), (&*removed.to_string(), "audit.max_rows"));
        // Others are from the making of the world.
        assert_eq!(detail("request.refused"), "20");
        assert!(detail("client.created").parse::<usize>().unwrap() >= many + 20);
        assert!(detail("oldest_at").parse::<i64>().unwrap() <= old[0].at.as_secs());
        assert_eq!(detail("newest_at"), events[many + 19].at.as_secs().to_string());
        assert_eq!((&report.actor, report.count), (&None, 1));
    })
    .await;
}

#[tokio::test]
async fn bound_of_bytes_removes_as_many_events_as_take_them() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        append(&world, "client.created", 100).await;
        world.advance(300);
        let size = count(&world).await;
        let after = AuditBounds { bytes: size.bytes / 2, ..UNBOUNDED };
        let removed = remove(&world.store, after).await;
        let half = world.read(MeasureAudit).await;
        assert!(half.bytes <= after.bytes && half.bytes > after.bytes - 1_000, "{half:?}");
        assert_eq!(half.rows, size.rows - removed as i64);
        assert_eq!(half, counted_again(&world).await);
    })
    .await;
}

#[tokio::test]
async fn refusals_are_kept_up_to_a_number_and_changes_of_state_stay() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        append(&world, "client.deleted", 3).await;
        let many = usize::try_from(RemoveExcess::STEP).unwrap() + 60;
        let refusals = append(&world, "request.refused", many).await;
        world.advance(300);
        count(&world).await;
        let after = AuditBounds { refusals: 40, ..UNBOUNDED };
        assert_eq!(remove(&world.store, after).await as usize, many - 40);
        assert_eq!(left(&world, "request.refused").await, refusals[many - 40..]);
        assert_eq!(left(&world, "client.deleted").await.len(), 3);
        let size = world.read(MeasureAudit).await;
        assert_eq!((size.refusals, size), (40, counted_again(&world).await));
    })
    .await;
}

#[tokio::test]
async fn two_servers_remove_no_more_than_one() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let many = 5 * usize::try_from(RemoveExcess::STEP).unwrap();
        append(&world, "client.created", many).await;
        world.advance(300);
        let size = count(&world).await;
        let after = AuditBounds { rows: 100, ..UNBOUNDED };
        let other = database.open().await;
        let (one, two) = tokio::join!(remove(&world.store, after), remove(&other, after));
        assert_eq!((one + two) as i64, size.rows - 100);
        assert_eq!(world.read(MeasureAudit).await, counted_again(&world).await);
    })
    .await;
}

#[tokio::test]
async fn event_that_waited_for_the_database_is_counted_at_last() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let waited = world.audit().event("request.refused".into());
        append(&world, "client.created", 10).await;
        world.advance(300);
        let size = count(&world).await;
        world.write(AppendAudit { events: vec![waited] }).await;
        let more = world.read(MeasureAudit).await;
        assert_eq!((more.rows, more.refusals), (size.rows + 1, 1));
        assert_eq!(count(&world).await, more, "and not again");
        assert_eq!(more, counted_again(&world).await);
    })
    .await;
}

#[tokio::test]
async fn clock_that_was_ahead_makes_all_be_counted_again() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        append(&world, "client.created", 10).await;
        world.advance(300);
        let size = count(&world).await;
        let right = world.now();
        world.advance(86_400);
        append(&world, "client.created", 5).await;
        world.advance(300);
        assert_eq!(count(&world).await.rows, size.rows + 5);
        world.clock.set(right);
        append(&world, "client.created", 3).await;
        world.advance(300);
        assert_eq!(count(&world).await.rows, size.rows + 3, "those of the wrong time are counted when it has come");
        world.advance(2 * 86_400);
        assert_eq!(count(&world).await.rows, size.rows + 8);
    })
    .await;
}

#[tokio::test]
async fn totals_recover_from_rows_that_an_older_version_removed() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        append(&world, "request.refused", 50).await;
        let kept = append(&world, "client.created", 50).await;
        world.advance(300);
        count(&world).await;
        world.write(Run::new("DELETE FROM audit WHERE action = 'request.refused'", [])).await;
        let after = AuditBounds { refusals: 10, rows: 20, ..UNBOUNDED };
        remove(&world.store, after).await;
        assert!(left(&world, "client.created").await.len() <= 20, "no refusals are left, and the other bound applies");

        world.write(Run::new("DELETE FROM audit", [])).await;
        remove(&world.store, AuditBounds { rows: 0, ..UNBOUNDED }).await;
        assert_eq!(world.read(MeasureAudit).await, AuditSize::default());
        world.write(AppendAudit { events: kept }).await;
        assert_eq!(count(&world).await.rows, 50);
    })
    .await;
}

#[tokio::test]
async fn events_that_are_too_old_go_by_the_hour_with_one_report() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        // To the beginning of an hour.
        world.advance(3_600 - world.now().as_secs().rem_euclid(3_600) as u64);
        append(&world, "client.deleted", 10).await;
        world.advance(3_600);
        let kept = append(&world, "client.deleted", 5).await;
        world.advance(300);
        let size = count(&world).await;
        let all = async |before| {
            let mut removed = 0;
            loop {
                match world.write(RemoveOlder { before }).await {
                    0 => return removed,
                    rows => removed += rows as i64,
                }
            }
        };
        let removed = all(kept[3].at).await;
        assert_eq!(left(&world, "client.deleted").await, kept, "the hour of these is not over");
        let less = world.read(MeasureAudit).await;
        assert_eq!((less.rows, less), (size.rows - removed, counted_again(&world).await));
        assert!(world.write(ReportRemoved { audit: world.audit() }).await);
        let [report] = &left(&world, "audit.events_removed").await[..] else { panic!("not one report") };
        assert_eq!(report.details["bounds"], "audit.retention");
        let hours = world.read(Ask::new("SELECT hour FROM audit_hours", [])).await.len();
        assert_eq!(hours, 1, "hours without events are removed");
        assert_eq!(all(kept[0].at.plus(Duration::from_secs(3_600))).await, 5 + 1, "with the report");
    })
    .await;
}

#[tokio::test]
async fn statements_of_bounds_go_by_an_index() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        append(&world, "request.refused", 50).await;
        world.advance(300);
        let (_, mut statements) = world.write(Recorded(CountAudit { now: world.now() })).await;
        for bound in [AuditBounds { refusals: 40, ..UNBOUNDED }, AuditBounds { rows: 10, ..UNBOUNDED }] {
            statements.extend(world.write(Recorded(RemoveExcess { after: bound })).await.1);
        }
        statements.extend(world.write(Recorded(RemoveOlder { before: world.now() })).await.1);
        assert!(statements.iter().filter(|(sql, _)| sql.contains("FROM audit ")).count() >= 5, "{statements:?}");
        let is_sqlite = database.sqlite_file().is_some();
        for of in statements.into_iter().filter(|(sql, _)| sql.contains("FROM audit ")) {
            let sql = of.0;
            let plan = world.write(Plan { of, is_sqlite }).await;
            let is_bad =
                |step: &String| step.starts_with("SCAN audit") || step.contains("Seq Scan") || step.contains("Sort");
            assert!(!plan.iter().any(is_bad), "{sql}\n{plan:#?}");
        }
    })
    .await;
}
