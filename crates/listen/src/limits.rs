//! What a listener takes, and for how long it waits.

use std::time::Duration;

/// The limits of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// How long a head may take to arrive. Over HTTP/1.1 an idle connection waits as long for its next request.
    pub header_timeout: Duration,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long an HTTP/2 connection may be idle.
    pub idle_timeout: Duration,
    /// How long a client may take for 8 KiB of an answer, or for the rest of it.
    pub write_timeout: Duration,
    /// Bytes that all clients of HTTP/2 together may leave waiting: heads and bodies of requests that are not complete,
    /// and answers that are not taken. Beyond it the connection that leaves the most waiting is closed.
    pub waiting_bytes: usize,
    /// Open connections. Beyond it the connection that has been idle the longest is closed.
    pub connections: usize,
    /// Open connections of one address, by the same rule. An IPv6 /64 counts as one, a trusted proxy does not count.
    pub connections_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 16 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            waiting_bytes: 64 * 1024 * 1024,
            connections: 10_000,
            connections_per_address: 256,
        }
    }
}
