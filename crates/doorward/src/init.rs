//! `doorward init`: a commented configuration, a data folder with its master key, and the first signing keys.

use std::{
    fs::Permissions,
    io::{ErrorKind, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use doorward_store::prepare_folder;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::{
    belonging,
    config::{Given, Issuer, template},
    data::{self, Found},
    failure::Failure,
    output::Output,
    serve,
};

/// Where a new server is created.
pub(crate) struct New {
    config: PathBuf,
    /// The data folder, if it is not the one that the configuration implies.
    data: Option<PathBuf>,
}

impl New {
    /// In `folder`, but for what has a place of its own.
    pub(crate) fn at(folder: &Path, config: Option<PathBuf>, data: Option<PathBuf>) -> Result<Self, Failure> {
        let absolute = |path: PathBuf| {
            std::path::absolute(&path).map_err(|error| Failure::system(&path.display().to_string(), error))
        };
        let config = config.unwrap_or_else(|| folder.join("doorward.toml"));
        let data = data.map(absolute).transpose()?;
        if let Some(data) = data.as_ref().filter(|data| data.to_str().is_none()) {
            return Err(Failure::Usage(format!("--data {}: not UTF-8, as the configuration is", data.display())));
        }
        Ok(Self { config, data })
    }
}

/// Creates a new server. Refuses, or with `if_missing` does nothing, where there is a configuration already.
///
/// The configuration gets its name last: while there is none, a creation that failed or was killed can be run again.
pub(crate) fn run(new: &New, issuer: &str, if_missing: bool, output: Output) -> Result<(), Failure> {
    let issuer = Issuer::parse(issuer).map_err(|error| Failure::Usage(format!("--issuer: {error}")))?;
    let New { config, data } = new;
    if config.exists() {
        return exists(config, if_missing, output);
    }
    let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| Failure::system(&folder.display().to_string(), error))?;
    let text = template(&Given { issuer: &issuer, data: data.as_deref() });
    let written = write_beside(folder, &text).map_err(|error| Failure::system(&config.display().to_string(), error))?;
    let loaded = data::load_config(written.path())?;
    // The environment overrides the file, here as at every later start.
    let data = &loaded.program.data_dir;
    data::refuse_unfinished_demo(data)?;
    prepare_folder(data)?;
    let key = loaded.program.master_key.is_none().then_some(&loaded.program.master_key_file);
    if key.is_none_or(|key| !key.exists()) {
        // The mark comes first: a key without it would be taken for that of a server which has run.
        belonging::begin_new(data)?;
    }
    if let Some(key) = key {
        data::ensure_master_key(key)?;
    }
    serve::runtime(1)?.block_on(async {
        let found = Found::configured(&loaded)?;
        let store = found.open_store().await?;
        store.migrate().await?;
        let app = data::app(found, store.clone()).await?;
        let readied = serve::ready(&app).await;
        store.close().await;
        readied
    })?;
    match written.persist_noclobber(config) {
        Ok(_) => data::sync_folder_of(config)?,
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return exists(config, if_missing, output),
        Err(error) => return Err(Failure::system(&config.display().to_string(), error.error)),
    }
    let view = json!({
        "created": true,
        "config": config,
        "data": data,
        "master_key": key,
        "issuer": issuer.as_str(),
    });
    output.print(&view, || {
        let (config, data) = (config.display(), data.display());
        let key = key.map_or_else(|| "the master key".to_owned(), |key| key.display().to_string());
        format!(
            "Created {config}, {data} and the first signing keys.\n\
             Back up {key} now, apart from the database: without it no key and no token can be verified.\n\n\
             Next:\n  \
             doorward config check --config {config}\n  \
             doorward serve --config {config}\n  \
             doorward api create --config {config} --name NAME --identifier https://api.example.com --scope 'name:read=Read your things'\n  \
             doorward user create --config {config} USERNAME"
        )
    })?;
    Ok(())
}

/// Says that there is a configuration already.
fn exists(config: &Path, if_missing: bool, output: Output) -> Result<(), Failure> {
    if !if_missing {
        return Err(Failure::NotDone(format!("{} exists already; nothing was changed", config.display())));
    }
    // Unreadable is not this command's business: `config check` explains it.
    let issuer = data::load_config(config).ok().map(|config| config.server.issuer.to_string());
    let kept = json!({ "created": false, "config": config, "issuer": issuer });
    output.print(&kept, || {
        let of = issuer.map(|issuer| format!(" for the issuer {issuer}")).unwrap_or_default();
        format!("{} exists{of}; nothing was changed.", config.display())
    })
}

/// Writes the text into a file without a name of its own, as durable and readable as one that is edited by hand.
fn write_beside(folder: &Path, text: &str) -> std::io::Result<NamedTempFile> {
    let permissions = Permissions::from_mode(0o644);
    let mut file =
        tempfile::Builder::new().prefix(".doorward.").suffix(".toml").permissions(permissions).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}
