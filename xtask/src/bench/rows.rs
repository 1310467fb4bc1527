//! The rows of the table: who serves, what is sent, and what the figure is compared with.

use std::time::Duration;

use super::load::{Load, Sample};
use super::pinned::Pinned;
use super::programs::{OidcProvider, Programs};
use super::scene::{self, Scene, text};
use crate::failure::Failure;

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// For `--only`.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    server: Server,
    /// The algorithm of the signature that every answer needs, and that bounds the row together with the floor.
    pub(super) signature: Option<&'static str>,
    /// The row of npm's `oidc-provider` that does the same work.
    pub(super) peer: Option<&'static str>,
}

#[derive(Debug)]
enum Server {
    Floor,
    Doorward(fn(&Scene) -> Result<Load, Failure>),
    /// With this form of token: `opaque`, or the algorithm of its JWTs.
    OidcProvider(&'static str),
}

/// The row that bounds the others.
pub(super) const FLOOR: &str = "floor";

pub(super) const ROWS: &[Row] = &[
    row(FLOOR, "floor: bare axum handler, the same form, 700 bytes of JSON", Server::Floor),
    Row {
        signature: Some("EdDSA"),
        peer: Some("oidc-provider-eddsa"),
        ..row("client-credentials-eddsa", "Doorward, client_credentials, JWT EdDSA", Server::Doorward(Scene::eddsa))
    },
    Row {
        signature: Some("ES256"),
        peer: Some("oidc-provider-es256"),
        ..row("client-credentials-es256", "Doorward, client_credentials, JWT ES256", Server::Doorward(Scene::es256))
    },
    Row {
        peer: Some("oidc-provider-opaque"),
        ..row(
            "client-credentials-opaque",
            "Doorward, client_credentials, opaque, durable",
            Server::Doorward(Scene::opaque),
        )
    },
    row("refresh", "Doorward, refresh rotation, JWT EdDSA, durable (64 connections)", Server::Doorward(Scene::refresh)),
    row("refresh-id-token", "the same with an id_token, RS256", Server::Doorward(Scene::refresh_with_id_token)),
    row("introspection", "Doorward, introspection of an opaque token", Server::Doorward(Scene::introspection)),
    row("key-verification", "Doorward, POST /v1/keys/verify", Server::Doorward(Scene::key_verification)),
    row("notes-key", "notes API with a key (server in the same process)", Server::Doorward(Scene::notes_with_key)),
    row("notes-jwt", "notes API with a JWT EdDSA", Server::Doorward(Scene::notes_with_jwt)),
    row("oidc-provider-opaque", "oidc-provider, client_credentials, opaque, in memory", Server::OidcProvider("opaque")),
    row("oidc-provider-eddsa", "oidc-provider, client_credentials, JWT EdDSA", Server::OidcProvider("EdDSA")),
    row("oidc-provider-es256", "oidc-provider, client_credentials, JWT ES256", Server::OidcProvider("ES256")),
    row("oidc-provider-rs256", "oidc-provider, client_credentials, JWT RS256", Server::OidcProvider("RS256")),
];

const fn row(name: &'static str, title: &'static str, server: Server) -> Row {
    Row { name, title, server, signature: None, peer: None }
}

impl Row {
    pub(super) fn is_of_oidc_provider(&self) -> bool {
        matches!(self.server, Server::OidcProvider(_))
    }

    /// One round: a fresh server, warmed up, loaded for `time`, and ended.
    pub(super) fn measure(&self, programs: &Programs, scene: &Scene, time: Duration) -> Result<Sample, Failure> {
        let (server, load) = self.start(programs, scene)?;
        load.warm_up(time, scene.folder())?;
        server.reset_peak()?;
        let sample = load.measure(time, scene.folder())?;
        let sample = Sample { peak_kib: server.peak_kib()?, ..sample };
        server.stop()?;
        Ok(sample)
    }

    fn start(&self, programs: &Programs, scene: &Scene) -> Result<(Pinned, Load), Failure> {
        match self.server {
            Server::Floor => {
                let mut server = Pinned::start(&[&programs.floor.to_string_lossy(), "serve"], &[], scene.folder())?;
                let port = port(&server.said()?)?;
                Ok((server, Load::Request(scene::token(port, "bench", "a-secret-that-nobody-checks", "notes:read"))))
            }
            Server::Doorward(load) => {
                let server = scene.start()?;
                let load = load(scene)?;
                Ok((server, load))
            }
            Server::OidcProvider(format) => {
                let OidcProvider { node, script } =
                    programs.oidc_provider.as_ref().expect("Node.js was asked for, as there is a row that needs it");
                let environment = [("FORMAT", format), ("NODE_ENV", "production")];
                let argv = [&*node.to_string_lossy(), &*script.to_string_lossy()];
                let mut server = Pinned::start(&argv, &environment, scene.folder())?;
                let said = server.said()?;
                let (id, secret, scope) =
                    (text(&said, "client_id")?, text(&said, "client_secret")?, text(&said, "scope")?);
                let request = scene::token(port(&said)?, id, secret, scope);
                Ok((server, Load::Request(request)))
            }
        }
    }
}

fn port(said: &serde_json::Value) -> Result<u16, Failure> {
    let port = said["port"].as_u64().and_then(|port| u16::try_from(port).ok());
    port.ok_or_else(|| Failure::Command { line: "reading a server's port".to_owned(), detail: said.to_string() })
}
