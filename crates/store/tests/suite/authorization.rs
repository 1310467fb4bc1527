//! A stored authorization request is bound to one browser and answered once, in time.

use std::time::Duration;

use doorward_core::{
    authorization_request::AuthorizationRequest,
    authorization_response::{ResponseMode, Target},
    checksummed,
    digest::{Digest, KeyedDigest},
    form::Parameters,
    network::Network,
    pkce::CodeChallenge,
};
use doorward_store::{
    authorization::{
        Answer, AnswerRequest, BindRequest, FindRequest, KeepRequest, OldestRequestKept, RemoveRequests, StoreRequest,
        Stored, StoredRequest,
    },
    sessions::{EndSessions, WhichSessions},
    users::{ChangeUser, UserChange},
};

use crate::{
    harness::on_each_engine,
    world::{CHALLENGE, REDIRECT_URI, World, race},
};

fn request(world: &World, response_type: &str) -> AuthorizationRequest {
    let form = format!("client_id={}&redirect_uri={REDIRECT_URI}&response_type={response_type}", world.public.id);
    let form = Parameters::parse(form.as_bytes()).unwrap();
    AuthorizationRequest {
        client_id: world.public.id.clone(),
        target: Target::find(&form, Some(&world.public)).unwrap(),
        scopes: world.public.metadata.scope.clone(),
        resources: vec![],
        code_challenge: CodeChallenge::parse(CHALLENGE).ok(),
        nonce: None,
        prompt: Default::default(),
        max_age: None,
        login_hint: None,
        expected_user: None,
    }
}

async fn stored(world: &World, request: AuthorizationRequest) -> (KeyedDigest, StoredRequest) {
    let digest = world.digest(&checksummed::random_text(32, &world.rng));
    let stored = StoredRequest {
        request,
        browser: Digest::sha256(b"unbound"),
        requested_at: world.now(),
        expires_at: world.now().plus(Duration::from_secs(600)),
        answered_at: None,
    };
    let store =
        StoreRequest { digest: digest.clone(), stored: stored.clone(), network: network(1), most: 1_000, user: None };
    assert_eq!(world.write(store).await, Stored::Yes);
    (digest, stored)
}

fn network(last: u8) -> Network {
    Network::of([192, 0, 2, last].into())
}

async fn find(world: &World, digest: &KeyedDigest) -> Option<StoredRequest> {
    world.read(FindRequest { candidates: vec![digest.clone()] }).await
}

fn allow(world: &World, digest: &KeyedDigest) -> AnswerRequest {
    AnswerRequest { stored: vec![digest.clone()], ..world.allow(&world.public).0 }
}

#[tokio::test]
async fn request_reads_back_with_and_without_optional_parts() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let bare = request(&world, "code");
        let mut target = request(&world, "token").target;
        (target.state, target.is_unassured) = (Some("st\0ate é".to_owned()), true);
        target.response_mode = ResponseMode::FormPost;
        let full = AuthorizationRequest {
            target,
            resources: vec![world.api.metadata.identifier.clone()],
            nonce: Some("n".to_owned()),
            prompt: doorward_core::authorization_request::Prompt { login: true, ..Default::default() },
            max_age: Some(Duration::from_secs(5)),
            login_hint: Some("ada".to_owned()),
            expected_user: Some(world.user.id.clone()),
            code_challenge: None,
            ..bare.clone()
        };
        for request in [bare, full] {
            let (digest, kept) = stored(&world, request.clone()).await;
            let found = find(&world, &digest).await.unwrap();
            assert_eq!(found.request, request);
            assert_eq!(
                (found.browser, found.requested_at, found.expires_at, found.answered_at),
                (kept.browser, kept.requested_at, kept.expires_at, None)
            );
        }
        assert!(find(&world, &world.peppers.digest("unknown")).await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_browser_that_comes_gets_the_request() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (digest, kept) = stored(&world, request(&world, "code")).await;
        let binds: Vec<_> = (0..8_u8)
            .map(|number| BindRequest {
                candidates: vec![digest.clone()],
                unbound: kept.browser,
                browser: Digest::sha256(&[number]),
            })
            .collect();
        let browsers: Vec<_> = binds.iter().map(|bind| bind.browser).collect();

        let bound = race(&world, binds).await;

        let winners: Vec<_> = bound.iter().zip(&browsers).filter(|(bound, _)| **bound).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(find(&world, &digest).await.unwrap().browser, *winners[0].1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_answers_counts() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (digest, _) = stored(&world, request(&world, "code")).await;
        let operations = (0..8).map(|_| allow(&world, &digest)).collect();

        let answered = race(&world, operations).await.into_iter().filter(|answered| *answered).count();

        assert_eq!(answered, 1);
        assert_eq!(world.live_grants().await.len(), 1);
        assert_eq!(find(&world, &digest).await.unwrap().answered_at, Some(world.now()));
        let deny =
            AnswerRequest { answer: Answer::Deny { client_id: world.public.id.clone() }, ..allow(&world, &digest) };
        assert!(!world.write(deny).await);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_late_or_to_another_request_gives_nothing() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (digest, _) = stored(&world, request(&world, "code")).await;
        let wrong = KeyedDigest { pepper: "another".to_owned(), ..digest.clone() };
        assert!(!world.write(allow(&world, &wrong)).await);
        world.advance(600);
        assert!(!world.write(allow(&world, &digest)).await);
        assert!(world.live_grants().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_denial_gives_no_grant() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (digest, _) = stored(&world, request(&world, "code")).await;
        assert!(
            world
                .write(AnswerRequest {
                    answer: Answer::Deny { client_id: world.public.id.clone() },
                    ..allow(&world, &digest)
                })
                .await
        );
        assert!(world.live_grants().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_disabled_user_allows_nothing_and_the_request_stays_open() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (digest, _) = stored(&world, request(&world, "code")).await;
        let change = |change| ChangeUser { id: world.user.id.clone(), change, now: world.now(), audit: world.audit() };
        world.write(change(UserChange::Disable)).await;
        assert!(!world.write(allow(&world, &digest)).await);
        world.write(change(UserChange::Enable)).await;
        assert!(world.live_grants().await.is_empty());
        assert!(world.write(allow(&world, &digest)).await);
    })
    .await;
}

fn keep(world: &World, digest: &KeyedDigest) -> KeepRequest {
    KeepRequest { candidates: vec![digest.clone()], user: world.user.id.clone(), now: world.now() }
}

#[tokio::test]
async fn twenty_requests_of_a_user_wait_and_the_oldest_goes() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (unanswered, stored) = stored(&world, request(&world, "code")).await;
        let mut digests = Vec::new();
        for secs in 1..=25 {
            let digest = world.digest(&checksummed::random_text(32, &world.rng));
            let expires_at = stored.expires_at.plus(Duration::from_secs(secs));
            let stored = StoredRequest { expires_at, ..stored.clone() };
            // From any number of networks, and also when the user signs in after the request came.
            let (network, user) = (network(secs as u8 % 3), (secs % 2 == 0).then(|| world.user.id.clone()));
            let is_kept = user.is_some();
            let store = StoreRequest { digest: digest.clone(), stored, network, most: 1_000, user };
            assert_eq!(world.write(store).await, Stored::Yes);
            if !is_kept {
                world.write(keep(&world, &digest)).await;
                world.write(keep(&world, &digest)).await;
            }
            digests.push(digest);
        }
        for (at, digest) in digests.iter().enumerate() {
            assert_eq!(find(&world, digest).await.is_some(), at >= 5, "{at}");
        }
        assert!(find(&world, &unanswered).await.is_some(), "nobody's");
    })
    .await;
}

#[tokio::test]
async fn total_requests_are_bounded_and_the_oldest_anonymous_go() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (_, stored) = stored(&world, request(&world, "code")).await;
        let mut digests = Vec::new();
        for secs in 1..=9 {
            let digest = world.digest(&checksummed::random_text(32, &world.rng));
            let expires_at = stored.expires_at.plus(Duration::from_secs(secs));
            let stored = StoredRequest { expires_at, ..stored.clone() };
            let user = (secs == 2).then(|| world.user.id.clone());
            let network = network(secs as u8);
            world.write(StoreRequest { digest: digest.clone(), stored, network, most: 1_000, user }).await;
            digests.push(digest);
        }
        assert_eq!(world.read(OldestRequestKept { most: 10 }).await, None);
        let before = world.read(OldestRequestKept { most: 4 }).await.unwrap();
        assert_eq!(world.write(RemoveRequests { before }).await, 5);
        for (at, digest) in digests.iter().enumerate() {
            assert_eq!(find(&world, digest).await.is_some(), at == 1 || at >= 5, "{at}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_ended_session_allows_nothing_and_the_request_stays_open() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (digest, _) = stored(&world, request(&world, "code")).await;
        let (begin, _) = crate::sessions::begin(&world, None);
        let session_id = begin.session.id.clone();
        world.write(begin).await.unwrap();
        let within_session = || {
            let mut answer = allow(&world, &digest);
            if let Answer::Allow { grant, .. } = &mut answer.answer {
                grant.session_id = session_id.clone();
            }
            answer
        };
        let (user_id, within, audit) = (world.user.id.clone(), session_id.clone(), world.audit());
        let end = EndSessions { user_id, within, which: WhichSessions::Own, now: world.now(), audit };
        let late = within_session();
        assert_eq!(world.write(end).await, Ok(1));
        assert!(!world.write(late).await);
        assert!(world.live_grants().await.is_empty());
        assert_eq!(find(&world, &digest).await.unwrap().answered_at, None);
    })
    .await;
}

#[tokio::test]
async fn oldest_request_without_a_session_makes_room_in_a_network() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, stored) = stored(&world, request(&world, "code")).await;
        let store = async |network, stored: &StoredRequest, is_signed_in: bool| {
            let digest = world.digest(&checksummed::random_text(32, &world.rng));
            let (kept, stored) = (digest.clone(), stored.clone());
            let user = is_signed_in.then(|| world.user.id.clone());
            (kept, world.write(StoreRequest { digest, stored, network, most: 3, user }).await)
        };
        let later = |secs: u64| StoredRequest {
            expires_at: stored.expires_at.plus(Duration::from_secs(secs)),
            ..stored.clone()
        };
        let (second, _) = store(network(1), &later(1), true).await;
        let (third, _) = store(network(1), &later(2), false).await;
        assert_eq!(store(network(2), &later(3), false).await.1, Stored::Yes);
        let (fourth, outcome) = store(network(1), &later(3), false).await;
        assert_eq!(outcome, Stored::Yes);
        assert!(find(&world, &first).await.is_none(), "the oldest is gone");
        world.write(keep(&world, &third)).await;
        let (fifth, _) = store(network(1), &later(4), true).await;
        assert!(find(&world, &fourth).await.is_none(), "the only one without a session");
        for kept in [&second, &third, &fifth] {
            assert!(find(&world, kept).await.is_some());
        }
        let full = Stored::Full(later(1).expires_at);
        assert_eq!(store(network(1), &later(5), true).await.1, full, "until the first expires");
        assert!(world.write(allow(&world, &second)).await);
        assert_eq!(store(network(1), &later(5), true).await.1, Stored::Yes, "one was answered");
        let after = StoredRequest { requested_at: later(6).expires_at, ..later(600) };
        assert_eq!(store(network(1), &after, true).await.1, Stored::Yes, "the others have expired");
    })
    .await;
}
