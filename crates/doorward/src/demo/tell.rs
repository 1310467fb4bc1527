//! What the demo says once it answers: commands to paste that work as printed, or one line of JSON.

use std::{io::IsTerminal, time::Duration};

use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{seed::Seed, shell};
use crate::{
    failure::Failure,
    output::{Output, line},
};

/// The page that follows the demo step by step: a file of the source code, as long as no website has it.
const GUIDE: &str = "docs/guide/getting-started.md";

/// Waits until what listens on `port` answers `GET /health` with 200.
pub(super) async fn wait_for(port: u16) -> Result<(), Failure> {
    let mut last = String::new();
    for _ in 0..200 {
        match get(port, "/health").await {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => return Ok(()),
            Ok(answer) => last = answer.lines().next().unwrap_or_default().to_owned(),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Err(Failure::System(format!("port {port} does not answer: {last}")))
}

async fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    seed: &'a Seed,
    metrics: &'a str,
}

/// Prints how to use the demo.
pub(super) async fn tell(seed: &Seed, output: Output, api_port: u16, metrics: &str) -> Result<(), Failure> {
    if output.json {
        let printed = Printed { seed, metrics };
        line(&serde_json::to_string(&printed).map_err(|error| Failure::System(error.to_string()))?)?;
        return Ok(());
    }
    // A refusal to explain: the same call without a key that is printed below.
    let refused = get(api_port, "/notes").await.unwrap_or_default();
    let trace_id = refused.split("\"trace_id\":\"").nth(1).and_then(|rest| rest.get(..32)).unwrap_or_default();
    let program = shell::program();
    let folder = shell::quoted(&seed.data);
    let Seed {
        issuer,
        api,
        api_key,
        api_key_read_only,
        client_id,
        client_secret,
        username,
        password,
        data,
        admin_key,
        ..
    } = seed;
    let text = format!(
        r#"
In a browser: open {api}/ and sign in as {username} with the password {password}

Doorward demo
  authorization server  {issuer}
  sample API "notes"    {api}
  metrics               {metrics}
  data                  {data}
  guide                 {GUIDE} in the source code
  management API        {issuer}/reference

Try, in another terminal:

# a key: 200
curl -iw '\n' {api}/notes -H 'X-API-Key: {api_key}'

# no credential: 401
curl -iw '\n' {api}/notes

# a wrong key: 401
curl -iw '\n' {api}/notes -H 'X-API-Key: sk_live_00000000000000000000000000000000000000'

# a key without the scope: 403
curl -iw '\n' -X POST {api}/notes -H 'X-API-Key: {api_key_read_only}' -H 'Content-Type: application/json' -d '{{"text":"hello"}}'

# a client's token: 200
TOKEN=$(curl -s {issuer}/token -u '{client_id}:{client_secret}' -d grant_type=client_credentials -d scope=notes:read | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -iw '\n' {api}/notes -H "Authorization: Bearer $TOKEN"

# the management API: 200
curl -iw '\n' {issuer}/v1/clients -H 'Authorization: Bearer {admin_key}'

# explain the refusal (every refused response has a trace_id)
{program} explain {trace_id} --data {folder}

Ctrl-C ends the demo.
"#
    );
    line(&if has_colour() { painted(&text) } else { text })?;
    Ok(())
}

/// Whether a person reads this who wants colour.
fn has_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Highlights what to open, and commands among their comments.
fn painted(text: &str) -> String {
    let paint = |line: &str| match line {
        line if line.starts_with("In a browser") => format!("\x1b[1;32m{line}\x1b[0m"),
        line if line.starts_with("Doorward demo") => format!("\x1b[1m{line}\x1b[0m"),
        line if line.starts_with("# ") => format!("\x1b[36m{line}\x1b[0m"),
        line => line.to_owned(),
    };
    text.lines().map(paint).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_is_a_file_of_the_source_code() {
        let checkout = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        assert!(std::path::Path::new(checkout).join(GUIDE).is_file(), "{GUIDE}");
    }

    #[test]
    fn colour_changes_no_command() {
        let painted = painted("\nIn a browser: open it\n\n# a key: 200\ncurl -i x\n");
        assert_eq!(painted, "\n\x1b[1;32mIn a browser: open it\x1b[0m\n\n\x1b[36m# a key: 200\x1b[0m\ncurl -i x");
    }
}
