//! Installing what is missing: done on Debian as root, and named as one command everywhere else.
//!
//! Easy to get wrong: package names differ from program names, and from one system to the next.

use std::path::Path;
use std::process::Command;

use super::{Tool, search_path};
use crate::failure::Failure;

/// How this system installs packages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Installer {
    Apt { root: bool },
    Brew,
    Dnf,
    Unknown,
}

impl Installer {
    pub(super) fn of_this_system() -> Self {
        let has = |program: &str| search_path().iter().any(|folder| folder.join(program).is_file());
        if Path::new("/etc/debian_version").exists() && has("apt-get") {
            Self::Apt { root: is_root() }
        } else if has("brew") {
            Self::Brew
        } else if has("dnf") {
            Self::Dnf
        } else {
            Self::Unknown
        }
    }

    pub(super) fn can_install(self) -> bool {
        self == Self::Apt { root: true }
    }

    /// The one command that installs the tools.
    pub(super) fn remedy(self, tools: &[Tool]) -> String {
        let packages = tools.iter().map(|&tool| self.packages(tool)).collect::<Vec<_>>().join(" ");
        match self {
            Self::Apt { root: true } => format!("run: apt-get update && apt-get install -y {packages}"),
            Self::Apt { root: false } => format!("run: sudo apt-get update && sudo apt-get install -y {packages}"),
            Self::Brew => format!("run: brew install {packages}"),
            Self::Dnf => format!("run: sudo dnf install -y {packages}"),
            Self::Unknown => {
                "install them with this system's package manager, and see that they are in PATH".to_owned()
            }
        }
    }

    pub(super) fn install(self, tools: &[Tool]) -> Result<(), Failure> {
        install_packages(tools.iter().flat_map(|&tool| self.packages(tool).split(' ')))
    }

    fn packages(self, tool: Tool) -> &'static str {
        match (self, tool) {
            (Self::Brew, Tool::PostgreSql) => "postgresql@17",
            (Self::Dnf, Tool::PostgreSql) => "postgresql-server",
            (_, Tool::PostgreSql) => "postgresql",
            (_, Tool::Chromium) => "chromium",
            (Self::Apt { .. }, Tool::Go) => "golang-go",
            (Self::Dnf, Tool::Go) => "golang",
            (_, Tool::Go) => "go",
            (Self::Apt { .. } | Self::Dnf, Tool::Node) => "nodejs npm",
            (_, Tool::Node) => "node",
            (Self::Apt { .. }, Tool::Python) => "python3 python3-venv",
            (Self::Brew, Tool::Python) => "python",
            (_, Tool::Python) => "python3",
        }
    }
}

/// Installs packages of Debian without questions; what apt-get says is shown only when it fails.
pub(crate) fn install_packages<'a>(packages: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    apt_get(&["update"])?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments)
}

fn apt_get(arguments: &[&str]) -> Result<(), Failure> {
    let line = format!("apt-get {}", arguments.join(" "));
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .map_err(Failure::io(format!("{line} could not be started")))?;
    if output.status.success() {
        return Ok(());
    }
    let detail = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    Err(Failure::Command { line, detail })
}

/// Asked of `id`, as the standard library does not tell.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_one_command_with_every_package() {
        let tools = [Tool::Node, Tool::PostgreSql, Tool::Python];

        assert_eq!(
            Installer::Apt { root: false }.remedy(&tools),
            "run: sudo apt-get update && sudo apt-get install -y nodejs npm postgresql python3 python3-venv"
        );
        assert_eq!(Installer::Brew.remedy(&tools), "run: brew install node postgresql@17 python");
    }

    #[test]
    fn only_root_on_debian_installs_by_itself() {
        assert!(Installer::Apt { root: true }.can_install());
        for other in [Installer::Apt { root: false }, Installer::Brew, Installer::Dnf, Installer::Unknown] {
            assert!(!other.can_install(), "{other:?}");
        }
    }
}
