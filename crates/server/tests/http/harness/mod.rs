//! What the tests share: a server on a free port, a clock that the test moves, and the parties that talk to it.

mod answer;
mod browser;
mod caller;
mod database;
mod jwt;
mod logs;
mod raw;
mod receiver;
mod request;
mod server;
mod world;

pub(crate) use self::{
    answer::{Answer, between},
    browser::{Browser, Form},
    caller::{Caller, basic},
    database::{Database, Run, on_each_engine, on_each_engine_with},
    jwt::{claims, header, token},
    logs::Logs,
    raw::raw,
    receiver::{Received, Receiver, Reply},
    request::{AuthorizationRequest, CHALLENGE, VERIFIER},
    server::{Stopped, TestServer, at_once, eventually, redemption},
    world::{ALICE, BOB, PASSWORD, Registered, basic_client, client, grants, key, new_key, operator, register, user},
};
