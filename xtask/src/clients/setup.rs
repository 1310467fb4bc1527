//! Whether what a suite depends on is installed already, noted in its state folder.
//!
//! Easy to get wrong: a CI that keeps the target folder but not the clone has the note and not the packages, so
//! whether `node_modules` is there goes into the note.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

/// Whether the note is that of the folder as it stands.
pub(super) fn is_done(folder: &Path, state: &Path) -> bool {
    fs::read_to_string(state.join(NOTE)).is_ok_and(|note| note == fingerprint(folder))
}

/// Writes the note; to be called when every command of the setup has succeeded.
pub(super) fn mark_done(folder: &Path, state: &Path) -> io::Result<()> {
    fs::write(state.join(NOTE), fingerprint(folder))
}

const NOTE: &str = "setup-done";

/// The files that say what is to be installed, and how.
const INPUTS: &[&str] =
    &["Cargo.lock", "client-test.json", "go.mod", "go.sum", "package-lock.json", "package.json", "requirements.txt"];

/// The hash may change with the Rust release: then the setup runs once more.
fn fingerprint(folder: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    for input in INPUTS {
        fs::read(folder.join(input)).ok().hash(&mut hasher);
    }
    folder.join("node_modules").is_dir().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_were_removed_are_installed_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("node_modules")).unwrap();

        mark_done(folder.path(), state.path()).unwrap();
        assert!(is_done(folder.path(), state.path()));

        fs::remove_dir(folder.path().join("node_modules")).unwrap();
        assert!(!is_done(folder.path(), state.path()));
    }

    #[test]
    fn nothing_is_done_before_it_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let state = tempfile::tempdir().unwrap();

        assert!(!is_done(folder.path(), state.path()));
    }
}
