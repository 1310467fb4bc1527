//! Uses of legacy ways are added up, listed and swept.

use doorward_core::{
    clock::Timestamp,
    legacy::{LegacyUse, LegacyWay},
    network::Network,
};
use doorward_store::{
    legacy::{LegacyUseRecord, ListLegacyUses, MOST, RecordLegacyUses},
    sweep::Swept,
};

use crate::{
    harness::on_each_engine,
    keys::{created, key},
    world::World,
};

fn one(key: &str, network: u32, at: Timestamp) -> LegacyUse {
    let network = Network::of(std::net::Ipv4Addr::from_bits(network).into());
    LegacyUse::one(LegacyWay::Query, key, "GET /export", Some(network), at)
}

async fn record(world: &World, uses: Vec<LegacyUse>) {
    world.write(RecordLegacyUses { api: world.api.id.clone(), uses }).await;
}

/// The whole list, read in pages of two.
async fn listed(world: &World) -> Vec<LegacyUseRecord> {
    let (mut all, mut after) = (Vec::<LegacyUseRecord>::new(), None);
    loop {
        let page = world.read(ListLegacyUses { api: Some(world.api.id.clone()), after, limit: 500 }).await;
        let Some(last) = page.last() else { return all };
        after = Some(last.place());
        all.extend(page);
    }
}

#[tokio::test]
async fn uses_of_a_key_add_up_with_their_first_and_last_time() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let key = created(&world, key(&world, "a")).await.id;
        let (early, late) = (world.now(), Timestamp::from_secs(world.now().as_secs() + 60));
        record(&world, vec![one(key.as_str(), 1, late), one("key_gone", 1, late), one(key.as_str(), 2, early)]).await;
        record(&world, vec![LegacyUse { count: 4, ..one(key.as_str(), 1, early) }]).await;
        let found = listed(&world).await;
        assert_eq!(
            found.iter().map(|row| (&*row.network, row.uses)).collect::<Vec<_>>(),
            [("0.0.0.1", 5), ("0.0.0.2", 1)]
        );
        assert_eq!((found[0].first_at, found[0].last_at), (early, late));
        assert_eq!((&found[0].key, &*found[0].metadata.name), (&key, "a key"));
        assert_eq!(world.read(ListLegacyUses { api: None, after: None, limit: 1 }).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn networks_beyond_the_bound_are_counted_together() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let key = created(&world, key(&world, "a")).await.id;
        let networks = u32::try_from(MOST).unwrap() + 50;
        record(&world, (0..networks).map(|network| one(key.as_str(), network, world.now())).collect()).await;
        record(&world, vec![one(key.as_str(), networks + 1, world.now())]).await;
        let found = listed(&world).await;
        assert_eq!(i64::try_from(found.len()), Ok(MOST + 1));
        let together: Vec<_> = found.iter().filter(|row| row.network.is_empty()).map(|row| row.uses).collect();
        assert_eq!(together, [51]);
    })
    .await;
}

#[tokio::test]
async fn key_that_stopped_leaves_the_report_after_90_days() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let key = created(&world, key(&world, "a")).await.id;
        record(&world, vec![one(key.as_str(), 1, world.now())]).await;
        let old = world.now();
        world.advance(89 * 86_400);
        record(&world, vec![one(key.as_str(), 2, world.now())]).await;
        world.write(world.sweep_of(Swept::LegacyUses)).await;
        assert_eq!(listed(&world).await.len(), 2);
        world.advance(2 * 86_400);
        world.write(world.sweep_of(Swept::LegacyUses)).await;
        let left = listed(&world).await;
        assert_eq!(left.len(), 1);
        assert!(left[0].first_at > old);
    })
    .await;
}
