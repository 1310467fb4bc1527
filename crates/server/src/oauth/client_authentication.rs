//! Client authentication at our endpoints: reads what was presented, finds the client, counts failures.
//!
//! Only failures count and only failures are slowed down: who has the right secret gets in, however much others guess
//! from the same address.

use std::{sync::Arc, time::Duration};

use doorward_core::{
    api::Api,
    client::Client,
    client_auth::{self, AssertionAudience, Authenticated},
    denial::Denial,
    form::Parameters,
    id::ClientId,
    network::Network,
    refusal::Refusal,
};
use doorward_store::{
    assertions::UseAssertion,
    clients::FindClient,
    failures::{Counter, Reservation, ReserveAttempt},
};
use http::{header::AUTHORIZATION, request::Parts};

use crate::{app::App, origin::Origin};

/// The authenticated client of a request to an OAuth endpoint.
pub(crate) async fn client(
    app: &App,
    origin: &Origin,
    head: &Parts,
    form: &Parameters<'_>,
) -> Result<Arc<Client>, Refusal> {
    let mut headers = head.headers.get_all(AUTHORIZATION).iter();
    let authorization = headers.next().map(|value| value.as_bytes());
    if headers.next().is_some() {
        return Err(Denial::ClientAuthenticationMultiple.into());
    }
    let presented = client_auth::present(authorization, form)?;
    let kept = app.kept_client(&presented.client_id);
    let was_kept = kept.is_some();
    let client = match kept {
        None => app.read_client(&presented.client_id).await?,
        kept => kept,
    };
    let audience = AssertionAudience { issuer: &app.settings.issuer, token_path: "/token" };
    let authenticated = client_auth::authenticate(&presented, client.as_deref(), &app.peppers, audience, app.now());
    let outcome = match (authenticated, client) {
        (Ok(Authenticated::Yes), Some(client)) => Ok(client),
        (Ok(Authenticated::OnceByAssertion { id, expires_at }), Some(client)) => {
            let operation = UseAssertion { client_id: client.id.clone(), id, expires_at };
            match app.write(operation).await? {
                true => Ok(client),
                false => Err(Refusal::new(Denial::ClientAssertionReplayed).fact("client_id", &client.id)),
            }
        }
        (Err(refusal), _) => Err(refusal),
        (Ok(_), None) => Err(Denial::ClientUnknown.into()),
    };
    match outcome {
        Ok(client) => Ok(client),
        Err(refusal) => {
            if let Ok(id) = ClientId::parse(&presented.client_id)
                && was_kept
            {
                // An unknown client costs a look into the store at each attempt. So does one that is known.
                app.read(FindClient { id }).await?;
            }
            Err(count_failure(app, origin, refusal).await)
        }
    }
}

/// The API whose credential authenticates a request, by Basic alone.
pub(crate) async fn api(app: &App, origin: &Origin, head: &Parts) -> Result<Arc<Api>, Refusal> {
    if head.headers.get(AUTHORIZATION).is_none() {
        return Err(Denial::CredentialMissing.into());
    }
    let credential = client(app, origin, head, &Parameters::parse(&[])?).await?;
    let api = match &credential.api {
        None => None,
        Some(id) => app.api(id).await?,
    };
    api.ok_or_else(|| {
        Refusal::new(Denial::InsufficientPermission)
            .fact("client_id", &credential.id)
            .fact("needed", "an API's credential")
    })
}

/// Counts a failure by address and minute; gives the refusal to answer with.
async fn count_failure(app: &App, origin: &Origin, refusal: Refusal) -> Refusal {
    let now = app.now();
    let minute = now.as_secs().div_euclid(60);
    let rest = Duration::from_secs(u64::try_from(60 - now.as_secs().rem_euclid(60)).unwrap_or(60));
    // What is known of the client stays: the operator looks for the one that is misconfigured.
    let throttled = || {
        Refusal { facts: refusal.facts.clone(), ..Refusal::new(Denial::ClientThrottled).retry_after(rest) }
            .fact("instead_of", refusal.denial)
    };
    let subject = format!("client/{}/{minute}", Network::of(origin.address));
    if app.caches.throttled.get(&subject).is_some() {
        return throttled();
    }
    let counter =
        Counter { subject: subject.clone(), free: app.settings.throttle.client_failures_per_minute, slow: None };
    match app.write(ReserveAttempt { counters: vec![counter], max_wait: Duration::from_secs(60), now }).await {
        Err(unavailable) => unavailable,
        Ok(Reservation::Go) => refusal,
        Ok(Reservation::Slow(_) | Reservation::Wait(_)) => {
            // Further failures of this minute cost no write.
            app.caches.throttled.insert(subject, ());
            throttled()
        }
    }
}
