//! One step of an authorization request: the stored request, and who looks at it.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Path, Request, State},
    middleware::Next,
};
use doorward_core::{client::Client, denial::Denial};
use http::{Response, request::Parts};

use super::interaction::{self, Interaction};
use crate::{
    app::App,
    browser::{Session, Visitor},
    web::refused::{PageError, Refused},
};

/// A stored request that is still to be answered, and the browser that it belongs to.
pub(crate) struct Step {
    pub(crate) interaction: Interaction,
    pub(crate) client: Arc<Client>,
    pub(crate) visitor: Visitor,
}

impl Step {
    /// The session, if the request accepts it, so that nobody has to sign in for it.
    pub(crate) fn accepted_session(&self, app: &App) -> Option<&Session> {
        self.visitor.session.as_ref().filter(|session| self.interaction.accepts(app, session))
    }

    /// The address that leads to whatever comes next.
    pub(crate) fn next(&self) -> String {
        format!("/continue/{}", self.interaction.id)
    }
}

impl FromRequestParts<Arc<App>> for Step {
    type Rejection = PageError;

    async fn from_request_parts(head: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let Path(id) = Path::<String>::from_request_parts(head, app).await.map_err(|_| Denial::InteractionUnknown)?;
        let interaction = interaction::find(app, &head.headers, &id).await?;
        let client = interaction.client(app).await?;
        Ok(Self { interaction, client, visitor: Visitor::of(app, head).await? })
    }
}

/// Offers to start over where a request can't continue and is the browser's own: it is only too old, or answered.
pub(crate) async fn offer_start_over(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let headers = request.headers().clone();
    let mut response = next.run(request).await;
    if let Some(refused) = response.extensions_mut().get_mut::<Refused>()
        && refused.refusal.denial == Denial::InteractionUnknown
        && let Ok((_, true)) = interaction::load(&app, &headers, &id).await
    {
        refused.lead(&format!("/start-over/{id}"), "Start over");
    }
    response
}
