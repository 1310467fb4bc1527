//! The sockets that the server listens at: those that systemd passed (sd_listen_fds(3)), or else those of `listen.address`.

use std::net::SocketAddr;

use listenfd::ListenFd;
use tokio::net::TcpListener;

use crate::{config::settings::Program, failure::Failure};

/// Sockets that a service manager opened for this process.
pub(crate) struct Passed(Vec<std::net::TcpListener>);

impl Passed {
    /// Takes them over. It removes what names them from the environment, so it comes before any other thread.
    pub(crate) fn take() -> Result<Self, Failure> {
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let unusable = |error: &dyn std::fmt::Display| {
                Failure::System(format!("the passed socket {index} is not a listening TCP socket: {error}"))
            };
            let Some(socket) = passed.take_tcp_listener(index).map_err(|error| unusable(&error))? else { continue };
            match rustix::net::sockopt::socket_acceptconn(&socket) {
                Ok(true) => sockets.push(socket),
                Ok(false) => return Err(unusable(&"it is not listening")),
                Err(error) => return Err(unusable(&error)),
            }
        }
        Ok(Self(sockets))
    }

    /// The listeners with their addresses. Passed sockets replace the configured addresses.
    pub(crate) async fn or_bind(self, program: &Program) -> Result<Vec<(SocketAddr, TcpListener)>, Failure> {
        if self.0.is_empty() {
            return bind("listen.address", &program.addresses).await;
        }
        let mut listeners = Vec::new();
        let failed = |error| Failure::system("a passed socket", error);
        for socket in self.0 {
            let address = socket.local_addr().map_err(failed)?;
            if let Some(reason) = program.refuses_plain_http_at(address) {
                return Err(Failure::Configuration(format!("a passed socket listens on {reason}")));
            }
            socket.set_nonblocking(true).map_err(failed)?;
            listeners.push((address, TcpListener::from_std(socket).map_err(failed)?));
        }
        Ok(listeners)
    }
}

/// Listens at the addresses of a key of the configuration.
pub(crate) async fn bind(key: &str, addresses: &[SocketAddr]) -> Result<Vec<(SocketAddr, TcpListener)>, Failure> {
    let mut listeners = Vec::new();
    for address in addresses {
        let failed = |error| Failure::system(&format!("{key} {address}"), error);
        listeners.push((*address, doorward_listen::bind(*address).await.map_err(failed)?));
    }
    Ok(listeners)
}
