//! The bare handler: reads the form of a client_credentials request (RFC 6749 section 4.4.2) and answers as many bytes
//! as a token takes.
//!
//! The accept loop is built like Doorward's, with the same crates and without its bounds: a faster one would measure
//! another stack than Doorward's.

use std::{convert::Infallible, error::Error};

use axum::{
    Router,
    body::{Body, Bytes},
    response::Response,
    routing::post,
};
use http::{HeaderValue, StatusCode, header};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};
use tower::ServiceExt;

pub(crate) async fn serve() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", serde_json::json!({ "port": listener.local_addr()?.port() }));
    let router = Router::new().route("/token", post(token));
    let mut end = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = end.recv() => return Ok(()),
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                tokio::spawn(connection(stream, router.clone()));
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    // A socket that refuses this is still served, only slower.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            match answer.await {
                Ok(response) => Ok::<_, Infallible>(response),
                Err(never) => match never {},
            }
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // A peer that breaks off is its own business.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// As long as a JWT of Doorward's with an EdDSA signature, so that the whole answer has about 700 bytes.
const ACCESS_TOKEN: &str = match std::str::from_utf8(&[b'a'; 600]) {
    Ok(token) => token,
    Err(_) => panic!("a row of one ASCII letter is UTF-8"),
};

#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: u32,
    scope: &'a str,
}

async fn token(body: Bytes) -> Response {
    let (mut grant_type, mut scope) = (None, None);
    for (name, value) in form_urlencoded::parse(&body) {
        match &*name {
            "grant_type" => grant_type = Some(value),
            "scope" => scope = Some(value),
            _ => {}
        }
    }
    let (Some("client_credentials"), Some(scope)) = (grant_type.as_deref(), scope) else {
        return json(StatusCode::BAD_REQUEST, &serde_json::json!({ "error": "invalid_request" }));
    };
    let answer = TokenResponse { access_token: ACCESS_TOKEN, token_type: "Bearer", expires_in: 300, scope: &scope };
    json(StatusCode::OK, &answer)
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).expect("strings and numbers can always be written as JSON");
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
