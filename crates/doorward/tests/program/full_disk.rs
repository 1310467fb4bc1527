//! A disk that is full: what has to be written is 503 with `Retry-After`, the rest continues, and when there is room
//! again the same process writes again.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::{Answer, Running, eventually, form, http, with_key};

/// Lets no file of the process grow beyond `bytes`, or lifts that.
pub(crate) fn limit_files(demo: &Running, bytes: Option<u64>) {
    let pid = i32::try_from(demo.pid()).ok().and_then(Pid::from_raw).expect("a process id");
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(pid), Resource::Fsize, limit).expect("the limit is set");
}

/// An authorization request, which is stored until somebody has signed in.
fn authorize(demo: &Running) -> Answer {
    let query = format!(
        "response_type=code&client_id={}&redirect_uri={}&scope=openid&state=s&code_challenge_method=S256\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        demo.get("client_id"),
        demo.get("redirect_uri"),
    );
    http("GET", &format!("{}/authorize?{query}", demo.get("issuer")), &[], "").expect("the server answers")
}

fn token(demo: &Running) -> Answer {
    let (id, secret) = (demo.get("client_id"), demo.get("client_secret"));
    let pairs = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    form(&format!("{}/token", demo.get("issuer")), &[&pairs[..], &[("scope", "notes:read")]].concat())
}

#[test]
fn full_disk_is_503_for_writes_and_recovers_without_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let demo = Running::demo_on_a_disk_that_may_fill(&folder.path().join("data"));
    assert_eq!(authorize(&demo).status, 303);

    limit_files(&demo, Some(1));
    for _ in 0..3 {
        let refused = authorize(&demo);
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert!(refused.head.contains("retry-after: 2"), "{}", refused.head);
    }
    assert_eq!(token(&demo).status, 200, "a signature needs no disk");
    assert_eq!(with_key(&demo, "GET", "/notes", demo.get("api_key")), 200);

    limit_files(&demo, None);
    eventually("there is room again", || authorize(&demo).status == 303);
    assert_eq!(demo.terminate(), Some(0));
}
