//! Signing in: the session, the password, the throttle, and the pages for them.

pub(crate) mod common_passwords;
pub(crate) mod csrf;
pub(crate) mod interaction;
pub(crate) mod page;
pub(crate) mod session;
pub(crate) mod sign_in;
pub(crate) mod throttle;
