//! The client suites: real, unmodified clients against a live `doorward demo`, each with a demo of its own.
//!
//! Easy to get wrong: a suite that ends with 0 but tested nothing. Its count is read from its own last line
//! `N passed, M failed`, and one without that line, or with nothing passed, has failed.

mod setup;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::counts::Counts;
use crate::demo::Demo;
use crate::failure::Failure;
use crate::leash::{Leashed, Stop, leash};
use crate::manifest::{Argv, Manifest};
use crate::summary::Summary;
use crate::toolchain::{Tool, Toolchain};
use crate::workspace::Built;

/// Runs one suite and adds its row. Nothing that goes wrong in it stops the others.
pub(crate) fn run(manifest: &Manifest, built: &Built, toolchain: &Toolchain, summary: &mut Summary) {
    let part = format!("clients/{}", manifest.name);
    let suite = Suite { manifest, toolchain, state: built.clients.join(&manifest.name) };
    match suite.run(&built.doorward) {
        Ok(counts) => {
            println!("{part}: {} passed", counts.passed);
            summary.ran(part, counts);
        }
        Err(Broken { counts, why, output }) => {
            println!("{part}: failed, {why}\n---- {part}\n{}\n----", output.trim_end());
            summary.broke(part, counts, why);
        }
    }
}

#[derive(Debug)]
struct Suite<'a> {
    manifest: &'a Manifest,
    toolchain: &'a Toolchain,
    /// Where it keeps what it installs, `{state}` in its commands.
    state: PathBuf,
}

/// Why a suite failed, in a few words, with what it counted and said.
#[derive(Debug)]
struct Broken {
    counts: Counts,
    why: String,
    output: String,
}

impl Suite<'_> {
    fn run(&self, doorward: &Path) -> Result<Counts, Broken> {
        self.set_up()?;
        let demo = Demo::start(doorward).map_err(|failure| Broken::by("its demo did not start", &failure))?;
        let log = demo.folder().join("suite.log");
        let status = self.command(&self.manifest.run, &log, Some(&demo));
        // The log goes with the demo.
        let output = read(&log);
        let stopped = demo.stop();
        let counts = judge(status.map_err(|failure| Broken::by("it could not be run", &failure))?, output)?;
        stopped.map_err(|failure| Broken { counts, ..Broken::by("its demo did not end well", &failure) })?;
        Ok(counts)
    }

    fn set_up(&self) -> Result<(), Broken> {
        let broken = |failure: Failure| Broken::by("its setup could not be run", &failure);
        if self.manifest.setup.is_empty() || setup::is_done(&self.manifest.folder, &self.state) {
            return Ok(());
        }
        fs::create_dir_all(&self.state)
            .map_err(Failure::io(format!("{} could not be made", self.state.display())))
            .map_err(broken)?;
        for argv in &self.manifest.setup {
            let log = self.state.join("setup.log");
            let status = self.command(argv, &log, None).map_err(broken)?;
            if !status.is_some_and(|status| status.success()) {
                let why = format!("its setup `{}` {}", argv.join(" "), outcome(status));
                return Err(Broken { counts: Counts::default(), why, output: read(&log) });
            }
        }
        setup::mark_done(&self.manifest.folder, &self.state)
            .map_err(Failure::io("what was set up could not be noted"))
            .map_err(broken)
    }

    /// Runs one command in the suite's folder, its output in `log`; `None` when it took too long.
    fn command(&self, argv: &Argv, log: &Path, demo: Option<&Demo>) -> Result<Option<ExitStatus>, Failure> {
        let doing = || Failure::io(format!("`{}` could not be run", argv.join(" ")));
        let state = self.state.to_string_lossy();
        let mut arguments = argv.iter().map(|argument| argument.replace(STATE, &state));
        let program = arguments.next().expect("a manifest holds no empty command");
        let log = File::create(log).map_err(doing())?;
        let mut command = leash(program, Stop::Terminate, None);
        command
            .args(arguments)
            .current_dir(&self.manifest.folder)
            .env("PATH", self.toolchain.path())
            .env("CARGO_TARGET_DIR", self.state.join("target"))
            .stdout(log.try_clone().map_err(doing())?)
            .stderr(log);
        if let Some(chromium) = self.toolchain.program(Tool::Chromium) {
            command.env("DOORWARD_CHROMIUM", chromium);
        }
        if let Some(demo) = demo {
            // A browser that is killed leaves its profile behind; there it goes with the demo.
            command.env("DOORWARD_DEMO_JSON", demo.json()).env("TMPDIR", demo.folder());
        }
        let mut running = Leashed::start(&mut command).map_err(doing())?;
        running.wait_at_most(LIMIT).map_err(doing())
    }
}

impl Broken {
    fn by(why: &str, failure: &Failure) -> Self {
        Self { counts: Counts::default(), why: why.to_owned(), output: failure.to_string() }
    }
}

/// For each command of a suite.
const LIMIT: Duration = Duration::from_secs(600);

const STATE: &str = "{state}";

/// What a suite's end means.
fn judge(status: Option<ExitStatus>, output: String) -> Result<Counts, Broken> {
    let counted = output.lines().rev().find_map(Counts::from_suite);
    let counts = counted.unwrap_or_default();
    let why = match status {
        None => outcome(None),
        Some(_) if counts.failed > 0 => format!("{} of its tests failed", counts.failed),
        Some(status) if !status.success() => format!("it {}", outcome(Some(status))),
        Some(_) if counted.is_none() => "it printed no line `N passed, M failed`".to_owned(),
        Some(_) if counts.passed == 0 => "it tested nothing".to_owned(),
        Some(_) => return Ok(counts),
    };
    Err(Broken { counts, why, output })
}

fn outcome(status: Option<ExitStatus>) -> String {
    match status {
        None => format!("took more than {} minutes", LIMIT.as_secs() / 60),
        Some(status) => format!("ended with {status}"),
    }
}

fn read(log: &Path) -> String {
    match fs::read(log) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => format!("{}: {error}", log.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::ExitStatusExt;

    use tempfile::TempDir;

    use super::*;

    /// A folder with a program that stands in for `doorward`, and a suite of shell commands.
    struct Bench {
        root: TempDir,
    }

    impl Bench {
        fn new(doorward: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("doorward");
            fs::write(&path, format!("#!/bin/sh\n{doorward}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            fs::create_dir(root.path().join("suite")).unwrap();
            Self { root }
        }

        fn run(&self, setup: &[&str], run: &str) -> Result<Counts, Broken> {
            let shell = |script: &str| ["sh", "-c", script, "suite", STATE].map(str::to_owned).to_vec();
            let manifest = Manifest {
                folder: self.root.path().join("suite"),
                name: "suite".to_owned(),
                needs: Vec::new(),
                setup: setup.iter().copied().map(shell).collect(),
                run: shell(run),
            };
            let toolchain = Toolchain::default();
            Suite { manifest: &manifest, toolchain: &toolchain, state: self.root.path().join("state") }
                .run(&self.root.path().join("doorward"))
        }
    }

    const DEMO: &str = r#"trap 'exit 0' TERM; echo '{"issuer":"x"}'; while :; do sleep 0.1; done"#;

    #[test]
    fn a_suite_is_given_the_demos_json_and_is_counted() {
        let run = r#"grep -q issuer "$DOORWARD_DEMO_JSON" && echo '3 passed, 0 failed'"#;

        assert_eq!(Bench::new(DEMO).run(&[], run).unwrap(), Counts { passed: 3, failed: 0, left_out: 0 });
    }

    #[test]
    fn setup_runs_once_until_a_lock_file_changes() {
        let bench = Bench::new(DEMO);
        let setup = r#"echo x >> "$1/times""#;
        let run = "echo 1 passed, 0 failed";
        let times = || fs::read_to_string(bench.root.path().join("state/times")).unwrap().lines().count();

        bench.run(&[setup], run).unwrap();
        bench.run(&[setup], run).unwrap();
        assert_eq!(times(), 1);

        fs::write(bench.root.path().join("suite/package-lock.json"), "{}").unwrap();
        bench.run(&[setup], run).unwrap();
        assert_eq!(times(), 2);
    }

    #[test]
    fn a_setup_that_fails_fails_the_suite_and_is_tried_again() {
        let bench = Bench::new(DEMO);

        for _ in 0..2 {
            let broken = bench.run(&["echo no network; exit 1"], "echo 1 passed, 0 failed").expect_err("setup failed");
            assert!(broken.why.contains("setup"), "{broken:?}");
            assert!(broken.output.contains("no network"), "{broken:?}");
        }
    }

    #[test]
    fn a_demo_that_does_not_end_well_fails_a_suite_that_passed() {
        let demo = r#"trap 'echo lost a request >&2; exit 1' TERM; echo '{}'; while :; do sleep 0.1; done"#;

        let broken = Bench::new(demo).run(&[], "echo 2 passed, 0 failed").expect_err("status 1");

        assert_eq!(broken.counts.passed, 2);
        assert!(broken.output.contains("lost a request"), "{broken:?}");
    }

    #[test]
    fn a_suite_fails_by_its_count_its_status_its_silence_and_its_time() {
        let good = Some(ExitStatus::from_raw(0));
        let bad = Some(ExitStatus::from_raw(1 << 8));
        let cases = [
            (good, "3 passed, 1 failed", "1 of its tests"),
            (bad, "3 passed, 0 failed", "ended with"),
            (good, "all good", "no line"),
            (good, "0 passed, 0 failed", "nothing"),
            (None, "3 passed, 0 failed", "10 minutes"),
        ];
        for (status, output, why) in cases {
            let broken = judge(status, output.to_owned()).expect_err(output);
            assert!(broken.why.contains(why), "{output}: {}", broken.why);
        }
    }

    #[test]
    fn the_last_count_of_a_suite_counts() {
        let output = "1 passed, 0 failed\nmore\n9 passed, 0 failed\nbye\n".to_owned();

        assert_eq!(judge(Some(ExitStatus::from_raw(0)), output).unwrap().passed, 9);
    }
}
