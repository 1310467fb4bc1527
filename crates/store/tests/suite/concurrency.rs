//! Races are settled by conditional updates.

use doorward_store::{Operation, Tx, TxError};

use crate::harness::{Ask, Run, on_each_engine, put, things};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_for_one_row_has_one_winner() {
    on_each_engine(async |database| {
        let store = database.store().await;
        let other = database.open().await;
        for round in 0..10 {
            let name = format!("{round}");
            store.write(put(&name, 0)).await.unwrap();
            let racers: Vec<_> = (1..=32)
                .map(|racer: i64| {
                    let store = if racer % 2 == 0 { &store } else { &other }.clone();
                    let take = Ask::new(
                        "UPDATE things SET value = $1 WHERE name = $2 AND value = 0 RETURNING value",
                        [racer.into(), name.as_str().into()],
                    );
                    tokio::spawn(async move { (racer, store.write(take).await.unwrap().len()) })
                })
                .collect();

            let mut winners = Vec::new();
            for racer in racers {
                let (racer, rows) = racer.await.unwrap();
                if rows == 1 {
                    winners.push((name.clone(), racer));
                }
            }

            assert_eq!(winners.len(), 1);
            assert!(things(&store).await.unwrap().contains(&winners[0]));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_many_callers_is_lost() {
    on_each_engine(async |database| {
        let store = database.store().await;
        store.write(put("a", 0)).await.unwrap();
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    for _ in 0..20 {
                        let add = Run::new("UPDATE things SET value = value + 1", []);
                        assert_eq!(store.write(add).await.unwrap(), 1);
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!(things(&store).await.unwrap(), [("a".to_owned(), 64 * 20)]);
    })
    .await;
}

/// Takes two rows in the order given, which deadlocks against the other order.
#[derive(Clone)]
struct AddToBoth(&'static str, &'static str);

impl Operation for AddToBoth {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        for name in [self.0, self.1] {
            let sql = "UPDATE things SET value = value + 1 WHERE name = $1";
            tx.execute(sql, &[name.into()]).await?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_that_loses_a_deadlock_runs_again() {
    on_each_engine(async |database| {
        let store = database.store().await;
        store.write(put("a", 0)).await.unwrap();
        store.write(put("b", 0)).await.unwrap();
        let rounds = if database.sqlite_file().is_some() { 50 } else { 3 };
        for _ in 0..rounds {
            let (forth, back) = tokio::join!(store.write(AddToBoth("a", "b")), store.write(AddToBoth("b", "a")));
            forth.unwrap();
            back.unwrap();
        }
        let expected = [("a".to_owned(), 2 * rounds), ("b".to_owned(), 2 * rounds)];
        assert_eq!(things(&store).await.unwrap(), expected);
    })
    .await;
}
