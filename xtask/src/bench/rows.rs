//! The rows of the table: which server, which request, and what the figure is compared with.

use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;
use serde_json::json;

use self::Subject::{Doorward, Floor, OidcProvider, Refresh, Token};
use super::http::{self, Request};
use super::load::{Load, Sample};
use super::scene::{Client, Demo, Scene, Tokens};
use super::{browser::Browser, pinned};
use crate::server::Server;

pub(super) struct Row {
    /// For `--only`.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    subject: Subject,
    /// The row of npm's `oidc-provider` that does the same work.
    pub(super) peer: Option<&'static str>,
    /// With the floor, what limits the row.
    pub(super) limit: Option<Limit>,
}

/// What every answer of a row needs beside HTTP.
pub(super) struct Limit {
    /// The algorithms of its signatures.
    pub(super) signatures: &'static [&'static str],
    /// The rows that it commits, by their name among the group commits of bare SQLite.
    pub(super) commit: Option<&'static str>,
    /// The share of the limit that is to be reached.
    pub(super) to_reach: Option<f64>,
}

/// The server that is measured.
enum Subject {
    Floor,
    Doorward(fn(&Scene) -> Result<Request>),
    /// Doorward, with a request for a client's own token with this scope.
    Token(&'static str),
    /// Doorward, with rotations of refresh tokens with this scope.
    Refresh(&'static str),
    /// With this form of token: `opaque`, or the algorithm of its JWTs.
    OidcProvider(&'static str),
}

/// The row that limits the others.
pub(super) const FLOOR: &str = "floor";

pub(super) const ROWS: &[Row] =
    &[
        row(FLOOR, "floor: bare axum handler, the same form, 700 bytes of JSON", Floor),
        row("client-credentials-eddsa", "Doorward, client_credentials, JWT EdDSA", Token("eddsa"))
            .compared("oidc-provider-eddsa")
            .limited(&["EdDSA"], None, Some(0.85)),
        row("client-credentials-es256", "Doorward, client_credentials, JWT ES256", Token("es256"))
            .compared("oidc-provider-es256")
            .limited(&["ES256"], None, Some(0.85)),
        row("client-credentials-opaque", "Doorward, client_credentials, opaque, durable", Token("opaque"))
            .compared("oidc-provider-opaque")
            .limited(&[], Some("opaque"), Some(0.6)),
        row("refresh", "Doorward, refresh rotation, JWT ES256, durable (64 connections)", Refresh("notes:read"))
            .limited(&["ES256"], Some("refresh"), Some(0.6)),
        // RS256, because the client registered no other algorithm.
        row("refresh-id-token", "the same with an id_token, RS256", Refresh("openid offline_access notes:read"))
            .limited(&["ES256", "RS256"], Some("refresh"), None),
        row("introspection", "Doorward, introspection of an opaque token", Doorward(introspection)),
        row("key-verification", "Doorward, POST /v1/keys/verify", Doorward(key_verification)),
        row("notes-key", "notes API with a key (server in the same process)", Doorward(notes_with_key)),
        row("notes-jwt", "notes API with a JWT ES256", Doorward(notes_with_jwt)),
        row("oidc-provider-opaque", "oidc-provider, client_credentials, opaque, in memory", OidcProvider("opaque")),
        row("oidc-provider-eddsa", "oidc-provider, client_credentials, JWT EdDSA", OidcProvider("EdDSA")),
        row("oidc-provider-es256", "oidc-provider, client_credentials, JWT ES256", OidcProvider("ES256")),
        row("oidc-provider-rs256", "oidc-provider, client_credentials, JWT RS256", OidcProvider("RS256")),
    ];

const fn row(name: &'static str, title: &'static str, subject: Subject) -> Row {
    Row { name, title, subject, peer: None, limit: None }
}

fn introspection(scene: &Scene) -> Result<Request> {
    scene.opaque_api.post(scene.port, "/introspect", &[("token", &access_token(scene, "opaque")?)])
}

fn key_verification(Scene { port, demo, .. }: &Scene) -> Result<Request> {
    let question = json!({ "key": demo.api_key, "scopes": ["notes:read"] }).to_string();
    let credentials = http::basic(&demo.api_client_id, &demo.api_client_secret);
    let request = http::post(*port, "/v1/keys/verify", "application/json").header("Authorization", credentials);
    Ok(request.body(question)?)
}

fn notes_with_key(scene: &Scene) -> Result<Request> {
    scene.notes("X-API-Key", &scene.demo.api_key)
}

fn notes_with_jwt(scene: &Scene) -> Result<Request> {
    let token = access_token(scene, "notes:read")?;
    scene.notes("Authorization", &format!("Bearer {token}"))
}

fn access_token(scene: &Scene, scope: &str) -> Result<String> {
    Ok(http::succeed::<Tokens>(&scene.client.token(scene.port, scope)?)?.access_token)
}

impl Row {
    const fn compared(self, peer: &'static str) -> Self {
        Self { peer: Some(peer), ..self }
    }

    const fn limited(
        self,
        signatures: &'static [&'static str],
        commit: Option<&'static str>,
        to_reach: Option<f64>,
    ) -> Self {
        Self { limit: Some(Limit { signatures, commit, to_reach }), ..self }
    }

    pub(super) fn is_of_oidc_provider(&self) -> bool {
        matches!(self.subject, OidcProvider(_))
    }

    /// One round: a fresh server, warmed up, loaded for `time`, and ended.
    pub(super) fn measure(&self, scene: &Scene, time: Duration) -> Result<Sample> {
        let (server, load) = self.start(scene)?;
        load.warm_up(time)?;
        pinned::reset_peak(scene.folder())?;
        let sample = load.measure(time)?;
        let sample = Sample { peak_kib: pinned::memory_kib(scene.folder(), "VmHWM:")?, ..sample };
        server.stop()?;
        Ok(sample)
    }

    fn start(&self, scene: &Scene) -> Result<(Server, Load)> {
        match self.subject {
            Floor => other(scene, &[&scene.target("dist/doorward-bench-floor"), "serve"], ""),
            OidcProvider(format) => other(scene, &["node", &scene.target("bench/oidc-provider/server.mjs")], format),
            Token(scope) => Ok((scene.start()?, Load::of_request(&scene.client.token(scene.port, scope)?)?)),
            Doorward(request) => Ok((scene.start()?, Load::of_request(&request(scene)?)?)),
            Refresh(scope) => {
                let server = scene.start()?;
                let Demo { username, password, redirect_uri, client, .. } = &scene.demo;
                let mut browser = Browser::new(scene.port, username, password);
                Ok((server, Load::of_refresh(scene, &mut || browser.refresh_token(client, redirect_uri, scope))?))
            }
        }
    }
}

/// Starts a server that is not Doorward. It reports the client for its tokens, except for the floor, which checks none.
fn other(scene: &Scene, argv: &[&str], format: &str) -> Result<(Server, Load)> {
    #[derive(Deserialize)]
    struct Listening {
        port: u16,
        scope: Option<String>,
        #[serde(flatten)]
        client: Option<Client>,
    }
    let server = pinned::start(argv, &[("FORMAT", format), ("NODE_ENV", "production")], scene.folder())?;
    let Listening { port, scope, client } = server.listening()?;
    let any = || Client { client_id: "bench".to_owned(), client_secret: "a-secret-that-nobody-checks".to_owned() };
    let request = client.unwrap_or_else(any).token(port, scope.as_deref().unwrap_or("notes:read"))?;
    Ok((server, Load::of_request(&request)?))
}
