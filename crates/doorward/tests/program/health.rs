//! What orchestrators ask: whether the program works, and whether requests may come.

use std::fs;

use crate::support::{Running, eventually, http};

#[test]
fn server_that_is_told_to_end_is_not_ready_first_and_answers_until_its_delay_is_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, url) = crate::serve::made(folder.path());
    let text = fs::read_to_string(&config).expect("the configuration");
    fs::write(&config, text.replacen("[listen]\n", "[listen]\nshutdown_delay = \"3s\"\n", 1)).expect("written");
    let server = Running::serve(&config, &url);
    let ask = |path: &str| http("GET", &format!("{url}{path}"), &[], "");

    server.signal("TERM");
    let mut last = None;
    eventually("it is not ready", || {
        last = ask("/health/ready");
        last.as_ref().is_some_and(|answer| answer.status == 503)
    });
    let told = last.expect("an answer").json();
    assert_eq!((&told["status"], &told["checks"]["shutdown"]), (&"not_ready".into(), &"has begun".into()), "{told}");
    assert_eq!(told["checks"]["database"], "ok");
    assert_eq!(ask("/health/live").expect("an answer").status, 200);
    assert_eq!(ask("/jwks").expect("an answer").status, 200, "requests are answered");
    assert_eq!(server.exit_code(), Some(0));
    assert!(ask("/health/live").is_none());
}
