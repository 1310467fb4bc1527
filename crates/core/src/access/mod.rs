//! What a verified principal may do at an API: scopes, roles, and the decision.

pub mod api;
pub mod holder;
pub mod key_policy;
pub mod leaks;
pub mod partner_alerts;
pub mod policy;
pub mod principal;
pub mod rights;
pub mod scope;
