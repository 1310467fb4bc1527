//! The audit: by trace, by whom it is about, the newest, and what a user may want to know.

use doorward_core::id::UserId;
use doorward_store::audit::{
    AppendAudit, AuditEvent, AuditOfTrace, AuditOfUser, AuditTail, OldestRefusalKept, RemoveRefusals,
};
use doorward_store::sweep::Sweep;

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
async fn an_event_reads_back_with_all_and_with_none_of_what_is_optional() {
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
        let newest = world.read(AuditTail { after: None, about: None, limit: 2 }).await;
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
async fn the_tail_goes_on_after_what_was_seen_and_can_be_about_one_thing() {
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
            world.read(AuditTail { after, about: about.map(str::to_owned), limit }).await
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

        let about = Some(issued.grant.id.to_string());
        let told = world.read(AuditTail { after: None, about, limit: 10 }).await;
        let mut actions: Vec<_> = told.iter().map(|event| event.action.as_str()).collect();
        actions.sort();
        assert_eq!(actions, ["code.redeemed", "grant.given", "refresh_token.rotated", "refresh_token.rotated"]);
    })
    .await;
}

#[tokio::test]
async fn a_user_is_shown_what_the_user_did_and_what_was_done_to_the_account_and_no_more() {
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
async fn refusals_are_kept_up_to_a_number_and_changes_of_state_always() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut events = vec![event(&world, "client.created", None, None)];
        let kept = 40;
        let refusals = kept + Sweep::STEP + 10;
        events.extend((0..refusals).map(|_| event(&world, "request.refused", None, None)));
        append(&world, events).await;
        let left = async || {
            let newest = world.read(AuditTail { after: None, about: None, limit: 1_000 }).await;
            let of = |action: &str| newest.iter().filter(|event| event.action.as_str() == action).count();
            (of("request.refused"), of("client.created"))
        };
        let (_, changes) = left().await;
        assert_eq!(world.read(OldestRefusalKept { most: refusals }).await, None);
        let before = world.read(OldestRefusalKept { most: kept }).await.unwrap();
        assert_eq!(world.write(RemoveRefusals { before: before.clone() }).await, Sweep::STEP as u64);
        assert_eq!(world.write(RemoveRefusals { before: before.clone() }).await, 10);
        assert_eq!(world.write(RemoveRefusals { before }).await, 0);
        assert_eq!(left().await, (40, changes));
    })
    .await;
}
