//! On what a run was made, without which its figures say nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use super::tools::Tools;
use crate::workspace;

/// What a reader must know about a run.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) date: String,
    pub(super) commit: String,
    pub(super) cores: usize,
    pub(super) cpu: String,
    pub(super) kernel: String,
    /// Of the data folder: what a durable write costs is the disk's business.
    pub(super) file_system: String,
    pub(super) rustc: String,
    pub(super) node: String,
    /// How busy the machine was before anything was built: the average of a minute.
    pub(super) load_before: String,
}

impl Machine {
    pub(super) fn of(data: &Path, tools: &Tools, load_before: String) -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let node = tools.node.as_ref().map(|node| said(&node.to_string_lossy(), &["--version"]));
        Self {
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            commit: said("git", &["describe", "--always", "--dirty"]),
            cores: thread::available_parallelism().map_or(1, usize::from),
            cpu: cpu.trim_start_matches([' ', '\t', ':']).to_owned(),
            kernel: said("uname", &["-sr"]),
            file_system: said("stat", &["--file-system", "--format=%T", &data.to_string_lossy()]),
            rustc: said("rustc", &["--version"]),
            node: node.unwrap_or_else(|| "not used".to_owned()),
            load_before,
        }
    }
}

/// The load average of the last minute.
pub(super) fn load_average() -> String {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().unwrap_or_default().to_owned()
}

/// What a program says, or that it says nothing: a run is not thrown away for want of a version.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(workspace::root()).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}
