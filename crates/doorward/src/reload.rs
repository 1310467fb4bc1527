//! SIGHUP: what of the configuration a running server takes over, and what it says about the rest.
//!
//! The certificate and the level of the log are taken over. Everything else is part of what answers requests, and needs a
//! new start; a configuration with mistakes changes nothing.

use std::{path::PathBuf, sync::Arc};

use doorward_listen::tls::Reloading;
use tokio::signal::unix::Signal;

use crate::{
    certificate::CertificateNews,
    config::{Config, Environment, changed},
    logging::Logging,
};

/// What a running server was started with.
pub(crate) struct Running {
    pub(crate) path: PathBuf,
    pub(crate) config: Config,
    pub(crate) tls: Option<Arc<Reloading>>,
    pub(crate) logging: Arc<Logging>,
}

impl Running {
    /// Takes over what can be, each time that the signal comes.
    pub(crate) async fn reload_at(mut self, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            self.reload();
        }
    }

    fn reload(&mut self) {
        let mut new = match Config::load(&self.path, &Environment::of_process()) {
            Ok(new) => new,
            Err(mistakes) => {
                tracing::error!("the new configuration is not used:\n{}", mistakes.render(false));
                return;
            }
        };
        if let Some(tls) = &self.tls {
            match tls.refresh() {
                Ok(true) => tracing::info!("reloaded the certificate"),
                Err(error) => tracing::error!(%error, "the new certificate can't be used; the old one stays"),
                Ok(false) => {}
            }
            // Also of one that stays: it may have expired meanwhile.
            CertificateNews::of(tls).tell();
        }
        let mut waiting = changed(&mut self.config, &mut new);
        if waiting.contains(&"log.level") && self.logging.set_level(new.program.log_level) {
            self.config.program.log_level = new.program.log_level;
            waiting.retain(|key| *key != "log.level");
        }
        match waiting.is_empty() {
            true => tracing::info!("reloaded the configuration"),
            false => {
                tracing::warn!(keys = waiting.join(", "), "reloaded the configuration; these keys need a restart")
            }
        }
    }
}
