//! What may stand in a text that others wrote and people read: names, descriptions, what a caller sent.
//!
//! Characters that nobody sees, or that change how those around them are seen, make one name look like another, hide
//! text, or break the lines of a terminal (UTS #39, Trojan Source). The joiners U+200C and U+200D and the selectors U+FE00
//! to U+FE0F stay: languages and emoji need them. In a name they stand only where they are needed.

use std::{borrow::Cow, iter};

/// Whether a character may stand in a text for people.
pub fn is_presentable(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            // Shown as nothing or as a blank.
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            // Changes the direction of what follows.
            | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Ends a line.
            | '\u{2028}' | '\u{2029}'
            // Tags and the selectors of rare variants, in which whole messages can be hidden.
            | '\u{e0000}'..='\u{e0fff}'))
}

/// Whether a text can be the name of something: every character may be shown, one is a letter or a digit, and none hides
/// that the name is not another one.
pub fn is_name(text: &str) -> bool {
    let previous = iter::once(None).chain(text.chars().map(Some));
    text.chars().all(is_presentable)
        && text.contains(char::is_alphanumeric)
        && !text.ends_with(is_joiner)
        && text.chars().zip(previous).all(|(c, previous)| previous.is_none_or(|before| is_seen(before, c)))
        && !text.starts_with(|c| is_joiner(c) || is_selector(c))
}

/// Whether a character does something behind the one before it. Joiners and selectors do nothing in ASCII, except for
/// the emoji of digits.
fn is_seen(before: char, c: char) -> bool {
    match c {
        _ if is_joiner(c) => !before.is_ascii() && !is_joiner(before),
        _ if is_selector(c) => {
            let is_of_emoji = before.is_ascii_digit() || matches!(before, '#' | '*');
            (!before.is_ascii() || is_of_emoji) && !is_joiner(before) && !is_selector(before)
        }
        _ => true,
    }
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}')
}

/// A text as it may be shown: what may not stand in it is replaced.
pub fn presentable(text: &str) -> Cow<'_, str> {
    match text.chars().all(is_presentable) {
        true => text.into(),
        false => text.chars().map(|c| if is_presentable(c) { c } else { char::REPLACEMENT_CHARACTER }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_scripts_may_be_shown() {
        for text in
            ["Notes CLI", "José’s app", "نرم\u{200c}افزار", "👨\u{200d}👩\u{200d}👧", "日本語", "✂\u{fe0f}", "שלום", ""]
        {
            assert_eq!(presentable(text), text);
        }
    }

    #[test]
    fn names_of_all_scripts_are_names() {
        for name in [
            "Notes CLI",
            "7",
            "نرم\u{200c}افزار",
            "Team 👨\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}\u{200d}🔥 Notes",
            "1\u{fe0f}\u{20e3} Notes",
            "日本語",
            "שלום",
        ] {
            assert!(is_name(name), "{name:?}");
        }
    }

    #[test]
    fn invisible_or_misleading_names_are_rejected() {
        for name in [
            "",
            " ",
            "\u{2800}",
            "\u{200d}",
            "\u{fe0f}",
            "\u{301}",
            "Notes\u{fe0f}",
            "Notes\u{fe0f}\u{fe01}",
            "No\u{200d}tes",
            "\u{200c}Notes",
            "\u{fe0f}Notes",
            "نرم\u{200c}",
            "نرم\u{200c}\u{200c}افزار",
            "✂\u{fe0f}\u{fe01} cut",
            "א\u{200d}\u{fe0f}ב",
            "a\u{202e}b",
        ] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn unseen_and_misleading_characters_are_replaced() {
        for bad in [
            '\0',
            '\n',
            '\u{1b}',
            '\u{9b}',
            '\u{ad}',
            '\u{200b}',
            '\u{200e}',
            '\u{2028}',
            '\u{202e}',
            '\u{2066}',
            '\u{e0041}',
            '\u{feff}',
        ] {
            assert_eq!(presentable(&format!("a{bad}b")), "a\u{fffd}b", "{bad:?}");
        }
    }
}
