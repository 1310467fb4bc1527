//! The account: which applications and which browsers have access, and how to end it.

pub(crate) mod actions;
mod done;
pub(crate) mod page;
pub(crate) mod show;
pub(crate) mod user_agent;
