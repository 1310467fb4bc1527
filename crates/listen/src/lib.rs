//! Serves an axum router over TCP, with the limits that a server on the internet needs. `axum::serve` has no limits, no
//! timeouts and no TLS. This crate:
//!
//! - limits connections in total and per address. At the limit it closes the connection that has been idle the longest;
//! - cuts off clients that send slowly, that do not take their answers, or that flood HTTP/2 with control frames;
//! - bounds the bytes that clients leave waiting ([`Limits::waiting_bytes`]);
//! - closes idle connections of both versions of HTTP;
//! - finds the client's address behind proxies, by `X-Forwarded-For`, `Forwarded` or the PROXY protocol;
//! - answers 400 if a request does not name one valid host;
//! - replaces TLS certificates without a restart;
//! - answers running requests before it ends, and first lets clients know to look for another server ([`Shutdown`]).
//!
//! The authorization server and the sample API listen with it, and so can your own service. Each request carries a
//! [`ClientAddress`] in its extensions, which `doorward-guard` writes into the audit, and axum's `ConnectInfo`:
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use doorward_listen::{ClientAddress, Limits, Serve};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let hello = async |Extension(from): Extension<ClientAddress>| format!("Hello {}", from.client);
//! let serve = Serve {
//!     router: Router::new().route("/", get(hello)),
//!     limits: Limits { connections_per_address: 32, ..Limits::default() },
//!     trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")], // who may report their clients
//!     ..Serve::default()
//! };
//! let listener = doorward_listen::bind(([127, 0, 0, 1], 0).into()).await?;
//! # let url = format!("http://{}", listener.local_addr()?);
//! # let shutdown = async { assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), "Hello 127.0.0.1") };
//! doorward_listen::serve(vec![listener], serve, shutdown).await; // for example tokio::signal::ctrl_c()
//! # Ok(())
//! # }
//! ```
//!
//! The crate must never know a store, a credential, a refusal or a route. Its only answer is the one to a request
//! without a valid host: otherwise it closes what is too much or too slow, or hyper refuses it. A router that explains
//! its refusals measures heads with [`HeadSize`].
#![forbid(unsafe_code)]

mod answer;
mod bounded;
mod certificate;
mod connection;
mod exchange;
mod forwarded;
mod frames;
mod head;
mod host;
mod limits;
mod listener;
mod listening;
mod places;
mod proxy_protocol;
mod request_body;
mod seldom;
mod serve;
pub mod tls;
mod write_last;

pub use doorward_core::network::ClientAddress;

pub use crate::{
    forwarded::ForwardedHeader,
    head::{HeadSize, MAX_HEADERS},
    limits::Limits,
    listener::{bind, serve},
    proxy_protocol::PROXY_PROTOCOL_LOCAL,
    serve::{Serve, Shutdown},
};
