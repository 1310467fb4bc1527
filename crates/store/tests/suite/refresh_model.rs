//! Refresh rotation against a model, over lost, doubled, reordered and concurrent requests: no schedule made only of
//! repeats ends a family or gives two successors, and every reuse ends it.

use std::{sync::Arc, time::Duration};

use doorward_core::{
    client::Client,
    clock::Timestamp,
    denial::Denial,
    secret::{ExposeSecret, SecretString},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::{runtime::Handle, task::block_in_place};

use crate::{
    harness::on_each_engine,
    world::{World, outcome, race},
};

#[derive(Clone, Debug)]
enum Step {
    /// The token this many generations behind the live one is presented, so many times at once.
    Present { behind: usize, address: u8, copies: usize, by_another_client: bool },
    /// Seconds pass.
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let behind = prop_oneof![8 => Just(0_usize), 8 => Just(1), 1 => 2..4_usize];
    let by_another_client = prop_oneof![9 => Just(false), 1 => Just(true)];
    let present =
        (behind, 1..4_u8, 1..4_usize, by_another_client).prop_map(|(behind, address, copies, by_another_client)| {
            Step::Present { behind, address, copies, by_another_client }
        });
    prop_oneof![5 => present, 1 => (0..70_u64).prop_map(Step::Wait)]
}

/// A family as the protocol describes it.
struct Model {
    is_bound: bool,
    /// Each token by its generation; the last one is live.
    tokens: Vec<SecretString>,
    rotated_at: Timestamp,
    rotated_from: u8,
    other_repeats: usize,
    has_ended: bool,
}

/// What a number of equal requests must be answered with.
#[derive(Debug)]
enum Expected {
    /// So many get the successor, the others learn that the grace is over.
    Successor(usize),
    /// All are refused, for the same reason.
    Refused(Denial),
    /// One is refused as reuse, the others find the grant ended.
    Reuse,
}

impl Model {
    fn expect(&mut self, step: (usize, u8, usize, bool), now: Timestamp) -> Expected {
        let (generation, address, copies, by_another_client) = step;
        if by_another_client {
            return Expected::Refused(Denial::RefreshTokenOfAnotherClient);
        }
        if self.has_ended {
            return Expected::Refused(Denial::GrantEnded);
        }
        let live = self.tokens.len() - 1;
        if generation == live {
            (self.rotated_at, self.rotated_from) = (now, address);
            return Expected::Successor(copies);
        }
        if generation + 1 < live {
            self.has_ended = true;
            return Expected::Reuse;
        }
        let age = now.since(self.rotated_at);
        if self.is_bound || (address == self.rotated_from && age < Duration::from_secs(60)) {
            return Expected::Successor(copies);
        }
        if age >= Duration::from_secs(10) {
            return Expected::Successor(0);
        }
        let answered = copies.min(5 - self.other_repeats);
        self.other_repeats += answered;
        Expected::Successor(answered)
    }
}

async fn check(world: &World, client: &Arc<Client>, stranger: &Arc<Client>, steps: Vec<Step>) {
    let (first, _) = world.sign_in(client).await;
    let mut model = Model {
        is_bound: client.is_confidential(),
        tokens: vec![first],
        rotated_at: world.now(),
        rotated_from: 0,
        other_repeats: 0,
        has_ended: false,
    };
    for step in steps {
        let (behind, address, copies, by_another_client) = match step {
            Step::Wait(secs) => {
                world.advance(secs);
                continue;
            }
            Step::Present { behind, address, copies, by_another_client } => {
                (behind, address, copies, by_another_client)
            }
        };
        let generation = (model.tokens.len() - 1).saturating_sub(behind);
        let token = model.tokens[generation].clone();
        let presenter = if by_another_client { stranger } else { client };
        let operations = (0..copies).map(|_| world.refresh(&token, presenter, address)).collect();
        let outcomes: Vec<_> = race(world, operations).await.into_iter().map(outcome).collect();

        let (successors, denials): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        let successors: Vec<_> = successors.into_iter().flatten().collect();
        let denials: Vec<_> = denials.into_iter().filter_map(Result::err).collect();
        match model.expect((generation, address, copies, by_another_client), world.now()) {
            Expected::Refused(denial) => assert_eq!(denials, vec![denial; copies]),
            Expected::Reuse => {
                let reuses = denials.iter().filter(|denial| **denial == Denial::RefreshTokenReused).count();
                let ended = denials.iter().filter(|denial| **denial == Denial::GrantEnded).count();
                assert_eq!((reuses, ended), (1, copies - 1), "{denials:?}");
            }
            Expected::Successor(answered) => {
                assert_eq!(denials, vec![Denial::RefreshTokenGraceOver; copies - answered]);
                if generation + 1 == model.tokens.len() {
                    model.tokens.push(successors[0].clone());
                }
                for successor in successors {
                    assert_eq!(successor.expose_secret(), model.tokens[generation + 1].expose_secret());
                }
            }
        }
    }
    // Whatever came before, the live token of a family that has not ended is good.
    let live = world.refreshes(&model.tokens[model.tokens.len() - 1], client).await;
    assert_eq!(live.err(), model.has_ended.then_some(Denial::GrantEnded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_never_end_a_family_and_every_reuse_does() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
        let schedules = (any::<bool>(), prop::collection::vec(step(), 1..30));
        let outcome = block_in_place(|| {
            runner.run(&schedules, |(is_bound, steps)| {
                let (client, stranger) = match is_bound {
                    true => (&world.confidential, &world.public),
                    false => (&world.public, &world.confidential),
                };
                Handle::current().block_on(check(&world, client, stranger, steps));
                Ok(())
            })
        });
        outcome.unwrap();
    })
    .await;
}
