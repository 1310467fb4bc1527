//! A way to PostgreSQL that breaks where a test wants it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use doorward_store::Location;
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::harness::Database;

/// Passes on what comes, both ways.
pub(crate) struct Proxy {
    pub(crate) location: Location,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    /// A text after which the next connection that sends it is cut, once the server has answered.
    cut_after: Mutex<Option<&'static str>>,
    cuts: AtomicUsize,
    is_frozen: watch::Sender<bool>,
    /// How often something came from a client.
    asked: watch::Sender<usize>,
}

impl Proxy {
    /// A proxy before the server of a database; none if that is SQLite.
    pub(crate) async fn before(database: &Database) -> Option<Proxy> {
        let Location::Postgres(url) = &database.location else { return None };
        let url = url.expose_secret();
        let start = url.find('@').map_or(url.find("://").unwrap() + 3, |at| at + 1);
        let end = url[start..].find('/').unwrap() + start;
        let server = url[start..end].to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let location = Location::Postgres(format!("{}{address}{}", &url[..start], &url[end..]).into());
        let shared = Arc::new(Shared {
            cut_after: Mutex::default(),
            cuts: AtomicUsize::new(0),
            is_frozen: watch::Sender::new(false),
            asked: watch::Sender::new(0),
        });
        let task = tokio::spawn({
            let shared = shared.clone();
            async move {
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    let server = TcpStream::connect(&server).await.unwrap();
                    tokio::spawn(pass(client, server, shared.clone()));
                }
            }
        });
        Some(Proxy { location, shared, task })
    }

    /// Cuts the connection that next sends this text, as soon as the server has answered it; the answer is lost.
    pub(crate) fn cut_after(&self, text: &'static str) {
        *self.shared.cut_after.lock().unwrap() = Some(text);
    }

    pub(crate) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Passes nothing on, or everything again.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        self.shared.asked.send_replace(0);
        self.shared.is_frozen.send_replace(is_frozen);
    }

    /// Waits until something came from a client since it was frozen.
    pub(crate) async fn until_asked(&self) {
        self.shared.asked.subscribe().wait_for(|asked| *asked > 0).await.unwrap();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Ends with the connection, or when that is cut.
async fn pass(mut client: TcpStream, mut server: TcpStream, shared: Arc<Shared>) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut is_to_be_cut = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(1..) = read else { return };
                let bytes = &asked[..read.unwrap()];
                shared.asked.send_modify(|asked| *asked += 1);
                thawed(&shared).await;
                let mut cut_after = *shared.cut_after.lock().unwrap();
                cut_after = cut_after.filter(|text| bytes.windows(text.len()).any(|part| part == text.as_bytes()));
                if cut_after.is_some() {
                    is_to_be_cut = true;
                    *shared.cut_after.lock().unwrap() = None;
                }
                if server.write_all(bytes).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(1..) = read else { return };
                if is_to_be_cut {
                    shared.cuts.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                thawed(&shared).await;
                if client.write_all(&answered[..read.unwrap()]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn thawed(shared: &Shared) {
    let _ = shared.is_frozen.subscribe().wait_for(|is_frozen| !is_frozen).await;
}
