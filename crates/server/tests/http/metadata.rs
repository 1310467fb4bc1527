//! The two metadata documents (RFC 8414, OpenID Connect Discovery section 3), whole.

use crate::harness::*;

/// The document, with the port taken out of the issuer.
async fn document(server: &TestServer, path: &str) -> String {
    let answer = server.caller.get(path).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(answer.text("issuer"), server.issuer());
    serde_json::to_string_pretty(&answer.json()).unwrap().replace(server.issuer(), "http://issuer")
}

#[tokio::test]
async fn authorization_server_metadata_is_as_promised() {
    let server = TestServer::start().await;
    insta::assert_snapshot!(document(&server, "/.well-known/oauth-authorization-server").await);
}

#[tokio::test]
async fn openid_provider_metadata_is_as_promised() {
    let server = TestServer::start().await;
    insta::assert_snapshot!(document(&server, "/.well-known/openid-configuration").await);
}

#[tokio::test]
async fn every_endpoint_that_is_named_is_there() {
    let server = TestServer::start().await;
    let metadata = server.caller.get("/.well-known/openid-configuration").await.json();
    let endpoints = metadata.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint"));
    for (name, url) in endpoints.chain([(&"jwks_uri".to_owned(), &metadata["jwks_uri"])]) {
        let url = url.as_str().unwrap();
        assert!(url.starts_with(server.issuer()), "{name}");
        assert_ne!(server.caller.get(url).await.status, 404, "{name}");
    }
}

#[tokio::test]
async fn challenge_of_the_management_api_names_its_metadata() {
    let server = TestServer::start().await;
    let asked = server.caller.verify_key(("x-made-up", "x"), &server.world.key, &[]).await.expect(401);
    let url = format!("{}/.well-known/oauth-protected-resource/v1", server.issuer());
    let challenge = format!(r#"Bearer resource_metadata="{url}""#);
    assert_eq!(asked.header("www-authenticate"), Some(challenge.as_str()));
    let metadata = server.caller.get(&url).await.expect(200);
    assert_eq!(metadata.header("access-control-allow-origin"), Some("*"));
    assert_eq!(metadata.json()["resource"], format!("{}/v1", server.issuer()));
    assert_eq!(metadata.json()["authorization_servers"], serde_json::json!([server.issuer()]));
}
