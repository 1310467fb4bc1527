//! TLS from certificate files (RFC 8446), read again when they change.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::SystemTime,
};

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

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
    #[error("{0}: no usable PEM in it")]
    Pem(PathBuf),
    /// Certificate and key don't fit, or can't be used.
    #[error("the certificate and its key can't be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The present configuration, and the files that it came from.
pub struct Reloading {
    files: Files,
    present: RwLock<(Arc<ServerConfig>, Stamp)>,
}

type Stamp = [Option<SystemTime>; 2];

impl Reloading {
    /// Reads the files.
    pub fn new(files: Files) -> Result<Self, TlsError> {
        let stamp = stamp(&files);
        let config = Arc::new(load(&files)?);
        Ok(Self { files, present: RwLock::new((config, stamp)) })
    }

    /// The present configuration.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.present.read().unwrap_or_else(std::sync::PoisonError::into_inner).0.clone()
    }

    /// Reads the files again if they changed. Files that can't be used leave the present configuration in place.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let stamp = stamp(&self.files);
        if self.present.read().unwrap_or_else(std::sync::PoisonError::into_inner).1 == stamp {
            return Ok(false);
        }
        let config = Arc::new(load(&self.files)?);
        *self.present.write().unwrap_or_else(std::sync::PoisonError::into_inner) = (config, stamp);
        Ok(true)
    }
}

fn stamp(files: &Files) -> Stamp {
    [&files.certificate, &files.key].map(|path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok())
}

fn load(files: &Files) -> Result<ServerConfig, TlsError> {
    let read = |path: &PathBuf| fs::read(path).map_err(|error| TlsError::File(path.clone(), error));
    let certificate = read(&files.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::Pem(files.certificate.clone()))?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| TlsError::Pem(files.key.clone()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
