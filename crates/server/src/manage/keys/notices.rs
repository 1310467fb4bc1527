//! Looking for keys that end soon, and for keys that are due for rotation by the policy of their API.

use std::time::Duration;

use doorward_store::{
    StoreError,
    keys::{DueBy, MarkDue, NoticeExpiring},
};

use crate::{actor::Actor, app::App};

/// How long before the end of a key it is reported.
const AHEAD: [Duration; 3] = [days(14), days(7), days(1)];

const fn days(number: u64) -> Duration {
    Duration::from_secs(number * 86_400)
}

/// Keys that one step looks at: no other writer waits for longer than a few milliseconds.
const STEP: usize = 32;
/// Steps of one search in a round. The next round goes on.
const MOST_STEPS: usize = 100;

/// Notes which keys end soon, and marks those that are due. Does nothing by a clock that is not plausible.
pub(crate) async fn notice(app: &App) -> Result<(), StoreError> {
    let Some(now) = app.trusted_now().await? else { return Ok(()) };
    let audits = || (0..STEP).map(|_| app.audit(&Actor::default())).collect::<Vec<_>>();
    for ahead in AHEAD {
        search(app, || NoticeExpiring { ahead, now, audits: audits() }).await?;
    }
    let apis = app.snapshots.apis();
    let with_policy = apis.iter().filter_map(|api| Some((&api.id, api.metadata.key_policy?)));
    for (api, policy) in with_policy {
        for by in [DueBy::Age, DueBy::End] {
            search(app, || MarkDue { api: api.clone(), policy, by, now, audits: audits() }).await?;
        }
    }
    Ok(())
}

/// Takes steps of a search until there is nothing left to find.
async fn search<O: doorward_store::Operation<Output = bool>>(
    app: &App,
    step: impl Fn() -> O,
) -> Result<(), StoreError> {
    for _ in 0..MOST_STEPS {
        if !app.commit(step()).await? {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}
