//! Starting the program and asking it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_doorward");

/// How long anything may take before the test gives up; nothing is asserted about the time itself.
const CEILING: Duration = Duration::from_secs(30);

/// A program that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    /// The demo's line of JSON, or null.
    pub(crate) seed: Value,
}

impl Running {
    /// Starts a demo on free ports and waits for its line of JSON.
    pub(crate) fn demo(data: &Path) -> Self {
        Self::demo_by(program(), data)
    }

    /// Starts a demo whose failing writes are errors and not its end: the signal that comes with a file that may not
    /// grow is ignored.
    #[cfg(target_os = "linux")]
    pub(crate) fn demo_on_a_disk_that_may_fill(data: &Path) -> Self {
        let mut shell = without_configuration(Command::new("sh"));
        shell.args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#, PROGRAM]);
        Self::demo_by(shell, data)
    }

    fn demo_by(mut command: Command, data: &Path) -> Self {
        let mut child = command
            .args(["demo", "--json", "--port", "0", "--api-port", "0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("standard output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the demo prints a line");
        let seed = serde_json::from_str(&line).expect("the line is JSON");
        Self { child, seed }
    }

    /// Starts a demo with a command line that is put before the demo's own arguments. Also returns what it prints for
    /// people.
    pub(crate) fn demo_that_tells(mut command: Command, data: &Path) -> (Self, String) {
        let child = command
            .args(["demo", "--port", "0", "--api-port", "0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut running = Self { child: child.expect("the program starts"), seed: Value::Null };
        let stdout = running.child.stdout.as_mut().expect("standard output is piped");
        let mut printed = String::new();
        for line in BufReader::new(stdout).lines() {
            printed.push_str(&format!("{}\n", line.expect("UTF-8")));
            if printed.ends_with("Ctrl-C ends the demo.\n") {
                break;
            }
        }
        let seed = std::fs::read(data.join("demo.json")).expect("the demo's values");
        running.seed = serde_json::from_slice(&seed).expect("JSON");
        (running, printed)
    }

    /// Starts a demo and kills it as soon as `file` is in its folder.
    pub(crate) fn demo_killed_at(file: &str, data: &Path) {
        let mut command = program();
        command.args(["demo", "--json", "--port", "0", "--api-port", "0", "--data"]).arg(data);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        let running = Self { child, seed: Value::Null };
        eventually("the demo begins", || data.join(file).exists());
        running.kill();
    }

    /// Starts a server and waits until it says that it is healthy.
    pub(crate) fn serve(config: &Path, url: &str) -> Self {
        let running = Self::start(config);
        eventually("the server answers", || {
            http("GET", &format!("{url}/health"), &[], "").is_some_and(|a| a.status == 200)
        });
        running
    }

    /// Starts a server and waits for nothing.
    pub(crate) fn start(config: &Path) -> Self {
        Self::start_with_log(config, Stdio::null())
    }

    /// As [`Self::start`], with its standard error.
    pub(crate) fn start_with_log(config: &Path, log: impl Into<Stdio>) -> Self {
        let mut command = program();
        command.arg("serve").arg("--config").arg(config).stderr(log);
        Self::start_by(command)
    }

    /// Starts a server by a command line.
    pub(crate) fn start_by(mut command: Command) -> Self {
        Self { child: command.spawn().expect("the program starts"), seed: Value::Null }
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A value of the demo's JSON.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.seed[name].as_str().unwrap_or_else(|| panic!("{name} is a text in {}", self.seed))
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("SIGKILL is sent");
        self.child.wait().expect("it ends");
    }

    /// Ends it as an operator would, and gives the exit code.
    pub(crate) fn terminate(self) -> Option<i32> {
        self.signal("TERM");
        self.exit_code()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "SIG{name} is sent");
    }

    /// The exit code, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().expect("it is our child").and_then(|status| status.code())
    }

    /// Waits for its end, and gives the exit code.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        let mut ended = None;
        eventually("it ends", || {
            ended = self.child.try_wait().expect("it is our child");
            ended.is_some()
        });
        ended.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, with an environment of its own.
pub(crate) fn program() -> Command {
    without_configuration(Command::new(PROGRAM))
}

/// A command without what the environment of the tests says about Doorward.
pub(crate) fn without_configuration(mut command: Command) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DOORWARD_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str], data: &Path) -> Output {
    program().args(arguments).arg("--data").arg(data).output().expect("the program runs")
}

/// Runs a command that must succeed, and gives its JSON.
pub(crate) fn json(arguments: &[&str], data: &Path) -> Value {
    let output = run(&[arguments, &["--json"]].concat(), data);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {printed}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// Runs a command with a line on its standard input.
pub(crate) fn run_with_input(arguments: &[&str], data: &Path, input: &str) -> Output {
    with_input(program().args(arguments).arg("--data").arg(data), input.as_bytes())
}

/// Runs a command that reads its standard input to the end before it prints much.
pub(crate) fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("standard input is piped").write_all(input).expect("the input is written");
    child.wait_with_output().expect("it ends")
}

/// Waits until `done`, with a generous ceiling.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < CEILING, "{what}: not within {CEILING:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An answer over HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case, to look for words in it.
    pub(crate) head: String,
    pub(crate) body: String,
    head_as_sent: String,
}

impl Answer {
    /// The values of a header.
    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.head_as_sent.lines().filter_map(|line| line.split_once(": "));
        lines.filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Asks over plain HTTP, on a connection of its own. `None` if nobody answers.
pub(crate) fn http(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Option<Answer> {
    let rest = url.strip_prefix("http://").expect("plain HTTP");
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut stream = std::net::TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(CEILING)).ok()?;
    let path = if path.is_empty() { "/" } else { path };
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_lowercase(), body: body.to_owned(), head_as_sent: head.to_owned() })
}

pub(crate) fn form(url: &str, pairs: &[(&str, &str)]) -> Answer {
    let body: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    http("POST", url, &headers, &body.join("&")).expect("the server answers")
}

/// The status of the notes API for a key.
pub(crate) fn with_key(demo: &Running, method: &str, path: &str, key: &str) -> u16 {
    let headers = [("X-API-Key", key), ("Content-Type", "application/json")];
    let url = format!("{}{path}", demo.get("api"));
    http(method, &url, &headers, r#"{"text":"hello"}"#).expect("the API answers").status
}
