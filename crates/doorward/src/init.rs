//! `doorward init`: a commented configuration, a data folder with its master key, and the first signing keys.

use std::path::{Path, PathBuf};

use doorward_store::prepare_folder;
use serde_json::json;

use crate::{
    belonging,
    config::{Given, Issuer, template},
    data::{self, Place},
    failure::Failure,
    output::Output,
    serve,
};

/// Where a new server is created.
pub(crate) struct New {
    config: PathBuf,
    data: PathBuf,
    /// Whether the data folder is written into the configuration: it is not the one that the configuration implies.
    names_data: bool,
}

impl New {
    /// In `folder`, but for what has a place of its own.
    pub(crate) fn at(folder: &Path, config: Option<PathBuf>, data: Option<PathBuf>) -> Result<Self, Failure> {
        let absolute = |path: PathBuf| {
            std::path::absolute(&path).map_err(|error| Failure::system(&path.display().to_string(), error))
        };
        let names_data = data.is_some();
        let config = config.unwrap_or_else(|| folder.join("doorward.toml"));
        let data = match data {
            Some(data) => absolute(data)?,
            None => config.parent().unwrap_or(Path::new("")).join("data"),
        };
        Ok(Self { config, data, names_data })
    }
}

/// Creates a new server. Refuses, or with `if_missing` does nothing, where there is a configuration already.
pub(crate) fn run(new: &New, issuer: &str, if_missing: bool, output: Output) -> Result<(), Failure> {
    let issuer = Issuer::parse(issuer).map_err(|error| Failure::Usage(format!("--issuer: {error}")))?;
    let New { config, data, names_data } = new;
    if config.exists() {
        if !if_missing {
            return Err(Failure::NotDone(format!("{} exists already; nothing was changed", config.display())));
        }
        let kept = json!({ "created": false, "config": config });
        return output.print(&kept, || format!("{} exists; nothing was changed.", config.display()));
    }
    if let Some(folder) = config.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|error| Failure::system(&folder.display().to_string(), error))?;
    }
    data::refuse_unfinished_demo(data)?;
    prepare_folder(data)?;
    if data::ensure_master_key(data)? {
        belonging::begin_new(data)?;
    }
    let text = template(&Given { issuer: &issuer, data: names_data.then_some(data.as_path()) });
    std::fs::write(config, text).map_err(|error| Failure::system(&config.display().to_string(), error))?;
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
    let view = json!({
        "created": true,
        "config": config,
        "data": data,
        "master_key": data.join("master.key"),
        "issuer": issuer.as_str(),
    });
    output.print(&view, || {
        let (config, data) = (config.display(), data.display());
        format!(
            "Created {config}, {data} and the first signing keys.\n\
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
