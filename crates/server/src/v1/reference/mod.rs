//! `/reference`: the management API for people, rendered from its description, without script.

mod describe;

use std::sync::Arc;

use askama::Template;
use axum::{body::Body, extract::State};
use http::{Response, StatusCode};
use serde_json::Value;

use self::describe::Group;
use crate::{
    app::App,
    pages::{Layout, security_headers::FormsEnd},
    web::{refused::PageError, respond},
};

#[derive(Template)]
#[template(path = "v1/reference/reference.html")]
struct ReferencePage<'a> {
    layout: &'a Layout,
    groups: &'a [Group],
}

/// What the page shows, read from the description once.
#[derive(Clone)]
pub(super) struct Reference(Arc<[Group]>);

impl Reference {
    pub(super) fn of(description: &Value) -> Self {
        Self(describe::groups(description).into())
    }

    pub(super) async fn page(self, State(app): State<Arc<App>>) -> Result<Response<Body>, PageError> {
        let page = ReferencePage { layout: &app.layout, groups: &self.0 };
        Ok(respond::page(StatusCode::OK, &page, FormsEnd::Here)?)
    }
}
