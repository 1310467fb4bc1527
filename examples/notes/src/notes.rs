//! The notes themselves: in memory, bounded, gone with the process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

/// The most notes that are kept.
pub const MAX_NOTES: usize = 1_000;
/// Longest note, in bytes.
pub const MAX_TEXT: usize = 4 * 1024;
/// The note that is there from the start, so that the first call of a new user shows something.
const FIRST: &str = "Welcome. POST a JSON object with a text to /notes to add a note.";

/// A note.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Note {
    /// Its number, never given twice.
    pub id: u64,
    /// What it says.
    pub text: String,
}

/// A note that can't be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoteRefused {
    /// There is no text.
    #[error("a note needs some text")]
    Empty,
    /// There are too many already.
    #[error("there are {MAX_NOTES} notes already; delete one first")]
    Full,
    /// The text is too long.
    #[error("a note has at most {MAX_TEXT} bytes")]
    TooLong,
}

/// All notes.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    last_id: u64,
    notes: BTreeMap<u64, String>,
}

impl Notes {
    /// Notes with one note to begin with.
    pub fn with_a_first_note() -> Self {
        let notes = BTreeMap::from([(1, FIRST.to_owned())]);
        Self(Mutex::new(Kept { last_id: 1, notes }))
    }

    /// Every note, the oldest first.
    pub fn list(&self) -> Vec<Note> {
        self.kept().notes.iter().map(|(id, text)| Note { id: *id, text: text.clone() }).collect()
    }

    /// Keeps a note.
    pub fn add(&self, text: String) -> Result<Note, NoteRefused> {
        if text.trim().is_empty() {
            return Err(NoteRefused::Empty);
        }
        if text.len() > MAX_TEXT {
            return Err(NoteRefused::TooLong);
        }
        let mut kept = self.kept();
        if kept.notes.len() >= MAX_NOTES {
            return Err(NoteRefused::Full);
        }
        kept.last_id += 1;
        let id = kept.last_id;
        kept.notes.insert(id, text.clone());
        Ok(Note { id, text })
    }

    /// Deletes a note; whether there was one.
    pub fn delete(&self, id: u64) -> bool {
        self.kept().notes.remove(&id).is_some()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_note_is_a_note_like_any_other() {
        let notes = Notes::with_a_first_note();
        assert_eq!(notes.list(), [Note { id: 1, text: FIRST.into() }]);
        assert_eq!(notes.add("a".into()).unwrap().id, 2);
        assert!(notes.delete(1));
    }

    #[test]
    fn numbers_are_not_given_twice() {
        let notes = Notes::default();
        let first = notes.add("a".into()).unwrap();
        assert!(notes.delete(first.id));
        assert!(!notes.delete(first.id));
        assert_ne!(notes.add("b".into()).unwrap().id, first.id);
    }

    #[test]
    fn size_and_number_are_bounded() {
        let notes = Notes::default();
        assert_eq!(notes.add(" \n".into()), Err(NoteRefused::Empty));
        assert_eq!(notes.add("x".repeat(MAX_TEXT + 1)), Err(NoteRefused::TooLong));
        for _ in 0..MAX_NOTES {
            notes.add("x".repeat(MAX_TEXT)).unwrap();
        }
        assert_eq!(notes.add("x".into()), Err(NoteRefused::Full));
        assert_eq!(notes.list().len(), MAX_NOTES);
    }
}
