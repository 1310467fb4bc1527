//! Asking a running server on this machine about its health, as the health check of a container does.
//!
//! The server's certificate is not verified: it names the issuer's host and not the loopback address, and a health check
//! neither sends nor trusts anything secret.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// How long the whole answer may take. Docker and Kubernetes give up sooner or later than this by their own settings.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer; a server's own are a few hundred.
const MAX_ANSWER: usize = 64 * 1024;

/// How to reach a server.
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) is_tls: bool,
    /// The networks whose connections begin with a header of the PROXY protocol.
    pub(crate) speak_proxy_protocol: Vec<IpNet>,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("{0}")]
    Connection(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the answer can't be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} seconds", TIMEOUT.as_secs())]
    Timeout,
}

/// Where a server that listens at this address is reached from its own machine.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Sends a GET request for `path`.
pub(crate) async fn get(target: &Target, path: &str) -> Result<Answer, NoAnswer> {
    tokio::time::timeout(TIMEOUT, connect_and_get(target, path)).await.unwrap_or(Err(NoAnswer::Timeout))
}

async fn connect_and_get(target: &Target, path: &str) -> Result<Answer, NoAnswer> {
    let mut stream = TcpStream::connect(target.address).await?;
    let from = stream.local_addr()?.ip();
    if target.speak_proxy_protocol.iter().any(|network| network.contains(&from)) {
        stream.write_all(&doorward_listen::PROXY_PROTOCOL_LOCAL).await?;
    }
    if !target.is_tls {
        return exchange(stream, target.address, path).await;
    }
    let name = ServerName::IpAddress(target.address.ip().into());
    let stream = TlsConnector::from(Arc::new(any_certificate())).connect(name, stream).await?;
    exchange(stream, target.address, path).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    address: SocketAddr,
    path: &str,
) -> Result<Answer, NoAnswer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its error, if there is one, is also the request's.
    tokio::spawn(async { drop(connection.await) });
    let request = Request::get(path)
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .expect("a path of this program, an address and fixed headers");
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(NoAnswer::Body)?;
    Ok(Answer { status, body: body.to_bytes() })
}

fn any_certificate() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(AnyCertificate(provider.clone()));
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth()
}

/// Accepts every certificate, but only a peer that holds its private key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
