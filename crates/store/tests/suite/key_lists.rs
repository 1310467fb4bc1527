//! Keys by their API, their creator and the time of their creation.

use doorward_core::{clock::Timestamp, id::KeyId};
use doorward_store::keys::{KeyRecord, KeysOf, ListKeysOf, ShownKey};

use crate::{
    filter_plans::assert_reads_by,
    harness::{Ask, Run, on_each_engine},
    keys::{created, key},
    lists::{full_world, new_api, pages},
    world::World,
};

async fn listed(world: &World, of: KeysOf) -> Vec<KeyId> {
    let after = |found: &ShownKey| found.key.id.clone();
    let page = |last: Option<&_>| ListKeysOf { of: of.clone(), after: last.map(after), limit: 2 };
    pages(world, page).await.iter().map(after).collect()
}

fn between(since: Option<Timestamp>, until: Option<Timestamp>) -> KeysOf {
    KeysOf::Created { since, until }
}

#[tokio::test]
async fn keys_are_listed_by_api_creator_and_time() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let other = new_api(&world, "other").await.id;
        let mut keys = Vec::new();
        for number in 0..6 {
            world.advance(1);
            let mut key = key(&world, &format!("{number}"));
            if number % 2 == 1 {
                key.metadata.apis = vec![other.clone(), world.api.id.clone()];
                key.created_by = Some("usr_eve".to_owned());
            }
            keys.push(created(&world, key).await);
        }
        // The form in which a user asked for it is older than the others.
        let old_id = KeyId::new(Timestamp::from_secs(1), &world.rng);
        let own = created(&world, KeyRecord { id: old_id, created_by: None, ..key(&world, "own") }).await;
        let ids = |numbers: &[usize]| numbers.iter().map(|number| keys[*number].id.clone()).collect::<Vec<_>>();

        assert_eq!(listed(&world, KeysOf::Api(other)).await, ids(&[1, 3, 5]));
        let of_first = [vec![own.id.clone()], ids(&[0, 1, 2, 3, 4, 5])].concat();
        assert_eq!(listed(&world, KeysOf::Api(world.api.id.clone())).await, of_first);
        assert_eq!(listed(&world, KeysOf::Creator("usr_eve".to_owned())).await, ids(&[1, 3, 5]));
        assert_eq!(listed(&world, KeysOf::Creator("usr_ev".to_owned())).await, []);
        let (second, fifth) = (keys[1].created_at, keys[4].created_at);
        assert_eq!(listed(&world, between(Some(second), Some(fifth))).await, ids(&[1, 2, 3]));
        assert_eq!(listed(&world, between(None, Some(second))).await, ids(&[0]));
        // Of the same time, in the order of their ids.
        assert_eq!(listed(&world, between(Some(keys[5].created_at), None)).await, [vec![own.id], ids(&[5])].concat());
    })
    .await;
}

#[tokio::test]
async fn each_list_of_keys_reads_by_its_index() {
    on_each_engine(async |database| {
        let world = full_world(&database).await;
        let (time, api) = (Some(world.now()), world.api.id.clone());
        for (of, table, index) in [
            (KeysOf::Api(api), "key_apis", "pkey"),
            (KeysOf::Creator("os:ada".to_owned()), "api_keys", "api_keys_of_creator"),
            (between(time, time), "api_keys", "api_keys_by_creation"),
        ] {
            for after in [None, Some(KeyId::new(world.now(), &world.rng))] {
                let list = ListKeysOf { of: of.clone(), after, limit: 100 };
                assert_reads_by(&world, &database, list, table, index).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn migration_fills_the_apis_and_creators_of_old_keys() {
    on_each_engine(async |database| {
        let store = database.open().await;
        store.migrate_to(25).await.unwrap();
        for api in ["api_1", "api_2"] {
            let sql = "INSERT INTO apis (id, name, identifier, metadata, created_at) VALUES ($1, $1, $1, '{}', 0)";
            store.write(Run::new(sql, [api.into()])).await.unwrap();
        }
        let metadata = [
            ("key_1", r#"{"name":"\",\"apis\":[\"api_2\"],\"limited_to\":[","apis":["api_1"],"limited_to":["api_2"]}"#),
            ("key_2", r#"{"name":"two","apis":["api_1","api_2"],"limited_to":[],"scope":"a b"}"#),
            ("key_3", "1"),
        ];
        for ((id, metadata), digest) in metadata.into_iter().zip(1_u8..) {
            let sql = "INSERT INTO api_keys (id, digest, pepper, hint, created_at, metadata)
                       VALUES ($1, $2, 'p', 'h', 0, $3)";
            store.write(Run::new(sql, [id.into(), [digest; 32].into(), metadata.into()])).await.unwrap();
        }
        let sql = "INSERT INTO audit (id, at, action, actor, subject, count, details) VALUES
                     ('a1', 0, 'key.created', 'usr_ada', 'key_1', 1, '{}'),
                     ('a2', 0, 'key.updated', 'usr_eve', 'key_2', 1, '{}')";
        store.write(Run::new(sql, [])).await.unwrap();

        store.migrate().await.unwrap();

        let texts = async |sql| {
            let rows = store.read(Ask::new(sql, [])).await.unwrap();
            rows.into_iter().map(|mut row| row.opt_text().unwrap()).collect::<Vec<_>>()
        };
        let pairs = texts("SELECT api_id || ' ' || key_id FROM key_apis ORDER BY api_id, key_id").await;
        let pairs: Vec<_> = pairs.iter().flatten().collect();
        assert_eq!(pairs, ["api_1 key_1", "api_1 key_2", "api_2 key_2"]);
        let creators = texts("SELECT created_by FROM api_keys ORDER BY id").await;
        assert_eq!(creators, [Some("usr_ada".to_owned()), None, None]);
    })
    .await;
}
