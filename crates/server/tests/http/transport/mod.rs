//! What holds for every route: addresses and methods, other origins, bounds on what comes, and each way in which it
//! may come.

mod bounds;
mod cors;
mod http2;
mod routes;
