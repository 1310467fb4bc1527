//! The pages about the user's own API keys.

use std::time::Duration;

use askama::Template;
use doorward_core::{
    denial::{Class, Denial},
    refusal::Refusal,
};

use super::usage_graph::UsageGraph;
use crate::pages::{
    Layout,
    time_in_words::{self, Moment},
};

/// The list of the user's keys.
#[derive(Debug, Template)]
#[template(path = "account/keys.html")]
pub(super) struct KeysPage<'a> {
    pub(super) layout: &'a Layout,
    /// What was just done, as a sentence.
    pub(super) notice: Option<String>,
    /// Those that leaked.
    pub(super) leaked: Vec<LeakedKey>,
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

/// A key that somebody found and reported.
#[derive(Clone, Debug)]
pub(super) struct LeakedKey {
    pub(super) id: String,
    pub(super) name: String,
    /// Its first characters.
    pub(super) hint: String,
    pub(super) found: Moment,
    /// Where it was found, as the reporter said.
    pub(super) source: Option<String>,
    /// Whether it can still be used.
    pub(super) works: bool,
    /// Whether the user can rotate it.
    pub(super) can_rotate: bool,
}

/// Another key, in a rotation.
#[derive(Clone, Debug)]
pub(super) struct OtherKey {
    pub(super) id: String,
    /// Its first characters.
    pub(super) hint: String,
    /// Why it can't be used, if it can't.
    pub(super) state: Option<String>,
}

/// The rotation in which a key is replaced.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    pub(super) successor: Option<OtherKey>,
    /// Whether the key still works.
    pub(super) is_open: bool,
    /// Whether the successor has been used.
    pub(super) successor_is_used: bool,
    /// For how long the key must be unused to end early.
    pub(super) quiet_for: String,
    pub(super) deadline: Option<Moment>,
    /// When the key was last used, if that was since then.
    pub(super) used_since: Option<Moment>,
    /// Who used the key since then, the latest first.
    pub(super) callers: Vec<Caller>,
}

/// Who still uses a key that is being replaced.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The program, as it names itself.
    pub(super) program: String,
    pub(super) address: Option<String>,
    pub(super) last_used: Moment,
}

/// What can be said about rotating a key.
#[derive(Clone, Debug)]
pub(super) struct RotationWords {
    /// Whether the user can rotate it now.
    pub(super) is_offered: bool,
    /// Whether only an operator can rotate it.
    pub(super) is_for_operators: bool,
    /// The rotation in which it is replaced.
    pub(super) replacement: Option<Replacement>,
    /// The key that it replaces, if that one still works.
    pub(super) predecessor: Option<OtherKey>,
}

/// One key: how it is used, and to be rotated, renamed or revoked. Its forms send `csrf` and `key`, one of them also `name`.
#[derive(Debug, Template)]
#[template(path = "account/key.html")]
pub(super) struct KeyPage<'a> {
    pub(super) layout: &'a Layout,
    pub(super) csrf: String,
    pub(super) key: KeyRow,
    /// That it leaked, if it did.
    pub(super) leaked: Option<LeakedKey>,
    /// Whether it has ended for good: it was revoked, or has expired.
    pub(super) is_over: bool,
    pub(super) is_revoked: bool,
    /// How it was used in the last days, if it was.
    pub(super) usage: Option<UsageGraph>,
    pub(super) rotation: RotationWords,
    /// Why the name can't be one.
    pub(super) mistake: Option<String>,
}

impl KeyPage<'_> {
    /// Whether the key should be rotated now: it leaked and still works.
    fn is_urgent(&self) -> bool {
        self.leaked.as_ref().is_some_and(|leaked| leaked.works)
    }

    /// Whether the page has the form that revokes the key. While the key is being replaced, that form is beside those who use it.
    fn offers_revocation(&self) -> bool {
        let is_offered_above = self.rotation.replacement.as_ref().is_some_and(|replacement| replacement.is_open);
        !self.is_revoked && !is_offered_above
    }
}

/// The form that rotates a key: it sends `csrf`, `id`, `seal`, `overlap` and `password`.
#[derive(Debug, Template)]
#[template(path = "account/rotate_key.html")]
pub(super) struct RotateKeyPage<'a> {
    pub(super) layout: &'a Layout,
    pub(super) csrf: String,
    pub(super) key: KeyRow,
    /// The id that the successor will have, and the proof that this server chose it for this browser.
    pub(super) id: String,
    pub(super) seal: String,
    /// For password managers.
    pub(super) username: String,
    pub(super) overlaps: Vec<Choice>,
    /// For how long the key must be unused to end earlier.
    pub(super) quiet_for: String,
    pub(super) problems: Problems,
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
    pub(super) overlap: Option<String>,
    pub(super) password: Option<String>,
    /// What is about no field: a heading and a sentence.
    pub(super) whole: Option<(&'static str, String)>,
}

impl Problems {
    /// Whether nothing of it is about a field that people can fill in.
    pub(super) fn what_happened_nowhere(&self) -> bool {
        self.what_happened().is_none()
    }

    /// What to say where the password was not accepted; `None`: the refusal is about something else.
    pub(super) fn of_password(refusal: &Refusal) -> Option<Self> {
        match refusal.denial {
            Denial::SignInThrottled => {
                let wait = time_in_words::wait(refusal.retry_after.unwrap_or(Duration::from_secs(60)));
                let sentence = format!("To protect this account, the next attempt is possible in {wait}.");
                Some(Self { whole: Some(("Too many attempts", sentence)), ..Self::default() })
            }
            denial if denial.class() == Class::Credential => {
                let sentence = "Wrong password. Check what you typed, and try again.".to_owned();
                Some(Self { password: Some(sentence), ..Self::default() })
            }
            _ => None,
        }
    }

    fn what_happened(&self) -> Option<&'static str> {
        match self {
            Self { whole: Some((heading, _)), .. } => Some(heading),
            Self { password: Some(_), .. } => Some("Wrong password"),
            Self { name: None, scope: None, lifetime: None, overlap: None, .. } => None,
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
    /// The key that it replaces, if it does.
    pub(super) replaces: Option<Replaces>,
}

impl CreatedKeyPage<'_> {
    /// Whether a successor that was lost can be replaced by rotating the old key again.
    fn can_be_repeated(&self) -> bool {
        self.replaces.as_ref().is_some_and(|replaces| replaces.until.is_some())
    }
}

/// The key that a new one replaces.
pub(super) struct Replaces {
    /// Its first characters.
    pub(super) hint: String,
    /// Until when it works, if it does.
    pub(super) until: Option<Moment>,
}
