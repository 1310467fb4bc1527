//! A server with its data: made and changed by the program's own commands, as an operator would.

use std::{
    fs,
    io::{Seek, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use doorward_core::digest::{MasterKey, Peppers};
use doorward_store::{Location, Store};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::task::spawn_blocking;

use crate::caller::Caller;

/// A server's configuration and data, with an API, two clients and a user.
pub(crate) struct Site {
    doorward: PathBuf,
    folder: PathBuf,
    pub(crate) location: Location,
    postgres: Option<String>,
    port: u16,
    pub(crate) peppers: Peppers,
    /// The credential of the API.
    pub(crate) api: Credential,
    /// A client whose callers are not to notice anything.
    pub(crate) others: Credential,
    /// A client with most of the grants.
    pub(crate) crowd: Credential,
    /// A client that gets opaque tokens for itself.
    pub(crate) machine: Credential,
    /// The id of a user.
    pub(crate) user: String,
    /// The id of a key for the API.
    pub(crate) key: String,
}

#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Credential {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

impl Credential {
    /// The value of `Authorization` (RFC 7617).
    pub(crate) fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.client_id, self.client_secret)))
    }
}

impl Site {
    /// Makes a server in an empty folder, with its data in SQLite or in an empty database of PostgreSQL.
    pub(crate) async fn create(doorward: &Path, folder: &Path, postgres: Option<String>) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let port = free_port()?;
        let site = Unfinished { doorward, folder, postgres: postgres.as_deref() };
        let issuer = format!("http://127.0.0.1:{port}");
        let folder_name = folder.to_string_lossy();
        let mut init = command(doorward, postgres.as_deref());
        init.args(["init", "--dir", &*folder_name, "--issuer", &issuer]);
        run(init, "").await?;
        let (master_key, location) = (master_key(folder)?, location(folder, postgres.as_deref()));
        let api = format!("--name notes --identifier {API} --scope");
        let opaque = "--name opaque --identifier https://opaque.example --token-format opaque --scope";
        let client = "--grant authorization_code --grant refresh_token --redirect-uri https://app.example/cb --scope";
        let api = site.words(&format!("api create {api} notes:read=Read"), "").await?;
        let _: Id = site.words(&format!("api create {opaque} opaque=Opaque"), "").await?;
        let others = site.words(&format!("client create --name others {client} notes:read"), "").await?;
        let crowd = site.words(&format!("client create --name crowd {client} notes:read"), "").await?;
        let machine = "client create --name machine --grant client_credentials --scope opaque";
        let machine = site.words(machine, "").await?;
        let Id { id: user } = site.words("user create busy", "a-password-of-the-bench").await?;
        let key = "key create --name template --api notes --scope notes:read --never-expires";
        let Id { id: key } = site.words(key, "").await?;
        let (doorward, folder) = (doorward.to_owned(), folder.to_owned());
        let peppers = Peppers::new([&master_key]);
        Ok(Self { doorward, folder, location, postgres, port, peppers, api, others, crowd, machine, user, key })
    }

    /// Opens the store, beside a server that may run.
    pub(crate) async fn store(&self) -> Result<Store> {
        Ok(Store::open(&self.location).await?)
    }

    /// Runs a command beside the server. Gives what it prints.
    pub(crate) async fn command<T: DeserializeOwned>(&self, words: &str) -> Result<T> {
        let site = Unfinished { doorward: &self.doorward, folder: &self.folder, postgres: self.postgres.as_deref() };
        site.words(words, "").await
    }

    /// The port of the issuer.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts a server. Gives it when it is ready, and how long that took.
    pub(crate) async fn start(&self) -> Result<(Server, Duration)> {
        self.start_at(self.port).await
    }

    /// Starts another server on the same data.
    pub(crate) async fn start_beside(&self) -> Result<Server> {
        Ok(self.start_at(free_port()?).await?.0)
    }

    async fn start_at(&self, port: u16) -> Result<(Server, Duration)> {
        let log = fs::File::create(self.folder.join(format!("server-{port}.log")))?;
        let mut command = command(&self.doorward, self.postgres.as_deref());
        command.arg("serve").arg("--config").arg(self.config());
        command.env("DOORWARD_LISTEN__ADDRESS", format!("127.0.0.1:{port}")).env("DOORWARD_LOG__LEVEL", "error");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let start = Instant::now();
        let child = command.spawn().context("the server could not be started")?;
        let mut server = Server { child, port };
        while !is_ready(port).await {
            ensure!(start.elapsed() < LIMIT, "the server was not ready within {LIMIT:?}");
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended with {status}: see {}", self.folder.display());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok((server, start.elapsed()))
    }

    fn config(&self) -> PathBuf {
        self.folder.join("doorward.toml")
    }
}

/// The master key of the site in a folder.
pub(crate) fn master_key(folder: &Path) -> Result<MasterKey> {
    let master_key = fs::read_to_string(folder.join("data/master.key"))?;
    MasterKey::parse(master_key.trim()).ok().context("the master key is unreadable")
}

/// Where the data of the site in a folder is.
pub(crate) fn location(folder: &Path, postgres: Option<&str>) -> Location {
    match postgres {
        Some(url) => Location::Postgres(url.into()),
        None => Location::Sqlite(folder.join("data")),
    }
}

struct Unfinished<'a> {
    doorward: &'a Path,
    folder: &'a Path,
    postgres: Option<&'a str>,
}

impl Unfinished<'_> {
    async fn words<T: DeserializeOwned>(&self, words: &str, input: &str) -> Result<T> {
        let mut command = command(self.doorward, self.postgres);
        command.args(words.split(' ')).arg("--json").arg("--config").arg(self.folder.join("doorward.toml"));
        let output = run(command, input).await?;
        serde_json::from_str(&output).with_context(|| format!("`doorward {words}` printed something else"))
    }
}

/// Runs a command with a line of standard input. Gives what it prints.
async fn run(mut command: Command, input: &str) -> Result<String> {
    let mut file = tempfile::tempfile()?;
    writeln!(file, "{input}")?;
    file.rewind()?;
    let output = spawn_blocking(move || command.stdin(file).output()).await??;
    ensure!(output.status.success(), "a command failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn command(doorward: &Path, postgres: Option<&str>) -> Command {
    let mut command = Command::new(doorward);
    command.envs(postgres.map(|url| ("DOORWARD_DATA__POSTGRES", url)));
    command
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server with SIGTERM, as an operator would.
    pub(crate) async fn stop(mut self) -> Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let status = spawn_blocking(move || self.child.wait().map(|status| (status, self))).await??.0;
        ensure!(status.success(), "after SIGTERM the server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn is_ready(port: u16) -> bool {
    Caller::new(port).get("/health/ready").await.is_ok_and(|answer| answer.status == 200)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The identifier of the API.
pub(crate) const API: &str = "https://notes.example";

const LIMIT: Duration = Duration::from_secs(60);
