//! The schema migrates forward, once, even if several processes try.

use std::time::Duration;

use doorward_core::{
    api::TokenFormat,
    api_key::Environment,
    client::{AuthenticationMethod, GrantType},
    client_metadata::{ClientKeys, ClientMetadata},
    id::{ClientId, KeyId},
    jwk::{Algorithm, SigningKey},
    random::SeededRng,
    scope::ScopeSet,
};
use doorward_store::{
    Applied, KNOWN_SCHEMA, StoreError, apis::ListApis, clients::FindClient, keys::FindKey, users::FindUser,
};

use crate::harness::{Ask, Run, on_each_engine};

#[tokio::test]
async fn every_earlier_version_is_brought_to_the_newest() {
    for from in 0..=KNOWN_SCHEMA {
        on_each_engine(async |database| {
            let store = database.open().await;
            assert_eq!(store.schema_version().await.unwrap(), 0);
            // Not every number has a migration.
            let from = store.migrate_to(from).await.unwrap().to;
            assert_eq!(store.schema_version().await.unwrap(), from);

            let applied = store.migrate().await.unwrap();

            let to = KNOWN_SCHEMA;
            assert_eq!(applied, Applied { from, to });
            assert_eq!(store.migrate().await.unwrap(), Applied { from: to, to });
            assert_eq!(store.position().await.unwrap(), 0);
            store.check_schema().await.unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn migration_keeps_seal_and_rotation_of_refresh_families() {
    on_each_engine(async |database| {
        let store = database.open().await;
        store.migrate_to(3).await.unwrap();
        let families = "INSERT INTO refresh_families (id, grant_id, client_id, is_bound, created_at, other_repeats,
                                                      other_repeats_since, expires_at, ended_at)
                        VALUES ('bound', 'g', 'c', 1, 0, 0, 0, 900, NULL), ('unbound', 'g', 'c', 0, 0, 0, 0, 900, NULL),
                               ('fresh', 'g', 'c', 0, 0, 0, 0, 900, NULL), ('ended', 'g', 'c', 1, 0, 0, 0, 50, 50)";
        store.write(Run::new(families, [])).await.unwrap();
        let tokens = "INSERT INTO refresh_tokens (digest, pepper, family_id, generation, issued_at, rotated_at,
                                                  rotated_from, successor_sealed, seal_counts_from)
                      VALUES ($1, 'p', 'bound', 0, 0, 10, '192.0.2.1', NULL, NULL),
                             ($2, 'p', 'bound', 1, 10, 20, '192.0.2.2', $2, 900),
                             ($3, 'p', 'bound', 2, 20, NULL, NULL, NULL, NULL),
                             ($4, 'p', 'unbound', 0, 0, 30, '192.0.2.3', $4, 30),
                             ($5, 'p', 'unbound', 1, 30, NULL, NULL, NULL, NULL),
                             ($6, 'p', 'fresh', 0, 0, NULL, NULL, NULL, NULL)";
        let digests: [[u8; 32]; 6] = std::array::from_fn(|n| [n as u8; 32]);
        store.write(Run::new(tokens, digests.map(Into::into))).await.unwrap();

        store.migrate().await.unwrap();

        let ask = "SELECT id, successor_sealed, seal_counts_from FROM refresh_families ORDER BY id";
        let rows = store.read(Ask::new(ask, [])).await.unwrap();
        let found: Vec<_> = rows
            .into_iter()
            .map(|mut row| (row.text().unwrap(), row.opt_bytes().unwrap(), row.opt_int().unwrap()))
            .collect();
        let sealed = |n: usize| Some(digests[n].to_vec());
        let expected = [
            ("bound", sealed(1), Some(900)),
            ("ended", None, None),
            ("fresh", None, None),
            ("unbound", sealed(3), Some(30)),
        ]
        .map(|(id, sealed, from)| (id.to_owned(), sealed, from));
        assert_eq!(found, expected);
        let ask = "SELECT address FROM refresh_tokens ORDER BY family_id, generation";
        let rows = store.read(Ask::new(ask, [])).await.unwrap();
        let addresses: Vec<_> = rows.into_iter().map(|mut row| row.opt_text().unwrap()).collect();
        let addresses: Vec<_> = addresses.iter().map(Option::as_deref).collect();
        assert_eq!(addresses, [None, Some("192.0.2.1"), Some("192.0.2.2"), None, None, Some("192.0.2.3")]);
    })
    .await;
}

#[tokio::test]
async fn migration_links_refresh_tokens_across_swept_ones() {
    on_each_engine(async |database| {
        let store = database.open().await;
        store.migrate_to(4).await.unwrap();
        let families = "INSERT INTO refresh_families (id, grant_id, client_id, is_bound, created_at, other_repeats,
                                                      other_repeats_since, expires_at, ended_at)
                        VALUES ('live', 'g', 'c', 1, 0, 0, 0, 900, NULL), ('swept', 'g', 'c', 0, 0, 0, 0, 50, 50),
                               ('empty', 'g', 'c', 0, 0, 0, 0, 50, 50)";
        store.write(Run::new(families, [])).await.unwrap();
        let tokens = "INSERT INTO refresh_tokens (digest, pepper, family_id, generation, issued_at)
                      VALUES ($1, 'p', 'live', 1, 0), ($2, 'p', 'live', 0, 0), ($3, 'p', 'live', 2, 0),
                             ($4, 'p', 'swept', 3, 0), ($5, 'p', 'swept', 7, 0)";
        let digests: [[u8; 32]; 5] = std::array::from_fn(|n| [n as u8; 32]);
        store.write(Run::new(tokens, digests.map(Into::into))).await.unwrap();

        store.migrate().await.unwrap();

        let bytes = async |sql| {
            let rows = store.read(Ask::new(sql, [])).await.unwrap();
            rows.into_iter().map(|mut row| row.opt_bytes().unwrap().map(|bytes| bytes[0])).collect::<Vec<_>>()
        };
        let newest = bytes("SELECT newest_digest FROM refresh_families ORDER BY id").await;
        assert_eq!(newest, [None, Some(2), Some(4)], "of empty, live and swept");
        let predecessors = bytes("SELECT predecessor FROM refresh_tokens ORDER BY digest").await;
        assert_eq!(predecessors, [Some(1), None, Some(0), None, Some(3)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_migrate_once() {
    on_each_engine(async |database| {
        let mut starting = Vec::new();
        for _ in 0..6 {
            let database = database.clone();
            starting.push(tokio::spawn(async move { database.open().await.migrate().await }));
        }
        for start in starting {
            assert_eq!(start.await.unwrap().unwrap().to, KNOWN_SCHEMA);
        }

        let rows = database.open().await.read(Ask::new("SELECT number FROM schema_migrations", [])).await.unwrap();
        let numbers: Vec<_> = rows.into_iter().map(|mut row| row.int().unwrap()).collect();
        assert_eq!(numbers.iter().max(), Some(&KNOWN_SCHEMA));
    })
    .await;
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    on_each_engine(async |database| {
        let store = database.open().await;
        assert!(matches!(store.check_schema().await, Err(StoreError::SchemaBehind { found: 0, .. })));
        store.migrate().await.unwrap();
        store.write(Run::new("INSERT INTO schema_migrations (number, name) VALUES (999, 'later')", [])).await.unwrap();

        for refused in [store.migrate().await.map(drop), store.check_schema().await.map(drop)] {
            assert!(matches!(refused, Err(StoreError::SchemaNewer { found: 999, .. })));
        }
    })
    .await;
}

#[tokio::test]
async fn a_database_that_a_newer_program_has_added_to_is_used() {
    on_each_engine(async |database| {
        let store = database.store().await;
        let note = "INSERT INTO schema_migrations (number, name, usable_from) VALUES ($1, 'next', $2)";
        let next = KNOWN_SCHEMA + 1;
        store.write(Run::new(note, [next.into(), KNOWN_SCHEMA.into()])).await.unwrap();
        store.write(Run::new("ALTER TABLE apis ADD COLUMN next text NOT NULL DEFAULT 'x'", [])).await.unwrap();

        assert_eq!(store.check_schema().await.unwrap(), next);
        assert_eq!(store.migrate().await.unwrap(), Applied { from: next, to: next });
        assert!(store.read(ListApis::ALL).await.unwrap().is_empty());

        store.write(Run::new(note, [(next + 1).into(), next.into()])).await.unwrap();
        let refused = store.check_schema().await;
        assert!(matches!(refused, Err(StoreError::SchemaNewer { known: KNOWN_SCHEMA, .. })), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn migrations_ignore_the_databases_backslash_setting() {
    on_each_engine(async |database| {
        let Some(somebody) = database.postgres().await else { return };
        let name: String = somebody.query_one("SELECT current_database()", &[]).await.unwrap().get(0);
        let off = format!("ALTER DATABASE {name} SET standard_conforming_strings = off");
        somebody.batch_execute(&off).await.unwrap();
        database.open().await.migrate().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn registration_becomes_metadata() {
    on_each_engine(async |database| {
        let store = database.open().await;
        store.migrate_to(6).await.unwrap();
        let (api_id, client_id) = (id("api"), id("cli"));
        let (key_id, user_id, session_id) = (id("key"), id("usr"), id("ses"));
        let jwk = SigningKey::generate("k".into(), Algorithm::ES256, &SeededRng::new(1)).unwrap().public_jwk();
        let jwks = serde_json::json!({ "keys": [jwk] }).to_string();
        for (sql, params) in [
            (
                "INSERT INTO apis (id, name, identifier, scopes, roles, token_format, signing_algorithm,
                                   access_token_ttl_ms, key_prefix, created_at)
                 VALUES ($1, 'notes', 'https://notes.example/?q=\"', $2, '[\"admin\"]', 'opaque', 'PS256', 61000, 'zz', 1)",
                vec![api_id.as_str().into(), r#"[{"scope":"notes:read","description":"Read \"it\""}]"#.into()],
            ),
            (
                "INSERT INTO clients (id, name, authentication, jwks, assertion_for_token_endpoint, grant_types,
                                      redirect_uris, scopes, default_scopes, id_token_algorithm, created_at)
                 VALUES ($1, 'A \"quoted\" \\ name', 'private_key_jwt', $2, 1, '[\"client_credentials\"]', '[]',
                         'notes:read openid', 'notes:read', 'EdDSA', 2)",
                vec![client_id.as_str().into(), jwks.as_str().into()],
            ),
            (
                "INSERT INTO api_keys (id, digest, pepper, hint, name, owner, api_ids, limited_to, scopes, environment,
                                       created_at)
                 VALUES ($1, $2, 'p', 'sk_test_a', 'ci \"1\"', NULL, $3, '[]', 'notes:read', 'test', 3)",
                vec![key_id.as_str().into(), [1; 32].into(), format!("[\"{api_id}\"]").into()],
            ),
            (
                "INSERT INTO users (id, username, username_folded, password_hash, name, email, email_verified,
                                    created_at)
                 VALUES ($1, 'Ädä', 'ädä', 'hash', NULL, 'a\"b@example.com', 1, 4)",
                vec![user_id.as_str().into()],
            ),
            (
                "INSERT INTO sessions (id, digest, pepper, user_id, created_at, last_seen_at, address, user_agent)
                 VALUES ($1, $2, 'p', $3, 5, 6, '192.0.2.1', 'browser')",
                vec![session_id.as_str().into(), [2; 32].into(), user_id.as_str().into()],
            ),
        ] {
            store.write(Run::new(sql, params)).await.unwrap();
        }

        store.migrate().await.unwrap();

        let api = store.read(ListApis::ALL).await.unwrap().remove(0).metadata;
        assert_eq!((api.name.as_str(), api.identifier.as_str()), ("notes", "https://notes.example/?q=\""));
        assert_eq!((api.scopes[0].description.as_str(), api.roles.len()), (r#"Read "it""#, 1));
        assert_eq!((api.token_format, api.signing_algorithm), (TokenFormat::Opaque, Algorithm::PS256));
        assert_eq!((api.access_token_ttl, api.key_prefix.as_str()), (Duration::from_secs(61), "zz"));

        let find = FindClient { id: ClientId::parse(&client_id).unwrap() };
        let expected = ClientMetadata {
            client_name: r#"A "quoted" \ name"#.to_owned(),
            token_endpoint_auth_method: AuthenticationMethod::PrivateKeyJwt,
            grant_types: [GrantType::ClientCredentials].into(),
            scope: ScopeSet::parse("notes:read openid").unwrap(),
            default_scope: ScopeSet::parse("notes:read").unwrap(),
            id_token_signed_response_alg: Algorithm::EdDSA,
            jwks: Some(ClientKeys::parse(jwks.as_bytes()).unwrap()),
            assertion_for_token_endpoint: true,
            ..ClientMetadata::default()
        };
        assert_eq!(store.read(find).await.unwrap().unwrap().metadata, expected);

        let key = store.read(FindKey { id: KeyId::parse(&key_id).unwrap() }).await.unwrap().unwrap().metadata;
        assert_eq!((key.name.as_str(), key.apis[0].as_str(), key.environment), (r#"ci "1""#, &*api_id, Environment::Test));
        let user = store.read(FindUser::ByUsername("ÄDÄ".to_owned())).await.unwrap().unwrap().metadata;
        assert_eq!((user.name, user.email.as_deref(), user.email_verified), (None, Some("a\"b@example.com"), true));
    })
    .await;
}

fn id(prefix: &str) -> String {
    format!("{prefix}_{}", "0".repeat(32))
}
