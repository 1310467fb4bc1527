//! What holds for every route: addresses and methods, other origins, and bounds on what comes.

mod bounds;
mod cors;
mod routes;
