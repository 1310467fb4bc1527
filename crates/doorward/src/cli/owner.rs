//! The command line runs as the data folder's owner: files that another user made would lock the server out.
//!
//! Root becomes the owner by running the same command again as that user.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::Command,
};

use nix::unistd::Uid;

use crate::{data::Place, failure::Failure, os_user};

/// Goes on as the owner of the place's folder. Does nothing unless root runs the command on somebody else's folder.
pub(super) fn become_owner(place: &Place) -> Result<(), Failure> {
    match place {
        Place::Data(folder) => become_owner_of(folder),
        // What can't be read here is said where it is needed.
        Place::Config(path) => match crate::data::load_config(path) {
            Ok(config) => become_owner_of(&config.program.data_dir),
            Err(_) => Ok(()),
        },
    }
}

/// As [`become_owner`], for a data folder that may not exist yet.
pub(super) fn become_owner_of(folder: &Path) -> Result<(), Failure> {
    let Ok(metadata) = fs::metadata(folder) else { return Ok(()) };
    if !Uid::effective().is_root() || metadata.uid() == 0 {
        return Ok(());
    }
    let program = std::env::current_exe().map_err(|error| Failure::system("finding this program", error))?;
    let mut command = Command::new(program);
    if os_user::invoker().is_none() {
        command.env(os_user::INVOKER, "0");
    }
    let error = command.args(std::env::args_os().skip(1)).gid(metadata.gid()).uid(metadata.uid()).exec();
    Err(Failure::system(&format!("becoming the owner of {}", folder.display()), error))
}
