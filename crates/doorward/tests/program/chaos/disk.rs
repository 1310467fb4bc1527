//! A disk without room: a small file system of its own where this user may mount one, otherwise files that may not grow.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{load::Load, site::Site};
use crate::{
    full_disk::limit_files,
    support::{PROGRAM, Running, without_configuration},
};

/// Large enough for a load of some seconds.
const SIZE: &str = "size=64m";

/// A folder on a disk that can be filled.
struct Disk {
    folder: TempDir,
    is_mounted: bool,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "doorward-chaos"]).arg(folder.path()).status();
        let is_mounted = mount.is_ok_and(|status| status.success());
        Self { folder, is_mounted }
    }

    fn fill(&self, server: &Running) {
        if !self.is_mounted {
            return limit_files(server, Some(1));
        }
        let mut filler = File::options().create(true).append(true).open(self.filler()).expect("the file is opened");
        for size in [1 << 20, 1 << 12, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self, server: &Running) {
        match self.is_mounted {
            true => fs::remove_file(self.filler()).expect("the file is removed"),
            false => limit_files(server, None),
        }
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
        }
    }
}

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn full_disk_is_answered_503_and_loses_nothing() {
    let disk = Disk::new();
    let site = Site::in_folder(&disk.folder.path().join("server"));
    // Without the shell, the signal that comes with a file that may not grow would end the program.
    let mut shell = without_configuration(Command::new("sh"));
    shell.args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#, PROGRAM, "serve", "--config"]).arg(&site.config);
    shell.stderr(Stdio::null());
    let node = site.start_by(0, shell);
    let how = if disk.is_mounted { "a file system of 64 MiB is full" } else { "files may not grow" };
    let load = Load::start("A full disk", &site.target);

    load.phase(how);
    load.until_refused(20, || disk.fill(&node));
    load.phase("after");
    disk.free(&node);
    load.until_fulfilled(20);
    load.finish();
    assert_eq!(node.terminate(), Some(0));
}
