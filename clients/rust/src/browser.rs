//! Headless Chromium over the DevTools protocol: JSON messages on a WebSocket, each call with an `id` that its answer
//! repeats (<https://chromedevtools.github.io/devtools-protocol/>).
//!
//! Easy to get wrong: while a page leaves, the script that asks where it is may lose its context; that is no failure
//! but the moment to ask again.

use std::env;
use std::error::Error;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use crate::demo::TIMEOUT;

/// A running browser; it ends when dropped.
pub struct Browser {
    // Dropped before the folder that it writes to.
    process: Process,
    socket: WebSocket<TcpStream>,
    calls: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser with a fresh profile.
    pub fn start() -> Result<Self, Box<dyn Error>> {
        let profile = tempfile::tempdir()?;
        let mut process = Process::start(profile.path())?;
        let (port, path) = process.debugging_address(profile.path())?;
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let (socket, _) = tungstenite::client(format!("ws://127.0.0.1:{port}{path}"), stream)?;
        Ok(Self { process, socket, calls: 0, _profile: profile })
    }

    /// Makes a set of cookies that no other set shares, and gives its id.
    pub fn create_context(&mut self) -> Result<String, Box<dyn Error>> {
        text(&self.call(None, "Target.createBrowserContext", json!({}))?, "browserContextId")
    }

    /// Closes the pages of a context and forgets its cookies.
    pub fn dispose_context(&mut self, context: &str) -> Result<(), Box<dyn Error>> {
        self.call(None, "Target.disposeBrowserContext", json!({ "browserContextId": context }))?;
        Ok(())
    }

    /// Opens an empty page in a context.
    pub fn open(&mut self, context: &str) -> Result<Tab<'_>, Box<dyn Error>> {
        let page = json!({ "url": BLANK, "browserContextId": context });
        let target = text(&self.call(None, "Target.createTarget", page)?, "targetId")?;
        let attach = json!({ "targetId": target, "flatten": true });
        let session = text(&self.call(None, "Target.attachToTarget", attach)?, "sessionId")?;
        Ok(Tab { browser: self, target, session })
    }

    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Result<Value, Box<dyn Error>> {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.socket.send(Message::text(message.to_string()))?;
        loop {
            let Message::Text(answer) = self.socket.read()? else { continue };
            let mut answer: Value = serde_json::from_str(&answer)?;
            if answer["id"] != self.calls {
                // An event, which nobody waits for.
                continue;
            }
            return match answer.get("error") {
                Some(error) => Err(format!("{method}: {error}").into()),
                None => Ok(answer["result"].take()),
            };
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to close, it ends its own processes too; one that does not is killed with `process`.
        if self.call(None, "Browser.close", json!({})).is_ok() {
            self.process.wait();
        }
    }
}

/// A page of the browser.
pub struct Tab<'b> {
    browser: &'b mut Browser,
    target: String,
    session: String,
}

impl Tab<'_> {
    /// Goes to a URL, through all redirects, and gives the URL where it arrived.
    pub fn navigate(&mut self, url: &str) -> Result<String, Box<dyn Error>> {
        self.evaluate(MARK)?;
        let answer = self.browser.call(Some(&self.session), "Page.navigate", json!({ "url": url }))?;
        if let Some(error) = answer.get("errorText") {
            return Err(format!("{url}: {error}").into());
        }
        self.arrive()
    }

    /// Does in the page what leaves it, and gives the URL where that ended.
    pub fn leave_by(&mut self, script: &str) -> Result<String, Box<dyn Error>> {
        self.evaluate(MARK)?;
        self.evaluate(script)?;
        self.arrive()
    }

    /// Evaluates a script in the page and gives its value.
    pub fn evaluate(&mut self, script: &str) -> Result<Value, Box<dyn Error>> {
        let params = json!({ "expression": script, "returnByValue": true });
        let mut answer = self.browser.call(Some(&self.session), "Runtime.evaluate", params)?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(format!("{script}: {}", thrown["exception"]["description"]).into()),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    pub fn close(self) -> Result<(), Box<dyn Error>> {
        self.browser.call(None, "Target.closeTarget", json!({ "targetId": self.target }))?;
        Ok(())
    }

    /// Waits until a page that was not marked has been loaded, at whatever URL, and gives that.
    fn arrive(&mut self) -> Result<String, Box<dyn Error>> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let seen = self.evaluate("[location.href, document.readyState, window.leaving === true]");
            if let Ok(page) = &seen
                && let (Some(location), Some("complete"), Some(false)) =
                    (page[0].as_str(), page[1].as_str(), page[2].as_bool())
            {
                return Ok(location.to_owned());
            }
            if Instant::now() > deadline {
                return Err(format!("the browser does not arrive: {seen:?}").into());
            }
            thread::sleep(PAUSE);
        }
    }
}

/// The process of the browser, killed when dropped.
struct Process(Child);

impl Process {
    fn start(profile: &Path) -> Result<Self, Box<dyn Error>> {
        let path = env::var_os("DOORWARD_CHROMIUM").unwrap_or_else(|| "/usr/bin/chromium".into());
        let mut command = Command::new(&path);
        command.args(FLAGS).arg(format!("--user-data-dir={}", profile.display())).arg(BLANK);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(child))
    }

    /// The port and the path of the browser's socket, which it writes to a file when it listens.
    fn debugging_address(&mut self, profile: &Path) -> Result<(u16, String), Box<dyn Error>> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let written = fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
            if let Some((port, path)) = written.split_once('\n')
                && !path.is_empty()
            {
                return Ok((port.parse()?, path.trim_end().to_owned()));
            }
            if let Some(status) = self.0.try_wait()? {
                return Err(format!("Chromium does not start: {status}").into());
            }
            if Instant::now() > deadline {
                return Err("Chromium does not listen".into());
            }
            thread::sleep(PAUSE);
        }
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Without these Chromium calls home, or needs a display, memory or privileges that a test machine lacks.
const FLAGS: [&str; 10] = [
    "--headless",
    "--remote-debugging-port=0",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

const BLANK: &str = "about:blank";

/// Distinguishes the page that is left from the next one, which may have the same URL.
const MARK: &str = "window.leaving = true";

/// How long to leave the browser alone before it is asked again.
const PAUSE: Duration = Duration::from_millis(20);

fn text(answer: &Value, member: &str) -> Result<String, Box<dyn Error>> {
    Ok(answer[member].as_str().ok_or_else(|| format!("{answer} has no {member}"))?.to_owned())
}
