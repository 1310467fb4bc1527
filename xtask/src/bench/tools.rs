//! The programs that only the bench needs: `wrk`, which loads, and `taskset`, which keeps load and server apart.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::failure::Failure;
use crate::toolchain::{Tool, Toolchain, install_packages, is_root};

/// Where Node.js is, if it was asked for, and the PATH in which its npm is found.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) node: Option<PathBuf>,
    pub(super) path: OsString,
}

/// Finds the programs; on Debian as root it installs what is missing.
///
/// # Errors
/// [`Failure::Missing`] with what to do about it.
pub(super) fn ready(with_node: bool) -> Result<Tools, Failure> {
    if !cfg!(target_os = "linux") || thread::available_parallelism().map_or(1, usize::from) < 2 {
        let remedy = "run it on Linux with two cores or more: one core serves and another loads";
        return Err(Failure::Missing { tools: vec!["a second core".to_owned()], remedy: remedy.to_owned() });
    }
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|(program, _)| !runs(program)).collect();
    if !missing.is_empty() {
        let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
        if is_root() && Path::new("/etc/debian_version").exists() {
            println!("installing {}", packages.join(", "));
            install_packages(packages.iter().copied())?;
        }
        if missing.iter().any(|(program, _)| !runs(program)) {
            return Err(Failure::Missing {
                tools: missing.iter().map(|(program, _)| (*program).to_owned()).collect(),
                remedy: format!("install the packages {} (their names in Debian)", packages.join(" ")),
            });
        }
    }
    let toolchain = Toolchain::ready(if with_node { &[Tool::Node] } else { &[] })?;
    Ok(Tools { node: toolchain.program(Tool::Node).map(Path::to_owned), path: toolchain.path() })
}

/// Each with its package in Debian.
const PROGRAMS: [(&str, &str); 2] = [("taskset", "util-linux"), ("wrk", "wrk")];

fn runs(program: &str) -> bool {
    // `wrk` has no option that ends with 0; that it could be started is enough.
    !matches!(Command::new(program).arg("--version").output(), Err(error) if error.kind() == ErrorKind::NotFound)
}
