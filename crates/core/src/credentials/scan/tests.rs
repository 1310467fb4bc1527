use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    api_key::{Environment, KeyPrefix},
    checksummed,
    random::SeededRng,
};

fn secret_of(kind: Kind, prefix: &str, seed: u64) -> String {
    let rng = SeededRng::new(seed);
    let key = |environment| ApiKey::generate(&KeyPrefix::parse(prefix).unwrap(), environment, &rng).reveal().to_owned();
    match kind {
        Kind::LiveKey => key(Environment::Live),
        Kind::PublishableKey => {
            ApiKey::generate(&KeyPrefix::publishable(), Environment::Live, &rng).reveal().to_owned()
        }
        Kind::TestKey => key(Environment::Test),
        token => checksummed::generate(token.mark(), &rng).expose_secret().to_owned(),
    }
}

/// Each way a text can be written.
#[derive(Clone, Copy, Debug)]
enum Writing {
    Base64,
    Base64Url,
    Markdown,
    MarkdownInJson,
    Percent,
    PercentAll,
    Plain,
    Utf16Be,
    Utf16Le,
}

const WRITINGS: [Writing; 9] = [
    Writing::Base64,
    Writing::Base64Url,
    Writing::Markdown,
    Writing::MarkdownInJson,
    Writing::Percent,
    Writing::PercentAll,
    Writing::Plain,
    Writing::Utf16Be,
    Writing::Utf16Le,
];

/// The secret among others of its kind of text: in base64 these are encoded with it.
fn written(before: &[u8], secret: &str, behind: &[u8], writing: Writing) -> Vec<u8> {
    let whole = [before, secret.as_bytes(), behind].concat();
    let raw = |encoded: Vec<u8>| [before, &encoded, behind].concat();
    match writing {
        Writing::Base64 => STANDARD.encode(whole).into_bytes(),
        Writing::Base64Url => URL_SAFE_NO_PAD.encode(whole).into_bytes(),
        Writing::Markdown => raw(secret.replace('_', r"\_").into_bytes()),
        Writing::MarkdownInJson => raw(secret.replace('_', r"\\_").into_bytes()),
        Writing::Percent => raw(secret.replace('_', "%5F").into_bytes()),
        Writing::PercentAll => {
            // The letters of the mark stay: nobody encodes those and the underscores too.
            let mark = Kind::ALL.into_iter().find_map(|kind| secret.find(kind.mark())).unwrap();
            let encode = |(at, byte): (usize, u8)| match (mark..mark + 6).contains(&at) && byte != b'_' {
                true => char::from(byte).to_string(),
                false => format!("%{byte:02x}"),
            };
            raw(secret.bytes().enumerate().map(encode).collect::<String>().into_bytes())
        }
        Writing::Plain => whole,
        Writing::Utf16Be => raw(secret.bytes().flat_map(|byte| [0, byte]).collect()),
        Writing::Utf16Le => raw(secret.bytes().flat_map(|byte| [byte, 0]).collect()),
    }
}

fn kinds() -> impl Strategy<Value = Kind> {
    select(Kind::ALL.to_vec())
}

fn writings() -> impl Strategy<Value = Writing> {
    select(WRITINGS.to_vec())
}

fn streamed(text: &[u8], pieces: &[usize]) -> Vec<(Place, Found)> {
    let scanner = Scanner::new();
    let mut stream = Stream::new(&scanner, 0);
    let mut found = Vec::new();
    let (mut rest, mut pieces) = (text, pieces.iter().cycle());
    while !rest.is_empty() {
        let space = stream.space();
        let piece = space.len().min(rest.len()).min(*pieces.next().unwrap());
        space[..piece].copy_from_slice(&rest[..piece]);
        rest = &rest[piece..];
        stream.advance(piece, |place, secret| found.push((place, secret)));
    }
    stream.finish(|place, secret| found.push((place, secret)));
    found
}

proptest! {
    #[test]
    fn secret_is_found_in_any_text_and_encoding(
        kind in kinds(), writing in writings(), prefix in "[a-z][a-z0-9]{0,11}", seed: u64,
        before in vec(any::<u8>(), 0..80), behind in vec(any::<u8>(), 0..80),
    ) {
        prop_assume!(prefix != "dw" && prefix != "pk");
        let secret = secret_of(kind, &prefix, seed);
        let text = written(&before, &secret, &behind, writing);
        let found: Vec<_> = Scanner::new().find(&text).collect();
        prop_assert_eq!(found.len(), 1, "{:?}", found);
        prop_assert_eq!((found[0].kind, found[0].reveal()), (kind, secret.as_str()));
        if matches!(writing, Writing::Plain) {
            prop_assert_eq!(found[0].range.clone(), before.len()..before.len() + secret.len());
        }
    }

    #[test]
    fn letters_and_digits_around_a_secret_do_not_hide_it(
        kind in kinds(), seed: u64, before in "[a-zA-Z0-9_]{0,20}", behind in "[a-zA-Z0-9_]{0,20}",
    ) {
        let secret = secret_of(kind, "sk", seed);
        let text = format!("{before}{secret}{behind}");
        let found: Vec<_> = Scanner::new().find(text.as_bytes()).collect();
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(found[0].reveal(), secret);
    }

    #[test]
    fn borders_between_pieces_change_nothing(
        secrets in vec((kinds(), writings(), any::<u64>(), vec(any::<u8>(), 0..400)), 0..8),
        pieces in vec(1_usize..300, 1..10),
    ) {
        let text: Vec<u8> = secrets.iter().flat_map(|(kind, writing, seed, before)| {
            let encoded = written(b"", &secret_of(*kind, "acme", *seed), b"", *writing);
            [before.as_slice(), b" ", &encoded, b" "].concat()
        }).collect();
        let whole: Vec<_> = Scanner::new().find(&text).map(|found| (found.range.start, found.fingerprint())).collect();
        prop_assert_eq!(whole.len(), secrets.len());
        let found = streamed(&text, &pieces);
        let found: Vec<_> = found.iter().map(|(place, found)| (place.offset as usize, found.fingerprint())).collect();
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn place_is_counted_in_lines_and_characters(
        lines in vec("[a-zäß→😀 ]{0,200}", 1..20), ending in select(vec!["\n", "\r\n"]), piece in 1_usize..300,
        has_mark: bool,
    ) {
        let secret = secret_of(Kind::LiveKey, "sk", 1);
        let before = lines.join(ending) + " ";
        let text = [if has_mark { "\u{feff}" } else { "" }, &before, &secret].concat();
        let last = before.rsplit('\n').next().unwrap();
        let place = Place {
            offset: (text.len() - secret.len()) as u64,
            line: lines.len() as u64,
            column: last.chars().count() as u64 + 1,
        };
        prop_assert_eq!(streamed(text.as_bytes(), &[piece])[0].0, place);

        for (mark, bytes) in [([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]), ([0xfe, 0xff], u16::to_be_bytes)] {
            let units = [before.as_str(), secret.as_str()].concat();
            let wide: Vec<u8> = units.encode_utf16().flat_map(bytes).collect();
            let text = if has_mark { [&mark[..], &wide].concat() } else { wide };
            let place = streamed(&text, &[piece])[0].0;
            prop_assert_eq!((place.line, place.column), (lines.len() as u64, last.encode_utf16().count() as u64 + 1));
        }
    }

    #[test]
    fn bytes_without_a_checksum_are_no_secret(
        parts in vec((vec(any::<u8>(), 0..20), kinds(), writings(), "[a-zA-Z0-9]{30,60}"), 0..6),
    ) {
        let text: Vec<u8> = parts.iter().flat_map(|(before, kind, writing, body)| {
            written(before, &format!("sk{}{body}", kind.mark()), b"", *writing)
        }).collect();
        prop_assert_eq!(Scanner::new().find(&text).count(), 0);
        prop_assert_eq!(streamed(&text, &[7]).len(), 0);
    }

    #[test]
    fn changed_character_is_no_secret(kind in kinds(), seed: u64, at in 0_usize..38) {
        let mut text = secret_of(kind, "sk", seed).into_bytes();
        let at = text.len() - 1 - at;
        text[at] = if text[at] == b'a' { b'b' } else { b'a' };
        prop_assert_eq!(Scanner::new().find(&text).count(), 0);
    }
}

#[test]
fn secret_in_json_and_urls_has_its_own_prefix_only() {
    let key = secret_of(Kind::LiveKey, "sk", 7);
    for text in [
        format!(r#"{{"text":"first line\n{key}\nlast"}}"#),
        format!(r#""a\u003d{key}\u0026""#),
        format!("https://api.example/?api_key%3d{key}%26page"),
        format!("postgres://user:{key}@db"),
        format!("xxxxxxxxxxxxxxxx{key}"),
        format!("live_test_{key}"),
    ] {
        let found: Vec<_> = Scanner::new().find(text.as_bytes()).map(|found| found.reveal().to_owned()).collect();
        assert_eq!(found, [key.as_str()], "{text}");
    }
}

#[test]
fn prefixes_that_are_marks_of_their_own_are_found() {
    for prefix in ["live", "test", "a", "abcdefghijkl"] {
        for kind in [Kind::LiveKey, Kind::TestKey] {
            let key = secret_of(kind, prefix, 3);
            let found: Vec<_> = Scanner::new().find(format!("_{key}").as_bytes()).collect();
            assert_eq!(found.iter().map(|found| found.reveal()).collect::<Vec<_>>(), [key.as_str()]);
        }
    }
}

#[test]
fn publishable_key_is_found_as_what_it_is() {
    for environment in [Environment::Live, Environment::Test] {
        let key = ApiKey::generate(&KeyPrefix::publishable(), environment, &SeededRng::new(3));
        for text in [key.reveal().to_owned(), format!("xpk{}", key.reveal()), format!(r#""\npk={}""#, key.reveal())] {
            let found = Scanner::new().find(text.as_bytes()).next().unwrap();
            assert_eq!((found.kind, found.reveal()), (Kind::PublishableKey, key.reveal()), "{text}");
            assert!(!found.kind.is_secret());
        }
    }
    let secret = Scanner::new().find(secret_of(Kind::LiveKey, "apk", 3).as_bytes()).next().unwrap().kind;
    assert!(secret == Kind::LiveKey && Kind::ALL.iter().filter(|kind| !kind.is_secret()).count() == 1);
}

#[test]
fn authorization_code_is_not_reported() {
    let code = checksummed::generate(checksummed::CODE_PREFIX, &SeededRng::new(1));
    assert_eq!(Scanner::new().find(code.expose_secret().as_bytes()).count(), 0);
}

#[test]
fn nothing_shown_of_a_secret_completes_it() {
    for kind in Kind::ALL {
        let secret = secret_of(kind, "sk", 5);
        let found = Scanner::new().find(secret.as_bytes()).next().unwrap();
        assert_eq!(found.hint(), &secret[..secret.len() - 34]);
        assert_eq!(found.fingerprint().len(), 32);
        let shown = format!("{found:?} {}", found.fingerprint());
        assert!(!shown.contains(&secret[secret.len() - 33..]) && !shown.contains(&secret), "{shown}");
    }
}

#[test]
fn fingerprint_names_one_secret_in_every_encoding() {
    let of = |seed, writing| {
        let text = written(b"", &secret_of(Kind::LiveKey, "sk", seed), b"", writing);
        Scanner::new().find(&text).next().unwrap().fingerprint()
    };
    assert!(WRITINGS.iter().all(|writing| of(1, *writing) == of(1, Writing::Plain)));
    assert_ne!(of(1, Writing::Plain), of(2, Writing::Plain));
}

#[test]
fn marks_without_secrets_cost_little() {
    for part in ["_live_", "_live__test_", "dw_at_", "%5Flive%5F", "X2xpdmVf", "_\0l\0i\0v\0e\0_\0"] {
        let text = part.repeat((1 << 20) / part.len());
        assert_eq!(Scanner::new().find(text.as_bytes()).count(), 0, "{part}");
    }
}

#[test]
fn stream_begins_another_text_after_its_end() {
    let scanner = Scanner::new();
    let mut stream = Stream::new(&scanner, 0);
    let key = secret_of(Kind::TestKey, "sk", 1);
    for text in [format!("\n\n {key}"), key.clone()] {
        let mut places = Vec::new();
        stream.space()[..text.len()].copy_from_slice(text.as_bytes());
        stream.advance(text.len(), |place, _| places.push(place));
        stream.finish(|place, _| places.push(place));
        let expected = match text == key {
            true => Place { offset: 0, line: 1, column: 1 },
            false => Place { offset: 3, line: 3, column: 2 },
        };
        assert_eq!(places, [expected]);
    }
}
