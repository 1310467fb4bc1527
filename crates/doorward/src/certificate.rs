//! What a running server says about its certificate: why clients reject it, and that it expires soon.

use std::{sync::Arc, time::Duration};

use doorward_listen::tls::{CertificateFault, Reloading};
use doorward_server::metrics::Metrics;

/// How often the certificate and its files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// What there is to say about a certificate.
#[derive(Eq, PartialEq)]
pub(crate) struct CertificateNews {
    faults: Vec<CertificateFault>,
    /// Set if it expires soon.
    days_left: Option<i64>,
}

impl CertificateNews {
    pub(crate) fn of(tls: &Reloading) -> Self {
        let faults = tls.faults();
        let days_left = tls.days_left().filter(|days| faults.is_empty() && *days < EXPIRES_SOON);
        Self { faults, days_left }
    }

    /// Says why clients reject the certificate, or that they soon will.
    pub(crate) fn tell(&self) {
        for fault in &self.faults {
            tracing::error!("listen.tls.certificate: {fault}");
        }
        if let Some(days) = self.days_left {
            tracing::warn!(days_left = days, "listen.tls.certificate: the certificate expires soon");
        }
    }
}

/// Reads the certificate again when its file changes, and says what is new about it: also that the one in use has expired.
/// Reports the days left as a metric.
pub(crate) async fn watch(tls: Arc<Reloading>, metrics: Metrics) {
    let (mut last_error, mut told) = (None, CertificateNews::of(&tls));
    loop {
        if let Some(days_left) = tls.days_left() {
            metrics.certificate(days_left);
        }
        tokio::time::sleep(LOOK).await;
        let refreshed = tls.refresh().map_err(|error| error.to_string());
        match &refreshed {
            Ok(true) => tracing::info!("reloaded the certificate"),
            // Each check reads the same files until someone fixes them.
            Err(error) if last_error.as_ref() != Some(error) => {
                tracing::error!(%error, "the new certificate can't be used; the old one stays");
            }
            Ok(false) | Err(_) => {}
        }
        let news = CertificateNews::of(&tls);
        if refreshed == Ok(true) || news != told {
            news.tell();
        }
        told = news;
        last_error = refreshed.err();
    }
}

/// Days. Automatic renewal, as by ACME clients, happens about a month before the end.
const EXPIRES_SOON: i64 = 14;
