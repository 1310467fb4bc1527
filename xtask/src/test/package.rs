//! What is shipped, on machines that have nothing of ours: an empty root and a fresh Debian.
//!
//! Easy to get wrong: a program that starts proves little. Each server is asked to verify a key, which needs its store,
//! its master key and its cryptography.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PACKAGE, counts::Counts, summary::Summary};
use crate::leash::{Leashed, leash};
use crate::package::{Packages, Workshop};
use crate::process::Run;
use crate::tools::{self, Tool};

/// Builds the packages, tries each, and adds the row. Where what this needs can't be had, the row says why.
pub(super) fn run(summary: &mut Summary) -> Result<()> {
    let ready = fresh_debian().and_then(|debian| Ok((debian, Workshop::ready()?)));
    let (debian, workshop) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            println!("{error:#}");
            let why = error.to_string().lines().next().unwrap_or_default().to_owned();
            summary.left_out(PACKAGE.to_owned(), why);
            return Ok(());
        }
    };
    let packages = workshop.build()?;
    let tests: [(&str, Test); 2] = [
        ("static program serves from an empty read-only root as a user without a name", serve_from_empty_root),
        ("Debian package is installed, upgraded, removed and purged", install_upgrade_and_remove),
    ];
    let mut counts = Counts::default();
    for (name, test) in tests {
        match test(&packages, debian.path()) {
            Ok(()) => {
                println!("ok: {name}");
                counts.passed += 1;
            }
            Err(error) => {
                println!("FAILED: {name}\n{error:#}");
                counts.failed += 1;
            }
        }
    }
    summary.ran(PACKAGE.to_owned(), counts, None);
    Ok(())
}

type Test = fn(&Packages, &Path) -> Result<()>;

/// The user of the image.
const NOBODY: u32 = 65532;

fn serve_from_empty_root(packages: &Packages, _: &Path) -> Result<()> {
    let folder = root_folder()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    chown(&data, Some(NOBODY), Some(NOBODY))?;
    fs::copy(&packages.program, folder.path().join("doorward"))?;
    let root = Root { path: folder.path().to_owned(), user: format!("{NOBODY}:{NOBODY}"), mounts: READ_ONLY };
    let server = NewServer { root: &root, program: "/doorward", config: "/data/doorward.toml", data: None };
    let running = server.create()?.serve(&["/doorward", "serve", "--config", "/data/doorward.toml"])?;
    running.verify_key()?;
    running.stop()?;
    ensure!(root.command(&["/doorward", "man-pages", "/pages"]).read().is_err(), "the root can be written");
    Ok(())
}

fn install_upgrade_and_remove(packages: &Packages, debian: &Path) -> Result<()> {
    let root = Root { path: debian.to_owned(), user: "root".to_owned(), mounts: WITH_PROC };
    let install = |revision| -> Result<String> {
        let deb = packages.deb(revision)?;
        fs::copy(deb, root.path.join("doorward.deb"))?;
        root.command(&["dpkg", "--install", "/doorward.deb"]).read()
    };

    let said = install(1)?;
    ensure!(said.contains("doorward init --config /etc/doorward/doorward.toml"), "it says what to do next: {said}");
    let data = fs::metadata(root.path.join("var/lib/doorward"))?;
    ensure!(data.mode() & 0o777 == 0o700 && data.uid() != 0, "the data folder belongs to the user doorward alone");
    for file in ["usr/share/man/man1/doorward-key-create.1.gz", "usr/share/bash-completion/completions/doorward"] {
        ensure!(root.path.join(file).exists(), "{file} is not installed");
    }
    let unit = "/lib/systemd/system/doorward.service";
    root.command(&["systemd-analyze", "verify", "--man=no", unit]).read()?;
    let unit = fs::read_to_string(root.path.join(unit.trim_start_matches('/')))?;
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).context("the unit starts nothing")?;
    let start: Vec<&str> = start.split(' ').collect();

    let config = "/etc/doorward/doorward.toml";
    let server = NewServer { root: &root, program: "doorward", config, data: Some("/var/lib/doorward") }.create()?;
    let service = Root { user: "doorward:doorward".to_owned(), ..root.clone() };
    let running = Server { root: &service, ..server }.serve(&start)?;
    running.verify_key()?;
    let server = running.stop()?;

    install(2)?;
    let version = root.command(&["dpkg-query", "--show", "--showformat=${Version}", "doorward"]).read()?;
    ensure!(version.ends_with("-2"), "the upgrade left {version}");
    let running = server.serve(&start)?;
    running.verify_key().context("after the upgrade")?;
    running.stop()?;

    for action in ["--remove", "--purge"] {
        root.command(&["dpkg", action, "doorward"]).read()?;
        ensure!(!root.path.join("usr/bin/doorward").exists(), "the program is still there after {action}");
        for kept in ["etc/doorward/doorward.toml", "var/lib/doorward/master.key", "var/lib/doorward/doorward.db"] {
            ensure!(root.path.join(kept).exists(), "{kept} is gone after {action}");
        }
    }
    Ok(())
}

/// A Debian of this machine's version, fresh from its archive.
fn fresh_debian() -> Result<TempDir> {
    Command::new("unshare").args(["--mount", "true"]).read().context("root may not mount here")?;
    tools::ready(&[Tool::Debootstrap].into())?;
    let folder = root_folder()?;
    let release = fs::read_to_string("/etc/os-release")?;
    let suite =
        release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).context("no VERSION_CODENAME")?;
    // systemd comes along to judge the unit; nothing starts it.
    let options = ["--variant=minbase", "--include=adduser,systemd", suite];
    Command::new("debootstrap").args(options).arg(folder.path()).read()?;
    Ok(folder)
}

/// A folder that other users may pass through.
fn root_folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("doorward-root-").tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// A file system in which commands run.
#[derive(Clone)]
struct Root {
    path: PathBuf,
    /// As `chroot --userspec` takes it.
    user: String,
    /// A shell script that mounts what the commands see, `$1` the root. Nobody else sees these mounts.
    mounts: &'static str,
}

/// The root for reading, but its folder `data`.
const READ_ONLY: &str =
    r#"mount --rbind "$1" "$1" && mount --bind "$1/data" "$1/data" && mount -o remount,bind,ro "$1""#;
/// What every running Debian has.
const WITH_PROC: &str = r#"mount -t proc proc "$1/proc""#;

impl Root {
    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new("env");
        command.args(self.words(line));
        command
    }

    fn leashed(&self, line: &[&str]) -> Command {
        let mut command = leash("env", None);
        command.args(self.words(line));
        command
    }

    fn words(&self, line: &[&str]) -> Vec<String> {
        let path = self.path.display().to_string();
        let user = format!("--userspec={}", self.user);
        let environment =
            ["--ignore-environment", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"];
        let script = format!("{} || exit; shift; exec \"$@\"", self.mounts);
        let mounted = ["unshare", "--mount", "sh", "-c", &script, "sh", &path];
        let chroot = ["chroot", &user, &path];
        let words = environment.iter().chain(&mounted).chain(&chroot).chain(line);
        words.map(|word| (*word).to_owned()).collect()
    }
}

/// A server that does not exist yet.
struct NewServer<'a> {
    root: &'a Root,
    program: &'a str,
    config: &'a str,
    data: Option<&'a str>,
}

/// A server with an API and a key.
struct Server<'a> {
    root: &'a Root,
    program: &'a str,
    config: &'a str,
    url: String,
    /// The identifier and the secret of an API.
    api: String,
    key: String,
}

impl<'a> NewServer<'a> {
    fn create(self) -> Result<Server<'a>> {
        let Self { root, program, config, data } = self;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let url = format!("http://localhost:{port}");
        let data: Vec<&str> = data.map(|data| ["--data", data]).into_iter().flatten().collect();
        root.command(&[&[program, "init", "--config", config, "--issuer", &url], &data[..]].concat()).read()?;
        let json = |line: &[&str]| -> Result<Value> {
            let words = [&[program], line, &["--json", "--config", config]].concat();
            Ok(serde_json::from_str(&root.command(&words).read()?)?)
        };
        let scope = "notes:read=Read notes";
        let api =
            json(&["api", "create", "--name", "notes", "--identifier", "https://notes.example", "--scope", scope])?;
        let key = json(&["key", "create", "--name", "ci", "--api", "notes", "--scope", "notes:read"])?;
        let text = |value: &Value, member: &str| -> Result<String> {
            Ok(value[member].as_str().with_context(|| format!("the answer has no {member}"))?.to_owned())
        };
        let api = format!("{}:{}", text(&api, "client_id")?, text(&api, "client_secret")?);
        Ok(Server { root, program, config, url, api, key: text(&key, "secret")? })
    }
}

struct Running<'a> {
    server: Server<'a>,
    process: Leashed,
}

impl<'a> Server<'a> {
    /// Starts the command line and waits until the server's own health check is content.
    fn serve(self, line: &[&str]) -> Result<Running<'a>> {
        let mut process = Leashed::start(&mut self.root.leashed(line))?;
        let check = [self.program, "health", "--config", self.config];
        let start = Instant::now();
        while let Err(error) = self.root.command(&check).read() {
            ensure!(process.wait(Duration::ZERO)?.is_none(), "`{}` ended", line.join(" "));
            if start.elapsed() > READY_LIMIT {
                return Err(error);
            }
        }
        Ok(Running { server: self, process })
    }
}

impl<'a> Running<'a> {
    /// Has the server verify its key and one that nobody made.
    fn verify_key(&self) -> Result<()> {
        let Server { url, api, key, .. } = &self.server;
        for (key, valid) in [(key.as_str(), true), ("sk_live_invented", false)] {
            let basic = format!("Basic {}", BASE64_STANDARD.encode(api));
            let asked = ureq::post(format!("{url}/v1/keys/verify")).header("Authorization", &basic);
            let body = json!({ "key": key, "scopes": ["notes:read"] }).to_string();
            let mut answer = asked.header("Content-Type", "application/json").send(&body)?;
            let verdict: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
            ensure!(verdict["valid"] == valid, "{verdict}");
        }
        Ok(())
    }

    fn stop(mut self) -> Result<Server<'a>> {
        let status = self.process.end()?;
        ensure!(status.success(), "after SIGTERM it ended with {status}");
        Ok(self.server)
    }
}

const READY_LIMIT: Duration = Duration::from_secs(60);

/// Why this machine can't try the packages, if it can't: changing the root takes root, and the package is Debian's.
pub(super) fn impossible() -> Option<&'static str> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    (!is_root || !Path::new("/etc/debian_version").exists()).then_some("needs root on Debian")
}
