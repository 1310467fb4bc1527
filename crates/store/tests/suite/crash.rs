//! `kill -9` under load: every write that was answered is there afterwards, revocations included.
//!
//! The writer is a process of its own: this test's program, which runs only the one ignored test below.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::Arc,
};

use doorward_core::id::KeyId;
use doorward_store::{
    Location, Store,
    keys::{FindKey, KeyRevocation, RevokeKey},
    refresh::RevokeRefreshToken,
};
use secrecy::ExposeSecret;

use crate::{
    harness::{Ask, Database, on_each_engine},
    key_rotation, keys,
    world::World,
};

const FOLDER: &str = "DOORWARD_TEST_WRITER_FOLDER";
const URL: &str = "DOORWARD_TEST_WRITER_URL";
const SEED: &str = "DOORWARD_TEST_WRITER_SEED";

/// The prefix of each acknowledgement, which distinguishes it from what the test's own program prints.
const MARK: &str = "answered: ";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_that_was_answered_before_a_kill_is_there() {
    on_each_engine(async |database| {
        for (seed, answers) in [(1, 1), (2, 57), (3, 400)] {
            let answered = killed_after(&database, seed, answers);
            assert!(answered.len() >= answers, "the writer ended by itself: {answered:?}");
            let store = database.open().await;
            for answer in &answered {
                assert!(holds(&store, answer).await, "lost: {answer}");
            }
            assert_rotations_are_whole(&store).await;
        }
    })
    .await;
}

/// Starts a writer, kills it once it has been answered so often, and gives all that it was answered.
fn killed_after(database: &Database, seed: u64, answers: usize) -> Vec<String> {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "crash::writes_until_it_is_killed"]);
    match &database.location {
        Location::Postgres(url) => command.env(URL, url.expose_secret()),
        Location::Sqlite(folder) => command.env(FOLDER, folder),
    };
    let mut writer = command.env(SEED, seed.to_string()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut answered = Vec::new();
    for line in lines {
        // The kill may cut the last line, which then was not reported to anyone.
        let Ok(line) = line else { break };
        let Some(answer) = line.strip_prefix(MARK).and_then(|answer| answer.strip_suffix('.')) else { continue };
        answered.push(answer.to_owned());
        if answered.len() == answers {
            writer.kill().unwrap();
        }
    }
    writer.wait().unwrap();
    answered
}

/// A key has a deadline only beside a successor, so its holder is never left without a key that works.
async fn assert_rotations_are_whole(store: &Store) {
    let ask = async |sql| store.read(Ask::new(sql, [])).await.unwrap().len();
    let with_deadline = ask("SELECT id FROM api_keys WHERE expires_at IS NOT NULL").await;
    let whole = "SELECT r.key_id FROM key_rotations r JOIN api_keys o ON o.id = r.key_id JOIN api_keys s ON s.id = r.successor_id
                 WHERE o.expires_at = r.deadline AND s.revoked_at IS NULL AND s.expires_at IS NULL";
    assert_eq!((ask(whole).await, ask("SELECT key_id FROM key_rotations").await), (with_deadline, with_deadline));
    let successors = ask("SELECT id FROM api_keys WHERE hint = 'successor'").await;
    assert_eq!(successors, with_deadline, "a successor without its rotation");
}

/// Whether the database has what the writer was answered.
async fn holds(store: &Store, answer: &str) -> bool {
    let (what, id) = answer.split_once(' ').unwrap();
    let rows = async |sql| store.read(Ask::new(sql, [id.into()])).await.unwrap().len();
    match what {
        "key" | "revoked" => {
            let key = store.read(FindKey { id: KeyId::parse(id).unwrap() }).await.unwrap();
            key.is_some_and(|key| what == "key" || key.revoked_at.is_some())
        }
        "replaced" => rows("SELECT key_id FROM key_rotations WHERE key_id = $1").await == 1,
        "granted" => rows("SELECT id FROM refresh_families WHERE grant_id = $1").await == 1,
        "rotated" => {
            let sql = "SELECT t.digest FROM refresh_families f JOIN refresh_tokens t ON t.family_id = f.id
                       WHERE f.grant_id = $1";
            rows(sql).await == 2
        }
        "ended" => rows("SELECT id FROM grants WHERE id = $1 AND ended_at IS NOT NULL").await == 1,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that the test above starts and kills"]
async fn writes_until_it_is_killed() {
    let location = match env::var(URL) {
        Ok(url) => Location::Postgres(url.into()),
        Err(_) => Location::Sqlite(env::var(FOLDER).unwrap().into()),
    };
    let seed = env::var(SEED).unwrap().parse().unwrap();
    let world = Arc::new(World::seeded(&Database { location }, seed).await);
    let writers: Vec<_> = (0..8_u32)
        .map(|writer| {
            let world = world.clone();
            tokio::spawn(async move {
                for number in 0.. {
                    write_and_tell(&world, &format!("{writer}/{number}")).await;
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write_and_tell(world: &World, name: &str) {
    let tell = |what: &str, id: &str| {
        let mut out = std::io::stdout().lock();
        // In one write, so that a line is whole or missing.
        out.write_all(format!("{MARK}{what} {id}.\n").as_bytes()).unwrap();
        out.flush().unwrap();
    };
    let key = keys::created(world, keys::key(world, name)).await;
    tell("key", key.id.as_str());

    let mut rotation = key_rotation::rotation(world, &key.id, &format!("{name}/successor"), false).await;
    rotation.successor.hint = "successor".to_owned();
    world.write(rotation).await;
    tell("replaced", key.id.as_str());

    let (token, issued) = world.sign_in(&world.public).await;
    tell("granted", issued.grant.id.as_str());
    let successor = world.refreshes(&token, &world.public).await.unwrap();
    tell("rotated", issued.grant.id.as_str());

    let audit = world.audit();
    assert_eq!(world.write(RevokeKey { id: key.id.clone(), now: world.now(), audit }).await, KeyRevocation::Now);
    tell("revoked", key.id.as_str());
    let revoke = RevokeRefreshToken {
        candidates: vec![world.digest(&successor)],
        client: world.public.clone(),
        now: world.now(),
        audit: world.audit(),
    };
    world.write(revoke).await;
    tell("ended", issued.grant.id.as_str());
}
