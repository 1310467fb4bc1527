//! The PROXY protocol, version 2 (haproxy.org, "The PROXY protocol", section 2.2): what a proxy that does not speak HTTP
//! sends ahead of a connection to report whose it is.
//!
//! Whether it is there must be known and never guessed: a client could send it as well.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The header of a connection that its peer opened for itself (LOCAL, with no address): what a health check sends to a
/// listener that expects the PROXY protocol.
pub const PROXY_PROTOCOL_LOCAL: [u8; 16] = *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Bytes of the addresses and of all that may follow them.
const MAX_LENGTH: usize = 4_096;

/// Whose a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// The proxy's own, for example to check whether this server is alive.
    Proxy,
    Client(IpAddr),
    /// A client's whose address is of no kind that is known here.
    Unknown,
}

/// Reads the header, and nothing of what follows.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Source> {
    let (mut signature, mut fixed) = ([0; 12], [0; 4]);
    stream.read_exact(&mut signature).await?;
    stream.read_exact(&mut fixed).await?;
    let [command, family, length @ ..] = fixed;
    let length = usize::from(u16::from_be_bytes(length));
    if signature != *SIGNATURE || length > MAX_LENGTH {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    source(command, family, &rest).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn source(command: u8, family: u8, rest: &[u8]) -> Option<Source> {
    match (command, family >> 4) {
        (0x20, _) => Some(Source::Proxy),
        (0x21, 0x1) if rest.len() >= 12 => {
            let address: [u8; 4] = *rest.first_chunk()?;
            Some(Source::Client(Ipv4Addr::from(address).into()))
        }
        (0x21, 0x2) if rest.len() >= 36 => {
            let address: [u8; 16] = *rest.first_chunk()?;
            Some(Source::Client(Ipv6Addr::from(address).to_canonical()))
        }
        (0x21, 0x1 | 0x2) => None,
        (0x21, _) => Some(Source::Unknown),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &length, rest].concat()
    }

    async fn source_in(bytes: &[u8]) -> Option<Source> {
        let mut stream = bytes;
        read(&mut stream).await.ok()
    }

    #[tokio::test]
    async fn client_is_read_and_what_follows_is_left() {
        let v4 = header(0x21, 0x11, &[203, 0, 113, 1, 10, 0, 0, 1, 0x11, 0x5c, 1, 187, 4, 0, 1, 7]);
        let bytes = [v4.as_slice(), b"GET"].concat();
        let mut stream = bytes.as_slice();
        assert_eq!(read(&mut stream).await.unwrap(), Source::Client("203.0.113.1".parse().unwrap()));
        assert_eq!(stream, b"GET");
        let mut addresses = [0; 36];
        addresses[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        let v6 = header(0x21, 0x21, &addresses);
        assert_eq!(source_in(&v6).await, Some(Source::Client("2001:db8::7".parse().unwrap())));
    }

    #[tokio::test]
    async fn proxys_own_connection_has_its_address() {
        assert_eq!(source_in(&header(0x20, 0x00, &[])).await, Some(Source::Proxy));
        assert_eq!(source_in(&PROXY_PROTOCOL_LOCAL).await, Some(Source::Proxy));
        assert_eq!(source_in(&header(0x21, 0x00, &[])).await, Some(Source::Unknown));
        assert_eq!(source_in(&header(0x21, 0x31, &[0; 216])).await, Some(Source::Unknown));
    }

    #[tokio::test]
    async fn broken_header_is_refused() {
        let valid = header(0x21, 0x11, &[0; 12]);
        for end in 0..valid.len() {
            assert_eq!(source_in(&valid[..end]).await, None, "{end}");
        }
        for broken in [header(0x11, 0x11, &[0; 12]), header(0x22, 0x11, &[0; 12]), header(0x21, 0x11, &[0; 11])] {
            assert_eq!(source_in(&broken).await, None);
        }
        assert_eq!(source_in(&header(0x21, 0x11, &[0; MAX_LENGTH + 1])).await, None);
        assert_eq!(source_in(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await, None);
        assert_eq!(source_in(b"PROXY TCP4 203.0.113.1 10.0.0.1 4444 443\r\n").await, None);
    }
}
