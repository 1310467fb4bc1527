//! The programs that the commands need beside Rust: where they are, and how they are installed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A program, or a few that come together. `client-test.json` and `tools.sh` use these names in lower case.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tool {
    Chromium,
    Go,
    Node,
    PostgreSql,
    Python,
    /// Keeps the benchmark's server and load on cores of their own.
    Taskset,
    /// The benchmark's load.
    Wrk,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    /// A PATH in which each tool is found.
    pub(crate) path: String,
    /// The main program of each tool.
    pub(crate) programs: BTreeMap<Tool, PathBuf>,
}

/// Something that the machine lacks, and what to do about it.
#[derive(Debug)]
pub(crate) struct Missing(pub(crate) String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Missing {}

/// Finds the tools. As root on Debian it installs what is missing.
///
/// # Errors
/// [`Missing`] with what to do about the rest.
pub(crate) fn ready(tools: &BTreeSet<Tool>) -> Result<Tools> {
    let names = tools.iter().map(|tool| format!("{tool:?}").to_lowercase());
    let output = Command::new("sh").args(["-c", include_str!("tools.sh"), "tools"]).args(names).output()?;
    let error = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    match output.status.code() {
        Some(0) => {}
        Some(2) => bail!(Missing(error)),
        _ => bail!("the tools could not be found\n{error}"),
    }
    let output = String::from_utf8(output.stdout)?;
    let (path, programs) = output.split_once('\n').context("no PATH was found")?;
    let programs = tools.iter().copied().zip(programs.lines().map(PathBuf::from)).collect();
    Ok(Tools { path: path.to_owned(), programs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_has_its_program_or_is_named_as_missing() {
        let shell = |script: &str| {
            let script =
                format!("{script}\n{}", include_str!("tools.sh").replace("/etc/debian_version", "/nonexistent"));
            let output = Command::new("sh").args(["-c", &script, "tools", "go", "wrk"]).output().unwrap();
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        };
        let go = |version| shell(&format!("go() {{ echo go version go{version} linux/amd64; }}; wrk() {{ :; }}"));

        assert!(go("1.21").ends_with("\ngo\nwrk\n"), "{}", go("1.21"));
        assert!(go("1.100.1").ends_with("\ngo\nwrk\n"));
        assert!(go("1.20.14").starts_with("not installed: Go 1.21 or later\nInstall them"), "{}", go("1.20.14"));
    }
}
