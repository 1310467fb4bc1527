//! SQLite's log (its write-ahead log) beside a writer who never pauses: it is copied, and starts again.

use crate::harness::{on_each_engine, put};

/// Less than half of what the writers write, and far more than the 4,000 pages of 4 KiB after which the log is copied: on a
/// busy machine the copying falls behind.
const CEILING: u64 = 128 << 20;

/// Each changes some 30 pages.
const WRITES: usize = 2_400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_who_never_pauses_does_not_keep_the_log_from_its_end() {
    on_each_engine(async |database| {
        let Some(file) = database.sqlite_file() else { return };
        let store = database.store().await;
        let text = "x".repeat(60_000);
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (store, text) = (store.clone(), text.clone());
                tokio::spawn(async move {
                    for number in 0..WRITES / 8 {
                        store.write(put(&format!("{writer}/{number}/{text}"), 1)).await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }

        let length = |path: &std::path::Path| std::fs::metadata(path).unwrap().len();
        let log = length(&file.with_extension("db-wal"));
        assert!(log < CEILING, "{log} bytes");
    })
    .await;
}
