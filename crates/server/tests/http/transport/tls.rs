//! TLS (RFC 8446) on a listener of our own: both versions of HTTP by ALPN (RFC 7301), and nothing without TLS.

use std::{net::SocketAddr, sync::Arc};

use doorward_listen::{
    Serve,
    tls::{Files, Reloading},
};
use http::Version;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::harness::*;

/// A second listener in front of a server, with a certificate that it made itself.
struct Secured {
    base: String,
    files: Files,
    tls: Arc<Reloading>,
    _folder: TempDir,
    _end: oneshot::Sender<()>,
}

fn certify(files: &Files) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    made.cert.der().to_vec()
}

async fn secured(server: &TestServer) -> (Secured, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files { certificate: folder.path().join("tls.pem"), key: folder.path().join("tls.key") };
    let certificate = certify(&files);
    let tls = Arc::new(Reloading::new(files.clone()).unwrap());
    let listener = doorward_listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let limits = server.app.settings.listen;
    let serve = Serve {
        router: doorward_server::router(server.app.clone()),
        limits,
        tls: Some(tls.clone()),
        ..Serve::default()
    };
    let (end, ended) = oneshot::channel::<()>();
    tokio::spawn(doorward_listen::serve(vec![listener], serve, async {
        let _ = ended.await;
    }));
    (Secured { base, files, tls, _folder: folder, _end: end }, certificate)
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().tls_danger_accept_invalid_certs(true).tls_info(true)
}

fn certificate_of(answer: &reqwest::Response) -> Vec<u8> {
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap();
    info.peer_certificate().unwrap().to_vec()
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_and_http_2_is_preferred() {
    let server = TestServer::start().await;
    let (secured, _) = secured(&server).await;
    let url = format!("{}/jwks", secured.base);
    let preferred = client().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((preferred.version(), preferred.status().as_u16()), (Version::HTTP_2, 200));
    let older = client().http1_only().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((older.version(), older.status().as_u16()), (Version::HTTP_11, 200));
}

#[tokio::test]
async fn what_is_not_tls_gets_no_answer_of_http() {
    let server = TestServer::start().await;
    let (secured, _) = secured(&server).await;
    let plain = secured.base.replace("https://", "http://");
    let answer = raw(&plain, b"GET /jwks HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    assert!(reqwest::get(format!("{plain}/jwks")).await.is_err());
}

#[tokio::test]
async fn a_new_certificate_is_served_to_new_connections_and_a_broken_one_is_not() {
    let server = TestServer::start().await;
    let (secured, first) = secured(&server).await;
    let served = async || {
        let answer = client().build().unwrap().get(format!("{}/jwks", secured.base)).send().await.unwrap();
        certificate_of(&answer)
    };
    assert_eq!(served().await, first);
    std::fs::write(&secured.files.certificate, "no certificate").unwrap();
    assert!(secured.tls.refresh().is_err());
    assert_eq!(served().await, first);
    let second = certify(&secured.files);
    assert!(secured.tls.refresh().unwrap());
    assert_eq!(served().await, second);
}
