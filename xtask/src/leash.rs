//! A program that cannot outlive this one, however this one ends.
//!
//! A PostgreSQL or a demo that stays behind after Ctrl-C, a kill or a panic holds ports and memory for good. Signals can
//! be missed, so each such program runs under a small shell script whose standard input is a pipe held here. When the
//! pipe closes, the script ends the program.
//!
//! Easy to get wrong: the script has a process group of its own, because a Ctrl-C in the terminal reaches the whole
//! foreground group and would end the script before the program.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A running program on its leash. Dropping it ends the program and waits until it has ended.
pub(crate) struct Leashed(Child);

impl Leashed {
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).process_group(0).spawn().map(Self)
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Waits until the program has ended by itself, for `limit` at most, and returns its status if it has. A signal counts
    /// as 128 and the signal's number.
    pub(crate) fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let start = Instant::now();
        loop {
            let ended = self.0.try_wait()?;
            if ended.is_some() || start.elapsed() >= limit {
                return Ok(ended);
            }
            thread::sleep(POLL);
        }
    }

    /// Ends the program with SIGTERM, kills it after the grace if that does not help, and waits for it.
    pub(crate) fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(mut leash) = self.0.stdin.take() {
            // A line means that the holder lives and sees to the folder. The script may be gone already.
            let _ = leash.write_all(b"end\n");
        }
        self.0.wait()
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        // Nobody is left to report to, and a program that is gone already is what was wanted.
        let _ = self.end();
    }
}

/// A command for `program`, to complete with arguments and start with [`Leashed::start`]. The script removes `folder`
/// if this process dies without ending the program. Otherwise the folder is the caller's.
pub(crate) fn leash(program: impl AsRef<OsStr>, folder: Option<&Path>) -> Command {
    let mut command = Command::new("/bin/sh");
    let folder = folder.map_or(OsStr::new(""), Path::as_os_str);
    command.args(["-c", include_str!("leash.sh"), "leash"]).arg(folder).arg(program);
    command
}

const POLL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};

    use super::*;

    /// Runs a script until it has printed its first line.
    fn start(script: &str, folder: Option<&Path>) -> (Leashed, BufReader<ChildStdout>) {
        let mut command = leash("/bin/sh", folder);
        let mut program = Leashed::start(command.args(["-c", script]).stdout(Stdio::piped())).unwrap();
        let mut output = BufReader::new(program.take_stdout().expect("standard output is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the program writes a line");
        assert_eq!(line, "ready\n");
        (program, output)
    }

    /// Everything until the last writer is gone.
    fn rest(mut output: BufReader<ChildStdout>) -> String {
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("the output ends");
        rest
    }

    #[test]
    fn status_and_output_are_the_programs_own() {
        let (mut program, output) = start("echo ready; echo more; exit 7", None);

        assert_eq!(rest(output), "more\n");
        let status = program.wait(Duration::from_secs(60)).unwrap().expect("it ends by itself");
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn program_past_its_limit_is_ended_by_its_signal() {
        let (mut program, _) = start("trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done", None);

        assert!(program.wait(Duration::ZERO).unwrap().is_none());
        assert_eq!(program.end().unwrap().code(), Some(3));
    }

    #[test]
    fn children_end_with_the_program_and_its_folder_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (mut program, output) = start("sleep 1000 & echo ready; wait", Some(folder.path()));

        program.end().unwrap();

        assert_eq!(rest(output), "");
        assert!(folder.path().exists());
    }

    #[test]
    fn broken_leash_ends_the_program_and_removes_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (mut program, output) = start("echo ready; exec sleep 1000", Some(folder.path()));

        // What the kernel does when the holder dies: the pipe closes without a line.
        drop(program.0.stdin.take());

        rest(output);
        let start = Instant::now();
        while folder.path().exists() && start.elapsed() < Duration::from_secs(60) {
            thread::sleep(POLL);
        }
        assert!(!folder.path().exists());
    }
}
