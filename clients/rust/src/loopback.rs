//! The listener of a native application: a loopback address whose port nobody registered (RFC 8252 section 7.3).
//!
//! Easy to get wrong: a browser opens connections on which it may never send a request, so each has its own thread.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use openidconnect::url::Url;

use crate::demo::{Demo, TIMEOUT};

const PAGE: &str = "You can close this page.";

/// Listens on a free port of the host of the registered redirect URI until the process ends; gives the redirect URI
/// with that port.
pub fn listen(demo: &Demo) -> Result<String, Box<dyn Error>> {
    let mut redirect_uri = Url::parse(&demo.redirect_uri)?;
    let host = redirect_uri.host_str().ok_or("the registered redirect URI has no host")?;
    let listener = TcpListener::bind((host, 0))?;
    let port = listener.local_addr()?.port();
    redirect_uri.set_port(Some(port)).map_err(|()| "the registered redirect URI can have no port")?;
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // A connection that broke is the browser's affair; where it mattered the browser does not arrive.
            thread::spawn(move || answer(connection).ok());
        }
    });
    Ok(redirect_uri.into())
}

fn answer(mut connection: TcpStream) -> io::Result<()> {
    connection.set_read_timeout(Some(TIMEOUT))?;
    for line in BufReader::new(connection.try_clone()?).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let length = PAGE.len();
    write!(
        connection,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{PAGE}"
    )
}
