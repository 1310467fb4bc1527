//! One request and its answer.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
};
use doorward_core::network::ClientAddress;
use http::{
    HeaderValue, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_TYPE, EXPECT},
};
use hyper::body::{Body as _, Incoming};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::{
    HeadSize,
    answer::Answer,
    forwarded::{UNKNOWN, client_address},
    host,
    listening::Listening,
    places::activity::Activity,
    request_body::{self, Unread},
};

/// How much longer than a handler with a bound of its own the listener waits for a body.
const BODY_GRACE: Duration = Duration::from_secs(2);

/// What the requests of one connection have in common.
pub(crate) struct Exchanges {
    pub(crate) listening: Arc<Listening>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) nearest: ClientAddress,
    /// Room for the handlers that work at once over HTTP/2.
    pub(crate) handlers: Arc<Semaphore>,
}

pub(crate) async fn answer(on: &Exchanges, request: Request<Incoming>) -> Response<Answer> {
    let is_http2 = request.version() == Version::HTTP_2;
    let busy = on.activity.begin(is_http2);
    // One connection of HTTP/2 has as many heads as it has requests.
    let _head = is_http2.then(|| on.activity.keep(HeadSize::of(&request).bytes));
    let is_named = host::is_named(&request);
    let expects_continue = request.headers().contains_key(EXPECT);
    let (request, unread) = prepare(on, request, is_http2);
    let mut response = match is_named {
        true if is_http2 => finished(on, request).await,
        true => handled(on.listening.serve.router.clone(), request).await,
        false => {
            drop(request);
            unnamed_host()
        }
    };
    // Over HTTP/2 each request ends for itself.
    if !is_http2 && (on.listening.is_leaving() || !is_named || is_left_unread(unread, expects_continue).await) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| Answer::new(body, on.activity.clone(), busy, is_http2))
}

async fn handled(router: Router, request: Request) -> Response<Body> {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// The answer of a handler that continues to its end, also when the client resets the stream meanwhile: what was done
/// is then noted as well. The room for handlers is given back at their end, so that resets begin no more work than
/// answers do.
async fn finished(on: &Exchanges, request: Request) -> Response<Body> {
    let Ok(room) = on.handlers.clone().acquire_owned().await else { return gave_up() };
    let router = on.listening.serve.router.clone();
    let handler = tokio::spawn(async move {
        let _room = room;
        handled(router, request).await
    });
    handler.await.unwrap_or_else(|_| gave_up())
}

/// The answer where a handler panicked.
fn gave_up() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// The request as a router gets it.
fn prepare(on: &Exchanges, request: Request<Incoming>, is_http2: bool) -> (Request, Option<Unread>) {
    let serve = &on.listening.serve;
    let address = client_address(request.headers(), on.nearest, &serve.trusted_proxies, serve.forwarded_header);
    if address.client == UNKNOWN && on.listening.unknown_client.is_due() {
        tracing::warn!(proxy = %address.peer, "a trusted proxy reports a client's address in no known form");
    }
    let (head, body) = request.into_parts();
    let (body, unread) = match body.is_end_stream() {
        true => (Body::empty(), None),
        false => {
            let longest = serve.limits.body_timeout + BODY_GRACE;
            let (body, unread) = request_body::split(body, longest, is_http2.then(|| on.activity.clone()));
            (Body::new(body), Some(unread))
        }
    };
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(ConnectInfo(on.nearest.peer));
    (request, unread)
}

/// Whether bytes of the request's body are still to come, so that the connection can't be used again (RFC 9112 section
/// 9.6).
async fn is_left_unread(unread: Option<Unread>, expects_continue: bool) -> bool {
    match unread {
        None => false,
        // To read would ask for the body (RFC 9110 section 10.1.1).
        Some(unread) if expects_continue => !unread.is_at_end(),
        Some(unread) => !unread.drain().await,
    }
}

fn unnamed_host() -> Response<Body> {
    let mut response = Response::new("The request must name one valid host (RFC 9112 section 3.2).\n".into());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
