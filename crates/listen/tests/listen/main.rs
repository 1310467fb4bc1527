//! The listener as its clients meet it: a router behind it, and connections over loopback.

#![expect(clippy::unwrap_used, reason = "shared code is outside of test functions")]

mod addresses;
mod bounds;
mod end;
mod harness;
mod tls;
