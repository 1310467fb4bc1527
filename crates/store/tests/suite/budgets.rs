//! Budgets of keys: taken in blocks, put back, and never exceeded.

use std::time::Duration;

use doorward_core::id::KeyId;
use doorward_store::keys::{Budget, BudgetKind, ReserveUses, Reserved, ReservedUses, ReturnUses};

use crate::{
    harness::on_each_engine,
    world::{World, race},
};

fn budget(world: &World, kind: BudgetKind) -> Budget {
    Budget { key: KeyId::new(world.now(), &world.rng), kind, period: world.now() }
}

fn reserve(budget: &Budget, max: u64) -> ReserveUses {
    ReserveUses { budget: budget.clone(), max, returned: 0 }
}

async fn reserved(world: &World, budget: &Budget) -> u64 {
    world.read(ReservedUses { budgets: vec![budget.clone()] }).await[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_of_a_race_add_up_to_the_budget() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let budget = budget(&world, BudgetKind::Uses);
        let all = race(&world, (0..40).map(|_| reserve(&budget, 10)).collect()).await;
        assert_eq!(all.iter().map(|reserved| reserved.taken).sum::<u64>(), 10);
        assert_eq!(reserved(&world, &budget).await, 10);
        assert_eq!(world.write(reserve(&budget, 10)).await, Reserved { taken: 0, left: 0 });
        // One that became smaller meanwhile has nothing left either.
        assert_eq!(world.write(reserve(&budget, 5)).await, Reserved { taken: 0, left: 0 });
        assert_eq!(world.write(reserve(&budget, 1_010)).await, Reserved { taken: 50, left: 950 });
    })
    .await;
}

#[tokio::test]
async fn uses_that_are_put_back_can_be_taken_again() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (quota, other) = (budget(&world, BudgetKind::Day), budget(&world, BudgetKind::Day));
        let taken = world.write(reserve(&quota, 1_000)).await;
        assert_eq!(taken, Reserved { taken: 50, left: 950 });
        world.write(ReturnUses { uses: vec![(other.clone(), 7), (quota.clone(), 20)] }).await;
        assert_eq!((reserved(&world, &quota).await, reserved(&world, &other).await), (30, 0));
        let again = ReserveUses { returned: 30, ..reserve(&quota, 10) };
        assert_eq!(world.write(again).await, Reserved { taken: 1, left: 9 });
        world.write(ReturnUses { uses: vec![(quota.clone(), 5)] }).await;
        assert_eq!(reserved(&world, &quota).await, 0, "more than was taken is never put back");
    })
    .await;
}

#[tokio::test]
async fn each_period_and_kind_has_a_budget_of_its_own() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let today = budget(&world, BudgetKind::Day);
        let month = Budget { kind: BudgetKind::Month, ..today.clone() };
        let later =
            |days: u64| Budget { period: today.period.plus(Duration::from_secs(days * 86_400)), ..today.clone() };
        for budget in [&today, &month, &later(1)] {
            assert_eq!(world.write(reserve(budget, 1)).await.taken, 1);
            assert_eq!(world.write(reserve(budget, 1)).await.taken, 0);
        }
        // A server whose clock is wrong fills nothing up for the others: only what is eight periods old is removed.
        for days in 2..8 {
            world.write(reserve(&later(days * 100), 1)).await;
        }
        assert_eq!((reserved(&world, &today).await, reserved(&world, &later(1)).await), (1, 1));
        world.write(reserve(&later(900), 1)).await;
        world.write(reserve(&later(901), 1)).await;
        assert_eq!((reserved(&world, &today).await, reserved(&world, &later(1)).await), (0, 1));
        assert_eq!(reserved(&world, &month).await, 1);
    })
    .await;
}
