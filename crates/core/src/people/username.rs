//! The names that people sign in with (RFC 8265 section 3): the profile UsernameCaseMapped for each word, with single
//! spaces between.
//!
//! "José" is one user, in whichever case and normal form a keyboard sends it, and no name has characters that nobody
//! sees. Easy to get wrong: users whose names were stored by an older program, which only folded the case, must still
//! be found, also where this profile would refuse the name today. [`stored_forms`] says under which forms.

use precis_profiles::{UsernameCaseMapped, precis_core::profile::PrecisFastInvocation};
use unicode_normalization::UnicodeNormalization;

/// Longest name, in characters: an email address fits (RFC 5321 section 4.5.3.1.3).
pub const MAX_CHARACTERS: usize = 254;

/// A text that can't be a user name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidUsername {
    /// It is empty or too long.
    #[error("1 to {MAX_CHARACTERS} characters")]
    Length,
    /// It has a character that a name can't have, or mixes directions of writing.
    #[error("letters and digits of any script, ASCII punctuation, and spaces between words (RFC 8265 section 3)")]
    Character,
}

/// The form of a user name that is stored and compared.
pub fn canonical(username: &str) -> Result<String, InvalidUsername> {
    if !is_of_allowed_length(username) {
        return Err(InvalidUsername::Length);
    }
    let words = username.split(' ').filter(|word| !word.is_empty());
    let canonical = words.map(enforced).collect::<Result<Vec<_>, _>>()?.join(" ");
    // A letter may become two when its case is mapped.
    if is_of_allowed_length(&canonical) { Ok(canonical) } else { Err(InvalidUsername::Length) }
}

/// A word in the form of the profile. A form that the profile would change again, or refuse, is none to compare by (RFC
/// 8264 section 7).
fn enforced(word: &str) -> Result<String, InvalidUsername> {
    let enforce = |text: &str| UsernameCaseMapped::enforce(text.to_owned()).map_err(|_| InvalidUsername::Character);
    let form = enforce(word)?;
    match enforce(&form)? == form {
        true => Ok(form.into_owned()),
        false => Err(InvalidUsername::Character),
    }
}

/// The forms under which the user of this name may be stored, the likeliest first: as an older program stored exactly
/// this text, in canonical form, and as an older program stored the same text in another normal form.
pub fn stored_forms(username: &str) -> Vec<String> {
    // Nobody has such a name, and its length must cost nothing.
    if !is_of_allowed_length(username) {
        return Vec::new();
    }
    let case_folded = case_folded(username);
    let (composed, decomposed) = (case_folded.nfc().collect(), case_folded.nfd().collect());
    let mut forms = vec![case_folded];
    for form in [canonical(username).ok(), Some(composed), Some(decomposed)].into_iter().flatten() {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

/// One text for all spellings of a name, whether or not it is allowed: for counting attempts.
pub fn counted_as(username: &str) -> String {
    canonical(username).unwrap_or_else(|_| case_folded(username).nfc().take(MAX_CHARACTERS + 1).collect())
}

/// What was stored and compared before this profile.
fn case_folded(username: &str) -> String {
    username.trim().to_lowercase()
}

fn is_of_allowed_length(username: &str) -> bool {
    let username = username.trim();
    !username.is_empty() && username.chars().nth(MAX_CHARACTERS).is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_width_normal_form_and_outer_spaces_do_not_count() {
        for (one, other) in [
            (" Ada LOVELACE ", "ada lovelace"),
            ("ada  lovelace", "ada lovelace"),
            ("Jos\u{e9}", "jose\u{301}"),
            ("JOS\u{c9}", "jose\u{301}"),
            ("\u{ff21}lice", "alice"),
            ("Ada@Example.com", "ada@example.com"),
        ] {
            assert_eq!(canonical(one).unwrap(), canonical(other).unwrap(), "{one} and {other}");
            assert_eq!(counted_as(one), counted_as(other), "{one} and {other}");
        }
        assert_ne!(canonical("ada lovelace"), canonical("adalovelace"));
        assert_ne!(canonical("jose"), canonical("jos\u{e9}"));
    }

    #[test]
    fn invisible_characters_are_rejected_in_names() {
        for odd in [
            "jos\u{200b}\u{e9}",
            "ada\u{202e}",
            "ada\u{2028}",
            "ada\u{a0}lovelace",
            "ada\u{e0041}",
            "ada\u{7}",
            "ada\u{0}",
            "\u{feff}ada",
        ] {
            assert_eq!(canonical(odd), Err(InvalidUsername::Character), "{odd:?}");
        }
    }

    #[test]
    fn name_has_254_characters_at_most() {
        assert_eq!(canonical(&"\u{e9}".repeat(254)).unwrap().chars().count(), 254);
        assert_eq!(canonical(&"a".repeat(255)), Err(InvalidUsername::Length));
        assert_eq!((canonical(""), canonical("  ")), (Err(InvalidUsername::Length), Err(InvalidUsername::Length)));
        assert_eq!(stored_forms(&"a".repeat(255)), Vec::<String>::new());
    }

    #[test]
    fn users_of_an_older_program_are_found_in_either_normal_form() {
        let stored_by_an_older_program = |username: &str| username.trim().to_lowercase();
        for (created_as, typed) in [
            ("Jos\u{e9}", "jose\u{301}"),
            ("Jose\u{301}", "jos\u{e9}"),
            ("Jose\u{301}", "JOSE\u{301}"),
            ("ada\u{200b}", "Ada\u{200b}"),
            ("star \u{2605}", "STAR \u{2605}"),
            ("\u{ff21}lice", "\u{ff21}LICE".trim()),
            ("ada  lovelace", "Ada  Lovelace"),
        ] {
            let stored = stored_by_an_older_program(created_as);
            assert!(stored_forms(typed).contains(&stored), "{created_as:?} and {typed:?}");
        }
    }

    #[test]
    fn plain_name_costs_one_look_up() {
        assert_eq!(stored_forms(" Alice "), ["alice"]);
    }

    #[test]
    fn attempts_for_a_long_name_are_counted_under_its_beginning() {
        let name = "a".repeat(300);
        assert_eq!(counted_as(&name).chars().count(), 255);
        assert_eq!(counted_as(&name), counted_as(&name.to_uppercase()));
        assert_ne!(counted_as(&name), counted_as(&name[..254]), "no user has the longer name");
    }

    proptest! {
        #[test]
        fn canonical_form_is_stable_and_found(username in "\\PC{1,40}") {
            if let Ok(form) = canonical(&username) {
                prop_assert_eq!(canonical(&form), Ok(form.clone()));
                prop_assert!(stored_forms(&username).contains(&form));
            }
        }
    }
}
