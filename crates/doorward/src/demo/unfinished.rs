//! A demo that was killed while it created its folder starts over at the next start.
//!
//! A file marks the folder from before the demo's first file until its last, which is the one that names the issuer. No
//! command works on a marked folder, so it can't contain anyone else's data when the demo starts over.

use std::{fs, io, path::Path};

use doorward_store::DATABASE;

use crate::{
    data::{self, CONFIGURATION, ISSUER, MASTER_KEY, UNFINISHED_DEMO},
    failure::Failure,
};

/// Readies a folder in which no demo was finished: removes what an unfinished one made, and marks the folder. A folder
/// with anything else of a server in it is refused and left as it is.
pub(super) fn begin(folder: &Path) -> Result<(), Failure> {
    let is_unfinished = data::is_unfinished_demo(folder);
    if !is_unfinished && [DATABASE, ISSUER, MASTER_KEY].iter().any(|name| folder.join(name).exists()) {
        return Err(Failure::NotDone(format!(
            "{} contains the data of a server that is not a demo: use another folder. Nothing was changed",
            folder.display()
        )));
    }
    if !is_unfinished {
        return data::write_secret(&folder.join(UNFINISHED_DEMO), "");
    }
    let files = ["", "-journal", "-shm", "-wal"].map(|suffix| format!("{DATABASE}{suffix}"));
    files.iter().map(String::as_str).chain([MASTER_KEY]).try_for_each(|name| remove(folder, name))
}

/// Marks the demo as complete: from now on commands find it.
pub(super) fn end(folder: &Path, issuer: &str) -> Result<(), Failure> {
    // A server with a configuration may have run on this folder before.
    remove(folder, CONFIGURATION)?;
    data::write_secret(&folder.join(ISSUER), issuer)?;
    remove(folder, UNFINISHED_DEMO)
}

fn remove(folder: &Path, name: &str) -> Result<(), Failure> {
    match fs::remove_file(folder.join(name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::system(&folder.join(name).display().to_string(), error))
        }
        _ => Ok(()),
    }
}
