//! The pages about the user's own API keys.

use askama::Template;

use crate::pages::{Layout, time_in_words::Moment};

/// The list of the user's keys.
#[derive(Debug, Template)]
#[template(path = "account/keys.html")]
pub(super) struct KeysPage<'a> {
    pub(super) layout: &'a Layout,
    /// What was just done, as a sentence.
    pub(super) notice: Option<String>,
    /// Newest first.
    pub(super) keys: Vec<KeyRow>,
    /// Whether an API lets users make keys.
    pub(super) can_create: bool,
}

/// A key in words.
#[derive(Clone, Debug)]
pub(super) struct KeyRow {
    pub(super) id: String,
    pub(super) name: String,
    /// Its first characters.
    pub(super) hint: String,
    /// The names of its APIs.
    pub(super) apis: String,
    /// What it may be used for, each a sentence.
    pub(super) may: Vec<String>,
    /// Why it can't be used, if it can't.
    pub(super) state: Option<String>,
    pub(super) created: Moment,
    pub(super) expires: Option<Moment>,
    pub(super) last_used: Option<Moment>,
}

/// One key, to be renamed or revoked. Its forms send `csrf` and `key`, one of them also `name`.
#[derive(Debug, Template)]
#[template(path = "account/key.html")]
pub(super) struct KeyPage<'a> {
    pub(super) layout: &'a Layout,
    pub(super) csrf: String,
    pub(super) key: KeyRow,
    /// Why the name can't be one.
    pub(super) mistake: Option<String>,
}

/// The form of a new key: it sends `csrf`, `id`, `seal`, `api`, `name`, `scope` for each box, `lifetime` and `password`.
#[derive(Debug, Template)]
#[template(path = "account/new_key.html")]
pub(super) struct NewKeyPage<'a> {
    pub(super) layout: &'a Layout,
    pub(super) csrf: String,
    /// The id that the key will have, and the proof that this server chose it for this browser.
    pub(super) id: String,
    pub(super) seal: String,
    /// For password managers.
    pub(super) username: String,
    /// The name of the API.
    pub(super) api: String,
    /// The name that was typed.
    pub(super) name: String,
    pub(super) scopes: Vec<Choice>,
    pub(super) lifetimes: Vec<Choice>,
    pub(super) problems: Problems,
}

/// Something that can be chosen.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) words: String,
    pub(super) is_chosen: bool,
}

/// What was wrong with the form, in words, by field.
#[derive(Clone, Debug, Default)]
pub(super) struct Problems {
    pub(super) name: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) lifetime: Option<String>,
    pub(super) password: Option<String>,
    /// What is about no field: a heading and a sentence.
    pub(super) whole: Option<(&'static str, String)>,
}

impl Problems {
    /// Whether nothing of it is about a field that people can fill in.
    pub(super) fn what_happened_nowhere(&self) -> bool {
        self.what_happened().is_none()
    }

    fn what_happened(&self) -> Option<&'static str> {
        match self {
            Self { whole: Some((heading, _)), .. } => Some(heading),
            Self { password: Some(_), .. } => Some("Wrong password"),
            Self { name: None, scope: None, lifetime: None, .. } => None,
            _ => Some("Check the form"),
        }
    }
}

/// Which API a new key is for, where there are several.
#[derive(Debug, Template)]
#[template(path = "account/new_key_api.html")]
pub(super) struct WhichApiPage<'a> {
    pub(super) layout: &'a Layout,
    pub(super) apis: Vec<Choice>,
}

/// A new key, shown this once; without the key if it was shown before.
#[derive(Template)]
#[template(path = "account/created_key.html")]
pub(super) struct CreatedKeyPage<'a> {
    pub(super) layout: &'a Layout,
    pub(super) key: KeyRow,
    pub(super) secret: Option<&'a str>,
}
