//! What a statement means is the same on both engines.

use doorward_store::{Operation, StoreError, Tx, TxError, Value};

use crate::harness::{Ask, Run, on_each_engine, put};

/// One field of each type.
type Fields<'a> = (Option<i64>, Option<&'a str>, Option<&'a [u8]>);

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    on_each_engine(async |database| {
        let store = database.store().await;
        store
            .write(Run::new("CREATE TABLE fields (id bigint NOT NULL PRIMARY KEY, n bigint, t text, b bytea)", []))
            .await
            .unwrap();
        let rows: [Fields; 6] = [
            (Some(0), Some(""), Some(b"")),
            (Some(i64::MAX), Some("ä€𝄞 'x' $1"), Some(b"\0\xff\x80")),
            (Some(i64::MIN), Some("0123"), Some(b"0123")),
            (Some(-1), Some("1e3"), Some(&[7; 32])),
            (Some(1), Some("NULL"), Some(b"1.5")),
            (None, None, None),
        ];
        for (id, (n, t, b)) in (0_i64..).zip(rows) {
            store
                .write(Run::new(
                    "INSERT INTO fields (id, n, t, b) VALUES ($1, $2, $3, $4)",
                    [id.into(), n.into(), t.into(), b.into()],
                ))
                .await
                .unwrap();
        }

        let found = store.read(Ask::new("SELECT n, t, b FROM fields ORDER BY id", [])).await.unwrap();

        let found: Vec<_> = found
            .into_iter()
            .map(|mut row| (row.opt_int().unwrap(), row.opt_text().unwrap(), row.opt_bytes().unwrap()))
            .collect();
        assert_eq!(found, rows.map(|(n, t, b)| (n, t.map(str::to_owned), b.map(<[u8]>::to_vec))));
    })
    .await;
}

#[tokio::test]
async fn a_digest_is_found_by_its_bytes() {
    on_each_engine(async |database| {
        let store = database.store().await;
        store.write(Run::new("CREATE TABLE digests (d bytea NOT NULL PRIMARY KEY)", [])).await.unwrap();
        let digest = *b"12345678901234567890123456789012";
        store.write(Run::new("INSERT INTO digests (d) VALUES ($1)", [digest.into()])).await.unwrap();

        let count = async |bytes: &[u8]| {
            let ask = Ask::new("SELECT d FROM digests WHERE d = $1", [bytes.into()]);
            store.read(ask).await.unwrap().len()
        };

        assert_eq!(count(&digest).await, 1);
        assert_eq!(count(&digest[..31]).await, 0);
    })
    .await;
}

#[tokio::test]
async fn parameters_are_bound_by_their_number() {
    on_each_engine(async |database| {
        let store = database.store().await;
        store
            .write(Run::new("INSERT INTO things (value, name) VALUES ($2, $1)", ["a".into(), 1.into()]))
            .await
            .unwrap();

        let mut changed = store
            .write(Ask::new(
                "UPDATE things SET value = value + $2, name = $3
                 WHERE name = $1 AND value < $2 RETURNING name, value",
                ["a".into(), 40.into(), "b".into()],
            ))
            .await
            .unwrap();

        assert_eq!(changed[0].text(), Ok("b".to_owned()));
        assert_eq!(changed[0].int(), Ok(41));
    })
    .await;
}

#[tokio::test]
async fn as_many_parameters_as_the_statement_has_are_demanded() {
    on_each_engine(async |database| {
        let store = database.store().await;
        for params in [vec![], vec![1.into(), 2.into()]] {
            let ask = Ask::new("SELECT name FROM things WHERE value = $1", params);
            assert!(matches!(store.read(ask).await, Err(StoreError::Fault(_))));
        }
    })
    .await;
}

#[tokio::test]
async fn execute_counts_the_rows_that_it_wrote() {
    on_each_engine(async |database| {
        let store = database.store().await;
        for (name, value) in [("a", 1), ("b", 2), ("c", 3)] {
            assert_eq!(store.write(put(name, value)).await.unwrap(), 1);
        }
        let run = async |sql| store.write(Run::new(sql, [])).await.unwrap();

        assert_eq!(run("UPDATE things SET value = 0 WHERE value > 1").await, 2);
        assert_eq!(run("UPDATE things SET value = 0 WHERE value > 1").await, 0);
        assert_eq!(run("CREATE TABLE more (id bigint)").await, 0);
        assert_eq!(run("DELETE FROM things").await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_text_with_a_zero_character_is_refused() {
    on_each_engine(async |database| {
        let store = database.store().await;
        let refused = store.write(put("a\0b", 1)).await;
        assert!(matches!(refused, Err(StoreError::Fault(_))), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn only_keys_that_exist_already_are_a_conflict() {
    on_each_engine(async |database| {
        let store = database.store().await;
        store.write(put("a", 1)).await.unwrap();
        store.write(Run::new("CREATE UNIQUE INDEX by_value ON things (value)", [])).await.unwrap();

        let by_primary_key = store.write(put("a", 2)).await;
        let by_index = store.write(put("b", 1)).await;
        let not_null = store
            .write(Run::new("INSERT INTO things (name, value) VALUES ('c', $1)", [Value::from(None::<i64>)]))
            .await;

        assert!(matches!(by_primary_key, Err(StoreError::Conflict)));
        assert!(matches!(by_index, Err(StoreError::Conflict)));
        assert!(matches!(not_null, Err(StoreError::Fault(_))));
    })
    .await;
}

#[tokio::test]
async fn operation_sees_a_conflict_but_can_not_continue() {
    #[derive(Clone)]
    struct Swallow;

    impl Operation for Swallow {
        type Output = ();

        async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
            let sql = "INSERT INTO things (name, value) VALUES ('a', 2)";
            assert_eq!(tx.execute(sql, &[]).await, Err(TxError::Conflict));
            Ok(())
        }
    }

    on_each_engine(async |database| {
        let store = database.store().await;
        store.write(put("a", 1)).await.unwrap();
        assert!(matches!(store.write(Swallow).await, Err(StoreError::Conflict)));
    })
    .await;
}

#[tokio::test]
async fn errors_repeat_no_value() {
    on_each_engine(async |database| {
        let store = database.store().await;
        store.write(put("canary", 1)).await.unwrap();

        let conflict = store.write(put("canary", 2)).await.unwrap_err();
        let wrong_type = Ask::new(
            "SELECT name FROM things WHERE name = $1 AND value = $2",
            ["canary".into(), "canary".into(), 1.into()],
        );
        let fault = store.read(wrong_type).await.unwrap_err();

        for error in [conflict, fault] {
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    })
    .await;
}
