//! Learns of other processes' changes by LISTEN (PostgreSQL manual, sql-listen), on a connection of its own.
//!
//! Easy to get wrong: notifications are lost while the connection is down, so they are a hint that saves time, and
//! the followers' own polling is what they rely on.

use std::future::poll_fn;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Connection, NoTls, Socket};

use super::connection::Server;

/// A task that listens and connects again when it must; ends when this is dropped.
pub(super) struct Listener {
    task: JoinHandle<()>,
}

impl Listener {
    pub(super) fn start(server: Server, hints: watch::Sender<u64>) -> Listener {
        let task = tokio::spawn(async move {
            loop {
                let ended = match server.tls.clone() {
                    None => listen(&server, NoTls, &hints).await,
                    Some(tls) => listen(&server, tls, &hints).await,
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "not listening for changes");
                }
                sleep(PAUSE).await;
            }
        });
        Listener { task }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens until the connection ends.
async fn listen<T>(server: &Server, tls: T, hints: &watch::Sender<u64>) -> Result<(), tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = server.config.connect(tls).await?;
    let hear = hear(connection, hints);
    let register = async {
        client.batch_execute(LISTEN).await?;
        // The client must stay, or the connection ends.
        std::future::pending().await
    };
    tokio::select! {
        ended = hear => ended,
        failed = register => failed,
    }
}

/// Drives the connection, and passes on what arrives.
async fn hear<S>(mut connection: Connection<Socket, S>, hints: &watch::Sender<u64>) -> Result<(), tokio_postgres::Error>
where
    S: tokio_postgres::tls::TlsStream + Unpin,
{
    while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
        if let AsyncMessage::Notification(_) = message? {
            hints.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
    Ok(())
}

/// Wakes the listeners of every process; sent after the commit of a change.
pub(super) const NOTIFY: &str = "NOTIFY doorward_changes";
const LISTEN: &str = "LISTEN doorward_changes";

const PAUSE: Duration = Duration::from_secs(1);
