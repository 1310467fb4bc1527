//! The members of a request's JSON body, taken one by one: `/v1` names the one at fault, and accepts no unknown member but
//! in what guards report.

use std::net::IpAddr;

use doorward_core::{
    api::Role,
    denial::Denial,
    forwarded,
    json::{Map, Value},
    refusal::Refusal,
    scope::{Scope, ScopeSet},
};
use serde::{Deserialize, de::DeserializeOwned};

/// The members that have not been read yet. `null` counts as absent.
pub(super) struct Members {
    unread: Map<String, Value>,
    /// The form of the whole body, for the operator.
    expected: &'static str,
}

impl Members {
    pub(super) fn of(mut body: Map<String, Value>, expected: &'static str) -> Self {
        body.retain(|_, value| !value.is_null());
        Self { unread: body, expected }
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, name: &str) -> Result<String, Refusal> {
        self.required(name)
    }

    /// A value that must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Refusal> {
        self.optional(name)?.ok_or_else(|| self.wrong(name))
    }

    /// The member `scopes`, a list; empty if absent.
    pub(super) fn scopes(&mut self) -> Result<ScopeSet, Refusal> {
        let scopes: Option<Vec<Scope>> = self.optional("scopes")?;
        Ok(scopes.into_iter().flatten().collect())
    }

    /// The member `roles`, a list; empty if absent.
    pub(super) fn roles(&mut self) -> Result<Vec<Role>, Refusal> {
        Ok(self.optional("roles")?.unwrap_or_default())
    }

    /// The member `headers`, which must be there: names in any case (RFC 9110 section 5.1), each given once.
    pub(super) fn headers(&mut self) -> Result<Self, Refusal> {
        let given: Map<String, Value> = self.optional("headers")?.ok_or_else(|| self.wrong("headers"))?;
        let mut headers = Map::new();
        for (name, values) in given {
            let name = name.to_ascii_lowercase();
            if headers.contains_key(&name) {
                return Err(self.wrong(&name));
            }
            headers.insert(name, values);
        }
        Ok(Self::of(headers, self.expected))
    }

    /// The values of a header: a text, or a list of texts; none if absent.
    pub(super) fn header(&mut self, name: &str) -> Result<Vec<String>, Refusal> {
        match self.optional(name)? {
            Some(Value::String(value)) => Ok(vec![value]),
            Some(values) => Vec::deserialize(values).map_err(|_| self.wrong(name)),
            None => Ok(Vec::new()),
        }
    }

    /// The member `address`: an IP address, also with a port. What is none counts as absent: frameworks have other words for
    /// a caller without one.
    pub(super) fn address(&mut self) -> Result<Option<IpAddr>, Refusal> {
        let address: Option<String> = self.optional("address")?;
        Ok(address.and_then(|address| forwarded::node(address.as_bytes())))
    }

    /// The name of a member that was not read.
    pub(super) fn left(&self) -> Option<&str> {
        self.unread.keys().next().map(String::as_str)
    }

    /// Refuses what is left.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.left() {
            Some(unknown) => Err(self.wrong(unknown)),
            None => Ok(()),
        }
    }

    /// A value, if it is there.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        self.unread.remove(name).map(T::deserialize).transpose().map_err(|_| self.wrong(name))
    }

    pub(super) fn wrong(&self, name: &str) -> Refusal {
        Refusal::new(Denial::BodyMalformed).fact("expected", self.expected).parameter(name)
    }
}
