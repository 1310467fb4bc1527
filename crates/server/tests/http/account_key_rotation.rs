//! `/account/keys/{key_id}` and `/account/keys/{key_id}/rotate`: how an own key is used, rotated, and found to have leaked.

use doorward_core::{clock::Timestamp, new_api_key::Expiry};
use doorward_server::manage::keys::{self, KeyState};
use serde_json::json;

use crate::{
    account_keys::{hidden, open, secret, verdict},
    harness::*,
    leaks::{report, set_policy},
    manage::manager::Manager,
};

const DAY: i64 = 86_400;

/// A key that Alice created, and her browser.
struct Own {
    browser: Browser,
    id: String,
    secret: String,
}

impl Own {
    async fn create(server: &TestServer) -> Self {
        open(server, "notes", "notes:read").await;
        let (browser, page) = crate::account_keys::form(server).await;
        let created = crate::account_keys::send(&browser, &page, &[("scope", "notes:read")]).await.expect(200);
        Self { browser, id: hidden(&page, "id"), secret: secret(&created) }
    }

    /// The page of a key.
    async fn page(&self, id: &str) -> Answer {
        self.browser.get(&format!("/account/keys/{id}")).await.expect(200)
    }

    /// The form that rotates the key.
    async fn rotation_form(&self) -> Answer {
        self.browser.get(&format!("/account/keys/{}/rotate", self.id)).await.expect(200)
    }

    /// Sends that form.
    async fn rotate(&self, form: &Answer, overlap: &str, password: &str) -> Answer {
        let (id, seal) = (hidden(form, "id"), hidden(form, "seal"));
        let fields = [("id", &*id), ("seal", &seal), ("overlap", overlap), ("password", password)];
        let action = format!("/account/keys/{}/rotate", self.id);
        self.browser.submit(&Form::to(form, &action, ""), &fields).await
    }

    async fn revoke(&self, page: &Answer, id: &str) -> Answer {
        let form = Form::to(page, "/account/keys/revoke", id);
        self.browser.submit(&form, &[("key", id)]).await.expect(303)
    }
}

fn chosen(form: &Answer) -> &str {
    let before = form.body.split(" selected>").next().unwrap();
    before.rsplit('"').nth(1).unwrap()
}

#[tokio::test]
async fn user_rotates_a_key_and_ends_the_old_one() {
    on_each_engine(async |server| {
        let own = Own::create(server).await;
        let form = own.rotation_form().await;
        assert_eq!(chosen(&form), (7 * DAY).to_string(), "the overlap that the API sets");
        let created = own.rotate(&form, &DAY.to_string(), PASSWORD).await.expect(200);
        assert_eq!(created.header("cache-control"), Some("no-store"));
        let (successor, successor_id) = (secret(&created), hidden(&form, "id"));
        for key in [&own.secret, &successor] {
            assert_eq!(verdict(server, key).await["valid"], true);
        }
        let old = own.page(&own.id).await;
        assert!(
            old.body.contains("This key is being replaced") && old.body.contains("has not been used"),
            "{}",
            old.body
        );
        server.app.flush_uses().await.unwrap();
        let old = own.page(&own.id).await;
        assert!(old.body.contains("is in use.") && !old.body.contains(r#"id="revoke""#), "{}", old.body);
        let list = own.browser.get("/account/keys").await.expect(200);
        assert!(list.body.contains("being replaced") && !list.body.contains(&successor), "{}", list.body);
        let account = own.browser.get("/account").await.expect(200);
        assert!(account.body.contains("The API key ci got a successor."), "{}", account.body);

        let new = own.page(&successor_id).await;
        assert!(new.body.contains("The key that this one replaces"), "{}", new.body);
        own.revoke(&new, &own.id).await;
        assert_eq!(verdict(server, &own.secret).await["code"], "key_revoked");
        assert_eq!(verdict(server, &successor).await["valid"], true);
    })
    .await;
}

#[tokio::test]
async fn rotation_form_that_is_sent_twice_makes_one_successor() {
    on_each_engine(async |server| {
        let own = Own::create(server).await;
        let form = own.rotation_form().await;
        let first = own.rotate(&form, "604800", PASSWORD).await.expect(200);
        let again = own.rotate(&form, "604800", PASSWORD).await.expect(200);
        assert!(again.body.contains("This key exists") && !again.body.contains(&secret(&first)), "{}", again.body);
        let list = own.browser.get("/account/keys").await.expect(200);
        assert_eq!(list.body.matches("<h2>").count(), 2, "{}", list.body);
        // Another form does not rotate it again: it leads to the page, which names the successor.
        let path = format!("/account/keys/{}", own.id);
        assert_eq!(own.browser.get(&format!("{path}/rotate")).await.expect(303).location(), path);
    })
    .await;
}

#[tokio::test]
async fn rotation_needs_the_password_and_an_offered_overlap() {
    let server = TestServer::start().await;
    let own = Own::create(&server).await;
    let form = own.rotation_form().await;
    let wrong = own.rotate(&form, &DAY.to_string(), "a wrong password of mine").await.expect(401);
    assert!(wrong.body.contains(r#"aria-describedby="password-mistake" autofocus"#), "{}", wrong.body);
    assert_eq!(chosen(&wrong), DAY.to_string(), "what was chosen stays");
    let refused = own.rotate(&form, "31536000", PASSWORD).await.expect(422);
    assert!(refused.body.contains(r#"id="overlap-mistake""#), "{}", refused.body);
    own.rotate(&form, "soon", PASSWORD).await.expect(400);
    assert!(!own.page(&own.id).await.body.contains("being replaced"));
    // A form of another browser is no form of this one.
    let bob = server.browser();
    bob.sign_in(BOB, PASSWORD).await.expect(303);
    bob.get(&format!("/account/keys/{}/rotate", own.id)).await.expect(404);
}

#[tokio::test]
async fn old_key_that_ends_at_once_is_refused_at_once() {
    on_each_engine(async |server| {
        let own = Own::create(server).await;
        let created = own.rotate(&own.rotation_form().await, "0", PASSWORD).await.expect(200);
        assert!(created.body.contains("which has ended"), "{}", created.body);
        assert_eq!(verdict(server, &own.secret).await["code"], "key_expired");
        assert_eq!(verdict(server, &secret(&created)).await["valid"], true);
        assert!(own.page(&own.id).await.body.contains("This key was replaced"));
    })
    .await;
}

#[tokio::test]
async fn successor_waits_until_its_predecessor_has_ended() {
    let server = TestServer::start().await;
    let own = Own::create(&server).await;
    let form = own.rotation_form().await;
    own.rotate(&form, "604800", PASSWORD).await.expect(200);
    let successor = Own { id: hidden(&form, "id"), ..own };
    let page = successor.page(&successor.id).await;
    assert!(!page.body.contains(r#"id="rotate""#), "{}", page.body);
    let path = format!("/account/keys/{}", successor.id);
    assert_eq!(successor.browser.get(&format!("{path}/rotate")).await.expect(303).location(), path);
}

#[tokio::test]
async fn second_successor_has_the_lifetime_of_the_key() {
    on_each_engine(async |server| {
        let own = Own::create(server).await;
        let first = own.rotation_form().await;
        own.rotate(&first, &DAY.to_string(), PASSWORD).await.expect(200);
        let lost = hidden(&first, "id");
        own.revoke(&own.page(&lost).await, &lost).await;
        let second = own.rotation_form().await;
        own.rotate(&second, &DAY.to_string(), PASSWORD).await.expect(200);
        let view = keys::show(&server.app, &operator(), &hidden(&second, "id")).await.unwrap();
        let lifetime = view.expires_at.map(|end: Timestamp| end.as_secs() - view.created_at.as_secs());
        assert_eq!(lifetime, Some(90 * DAY), "not the day that was left of the old key");
    })
    .await;
}

#[tokio::test]
async fn key_that_users_could_not_create_is_left_to_operators() {
    on_each_engine(async |server| {
        let own = Own::create(server).await;
        let given = keys::NewKey {
            owner: Some(format!("user:{ALICE}")),
            expiry: Expiry::Never,
            ..new_key("notes", "notes:read")
        };
        let given = keys::create(&server.app, &operator(), given).await.unwrap();
        let of_operator = Own { id: given.view.id.to_string(), ..own };
        let page = of_operator.page(&of_operator.id).await;
        assert!(page.body.contains("Ask the operator to rotate it."), "{}", page.body);
        let path = format!("/account/keys/{}/rotate", of_operator.id);
        of_operator.browser.get(&path).await.expect(303);
        // Where the API lets keys rotate themselves, users may rotate it too.
        let manager = Manager::of_all(server).await;
        let apis = manager.get("/v1/apis").await.expect(200).json();
        let notes = apis["items"].as_array().unwrap().iter().find(|api| api["name"] == "notes").unwrap().clone();
        let notes = format!("/v1/apis/{}", notes["id"].as_str().unwrap());
        manager.patch(&notes, json!({"key_policy": {}})).await.expect(200);
        let form = of_operator.rotation_form().await;
        of_operator.rotate(&form, "0", PASSWORD).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn page_counts_what_was_allowed_and_refused() {
    on_each_engine(async |server| {
        let own = Own::create(server).await;
        assert!(own.page(&own.id).await.body.contains("Not used."));
        let notes = &server.world.notes;
        let by_notes = basic(&notes.id, notes.secret.as_deref().unwrap());
        for (scope, times) in [("notes:read", 3), ("notes:write", 2)] {
            for _ in 0..times {
                server.caller.verify_key(("authorization", &by_notes), &own.secret, &[scope]).await.expect(200);
            }
        }
        server.app.flush_uses().await.unwrap();
        let page = own.page(&own.id).await;
        assert!(page.body.contains("3 allowed, 2 refused. At most 5 on one day."), "{}", page.body);
        assert_eq!((page.body.matches("<rect x=").count(), page.body.matches(r#"class="refused" x="#).count()), (1, 2));
        assert!(page.body.contains("<td>3</td><td>2</td>") && !page.body.contains("style="), "{}", page.body);
        server.advance_secs(30 * DAY as u64);
        let later = own.browser.sign_in(ALICE, PASSWORD).await;
        assert_eq!(later.status, 303);
        assert!(own.page(&own.id).await.body.contains("Not used."), "only the last 30 days are shown");
    })
    .await;
}

#[tokio::test]
async fn leaked_key_is_reported_to_its_user() {
    on_each_engine(async |server| {
        let own = Own::create(server).await;
        let manager = Manager::of_all(server).await;
        set_policy(&manager, "flag").await;
        assert!(!own.browser.get("/account").await.body.contains(r#"id="leaked""#));
        let source = "https://git.example/<acme>/config.env";
        report(&server.caller, json!({"key": own.secret, "source": source})).await;
        let page = own.page(&own.id).await;
        for text in
            ["This key leaked", "https://git.example/&#60;acme&#62;/config.env", "It still works. Rotate it now"]
        {
            assert!(page.body.contains(text), "{text}: {}", page.body);
        }
        let list = own.browser.get("/account/keys").await.expect(200);
        assert!(
            list.body.contains("ci leaked") && list.body.contains(r#"class="notice wrong" id="leaked"#),
            "{}",
            list.body
        );
        assert!(own.browser.get("/account").await.expect(200).body.contains("An API key of yours leaked"));
        let form = own.rotation_form().await;
        assert_eq!(chosen(&form), "0", "the old key ends at once");
        own.rotate(&form, "0", PASSWORD).await.expect(200);
        let list = own.browser.get("/account/keys").await.expect(200);
        assert!(list.body.contains("It can no longer be used."), "{}", list.body);
        let state = keys::show(&server.app, &operator(), &own.id).await.unwrap().state;
        assert_eq!(state, KeyState::Expired);
        server.advance_secs(31 * DAY as u64);
        own.browser.sign_in(ALICE, PASSWORD).await.expect(303);
        assert!(!own.browser.get("/account/keys").await.expect(200).body.contains("ci leaked"));
    })
    .await;
}

#[tokio::test]
async fn key_that_a_leak_revoked_is_still_reported() {
    let server = TestServer::start().await;
    let own = Own::create(&server).await;
    report(&server.caller, json!({"key": own.secret, "source": "a chat"})).await;
    let list = own.browser.get("/account/keys").await.expect(200);
    assert!(list.body.contains("ci leaked") && !list.body.contains("<h2>ci"), "{}", list.body);
    let page = own.page(&own.id).await;
    assert!(page.body.contains("It can no longer be used."), "{}", page.body);
    for form in ["rotate", "rename", "revoke"] {
        assert!(!page.body.contains(&format!(r#"id="{form}""#)), "{form}: {}", page.body);
    }
    let bob = server.browser();
    bob.sign_in(BOB, PASSWORD).await.expect(303);
    assert!(!bob.get("/account/keys").await.expect(200).body.contains("leaked"));
}
