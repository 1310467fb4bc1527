//! Hides secrets in the text of a configuration file before any line of it is shown.
//!
//! Where the syntax is valid, the parser knows every value, and what belongs to a secret or to an unknown key is
//! hidden. Where it is not, nobody knows what a line is, so only what is recognised as harmless is shown. Lengths
//! stay as they are, so that every span still fits.

use std::{iter::repeat_n, ops::Range};

use super::{
    file::Syntax,
    schema::{KEYS, Key, is_section},
};

/// `source` with asterisks for the values at `spans`, for all that follows a secret's name on its line, and, if the
/// syntax is invalid, for everything but keys that are known.
pub(super) fn mask(source: &str, spans: &[Range<usize>], syntax: Syntax) -> String {
    let mut masked = String::with_capacity(source.len());
    let mut line_start = 0;
    for line in source.split_inclusive('\n') {
        let shown = match syntax {
            Syntax::Invalid => recognised(line),
            Syntax::Valid => before_secret(line),
        };
        for (at, character) in line.char_indices() {
            let is_hidden = at >= shown || spans.iter().any(|span| span.contains(&(line_start + at)));
            if is_hidden && !character.is_whitespace() {
                masked.extend(repeat_n('*', character.len_utf8()));
            } else {
                masked.push(character);
            }
        }
        line_start += line.len();
    }
    masked
}

/// How much of a line that may be anything can be shown: a section's head, the name of a key, and the value of a key
/// that is known and no secret.
fn recognised(line: &str) -> usize {
    let indent = line.len() - line.trim_start().len();
    let body = &line[indent..];
    let brackets = body.len() - body.trim_start_matches('[').len();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.\"'".contains(c);
    let name = body[brackets..].split(|c| !is_part(c)).next().unwrap_or_default();
    let path = name.replace(['"', '\''], "");
    let leaf = path.rsplit('.').next().unwrap_or_default();
    let through_name = indent + brackets + name.len();
    let rest = &line[through_name..];
    if brackets > 0 {
        let closing = rest.len() - rest.trim_start_matches(']').len();
        return through_name + closing;
    }
    let is_assigned = rest.trim_start().starts_with('=');
    match KEYS.iter().find(|key| key.leaf() == leaf) {
        Some(key) if is_assigned && !key.is_secret() => before_secret(line),
        Some(_) => through_name,
        None if is_assigned || is_section(&path) => through_name,
        None => 0,
    }
}

/// The length of a line up to the value of a secret.
fn before_secret(line: &str) -> usize {
    let names = KEYS.iter().filter(|key| key.is_secret()).map(Key::leaf);
    names.filter_map(|name| after_assignment(line, name)).min().unwrap_or(line.len())
}

/// Where the value begins, if `name` is given one on this line.
fn after_assignment(line: &str, name: &str) -> Option<usize> {
    line.match_indices(name).find_map(|(at, _)| {
        let rest = &line[at + name.len()..];
        let value = rest.trim_start_matches(['"', '\'', ' ', '\t']).strip_prefix('=')?;
        Some(line.len() - value.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_whole_file_only_secrets_and_given_spans_are_hidden() {
        let source = "master_key_file = \"a\"\npostgres = \"b\"\ndata = { \"postgres\" = 'é' }\nnoname = \"c\"\n";
        let unknown = source.find("\"c\"").unwrap();
        let masked = mask(source, std::slice::from_ref(&(unknown..unknown + 3)), Syntax::Valid);
        assert_eq!(masked, "master_key_file = \"a\"\npostgres = ***\ndata = { \"postgres\" = **** *\nnoname = ***\n");
    }

    #[test]
    fn in_a_broken_file_only_what_is_recognised_is_shown() {
        for (line, shown) in [
            ("[listen", "[listen"),
            ("[data] postgres x", "[data] ******** *"),
            ("dir = /srv", "dir = /srv"),
            ("tls.key /srv", "tls.key ****"),
            ("postgres \"x\"", "postgres ***"),
            ("postgress = \"x", "postgress * **"),
            ("\"secret\",", "*********"),
            ("issuer = 1 postgres = 'x", "issuer = 1 postgres = **"),
        ] {
            assert_eq!(mask(line, &[], Syntax::Invalid), shown);
        }
    }
}
