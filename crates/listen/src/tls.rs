//! TLS from certificate files (RFC 8446), which are reloaded when they change.
//!
//! A certificate that no client would accept is served only while there is no better one: a renewal that went wrong
//! must not replace a certificate that still works.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::SystemTime,
};

use doorward_core::clock::Clock;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};

pub use crate::certificate::CertificateFault;
use crate::certificate::{days_left, faults};

/// Where certificate and key are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The chain in PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key in PEM.
    pub key: PathBuf,
}

/// Why TLS can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// A file holds no PEM of the kind wanted.
    #[error("{0}: contains no usable PEM")]
    Pem(PathBuf),
    /// The certificate has a fault that the current one does not have.
    #[error(transparent)]
    Fault(#[from] CertificateFault),
    /// Certificate and key don't fit, or can't be used.
    #[error("the certificate and its key can't be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The current configuration, and the files that it came from.
pub struct Reloading {
    files: Files,
    host: Option<ServerName<'static>>,
    clock: Arc<dyn Clock>,
    present: RwLock<Present>,
}

#[derive(Clone)]
struct Present {
    config: Arc<ServerConfig>,
    certificate: CertificateDer<'static>,
    stamp: Stamp,
}

type Stamp = [Option<SystemTime>; 2];

impl Reloading {
    /// Reads the files. `host` is the name or the address by which clients know the server; `None` if the certificate is
    /// for others, for example for a proxy. A certificate with a [fault](Self::faults) is accepted.
    pub fn new(files: Files, host: Option<ServerName<'static>>, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let present = RwLock::new(load(&files)?);
        Ok(Self { files, host, clock, present })
    }

    /// The current configuration, for the next connection.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.present().config
    }

    /// Why clients reject the current certificate.
    pub fn faults(&self) -> Vec<CertificateFault> {
        self.faults_of(&self.present())
    }

    /// How many whole days the current certificate is still valid for; below zero once it has expired. `None` if it
    /// can't be read.
    pub fn days_left(&self) -> Option<i64> {
        days_left(&self.present().certificate, self.clock.now())
    }

    /// Reads the files again if they changed. The current configuration stays in place if the new files can't be used,
    /// or if their certificate has a fault and the current one has none.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let present = self.present();
        if present.stamp == stamp(&self.files) {
            return Ok(false);
        }
        let new = load(&self.files)?;
        if let Some(fault) = self.faults_of(&new).into_iter().next()
            && self.faults_of(&present).is_empty()
        {
            return Err(fault.into());
        }
        *self.present.write().unwrap_or_else(std::sync::PoisonError::into_inner) = new;
        Ok(true)
    }

    fn present(&self) -> Present {
        self.present.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn faults_of(&self, configuration: &Present) -> Vec<CertificateFault> {
        faults(&configuration.certificate, self.host.as_ref(), self.clock.now())
    }
}

fn stamp(files: &Files) -> Stamp {
    [&files.certificate, &files.key].map(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok())
}

fn load(files: &Files) -> Result<Present, TlsError> {
    // A file that changes while it is read is read again.
    let stamp = stamp(files);
    let read = |path: &PathBuf| fs::read(path).map_err(|error| TlsError::File(path.clone(), error));
    let certificate = read(&files.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let unusable = || TlsError::Pem(files.certificate.clone());
    let chain = chain.map_err(|_| unusable())?;
    let own = chain.first().ok_or_else(unusable)?.clone();
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| TlsError::Pem(files.key.clone()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Present { config: Arc::new(config), certificate: own, stamp })
}
