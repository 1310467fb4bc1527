//! TLS (RFC 8446): both versions of HTTP by ALPN (RFC 7301), and nothing without TLS.

use std::sync::Arc;

use doorward_core::clock::{ManualClock, Timestamp};
use doorward_listen::{
    Serve,
    tls::{CertificateFault, Files, Reloading, TlsError},
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

fn clock() -> Arc<ManualClock> {
    // 2026-09-01.
    Arc::new(ManualClock::at(Timestamp::from_secs(1_788_220_800)))
}

fn certify(files: &Files) -> Vec<u8> {
    certify_for(files, "localhost", [2020, 2030])
}

/// Writes a certificate that is valid from the first year's beginning to the other one's.
fn certify_for(files: &Files, host: &str, [from, to]: [i32; 2]) -> Vec<u8> {
    let mut parameters = rcgen::CertificateParams::new([host.to_owned()]).unwrap();
    (parameters.not_before, parameters.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    certificate.der().to_vec()
}

fn files(folder: &TempDir) -> Files {
    Files { certificate: folder.path().join("tls.pem"), key: folder.path().join("tls.key") }
}

async fn secured() -> (Secured, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let certificate = certify(&files);
    let tls = Arc::new(Reloading::new(files.clone(), None, clock()).unwrap());
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
async fn plain_http_on_a_tls_port_gets_no_http_response() {
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

#[test]
fn faults_of_a_certificate_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let fault_at = |host: &str, years| {
        certify_for(&files, "id.example.com", years);
        let host = host.to_owned().try_into().unwrap();
        let faults = Reloading::new(files.clone(), Some(host), clock()).unwrap().faults();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(fault_at("id.example.com", [2020, 2030]), [""; 0]);
    let expired = fault_at("id.example.com", [2020, 2025]);
    assert!(expired.len() == 1 && expired[0].contains("expired on 2025-01-01 00:00 UTC"), "{expired:?}");
    let early = fault_at("id.example.com", [2028, 2030]);
    assert!(early.len() == 1 && early[0].contains("not valid before 2028-01-01 00:00 UTC"), "{early:?}");
    let other = fault_at("login.example.com", [2020, 2030]);
    assert!(other.len() == 1 && other[0].contains("not valid for `login.example.com`"), "{other:?}");
    assert_eq!(fault_at("127.0.0.1", [2020, 2025]).len(), 2);
}

#[test]
fn certificate_with_a_fault_never_replaces_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let clock = clock();
    certify(&files);
    let tls = Reloading::new(files.clone(), Some("localhost".try_into().unwrap()), clock.clone()).unwrap();
    for (host, years) in [("localhost", [2020, 2025]), ("localhost", [2028, 2035]), ("id.example.com", [2020, 2030])] {
        certify_for(&files, host, years);
        assert!(matches!(tls.refresh(), Err(TlsError::Fault(_))), "{host} {years:?}");
        assert_eq!(tls.faults(), []);
    }
    // A certificate that came too early is used once it is valid.
    certify_for(&files, "localhost", [2028, 2035]);
    assert!(tls.refresh().is_err());
    clock.set(Timestamp::from_secs(1_850_000_000));
    assert!(tls.refresh().unwrap());
    assert_eq!(tls.faults(), []);
    // What has expired can be replaced by anything.
    clock.set(Timestamp::from_secs(2_100_000_000));
    assert!(matches!(tls.faults()[..], [CertificateFault::Expired(_)]));
    certify_for(&files, "localhost", [2020, 2025]);
    assert!(tls.refresh().unwrap());
}
