//! The programs that the commands need beside Rust: where they are, and how they are installed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// A program, or a few that come together. `client-test.json` and `tools.sh` use these names in lower case.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tool {
    Caddy,
    Chromium,
    /// Makes a fresh Debian to install the package into.
    Debootstrap,
    /// Gives the chaos suite a clock that jumps.
    Faketime,
    Go,
    HaProxy,
    /// Maven and the JDK that it runs on.
    Maven,
    /// Compiles C for the static program.
    Musl,
    Nginx,
    Node,
    /// Issues the certificates of suites that speak TLS.
    OpenSsl,
    PostgreSql,
    Python,
    /// Keeps the benchmark's server and load on cores of their own.
    Taskset,
    /// The benchmark's load.
    Wrk,
}

#[derive(Default)]
pub(crate) struct Tools {
    /// A PATH in which each tool is found.
    pub(crate) path: String,
    pub(crate) programs: BTreeMap<Tool, PathBuf>,
}

/// Something that the machine lacks, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Missing(pub(crate) String);

/// Finds the tools. As root on Debian it installs what is missing.
///
/// # Errors
/// [`Missing`] with what to do about the rest.
pub(crate) fn ready(tools: &BTreeSet<Tool>) -> Result<Tools> {
    let names = tools.iter().map(|tool| format!("{tool:?}").to_lowercase());
    let output = Command::new("sh").args(["-c", include_str!("tools.sh"), "tools"]).args(names).output()?;
    ensure!(output.status.success(), Missing(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()));
    let output = String::from_utf8(output.stdout)?;
    let (path, programs) = output.split_once('\n').context("no PATH was found")?;
    let programs = tools.iter().copied().zip(programs.lines().map(PathBuf::from)).collect();
    Ok(Tools { path: path.to_owned(), programs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tool_that_is_too_old_is_named_with_the_remedy() {
        let tools = include_str!("tools.sh").replace("/etc/debian_version", "/nonexistent");
        let remedy = "Install them with the package manager of this system";
        for (tool, program, version, output) in [
            ("go", "go", "go version go1.22 linux/amd64", "\ngo\n".to_owned()),
            ("go", "go", "go version go1.100.1 linux/amd64", "\ngo\n".to_owned()),
            ("go", "go", "go version go1.21.13 linux/amd64", format!("not installed: Go 1.22 or later\n{remedy}")),
            ("maven", "javac", "javac 17.0.15", "\nmvn\n".to_owned()),
            ("maven", "javac", "javac 11.0.2", format!("not installed: Maven and JDK 17 or later\n{remedy}")),
        ] {
            let script = format!("mvn() {{ :; }}\n{program}() {{ echo {version}; }}\n{tools}");
            let found = Command::new("sh").args(["-c", &script, "tools", tool]).output().unwrap();
            let found = String::from_utf8_lossy(&[found.stdout, found.stderr].concat()).into_owned();
            assert!(found.contains(&output), "{found}");
        }
    }
}
