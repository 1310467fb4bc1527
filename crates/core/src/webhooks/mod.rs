//! Webhooks: which events an endpoint receives, how a message is signed, and when a delivery is retried (Standard Webhooks
//! 1.0.0).

pub mod webhook;
pub mod webhook_event;
pub mod webhook_places;
pub mod webhook_retry;
pub mod webhook_secret;
