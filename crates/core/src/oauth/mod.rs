//! The rules of OAuth 2.1 and OpenID Connect: clients, authorization requests and grants.

pub mod authorization_request;
pub mod authorization_response;
pub mod client;
pub mod client_auth;
pub mod client_metadata;
pub mod client_settings;
pub mod form;
pub mod grant;
pub mod logout;
pub mod navigation;
pub mod next_step;
pub mod pkce;
pub mod redirect_uri;
pub mod registration;
pub mod web_page;
