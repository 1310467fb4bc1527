//! The audit: by trace, by whom it is about, the newest, and what a user may want to know.

use doorward_core::{
    denial::Denial,
    id::{AuditId, UserId},
};
use doorward_store::audit::{
    AppendAudit, AuditAction, AuditEvent, AuditFilter, AuditOfTrace, AuditOfUser, SearchAudit, read_address,
};

use crate::{harness::on_each_engine, world::World};

/// One event a second, none of them from the making of the world.
async fn append(world: &World, events: Vec<AuditEvent>) -> Vec<AuditEvent> {
    world.write(AppendAudit { events: events.clone() }).await;
    events
}

fn event(world: &World, action: &str, actor: Option<&str>, subject: Option<&str>) -> AuditEvent {
    world.advance(1);
    let own = |text: &str| text.to_owned();
    AuditEvent { actor: actor.map(own), subject: subject.map(own), ..world.audit().event(action.into()) }
}

#[tokio::test]
async fn event_reads_back_with_and_without_what_is_optional() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let full = AuditEvent {
            trace_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
            code: Some("credential_unknown".to_owned()),
            address: Some("2001:db8::1".to_owned()),
            count: 1_000,
            details: [("why".to_owned(), "\0 and é".into())].into_iter().collect(),
            ..event(&world, "request.refused", Some("cli_1"), Some("key_1"))
        };
        let events = append(&world, vec![full.clone(), event(&world, "server.started", None, None)]).await;
        let newest = world.newest_events(AuditFilter::default(), 2).await;
        assert_eq!(newest, events);
        let trace_id = full.trace_id.clone().unwrap();
        assert_eq!(world.read(AuditOfTrace { trace_id, limit: 1 }).await, (vec![full], 0));
        let unknown = AuditOfTrace { trace_id: "f".repeat(32), limit: 10 };
        assert_eq!(world.read(unknown).await, (vec![], 0));
    })
    .await;
}

#[tokio::test]
async fn a_trace_says_how_many_more_events_it_has() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let trace_id = "0123456789abcdef0123456789abcdef".to_owned();
        let traced =
            |_| AuditEvent { trace_id: Some(trace_id.clone()), ..event(&world, "request.refused", None, None) };
        let events = append(&world, (0..7).map(traced).collect()).await;
        let of_trace = async |limit| world.read(AuditOfTrace { trace_id: trace_id.clone(), limit }).await;
        assert_eq!(of_trace(5).await, (events[..5].to_vec(), 2));
        assert_eq!(of_trace(7).await, (events.clone(), 0));
        assert_eq!(of_trace(8).await, (events, 0));
    })
    .await;
}

#[tokio::test]
async fn tail_continues_after_what_was_seen_and_may_be_about_one_id() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let events = vec![
            event(&world, "a", Some("usr_1"), Some("key_1")),
            event(&world, "b", Some("usr_2"), Some("usr_1")),
            event(&world, "c", Some("usr_2"), Some("key_1")),
        ];
        let events = append(&world, events).await;
        let tail = async |after: Option<&AuditEvent>, about: Option<&str>, limit| {
            let after = after.map(|event| event.id.to_string());
            let filter = AuditFilter { about: about.map(str::to_owned), ..AuditFilter::default() };
            let mut events = world.read(SearchAudit { filter, after, before: None, limit }).await.events;
            events.reverse();
            events
        };
        assert_eq!(tail(Some(&events[0]), None, 10).await, events[1..]);
        assert_eq!(tail(None, None, 1).await, events[2..]);
        assert_eq!(tail(None, Some("usr_1"), 10).await, events[..2]);
        assert_eq!(tail(Some(&events[0]), Some("key_1"), 10).await, events[2..]);
    })
    .await;
}

#[tokio::test]
async fn what_happens_for_each_token_of_a_grant_is_found_by_the_grant() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (token, issued) = world.sign_in(&world.public).await;
        world.sign_in(&world.public).await;
        let successor = world.refreshes(&token, &world.public).await.unwrap();
        world.refreshes(&successor, &world.public).await.unwrap();

        let told = world.newest_events(AuditFilter::about(issued.grant.id), 10).await;
        let mut actions: Vec<_> = told.iter().map(|event| event.action.as_str()).collect();
        actions.sort();
        assert_eq!(actions, ["code.redeemed", "grant.given", "refresh_token.rotated", "refresh_token.rotated"]);
    })
    .await;
}

#[tokio::test]
async fn user_sees_own_acts_and_acts_on_the_account_only() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (_, issued) = world.sign_in(&world.public).await;
        let (user, grant) = (world.user.id.to_string(), issued.grant.id.to_string());
        let stranger = UserId::new(world.now(), &world.rng);
        let shown = vec![
            event(&world, "session.began", Some(&user), None),
            event(&world, "user.password_set", Some("os:root"), Some(&user)),
            event(&world, "refresh_token.reused", Some("cli_1"), Some(&grant)),
            // Both actor and subject: one row still.
            event(&world, "client.disconnected", Some(&user), Some(&user)),
        ];
        let hidden = vec![
            event(&world, "refresh_token.rotated", Some("cli_1"), Some(&grant)),
            event(&world, "session.began", Some(stranger.as_str()), None),
            event(&world, "request.refused", Some(&user), None),
        ];
        append(&world, hidden).await;
        let mut shown = append(&world, shown).await;
        shown.reverse();

        let found = world.read(AuditOfUser { user_id: world.user.id.clone(), limit: 50 }).await;
        assert_eq!(found[..shown.len()], shown);
        let older: Vec<_> = found[shown.len()..].iter().map(|event| event.action.as_str()).collect();
        assert_eq!(older, ["grant.given"], "what the sign-in itself recorded");
        let newest = world.read(AuditOfUser { user_id: world.user.id.clone(), limit: 1 }).await;
        assert_eq!(newest, shown[..1]);
    })
    .await;
}

#[tokio::test]
async fn search_finds_only_what_matches_all_of_its_filter() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let from = |address: &str, event: AuditEvent| AuditEvent { address: Some(address.to_owned()), ..event };
        let refused = |code: Denial, event: AuditEvent| AuditEvent { code: Some(code.code().to_owned()), ..event };
        let began = world.now();
        let events = vec![
            from("192.0.2.7", refused(Denial::PasswordWrong, event(&world, "request.refused", None, Some("usr_1")))),
            from("192.0.2.8", refused(Denial::PasswordWrong, event(&world, "request.refused", None, Some("usr_2")))),
            from("192.0.3.1", refused(Denial::PkceMissing, event(&world, "request.refused", Some("usr_1"), None))),
            from("2001:db8::1", event(&world, "token.issued", Some("cli_1"), None)),
            from("2001:db8::2", event(&world, "token.issued", Some("cli_2"), None)),
        ];
        let at = |number: usize| Some(events[number].at);
        append(&world, events.clone()).await;
        let all = || AuditFilter { since: Some(began.plus(std::time::Duration::from_secs(1))), ..Default::default() };
        let address = |text: &str| Some(read_address(text).unwrap());
        let (refusal, issued) = (Some(AuditAction::RequestRefused), Some(AuditAction::AccessTokenIssued));
        for (filter, found) in [
            (all(), vec![0, 1, 2, 3, 4]),
            (AuditFilter { action: issued.clone(), ..all() }, vec![3, 4]),
            (AuditFilter { action: refusal.clone(), address: address("192.0.2.0/24"), ..all() }, vec![0, 1]),
            (AuditFilter { code: Some(Denial::PasswordWrong), ..all() }, vec![0, 1]),
            (AuditFilter { code: Some(Denial::PasswordWrong), address: address("192.0.2.8"), ..all() }, vec![1]),
            (AuditFilter { action: refusal.clone(), address: address("192.0.3.1"), ..all() }, vec![2]),
            (AuditFilter { address: address("2001:db8::/64"), ..all() }, vec![3, 4]),
            (AuditFilter { actor: Some("cli_1".to_owned()), ..all() }, vec![3]),
            (AuditFilter { actor: Some("cli_1".to_owned()), action: refusal.clone(), ..all() }, vec![]),
            (AuditFilter { about: Some("usr_1".to_owned()), ..all() }, vec![0, 2]),
            (AuditFilter { subject: Some("usr_1".to_owned()), ..all() }, vec![0]),
            (AuditFilter { subject: Some("usr_1".to_owned()), code: Some(Denial::PkceMissing), ..all() }, vec![]),
            (AuditFilter { about: Some("usr_1".to_owned()), actor: Some("usr_1".to_owned()), ..all() }, vec![2]),
            (AuditFilter { since: at(1), until: at(3), ..all() }, vec![1, 2]),
            (AuditFilter { action: issued, until: at(4), ..all() }, vec![3]),
            (AuditFilter { about: Some("usr_1".to_owned()), since: at(1), ..all() }, vec![2]),
        ] {
            let wanted: Vec<_> = found.iter().map(|number: &usize| events[*number].clone()).collect();
            assert_eq!(world.newest_events(filter.clone(), 10).await, wanted, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn search_looks_at_a_bounded_number_of_events_and_continues() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let rare = AuditEvent { address: Some("192.0.2.7".to_owned()), ..event(&world, "token.issued", None, None) };
        let mut events = vec![rare.clone()];
        events.extend((0..SearchAudit::LOOK + 200).map(|_| event(&world, "token.issued", None, None)));
        append(&world, events.clone()).await;
        let address = Some(read_address("192.0.2.7").unwrap());
        let filter = AuditFilter { action: Some(AuditAction::AccessTokenIssued), address, ..Default::default() };
        let page = async |filter: &AuditFilter, before: Option<AuditId>, limit| {
            world.read(SearchAudit { filter: filter.clone(), after: None, before, limit }).await
        };
        let first = page(&filter, None, 10).await;
        let next = Some(events[201].id.clone());
        assert_eq!((first.events.len(), first.looked_at, &first.next), (0, SearchAudit::LOOK, &next));
        let second = page(&filter, first.next, 10).await;
        assert_eq!((second.events, second.looked_at, second.next), (vec![rare], 201, None));

        // Where the index decides, only what is shown is read, and the next page continues after it.
        let filter = AuditFilter { action: Some(AuditAction::AccessTokenIssued), ..Default::default() };
        let newest = page(&filter, None, 3).await;
        assert_eq!((newest.events.len(), newest.looked_at), (3, 3));
        let older = page(&filter, newest.next, 1).await;
        assert_eq!(older.events, [events[events.len() - 4].clone()]);
    })
    .await;
}
