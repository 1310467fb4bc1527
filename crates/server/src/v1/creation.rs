//! Creating something at most once: a request that is repeated with the same `Idempotency-Key` gets the same answer.
//!
//! The answer can hold a secret that is shown once. It is kept for a day, sealed under a key that is derived from the
//! caller's `Idempotency-Key`, of which the store has only a digest.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use doorward_core::{
    denial::Denial,
    digest::{Digest, KeyedDigest},
    refusal::Refusal,
    seal,
};
use doorward_store::{
    StoreError,
    idempotency::{FindKeptAnswer, KeptAnswer},
};
use http::{Response, request::Parts};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    document::Document,
    entity::{created, document, etag},
};
use crate::{
    actor::Actor,
    app::App,
    manage::ManageError,
    web::{body, refused::ProblemError, respond},
};

/// The header that makes a creating request repeatable.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "the description is generated from it")]
pub(crate) struct IdempotencyKeyHeader {
    /// 16 to 255 visible ASCII characters, random, such as a UUID. The same request with the same key gets the same answer
    /// for a day, and nothing is created again.
    #[param(rename = "Idempotency-Key", min_length = 16, max_length = 255, pattern = "^[!-~]{16,255}$")]
    idempotency_key: Option<String>,
}

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(86_400);

/// A request that creates something.
pub(crate) struct Creation {
    head: Parts,
    body: Bytes,
    key: Option<String>,
}

/// What was created, as it is answered: where it is found, its state, and the body.
#[derive(Deserialize, Serialize)]
struct Answer {
    path: String,
    etag: String,
    body: String,
}

/// Where a capability says what it is about to create: it commits what it gets back together with the thing.
#[derive(Clone)]
pub(crate) struct Keeper {
    app: Arc<App>,
    repeatable: Option<Arc<Repeatable>>,
    answer: Arc<Mutex<Option<Answer>>>,
}

impl Keeper {
    /// Notes the answer: where the thing is found, what it looks like from now on, and the body, which has its secret.
    pub(crate) fn keep(
        &self,
        path: String,
        view: &impl Serialize,
        body: &impl Serialize,
    ) -> Result<Option<KeptAnswer>, ManageError> {
        let answer =
            Answer { path, etag: etag(view)?, body: serde_json::to_string(body).map_err(respond::unwritable)? };
        let kept = self.repeatable.as_ref().map(|repeatable| repeatable.keep(&self.app, &answer)).transpose()?;
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(kept)
    }
}

impl Creation {
    /// Creates something by `create`, which shows the keeper what it is about to create.
    pub(crate) async fn answer<T: Document, F: Future<Output = Result<(), ManageError>>>(
        self,
        app: &Arc<App>,
        actor: &Actor,
        create: impl FnOnce(T, Keeper) -> F,
    ) -> Result<Response<Body>, ProblemError> {
        let repeatable = self.key.as_deref().map(|key| Repeatable::new(app, actor, &self.head, &self.body, key));
        let repeatable = repeatable.map(Arc::new);
        if let Some(answer) = find(app, repeatable.as_deref()).await? {
            return Ok(answer.into_response()?);
        }
        let keeper = Keeper { app: app.clone(), repeatable: repeatable.clone(), answer: Arc::default() };
        match create(document(app, &self.body)?, keeper.clone()).await {
            Ok(()) => {
                let answer = keeper.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
                let answer = answer.ok_or_else(|| Refusal::new(Denial::Unavailable).fact("answer", "not made"))?;
                Ok(answer.into_response()?)
            }
            Err(error) => {
                // The same request may have come twice at the same time: the other one was faster.
                let is_conflict = matches!(error, ManageError::Conflict(_) | ManageError::Store(StoreError::Conflict));
                match find(app, repeatable.as_deref().filter(|_| is_conflict)).await? {
                    Some(answer) => Ok(answer.into_response()?),
                    None => Err(error.into()),
                }
            }
        }
    }
}

/// The answer to the same request before, if it may be repeated and was answered.
async fn find(app: &App, repeatable: Option<&Repeatable>) -> Result<Option<Answer>, Refusal> {
    match repeatable {
        Some(repeatable) => repeatable.find(app).await,
        None => Ok(None),
    }
}

impl Answer {
    fn into_response(self) -> Result<Response<Body>, Refusal> {
        created(&self.path, &self.etag, self.body.into_bytes())
    }
}

impl FromRequest<Arc<App>> for Creation {
    type Rejection = ProblemError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ProblemError> {
        let (head, body) = request.into_parts();
        let body = body::json_bytes_or_none(app, &head, body).await?;
        let key = idempotency_key(&head)?;
        Ok(Self { head, body, key })
    }
}

fn idempotency_key(head: &Parts) -> Result<Option<String>, Refusal> {
    let mut values = head.headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_key = |key: &&str| (16..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = value.to_str().ok().filter(is_key).filter(|_| values.next().is_none());
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Denial::IdempotencyKeyInvalid.into())
}

/// A request that may be repeated: who sends it, and what makes it the same.
struct Repeatable {
    /// The caller and its key.
    name: String,
    /// All of the request that must be the same.
    request: Digest,
}

/// The context of sealed answers.
const CONTEXT: &str = "idempotency";

impl Repeatable {
    fn new(app: &App, actor: &Actor, head: &Parts, body: &Bytes, key: &str) -> Self {
        let caller = actor.id.as_deref().unwrap_or_default();
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        let body = app.peppers.digest(&STANDARD_NO_PAD.encode(body));
        // The body can hold a password: its digest is under a pepper.
        let request = [head.method.as_str().as_bytes(), target.as_bytes(), body.digest.as_bytes()].join(&b'\n');
        Self { name: format!("{caller}\n{key}"), request: Digest::sha256(&request) }
    }

    fn digest_text(&self) -> String {
        format!("{CONTEXT}/name\n{}", self.name)
    }

    /// The key that seals an answer, under a pepper.
    fn sealing_keys(&self, app: &App) -> Vec<KeyedDigest> {
        app.candidates(&format!("{CONTEXT}/answer\n{}", self.name))
    }

    fn keep(&self, app: &App, answer: &Answer) -> Result<KeptAnswer, Refusal> {
        let answer = serde_json::to_vec(answer).map_err(respond::unwritable)?;
        let keys = self.sealing_keys(app);
        Ok(KeptAnswer {
            digest: app.peppers.digest(&self.digest_text()),
            request: self.request,
            sealed: seal::seal(keys[0].digest.as_bytes(), CONTEXT, &answer, &*app.rng),
            expires_at: app.now().plus(KEPT),
        })
    }

    /// The answer that was given, if this request was answered before; refused if another request was.
    async fn find(&self, app: &App) -> Result<Option<Answer>, Refusal> {
        let candidates = app.candidates(&self.digest_text());
        let Some(kept) = app.read(FindKeptAnswer { candidates, now: app.now() }).await? else { return Ok(None) };
        if !kept.request.matches(&self.request) {
            return Err(Denial::IdempotencyKeyReused.into());
        }
        let open = |key: &KeyedDigest| seal::open(key.digest.as_bytes(), CONTEXT, &kept.sealed).ok();
        let answer = self.sealing_keys(app).iter().find_map(open);
        let answer = answer.and_then(|answer| serde_json::from_slice(&answer).ok());
        answer.map(Some).ok_or_else(|| Refusal::new(Denial::Unavailable).fact("idempotency", "an answer does not open"))
    }
}
