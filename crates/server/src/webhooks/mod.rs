//! Sending to endpoints of webhooks: the message, its signature, the request, and which addresses it may go to.
//!
//! What is due and what follows from an answer is decided elsewhere: see `tasks::webhooks`.

mod message;
mod resolver;
pub(crate) mod secrets;
mod sender;

pub(crate) use self::{message::Message, sender::Sender};
