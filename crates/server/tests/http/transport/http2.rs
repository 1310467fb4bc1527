//! HTTP/2 (RFC 9113) on the same port, by prior knowledge; the answers are those of HTTP/1.1.

use http::Version;
use tokio::task::JoinSet;

use crate::harness::*;

fn client() -> reqwest::Client {
    reqwest::Client::builder().http2_prior_knowledge().build().unwrap()
}

fn credentials(client: &Registered) -> Vec<(&'static str, String)> {
    let secret = client.secret.clone().unwrap();
    vec![
        ("grant_type", "client_credentials".into()),
        ("client_id", client.id.clone()),
        ("client_secret", secret),
        ("scope", "notes:read".into()),
    ]
}

#[tokio::test]
async fn many_requests_on_one_connection_are_answered_as_over_http_1() {
    let server = TestServer::start().await;
    let (http, url) = (client(), format!("{}/token", server.caller.base));
    let form = credentials(&server.world.web);
    // More than may be open at once: the rest waits its turn.
    let answers: JoinSet<_> = (0..200).map(|_| http.post(&url).form(&form).send()).collect();
    for answer in answers.join_all().await {
        let answer = answer.unwrap();
        assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 200));
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
    let wrong = http.post(&url).form(&[("grant_type", "client_credentials")]).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    assert_eq!(wrong.json::<serde_json::Value>().await.unwrap()["error"], "invalid_client");
}

#[tokio::test]
async fn bounds_apply_to_each_stream_separately() {
    let server = TestServer::start().await;
    let (http, base) = (client(), &server.caller.base);
    let body = http.post(format!("{base}/token")).header("content-type", "application/x-www-form-urlencoded");
    let (large, fine) = tokio::join!(body.body("a".repeat(200_000)).send(), http.get(format!("{base}/jwks")).send());
    assert_eq!(large.unwrap().status(), 413);
    assert_eq!(fine.unwrap().status(), 200);
    let head = http.get(format!("{base}/jwks")).header("x-filler", "a".repeat(40_000)).send().await;
    assert!(head.is_err() || head.unwrap().status() == 431, "a head beyond the bound is not read");
    assert_eq!(http.get(format!("{base}/jwks")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_credential_in_the_url_is_refused_over_http_2_as_well() {
    let server = TestServer::start().await;
    let url = format!("{}/userinfo?access_token=x", server.caller.base);
    let answer = client().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], "credential_in_query");
}
