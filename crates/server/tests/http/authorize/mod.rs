//! `/authorize` and the stored request behind it.

mod errors;
mod forwarded;
mod prompts;
mod stored_request;
mod success;
mod target;
