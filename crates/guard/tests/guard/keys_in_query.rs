//! API keys in the query of a route that accepts them for a while.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{OriginalUri, Request},
    routing::get,
};
use doorward_core::{clock::ManualClock, legacy::LegacyWay};
use doorward_guard::{Guard, KeysInQuery, Timestamp, query_key::InvalidKeysInQuery, scope};
use reqwest::Method;

use crate::{
    api::{Answer, Api, Recorder, builder},
    fake_issuer::{FakeIssuer, NOW},
};

const END: Timestamp = Timestamp::from_secs(NOW.as_secs() + 86_400);

const ASKED: KeysInQuery<'static> = KeysInQuery {
    parameter: "api_key",
    route: "GET /export",
    networks: &["127.0.0.0/8"],
    per_minute: 60,
    until: END,
    migration_page: None,
};

/// An API whose `/v1/export` accepts keys in its query, and answers with what the handler sees of the request.
struct Export {
    api: Api,
    clock: Arc<ManualClock>,
    audit: Recorder,
    issuer: FakeIssuer,
}

impl Export {
    async fn serve(asked: KeysInQuery<'_>) -> Self {
        let (issuer, clock, audit) = (FakeIssuer::start().await, Arc::new(ManualClock::at(NOW)), Recorder::default());
        let guard: Guard = builder(&issuer, &clock).audit(audit.clone()).build().unwrap();
        let layer = guard.require(scope("notes:read")).allow_keys_in_query(&asked).unwrap();
        let seen = async |OriginalUri(original): OriginalUri, request: Request| {
            ([("link", "<https://api.example/next>; rel=next")], format!("\"{} {original}\"", request.uri()))
        };
        let export = Router::new().nest("/v1", Router::new().route("/export", get(seen).layer(layer)));
        let rest = Router::new().route("/notes", get(async || "notes")).layer(guard.layer());
        Self { api: Api::serve(export.merge(rest)).await, clock, audit, issuer }
    }

    async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.api.send(Method::GET, target, headers).await
    }
}

#[tokio::test]
async fn key_opens_its_route_and_no_handler_sees_it() {
    let export = Export::serve(ASKED).await;
    let key = export.issuer.live_key("notes:read");
    let answer = export.get(&format!("/v1/export?page=%202&api_key={key}&q"), &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, Some("/export?page=%202&q /v1/export?page=%202&q")));
    let alone = export.get(&format!("/v1/export?api_key={key}"), &[]).await;
    assert_eq!(alone.body.as_str(), Some("/export /v1/export"));
    let uses = export.audit.uses();
    assert_eq!(uses.iter().map(|used| used.count).sum::<u32>(), 2);
    assert_eq!((uses[0].way, &*uses[0].key, &*uses[0].route), (LegacyWay::Query, "key_1", "GET /export"));
    assert_eq!((&*uses[0].network, uses[0].last_at_ms), ("127.0.0.1", NOW.as_millis()));
    assert!(!format!("{uses:?}").contains(&key[12..]));
}

#[tokio::test]
async fn answer_names_the_end_and_stays_out_of_caches() {
    let export = Export::serve(ASKED).await;
    let key = export.issuer.live_key("notes:read");
    let write = export.issuer.live_key("notes:write");
    let answer = export.get(&format!("/v1/export?api_key={key}"), &[]).await;
    let refusal = export.get(&format!("/v1/export?api_key={write}"), &[]).await;
    assert_eq!((answer.status, refusal.status), (200, 403));
    for (answer, cache) in [(&answer, "private"), (&refusal, "no-store")] {
        assert_eq!(answer.header("deprecation"), Some("@1735689600"));
        assert_eq!(answer.header("sunset"), Some("Wed, 15 Nov 2023 22:13:20 GMT"));
        assert_eq!(
            (answer.header("cache-control"), answer.header("referrer-policy")),
            (Some(cache), Some("no-referrer"))
        );
        let links: Vec<_> = answer.headers.get_all("link").iter().map(|value| value.to_str().unwrap()).collect();
        let page = format!("<{}/denials/credential_in_query>; rel=\"deprecation\"", export.issuer.url);
        assert!(links.iter().any(|link| link.starts_with(&page)), "{links:?}");
    }
    assert_eq!(answer.headers.get_all("link").iter().count(), 2, "the handler's own stays");
    let in_header = export.get("/v1/export", &[("x-api-key", &key)]).await;
    assert_eq!((in_header.status, in_header.header("deprecation")), (200, None));
    assert_eq!(export.audit.uses().len(), 2, "the key is counted, although a scope was missing");
}

#[tokio::test]
async fn key_in_any_other_place_of_a_url_is_refused() {
    let export = Export::serve(ASKED).await;
    let key = export.issuer.live_key("notes:read");
    let token = export.issuer.jwt("notes:read");
    for (target, headers, code) in [
        (format!("/notes?api_key={key}"), vec![], "credential_in_query"),
        (format!("/v1/export?apikey={key}"), vec![], "credential_in_query"),
        (format!("/v1/export?api_key={token}"), vec![], "credential_in_query"),
        ("/v1/export?api_key=".to_owned(), vec![], "credential_in_query"),
        (format!("/v1/export?api_key={key}&access_token=x"), vec![], "credential_in_query"),
        (format!("/v1/export?api_key={key}&api_key={key}"), vec![], "credential_multiple"),
        (format!("/v1/export?api_key={key}"), vec![("x-api-key", key.as_str())], "credential_multiple"),
    ] {
        let answer = export.get(&target, &headers).await;
        assert_eq!((answer.status, answer.code()), (400, code), "{target}");
    }
    assert_eq!(export.get("/v1/export?api_key=sk_live_x", &[]).await.code(), "credential_in_query");
    assert!(export.audit.uses().is_empty());
    let events = serde_json::to_string(&export.audit.events()).unwrap();
    assert!(!events.contains(&key[12..]) && !events.contains(&token[20..]), "{events}");
}

#[tokio::test]
async fn caller_from_another_network_is_refused() {
    let export = Export::serve(KeysInQuery { networks: &["192.0.2.0/24"], ..ASKED }).await;
    let key = export.issuer.live_key("notes:read");
    let answer = export.get(&format!("/v1/export?api_key={key}"), &[]).await;
    assert_eq!((answer.status, answer.code()), (400, "credential_in_query"));
    let event = export.audit.events().pop().unwrap();
    assert!(event.facts.iter().any(|(_, why)| why.contains("networks")), "{:?}", event.facts);
}

#[tokio::test]
async fn way_ends_by_itself_at_the_end_date() {
    let export = Export::serve(ASKED).await;
    let target = format!("/v1/export?api_key={}", export.issuer.live_key("notes:read"));
    export.clock.set(END.minus(Duration::from_millis(1)));
    assert_eq!(export.get(&target, &[]).await.status, 200);
    export.clock.set(END);
    assert_eq!(export.get(&target, &[]).await.code(), "credential_in_query");
}

#[tokio::test]
async fn requests_beyond_the_rate_wait() {
    let export = Export::serve(ASKED).await;
    let key = export.issuer.live_key("notes:read");
    let target = format!("/v1/export?api_key={key}");
    for _ in 0..10 {
        assert_eq!(export.get(&target, &[]).await.status, 200);
    }
    let answer = export.get(&target, &[]).await;
    assert_eq!((answer.status, answer.code()), (429, "legacy_rate_limited"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(export.get("/v1/export", &[("x-api-key", &key)]).await.status, 200, "a header is not limited");
    export.clock.advance(Duration::from_secs(1));
    assert_eq!(export.get(&target, &[]).await.status, 200);
}

#[tokio::test]
async fn route_without_a_real_condition_is_not_built() {
    let issuer = FakeIssuer::start().await;
    let guard = builder(&issuer, &Arc::new(ManualClock::at(NOW))).build().unwrap();
    let build = |asked: KeysInQuery<'_>| guard.layer().allow_keys_in_query(&asked).err();
    assert_eq!(build(ASKED), None);
    assert_eq!(build(KeysInQuery { networks: &[], ..ASKED }), Some(InvalidKeysInQuery::Networks));
    assert_eq!(build(KeysInQuery { per_minute: 0, ..ASKED }), Some(InvalidKeysInQuery::Rate));
    let far = NOW.plus(Duration::from_secs(400 * 86_400));
    assert_eq!(build(KeysInQuery { until: far, ..ASKED }), Some(InvalidKeysInQuery::End));
}
