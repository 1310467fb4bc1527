//! Lists: filters, a bounded number of entries, and a cursor that only this server can write and read.
//!
//! Easy to get wrong: a cursor belongs to one list with one set of filters. With others it would skip entries silently.
//! And it can name something that the caller may not see, so it is sealed.

use std::sync::Arc;

use axum::{body::Body, extract::FromRequestParts};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{
    denial::Denial,
    digest::KeyedDigest,
    json,
    refusal::{Mistake, Refusal},
    seal,
};
use http::{Response, request::Parts};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::{IntoParams, ToSchema};

use super::document::{Document, read_query};
use crate::{
    app::App,
    manage::{ManageError, page::Page},
    web::{refused::ProblemError, respond},
};

/// How many entries a page has if nothing is said.
const DEFAULT: usize = 50;
/// How many it has at most.
const MOST: usize = 200;

/// What the key that seals cursors is derived from, under a pepper.
const CURSORS: &str = "cursors of lists";

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParameters {
    /// How many entries at most; 50 if it is not given, and never more than 200. The answer says how many were meant.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// `next` of the page before, with the same filters.
    cursor: Option<String>,
}

impl Document for PageParameters {}

/// A list's query: its filters, and which page.
pub(crate) struct ListQuery<F> {
    pub(crate) filter: F,
    limit: usize,
    cursor: Option<String>,
    /// What the cursors of this list are bound to: its path, and its filters.
    list: String,
}

/// A page as it is answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct List<V> {
    /// The entries, in the order of their creation.
    items: Vec<V>,
    /// The cursor of the next page; `null` at the end. A page can have fewer entries than the limit, or none, and be
    /// followed by others.
    #[schema(required)]
    next: Option<String>,
    /// The number of entries that a page has at most.
    limit: usize,
}

impl<F> ListQuery<F> {
    /// Answers with the page that `read` gives for a place and a number of entries.
    pub(crate) async fn answer<V, P, R>(
        &self,
        app: &App,
        read: impl FnOnce(Option<P>, usize) -> R,
    ) -> Result<Response<Body>, ProblemError>
    where
        V: Serialize,
        P: Serialize + DeserializeOwned,
        R: Future<Output = Result<Page<V, P>, ManageError>>,
    {
        let after = self.cursor.as_deref().map(|cursor| self.place(app, cursor)).transpose()?;
        let Page { items, next } = read(after, self.limit).await?;
        let next = next.map(|place| self.cursor(app, &place)).transpose()?;
        Ok(respond::json_no_store(&List { items, next, limit: self.limit })?)
    }

    fn cursor<P: Serialize>(&self, app: &App, place: &P) -> Result<String, Refusal> {
        let place = serde_json::to_string(place).map_err(respond::unwritable)?;
        let key = app.peppers.digest(CURSORS);
        let sealed = seal::seal(key.digest.as_bytes(), &self.list, place.as_bytes(), &*app.rng);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn place<P: DeserializeOwned>(&self, app: &App, cursor: &str) -> Result<P, Refusal> {
        let place = || {
            let sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
            let open = |key: &KeyedDigest| seal::open(key.digest.as_bytes(), &self.list, &sealed).ok();
            let place = app.candidates(CURSORS).iter().find_map(open)?;
            json::parse_as(&place).ok()
        };
        place().ok_or_else(|| {
            let why = "is not a cursor of this list with these filters; begin again without it";
            query_invalid(&[Mistake::in_query("cursor", why)])
        })
    }
}

impl<F: Document + Send> FromRequestParts<Arc<App>> for ListQuery<F> {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, _: &Arc<App>) -> Result<Self, ProblemError> {
        let pairs = pairs(head);
        let (page, filter): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(name, _)| is_of_page(name));
        let mut filters: Vec<_> = filter.iter().map(|(name, value)| format!("{name}={value}")).collect();
        filters.sort_unstable();
        let (page, filter) = (read_query::<PageParameters>(page, &[]), read_query::<F>(filter, &OF_PAGE));
        let (page, filter) = match (page, filter) {
            (Ok(page), Ok(filter)) => (page, filter),
            (page, filter) => {
                let mistakes = page.err().into_iter().chain(filter.err()).flatten().collect::<Vec<_>>();
                return Err(query_invalid(&mistakes).into());
            }
        };
        if page.limit == Some(0) {
            return Err(query_invalid(&[Mistake::in_query("limit", "must be at least 1")]).into());
        }
        let limit = page.limit.unwrap_or(DEFAULT).min(MOST);
        let list = format!("{}\n{}", head.uri.path(), filters.join("\n"));
        Ok(Self { filter, limit, cursor: page.cursor, list })
    }
}

/// The parameters that say which page.
const OF_PAGE: [&str; 2] = ["cursor", "limit"];

fn is_of_page(name: &str) -> bool {
    OF_PAGE.contains(&name)
}

/// The parameters of a query, in their order.
pub(super) fn pairs(head: &Parts) -> Vec<(String, String)> {
    let parts = head.uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = form_urlencoded::parse(part.as_bytes()).into_owned().next().unwrap_or_default();
        // A name alone is a flag. With `=` and nothing behind it, a script may have lost the value.
        (name, if part.contains('=') { value } else { "true".to_owned() })
    };
    parts.map(pair).collect()
}

pub(super) fn query_invalid(mistakes: &[Mistake]) -> Refusal {
    Refusal::new(Denial::QueryInvalid).mistakes(mistakes)
}

/// A list without filters.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct NoFilter {}

impl Document for NoFilter {}

/// What a request may say beside its body.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(crate) struct Confirmation {
    /// Whether to go on although it ends what is in use. Without it the answer is 409 with a list.
    #[serde(default)]
    pub(crate) confirm: bool,
}

impl Document for Confirmation {}

impl FromRequestParts<Arc<App>> for Confirmation {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, _: &Arc<App>) -> Result<Self, ProblemError> {
        Ok(read_query(pairs(head), &[]).map_err(|mistakes| query_invalid(&mistakes))?)
    }
}

/// What a request that changes or deletes something may say beside its body.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
pub(crate) struct Ending {
    /// Whether to go on although it ends what is in use. Without it the answer is 409 with a list.
    #[serde(default)]
    pub(crate) confirm: bool,
    /// Whether to change nothing and only answer what would end, as `ends`. A change answers it beside what would be
    /// there, with the `ETag` of what is there. Not together with `confirm`.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

impl Document for Ending {}

impl FromRequestParts<Arc<App>> for Ending {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, _: &Arc<App>) -> Result<Self, ProblemError> {
        match read_query(pairs(head), &[]).map_err(|mistakes| query_invalid(&mistakes))? {
            Self { confirm: true, dry_run: true } => {
                Err(query_invalid(&[Mistake::in_query("dry_run", "does not go with confirm")]).into())
            }
            ending => Ok(ending),
        }
    }
}

/// A request without a query.
pub(crate) struct NoQuery;

impl FromRequestParts<Arc<App>> for NoQuery {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, _: &Arc<App>) -> Result<Self, ProblemError> {
        read_query::<NoFilter>(pairs(head), &[]).map_err(|mistakes| query_invalid(&mistakes))?;
        Ok(Self)
    }
}
