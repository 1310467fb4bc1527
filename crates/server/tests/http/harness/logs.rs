//! Everything that Doorward logs in this process, from the first time that a test asks on, at the finest level.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt};

static LOGS: OnceLock<Logs> = OnceLock::new();

#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Begins to listen, if nobody did. Tests that run beside this one are heard as well.
    pub(crate) fn listen() -> &'static Self {
        LOGS.get_or_init(|| {
            let logs = Self::default();
            let ours = ["doorward_core", "doorward_guard", "doorward_server", "doorward_store", "doorward"];
            let targets = Targets::new().with_targets(ours.map(|target| (target, tracing::Level::TRACE)));
            let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(logs.clone());
            let subscriber = tracing_subscriber::registry().with(targets).with(lines);
            tracing::subscriber::set_global_default(subscriber).expect("nobody else listens in this process");
            logs
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.lock().clone()).expect("logs are text")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
