//! The scene: a server, and an API with a guard that delivers its refusals there. One request of each case carries the
//! trace.

use std::{net::SocketAddr, sync::Mutex, time::Duration};

use axum::{Router, http::Uri, routing::get};
use doorward_core::denial::Denial;
use doorward_guard::{Guard, KeysInQuery, ResourceIdentifier, Timestamp, scope};
use doorward_listen::Serve;
use serde_json::Value;

use crate::harness::*;

/// The API notes, as its makers run it.
pub(crate) struct Api {
    pub(crate) guard: Guard,
    pub(crate) caller: Caller,
}

/// A server, an API, and the trace of the current case.
pub(super) struct Scene {
    pub(super) server: TestServer,
    pub(super) api: Api,
    traceparent: Mutex<String>,
}

impl Scene {
    pub(super) async fn set() -> Self {
        let server = TestServer::start_with(|settings| {
            settings.listen.body_timeout = Duration::from_secs(1);
            settings.limits.open_requests_per_network = 100;
        })
        .await;
        let api = Api::serve(&server).await;
        Self { server, api, traceparent: Mutex::default() }
    }

    /// Ends the server and keeps the API.
    pub(super) async fn close(self) -> (Stopped, SocketAddr, Api) {
        let (stopped, address) = self.server.stop().await;
        (stopped, address, self.api)
    }

    /// The scene with a server that was started again.
    pub(super) fn open(server: TestServer, api: Api, traceparent: String) -> Self {
        Self { server, api, traceparent: Mutex::new(traceparent) }
    }

    /// The next case has a trace of its own.
    pub(super) fn begin(&self, denial: Denial) {
        let number = Denial::ALL.iter().position(|known| *known == denial).unwrap() + 1;
        *self.traceparent.lock().unwrap() = format!("00-{number:032x}-00f067aa0ba902b7-01");
    }

    pub(super) fn trace_id(&self) -> String {
        self.traceparent.lock().unwrap()[3..35].to_owned()
    }

    pub(super) fn traceparent(&self) -> String {
        self.traceparent.lock().unwrap().clone()
    }

    /// GET, with the trace.
    pub(super) async fn get(&self, caller: &Caller, path: &str, headers: &[(&str, &str)]) -> Answer {
        let traceparent = self.traceparent();
        caller.get_with(path, &[&[("traceparent", traceparent.as_str())], headers].concat()).await
    }

    /// Posts a form, with the trace.
    pub(super) async fn post(&self, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
        let traceparent = self.traceparent();
        self.server.caller.post_with(path, &[&[("traceparent", traceparent.as_str())], headers].concat(), form).await
    }

    /// Posts a form as a client, with the trace.
    pub(super) async fn post_as(&self, client: &Registered, path: &str, form: &[(&str, &str)]) -> Answer {
        match &client.secret {
            Some(secret) => self.post(path, &[("authorization", &basic(&client.id, secret))], form).await,
            None => self.post(path, &[], &[form, &[("client_id", client.id.as_str())]].concat()).await,
        }
    }

    /// Asks for a token as a client, with the trace.
    pub(super) async fn token(&self, client: &Registered, form: &[(&str, &str)]) -> Answer {
        self.post_as(client, "/token", form).await
    }

    /// Presents a bearer token to `/userinfo`, with the trace.
    pub(super) async fn userinfo(&self, token: &str) -> Answer {
        self.get(&self.server.caller, "/userinfo", &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// A member of what a client gets from a code that Alice gave.
    pub(super) async fn gift(&self, client: &Registered, member: &str) -> String {
        let tokens: Value = self.server.tokens(client).await;
        tokens[member].as_str().unwrap().to_owned()
    }
}

impl Api {
    pub(crate) async fn serve(server: &TestServer) -> Self {
        let notes = &server.world.notes;
        let guard = Guard::builder(server.issuer(), ResourceIdentifier::parse("https://notes.example").unwrap())
            .credential(&notes.id, notes.secret.clone().unwrap())
            .deliver_refusals()
            .clock(server.clock.clone())
            .build()
            .unwrap();
        let administer = guard.require(scope("notes:read").and_role("admin"));
        let routes = Router::new()
            .route("/me", get(async || "any principal"))
            .route("/admin", get(async || "administered").layer(administer))
            .layer(guard.layer());
        let export = guard.require(scope("notes:read")).allow_keys_in_query(&KeysInQuery {
            parameter: "api_key",
            route: "GET /export",
            networks: &["127.0.0.1"],
            per_minute: 10,
            until: Timestamp::from_secs(server.now() + 86_400),
            migration_page: None,
        });
        let export = Router::new().route("/export", get(async |uri: Uri| uri.to_string()).layer(export.unwrap()));
        let routes = export.merge(routes);
        let listener = doorward_listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let caller = Caller::new(&format!("http://{}", listener.local_addr().unwrap()));
        let serve = Serve { router: routes, limits: server.app.settings.listen, ..Serve::default() };
        tokio::spawn(doorward_listen::serve(vec![listener], serve, std::future::pending()));
        Self { guard, caller }
    }
}
