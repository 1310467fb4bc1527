//! No byte of the database is a secret that was handed out.

use std::{fs, path::Path};

use doorward_core::{
    api::{Api, ApiMetadata, TokenFormat},
    secret::{ExposeSecret, SecretString},
};

use crate::{
    harness::{Database, on_each_engine},
    world::World,
};

/// All that the database holds: the files of SQLite, or every row of every table of PostgreSQL, `bytea` in
/// hexadecimal digits.
async fn contents(database: &Database) -> Vec<u8> {
    let mut all = Vec::new();
    if let Some(file) = database.sqlite_file() {
        for entry in fs::read_dir(file.parent().unwrap_or(Path::new("."))).unwrap() {
            all.extend(fs::read(entry.unwrap().path()).unwrap());
        }
    } else if let Some(client) = database.postgres().await {
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
        for table in client.query(tables, &[]).await.unwrap() {
            let sql = format!("SELECT t::text FROM {} t", table.get::<_, &str>(0));
            for row in client.query(&sql, &[]).await.unwrap() {
                all.extend(row.get::<_, &str>(0).as_bytes());
            }
        }
    }
    all
}

fn holds(contents: &[u8], secret: &SecretString) -> bool {
    let plain = secret.expose_secret().as_bytes();
    let hex: String = plain.iter().map(|byte| format!("{byte:02x}")).collect();
    [plain, hex.as_bytes()].iter().any(|form| contents.windows(form.len()).any(|window| window == *form))
}

#[tokio::test]
async fn no_code_no_refresh_token_and_no_access_token_is_stored() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let opaque = Api {
            metadata: ApiMetadata { token_format: TokenFormat::Opaque, ..(*world.api).clone().metadata },
            ..(*world.api).clone()
        };
        let apis = std::sync::Arc::new(doorward_core::grant::audience::Apis::new(vec![std::sync::Arc::new(opaque)]));
        let mut secrets = Vec::new();
        for client in [&world.public, &world.confidential] {
            let given = world.give(client).await;
            let (mut redemption, mut token) = world.redeem(&given);
            redemption.apis = apis.clone();
            let (access_token, plain) = world.access_token();
            redemption.access_token = access_token;
            world.write(redemption).await.unwrap();
            secrets.extend([given.code, plain, token.clone()]);
            // The last successor is sealed in its family's row.
            for _ in 0..3 {
                let mut refresh = world.refresh(&token, client, 1);
                refresh.apis = apis.clone();
                let (access_token, plain) = world.access_token();
                refresh.access_token = access_token;
                token = world.write(refresh).await.unwrap().refresh_token;
                secrets.extend([plain, token.clone()]);
            }
        }
        let contents = contents(&database).await;
        // The search works: it finds an id, which is there in plain text.
        assert!(holds(&contents, &world.user.id.as_str().into()));
        for secret in &secrets {
            assert!(!holds(&contents, secret), "one of {} secrets is stored", secrets.len());
        }
    })
    .await;
}
