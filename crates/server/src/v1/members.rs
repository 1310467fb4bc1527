//! The members of a request's JSON body, taken one by one: `/v1` lists those at fault, and accepts no unknown member but
//! in what guards report.

use std::net::IpAddr;

use doorward_core::{
    api::Role,
    denial::Denial,
    forwarded,
    json::{Map, Value},
    refusal::{Mistake, Refusal},
    scope::Scope,
};
use serde::{Deserialize, de::DeserializeOwned};

/// The members that have not been read yet, and the mistakes in those that were. `null` counts as absent.
pub(super) struct Members {
    unread: Map<String, Value>,
    /// The names of those that were read.
    known: Vec<&'static str>,
    mistakes: Vec<Mistake>,
    /// Where they are in the body, as a JSON pointer.
    place: String,
    /// The form of the whole body.
    expected: &'static str,
}

impl Members {
    pub(super) fn of(body: Map<String, Value>, expected: &'static str) -> Self {
        Self::at(String::new(), body, expected)
    }

    /// The members of a part of the body.
    pub(super) fn at(place: String, mut members: Map<String, Value>, expected: &'static str) -> Self {
        members.retain(|_, value| !value.is_null());
        Self { unread: members, known: Vec::new(), mistakes: Vec::new(), place, expected }
    }

    /// A text that must be there; empty if it is not, which is a mistake.
    pub(super) fn text(&mut self, name: &'static str) -> String {
        self.required(name).unwrap_or_default()
    }

    /// A value that must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        if !self.unread.contains_key(name) {
            self.note(Mistake::at(name, "is missing"));
        }
        self.optional(name)
    }

    /// The member `scopes`, a list; empty if absent.
    pub(super) fn scopes(&mut self) -> Vec<Scope> {
        self.optional("scopes").unwrap_or_default()
    }

    /// The member `roles`, a list; empty if absent.
    pub(super) fn roles(&mut self) -> Vec<Role> {
        self.optional("roles").unwrap_or_default()
    }

    /// The member `headers`, which must be there: names in any case (RFC 9110 section 5.1), each given once.
    pub(super) fn headers(&mut self) -> Self {
        let (mut headers, mut twice) = (Map::new(), Vec::new());
        for (name, values) in self.required::<Map<String, Value>>("headers").unwrap_or_default() {
            let name = name.to_ascii_lowercase();
            match headers.contains_key(&name) {
                true => twice.push(name),
                false => _ = headers.insert(name, values),
            }
        }
        let mut headers = Self::at("/headers".to_owned(), headers, self.expected);
        twice.iter().for_each(|name| headers.note(Mistake::at(name, "is given more than once")));
        headers
    }

    /// The values of a header: a text, or a list of texts; none if absent.
    pub(super) fn header(&mut self, name: &'static str) -> Vec<String> {
        match self.optional(name) {
            Some(Value::String(value)) => vec![value],
            Some(values) => Vec::deserialize(values).unwrap_or_else(|_| {
                self.note_form(name);
                Vec::new()
            }),
            None => Vec::new(),
        }
    }

    /// The member `address`: an IP address, also with a port or white space around it. What is none counts as absent: frameworks have other words for
    /// a caller without one.
    pub(super) fn address(&mut self) -> Option<IpAddr> {
        let address: Option<String> = self.optional("address");
        address.and_then(|address| forwarded::node(address.trim().as_bytes()))
    }

    /// A value, if it is there.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        let read = T::deserialize(self.unread.remove(name)?);
        read.inspect_err(|_| self.note_form(name)).ok()
    }

    /// The name of a member that was not read.
    pub(super) fn left(&self) -> Option<&str> {
        self.unread.keys().next().map(String::as_str)
    }

    /// Adds a mistake, whose place is among these members.
    pub(super) fn note(&mut self, mistake: Mistake) {
        let pointer = format!("{}{}", self.place, mistake.pointer);
        self.mistakes.push(Mistake { pointer, ..mistake });
    }

    /// The value may be a secret, and is not repeated.
    fn note_form(&mut self, name: &str) {
        self.note(Mistake::at(name, format!("has the wrong form; expected is {}", self.expected)));
    }

    /// Adds the mistakes of a part that was read, and what is left in it.
    pub(super) fn finish_part(&mut self, mut part: Self) {
        part.note_left();
        self.mistakes.append(&mut part.mistakes);
    }

    /// Refuses a body that has mistakes, or in which something is left.
    pub(super) fn finish(mut self) -> Result<(), Refusal> {
        self.note_left();
        self.check()
    }

    /// Refuses a body that has mistakes, whatever is left.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let Some(first) = self.mistakes.first() else { return Ok(()) };
        let name = first.pointer.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or_default();
        let refusal = Refusal::new(Denial::BodyInvalid).fact("expected", self.expected).parameter(name);
        Err(refusal.mistakes(&self.mistakes))
    }

    fn note_left(&mut self) {
        let known = self.known.join(", ");
        for name in std::mem::take(&mut self.unread).keys() {
            self.note(Mistake::at(name, format!("is unknown; known are {known}")));
        }
    }
}
