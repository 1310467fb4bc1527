//! What is measured, built as it is shipped.
//!
//! The floor stands outside the workspace with a lock of its own; both are built into the same target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::tools::Tools;
use crate::failure::Failure;
use crate::workspace::{self, cargo_program};

/// The programs that are measured.
#[derive(Debug)]
pub(super) struct Programs {
    /// The bare handler, and the signatures alone.
    pub(super) floor: PathBuf,
    /// What a guard costs.
    pub(super) guard: PathBuf,
    pub(super) doorward: PathBuf,
    /// How npm's `oidc-provider` is started, if it is to be.
    pub(super) oidc_provider: Option<OidcProvider>,
    /// A folder of the bench in Cargo's target folder. It lies on a disk, which a temporary folder need not.
    pub(super) folder: PathBuf,
}

#[derive(Debug)]
pub(super) struct OidcProvider {
    pub(super) node: PathBuf,
    pub(super) script: PathBuf,
}

impl Programs {
    pub(super) fn build(tools: &Tools) -> Result<Self, Failure> {
        let target = target_folder()?;
        let floor_manifest = workspace::root().join("bench/floor/Cargo.toml");
        cargo(&["build", "--profile", "dist", "--package", "doorward"], &target)?;
        let manifest = ["--locked", "--manifest-path", &floor_manifest.to_string_lossy()];
        cargo(&[&["build", "--profile", "dist", "--bins", "--examples"], &manifest[..]].concat(), &target)?;
        let folder = target.join("bench");
        fs::create_dir_all(&folder).map_err(Failure::io(format!("{} could not be made", folder.display())))?;
        let built = target.join("dist");
        Ok(Self {
            floor: built.join("doorward-bench-floor"),
            guard: built.join("examples/guard"),
            doorward: built.join("doorward"),
            oidc_provider: tools.node.as_ref().map(|node| oidc_provider(node, tools, &folder)).transpose()?,
            folder,
        })
    }
}

fn target_folder() -> Result<PathBuf, Failure> {
    let line = "cargo metadata";
    let output = Command::new(cargo_program())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(workspace::root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Failure::io(format!("{line} could not be started")))?;
    let metadata: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let folder = metadata.as_ref().and_then(|metadata| metadata["target_directory"].as_str());
    let failed = || Failure::Command { line: line.to_owned(), detail: "it names no target folder".to_owned() };
    folder.map(PathBuf::from).ok_or_else(failed)
}

fn cargo(arguments: &[&str], target: &Path) -> Result<(), Failure> {
    workspace::cargo(&[arguments, &["--target-dir", &target.to_string_lossy()]].concat())
}

/// Installs it in a folder of the bench: what npm leaves behind does not belong among the sources.
fn oidc_provider(node: &Path, tools: &Tools, folder: &Path) -> Result<OidcProvider, Failure> {
    let source = workspace::root().join("bench/oidc-provider");
    let folder = folder.join("oidc-provider");
    let script = folder.join("server.mjs");
    fs::create_dir_all(&folder).map_err(Failure::io(format!("{} could not be made", folder.display())))?;
    for name in ["package.json", "package-lock.json", "server.mjs"] {
        fs::copy(source.join(name), folder.join(name)).map_err(Failure::io(format!("{name} could not be copied")))?;
    }
    let line = "npm ci --no-audit --no-fund --prefer-offline";
    println!("$ {line}");
    let mut words = line.split(' ');
    let status = Command::new(words.next().expect("a line has a first word"))
        .args(words)
        .current_dir(&folder)
        .env("PATH", &tools.path)
        .stdout(Stdio::null())
        .status()
        .map_err(Failure::io(format!("{line} could not be started")))?;
    match status.success() {
        true => Ok(OidcProvider { node: node.to_owned(), script }),
        false => Err(Failure::Command { line: line.to_owned(), detail: String::new() }),
    }
}
