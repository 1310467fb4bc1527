#![doc = include_str!("../README.md")]
//!
//! # For those who read the code
//!
//! The crate knows HTTP requests, one issuer and one API. It must never know a store, a page or a grant: it learns
//! about revocation as any API would. No rule is decided here. The verification of signatures and claims, the decision
//! and every denial are in `doorward-core`. This crate does the carrying: it finds the credential, asks the issuer at
//! the right moments, caches for the right time, and responds.
//!
//! [`layer`] handles a request, [`guard`] is the object behind it, and [`verifier`] is the one part that differs
//! between an API and the authorization server. `remote` is the verifier that every API uses.
#![forbid(unsafe_code)]

// The way of a request.
pub mod guard;
pub mod layer;
pub mod principal;
pub mod problem;
pub mod requirement;

// The parts of a guard.
mod allowed;
pub mod audit;
pub mod authorizer;
pub mod builder;
#[cfg(feature = "axum")]
pub mod metadata;
mod query;
mod remote;
pub mod system;
pub mod verifier;

#[cfg(feature = "testing")]
pub mod testing;

// A program can name everything in this crate's public signatures without another crate of Doorward.
pub use doorward_core::{
    api::{InvalidResource, InvalidRole, ResourceIdentifier, Role},
    clock::{Clock, Timestamp},
    credential::{Credential, CredentialText},
    denial::{Class, Denial},
    event::RefusalEvent,
    jwk::Algorithm,
    key_limits::{LimitState, LimitStates, Limited},
    legacy::{LegacyUse, LegacyWay},
    network::ClientAddress,
    principal::{CredentialKind, Principal as VerifiedPrincipal, PrincipalKind},
    query_key::{self, KeysInQuery},
    random::Rng,
    refusal::Refusal,
    scope::{InvalidScope, Scope, ScopeSet},
    secret::SecretString,
    trace::{InvalidTraceId, TraceId},
};
pub use {bytes, http, serde_json};

pub use crate::{
    audit::{AuditSink, LogSink},
    authorizer::{Action, Authorizer, Decision, Resource},
    builder::{GuardBuilder, GuardError},
    guard::Guard,
    layer::GuardLayer,
    principal::Principal,
    problem::Problem,
    requirement::{Requirement, any_of, authenticated, scope},
    system::{SystemClock, SystemRng},
    verifier::{BoxFuture, RequestContext, Verified, Verifier},
};
