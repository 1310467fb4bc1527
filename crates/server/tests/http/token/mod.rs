//! `POST /token`: a file per grant, and one per thing that all grants share.

mod authorization_code;
mod client_authentication;
mod client_credentials;
mod malformed;
mod private_key_jwt;
mod refresh_token;
mod throttle;
