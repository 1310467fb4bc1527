//! Secrets that can be recognised are put everywhere one can enter; afterwards no log, audit row, error body, `Debug`
//! or byte of the database holds one (security.md, section 9).

use doorward_core::{
    client::{AuthenticationMethod, GrantType},
    client_auth::ASSERTION_TYPE,
    client_metadata::{ClientKeys, ClientMetadata},
    clock::Timestamp,
    jwk::{Algorithm, SigningKey},
    jws,
    scope::ScopeSet,
    user::UserMetadata,
};
use doorward_guard::SystemRng;
use doorward_server::{
    actor::Actor,
    manage::{clients, keys, times, users},
};
use reqwest::Method;
use serde_json::json;

use crate::{denials::scene::Api, harness::*, manage::manager::Manager};

/// What must not be found, by its name.
#[derive(Default)]
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn add(&mut self, name: &str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 16, "{name} is too short to be recognised: {secret}");
        self.0.push((name.to_owned(), secret.clone()));
        secret
    }

    /// No canary is in `text`, neither whole nor by its distinctive part.
    #[track_caller]
    fn assert_absent(&self, place: &str, text: &[u8]) {
        for (name, secret) in &self.0 {
            let is_there = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
            assert!(!is_there(secret.as_bytes()), "{name} is in {place}");
            // As PostgreSQL shows bytes.
            let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!is_there(hexadecimal.as_bytes()), "{name} is in {place}, in hexadecimal digits");
            // The last characters alone would do to recognise it, and so to guess at it.
            let tail = &secret.as_bytes()[secret.len() - 16..];
            assert!(!is_there(tail), "the end of {name} is in {place}");
        }
    }
}

#[tokio::test]
async fn no_secret_appears_in_logs_audit_errors_or_the_database() {
    on_each_engine(leave_no_secret).await;
}

async fn leave_no_secret(server: &TestServer) {
    let logs = Logs::listen();
    let (web, native) = (server.world.web.clone(), server.world.native.clone());
    let mut canaries = Canaries::default();
    canaries.add("the master key", server.master_key());
    canaries.add("a client secret", web.secret.clone().unwrap());
    canaries.add("the credential of an API", server.world.notes.secret.clone().unwrap());
    canaries.add("a key", server.world.key.clone());
    canaries.add("a management key", server.world.management_key.clone());
    let mut errors: Vec<String> = Vec::new();

    // People.
    let password = canaries.add("a password", "canary-password-0123456789");
    let metadata = UserMetadata { username: "canary".into(), ..UserMetadata::default() };
    users::create(&server.app, &operator(), metadata, password.as_str().into()).await.unwrap();
    let manager = Manager::of_all(server).await;
    canaries.add("the key of a manager", manager.key.clone());
    let managed = canaries.add("a password of a new user", "canary-managed-password-1122334455");
    let key = [("idempotency-key", "0123456789abcdef-users")];
    let new = json!({"username": "managed", "password": managed});
    let created = manager.send(Method::POST, "/v1/users", &key, Some(new)).await.expect(201);
    errors.push(manager.post("/v1/users", json!({"username": "managed", "password": managed})).await.expect(409).body);
    errors.push(manager.post("/v1/users", json!({"username": 5, "password": [managed]})).await.expect(422).body);
    let set = canaries.add("a password that is set", "canary-set-password-6677889900");
    let path = format!("/v1/users/{}/password", created.text("id"));
    errors.push(manager.post(&path, json!({"password": set})).await.expect(200).body);
    errors.push(manager.post(&path, json!({"password": set, "colour": set})).await.expect(422).body);
    errors.push(created.body);
    let browser = server.browser();
    let wrong = canaries.add("a wrong password", "canary-wrong-password-9876543210");
    let as_name = canaries.add("a password typed as a name", "canary-typed-as-a-name-5647382910");
    errors.push(browser.sign_in("canary", &wrong).await.body);
    // The page shows what was typed to who typed it.
    browser.sign_in(&as_name, "x").await.expect(401);
    browser.sign_in("canary", &password).await.expect(303);
    for name in ["doorward-session", "doorward-device", "doorward-browser"] {
        canaries.add(name, browser.cookie(name).unwrap());
    }
    let page = browser.get("/account").await.expect(200);
    canaries.add("a form's token", Form::of(&page).csrf);
    let forged = canaries.add("a forged form's token", "canary-forged-token-of-a-form-7788");
    errors.push(browser.post("/account/sign-out", &[("csrf", &forged)]).await.expect(403).body);
    let planted = canaries.add("a planted session", "canary-planted-in-the-session-9900");
    let stranger = server.browser();
    stranger.set_cookie("doorward-session", &planted);
    errors.push(stranger.get("/account").await.body);

    // The code flow. What the client chose itself goes back to it and is no secret of ours, but stays out of logs.
    let verifier = canaries.add("a verifier", "canary-verifier-canary-verifier-canary-verifier-1");
    let digest = doorward_core::digest::Digest::sha256(verifier.as_bytes());
    let challenge = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest.as_bytes());
    let request = AuthorizationRequest::of(&web).with("code_challenge", &challenge);
    let form = Form::of(&browser.follow(browser.get(&request.path()).await).await);
    canaries.add("the id of a stored request", form.action.rsplit('/').next().unwrap());
    let code = browser.allow(&form, &["notes:read", "offline_access"]).await.sent("code").unwrap();
    canaries.add("a code", code.clone());
    let redeem = |verifier: &str, code: &str| {
        let form = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", verifier)];
        form.map(|(name, value)| (name, value.to_owned()))
    };
    let send = async |form: &[(&'static str, String)]| {
        let form: Vec<_> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.caller.token(&web, &form).await
    };
    let wrong_verifier = canaries.add("a wrong verifier", "canary-wrong-verifier-canary-wrong-verifier-22222");
    errors.push(send(&redeem(&wrong_verifier, &code)).await.expect(400).body);
    let tokens = send(&redeem(&verifier, &code)).await.expect(200);
    let access_token = canaries.add("an access token", tokens.text("access_token"));
    canaries.add("an id_token", tokens.text("id_token"));
    let oldest = canaries.add("a refresh token", tokens.text("refresh_token"));
    let middle = server.caller.refresh(&web, &oldest).await.expect(200).text("refresh_token");
    let middle = canaries.add("its successor", middle);
    let repeated = server.caller.refresh(&web, &oldest).await.expect(200);
    canaries.add("a repeated access token", repeated.text("access_token"));
    let newest = server.caller.refresh(&web, &middle).await.expect(200).text("refresh_token");
    canaries.add("the newest refresh token", newest);
    errors.push(server.caller.refresh(&native, &middle).await.expect(400).body);
    errors.push(server.caller.refresh(&web, &oldest).await.expect(400).body);
    errors.push(send(&redeem(&verifier, &code)).await.expect(400).body);
    errors.push(server.caller.userinfo(&access_token).await.expect(401).body);

    // Tokens of clients, opaque ones, and what is not a token.
    let opaque = server.caller.client_credentials(&web, "mails:read").await.text("access_token");
    let opaque = canaries.add("an opaque token", opaque);
    server.caller.post_as(&web, "/introspect", &[("token", &opaque)]).await.expect(200);
    errors.push(server.caller.post_as(&native, "/revoke", &[("token", &opaque)]).await.expect(400).body);
    server.caller.post_as(&web, "/revoke", &[("token", &opaque)]).await.expect(200);
    let nonsense = canaries.add("what is no token", "canary-that-is-no-token-at-all-1122");
    errors.push(server.caller.userinfo(&nonsense).await.expect(401).body);
    errors.push(server.caller.post_as(&web, "/introspect", &[("token", &nonsense)]).await.expect(200).body);

    // Client authentication.
    let wrong_secret = canaries.add("a wrong secret", "canary-wrong-secret-of-a-client-3344");
    let authorization = basic(&web.id, &wrong_secret);
    let grant = [("grant_type", "client_credentials")];
    let by_basic = server.caller.post_with("/token", &[("authorization", &authorization)], &grant).await;
    errors.push(by_basic.expect(401).body);
    let by_post = [grant[0], ("client_id", &web.id), ("client_secret", &wrong_secret)];
    errors.push(server.caller.post("/token", &by_post).await.expect(401).body);
    let as_id = canaries.add("a secret sent as client_id", "dw_cs_canarySentWhereTheIdBelongs0099887766");
    errors.push(server.caller.post("/token", &[grant[0], ("client_id", &as_id)]).await.expect(401).body);
    let malformed = canaries.add("a malformed header", "Y2FuYXJ5LW1hbGZvcm1lZC1iYXNpYw");
    let header = format!("Basic %%{malformed}");
    errors.push(server.caller.post_with("/token", &[("authorization", &header)], &grant).await.expect(400).body);
    let signer = SigningKey::generate("robot".into(), Algorithm::EdDSA, &SystemRng::default()).unwrap();
    let new = ClientMetadata {
        grant_types: grants([GrantType::ClientCredentials]),
        redirect_uris: vec![],
        default_scope: ScopeSet::parse("notes:read").unwrap(),
        jwks: ClientKeys::parse(json!({"keys": [signer.public_jwk()]}).to_string().as_bytes()).ok(),
        ..client("Robot", AuthenticationMethod::PrivateKeyJwt, "https://robot.example/cb")
    };
    let robot = register(&server.app, new).await;
    let (issuer, now) = (server.issuer(), server.now());
    let claims = json!({"iss": robot.id, "sub": robot.id, "aud": issuer, "jti": "canary-id-of-an-assertion-55667788",
        "iat": now, "exp": now + 60});
    canaries.add("the id of an assertion", "canary-id-of-an-assertion-55667788");
    let assertion = jws::sign(&signer, "JWT", claims.to_string().as_bytes()).unwrap();
    let assertion = canaries.add("an assertion", assertion);
    let asserted = [grant[0], ("client_assertion_type", ASSERTION_TYPE), ("client_assertion", &assertion)];
    server.caller.post("/token", &asserted).await.expect(200);
    errors.push(server.caller.post("/token", &asserted).await.expect(401).body);
    let rotated = clients::rotate_secret(&server.app, &operator(), &robot.id, |_| Ok(())).await;
    assert!(rotated.is_err(), "a client that signs has no secret");

    // An API behind a guard, in this process, whose log is heard as well.
    let api = Api::serve(server).await;

    // Keys: good, revoked, of another API, mistyped, in a URL, in a path.
    let notes = &server.world.notes;
    let by_notes = basic(&notes.id, notes.secret.as_deref().unwrap());
    let created = keys::create(&server.app, &operator(), new_key("notes", "notes:read")).await.unwrap();
    let revoked = canaries.add("a revoked key", created.key.reveal());
    keys::revoke(&server.app, &Actor::command_line("tester"), &revoked).await.unwrap();
    let mut mistyped = server.world.key.clone();
    mistyped.replace_range(10..11, if mistyped.as_bytes()[10] == b'a' { "b" } else { "a" });
    for key in [&server.world.key, &revoked, &server.world.management_key, &mistyped, &nonsense] {
        errors.push(server.caller.verify_key(("authorization", &by_notes), key, &[]).await.expect(200).body);
        errors.push(server.caller.verify_key(("x-api-key", key), key, &[]).await.body);
        errors.push(server.caller.get(&format!("/v1/keys/verify?key={key}")).await.body);
        errors.push(server.caller.get(&format!("/userinfo?access_token={key}")).await.expect(400).body);
    }
    for key in [&server.world.key, &revoked, &server.world.management_key, &mistyped] {
        let encoded = key.replace('_', "%5F");
        for path in [format!("/{key}"), format!("/x{key}y"), format!("/{encoded}"), encoded.replace('%', "%25")] {
            errors.push(server.caller.get(&format!("/v1/keys/{path}")).await.body);
            errors.push(api.caller.get(&format!("/{path}")).await.expect(401).body);
        }
        // A browser's name is kept with its session.
        let (named, page) = (server.browser(), [("user-agent", format!("curl/8 {key}"))]);
        let headers = page.each_ref().map(|(name, value)| (*name, value.as_str()));
        let form = Form::of(&named.get_with("/sign-in", &headers).await.expect(200));
        let fields = [("csrf", form.csrf.as_str()), ("username", "canary"), ("password", &password)];
        named.post_with(&form.action, &headers, &fields).await.expect(303);
    }
    errors.push(server.caller.get(&format!("/userinfo?x={access_token}")).await.expect(400).body);

    // Everything at the API.
    for credential in [&server.world.key, &revoked, &mistyped, &opaque, &access_token, &middle, &nonsense] {
        for header in [("x-api-key", credential.clone()), ("authorization", format!("Bearer {credential}"))] {
            errors.push(api.caller.get_with("/me", &[(header.0, &header.1)]).await.body);
        }
        errors.push(api.caller.get(&format!("/me?access_token={credential}")).await.expect(400).body);
        // A text without one of our forms could be a name.
        if *credential != nonsense {
            errors.push(api.caller.get(&format!("/me/x={credential}")).await.expect(401).body);
        }
    }
    // The way through the URL that a route allows, in the process and by what an API passes on.
    let export = format!("/export?page=2&api_key={}", server.world.key);
    assert_eq!(api.caller.get(&export).await.expect(200).body, "/export?page=2");
    errors.push(api.caller.get(&format!("/export?api_key={mistyped}")).await.expect(401).body);
    let passed_on = json!({"headers": {}, "method": "GET", "uri": export, "address": "192.0.2.1",
        "allow_keys_in_query": {"parameter": "api_key", "route": "GET /export", "networks": ["192.0.2.0/24"],
            "per_minute": 10, "until": times::rfc3339(Timestamp::from_secs(server.now() + 60))}});
    let request = server.caller.request(Method::POST, "/v1/requests/verify").json(&passed_on);
    let verdict = server.caller.send(request.header("authorization", &by_notes)).await.expect(200);
    assert_eq!(verdict.json()["uri"], "/export?page=2", "{}", verdict.body);
    errors.push(verdict.body);
    api.guard.flush().await;
    let report = manager.get("/v1/legacy").await.expect(200);
    assert_eq!(report.json()["items"], json!([]), "it is written within seconds");
    server.app.flush_legacy_uses().await.unwrap();
    let report = manager.get("/v1/legacy").await.expect(200);
    assert_eq!(report.json()["items"].as_array().map(Vec::len), Some(2), "{}", report.body);
    errors.push(report.body);

    // The sweep and the queues have written what they write.
    server.refusals(20).await;
    doorward_server::tasks::run_due(&server.app).await.unwrap();
    let audit = server.audit("everything", |events| !events.is_empty()).await;
    canaries.assert_absent("the audit", serde_json::to_string(&audit).unwrap().as_bytes());
    for error in &errors {
        canaries.assert_absent("an answer", error.as_bytes());
    }
    let shown = format!("{:?} {:?} {:?} {:?}", server.app, server.app.store, server.app.settings, created.key);
    canaries.assert_absent("a Debug", shown.as_bytes());
    let logged = logs.text();
    assert!(logged.contains("refused"), "the log was heard");
    canaries.assert_absent("the log", logged.as_bytes());
    for (place, bytes) in server.database.contents().await {
        assert!(!bytes.is_empty() || !place.ends_with(".db"), "{place} was read");
        canaries.assert_absent(&place, &bytes);
    }
}
