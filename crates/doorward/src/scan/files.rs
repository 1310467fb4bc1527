//! Files and folders, several at once. Hidden and binary files are searched too; `.gitignore` is followed on request. A file
//! that Git tracks is searched anyway: Git publishes it.
//!
//! Symbolic links inside a folder are not followed, as in Git: what they lead to is in the folder, or not part of it.

use std::{
    ffi::OsStr,
    fs::File,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use doorward_core::scan::{Scanner, Stream};
use ignore::{DirEntry, WalkBuilder, WalkState};

use super::{BUFFER, Collector, passed_over, read};
use crate::output::{shown, warn};

/// Searches files and folders.
pub(crate) fn search(scanner: &Scanner, paths: &[PathBuf], follow_gitignore: bool, collector: &Collector) {
    let [first, others @ ..] = paths else { return };
    let mut walk = WalkBuilder::new(first);
    let tracked = paths.iter().filter(|_| follow_gitignore).flat_map(|path| tracked_though_ignored(path));
    others.iter().cloned().chain(tracked).for_each(|path| {
        walk.add(path);
    });
    walk.standard_filters(false)
        .parents(follow_gitignore)
        .git_exclude(follow_gitignore)
        .git_global(follow_gitignore)
        .git_ignore(follow_gitignore)
        .require_git(false)
        .filter_entry(|entry| !is_compressed_history(entry))
        .threads(thread::available_parallelism().map_or(1, Into::into));
    walk.build_parallel().run(|| {
        let mut stream = Stream::new(scanner, BUFFER);
        Box::new(move |entry| {
            match entry {
                Ok(entry) => search_entry(&mut stream, &entry, collector),
                Err(error) => collector.unread(error.to_string()),
            }
            WalkState::Continue
        })
    });
}

fn search_entry(stream: &mut Stream<'_>, entry: &DirEntry, collector: &Collector) {
    if let Some(error) = entry.error() {
        warn(&shown(&error.to_string()));
    }
    let path = entry.path();
    let name = path.to_string_lossy();
    let kind = match entry.depth() {
        // A link or a pipe that the caller names is meant.
        0 => path.metadata().map(|metadata| metadata.file_type()),
        _ => Ok(entry.file_type().expect("only standard input has none, and it is not walked")),
    };
    match kind {
        Ok(kind) if kind.is_dir() || kind.is_symlink() => {}
        Ok(kind) if entry.depth() > 0 && !kind.is_file() => passed_over(&shown(&name), "it is no regular file"),
        Ok(_) => {
            let read = File::open(path).and_then(|mut file| read(stream, &mut file, &name, collector));
            if let Err(error) = read {
                collector.unread(format!("{name}: {error}"));
            }
        }
        Err(error) => collector.unread(format!("{name}: {error}")),
    }
}

/// The files in a folder that Git tracks although `.gitignore` names them; none if it is no folder of a repository, or there
/// is no Git.
fn tracked_though_ignored(folder: &Path) -> Vec<PathBuf> {
    if !folder.is_dir() {
        return Vec::new();
    }
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(["ls-files", "-z", "--cached", "--ignored", "--exclude-standard"]);
    let listed = git.output().ok().filter(|listed| listed.status.success());
    let listed = listed.map(|listed| listed.stdout).unwrap_or_default();
    let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let files = names.map(|name| folder.join(OsStr::from_bytes(name)));
    files.filter(|file| file.symlink_metadata().is_ok_and(|metadata| metadata.is_file())).collect()
}

/// Whether an entry is the folder of Git's objects. They are compressed, so that nothing would be found in them; `--git`
/// reads them.
fn is_compressed_history(entry: &DirEntry) -> bool {
    let parent = entry.path().parent().and_then(Path::file_name);
    entry.depth() > 0 && entry.file_name() == "objects" && parent.is_some_and(|name| name == ".git")
}
