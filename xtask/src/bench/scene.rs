//! The Doorward that is measured: a demo on a data folder of its own, with an API for each form of token.
//!
//! Easy to get wrong: what one row leaves in a process, its caches and its memory, would show in the next row. So each
//! row starts the server anew on the same folder.

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::browser::Browser;
use super::http::{Request, basic};
use super::load::Load;
use super::pinned::Pinned;
use super::programs::Programs;
use crate::failure::Failure;

/// A data folder with everything that the rows need. It goes when this does.
#[derive(Debug)]
pub(super) struct Scene {
    folder: TempDir,
    doorward: PathBuf,
    /// What the demo prints.
    demo: Value,
    /// A client that may ask for the tokens of the two APIs below.
    client: Value,
    opaque_api: Value,
}

impl Scene {
    pub(super) fn prepare(programs: &Programs) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("scene-")
            .tempdir_in(&programs.folder)
            .map_err(Failure::io("a folder for the bench could not be made"))?;
        let doorward = programs.doorward.clone();
        let mut scene = Self { folder, doorward, demo: json!({}), client: json!({}), opaque_api: json!({}) };
        let mut server = scene.spawn(&["--port", "0", "--api-port", "0"])?;
        scene.demo = server.said()?;
        server.stop()?;
        scene.command(
            "api create --name es256 --identifier https://es256.example --algorithm ES256 --scope es256=ES256",
        )?;
        scene.opaque_api = scene.command(
            "api create --name opaque --identifier https://opaque.example --token-format opaque --scope opaque=Opaque",
        )?;
        scene.client =
            scene.command("client create --name bench --grant client_credentials --scope es256 --scope opaque")?;
        Ok(scene)
    }

    /// Starts the server, and returns when it answers.
    pub(super) fn start(&self) -> Result<Pinned, Failure> {
        let mut server = self.spawn(&[])?;
        server.said()?;
        Ok(server)
    }

    /// Starts the server, which does not listen yet.
    pub(super) fn spawn(&self, options: &[&str]) -> Result<Pinned, Failure> {
        let (doorward, data) = (self.doorward.to_string_lossy(), self.data());
        let data = data.to_string_lossy();
        let argv = [&[&*doorward, "demo", "--json", "--data", &*data], options].concat();
        Pinned::start(&argv, &[], self.folder())
    }

    /// For files of the bench; the data folder is in it.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port of the authorization server.
    pub(super) fn port(&self) -> Result<u16, Failure> {
        port(self.of_demo("issuer")?)
    }

    /// Tokens of the demo's API, JWTs with EdDSA.
    pub(super) fn eddsa(&self) -> Result<Load, Failure> {
        self.eddsa_token().map(Load::Request)
    }

    /// Tokens as JWTs with ES256.
    pub(super) fn es256(&self) -> Result<Load, Failure> {
        self.token(&self.client, "es256").map(Load::Request)
    }

    /// Opaque tokens, each written to the store.
    pub(super) fn opaque(&self) -> Result<Load, Failure> {
        self.token(&self.client, "opaque").map(Load::Request)
    }

    /// Rotations that give an access token and a refresh token.
    pub(super) fn refresh(&self) -> Result<Load, Failure> {
        self.refresh_of("notes:read")
    }

    /// Rotations that give an id_token as well, signed with RS256 as for every client that registered nothing else.
    pub(super) fn refresh_with_id_token(&self) -> Result<Load, Failure> {
        self.refresh_of("openid offline_access notes:read")
    }

    /// An API asks about an opaque token that is good.
    pub(super) fn introspection(&self) -> Result<Load, Failure> {
        let token = self.token(&self.client, "opaque")?.succeed()?.text("access_token")?;
        let (id, secret) = (text(&self.opaque_api, "client_id")?, text(&self.opaque_api, "client_secret")?);
        Ok(Load::Request(Request::post_form(self.port()?, "/introspect", &[("token", &token)]).basic(id, secret)))
    }

    /// An API asks about a key that is good.
    pub(super) fn key_verification(&self) -> Result<Load, Failure> {
        let question = json!({ "key": self.of_demo("api_key")?, "scopes": ["notes:read"] });
        let (id, secret) = (self.of_demo("api_client_id")?, self.of_demo("api_client_secret")?);
        Ok(Load::Request(Request::post_json(self.port()?, "/v1/keys/verify", &question).basic(id, secret)))
    }

    /// The notes API with a key.
    pub(super) fn notes_with_key(&self) -> Result<Load, Failure> {
        Ok(Load::Request(self.notes()?.header("X-API-Key", self.of_demo("api_key")?)))
    }

    /// The notes API with a JWT.
    pub(super) fn notes_with_jwt(&self) -> Result<Load, Failure> {
        let token = self.eddsa_token()?.succeed()?.text("access_token")?;
        Ok(Load::Request(self.notes()?.header("Authorization", format!("Bearer {token}"))))
    }

    fn eddsa_token(&self) -> Result<Request, Failure> {
        self.token(&self.demo, "notes:read")
    }

    fn token(&self, client: &Value, scope: &str) -> Result<Request, Failure> {
        Ok(token(self.port()?, text(client, "client_id")?, text(client, "client_secret")?, scope))
    }

    /// The notes API, without a credential.
    pub(super) fn notes(&self) -> Result<Request, Failure> {
        Ok(Request::get(port(self.of_demo("api")?)?, "/notes"))
    }

    fn refresh_of(&self, scope: &str) -> Result<Load, Failure> {
        let mut browser = Browser::new(self.port()?, self.of_demo("username")?, self.of_demo("password")?);
        let (id, secret) = (self.of_demo("client_id")?, self.of_demo("client_secret")?);
        let redirect_uri = self.of_demo("redirect_uri")?;
        let mut tokens = || {
            let token = |_| browser.refresh_token(id, secret, redirect_uri, scope);
            (0..Load::CHAINS).map(token).collect::<Result<Vec<_>, _>>()
        };
        let (warm_up, measured) = (tokens()?, tokens()?);
        Ok(Load::Refresh { port: self.port()?, authorization: basic(id, secret), warm_up, measured })
    }

    /// The demo's client with a secret.
    pub(super) fn client_id(&self) -> Result<&str, Failure> {
        self.of_demo("client_id")
    }

    /// Adds a user.
    pub(super) fn create_user(&self, username: &str, password: &str) -> Result<(), Failure> {
        self.command_with_input(&format!("user create {username}"), password).map(drop)
    }

    fn of_demo(&self, name: &str) -> Result<&str, Failure> {
        text(&self.demo, name)
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// Runs a command of Doorward's on the data folder.
    pub(super) fn command(&self, words: &str) -> Result<Value, Failure> {
        self.command_with_input(words, "")
    }

    /// The same with a line of standard input.
    fn command_with_input(&self, words: &str, input: &str) -> Result<Value, Failure> {
        let mut file = tempfile::tempfile().map_err(Failure::io("a temporary file could not be made"))?;
        writeln!(file, "{input}")
            .and_then(|()| file.rewind())
            .map_err(Failure::io("a temporary file could not be written"))?;
        let line = format!("doorward {words}");
        let output = Command::new(&self.doorward)
            .args(words.split(' '))
            .args(["--json", "--data"])
            .arg(self.data())
            .stdin(file)
            .output()
            .map_err(Failure::io(format!("{line} could not be started")))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match serde_json::from_slice(&output.stdout) {
            Ok(value) if output.status.success() => Ok(value),
            _ => Err(Failure::Command { line, detail: said }),
        }
    }
}

/// The request of a client for a token of its own (RFC 6749 section 4.4.2), the same to every server.
pub(super) fn token(port: u16, client_id: &str, secret: &str, scope: &str) -> Request {
    Request::post_form(port, "/token", &[("grant_type", "client_credentials"), ("scope", scope)])
        .basic(client_id, secret)
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, Failure> {
    let missing = || Failure::Command { line: format!("reading `{name}`"), detail: "it is not there".to_owned() };
    value[name].as_str().ok_or_else(missing)
}

fn port(url: &str) -> Result<u16, Failure> {
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
    port.ok_or_else(|| Failure::Command { line: format!("reading {url}"), detail: "it names no port".to_owned() })
}
