//! `doorward man-pages`: a page for each command.

use std::{fs, path::Path};

use clap::CommandFactory;

use super::Cli;
use crate::failure::Failure;

/// Writes `doorward.1` and a page for each visible command into `folder`.
pub(super) fn run(folder: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::system(&folder.display().to_string(), error);
    fs::create_dir_all(folder).map_err(failed)?;
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder).map_err(failed)
}
