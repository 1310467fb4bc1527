//! What the suite promises, check by check, and the last line, which `cargo xtask test` reads.
//!
//! Easy to get wrong: checks stand in the order in which a client acts, so one that needs what an earlier one failed to
//! get must fail as well and not be left out. What checks hand on is therefore an `Option`, and [`earlier`] opens it.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::panic::Location;

use crate::application::{AuthorizationError, TokenError};

/// Runs checks and counts them.
#[derive(Default)]
pub struct Checks {
    client: &'static str,
    passed: u32,
    failed: u32,
}

impl Checks {
    /// Names the client that the promises from here on are about.
    pub fn of(&mut self, client: &'static str) -> &mut Self {
        self.client = client;
        self
    }

    /// Runs `body` as the check of `promise`, and gives what it got.
    pub fn check<V>(&mut self, promise: &str, body: impl FnOnce() -> Result<V, Failure>) -> Option<V> {
        match body() {
            Ok(value) => {
                self.passed += 1;
                println!("ok      {}: {promise}", self.client);
                Some(value)
            }
            Err(failure) => {
                self.failed += 1;
                let reason = failure.to_string().replace('\n', "\n        ");
                println!("FAILED  {}: {promise}\n        {reason}", self.client);
                None
            }
        }
    }

    /// Prints the count and returns whether all passed.
    pub fn finish(&self) -> bool {
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0 && self.passed > 0
    }
}

/// Why a check failed, and in which line of it.
///
/// It is no `Error`, so that every error of a call becomes one with `?`, which notes the line.
pub struct Failure {
    cause: Box<dyn Error>,
    at: &'static Location<'static>,
}

impl From<Box<dyn Error>> for Failure {
    #[track_caller]
    fn from(cause: Box<dyn Error>) -> Self {
        Self { cause, at: Location::caller() }
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.at.file(), self.at.line(), chain(&*self.cause))
    }
}

/// Asserts that two values are equal.
#[track_caller]
pub fn equal<G: PartialEq<W> + Debug, W: Debug>(got: G, want: W) -> Result<(), Failure> {
    if got == want { Ok(()) } else { Err(fail(format!("{got:?} is not {want:?}"))) }
}

/// Asserts that something is so; `what` says what.
#[track_caller]
pub fn hold(so: bool, what: &str) -> Result<(), Failure> {
    if so { Ok(()) } else { Err(fail(format!("does not hold: {what}"))) }
}

/// Asserts that an answer has a member; `what` names it.
#[track_caller]
pub fn present<V>(member: Option<V>, what: &str) -> Result<V, Failure> {
    match member {
        Some(value) => Ok(value),
        None => Err(fail(format!("there is no {what}"))),
    }
}

/// Asserts that an exchange ended in this OAuth error, of either endpoint (RFC 6749 4.1.2.1 and 5.2).
#[track_caller]
pub fn refused<V>(outcome: Result<V, Box<dyn Error>>, code: &str) -> Result<(), Failure> {
    let Err(cause) = outcome else {
        return Err(fail(format!("was not refused as {code}, but granted")));
    };
    if let Some(denied) = cause.downcast_ref::<AuthorizationError>() {
        return equal(denied.code.as_str(), code);
    }
    if let Some(TokenError::ServerResponse(answer)) = cause.downcast_ref::<TokenError>() {
        return equal(answer.error().as_ref(), code);
    }
    Err(fail(format!("was not refused as {code}, but: {}", chain(&*cause))))
}

/// Opens what an earlier check handed on.
#[track_caller]
pub fn earlier<V>(value: &Option<V>) -> Result<&V, Failure> {
    match value {
        Some(value) => Ok(value),
        None => Err(fail("needs what an earlier check failed to get".into())),
    }
}

/// What an error says, and what its sources say.
fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        said = format!("{said}: {error}");
        source = error.source();
    }
    said
}

#[track_caller]
fn fail(reason: String) -> Failure {
    Failure::from(Box::<dyn Error>::from(reason))
}
