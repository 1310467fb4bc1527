//! Ports on loopback, IPv4 and IPv6 alike.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::TcpListener;

use crate::failure::Failure;

/// How often another free port is tried when the one that IPv4 got is taken on IPv6.
const ATTEMPTS: usize = 20;

/// Binds both loopback addresses. A folder that was used before keeps its port, since the URLs in it name that port.
pub(super) async fn bind(
    flag: &str,
    asked: Option<u16>,
    known: Option<u16>,
    default: u16,
) -> Result<(Vec<TcpListener>, u16), Failure> {
    let port = match (asked, known) {
        (Some(asked), Some(known)) if asked != 0 && asked != known => {
            return Err(Failure::Usage(format!(
                "{flag} {asked}: this data folder belongs to a demo on port {known}, and its tokens and clients name \
                 that port; leave {flag} out, or use another folder"
            )));
        }
        (_, Some(known)) => known,
        (Some(asked), None) => asked,
        (None, None) => default,
    };
    for attempt in 1.. {
        match both(port).await {
            Ok(bound) => return Ok(bound),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && port == 0 && attempt < ATTEMPTS => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(Failure::System(format!(
                    "port {port} is taken; choose another with {flag}, or {flag} 0 for any free one"
                )));
            }
            Err(error) => return Err(Failure::system(&format!("{flag} {port}"), error)),
        }
    }
    unreachable!("the last attempt returns")
}

async fn both(port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let v4 = doorward_listen::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)).await?;
    let port = v4.local_addr()?.port();
    match doorward_listen::bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port)).await {
        Ok(v6) => Ok((vec![v4, v6], port)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        // A machine without IPv6 has one loopback.
        Err(_) => Ok((vec![v4], port)),
    }
}
