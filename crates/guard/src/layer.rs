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
use doorward_core::query_key::{InvalidKeysInQuery, KeysInQuery};
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    allowed::AllowedBecause, guard::Guard, problem, query::QueryRoute, requirement::Requirement, verifier::BoxFuture,
};

/// Whether a route needs a credential.
#[derive(Clone, Debug)]
pub(crate) enum Demand {
    /// No, but a credential that is sent must be valid.
    Optional,
    /// Yes, and it must meet this requirement.
    Required(Requirement),
}

/// What the layer's routes need, and what they allow beyond the guard.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) demand: Demand,
    pub(crate) keys_in_browsers: Option<AllowedBecause>,
    pub(crate) keys_in_query: Option<Arc<QueryRoute>>,
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
/// - What a layer allows beyond the guard, only the outermost layer of the guard can: an outer one has refused it before.
/// - A CORS preflight is an `OPTIONS` without a credential (Fetch section 4.8) and is refused like any other request.
///   An API for browsers puts its CORS layer outside of the guard, where it answers preflights itself.
#[derive(Clone)]
pub struct GuardLayer {
    guard: Guard,
    route: Arc<Route>,
}

impl GuardLayer {
    pub(crate) fn new(guard: Guard, demand: Demand) -> Self {
        Self { guard, route: Arc::new(Route { demand, keys_in_browsers: None, keys_in_query: None }) }
    }

    /// Accepts live API keys from browsers and apps on these routes: see [`GuardBuilder::allow_keys_in_browsers`]. The
    /// layer must be the outermost of its guard.
    ///
    /// # Panics
    /// If `reason` is empty. Routes are built once at startup, so that shows there.
    ///
    /// [`GuardBuilder::allow_keys_in_browsers`]: crate::GuardBuilder::allow_keys_in_browsers
    pub fn allow_keys_in_browsers(mut self, reason: &'static str) -> Self {
        let reason = AllowedBecause::new(reason).expect("a route says why it accepts API keys from browsers");
        Arc::make_mut(&mut self.route).keys_in_browsers = Some(reason);
        self
    }

    /// Accepts API keys in the query of these routes for a while, from known networks and at a low rate: a way out for
    /// callers that can't be changed yet. By default a credential in the URL is refused.
    ///
    /// The key is removed from the request before the handler sees it. Answers say that the way is deprecated and when it
    /// ends, and uses are reported to the issuer (`doorward legacy report`). After the end date the layer refuses keys in
    /// the query by itself. Layers that are outside of this one, such as one that logs requests, still see the URL with
    /// the key: put them inside. The layer must be the outermost of its guard.
    ///
    /// ```
    /// # use doorward_guard::{Guard, GuardLayer, KeysInQuery, Timestamp, query_key::InvalidKeysInQuery, scope};
    /// fn export(guard: &Guard) -> Result<GuardLayer, InvalidKeysInQuery> {
    ///     guard.require(scope("notes:read")).allow_keys_in_query(&KeysInQuery {
    ///         parameter: "api_key",
    ///         route: "GET /export",
    ///         networks: &["192.0.2.0/24"],
    ///         per_minute: 30,
    ///         until: Timestamp::from_secs(1_806_451_200), // 31 March 2027
    ///         migration_page: None,
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    /// If a condition limits nothing: no network or a very large one, a high rate, or an end more than a year away.
    pub fn allow_keys_in_query(mut self, keys: &KeysInQuery<'_>) -> Result<Self, InvalidKeysInQuery> {
        let keys = keys.checked(self.guard.now())?;
        Arc::make_mut(&mut self.route).keys_in_query = Some(Arc::new(QueryRoute::new(keys)));
        Ok(self)
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
            let (admitted, way) = layer.guard.admit(&mut parts, &layer.route).await;
            let mut response = match admitted {
                Ok(admission) => {
                    let limits = admission.limits();
                    admission.insert_into(&mut parts.extensions);
                    let mut response: Response<ResBody> = inner.call(Request::from_parts(parts, body)).await?;
                    if let Some(limits) = limits {
                        problem::add_limits(&limits, response.headers_mut());
                    }
                    response
                }
                Err(problem) => problem.into_response(),
            };
            if let Some(way) = way {
                way.describe(&layer.guard.migration_page(), response.headers_mut());
            }
            Ok(response)
        })
    }
}
