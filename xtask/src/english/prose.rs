//! The text of a file that people read: its comments, its strings, the names of its tests; of a document, everything
//! but its code.
//!
//! Easy to get wrong: quotes. A lifetime (`'a`) opens no string, and `'"'` does not either.

use std::ops::Range;

/// Words that are read as one text, so that a phrase may continue on the next line.
pub(super) type Words = Vec<Word>;

#[derive(Debug, PartialEq)]
pub(super) struct Word {
    pub(super) line: usize,
    /// In lower case. Empty between texts and in place of code: no phrase goes across it.
    pub(super) text: String,
}

/// A test function and the line that names it.
pub(super) struct TestName<'a> {
    pub(super) line: usize,
    pub(super) name: &'a str,
}

/// The words of a file, by what its name ends in. `None` for files without text, and for those that are generated.
pub(super) fn words(path: &str, text: &str) -> Option<Words> {
    match path.rsplit_once('.')?.1 {
        "md" => Some(document(text)),
        "html" => Some(page(text)),
        "rs" => {
            let mut words = source(text, "//", true);
            for TestName { line, name } in test_names(text) {
                add(&mut words, line, &name.replace('_', " "));
                words.push(gap(line));
            }
            Some(words)
        }
        "go" | "js" | "mjs" => Some(source(text, "//", false)),
        "lua" | "sql" => Some(source(text, "--", false)),
        "py" | "sh" | "service" | "toml" | "yaml" | "yml" => Some(source(text, "#", false)),
        "txt" => Some(text.lines().enumerate().fold(Words::new(), |mut words, (at, line)| {
            add(&mut words, at + 1, line);
            words
        })),
        _ => None,
    }
}

/// The functions with an attribute that ends in `test` or has it before its arguments.
pub(super) fn test_names(text: &str) -> Vec<TestName<'_>> {
    let mut names = Vec::new();
    let mut marked = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if marked
            && let Some((before, after)) = line.split_once("fn ")
            && matches!(before.trim(), "" | "async" | "pub" | "pub async")
        {
            marked = false;
            let name = after.split(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap_or_default();
            names.push(TestName { line: at + 1, name });
        }
    }
    names
}

/// Markdown: everything but fenced code.
fn document(text: &str) -> Words {
    let mut words = Words::new();
    let mut fenced = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.trim().is_empty() {
            add(&mut words, at + 1, line);
            continue;
        }
        words.push(gap(at + 1));
    }
    words
}

/// HTML: every line, since attributes (`title`, `alt`) carry text too.
fn page(text: &str) -> Words {
    let mut words = Words::new();
    for (at, line) in text.lines().enumerate() {
        add(&mut words, at + 1, line);
    }
    words
}

/// Comments and strings of a program. `comment` begins a comment that lasts to the end of the line.
fn source(text: &str, comment: &str, rust: bool) -> Words {
    let mut words = Words::new();
    let (mut at, mut line) = (0, 1);
    // The line of the last comment, which the next line's may continue.
    let mut commented = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let rest = &text[at..];
        let (prose, end) = if rest.starts_with(comment) {
            if commented + 1 != line {
                words.push(gap(line));
            }
            let end = at + rest.find('\n').unwrap_or(rest.len());
            commented = line;
            (at + comment.len()..end, end)
        } else if comment == "//" && rest.starts_with("/*") {
            words.push(gap(line));
            let end = rest.find("*/").map_or(text.len(), |end| at + end + 2);
            (at + 2..end, end)
        } else {
            let Some(string) = string(text, at, rust) else {
                line += usize::from(bytes[at] == b'\n');
                at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            };
            words.push(gap(line));
            string
        };
        for part in text[prose].split('\n').enumerate() {
            add(&mut words, line + part.0, part.1.trim_start_matches(['/', '!', '#', '*', ' ']));
        }
        line += text[at..end].matches('\n').count();
        at = end;
    }
    words
}

/// The content of the string that begins here, and where it ends.
fn string(text: &str, at: usize, rust: bool) -> Option<(Range<usize>, usize)> {
    let bytes = text.as_bytes();
    let hashes = bytes[at..].iter().skip(1).take_while(|byte| **byte == b'#').count();
    let before = at.checked_sub(1).map(|before| bytes[before]);
    let in_word = before.is_some_and(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) && before != Some(b'b');
    if rust && bytes[at] == b'r' && !in_word && bytes.get(at + 1 + hashes) == Some(&b'"') {
        let begin = at + hashes + 2;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = text[begin..].find(&close).map_or(text.len(), |end| begin + end);
        return Some((begin..end, (end + close.len()).min(text.len())));
    }
    let quote = bytes[at];
    let is_character = quote == b'\'' && rust;
    if !matches!(quote, b'"' | b'\'' | b'`') || rust && quote == b'`' {
        return None;
    }
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != quote {
        // Only a text in double quotes or, in JavaScript and Go, in backticks has several lines.
        if bytes[end] == b'\n' && quote == b'\'' {
            return None;
        }
        end += 1 + usize::from(bytes[end] == b'\\');
    }
    // A character is one, or an escape; otherwise this is a lifetime.
    if is_character && bytes.get(at + 1) != Some(&b'\\') && text.get(at + 1..end)?.chars().count() != 1 {
        return None;
    }
    let end = end.min(text.len());
    text.is_char_boundary(end).then(|| (at + 1..end, (end + 1).min(text.len())))
}

/// Adds the words of one line, with a gap for each piece of code in backticks.
fn add(words: &mut Words, line: usize, text: &str) {
    for (at, part) in text.split('`').enumerate() {
        if at % 2 == 1 {
            words.push(gap(line));
            continue;
        }
        let of_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '\'' | '.' | '/' | '=');
        for word in part.split(|c: char| !of_word(c)) {
            let word = word.trim_matches(['\'', '.', '-', '/']);
            if !word.is_empty() {
                words.push(Word { line, text: word.to_lowercase() });
            }
        }
    }
}

fn gap(line: usize) -> Word {
    Word { line, text: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let words = words(path, text).expect("a file with text");
        words.into_iter().filter(|word| !word.text.is_empty()).map(|word| (word.line, word.text)).collect()
    }

    #[test]
    fn rust_prose_is_comments_strings_and_test_names() {
        let text = "//! One\nfn two<'a>(x: &'a str) { let c = '\"'; }\n/* three\nfour */ let f = \"five \\\" six\";\n\
                    let g = r#\"seven \" eight\"#;\n#[test]\nfn nine_ten() {}\n";
        let expected = [(1, "one"), (3, "three"), (4, "four"), (4, "five"), (4, "six"), (5, "seven"), (5, "eight")];
        let names = [(7, "nine"), (7, "ten")];
        let expected: Vec<_> = expected.iter().chain(&names).map(|(line, word)| (*line, (*word).to_owned())).collect();
        let found: Vec<_> = found("a.rs", text).into_iter().filter(|(_, word)| word != "\\").collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn code_in_documents_is_not_prose() {
        let text = "One `two` three.\n```sh\nfour\n```\nfive\n";
        assert_eq!(found("a.md", text), [(1, "one".to_owned()), (1, "three".to_owned()), (5, "five".to_owned())]);
    }

    #[test]
    fn other_languages_have_their_own_comments() {
        assert_eq!(found("a.py", "one = two # three\n"), [(1, "three".to_owned())]);
        assert_eq!(found("a.sql", "one -- two\n"), [(1, "two".to_owned())]);
        assert_eq!(found("a.mjs", "const one = 'two'; // three\n"), [(1, "two".to_owned()), (1, "three".to_owned())]);
        assert!(words("a.png", "one").is_none());
    }
}
