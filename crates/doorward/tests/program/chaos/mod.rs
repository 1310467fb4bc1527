//! Outages of the real program under load. Each scenario prints how many requests were answered how, and fails if
//! something acknowledged was lost, something was redeemed twice, or the promise for its outage was not kept.
//!
//! `cargo xtask test --long` runs them one by one; they take minutes, so they are ignored otherwise. One alone:
//! `cargo test --test program -- --ignored --nocapture frozen`.
//!
//! Easy to get wrong: a load that stopped would prove nothing. So each phase of a scenario waits until requests of every
//! kind were answered in it.

#![expect(clippy::print_stdout, reason = "a scenario reports what happened in it")]

mod browser;
mod clock;
mod database;
mod disk;
mod faults;
mod folder;
mod hostile;
mod ledger;
mod load;
mod log;
mod next_version;
mod nodes;
mod postgres;
mod site;
mod tally;
