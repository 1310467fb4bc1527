//! One page for each code that a caller or an operator can meet, and the list of all.

use std::sync::Arc;

use askama::Template;
use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
};
use doorward_core::denial::Denial;
use http::{Response, StatusCode};

use crate::{
    app::App,
    pages::{Layout, security_headers::FormsEnd},
    web::{refused::NegotiatedError, respond},
};

#[derive(Template)]
#[template(path = "denials/denial.html")]
struct DenialPage<'a> {
    layout: &'a Layout,
    code: &'a str,
    /// The sentence for callers: the same for all reasons behind a code.
    sentence: &'static str,
    status: u16,
    error: &'static str,
    /// The reasons that can be behind the code.
    reasons: Vec<Denial>,
}

#[derive(Template)]
#[template(path = "denials/denials.html")]
struct DenialsPage<'a> {
    layout: &'a Layout,
    denials: &'static [Denial],
}

pub(super) async fn one(
    State(app): State<Arc<App>>,
    code: Result<Path<String>, PathRejection>,
) -> Result<Response<Body>, NegotiatedError> {
    let Path(code) = code.map_err(|_| Denial::NotFound)?;
    let reasons: Vec<_> = Denial::behind(&code).collect();
    let first = *reasons.first().ok_or(Denial::NotFound)?;
    let page = DenialPage {
        layout: &app.layout,
        code: &code,
        sentence: first.sentence(),
        status: first.status(),
        error: first.error(),
        reasons,
    };
    Ok(respond::page(StatusCode::OK, &page, FormsEnd::Here)?)
}

pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Response<Body>, NegotiatedError> {
    let page = DenialsPage { layout: &app.layout, denials: Denial::ALL };
    Ok(respond::page(StatusCode::OK, &page, FormsEnd::Here)?)
}
