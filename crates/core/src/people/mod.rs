//! People: their names, passwords and sessions, and how guesses at a password are slowed down.

pub mod password;
pub mod session;
pub mod throttle;
pub mod user;
pub mod username;
