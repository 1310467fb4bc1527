//! Serves an axum router over TCP, with the limits that a server on the internet needs: it limits connections in all and
//! by address, cuts off slow clients, replaces TLS certificates without a restart, and answers running requests before
//! it ends. `axum::serve` has no limits, no timeouts and no TLS.
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
//!     trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")], // whose X-Forwarded-For is believed
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
//! The crate must never know a store, a credential, a refusal or a route. It writes no answers: it closes what is too
//! much or too slow, or hyper refuses it. A router that explains its refusals measures heads with [`HeadSize`].
#![forbid(unsafe_code)]

mod connection;
mod forwarded;
mod head;
mod limits;
mod listener;
mod places;
mod serve;
mod timed_body;
pub mod tls;
mod write_last;

pub use doorward_core::network::ClientAddress;

pub use crate::{
    head::{HeadSize, MAX_HEADERS},
    limits::Limits,
    listener::{DRAIN, bind, serve},
    serve::Serve,
};
