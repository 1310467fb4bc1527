//! The rules of Doorward: what a credential is, when it is valid, what a principal may do, and why not.
//!
//! Every function here is pure: it gets the facts, the time and the random bytes from its caller, and returns a
//! value. There is no I/O, no clock, no async and no database; whoever wants to know why a request was refused
//! finds the reason in this crate and nowhere else.
//!
//! The sentence that orders the modules: a **credential** is verified and becomes a **principal**, which asks for
//! an action and gets a decision; a no is a **denial** out of a closed list.
#![forbid(unsafe_code)]

// The values that everything else is made of.
pub mod clock;
pub mod digest;
pub mod id;
pub mod json;
pub mod network;
pub mod random;
pub mod seal;
pub mod secret;

// The sentence: credential, principal, decision, denial.
pub mod challenge;
pub mod cors;
pub mod credential;
pub mod denial;
pub mod event;
pub mod policy;
pub mod principal;
pub mod refusal;
pub mod resource;
pub mod scope;
pub mod trace;

// Credentials and their forms.
pub mod access_token;
pub mod api_key;
pub mod checksummed;
pub mod id_token;
pub mod jwk;
pub mod jws;

// OAuth 2.1 and OpenID Connect.
pub mod authorization_request;
pub mod client;
pub mod client_auth;
pub mod form;
pub mod grant;
pub mod pkce;
pub mod redirect_uri;
pub mod registration;
pub mod signing;

// People.
pub mod password;
pub mod session;
pub mod throttle;
