//! What may stand in a text that others wrote and people read: names, descriptions, what a caller sent.
//!
//! Characters that nobody sees, or that change how those around them are seen, make one name look like another, hide
//! text, or break the lines of a terminal (UTS #39, Trojan Source). The joiners U+200C and U+200D stay: languages and
//! emoji need them.

use std::borrow::Cow;

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
            // Tags and variation selectors, in which whole messages can be hidden.
            | '\u{e0000}'..='\u{e0fff}'))
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
