//! What the demo says once it answers: commands to paste that work as printed, or one line of JSON.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{seed::Seed, shell};
use crate::{
    failure::Failure,
    output::{Output, line},
};

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

/// Tells how to use the demo.
pub(super) async fn tell(seed: &Seed, output: Output, api_port: u16) -> Result<(), Failure> {
    if output.json {
        line(&serde_json::to_string(seed).map_err(|error| Failure::System(error.to_string()))?)?;
        return Ok(());
    }
    // A refusal to explain: the same call without a key that is printed below.
    let refused = get(api_port, "/notes").await.unwrap_or_default();
    let trace_id = refused.split("\"trace_id\":\"").nth(1).and_then(|rest| rest.get(..32)).unwrap_or_default();
    let program = shell::program();
    let folder = shell::quoted(&seed.data);
    let Seed { issuer, api, api_key, api_key_read_only, client_id, client_secret, username, password, data, .. } = seed;
    line(&format!(
        r#"
Doorward demo
  authorization server  {issuer}
  sample API "notes"    {api}
  data                  {data}

Try, in another terminal:

# a key: 200
curl -i {api}/notes -H 'X-API-Key: {api_key}'

# no credential: 401
curl -i {api}/notes

# a wrong key: 401
curl -i {api}/notes -H 'X-API-Key: sk_live_00000000000000000000000000000000000000'

# a key without the scope: 403
curl -i -X POST {api}/notes -H 'X-API-Key: {api_key_read_only}' -H 'Content-Type: application/json' -d '{{"text":"hello"}}'

# a client's token: 200
TOKEN=$(curl -s {issuer}/token -u '{client_id}:{client_secret}' -d grant_type=client_credentials -d scope=notes:read | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -i {api}/notes -H "Authorization: Bearer $TOKEN"

# the whole story of a refusal (every refusal's answer has a trace_id)
{program} explain {trace_id} --data {folder}

In a browser: open {api}/ and sign in as {username} with the password {password}

Ctrl-C ends the demo.
"#
    ))?;
    Ok(())
}
