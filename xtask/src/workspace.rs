//! Cargo on this workspace.
//!
//! Easy to get wrong: `cargo build --package doorward` and `cargo test --workspace` unify features differently, so
//! using both builds most of the tree twice. One command builds the programs and the tests together, and everything
//! after it finds its work done.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::Run;

/// What the tests are built with beside the default features. One choice for all of them, or most of the tree is built twice;
/// the tests of the packages build the program with the default features.
pub(crate) const FEATURES: [&str; 2] = ["--features", "doorward/otlp"];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The Cargo that started this program, in the folder of the workspace. It builds for this machine, where the programs run.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.current_dir(root()).env_remove("CARGO_BUILD_TARGET");
    command
}

pub(crate) fn target_folder() -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let metadata = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).read()?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("`cargo metadata` names no target folder")?;
    Ok(metadata.target_directory)
}
