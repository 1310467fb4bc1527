//! A client suite: a real, unmodified client against a live `doorward demo` of its own.
//!
//! Easy to get wrong: a suite that exits with 0 but tested nothing. Its count is read from its last line
//! `N passed, M failed`. Without that line, or with nothing passed, the suite has failed.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use super::{counts::Counts, manifest::Manifest, postgres::Postgres, summary::Summary};
use crate::leash::{Leashed, leash};
use crate::server::Server;
use crate::tools::{Tool, Tools};

pub(super) struct Suite<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) doorward: PathBuf,
    /// Where the suite keeps what it installs, `{state}` in its commands.
    pub(super) state: PathBuf,
    pub(super) tools: &'a Tools,
}

impl Suite<'_> {
    /// Runs the suite and adds its row. Nothing that goes wrong in it stops the others.
    pub(super) fn run(&self, part: String, summary: &mut Summary) {
        let mut counts = Counts::default();
        let result = self.set_up().and_then(|()| self.test(&mut counts));
        match &result {
            Ok(()) => println!("{part}: {} passed", counts.passed),
            Err(error) => println!("{part}: failed\n---- {part}\n{error:#}\n----"),
        }
        summary.ran(part, counts, result.err().map(|error| error.to_string()));
    }

    /// Installs what the suite depends on, if that changed since it was last installed.
    fn set_up(&self) -> Result<()> {
        let Manifest { folder, setup, .. } = self.manifest;
        let note = self.state.join("setup-done");
        if setup.is_empty() || fs::read_to_string(&note).is_ok_and(|note| note == fingerprint(folder)) {
            return Ok(());
        }
        fs::create_dir_all(&self.state).context("its state folder could not be created")?;
        for argv in setup {
            let (output, outcome) = self.command(argv, &self.state.join("setup.log"), &[])?;
            outcome.map_err(|why| anyhow!(output).context(format!("its setup `{}` {why}", argv.join(" "))))?;
        }
        fs::write(note, fingerprint(folder)).context("its setup could not be noted")
    }

    /// Runs the tests against a demo on ports of its own. The demo's folder is removed afterwards.
    fn test(&self, counts: &mut Counts) -> Result<()> {
        let folder = tempfile::Builder::new().prefix("doorward-demo-").tempdir()?;
        let folder = folder.path();
        let mut demo = leash(&self.doorward, Some(folder));
        demo.args(["demo", "--json", "--port", "0", "--api-port", "0"]).env("TMPDIR", folder);
        let demo = Server::start("doorward demo", &mut demo, folder).context("its demo did not start")?;
        let line: Value = demo.listening().context("its demo did not start")?;
        let json = folder.join("demo.json");
        // The line contains secrets.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&json);
        file.and_then(|mut file| writeln!(file, "{line}")).context("the demo's line could not be written")?;
        let initdb = self.manifest.needs.contains(&Tool::PostgreSql).then(|| &self.tools.programs[&Tool::PostgreSql]);
        let postgres =
            initdb.map(|initdb| Postgres::start(initdb)).transpose().context("its PostgreSQL did not start")?;
        // A browser that is killed leaves its profile behind; there it is removed with the demo.
        let mut environment = vec![("DOORWARD_DEMO_JSON", &*json), ("TMPDIR", folder)];
        environment.extend(postgres.iter().map(|postgres| ("DOORWARD_TEST_POSTGRES", Path::new(&postgres.url))));
        let (output, outcome) = self.command(&self.manifest.run, &folder.join("suite.log"), &environment)?;
        judge(&output, outcome, counts).map_err(|why| anyhow!(output).context(why))?;
        demo.stop().context("its demo did not end well")
    }

    /// Runs one command in the suite's folder with its output in `log`. Returns the output, and why the command failed.
    fn command(&self, argv: &[String], log: &Path, environment: &[(&str, &Path)]) -> Result<(String, Outcome)> {
        let state = self.state.to_string_lossy();
        let mut argv = argv.iter().map(|argument| argument.replace("{state}", &state));
        let program = argv.next().expect("a manifest contains no empty command");
        let output = File::create(log).context("its log could not be created")?;
        let mut command = leash(&program, None);
        command
            .args(argv)
            .current_dir(&self.manifest.folder)
            .env("PATH", &self.tools.path)
            .env("CARGO_TARGET_DIR", self.state.join("target"))
            .env("DOORWARD_TEST_PROGRAM", &self.doorward)
            .envs(self.tools.programs.get(&Tool::Chromium).map(|chromium| ("DOORWARD_CHROMIUM", chromium)))
            .envs(environment.iter().copied())
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut running = Leashed::start(&mut command).with_context(|| format!("`{program}` could not be started"))?;
        let outcome = match running.wait(LIMIT)? {
            None => Err(format!("took more than {} minutes", LIMIT.as_secs() / 60)),
            Some(status) if !status.success() => Err(format!("ended with {status}")),
            Some(_) => Ok(()),
        };
        Ok((String::from_utf8_lossy(&fs::read(log)?).into_owned(), outcome))
    }
}

/// Why a command failed.
type Outcome = Result<(), String>;

const LIMIT: Duration = Duration::from_secs(600);

/// The files that say what to install, and how.
const INPUTS: [&str; 8] = [
    "Cargo.lock",
    "client-test.json",
    "go.mod",
    "go.sum",
    "package-lock.json",
    "package.json",
    "pom.xml",
    "requirements.txt",
];

/// Changes when the setup has to run again. A CI that keeps the target folder but not the clone has the note and not the
/// packages, so the fingerprint includes whether `node_modules` exists. The hash may change with the Rust release.
fn fingerprint(folder: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    let inputs = INPUTS.map(|input| fs::read(folder.join(input)).ok());
    (inputs, folder.join("node_modules").is_dir()).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Counts the tests of a suite that has ended, or says why it has failed.
fn judge(output: &str, outcome: Outcome, counts: &mut Counts) -> Outcome {
    let counted = output.lines().rev().find_map(Counts::from_suite);
    *counts = counted.unwrap_or_default();
    match outcome {
        _ if counts.failed > 0 => Err(format!("{} of its tests failed", counts.failed)),
        Err(why) => Err(format!("it {why}")),
        Ok(()) if counted.is_none() => Err("it printed no line `N passed, M failed`".to_owned()),
        Ok(()) if counts.passed == 0 => Err("it tested nothing".to_owned()),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use tempfile::TempDir;

    use super::*;

    /// Runs a suite of shell commands in `root`, with a script in place of `doorward`.
    fn run(root: &TempDir, demo: &str, setup: &str, test: &str) -> (Counts, String) {
        let root = root.path();
        let (doorward, state, folder) = (root.join("doorward"), root.join("state"), root.join("suite"));
        fs::write(&doorward, format!("#!/bin/sh\n{demo}; while :; do sleep 0.1; done\n")).unwrap();
        fs::set_permissions(&doorward, Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(&folder).unwrap();
        let shell = |script: &str| ["sh", "-c", script, "suite", "{state}"].map(str::to_owned).to_vec();
        let manifest = Manifest { folder, setup: vec![shell(setup)], run: shell(test), ..Manifest::default() };
        let tools = Tools { path: std::env::var("PATH").unwrap(), ..Tools::default() };
        let suite = Suite { manifest: &manifest, doorward, state, tools: &tools };
        let mut counts = Counts::default();
        let result = suite.set_up().and_then(|()| suite.test(&mut counts));
        (counts, result.err().map(|error| format!("{error:#}")).unwrap_or_default())
    }

    const DEMO: &str = r#"trap 'exit 0' TERM; echo "{\"args\":\"$*\"}""#;
    const PASS: &str = "echo 1 passed, 0 failed";

    #[test]
    fn suite_receives_the_demos_line_and_is_counted() {
        let root = tempfile::tempdir().unwrap();
        let test = r#"test -x "$DOORWARD_TEST_PROGRAM" && (cd $TMPDIR; cat demo.json; stat -c %a demo.json; pwd) >"$1/output"
            echo 3 passed, 0 failed"#;

        let (counts, error) = run(&root, DEMO, "true", test);

        assert_eq!((counts.passed, &*error), (3, ""));
        let output = fs::read_to_string(root.path().join("state/output")).unwrap();
        let folder = output.strip_prefix("{\"args\":\"demo --json --port 0 --api-port 0\"}\n600\n").expect(&output);
        assert!(!Path::new(folder.trim()).exists());
    }

    #[test]
    fn setup_runs_again_when_a_lock_file_or_the_packages_change() {
        let root = tempfile::tempdir().unwrap();
        let times = || {
            run(&root, DEMO, r#"mkdir -p node_modules; echo x >>"$1/times""#, PASS);
            fs::read_to_string(root.path().join("state/times")).unwrap().lines().count()
        };

        assert_eq!([times(), times()], [1, 1]);
        fs::write(root.path().join("suite/package-lock.json"), "{}").unwrap();
        assert_eq!(times(), 2);
        fs::write(root.path().join("suite/pom.xml"), "<project/>").unwrap();
        assert_eq!(times(), 3);
        fs::remove_dir(root.path().join("suite/node_modules")).unwrap();
        assert_eq!(times(), 4);
    }

    #[test]
    fn suite_fails_with_its_setup_and_with_its_demo() {
        let root = tempfile::tempdir().unwrap();
        let lossy = "trap 'echo lost a request >&2; exit 1' TERM; echo '{}'";
        for (demo, setup, why) in [
            (DEMO, "echo no network; exit 1", ["its setup", "no network"]),
            (DEMO, "echo no network; exit 1", ["its setup", "no network"]),
            (lossy, "true", ["its demo did not end well", "lost a request"]),
            ("echo no port >&2; exit 1", "true", ["its demo did not start", "no port"]),
        ] {
            let (_, error) = run(&root, demo, setup, PASS);
            assert!(why.iter().all(|why| error.contains(why)), "{error}");
        }
    }

    #[test]
    fn suite_fails_by_its_count_its_status_or_its_silence() {
        let late = Err("took more than 10 minutes".to_owned());
        for (outcome, output, why) in [
            (Ok(()), "3 passed, 1 failed", Some("1 of its tests failed")),
            (late, "3 passed, 0 failed", Some("it took more than 10 minutes")),
            (Ok(()), "all good", Some("it printed no line `N passed, M failed`")),
            (Ok(()), "0 passed, 0 failed", Some("it tested nothing")),
            (Ok(()), "1 passed, 1 failed\nmore\n9 passed, 0 failed\nbye\n", None),
        ] {
            assert_eq!(judge(output, outcome, &mut Counts::default()).err().as_deref(), why, "{output}");
        }
    }
}
