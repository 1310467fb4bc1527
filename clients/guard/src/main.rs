//! An API's own program, outside of Doorward's workspace: the guard builds with its own features, everything in its
//! signatures can be named, and it takes the credentials of a live demo.

#![forbid(unsafe_code)]

#[allow(dead_code, reason = "that it compiles is the test")]
mod names;

use std::{
    env,
    error::Error,
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::ExitCode,
};

use doorward_guard::{
    Guard, ResourceIdentifier,
    bytes::Bytes,
    http::{Request, Response, request::Parts},
    scope, serde_json,
    serde_json::Value,
};

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run())) {
        Ok(checks) => {
            let failed = checks.iter().filter(|(name, passed)| {
                println!("{} {name}", if *passed { "ok" } else { "FAILED" });
                !passed
            });
            let failed = failed.count();
            println!("{} passed, {failed} failed", checks.len() - failed);
            ExitCode::from(u8::from(failed > 0))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Vec<(&'static str, bool)>, Failure> {
    let demo: Value = serde_json::from_str(&fs::read_to_string(env::var("DOORWARD_DEMO_JSON")?)?)?;
    let of_demo = |name: &str| demo[name].as_str().ok_or_else(|| format!("the demo has no {name}"));
    let (issuer, api) = (of_demo("issuer")?, of_demo("api")?);
    let guard = Guard::builder(issuer, ResourceIdentifier::parse(api)?).build()?;

    let form = format!(
        "grant_type=client_credentials&scope=notes:read&client_id={}&client_secret={}",
        of_demo("client_id")?,
        of_demo("client_secret")?
    );
    let answer: Value = serde_json::from_str(&http(&format!("{issuer}/token"), Some(&form))?)?;
    let token = answer["access_token"].as_str().ok_or("no access token")?;

    let who = guard.authorize(&request(Some(token))?, &scope("notes:read")).await;
    let refused = guard.authorize(&request(Some(token))?, &scope("notes:write")).await;
    let refused: Response<Bytes> = refused.map_or_else(|problem| problem.into_response(), |_| Response::default());
    let problem: Value = serde_json::from_slice(refused.body())?;
    let page = http(problem["type"].as_str().ok_or("a problem has a type")?, None)?;
    let unknown = guard.authorize(&request(None)?, &scope("notes:read")).await;
    Ok(vec![
        ("a token of the demo is taken", who.is_ok_and(|who| who.has_scope("notes:read"))),
        ("a missing scope is named", problem["required_scopes"] == serde_json::json!(["notes:write"])),
        ("the type of a problem is a page of the issuer", page.contains("insufficient_scope")),
        ("an unknown caller is refused", unknown.is_err()),
    ])
}

fn request(token: Option<&str>) -> Result<Parts, Failure> {
    let mut request = Request::builder().uri("/notes");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    Ok(request.body(())?.into_parts().0)
}

/// The body of what a URL of the demo answers, to a form or to GET.
fn http(url: &str, form: Option<&str>) -> Result<String, Failure> {
    let rest = url.strip_prefix("http://").ok_or("the demo speaks plain HTTP")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (method, body) = form.map_or(("GET", ""), |form| ("POST", form));
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("an answer has a head")?;
    Ok(body.to_owned())
}
