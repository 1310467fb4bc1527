//! The pages about denials, to which the `type` of a problem leads.

use doorward_core::denial::Denial;

use crate::harness::*;

#[tokio::test]
async fn type_of_a_problem_leads_to_its_page() {
    let server = TestServer::start().await;
    let answer = server.caller.userinfo(&server.world.key).await;
    let kind = answer.text("type");
    assert_eq!(kind, format!("{}/denials/{}", server.issuer(), answer.text("code")));
    let page = server.caller.get(&kind).await.expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.body.contains(Denial::TokenMalformed.remedy().split('`').next().unwrap()), "{}", page.body);
}

#[tokio::test]
async fn every_code_has_a_page_with_all_that_can_be_behind_it() {
    let server = TestServer::start().await;
    let list = server.caller.get("/denials").await.expect(200).body;
    for denial in Denial::ALL {
        assert!(list.contains(&format!("href=\"/denials/{}\"", denial.code())), "{denial}");
        for code in [denial.code(), denial.shown_as()] {
            let page = server.caller.get(&format!("/denials/{code}")).await.expect(200).body;
            for reason in Denial::behind(code) {
                // Up to the first character that HTML writes otherwise.
                let plain = |text: &'static str| text.split(['`', '\'', '"', '<', '&']).next().unwrap();
                for text in [reason.sentence(), reason.cause(), reason.remedy()] {
                    assert!(page.contains(plain(text)), "{code}: {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn code_that_does_not_exist_has_no_page() {
    let server = TestServer::start().await;
    for path in ["/denials/nothing", "/denials/%3Cscript%3E", "/denials/", "/denials/key_unknown/x"] {
        assert_eq!(server.caller.get(path).await.problem(), (404, "not_found".into()), "{path}");
    }
}

#[tokio::test]
async fn typed_text_is_marked_as_code() {
    let server = TestServer::start().await;
    for path in ["/denials", "/denials/scope_missing"] {
        let page = server.caller.get(path).await.expect(200).body;
        assert!(!page.contains('`'), "{path}: {page}");
    }
    let page = server.caller.get("/denials/scope_missing").await.expect(200).body;
    assert!(page.contains("<code>doorward client create --default-scope</code>"), "{page}");
}
