//! `/account/keys`: API keys that users make for themselves, for the APIs and with the scopes that allow it.

use doorward_core::scope::Scope;
use doorward_server::manage::{apis, keys, users};
use serde_json::{Value, json};

use crate::harness::*;

/// Lets users make keys with this scope.
pub(crate) async fn open(server: &TestServer, api: &str, scope: &'static str) {
    let edit = |api: &apis::ApiView| {
        let mut to = api.metadata.clone();
        to.user_key_scopes.insert(Scope::parse(scope).unwrap());
        Ok(to)
    };
    apis::update(&server.app, &operator(), api, true, edit).await.unwrap();
}

/// A page with the form of a new key, signed in as Alice.
pub(crate) async fn form(server: &TestServer) -> (Browser, Answer) {
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let page = browser.get("/account/keys/new").await.expect(200);
    (browser, page)
}

pub(crate) fn hidden(page: &Answer, name: &str) -> String {
    let value = page.body.split(&format!(r#"name="{name}" value=""#)).nth(1).unwrap_or_else(|| panic!("{}", page.body));
    value.split('"').next().unwrap().to_owned()
}

/// Sends the form of a page, with other fields.
pub(crate) async fn send(browser: &Browser, page: &Answer, fields: &[(&str, &str)]) -> Answer {
    let (id, seal) = (hidden(page, "id"), hidden(page, "seal"));
    let mut sent = vec![("id", id.as_str()), ("seal", seal.as_str()), ("api", "notes"), ("name", "ci")];
    sent.extend([("lifetime", "90"), ("password", PASSWORD)]);
    let replaced = |name: &str| fields.iter().any(|(other, _)| *other == name);
    sent.retain(|(name, _)| !replaced(name));
    sent.extend(fields);
    browser.submit(&Form::to(page, "/account/keys/new", ""), &sent).await
}

pub(crate) fn secret(page: &Answer) -> String {
    let shown = page.body.split(r#"id="secret" data-copy>"#).nth(1).unwrap_or_else(|| panic!("{}", page.body));
    shown.split('<').next().unwrap().to_owned()
}

pub(crate) async fn verdict(server: &TestServer, key: &str) -> Value {
    let notes = &server.world.notes;
    let by_notes = basic(&notes.id, notes.secret.as_deref().unwrap());
    server.caller.verify_key(("authorization", &by_notes), key, &["notes:read"]).await.expect(200).json()
}

#[tokio::test]
async fn user_makes_renames_and_revokes_a_key() {
    on_each_engine(async |server| {
        open(server, "notes", "notes:read").await;
        let (browser, page) = form(server).await;
        assert!(page.body.contains("Read your notes") && !page.body.contains("Change your notes"), "{}", page.body);
        let created = send(&browser, &page, &[("scope", "notes:read")]).await.expect(200);
        assert_eq!(created.header("cache-control"), Some("no-store"));
        let key = secret(&created);
        let verdict_of_key = verdict(server, &key).await;
        assert_eq!((&verdict_of_key["valid"], &verdict_of_key["principal"]["name"]), (&json!(true), &json!("ci")));
        let alice = users::show(&server.app, &operator(), ALICE).await.unwrap().id;
        assert_eq!(verdict_of_key["principal"]["owner"], alice.to_string());

        let list = browser.get("/account/keys").await.expect(200);
        assert!(list.body.contains("<h2>ci</h2>") && !list.body.contains(&key), "{}", list.body);
        let id = hidden(&page, "id");
        let shown = browser.get(&format!("/account/keys/{id}")).await.expect(200);
        let rename = Form::to(&shown, "/account/keys/rename", &id);
        let renamed = browser.submit(&rename, &[("key", &id), ("name", "build")]).await.expect(303);
        let list = browser.follow(renamed).await.expect(200);
        assert!(
            list.body.contains("<h2>build</h2>") && list.body.contains("The key has its new name."),
            "{}",
            list.body
        );

        let revoke = Form::to(&shown, "/account/keys/revoke", &id);
        let list = browser.follow(browser.submit(&revoke, &[("key", &id)]).await.expect(303)).await.expect(200);
        assert!(list.body.contains("The key is revoked.") && !list.body.contains("<h2>build</h2>"), "{}", list.body);
        assert_eq!(verdict(server, &key).await["code"], "key_revoked");
        let account = browser.get("/account").await.expect(200);
        assert!(
            account.body.contains("You created the API key ci.") && account.body.contains("You revoked an API key.")
        );
    })
    .await;
}

#[tokio::test]
async fn form_that_is_sent_twice_makes_one_key() {
    on_each_engine(async |server| {
        open(server, "notes", "notes:read").await;
        let (browser, page) = form(server).await;
        let first = send(&browser, &page, &[("scope", "notes:read")]).await.expect(200);
        let again = send(&browser, &page, &[("scope", "notes:read")]).await.expect(200);
        assert!(again.body.contains("This key exists") && !again.body.contains(&secret(&first)), "{}", again.body);
        let list = browser.get("/account/keys").await.expect(200);
        assert_eq!(list.body.matches("<h2>").count(), 1, "{}", list.body);
    })
    .await;
}

#[tokio::test]
async fn key_needs_the_password_and_what_the_api_allows() {
    let server = TestServer::start().await;
    open(&server, "notes", "notes:read").await;
    let (browser, page) = form(&server).await;
    let read = ("scope", "notes:read");
    let wrong = send(&browser, &page, &[read, ("password", "a wrong password of mine")]).await.expect(401);
    assert!(wrong.body.contains(r#"aria-describedby="password-mistake" autofocus"#), "{}", wrong.body);
    assert!(wrong.body.contains(r#"value="notes:read" checked"#), "what was chosen stays: {}", wrong.body);
    for (fields, place) in [
        (&[("scope", "notes:write")][..], "scope-mistake"),
        (&[], "scope-mistake"),
        (&[read, ("name", " ")], "name-mistake"),
        (&[read, ("lifetime", "36500")], "lifetime-mistake"),
        (&[read, ("lifetime", "x")], "lifetime-mistake"),
    ] {
        let refused = send(&browser, &page, fields).await.expect(422);
        assert!(refused.body.contains(&format!(r#"id="{place}""#)), "{fields:?}: {}", refused.body);
    }
    send(&browser, &page, &[read, ("api", "mails")]).await.expect(400);
    send(&browser, &page, &[read, ("api", "doorward")]).await.expect(400);
    assert!(browser.get("/account/keys").await.body.contains("You have no keys."), "nothing was created");
}

#[tokio::test]
async fn id_that_the_server_did_not_choose_is_refused() {
    let server = TestServer::start().await;
    open(&server, "notes", "notes:read").await;
    let (browser, page) = form(&server).await;
    let read = ("scope", "notes:read");
    let other = "key_00000000000000000000000000000000";
    assert!(send(&browser, &page, &[read, ("id", other)]).await.status >= 400);
    let bob = server.browser();
    bob.sign_in(BOB, PASSWORD).await.expect(303);
    let of_bob = bob.get("/account/keys/new").await.expect(200);
    let (id, seal) = (hidden(&of_bob, "id"), hidden(&of_bob, "seal"));
    assert!(send(&browser, &page, &[read, ("id", &id), ("seal", &seal)]).await.status >= 400);
    assert!(browser.get("/account/keys").await.body.contains("You have no keys."));
}

#[tokio::test]
async fn key_of_somebody_else_is_as_unknown_as_no_key() {
    let server = TestServer::start().await;
    open(&server, "notes", "notes:read").await;
    let owned = keys::NewKey { owner: Some(format!("user:{BOB}")), ..new_key("notes", "notes:read") };
    let of_bob = keys::create(&server.app, &operator(), owned).await.unwrap();
    let id = of_bob.view.id.to_string();
    let (browser, page) = form(&server).await;
    let csrf = Form::of(&page).csrf;
    let reference = |answer: &Answer| (answer.status, answer.body.contains("not found"));
    let nothing = browser.get("/account/keys/key_00000000000000000000000000000000").await;
    assert_eq!(reference(&browser.get(&format!("/account/keys/{id}")).await), reference(&nothing));
    assert_eq!(nothing.status, 404);
    for action in ["rename", "revoke"] {
        let fields = [("csrf", csrf.as_str()), ("key", &id), ("name", "mine")];
        browser.post(&format!("/account/keys/{action}"), &fields).await.expect(404);
    }
    assert_eq!(verdict(&server, of_bob.key.reveal()).await["principal"]["name"], "key for notes");
}

#[tokio::test]
async fn user_has_only_so_many_keys() {
    on_each_engine_with(
        |settings| settings.limits.keys_per_user = 2,
        async |server| {
            open(server, "notes", "notes:read").await;
            let browser = server.browser();
            browser.sign_in(ALICE, PASSWORD).await.expect(303);
            let create = async || {
                let page = browser.get("/account/keys/new").await.expect(200);
                send(&browser, &page, &[("scope", "notes:read")]).await
            };
            create().await.expect(200);
            let second = create().await.expect(200);
            let refused = create().await.expect(409);
            assert!(refused.body.contains("You have 2 keys, which is the most."), "{}", refused.body);
            let id = keys::show(&server.app, &operator(), &secret(&second)).await.unwrap().id;
            keys::revoke(&server.app, &operator(), id.as_str()).await.unwrap();
            create().await.expect(200);
        },
    )
    .await;
}

#[tokio::test]
async fn users_see_nothing_of_keys_where_no_api_allows_them() {
    let server = TestServer::start().await;
    let browser = server.browser();
    for path in ["/account/keys", "/account/keys/new", "/account/keys/key_00000000000000000000000000000000"] {
        assert_eq!(browser.get(path).await.location(), "/sign-in");
    }
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    assert!(!browser.get("/account").await.expect(200).body.contains("/account/keys"));
    assert!(!browser.get("/account/keys").await.expect(200).body.contains("/account/keys/new"));
    browser.get("/account/keys/new").await.expect(400);
    open(&server, "notes", "notes:read").await;
    assert!(browser.get("/account").await.expect(200).body.contains("/account/keys"));
    open(&server, "mails", "mails:read").await;
    let which = browser.get("/account/keys/new").await.expect(200);
    assert!(which.body.contains("/account/keys/new?api=mails") && which.body.contains("?api=notes"), "{}", which.body);
    assert!(browser.get("/account/keys/new?api=mails").await.expect(200).body.contains("Read your mails"));
}
