//! The authorization request is stored once, by the server, and bound to one browser; no later step reads a protocol
//! parameter from the browser (security.md; Keycloak's CVE-2026-7571).

use doorward_server::manage::clients;

use crate::harness::*;

/// Protocol parameters that a later step might be tempted to read.
const TAMPERED: &[(&str, &str)] = &[
    ("client_id", "cli_00000000000000000000000000000000"),
    ("redirect_uri", "https://evil.example/cb"),
    ("response_type", "token"),
    ("response_mode", "fragment"),
    ("state", "evil"),
    ("nonce", "evil"),
    ("code_challenge", "EVIL0000000000000000000000000000000000000000"),
    ("code_challenge_method", "plain"),
    ("prompt", "none"),
    ("max_age", "0"),
    ("login_hint", "evil"),
    ("resource", "https://mails.example/v1"),
    ("iss", "https://evil.example"),
];

fn with_tampering(path: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(TAMPERED).finish();
    format!("{path}?{query}&scope=mails:read")
}

#[tokio::test]
async fn tampering_with_each_parameter_at_each_step_changes_nothing() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web);
    let first = browser.get(&request.path()).await;
    let page = browser.get(&with_tampering(first.location())).await.expect(200);
    let form = Form::of(&page);
    assert_eq!(page.body.matches(r#"type="hidden""#).count(), 1, "the token of the form and no protocol parameter");
    let fields = [&[("csrf", form.csrf.as_str()), ("username", ALICE), ("password", PASSWORD)][..], TAMPERED].concat();
    let answer = browser.post(&with_tampering(&form.action), &fields).await;
    let next = browser.get(&with_tampering(answer.location())).await;
    let page = browser.get(&with_tampering(next.location())).await.expect(200);
    let form = Form::of(&page);
    assert_eq!(page.body.matches(r#"type="hidden""#).count(), 1);
    let decision = [("csrf", form.csrf.as_str()), ("decision", "allow"), ("scope", "notes:read")];
    // Scopes that were not asked for can be ticked by a script; they are not given.
    let more = [("scope", "mails:read"), ("scope", "keys:verify"), ("scope", "admin")];
    let fields = [&decision[..], &more, TAMPERED].concat();
    let answer = browser.post(&with_tampering(&form.action), &fields).await;
    assert!(answer.location().starts_with("https://app.example/cb?"), "{}", answer.location());
    assert_eq!(answer.sent("state").as_deref(), Some("xyz"));
    assert_eq!(answer.sent("iss").as_deref(), Some(server.issuer()));
    let tokens = server.redeem(&server.world.web, &answer.sent("code").unwrap()).await.expect(200);
    assert_eq!(tokens.text("scope"), "notes:read openid");
    assert_eq!(claims(&tokens.text("id_token"))["nonce"], "n-0S6_WzA2Mj");
}

#[tokio::test]
async fn stored_request_works_only_in_its_browser() {
    on_each_engine(async |server| {
        let (victim, stranger) = (server.browser(), server.browser());
        let form = victim.consent(&AuthorizationRequest::of(&server.world.web)).await;
        stranger.sign_in(BOB, PASSWORD).await.expect(303);
        let id = form.action.rsplit('/').next().unwrap();
        for path in
            [form.action.clone(), format!("/continue/{id}"), format!("/sign-in/{id}"), format!("/start-over/{id}")]
        {
            let answer = stranger.get(&path).await;
            assert_eq!(answer.error_page(), (400, "page_expired".into()), "{path}");
            assert!(!answer.body.contains("Start over"), "{path}");
        }
        let stolen = stranger.post(&form.action, &[("csrf", &form.csrf), ("decision", "allow")]).await;
        assert_eq!(stolen.error_page(), (400, "page_expired".into()));
        let other = stranger.get(&format!("/sign-in/{id}/other")).await;
        assert_eq!(other.error_page(), (400, "page_expired".into()));
        // The victim continues.
        assert!(victim.allow(&form, &["notes:read"]).await.sent("code").is_some());
    })
    .await;
}

#[tokio::test]
async fn a_posted_request_belongs_to_the_browser_that_comes_first() {
    on_each_engine(async |server| {
        let (first, second) = (server.browser(), server.browser());
        let request = AuthorizationRequest::of(&server.world.web);
        let stored = server.caller.post("/authorize", &request.pairs()).await;
        first.follow(stored.clone()).await.expect(200);
        assert_eq!(second.get(stored.location()).await.error_page(), (400, "page_expired".into()));
    })
    .await;
}

#[tokio::test]
async fn ids_that_nobody_gave_lead_nowhere() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.get("/sign-in").await.expect(200);
    for id in ["x", "00000000000000000000000000000000", "%00", "..%2f..%2faccount", &"a".repeat(5_000)] {
        for path in ["continue", "sign-in", "consent", "start-over"] {
            let answer = browser.get(&format!("/{path}/{id}")).await;
            assert_eq!(answer.error_page(), (400, "page_expired".into()), "{path}/{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_is_answered_once_for_a_repeated_form() {
    on_each_engine(async |server| {
        let browser = server.browser();
        let form = browser.consent(&AuthorizationRequest::of(&server.world.web)).await;
        let answers = at_once(6, |_| {
            let (browser, form) = (browser.copy(), form.clone());
            async move { browser.allow(&form, &["notes:read"]).await }
        })
        .await;
        let given = answers.iter().filter(|answer| answer.status == 303).count();
        assert_eq!(given, 1, "{answers:#?}");
        assert!(answers.iter().filter(|answer| answer.status != 303).all(|answer| answer.error_page().0 == 400));
    })
    .await;
}

#[tokio::test]
async fn a_page_that_was_open_too_long_can_be_started_over() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web);
    let form = browser.consent(&request).await;
    server.advance_secs(30 * 60);
    let late = browser.allow(&form, &["notes:read"]).await;
    assert_eq!(late.error_page(), (400, "page_expired".into()));
    let id = form.action.rsplit('/').next().unwrap();
    assert!(late.body.contains(&format!(r#"href="/start-over/{id}""#)), "{}", late.body);
    let page = browser.follow(browser.get(&format!("/start-over/{id}")).await).await.expect(200);
    let again = Form::of(&page);
    assert_ne!(again.action, form.action);
    assert_eq!(browser.allow(&again, &["notes:read"]).await.sent("state").as_deref(), Some("xyz"));
}

#[tokio::test]
async fn deleted_client_is_named_alike_at_every_step() {
    let server = TestServer::start().await;
    let (client, browser) = (&server.world.web, server.browser());
    let consent = browser.consent(&AuthorizationRequest::of(client)).await;
    let sign_in_page = server.browser();
    let sign_in = Form::of(
        &sign_in_page.follow(sign_in_page.get(&AuthorizationRequest::of(client).path()).await).await.expect(200),
    );
    clients::delete(&server.app, &operator(), &client.id, true, |_| Ok(())).await.unwrap();

    let expected = (400, "authorize_client_unknown".to_owned());
    for (browser, form) in [(&browser, &consent), (&sign_in_page, &sign_in)] {
        let shown = browser.get(&form.action).await;
        let submitted = browser.submit(form, &[("decision", "allow"), ("username", "x"), ("password", "y")]).await;
        for page in [shown, submitted] {
            assert_eq!(page.error_page(), expected, "{}", form.action);
            assert!(!page.body.contains("Start over"), "a deleted client can't be started over");
        }
    }
}

#[tokio::test]
async fn images_of_a_foreign_page_store_nothing_and_keep_nobody_out() {
    on_each_engine(async |server| {
        let request = AuthorizationRequest::of(&server.world.web);
        let image = [("sec-fetch-dest", "image"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-site", "cross-site")];
        let frame = [("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate")];
        for headers in [&image[..], &frame] {
            let answer = server.caller.get_with(&request.path(), headers).await;
            assert_eq!(answer.error_page(), (400, "authorize_not_navigated".into()));
            let posted = server.caller.post_with("/authorize", headers, &request.pairs()).await;
            assert_eq!(posted.error_page(), (400, "authorize_not_navigated".into()));
        }
        // Answers without a page work in a frame, as silent renewals need.
        let silent = server.caller.get_with(&request.with("prompt", "none").path(), &frame).await;
        assert_eq!(silent.sent("error").as_deref(), Some("login_required"));
        assert_eq!(server.browser().head(&request.path()).await.status, 400);
        let page = [("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")];
        server.caller.get_with(&request.path(), &page).await.expect(303);
    })
    .await;
}

#[tokio::test]
async fn newcomer_signs_in_where_others_have_begun_and_not_finished() {
    let server = TestServer::start_with(|settings| settings.limits.open_requests_per_network = 3).await;
    let request = AuthorizationRequest::of(&server.world.web);
    let (early, newcomer) = (server.browser(), server.browser());
    let form = early.consent(&request).await;
    for _ in 0..10 {
        server.caller.get(&request.path()).await.expect(303);
    }
    let newcomers = newcomer.consent(&request).await;
    assert!(newcomer.allow(&newcomers, &["notes:read"]).await.sent("code").is_some());
    assert!(early.allow(&form, &["notes:read"]).await.sent("code").is_some(), "who is signed in keeps the place");
}

#[tokio::test]
async fn one_account_can_not_block_its_network() {
    let server = TestServer::start_with(|settings| settings.limits.open_requests_per_network = 25).await;
    let request = AuthorizationRequest::of(&server.world.web);
    let browser = server.browser();
    browser.consent(&request).await;
    for _ in 0..30 {
        browser.get(&request.path()).await.expect(303);
    }
    server.caller.get(&request.path()).await.expect(303);
}

#[tokio::test]
async fn full_network_learns_when_the_first_request_expires() {
    let server = TestServer::start_with(|settings| settings.limits.open_requests_per_network = 2).await;
    let request = AuthorizationRequest::of(&server.world.web);
    let browser = server.browser();
    browser.consent(&request).await;
    server.advance_secs(600);
    browser.get(&request.path()).await.expect(303);
    let refused = server.caller.get(&request.path()).await;
    assert_eq!(refused.error_page(), (429, "authorize_throttled".into()));
    assert_eq!(refused.header("retry-after"), Some("1200"));
}
