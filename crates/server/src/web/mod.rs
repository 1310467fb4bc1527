//! HTTP as every endpoint meets it: bodies within their bounds, and answers.

pub(crate) mod body;
pub(crate) mod cors;
pub(crate) mod navigation;
pub(crate) mod refused;
pub(crate) mod respond;
