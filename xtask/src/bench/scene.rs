//! The Doorward that is measured: a demo on its own data folder, with an API for each form of token.
//!
//! Easy to get wrong: what one row leaves in a process, its caches and its memory, would show in the next row. So each
//! row starts the server again on the same folder.

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tempfile::TempDir;

use super::http::{self, FORM, Request};
use super::pinned;
use crate::{process::Run, server::Server};

/// A data folder with everything that the rows need. It is removed when this is dropped.
pub(super) struct Scene {
    target: PathBuf,
    folder: TempDir,
    /// The port of the authorization server.
    pub(super) port: u16,
    pub(super) demo: Demo,
    /// A client that may request the tokens of every API.
    pub(super) client: Client,
    pub(super) opaque_api: Client,
}

/// What the demo prints.
#[derive(Default, Deserialize)]
pub(super) struct Demo {
    issuer: String,
    api: String,
    pub(super) api_client_id: String,
    pub(super) api_client_secret: String,
    pub(super) api_key: String,
    pub(super) redirect_uri: String,
    pub(super) username: String,
    pub(super) password: String,
    /// A client of the notes API.
    #[serde(flatten)]
    pub(super) client: Client,
}

#[derive(Default, Deserialize)]
pub(super) struct Client {
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

/// An answer of `/token`.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    #[serde(default)]
    pub(super) refresh_token: String,
}

impl Client {
    /// A request for the client's own token (RFC 6749 section 4.4.2), the same to every server.
    pub(super) fn token(&self, port: u16, scope: &str) -> Result<Request> {
        self.post(port, "/token", &[("grant_type", "client_credentials"), ("scope", scope)])
    }

    pub(super) fn post(&self, port: u16, path: &str, pairs: &[(&str, &str)]) -> Result<Request> {
        let request = http::post(port, path, FORM).header("Authorization", self.credentials());
        Ok(request.body(http::form(pairs))?)
    }

    pub(super) fn credentials(&self) -> String {
        http::basic(&self.client_id, &self.client_secret)
    }
}

impl Scene {
    /// In a folder of the target folder, because a temporary folder need not be on a disk.
    pub(super) fn prepare(target: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("scene-").tempdir_in(target.join("bench"))?;
        let (demo, client, opaque_api) = (Demo::default(), Client::default(), Client::default());
        let mut scene = Self { target: target.to_owned(), folder, port: 0, demo, client, opaque_api };
        let server = scene.spawn(&["--port", "0", "--api-port", "0"])?;
        scene.demo = server.listening()?;
        scene.port = port(&scene.demo.issuer)?;
        server.stop()?;
        let es256 = "--name es256 --identifier https://es256.example --algorithm ES256 --scope es256=ES256";
        let eddsa = "--name eddsa --identifier https://eddsa.example --algorithm EdDSA --scope eddsa=EdDSA";
        for api in [es256, eddsa] {
            scene.command::<IgnoredAny>(&format!("api create {api}"), "")?;
        }
        let opaque = "--name opaque --identifier https://opaque.example --token-format opaque --scope opaque=Opaque";
        scene.opaque_api = scene.command(&format!("api create {opaque}"), "")?;
        let client =
            "--name bench --grant client_credentials --scope es256 --scope eddsa --scope opaque --scope notes:read";
        scene.client = scene.command(&format!("client create {client}"), "")?;
        Ok(scene)
    }

    /// Starts the server, and returns when it answers.
    pub(super) fn start(&self) -> Result<Server> {
        let server = self.spawn(&[])?;
        server.listening::<IgnoredAny>()?;
        Ok(server)
    }

    /// Starts the server, which does not listen yet.
    pub(super) fn spawn(&self, options: &[&str]) -> Result<Server> {
        let (doorward, data) = (self.target("dist/doorward"), self.folder().join("data"));
        let data = data.to_string_lossy();
        pinned::start(&[&[&*doorward, "demo", "--json", "--data", &data], options].concat(), &[], self.folder())
    }

    /// The path of a file in Cargo's target folder.
    pub(super) fn target(&self, file: &str) -> String {
        self.target.join(file).to_string_lossy().into_owned()
    }

    /// For files of the benchmark. The data folder is in it.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A request to the notes API with a credential.
    pub(super) fn notes(&self, header: &str, credential: &str) -> Result<Request> {
        Ok(http::get(port(&self.demo.api)?, "/notes").header(header, credential).body(String::new())?)
    }

    /// Runs a command of Doorward on the data folder, with a line of standard input, and returns what it prints.
    pub(super) fn command<T: DeserializeOwned>(&self, words: &str, input: &str) -> Result<T> {
        let mut file = tempfile::tempfile()?;
        writeln!(file, "{input}").and_then(|()| file.rewind()).context("a temporary file could not be written")?;
        let (mut command, data) = (Command::new(self.target("dist/doorward")), self.folder().join("data"));
        let output = command.args(words.split(' ')).args(["--json", "--data"]).arg(data).stdin(file).read()?;
        serde_json::from_str(&output).with_context(|| format!("`doorward {words}` printed {output}"))
    }
}

fn port(url: &str) -> Result<u16> {
    url.rsplit(':').next().and_then(|port| port.parse().ok()).with_context(|| format!("{url} names no port"))
}
