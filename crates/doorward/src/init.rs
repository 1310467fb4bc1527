//! `doorward init`: a commented configuration, a data folder with its master key, and the first signing keys.

use std::path::Path;

use doorward_store::prepare_folder;
use serde_json::json;

use crate::{
    belonging,
    config::{Issuer, template},
    data::{self, Place},
    failure::Failure,
    output::Output,
    serve,
};

/// Makes a new server in `folder`.
pub(crate) fn run(folder: &Path, issuer: &str, output: Output) -> Result<(), Failure> {
    let issuer = Issuer::parse(issuer).map_err(|error| Failure::Usage(format!("--issuer: {error}")))?;
    std::fs::create_dir_all(folder).map_err(|error| Failure::system(&folder.display().to_string(), error))?;
    let config = folder.join("doorward.toml");
    if config.exists() {
        return Err(Failure::NotDone(format!("{} exists already; nothing was changed", config.display())));
    }
    let data = folder.join("data");
    data::refuse_unfinished_demo(&data)?;
    prepare_folder(&data)?;
    if data::ensure_master_key(&data)? {
        belonging::begin_new(&data)?;
    }
    std::fs::write(&config, template(&issuer))
        .map_err(|error| Failure::system(&config.display().to_string(), error))?;
    let place = Place::Config(config.clone());
    serve::runtime(1)?.block_on(async {
        let found = place.find()?;
        let store = found.open_store().await?;
        store.migrate().await?;
        let app = data::app(found, store.clone()).await?;
        let readied = serve::ready(&app).await;
        store.close().await;
        readied
    })?;
    let made =
        json!({ "config": config, "data": data, "master_key": data.join("master.key"), "issuer": issuer.as_str() });
    output.print(&made, || {
        let (config, data) = (config.display(), data.display());
        format!(
            "Made {config}, {data} and the first signing keys.\n\
             Back up {data}/master.key now, apart from the database: without it no key and no token can be verified.\n\n\
             Next:\n  \
             doorward config check --config {config}\n  \
             doorward serve --config {config}\n  \
             doorward api create --config {config} --name NAME --identifier https://api.example.com --scope 'name:read=Read your things'\n  \
             doorward user create --config {config} USERNAME"
        )
    })?;
    Ok(())
}
