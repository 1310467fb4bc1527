//! `doorward demo`: everything, on one's own machine, in one command.
//!
//! It is a real server on a real store. Only its users, clients and keys are invented. They are in a file of mode 0600
//! in the data folder, so that a second start finds the same ones.

mod ports;
mod seed;
mod shell;
mod tell;
mod unfinished;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use doorward_core::api::ResourceIdentifier;
use doorward_guard::Guard;
use doorward_listen::Serve;
use doorward_notes::SampleApp;
use doorward_server::{metrics::Metrics, tasks::Tasks};
use doorward_store::{FolderLock, prepare_folder};
use tokio::net::TcpListener;

use crate::{
    belonging::Accepted,
    data::{self, Found, MASTER_KEY},
    demo::seed::Seed,
    failure::Failure,
    logging,
    output::Output,
    serve,
    traces::traced,
};

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// The port of the authorization server; 0 picks a free one
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// The port of the sample API; 0 picks a free one
    #[arg(long, value_name = "PORT")]
    api_port: Option<u16>,
}

/// Runs the demo until it is asked to stop. Without `data` it uses a temporary folder.
pub(crate) fn run(args: DemoArgs, data: Option<PathBuf>, output: Output) -> Result<(), Failure> {
    let _logging = logging::begin_at("warn", false);
    let mut temporary = None;
    let folder = match data {
        Some(folder) => folder,
        None => {
            let made = tempfile::Builder::new().prefix("doorward-demo-").tempdir();
            let made = made.map_err(|error| Failure::system("a temporary folder", error))?;
            temporary.insert(made).path().to_owned()
        }
    };
    prepare_folder(&folder)?;
    let folder = folder.canonicalize().map_err(|error| Failure::system(&folder.display().to_string(), error))?;
    let done = serve::runtime(0)?.block_on(demo(&args, folder, output));
    drop(temporary);
    done
}

async fn demo(args: &DemoArgs, folder: PathBuf, output: Output) -> Result<(), Failure> {
    let _lock = FolderLock::acquire(&folder)?;
    let known = seed::read(&folder)?;
    let (server, server_port) = ports::bind("--port", args.port, known.as_ref().map(Seed::port), 8400).await?;
    let (api, api_port) = ports::bind("--api-port", args.api_port, known.as_ref().map(Seed::api_port), 8401).await?;
    let issuer = format!("http://localhost:{server_port}");
    let api_url = format!("http://localhost:{api_port}");
    if known.is_none() {
        unfinished::begin(&folder)?;
    }
    data::ensure_master_key(&folder.join(MASTER_KEY))?;
    let found = Found::in_folder(&folder, &issuer)?;
    let is_new = Accepted { new: known.is_none(), ..Accepted::default() };
    let store = found.open_accepted(is_new).await?;
    store.migrate().await?;
    store.serve().await?;
    let app = data::measured(found, store.clone(), Metrics::on()).await?;
    serve::ready(&app).await?;
    let seed = match known {
        Some(seed) => seed,
        None => seed::plant(&app, &folder, &issuer, &api_url).await?,
    };
    unfinished::end(&folder, &issuer)?;
    let tasks = Tasks::start(&app).await?;
    let (metrics, metrics_url) = listen_for_metrics().await?;
    let metrics = tokio::spawn(serve::serve_metrics(app.clone(), vec![metrics]));
    let guard = guard(&seed)?;
    let sample = SampleApp::new(&issuer, &seed.public_client_id, &seed.redirect_uri);
    let sample = sample.map_err(|error| Failure::System(error.to_string()))?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let until = |mut stopped: tokio::sync::watch::Receiver<bool>| async move {
        // An error means that the sender is gone, which is an end as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let limits = app.settings.listen;
    let of_server = Serve { router: traced(doorward_server::router(app.clone())), limits, ..Serve::default() };
    let of_api = Serve { router: doorward_notes::router(&guard, sample), limits, ..Serve::default() };
    let end = serve::end()?;
    // The API ends first: its last refusals are delivered to the server.
    let api = tokio::spawn(doorward_listen::serve(api, of_api, until(stopped)));
    let (stop_server, server_stopped) = tokio::sync::watch::channel(false);
    let server = tokio::spawn(doorward_listen::serve(server, of_server, until(server_stopped)));
    tell::wait_for(server_port).await?;
    tell::wait_for(api_port).await?;
    tell::tell(&seed, output, api_port, &metrics_url).await?;
    end.await;
    let _ = stop.send(true);
    let _ = api.await;
    let _ = tokio::time::timeout(Duration::from_secs(2), guard.flush()).await;
    let _ = stop_server.send(true);
    let _ = server.await;
    metrics.abort();
    tasks.stop().await;
    store.close().await;
    Ok(())
}

/// A free port of loopback for metrics, and the URL that reads them.
async fn listen_for_metrics() -> Result<(TcpListener, String), Failure> {
    let failed = |error| Failure::system("a port for metrics", error);
    let listener = doorward_listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.map_err(failed)?;
    let url = format!("http://{}/metrics", listener.local_addr().map_err(failed)?);
    Ok((listener, url))
}

/// The guard of the sample API, built as any API's would be.
fn guard(seed: &Seed) -> Result<Guard, Failure> {
    let audience = ResourceIdentifier::parse(&seed.api_audience);
    let audience = audience.map_err(|error| Failure::System(error.to_string()))?;
    Guard::builder(&*seed.issuer, audience)
        .credential(&*seed.api_client_id, &*seed.api_client_secret)
        .scopes_supported(doorward_notes::SCOPES)
        .deliver_refusals()
        .build()
        .map_err(|error| Failure::System(error.to_string()))
}
