//! The programs that the tests need beside Rust: where they are, and how they are installed.
//!
//! Easy to get wrong: a program that is there but too old fails much later with an error that names something else,
//! so the version is asked for here.

mod install;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use install::Installer;
pub(crate) use install::{install_packages, is_root};

/// A program, or a few that come together.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Tool {
    Chromium,
    Go,
    Node,
    PostgreSql,
    Python,
}

impl Tool {
    /// The tool that a `client-test.json` calls by this name.
    pub(crate) fn needed_as(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.need() == name)
    }

    /// Its name in `client-test.json`.
    pub(crate) fn need(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Go => "go",
            Self::Node => "node",
            Self::PostgreSql => "postgresql",
            Self::Python => "python",
        }
    }

    pub(crate) const ALL: [Self; 5] = [Self::Chromium, Self::Go, Self::Node, Self::PostgreSql, Self::Python];

    /// Names of its main program, the first that is found counts.
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Chromium => &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
            Self::Go => &["go"],
            Self::Node => &["node"],
            Self::PostgreSql => &["initdb"],
            Self::Python => &["python3"],
        }
    }

    /// Programs that must stand beside the main one, or in the path.
    fn companions(self) -> &'static [&'static str] {
        match self {
            Self::Node => &["npm"],
            Self::PostgreSql => &["postgres", "pg_isready"],
            Self::Chromium | Self::Go | Self::Python => &[],
        }
    }

    /// What makes the main program print its version, and the oldest that does.
    fn oldest(self) -> Option<(&'static str, Version)> {
        match self {
            Self::Chromium => None,
            Self::Go => Some(("version", Version(1, 21))),
            Self::Node => Some(("--version", Version(20, 0))),
            Self::PostgreSql => Some(("--version", Version(14, 0))),
            Self::Python => Some(("--version", Version(3, 9))),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Chromium => "Chromium",
            Self::Go => "Go",
            Self::Node => "Node.js with npm",
            Self::PostgreSql => "PostgreSQL server",
            Self::Python => "Python 3 with venv",
        }
    }

    /// Folders outside the path in which distributions put it, newest first.
    fn folders(self) -> Vec<PathBuf> {
        match self {
            Self::Chromium => vec![PathBuf::from("/Applications/Chromium.app/Contents/MacOS")],
            Self::Go => vec![PathBuf::from("/usr/local/go/bin")],
            Self::Node | Self::Python => Vec::new(),
            Self::PostgreSql => postgresql_folders(),
        }
    }
}

/// What was found: the main program of each tool.
#[derive(Debug, Default)]
pub(crate) struct Toolchain {
    programs: BTreeMap<Tool, PathBuf>,
}

impl Toolchain {
    /// Finds the tools; on Debian as root it installs what is missing.
    ///
    /// # Errors
    /// [`Failure::Missing`] with the one command that would install the rest.
    pub(crate) fn ready(tools: &[Tool]) -> Result<Self, Failure> {
        let (found, missing) = Self::find(tools);
        if missing.is_empty() {
            return Ok(found);
        }
        let installer = Installer::of_this_system();
        let lacking: Vec<Tool> = missing.iter().map(|(tool, _)| *tool).collect();
        if !installer.can_install() {
            return Err(Failure::Missing { tools: names(&missing), remedy: installer.remedy(&lacking) });
        }
        println!("installing {}", names(&missing).join(", "));
        installer.install(&lacking)?;
        let (found, missing) = Self::find(tools);
        if missing.is_empty() {
            return Ok(found);
        }
        let remedy = "this Debian's own packages are too old or incomplete; install these from their projects' sites \
                      or with a newer Debian, or leave the client suites out: cargo xtask test --without clients";
        Err(Failure::Missing { tools: names(&missing), remedy: remedy.to_owned() })
    }

    /// The path of a tool's main program; for PostgreSQL `initdb`.
    pub(crate) fn program(&self, tool: Tool) -> Option<&Path> {
        self.programs.get(&tool).map(PathBuf::as_path)
    }

    /// A PATH in which the tools found outside of it are reached as well.
    pub(crate) fn path(&self) -> OsString {
        let own = self.programs.values().filter_map(|program| program.parent()).map(Path::to_owned);
        let mut folders = search_path();
        for folder in own {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        // Each part comes out of a PATH or is a folder of a distribution: none holds a colon.
        std::env::join_paths(folders).unwrap_or_else(|_| std::env::var_os("PATH").unwrap_or_default())
    }

    /// The tools that are there, and those that are not, with the reason.
    pub(crate) fn find(tools: &[Tool]) -> (Self, Vec<(Tool, String)>) {
        let mut toolchain = Self::default();
        let mut missing = Vec::new();
        for &tool in tools {
            match locate(tool) {
                Ok(program) => {
                    toolchain.programs.insert(tool, program);
                }
                Err(why) => missing.push((tool, why)),
            }
        }
        (toolchain, missing)
    }
}

fn names(missing: &[(Tool, String)]) -> Vec<String> {
    missing.iter().map(|(tool, why)| format!("{} ({why})", tool.title())).collect()
}

/// The main program of a tool, or why it will not do.
fn locate(tool: Tool) -> Result<PathBuf, String> {
    let mut folders = tool.folders();
    folders.extend(search_path());
    let program = first_program(&folders, tool.programs()).ok_or("not found")?;
    for companion in tool.companions() {
        // A link in the path leads to the folder where the others are.
        let beside = program.canonicalize().ok().and_then(|real| Some(real.parent()?.join(companion)));
        if !beside.is_some_and(|path| is_program(&path)) && first_program(&folders, &[companion]).is_none() {
            return Err(format!("`{companion}` not found"));
        }
    }
    if let Some((argument, oldest)) = tool.oldest() {
        let said = run(&program, &[argument]).ok_or_else(|| format!("`{}` does not run", program.display()))?;
        let version = Version::parse(&said).ok_or_else(|| format!("no version in {said:?}"))?;
        if version < oldest {
            return Err(format!("{version} is there, {oldest} or later is needed"));
        }
    }
    if tool == Tool::Python && run(&program, &["-c", "import ensurepip, venv"]).is_none() {
        return Err("without `venv`".to_owned());
    }
    Ok(program)
}

fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn first_program(folders: &[PathBuf], names: &[&str]) -> Option<PathBuf> {
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|path| is_program(path)))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Debian keeps the server's programs out of the path, a folder for each major version.
fn postgresql_folders() -> Vec<PathBuf> {
    let mut folders: Vec<(Version, PathBuf)> = Vec::new();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"] {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.strip_prefix("postgresql@").unwrap_or(&name);
            if let Ok(major) = version.parse() {
                folders.push((Version(major, 0), entry.path().join("bin")));
            }
        }
    }
    folders.sort_by(|left, right| right.cmp(left));
    folders.into_iter().map(|(_, folder)| folder).collect()
}

fn run(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Major and minor.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Version(u32, u32);

impl Version {
    /// The first number in what a program says of itself, with the one after its dot.
    fn parse(said: &str) -> Option<Self> {
        let start = said.find(|c: char| c.is_ascii_digit())?;
        let end =
            said[start..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(said.len(), |length| start + length);
        let mut numbers = said[start..end].split('.');
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
        Some(Self(major, minor))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_printing_a_version_is_understood() {
        let cases = [
            ("v20.20.2\n", Version(20, 20)),
            ("go version go1.26.8 linux/amd64\n", Version(1, 26)),
            ("Python 3.11.7", Version(3, 11)),
            ("initdb (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", Version(15, 13)),
            ("initdb (PostgreSQL) 18beta1", Version(18, 0)),
        ];
        for (said, version) in cases {
            assert_eq!(Version::parse(said), Some(version), "{said}");
        }
        assert_eq!(Version::parse("none"), None);
    }

    #[test]
    fn minor_versions_compare_as_numbers() {
        assert!(Version(3, 11) > Version(3, 9));
    }

    #[test]
    fn a_tool_is_called_in_manifests_by_one_name() {
        for tool in Tool::ALL {
            assert_eq!(Tool::needed_as(tool.need()), Some(tool));
        }
        assert_eq!(Tool::needed_as("perl"), None);
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_no_program() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("go");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();

        assert_eq!(first_program(&[folder.path().to_owned()], &["go"]), None);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(first_program(&[folder.path().to_owned()], &["go"]), Some(path));
    }
}
