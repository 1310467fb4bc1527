//! Issued tokens are summed up: one row for each client, action and minute, with nothing lost and nothing counted twice.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use doorward_core::{audit_bounds::AuditBounds, clock::Timestamp, id::AuditId, random::SeededRng};
use doorward_store::{
    Location, Store,
    audit::{
        AppendAudit, AuditAction, AuditContext, AuditEvent, AuditFilter, CountAudit, Details, FindMinute, MeasureAudit,
        Minute, RemoveExcess, SearchAudit, SumUp, read_address,
    },
};
use secrecy::ExposeSecret;

use crate::{
    audit_bounds::{count, counted_again},
    harness::{Ask, Database, Plan, Recorded, on_each_engine},
    world::World,
};

/// Appends events of a minute, some of each client.
async fn issue(world: &World, clients: &[(&str, usize)]) -> Vec<AuditEvent> {
    world.advance(60 - world.now().as_secs().rem_euclid(60) as u64);
    let mut events = Vec::new();
    for (client, count) in clients {
        for number in 0..*count {
            let audit = world.audit();
            let event = AuditEvent {
                actor: Some((*client).to_owned()),
                address: Some(format!("192.0.2.{}", number % 3)),
                trace_id: Some(format!("{number:032x}")),
                ..audit.event(AuditAction::AccessTokenIssued).about(format!("tok_{client}_{number}"))
            };
            events.push(event.with("api", "notes").with("scope", number));
        }
    }
    world.write(AppendAudit { events: events.clone() }).await;
    events
}

/// Sums up the oldest minute as a server does. Gives how many rows were replaced, or nothing where none is left.
async fn sum_up(store: &Store, before: Option<Timestamp>) -> Option<u64> {
    let Minute { begins, groups } = store.read(FindMinute { before }).await.unwrap()?;
    let mut replaced = 0;
    for group in groups {
        loop {
            let step = SumUp { minute: begins, groups: vec![group.clone()], is_last: false };
            let rows = store.write(step).await.unwrap();
            replaced += rows;
            if rows < SumUp::STEP as u64 {
                break;
            }
        }
    }
    store.write(SumUp { minute: begins, groups: Vec::new(), is_last: true }).await.unwrap();
    Some(replaced)
}

async fn issued(world: &World, filter: AuditFilter) -> Vec<AuditEvent> {
    world.newest_events(AuditFilter { action: Some(AuditAction::AccessTokenIssued), ..filter }, 1_000).await
}

fn of(client: &str) -> AuditFilter {
    AuditFilter { actor: Some(client.to_owned()), ..AuditFilter::default() }
}

#[tokio::test]
async fn one_row_a_minute_represents_the_tokens_of_a_client() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let first = issue(&world, &[("cli_a", 7), ("cli_b", 1), ("cli_c", 2)]).await;
        let second = issue(&world, &[("cli_a", 4)]).await;
        let refused = world.audit().event(AuditAction::RequestRefused);
        world.write(AppendAudit { events: vec![refused.clone(), refused_later(&world)] }).await;
        world.advance(300);
        count(&world).await;

        let before = Some(second[0].at);
        assert_eq!(sum_up(&world.store, before).await, Some(9));
        assert_eq!(sum_up(&world.store, before).await, None, "the second minute is not old enough");
        assert_eq!(issued(&world, of("cli_a")).await.len(), 1 + 4);
        assert_eq!(sum_up(&world.store, None).await, Some(4));
        assert_eq!(sum_up(&world.store, None).await, None);

        let [one, two] = &issued(&world, of("cli_a")).await[..] else { panic!("not one row a minute") };
        assert_eq!((one.count, one.at, two.count, two.at), (7, first[0].at, 4, second[0].at));
        assert_eq!((&one.subject, &one.trace_id, &one.address), (&None, &None, &None));
        assert_eq!(one.details["api"], "notes");
        assert_eq!(one.details["addresses"], "192.0.2.0, 192.0.2.1, 192.0.2.2");
        assert_eq!(one.details.get("scope"), None, "only what all have in common");
        assert_eq!(issued(&world, of("cli_b")).await, first[7..8], "a single one stays as it is");
        let refusals = AuditFilter { action: Some(AuditAction::RequestRefused), ..AuditFilter::default() };
        assert_eq!(world.newest_events(refusals, 10).await.len(), 2);
        assert_eq!(world.read(MeasureAudit).await, counted_again(&world).await);
    })
    .await;
}

/// What is counted reaches beyond a minute only with a later event.
fn refused_later(world: &World) -> AuditEvent {
    world.advance(60);
    world.audit().event(AuditAction::RequestRefused)
}

#[tokio::test]
async fn filters_find_sums() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let events = issue(&world, &[("cli_a", 7), ("cli_b", 2)]).await;
        issue(&world, &[("cli_c", 1)]).await;
        world.advance(300);
        count(&world).await;
        sum_up(&world.store, None).await;
        let address = |text: &str| AuditFilter { address: Some(read_address(text).unwrap()), ..AuditFilter::default() };
        let counts = async |filter| issued(&world, filter).await.iter().map(|event| event.count).collect::<Vec<_>>();
        assert_eq!(counts(address("192.0.2.2")).await, [7]);
        assert_eq!(counts(address("192.0.2.0/24")).await, [7, 2, 1]);
        assert_eq!(counts(address("192.0.3.0/24")).await, Vec::<i64>::new());
        assert_eq!(counts(AuditFilter::about("cli_b")).await, [2]);
        let (since, until) = (Some(events[0].at), Some(events[0].at.plus(Duration::from_secs(60))));
        assert_eq!(counts(AuditFilter { since, until, ..AuditFilter::default() }).await, [7, 2]);
        let all = SearchAudit { filter: of("cli_a"), after: None, before: None, limit: 10 };
        assert_eq!(world.read(all).await.events[0].count, 7);
    })
    .await;
}

#[tokio::test]
async fn tokens_of_one_client_in_a_minute_are_summed_in_several_steps() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let many = 2 * usize::try_from(SumUp::STEP).unwrap() + 10;
        issue(&world, &[("cli_a", many)]).await;
        issue(&world, &[("cli_b", 1)]).await;
        world.advance(300);
        count(&world).await;
        sum_up(&world.store, None).await.unwrap();
        let [sum] = &issued(&world, of("cli_a")).await[..] else { panic!("not one row") };
        assert_eq!(sum.count as usize, many);
        assert_eq!(world.read(MeasureAudit).await, counted_again(&world).await);
    })
    .await;
}

#[tokio::test]
async fn token_that_comes_between_look_and_sum_is_in_the_sum() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let events = issue(&world, &[("cli_a", 3)]).await;
        issue(&world, &[("cli_b", 1)]).await;
        world.advance(300);
        count(&world).await;
        let Minute { begins, groups } = world.read(FindMinute { before: None }).await.unwrap();
        let id = AuditId::new(events[0].at.plus(Duration::from_secs(30)), &world.rng);
        world.write(AppendAudit { events: vec![AuditEvent { id, ..events[0].clone() }] }).await;
        assert_eq!(world.write(SumUp { minute: begins, groups, is_last: true }).await, 4);
        assert_eq!(issued(&world, of("cli_a")).await[0].count, 4);
        assert_eq!(world.read(MeasureAudit).await, counted_again(&world).await);
    })
    .await;
}

#[tokio::test]
async fn summing_up_goes_by_an_index() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        issue(&world, &[("cli_a", 3)]).await;
        issue(&world, &[("cli_b", 1)]).await;
        world.advance(300);
        count(&world).await;
        let (minute, mut statements) = world.read(Recorded(FindMinute { before: None })).await;
        let Minute { begins, groups } = minute.unwrap();
        let sum_up = SumUp { minute: begins, groups, is_last: true };
        statements.extend(world.write(Recorded(sum_up)).await.1);
        let is_sqlite = database.sqlite_file().is_some();
        let mut indexes = Vec::new();
        for of in statements.into_iter().filter(|(sql, _)| sql.contains("FROM audit") && !sql.contains("audit_tally")) {
            let sql = of.0;
            let plan = world.write(Plan { of, is_sqlite }).await.join("\n");
            assert!(!plan.contains("SCAN audit") && !plan.contains("Seq Scan on audit "), "{sql}\n{plan}");
            assert!(!plan.contains("FOR ORDER BY"), "{sql}\n{plan}");
            let used = ["audit_of_action", "audit_of_actor"].into_iter().filter(|index| plan.contains(index));
            indexes.extend(used);
        }
        let (of_action, of_actor) = ("audit_of_action", "audit_of_actor");
        assert_eq!(
            indexes,
            [of_action, of_action, of_action, of_action, of_actor],
            "two actions to find, and one group"
        );
    })
    .await;
}

#[tokio::test]
async fn two_servers_sum_up_each_token_once() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for _ in 0..10 {
            issue(&world, &[("cli_a", 20), ("cli_b", 30)]).await;
        }
        issue(&world, &[("cli_c", 1)]).await;
        world.advance(300);
        count(&world).await;
        let other = database.open().await;
        let all = async |store: &Store| while sum_up(store, None).await.is_some() {};
        tokio::join!(all(&world.store), all(&other));
        let sums = issued(&world, AuditFilter::default()).await;
        assert_eq!((sums.len(), sums.iter().map(|event| event.count).sum::<i64>()), (21, 501));
        assert_eq!(world.read(MeasureAudit).await, counted_again(&world).await);
    })
    .await;
}

#[tokio::test]
async fn tokens_are_summed_up_again_after_a_clock_was_ahead() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let right = world.now();
        world.advance(86_400);
        issue(&world, &[("cli_a", 3)]).await;
        issue(&world, &[("cli_b", 1)]).await;
        world.advance(300);
        count(&world).await;
        assert_eq!(sum_up(&world.store, None).await, Some(3));
        world.clock.set(right);
        issue(&world, &[("cli_c", 4)]).await;
        issue(&world, &[("cli_b", 1)]).await;
        world.advance(300);
        count(&world).await;
        assert_eq!(sum_up(&world.store, None).await, Some(4));
    })
    .await;
}

const FOLDER: &str = "DOORWARD_TEST_SUMMER_FOLDER";
const URL: &str = "DOORWARD_TEST_SUMMER_URL";
const MARK: &str = "answered";

/// Events in one batch of the process that is killed.
const BATCH: i64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_while_summing_loses_no_token_and_counts_none_twice() {
    on_each_engine(async |database| {
        let mut answered = 0;
        for batches in [3, 40, 150] {
            answered += killed_after(&database, batches) * BATCH;
            let store = database.open().await;
            let mut row = store.read(Ask::new(EVENTS, [])).await.unwrap().remove(0);
            let events = row.int().unwrap();
            // A batch may have been written and not answered.
            assert!((answered..=answered + BATCH).contains(&events), "{answered} answered, {events} there");
            answered = events;
            let running = store.read(MeasureAudit).await.unwrap();
            let mut row = store.read(Ask::new(ROWS, [])).await.unwrap().remove(0);
            assert_eq!(running.rows, row.int().unwrap(), "what is counted is there");
        }
    })
    .await;
}

/// All tokens, whether they have a row of their own or are in a sum.
const EVENTS: &str = "SELECT CAST(coalesce(sum(count), 0) AS bigint) FROM audit WHERE action = 'token.issued'";
const ROWS: &str = "SELECT count(*) FROM audit WHERE id <= (SELECT counted_to FROM audit_tally)";

/// Starts a process that writes and sums up, and kills it once so many batches were answered. Gives how many were.
fn killed_after(database: &Database, batches: usize) -> i64 {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "audit_sums::sums_up_until_it_is_killed"]);
    match &database.location {
        Location::Postgres(url) => command.env(URL, url.expose_secret()),
        Location::Sqlite(folder) => command.env(FOLDER, folder),
    };
    let mut writer = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut answered = 0;
    for line in BufReader::new(writer.stdout.take().unwrap()).lines() {
        // The kill may cut the last line.
        let Ok(line) = line else { break };
        if line == MARK {
            answered += 1;
            if answered == batches {
                writer.kill().unwrap();
            }
        }
    }
    writer.wait().unwrap();
    assert!(answered >= batches, "the process ended by itself");
    i64::try_from(answered).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that the test above starts and kills"]
async fn sums_up_until_it_is_killed() {
    let location = match env::var(URL) {
        Ok(url) => Location::Postgres(url.into()),
        Err(_) => Location::Sqlite(env::var(FOLDER).unwrap().into()),
    };
    let store = Arc::new(Database { location }.open().await);
    store.migrate().await.unwrap();
    let rows = store.read(Ask::new("SELECT count(*) FROM audit", [])).await.unwrap().remove(0).int().unwrap();
    let rng = SeededRng::new(u64::try_from(rows).unwrap() + 1);
    let newest = store.read(Ask::new("SELECT coalesce(max(at), 1700000000000) FROM audit", [])).await.unwrap();
    let mut now = Timestamp::from_millis(newest.into_iter().next().unwrap().int().unwrap());
    let keeper = store.clone();
    // Far ahead of all events, so that they are old enough, and near enough for the clock to be believed.
    let later = now.plus(Duration::from_secs(30 * 86_400));
    let keeping = tokio::spawn(async move {
        loop {
            keeper.write(CountAudit { now: later }).await.unwrap();
            sum_up(&keeper, None).await;
            // Looks for what is beyond a bound that nothing reaches, beside the rest.
            let after = AuditBounds { rows: 1 << 40, bytes: 1 << 40, refusals: 1 << 40 };
            keeper.write(RemoveExcess { after }).await.unwrap();
        }
    });
    loop {
        assert!(!keeping.is_finished(), "the keeper failed");
        let mut events = Vec::new();
        for number in 0..BATCH {
            now = now.plus(Duration::from_secs(2));
            let audit = AuditContext {
                id: AuditId::new(now, &rng),
                at: now,
                trace_id: None,
                actor: Some(format!("cli_{}", number % 2)),
                address: Some(format!("192.0.2.{number}")),
                details: Details::new(),
            };
            events.push(audit.event(AuditAction::AccessTokenIssued));
        }
        store.write(AppendAudit { events }).await.unwrap();
        let mut out = std::io::stdout().lock();
        // In one write, so that a line is whole or missing.
        out.write_all(format!("{MARK}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    }
}
