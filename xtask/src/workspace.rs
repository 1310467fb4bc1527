//! Cargo on this workspace.
//!
//! Easy to get wrong: `cargo build --package doorward` and `cargo test --workspace` unify features differently, so
//! using both builds most of the tree twice. One command here builds the programs and the tests together, and
//! everything after it finds its work done.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::failure::Failure;

/// What the build left behind.
#[derive(Debug)]
pub(crate) struct Built {
    /// The program `doorward`.
    pub(crate) doorward: PathBuf,
    /// The folder in which suites keep what they install: `clients` in Cargo's target folder.
    pub(crate) clients: PathBuf,
}

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The Cargo that started this program.
pub(crate) fn cargo_program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Runs Cargo in the workspace and shows what it says.
pub(crate) fn cargo(arguments: &[&str]) -> Result<(), Failure> {
    let line = format!("cargo {}", arguments.join(" "));
    println!("$ {line}");
    let status = Command::new(cargo_program())
        .args(arguments)
        .current_dir(root())
        .status()
        .map_err(Failure::io(format!("{line} could not be started")))?;
    if status.success() { Ok(()) } else { Err(Failure::Command { line, detail: String::new() }) }
}

/// Builds every program and every test of the workspace.
pub(crate) fn build() -> Result<Built, Failure> {
    let arguments = ["build", "--workspace", "--bins", "--tests", "--examples"];
    let line = format!("cargo {}", arguments.join(" "));
    println!("$ {line}");
    let mut build = Command::new(cargo_program())
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failure::io(format!("{line} could not be started")))?;
    let output = build.stdout.take().expect("standard output was piped above");
    let mut doorward = None;
    for message in BufReader::new(output).lines() {
        let message = message.map_err(Failure::io("what cargo says could not be read"))?;
        doorward = doorward.or_else(|| doorward_executable(&message));
    }
    let status = build.wait().map_err(Failure::io(format!("{line} could not be awaited")))?;
    match doorward {
        Some(doorward) if status.success() => {
            let profile = doorward.parent().expect("a program stands in a folder");
            let clients = profile.parent().unwrap_or(profile).join("clients");
            Ok(Built { doorward, clients })
        }
        Some(_) => Err(Failure::Command { line, detail: String::new() }),
        None if status.success() => Err(Failure::Command { line, detail: "it made no program `doorward`".to_owned() }),
        None => Err(Failure::Command { line, detail: String::new() }),
    }
}

/// The path of the program itself, which stands among the test programs of the same name.
fn doorward_executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_program = message["reason"] == "compiler-artifact"
        && message["target"]["name"] == "doorward"
        && message["target"]["kind"][0] == "bin"
        && message["profile"]["test"] == false;
    if !is_program {
        return None;
    }
    message["executable"].as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn artifact(name: &str, kind: &str, test: bool) -> String {
        json!({
            "reason": "compiler-artifact",
            "target": { "name": name, "kind": [kind] },
            "profile": { "test": test },
            "executable": "/t/debug/doorward",
        })
        .to_string()
    }

    #[test]
    fn the_program_is_told_from_its_tests_and_from_the_library() {
        assert_eq!(doorward_executable(&artifact("doorward", "bin", false)), Some(PathBuf::from("/t/debug/doorward")));
        for other in
            [artifact("doorward", "bin", true), artifact("doorward", "test", true), artifact("xtask", "bin", false)]
        {
            assert_eq!(doorward_executable(&other), None, "{other}");
        }
        assert_eq!(doorward_executable("a line of a build script"), None);
    }
}
