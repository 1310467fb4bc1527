//! How soon an API in another process refuses a key after its revocation was answered, while the server is under load.
//!
//! Easy to get wrong: an API that has not seen the key lately has nothing to forget. So each key is used every millisecond
//! before, during and after its revocation, and the guard has a verdict on it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use doorward_guard::{Denial, Guard, ResourceIdentifier, scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use super::{
    fill::Filled,
    management::{creation, new_key},
    opened::request,
};
use crate::{
    caller::{Caller, Target},
    fill,
    load::{Quantiles, Times, answers_of_each},
    site::API,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many keys are revoked
    #[arg(long, default_value_t = 1_000)]
    tries: usize,
}

#[derive(Serialize)]
pub(crate) struct Figures {
    tries: usize,
    #[serde(flatten)]
    times: Quantiles,
    most_ns: f64,
    /// Verifications that the load had answered meanwhile.
    load_per_s: f64,
}

#[derive(Deserialize)]
struct Key {
    id: String,
    secret: String,
}

pub(crate) async fn measure(folder: &Path, options: &Options) -> Result<Figures> {
    let filled = Arc::new(Filled::read(folder)?);
    let authorization = format!("Bearer {}", filled.management_key);
    let bodies = (0..options.tries).map(|nth| new_key(&format!("revoked-{nth}"))).collect();
    let created = answers_of_each(filled.port, &creation(&authorization), bodies).await?;
    let mut keys = created.iter().map(|body| Ok(serde_json::from_slice(body)?)).collect::<Result<Vec<Key>>>()?;
    let audience = ResourceIdentifier::parse(API).map_err(|_| anyhow!("the API has an identifier"))?;
    let guard = Guard::builder(filled.issuer(), audience);
    let guard = guard.credential(filled.api.client_id.as_str(), filled.api.client_secret.as_str()).build()?;

    let (load, start) = (Load::start(&filled), Instant::now());
    let mut tries = JoinSet::new();
    for _ in 0..AT_ONCE {
        let keys = keys.split_off(keys.len() - keys.len().min(options.tries.div_ceil(AT_ONCE)));
        let (guard, authorization, port) = (guard.clone(), authorization.clone(), filled.port);
        tries.spawn(async move {
            let (mut caller, mut times) = (Caller::new(port), Vec::new());
            for key in keys {
                times.push(revoke(&mut caller, &authorization, &guard, &key).await?);
            }
            Ok::<_, anyhow::Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(some) = tries.join_next().await {
        times.extend(some??);
    }
    let took = start.elapsed();
    let load_per_s = load.end().await? as f64 / took.as_secs_f64();
    ensure!(times.len() == options.tries, "{} of {} keys were revoked", times.len(), options.tries);
    let times = Times::new(times);
    Ok(Figures { tries: options.tries, times: times.quantiles(), most_ns: times.ms(1.0) * 1e6, load_per_s })
}

/// From the answer to the revocation until the first refusal; nothing if the refusal came first.
async fn revoke(caller: &mut Caller, authorization: &str, guard: &Guard, key: &Key) -> Result<Duration> {
    let (guard, request) = (guard.clone(), request(&key.secret)?);
    let refused = tokio::spawn(async move {
        let (requirement, start, mut uses) = (scope("notes:read"), Instant::now(), 0);
        loop {
            match guard.authorize(&request, &requirement).await {
                Ok(_) if start.elapsed() < LIMIT => uses += 1,
                Ok(_) => return Err(anyhow!("a revoked key was accepted for {LIMIT:?}")),
                Err(problem) if uses > 0 && problem.refusal().denial == Denial::KeyRevoked => return Ok(Instant::now()),
                Err(problem) => {
                    return Err(anyhow!("after {uses} uses a key was refused: {:?}", problem.refusal().denial));
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    sleep(USED_BEFORE).await;
    let path = format!("/v1/keys/{}/revoke", key.id).into();
    let revoke = Target { path, authorization: authorization.to_owned(), content_type: "application/json" };
    caller.succeed(&revoke, "{}").await?;
    let answered = Instant::now();
    Ok(refused.await??.saturating_duration_since(answered))
}

/// Callers who have keys at random verified, as fast as they are answered.
struct Load {
    callers: JoinSet<Result<()>>,
    answered: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    fn start(filled: &Arc<Filled>) -> Self {
        let (mut callers, answered, is_over) = (JoinSet::new(), Arc::default(), Arc::default());
        for seed in 0..CALLERS {
            let (filled, answered, is_over) = (filled.clone(), Arc::clone(&answered), Arc::clone(&is_over));
            callers.spawn(Self::call(filled, seed, answered, is_over));
        }
        Self { callers, answered, is_over }
    }

    async fn call(filled: Arc<Filled>, seed: u64, answered: Arc<AtomicU64>, is_over: Arc<AtomicBool>) -> Result<()> {
        let mut caller = Caller::new(filled.port);
        let authorization = filled.authorization.clone();
        let verify = Target { path: "/v1/keys/verify".into(), authorization, content_type: "application/json" };
        for number in filled.at_random(100 + seed) {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            caller.succeed(&verify, &json!({ "key": fill::key(number) }).to_string()).await?;
            answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many verifications were answered.
    async fn end(mut self) -> Result<u64> {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(caller) = self.callers.join_next().await {
            caller??;
        }
        Ok(self.answered.load(Ordering::Relaxed))
    }
}

/// How many keys are in use and being revoked at the same time.
const AT_ONCE: usize = 20;
/// Long enough that the guard has asked about the key, and shorter than a verdict is kept.
const USED_BEFORE: Duration = Duration::from_millis(50);
/// How many callers load the server.
const CALLERS: u64 = 16;
const LIMIT: Duration = Duration::from_secs(30);
