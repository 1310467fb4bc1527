//! A program that cannot outlive this one, however this one ends.
//!
//! A PostgreSQL or a demo that stays behind after Ctrl-C, a kill or a panic holds ports and memory for good. Instead
//! of handling signals, which can be missed, each such program runs under a small shell script whose standard input
//! is a pipe held here: when the pipe closes, the script ends the program.
//!
//! Easy to get wrong: the script stands in a process group of its own, because a Ctrl-C in the terminal reaches the
//! whole foreground group and would end the script before the program.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a program is asked to end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// SIGINT: PostgreSQL's "fast" shutdown, which does not wait for its clients.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// A running program on its leash. Dropping it ends the program and waits until it has ended.
#[derive(Debug)]
pub(crate) struct Leashed {
    script: Child,
    leash: Option<ChildStdin>,
}

impl Leashed {
    /// Starts a command made by [`leash`].
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let mut script = command.stdin(Stdio::piped()).process_group(0).spawn()?;
        let leash = script.stdin.take();
        Ok(Self { script, leash })
    }

    /// The program's standard output, if it was piped and not yet taken.
    pub(crate) fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.script.stdout.take()
    }

    /// The program's status if it has ended by itself; killed by a signal, it counts as 128 and the signal's number.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.script.try_wait()
    }

    /// Waits until the program has ended by itself.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until the program has ended by itself, `limit` at most.
    pub(crate) fn wait_at_most(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    /// Asks the program to end, kills it after the grace if it does not, and waits for it.
    pub(crate) fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(mut leash) = self.leash.take() {
            // A line tells the script that its holder lives and sees to the folder. It may be gone already.
            let _ = leash.write_all(b"end\n");
        }
        self.script.wait()
    }
}

impl Drop for Leashed {
    fn drop(&mut self) {
        // Nobody is left to tell; a program that is gone already is what was wanted.
        let _ = self.end();
    }
}

/// A command for `program`, to be completed with arguments and started with [`Leashed::start`]. `folder` is removed
/// when the leash breaks, that is, when this process dies without ending the program; otherwise it is the caller's.
pub(crate) fn leash(program: impl AsRef<OsStr>, stop: Stop, folder: Option<&Path>) -> Command {
    let signal = match stop {
        Stop::Interrupt => "INT",
        Stop::Terminate => "TERM",
    };
    let folder = folder.map_or(OsStr::new(""), Path::as_os_str);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "leash", signal, GRACE_TENTHS]).arg(folder).arg(program);
    command
}

const POLL: Duration = Duration::from_millis(50);

/// Tenths of a second between the request to end and the kill.
const GRACE_TENTHS: &str = "300";

/// Standard output and error are handed on and closed here, so that a reader sees the program's own end of file. The
/// last `kill` is for what the program left behind in its group: a browser, a server of a test.
const SCRIPT: &str = r#"
signal=$1 grace=$2 folder=$3
shift 3
exec 3<&0 4>&1 5>&2 </dev/null >/dev/null 2>&1
"$@" </dev/null >&4 2>&5 3<&- 4>&- 5>&- &
program=$!
exec 4>&- 5>&-
(
    broken=
    read -r _ <&3 || { broken=yes; trap '' TERM; }
    kill -s "$signal" "$program"
    waited=0
    while kill -s 0 "$program" && [ "$waited" -lt "$grace" ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    kill -s KILL "$program"
    if [ -n "$broken" ] && [ -n "$folder" ]; then
        rm -rf "$folder" || { sleep 1; rm -rf "$folder"; }
    fi
) &
exec 3<&-
wait "$program"
status=$?
trap '' TERM
kill -s TERM 0
exit "$status"
"#;

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};

    use super::*;

    fn shell(script: &str, stop: Stop, folder: Option<&Path>) -> Command {
        let mut command = leash("/bin/sh", stop, folder);
        command.args(["-c", script]).stdout(Stdio::piped());
        command
    }

    /// Reads the first line and then, in `rest`, all until every writer is gone.
    fn first_line(program: &mut Leashed) -> (String, BufReader<std::process::ChildStdout>) {
        let mut output = BufReader::new(program.take_stdout().expect("standard output was piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the program writes a line");
        (line, output)
    }

    #[test]
    fn the_programs_own_status_and_output_come_through() {
        let mut program = Leashed::start(&mut shell("echo hello; exit 7", Stop::Terminate, None)).unwrap();

        let (line, _) = first_line(&mut program);
        let status = program.wait_at_most(Duration::from_secs(60)).unwrap().expect("it ends by itself");

        assert_eq!(line, "hello\n");
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn a_program_is_ended_by_the_signal_it_understands_and_its_status_is_kept() {
        let script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done";
        let mut program = Leashed::start(&mut shell(script, Stop::Terminate, None)).unwrap();
        first_line(&mut program);

        assert!(program.ended().unwrap().is_none());
        assert_eq!(program.end().unwrap().code(), Some(3));
    }

    #[test]
    fn what_the_program_started_ends_with_it() {
        let script = "sleep 1000 & echo ready; wait";
        let mut program = Leashed::start(&mut shell(script, Stop::Terminate, None)).unwrap();
        let (_, mut output) = first_line(&mut program);

        program.end().unwrap();

        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("end of file, as the last writer is gone");
        assert_eq!(rest, "");
    }

    #[test]
    fn a_broken_leash_ends_the_program_and_removes_its_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        std::fs::create_dir(&folder).unwrap();
        let mut program =
            Leashed::start(&mut shell("echo ready; exec sleep 1000", Stop::Terminate, Some(&folder))).unwrap();
        let (_, mut output) = first_line(&mut program);

        // What the kernel does when the holder dies: the pipe closes without a line.
        drop(program.leash.take());

        output.read_to_string(&mut String::new()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while folder.exists() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        assert!(!folder.exists());
    }

    #[test]
    fn an_orderly_end_leaves_the_folder_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let mut program =
            Leashed::start(&mut shell("echo ready; exec sleep 1000", Stop::Terminate, Some(folder.path()))).unwrap();
        first_line(&mut program);

        program.end().unwrap();

        assert!(folder.path().exists());
    }
}
