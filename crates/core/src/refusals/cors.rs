//! What programs of other origins may send and read (Fetch Standard section 3.3), at endpoints that are open to any origin.

/// `Access-Control-Allow-Headers`.
pub const ALLOWED_HEADERS: &str = "Authorization, Content-Type, DPoP, MCP-Protocol-Version, traceparent, tracestate";

/// `Access-Control-Expose-Headers`: what they may read besides what they always may.
pub const EXPOSED_HEADERS: &str = "WWW-Authenticate, DPoP-Nonce, Retry-After";
