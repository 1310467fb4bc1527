//! Who may use a data folder: its owner alone, on a disk of this machine.
//!
//! The folder holds the master key beside the database, so it is closed to everybody else (mode 0700). SQLite's
//! locks and shared memory don't work across a network file system: the database would be damaged, not slow.
//!
//! Easy to get wrong: root can open everything, and would leave files behind that the server's own user can't.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a folder can't be used; each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The database was copied with its log.
    #[error(
        "{0} and {0}-wal were copied while a server worked on them, or after it was killed. Copied one after the other, \
         they may lack the last writes. Copy them after the server has ended, or use `doorward backup`. If no server was \
         running, or both are from one snapshot, nothing is missing: accept them with `doorward restore \
         --in-place`", .database.display()
    )]
    Copied {
        /// The path of the copied database.
        database: PathBuf,
    },
    /// The database's file is shorter than its header says.
    #[error(
        "{} was cut off: it has {length} of its {expected} bytes. Copy it again, or restore a backup", .database.display()
    )]
    CutOff {
        /// The path of the truncated database.
        database: PathBuf,
        /// How long it should be.
        expected: u64,
        /// How long it is.
        length: u64,
    },
    /// The database was copied without its log.
    #[error(
        "{0} was copied while a server worked on it, and {0}-wal, which has the last writes, is not beside it. \
         Copy the file after the server has ended, or use `doorward backup`. If it was copied by SQLite's own means \
         (.backup, VACUUM INTO, Litestream), nothing is missing: accept it with `doorward restore --in-place`",
        .database.display()
    )]
    HalfCopy {
        /// The path of the copied database.
        database: PathBuf,
    },
    /// A running server, or a command that must be alone, has the folder.
    #[error("{} is in use by {}", .folder.display(), held(.command.as_deref(), *.pid))]
    Held {
        /// The folder that is in use.
        folder: PathBuf,
        /// The process that has it, if it could be read.
        pid: Option<u32>,
        /// The command that it runs, if it is not a server.
        command: Option<String>,
    },
    /// The operating system refuses.
    #[error("{} can't be used: {source}. Its owner, or root, can run this", .folder.display())]
    Io {
        /// The folder that can't be used.
        folder: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The database's log is there without the database.
    #[error(
        "{0} is missing or empty, and {0}-wal, which has only the last writes, is there: put the database's \
         file back beside it, or restore a backup into an empty folder", .database.display()
    )]
    LogAlone {
        /// The path of the missing database.
        database: PathBuf,
    },
    /// There is no such folder.
    #[error("{} does not exist: name the folder that `doorward init` or a demo created", .folder.display())]
    Missing {
        /// The folder that does not exist.
        folder: PathBuf,
    },
    /// On a network file system, where SQLite's locks don't hold.
    #[error("{} is on a network file system ({kind}): put it on a local disk, or use PostgreSQL", .folder.display())]
    Network {
        /// The folder on the network file system.
        folder: PathBuf,
        /// The file system's type as the kernel names it.
        kind: String,
    },
    /// Something else than a folder.
    #[error("{} is not a folder: name the one that holds the server's data", .folder.display())]
    NotAFolder {
        /// What was named as the data folder.
        folder: PathBuf,
    },
    /// The file beside the database is not its log.
    #[error(
        "{0} was in use when it was copied, or when its server ended, and {0}-wal beside it is not its log: the last \
         writes are missing. Put its own log back, or restore a backup. To continue without it, remove the wrong log \
         and accept the database as it is with `doorward restore --in-place`",
        .database.display()
    )]
    OtherLog {
        /// The path of the database without its log.
        database: PathBuf,
    },
    /// Others than the owner may enter.
    #[error("{} can be entered by others than its owner (mode {mode:04o}): run chmod 700 on it", .folder.display())]
    Open {
        /// The folder that is open to others.
        folder: PathBuf,
        /// The folder's permission bits.
        mode: u32,
    },
    /// The process runs as another user.
    #[error("{} belongs to user {owner}, this program runs as user {user}: run it as the owner", .folder.display())]
    Owner {
        /// The folder that belongs to someone else.
        folder: PathBuf,
        /// The id of the user who owns it.
        owner: u32,
        /// The id of the user who runs this program.
        user: u32,
    },
    /// The database and its log are not of one moment.
    #[error(
        "{0} and {0}-wal do not belong together ({found}): restore a backup, or copy both after the server has ended",
        .database.display()
    )]
    Torn {
        /// The path of the damaged database.
        database: PathBuf,
        /// SQLite's description of the damage.
        found: String,
    },
}

/// Makes the folder if it is missing, closes it to others if it is still empty, and checks it.
pub fn prepare_folder(folder: &Path) -> Result<(), FolderError> {
    let failed = |source| FolderError::Io { folder: folder.to_owned(), source };
    match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        // Something other than a folder is there: check_folder reports it.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    // Somebody's full folder with a wider mode was named by mistake more likely than by intent: it is left alone.
    if let Err(FolderError::Open { .. }) = check_access(folder)
        && fs::read_dir(folder).map_err(failed)?.next().is_none()
    {
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    check_folder(folder)
}

/// Whether this process may use the folder: it exists, the process's user owns it, nobody else may enter, and it is
/// on a local disk.
pub fn check_folder(folder: &Path) -> Result<(), FolderError> {
    check_access(folder)?;
    // Only Linux has this file; elsewhere the type of the file system is not known.
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else {
        return Ok(());
    };
    let path = fs::canonicalize(folder).map_err(|source| FolderError::Io { folder: folder.to_owned(), source })?;
    match file_system(&mounts, &path) {
        Some(kind) if NETWORK.contains(&kind) => {
            Err(FolderError::Network { folder: folder.to_owned(), kind: kind.to_owned() })
        }
        _ => Ok(()),
    }
}

fn check_access(folder: &Path) -> Result<(), FolderError> {
    let folder = folder.to_owned();
    let metadata = match fs::metadata(&folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(FolderError::Missing { folder });
        }
        Err(source) => return Err(FolderError::Io { folder, source }),
    };
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let mode = metadata.mode() & 0o7777;
    if !metadata.is_dir() {
        Err(FolderError::NotAFolder { folder })
    } else if owner != user {
        Err(FolderError::Owner { folder, owner, user })
    } else if mode & 0o077 != 0 {
        Err(FolderError::Open { folder, mode })
    } else {
        Ok(())
    }
}

/// The type of the file system that holds the path: that of the longest mount point above it, and the last of equals,
/// which covers the others. The format is that of proc_pid_mountinfo(5).
fn file_system<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mut deepest = (0, None);
    for line in mounts.lines() {
        let Some((mount, system)) = line.split_once(" - ") else {
            continue;
        };
        let (Some(point), kind) = (mount.split(' ').nth(4), system.split(' ').next()) else {
            continue;
        };
        let point = PathBuf::from(unescape(point));
        let depth = point.components().count();
        if path.starts_with(&point) && depth >= deepest.0 {
            deepest = (depth, kind);
        }
    }
    deepest.1
}

/// Mount points are written with space, tab, newline and backslash as octal escapes.
fn unescape(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

fn held(command: Option<&str>, pid: Option<u32>) -> String {
    match command {
        None => format!("a running server{}: stop it, or use another folder", process(pid)),
        Some(command) => format!("`{command}`{}: wait until it ends, or use another folder", process(pid)),
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

const NETWORK: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.ceph",
    "fuse.davfs",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.smbnetfs",
    "fuse.sshfs",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
];

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::{FolderError, check_folder, file_system, prepare_folder};

    #[test]
    fn missing_folder_is_created_for_only_the_owner() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");

        assert!(matches!(check_folder(&folder), Err(FolderError::Missing { .. })));
        prepare_folder(&folder).unwrap();

        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        check_folder(&folder).unwrap();
    }

    #[test]
    fn an_open_folder_is_closed_when_empty_and_refused_when_not() {
        let folder = tempfile::tempdir().unwrap();
        let open = || fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();

        open();
        prepare_folder(folder.path()).unwrap();

        open();
        fs::write(folder.path().join("photo"), "").unwrap();
        assert!(matches!(prepare_folder(folder.path()), Err(FolderError::Open { mode: 0o755, .. })));
    }

    #[test]
    fn a_file_is_no_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(prepare_folder(file.path()), Err(FolderError::NotAFolder { .. })));
    }

    #[test]
    fn the_file_system_is_that_of_the_deepest_mount() {
        let mounts = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /mnt/my\\040share rw - nfs4 host:/x rw
31 22 0:41 / /mnt/data rw - tmpfs tmpfs rw
32 31 0:42 / /mnt/data rw master:3 - fuse.sshfs host: rw
";
        let kind = |path| file_system(mounts, Path::new(path));
        assert_eq!(kind("/var/lib/doorward"), Some("ext4"));
        assert_eq!(kind("/mnt/my share/doorward"), Some("nfs4"));
        assert_eq!(kind("/mnt/data/x"), Some("fuse.sshfs"));
        assert_eq!(kind("/mnt/database"), Some("ext4"));
    }
}
