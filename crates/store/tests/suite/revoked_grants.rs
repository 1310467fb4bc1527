//! An operator finds one grant and revokes it.

use doorward_core::{denial::Denial, id::GrantId};
use doorward_store::{
    audit::{AuditAction, AuditFilter},
    clients::{ChangeClient, ClientChange},
    grants::{FindGrant, RevokeGrant},
};

use crate::{
    grants::{announced, assert_ended},
    harness::on_each_engine,
    world::{World, race},
};

fn revoke(world: &World, id: &GrantId) -> RevokeGrant {
    RevokeGrant { id: id.clone(), now: world.now(), audit: world.audit() }
}

#[tokio::test]
async fn revoking_a_grant_ends_what_came_from_it_and_no_other() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (token, issued) = world.sign_in(&world.public).await;
        let (kept, _) = world.sign_in(&world.public).await;
        let id = issued.grant.id.clone();
        let position = world.store.position().await.unwrap();

        assert!(world.write(revoke(&world, &id)).await);

        assert_ended(&world, &token, &issued).await;
        assert!(world.refreshes(&kept, &world.public).await.is_ok());
        assert_eq!(announced(&world, position).await, [id.to_string()]);
        assert_eq!(world.read(FindGrant { id: id.clone() }).await.unwrap().ended_at, Some(world.now()));
        let events = world.newest_events(AuditFilter::about(world.public.id.to_string()), 10).await;
        assert!(events.iter().all(|event| event.action != AuditAction::GrantRevoked), "it is about the grant");
        let filter = AuditFilter { action: Some(AuditAction::GrantRevoked), ..AuditFilter::default() };
        let events = world.newest_events(filter, 10).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].subject.as_deref(), Some(id.as_str()));
        assert_eq!(events[0].details["client_id"], world.public.id.as_str());
        assert_eq!(events[0].details["user_id"], world.user.id.as_str());
    })
    .await;
}

#[tokio::test]
async fn revoked_grant_refuses_the_code_that_waits() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let given = world.give(&world.public).await;
        assert!(world.write(revoke(&world, &given.grant)).await);
        let redeemed = world.write(world.redeem(&given).0).await;
        assert_eq!(redeemed.err().map(|refusal| refusal.denial), Some(Denial::GrantEnded));
    })
    .await;
}

#[tokio::test]
async fn only_a_live_grant_is_revoked() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let [once, expired, with_client] =
            [world.give(&world.public).await, world.give(&world.public).await, world.give(&world.confidential).await];
        let unknown = GrantId::new(world.now(), &world.rng);
        assert!(world.read(FindGrant { id: unknown.clone() }).await.is_none());
        assert!(!world.write(revoke(&world, &unknown)).await);

        assert!(world.write(revoke(&world, &once.grant)).await);
        assert!(!world.write(revoke(&world, &once.grant)).await, "it was before");
        // One row ended it; its own does not say so yet.
        let (now, audit) = (world.now(), world.audit());
        let id = world.confidential.id.clone();
        assert!(world.write(ChangeClient { id, change: ClientChange::Disable, now, audit }).await);
        assert!(!world.write(revoke(&world, &with_client.grant)).await);
        assert_eq!(world.read(FindGrant { id: with_client.grant }).await.unwrap().ended_at, Some(now));

        world.advance(200 * 86_400);
        assert!(!world.write(revoke(&world, &expired.grant)).await);
        let filter = AuditFilter { action: Some(AuditAction::GrantRevoked), ..AuditFilter::default() };
        assert_eq!(world.newest_events(filter, 10).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn of_two_revocations_at_once_one_ends_the_grant() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let id = world.give(&world.public).await.grant;
        let revoked = race(&world, vec![revoke(&world, &id), revoke(&world, &id)]).await;
        assert_eq!(revoked.iter().filter(|revoked| **revoked).count(), 1);
    })
    .await;
}
