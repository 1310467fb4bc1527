//! Consent: the user decides what an application may have.

pub(crate) mod decide;
pub(crate) mod page;
