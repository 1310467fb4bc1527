//! Signing in: `/sign-in` for the account, `/sign-in/{id}` for an application.

mod cookies;
mod csrf;
mod password;
mod session;
mod throttle;
