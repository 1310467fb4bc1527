//! The guard in front of a service, as a [`tower_layer::Layer`].
//!
//! Easy to get wrong: only the layer decides what is required. Method, path spelling, override headers and anything
//! else that a caller chooses do not change it. Every request that reaches the layer is answered by the layer or
//! admitted.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{guard::Guard, problem, requirement::Requirement, verifier::BoxFuture};

/// Whether a route needs a credential.
#[derive(Clone, Debug)]
pub(crate) enum Demand {
    /// No, but a credential that is sent must be valid.
    Optional,
    /// Yes, and it must meet this requirement.
    Required(Requirement),
}

/// Puts a [`Guard`] in front of routes. [`Guard::layer`], [`Guard::require`] and [`Guard::optional`] create it.
///
/// It fits `Router::layer`, `Router::route_layer` and `MethodRouter::layer` of axum, and any other service of HTTP
/// requests whose response body implements `From<Bytes>` (`axum::body::Body`, `http_body_util::Full<Bytes>`).
///
/// Layers nest: a principal that an outer layer of the same guard found is not verified again, only compared.
///
/// Traps:
/// - `Router::route_layer` does not cover paths that no route has, which get 404. Behind `Router::layer` they get 401
///   without a credential, so that unknown callers can't map the API. `Router::merge` keeps the fallback of the router
///   that is merged last, so merge the guarded one last.
/// - A CORS preflight is an `OPTIONS` without a credential (Fetch section 4.8) and is refused like any other request.
///   An API for browsers puts its CORS layer outside of the guard, where it answers preflights itself.
#[derive(Clone)]
pub struct GuardLayer {
    guard: Guard,
    demand: Arc<Demand>,
}

impl GuardLayer {
    pub(crate) fn new(guard: Guard, demand: Demand) -> Self {
        Self { guard, demand: Arc::new(demand) }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, layer: self.clone() }
    }
}

/// A service behind a [`GuardLayer`].
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    layer: GuardLayer,
}

impl<S, B, ResBody> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Error: Send,
    S::Future: Send,
    B: Send + 'static,
    ResBody: From<Bytes> + Send,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready is the one to call; a clone of it may not be ready.
        let next = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match layer.guard.admit(&parts, &layer.demand).await {
                Ok(admission) => {
                    let limits = admission.limits();
                    admission.insert_into(&mut parts.extensions);
                    let mut response: Response<ResBody> = inner.call(Request::from_parts(parts, body)).await?;
                    if let Some(limits) = limits {
                        problem::add_limits(&limits, response.headers_mut());
                    }
                    Ok(response)
                }
                Err(problem) => Ok(problem.into_response()),
            }
        })
    }
}
