//! The rules of Doorward: what a credential is, when it is valid, what a principal may do, and why not.
//!
//! Every function here is pure: it gets the facts, the time and the random bytes from its caller, and returns a value.
//! There is no I/O, no clock, no async and no database. The reason why a request was refused is always in this crate.
//!
//! One sentence orders the modules: a **credential** is verified and becomes a **principal**, which asks for an action
//! and gets a decision. A refusal is a **denial** from a closed list.
#![forbid(unsafe_code)]

// Each folder is a chapter; its modules are named from the root of the crate.
mod access;
mod credentials;
mod oauth;
#[cfg(feature = "openapi")]
mod openapi;
mod people;
mod refusals;
mod state;
mod values;
mod webhooks;

pub use access::{api, holder, key_policy, leaks, partner_alerts, policy, principal, rights, scope};
#[cfg(feature = "scan")]
pub use credentials::scan;
pub use credentials::{
    access_token, allowed_addresses, allowed_origins, api_key, checksummed, client_side, credential, id_token, jwk,
    jws, key_kind, key_limits, key_rotation, key_selection, key_usage, legacy, new_access_token, new_api_key,
    own_api_key, query_key, signing, unusual_use,
};
pub use oauth::{
    authorization_request, authorization_response, client, client_auth, client_metadata, client_settings, form, grant,
    logout, navigation, next_step, pkce, redirect_uri, registration, web_page,
};
pub use people::{password, session, throttle, user, username};
pub use refusals::{challenge, cors, denial, event, refusal, trace};
pub use state::{desired_state, state_plan};
pub use values::{
    audit_bounds, clock, cookie, digest, forwarded, id, json, network, plausible_time, public_address, random, seal,
    secret, text,
};
pub use webhooks::{webhook, webhook_event, webhook_places, webhook_retry, webhook_secret};
