//! Time in these tests. Expiries follow the clock that a guard is given, timers follow the runtime's.

use std::time::Duration;

use tokio::{task, time};

/// Moves all timers ahead. Afterwards time continues by itself, since requests over TCP take some.
pub(crate) async fn elapse(by: Duration) {
    time::pause();
    time::advance(by).await;
    time::resume();
}

/// Lets the other tasks work until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            task::yield_now().await;
        }
    };
    time::timeout(Duration::from_secs(20), holds).await.expect("the condition holds within 20 s");
}
