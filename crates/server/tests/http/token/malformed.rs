//! Requests to `/token` that can't be read (RFC 6749 section 5.2): a clear error of the right kind, and no state.

use crate::harness::*;

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn unknown_grant_type_is_unsupported_and_a_missing_one_invalid() {
    let server = TestServer::start().await;
    for grant_type in ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "Client_Credentials"] {
        let answer = server.caller.token(&server.world.web, &[("grant_type", grant_type)]).await;
        let expected = (400, "unsupported_grant_type".to_owned(), "grant_type_unsupported".to_owned());
        assert_eq!(answer.oauth_error(), expected, "{grant_type}");
    }
    for form in [&[][..], &[("grant_type", "")], &[("scope", "notes:read")]] {
        let answer = server.caller.token(&server.world.web, form).await;
        assert_eq!(answer.oauth_error(), (400, "invalid_request".into(), "parameter_missing".into()));
    }
}

#[tokio::test]
async fn each_grant_demands_its_parameters() {
    let server = TestServer::start().await;
    for (form, missing) in [
        (&[("grant_type", "authorization_code")][..], "code"),
        (&[("grant_type", "authorization_code"), ("code", "dw_ac_x")], "code_verifier"),
        (&[("grant_type", "authorization_code"), ("code_verifier", VERIFIER)], "code"),
        (&[("grant_type", "authorization_code"), ("code", ""), ("code_verifier", VERIFIER)], "code"),
        (&[("grant_type", "refresh_token")], "refresh_token"),
    ] {
        let answer = server.caller.token(&server.world.web, form).await;
        assert_eq!(answer.oauth_error(), (400, "invalid_request".into(), "parameter_missing".into()), "{form:?}");
        let told = format!("A required parameter is missing: {missing}.");
        assert_eq!(answer.json()["error_description"], told, "{form:?}");
    }
}

#[tokio::test]
async fn repeated_parameter_is_invalid_even_if_unknown() {
    let server = TestServer::start().await;
    let twice = |name: &'static str| [("grant_type", "client_credentials"), (name, "notes:read"), (name, "notes:read")];
    for name in ["scope", "grant_type", "made_up"] {
        let answer = server.caller.token(&server.world.web, &twice(name)).await;
        assert_eq!(answer.oauth_error(), (400, "invalid_request".into(), "parameter_repeated".into()), "{name}");
    }
    let web = &server.world.web;
    let id_twice = [&twice("client_id")[..], &[("client_secret", web.secret.as_deref().unwrap())]].concat();
    assert_eq!(server.caller.post("/token", &id_twice).await.oauth_error().2, "parameter_repeated");
}

#[tokio::test]
async fn parameters_that_nobody_knows_are_ignored() {
    let server = TestServer::start().await;
    let form = [("grant_type", "client_credentials"), ("made_up", "x"), ("audience", "a"), ("audience", "b")];
    server.caller.token(&server.world.web, &form).await.expect(200);
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_an_invalid_request() {
    let server = TestServer::start().await;
    for body in [&b"grant_type=client_credentials&scope=%ff"[..], b"grant_type=client_credentials&scope=\xff"] {
        let answer = server.caller.post_bytes("/token", FORM, body).await;
        assert_eq!(answer.oauth_error(), (400, "invalid_request".into(), "body_malformed".into()));
    }
    let many = "a=1&".repeat(101);
    assert_eq!(server.caller.post_bytes("/token", FORM, many).await.oauth_error().2, "body_malformed");
}

#[tokio::test]
async fn another_content_type_is_415() {
    let server = TestServer::start().await;
    for content_type in ["", "application/json", "text/plain", "multipart/form-data; boundary=x", "nonsense"] {
        let answer = server.caller.post_bytes("/token", content_type, "grant_type=client_credentials").await;
        let expected = (415, "invalid_request".to_owned(), "content_type_unsupported".to_owned());
        assert_eq!(answer.oauth_error(), expected, "{content_type}");
    }
    let with_charset = "Application/X-WWW-Form-Urlencoded; charset=UTF-8";
    let answer = server.caller.post_bytes("/token", with_charset, "grant_type=client_credentials").await;
    assert_eq!(answer.oauth_error().2, "client_authentication_missing");
}

#[tokio::test]
async fn an_oversized_body_is_413_whether_its_length_was_said_or_not() {
    let server = TestServer::start().await;
    let body = format!("grant_type=client_credentials&scope={}", "a".repeat(server.app.settings.limits.body_bytes));
    let expected = (413, "invalid_request".to_owned(), "body_too_large".to_owned());
    assert_eq!(server.caller.post_bytes("/token", FORM, body.clone()).await.oauth_error(), expected);
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let head = format!("POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n");
    let answer = raw(&server.caller.base, format!("{head}Connection: close\r\n\r\n{chunk}").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn refused_requests_leave_no_state() {
    let server = TestServer::start().await;
    let before = server.audit("the first events", |events| !events.is_empty()).await.len();
    server.caller.token(&server.world.web, &[("grant_type", "password")]).await.expect(400);
    server.caller.post_bytes("/token", "application/json", "{}").await.expect(415);
    server.caller.client_credentials(&server.world.web, "nonsense").await.expect(400);
    assert_eq!(server.refusals(3).await, ["content_type_unsupported", "grant_type_unsupported", "scope_invalid"]);
    let after = server.audit("the refusals", |events| events.len() >= before + 3).await;
    assert_eq!(after.len(), before + 3, "nothing but the refusals was written");
}
