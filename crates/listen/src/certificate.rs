//! Why clients would reject a certificate (RFC 5280 section 4.1.2.5, RFC 9525).
//!
//! Only what the server itself can know: the validity period and the names. Whether clients trust the issuer of the
//! certificate is up to them.

use doorward_core::clock::Timestamp;
use rustls::{client::verify_server_name, server::ParsedCertificate};
use rustls_pki_types::{CertificateDer, ServerName};
use x509_parser::{certificate::X509Certificate, prelude::FromDer, time::ASN1Time};

/// Why clients reject a certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateFault {
    /// Its validity period is over.
    #[error("the certificate expired on {0}")]
    Expired(String),
    /// Its validity period has not begun.
    #[error("the certificate is not valid before {0}")]
    NotYetValid(String),
    /// It is for other hosts.
    #[error("the certificate is not valid for `{0}`, the host of the issuer")]
    OtherHost(String),
    /// It is no certificate of X.509 version 3.
    #[error("the certificate can't be read")]
    Unreadable,
}

/// The faults of a certificate at a point in time, for clients that know the server as `host`.
pub(crate) fn faults(
    certificate: &CertificateDer<'_>,
    host: Option<&ServerName<'_>>,
    now: Timestamp,
) -> Vec<CertificateFault> {
    let (Ok((_, read)), Ok(names)) = (X509Certificate::from_der(certificate), ParsedCertificate::try_from(certificate))
    else {
        return vec![CertificateFault::Unreadable];
    };
    let mut faults = Vec::new();
    let validity = read.validity();
    // The period includes both of its ends.
    if now.as_secs() > validity.not_after.timestamp() {
        faults.push(CertificateFault::Expired(date(validity.not_after)));
    }
    if now.as_secs() < validity.not_before.timestamp() {
        faults.push(CertificateFault::NotYetValid(date(validity.not_before)));
    }
    if let Some(host) = host
        && verify_server_name(&names, host).is_err()
    {
        faults.push(CertificateFault::OtherHost(host.to_str().into_owned()));
    }
    faults
}

/// How many whole days a certificate is still valid for; below zero once it has expired. `None` if it can't be read.
pub(crate) fn days_left(certificate: &CertificateDer<'_>, now: Timestamp) -> Option<i64> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    Some((read.validity().not_after.timestamp() - now.as_secs()).div_euclid(86_400))
}

/// To the minute: "2026-11-27 08:20 UTC".
fn date(at: ASN1Time) -> String {
    let at = at.to_datetime();
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}
