//! A reader's terminal: a shell in a folder of its own, beside a demo that runs.

use std::{
    fmt::Write,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::page::{Page, Promise};

const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");

/// A folder with a demo on free ports, in which pages are run.
pub(crate) struct Terminal {
    folder: tempfile::TempDir,
    demo: Child,
}

impl Terminal {
    /// Starts a demo as the guide says, and waits until it answers.
    pub(crate) fn with_demo() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).expect("a new folder");
        symlink(PROGRAM, bin.join("doorward")).expect("a new name");
        let mut demo = program(folder.path())
            .args(["demo", "--json", "--port", "0", "--api-port", "0", "--data", "demo-data"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let mut ready = String::new();
        let stdout = demo.stdout.take().expect("it was piped above");
        BufReader::new(stdout).read_line(&mut ready).expect("the demo says when it answers");
        assert!(ready.starts_with('{'), "the demo did not start: {ready}");
        Self { folder, demo }
    }

    /// Runs the commands of the pages one after the other in one shell; gives what was not as promised.
    pub(crate) fn run(&self, pages: &[Page]) -> Vec<String> {
        let commands: Vec<_> =
            pages.iter().flat_map(|page| page.commands.iter().map(move |command| (page, command))).collect();
        assert!(!commands.is_empty(), "there is nothing to run");
        let mut script = String::new();
        for (number, (_, command)) in commands.iter().enumerate() {
            let again = match command.promise {
                Promise::StatusSoon(status) => format!(
                    "tries=0\nwhile ! head -n 1 out.{number} | grep -q ' {status} ' && [ $tries -lt 100 ]; do\n\
                     sleep 0.1; tries=$((tries + 1))\n{{\n{}\n}} >out.{number} 2>err.{number}\necho $? >rc.{number}\ndone\n",
                    command.text
                ),
                Promise::Done | Promise::Status(_) => String::new(),
            };
            let text = &command.text;
            writeln!(script, "{{\n{text}\n}} >out.{number} 2>err.{number}\necho $? >rc.{number}\n{again}")
                .expect("a string grows");
        }
        fs::write(self.folder.path().join("pages.sh"), script).expect("the script is written");
        let path = std::env::var("PATH").unwrap_or_default();
        let shell = clean(Command::new("sh"), self.folder.path())
            .args(["-u", "pages.sh"])
            .env("PATH", format!("{}:{path}", self.folder.path().join("bin").display()))
            .stdin(Stdio::null())
            .output()
            .expect("a shell runs");
        let read = |kind: &str, number: usize| {
            fs::read_to_string(self.folder.path().join(format!("{kind}.{number}"))).unwrap_or_default()
        };
        let broken = commands.iter().enumerate().filter_map(|(number, (page, command))| {
            let (out, err, rc) = (read("out", number), read("err", number), read("rc", number));
            let kept = match command.promise {
                Promise::Done => rc.trim() == "0",
                Promise::Status(status) | Promise::StatusSoon(status) => {
                    out.split_whitespace().nth(1) == Some(&status.to_string())
                }
            };
            let (name, line, text, promise) = (&page.name, command.line, &command.text, command.promise);
            let said = String::from_utf8_lossy(&shell.stderr);
            (!kept).then(|| format!("{name}:{line}: {text}\nis not {promise:?}, exit {rc}\n{out}\n{err}\n{said}"))
        });
        broken.collect()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // As Ctrl-C would; the folder is removed afterwards.
        let told = Command::new("kill").args(["-TERM", &self.demo.id().to_string()]).status();
        if !told.is_ok_and(|status| status.success()) {
            let _ = self.demo.kill();
        }
        let _ = self.demo.wait();
    }
}

/// The program, in a folder, unaffected by the tester's environment.
pub(crate) fn program(folder: &Path) -> Command {
    clean(Command::new(PROGRAM), folder)
}

fn clean(mut command: Command, folder: &Path) -> Command {
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("DOORWARD_"));
    ours.for_each(|name| {
        command.env_remove(name);
    });
    // The width of help, and where curl would go.
    ["COLUMNS", "http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy", "RUST_LOG"].iter().for_each(|name| {
        command.env_remove(name);
    });
    command.current_dir(folder);
    command
}
