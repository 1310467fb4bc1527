//! TLS (RFC 8446): both versions of HTTP by ALPN (RFC 7301), and nothing without TLS.

use std::sync::Arc;

use doorward_listen::{
    Serve,
    tls::{Files, Reloading},
};
use http::Version;
use tempfile::TempDir;

use crate::harness::*;

/// A listener with a certificate that it issued itself.
struct Secured {
    base: String,
    files: Files,
    tls: Arc<Reloading>,
    _folder: TempDir,
}

fn certify(files: &Files) -> Vec<u8> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    made.cert.der().to_vec()
}

async fn secured() -> (Secured, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files { certificate: folder.path().join("tls.pem"), key: folder.path().join("tls.key") };
    let certificate = certify(&files);
    let tls = Arc::new(Reloading::new(files.clone()).unwrap());
    let listener = Listener::start(Serve { router: hello(), tls: Some(tls.clone()), ..Serve::default() }).await;
    (Secured { base: format!("https://{}", listener.address), files, tls, _folder: folder }, certificate)
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
    let (secured, _) = secured().await;
    let url = format!("{}/", secured.base);
    let preferred = client().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((preferred.version(), preferred.status().as_u16()), (Version::HTTP_2, 200));
    let older = client().http1_only().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((older.version(), older.status().as_u16()), (Version::HTTP_11, 200));
}

#[tokio::test]
async fn what_is_not_tls_gets_no_answer_of_http() {
    let (secured, _) = secured().await;
    let plain = secured.base.replace("https://", "http://");
    let address = secured.base.strip_prefix("https://").unwrap().parse().unwrap();
    let answer = raw(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    assert!(reqwest::get(plain).await.is_err());
}

#[tokio::test]
async fn new_certificate_is_served_and_a_broken_one_is_not() {
    let (secured, first) = secured().await;
    let served = async || {
        let answer = client().build().unwrap().get(format!("{}/", secured.base)).send().await.unwrap();
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
