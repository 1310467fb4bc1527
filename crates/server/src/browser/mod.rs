//! The browser of a request: its cookies, its session, and forms that only our own pages can post.

pub(crate) mod cookies;
pub(crate) mod device;
mod identity;
mod mac;
pub(crate) mod session;
mod visitor;

pub(crate) use self::{
    cookies::Cookie,
    identity::Browser,
    session::Session,
    visitor::{SignedIn, Visitor},
};
