//! What a guard costs an API for each request with a JWT: one that it verified before, a new one, and the signature
//! check alone over the same tokens.
//!
//! The guard is the one that every API uses: it fetches the keys of its issuer, which is a thread here, before anything
//! is measured. Each round takes tokens that no round had before, since a new token is new once. Prints one line of
//! JSON, in nanoseconds: the median of the rounds.

#![forbid(unsafe_code)]

use std::{
    error::Error,
    hint::black_box,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{
    access_token::Claims,
    clock::Clock,
    id::TokenId,
    jwk::{Algorithm, SigningKey},
    scope::ScopeSet,
};
use doorward_guard::{Guard, Requirement, ResourceIdentifier, SystemClock, SystemRng, scope};
use http::{Request, request::Parts};
use serde_json::{Value, json};

const AUDIENCE: &str = "https://notes.example";
const ROUNDS: usize = 5;
const NEW_TOKENS: usize = 500;
/// How often each of a round's first tokens is presented again. The guard remembers more tokens than that.
const SEEN_TOKENS: usize = 100;
const REPEATS: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut figures = json!({});
    for algorithm in [Algorithm::EdDSA, Algorithm::ES256] {
        figures[algorithm.as_str()] = runtime.block_on(measure(algorithm))?;
    }
    println!("{figures}");
    Ok(())
}

async fn measure(algorithm: Algorithm) -> Result<Value, Box<dyn Error>> {
    let rng = SystemRng::default();
    let key = SigningKey::generate("bench".into(), algorithm, &rng)?;
    let public = public_key(algorithm, &key)?;
    let issuer = issuer(&key)?;
    let guard = Guard::builder(&*issuer, ResourceIdentifier::parse(AUDIENCE)?).build()?;
    let requirement = scope("notes:read");
    // The first request makes the guard fetch the keys.
    authorize(&guard, &requirement, &request(&token(&issuer, &key, &rng)?)?).await?;

    let (mut seen, mut new, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let tokens = (0..NEW_TOKENS).map(|_| token(&issuer, &key, &rng)).collect::<Result<Vec<_>, _>>()?;
        let requests = tokens.iter().map(|token| request(token)).collect::<Result<Vec<_>, _>>()?;
        let signed = tokens.iter().map(|token| Signed::take_apart(token)).collect::<Result<Vec<_>, _>>()?;

        let start = Instant::now();
        for Signed { message, signature } in &signed {
            black_box(public.verify_sig(message, signature)).map_err(|_| "a signature does not verify")?;
        }
        raw.push(each(start.elapsed(), NEW_TOKENS));

        let start = Instant::now();
        for request in &requests {
            authorize(&guard, &requirement, request).await?;
        }
        new.push(each(start.elapsed(), NEW_TOKENS));

        let start = Instant::now();
        for _ in 0..REPEATS {
            for request in &requests[..SEEN_TOKENS] {
                authorize(&guard, &requirement, request).await?;
            }
        }
        seen.push(each(start.elapsed(), REPEATS * SEEN_TOKENS));
    }
    Ok(json!({ "seen_ns": median(seen), "new_ns": median(new), "raw_ns": median(raw) }))
}

async fn authorize(guard: &Guard, requirement: &Requirement, request: &Parts) -> Result<(), Box<dyn Error>> {
    match guard.authorize(request, requirement).await {
        Ok(principal) => drop(black_box(principal)),
        Err(_) => return Err("the guard refuses a good token".into()),
    }
    Ok(())
}

fn each(time: Duration, calls: usize) -> f64 {
    time.as_secs_f64() * 1e9 / calls as f64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn request(token: &str) -> Result<Parts, http::Error> {
    let request = Request::builder().uri("/notes").header("authorization", format!("Bearer {token}"));
    Ok(request.body(())?.into_parts().0)
}

fn token(issuer: &str, key: &SigningKey, rng: &SystemRng) -> Result<String, Box<dyn Error>> {
    let now = SystemClock.now();
    let claims = Claims {
        issuer: issuer.into(),
        subject: "cli_01934b6a5c7d7f3e9a2b4c6d8e0f1a2b".into(),
        audience: vec![AUDIENCE.into()],
        expires_at: now.plus(Duration::from_secs(3600)),
        issued_at: now,
        id: TokenId::new(now, rng),
        client_id: "cli_01934b6a5c7d7f3e9a2b4c6d8e0f1a2b".into(),
        scopes: ScopeSet::parse("notes:read notes:write")?,
        roles: Default::default(),
        grant_id: None,
        auth_time: None,
    };
    Ok(claims.sign(key)?)
}

/// What was signed, and the signature (RFC 7515 section 7.1).
struct Signed<'a> {
    message: &'a [u8],
    signature: Vec<u8>,
}

impl<'a> Signed<'a> {
    fn take_apart(token: &'a str) -> Result<Self, Box<dyn Error>> {
        let (message, signature) = token.rsplit_once('.').ok_or("a JWS has dots")?;
        Ok(Self { message: message.as_bytes(), signature: URL_SAFE_NO_PAD.decode(signature)? })
    }
}

fn public_key(algorithm: Algorithm, key: &SigningKey) -> Result<ParsedPublicKey, Box<dyn Error>> {
    let jwk = key.public_jwk();
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk.get(name).and_then(Value::as_str).unwrap_or_default());
    Ok(match algorithm {
        Algorithm::EdDSA => ParsedPublicKey::new(&ED25519, &coordinate("x")?)?,
        // 4 begins an uncompressed point (SEC 1 section 2.3.3).
        _ => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [vec![4], coordinate("x")?, coordinate("y")?].concat())?,
    })
}

/// Publishes metadata (RFC 8414) and keys on a port of its own, and gives the issuer's URL.
fn issuer(key: &SigningKey) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let url = format!("http://{}", listener.local_addr()?);
    let metadata = json!({ "issuer": url, "jwks_uri": format!("{url}/jwks") }).to_string();
    let keys = json!({ "keys": [key.public_jwk()] }).to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A guard that could not read the answer says so itself.
            let _ = answer(stream, &metadata, &keys);
        }
    });
    Ok(url)
}

fn answer(mut stream: TcpStream, metadata: &str, keys: &str) -> std::io::Result<()> {
    let mut head = BufReader::new(&stream).lines();
    let asked = head.next().transpose()?.unwrap_or_default();
    for line in head {
        if line?.is_empty() {
            break;
        }
    }
    let body = if asked.starts_with("GET /jwks ") { keys } else { metadata };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
