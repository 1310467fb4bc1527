//! Secrets: where they may come from, and that no report shows one.

use std::fs;

use doorward_core::secret::ExposeSecret;

use super::*;

/// 32 bytes of zero: recognisable, and no key of anybody's.
const MASTER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[test]
fn a_secret_can_come_from_a_file_that_a_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    fs::write(&file, "postgres://me:canary@localhost/db\n").unwrap();
    let environment = Environment::from_iter([("DOORWARD_DATA__POSTGRES_FILE", &file)]);
    let config = parse_with(MINIMAL, &environment).unwrap();
    assert_eq!(config.program.postgres.as_ref().unwrap().expose_secret(), "postgres://me:canary@localhost/db");
    assert!(!format!("{config:?}").contains("canary"));

    let gone = Environment::from_iter([("DOORWARD_DATA__POSTGRES_FILE", folder.path().join("gone"))]);
    assert!(messages(parse_with(MINIMAL, &gone))[0].starts_with("`data.postgres` can't be read from"));
}

#[test]
fn a_secret_given_by_value_and_by_file_is_a_mistake() {
    let environment = Environment::from_iter([
        ("DOORWARD_DATA__POSTGRES", "postgres://localhost/a"),
        ("DOORWARD_DATA__POSTGRES_FILE", "/nowhere"),
    ]);
    let all = messages(parse_with(MINIMAL, &environment));
    assert_eq!(all, ["`data.postgres` is set twice, by DOORWARD_DATA__POSTGRES and by DOORWARD_DATA__POSTGRES_FILE"]);
}

#[test]
fn the_master_key_comes_by_the_environment_and_is_not_shown() {
    let environment = Environment::from_iter([("DOORWARD_KEYS__MASTER_KEY", MASTER_KEY)]);
    let config = parse_with(MINIMAL, &environment).unwrap();
    assert!(config.program.master_key.is_some());
    assert!(!format!("{config:?}").contains(MASTER_KEY));

    let short = Environment::from_iter([("DOORWARD_KEYS__MASTER_KEY", "canary")]);
    let report = parse_with(MINIMAL, &short).unwrap_err().render(false);
    assert!(report.contains("32 bytes in base64url") && !report.contains("canary"), "{report}");
}

#[test]
fn master_key_in_the_file_is_refused_and_not_shown() {
    let mistakes = parse(&with(&format!("[keys]\nmaster_key = \"{MASTER_KEY}\""))).unwrap_err();
    let report = mistakes.render(false);
    assert!(report.contains("does not belong in a configuration file"), "{report}");
    assert!(report.contains("DOORWARD_KEYS__MASTER_KEY"), "{report}");
    assert!(!format!("{report}{mistakes:?}").contains(MASTER_KEY), "{report}");
}

#[test]
fn the_master_key_has_one_source() {
    let environment = Environment::from_iter([("DOORWARD_KEYS__MASTER_KEY", MASTER_KEY)]);
    let all = messages(parse_with(&with("[keys]\nmaster_key_file = \"k\""), &environment));
    assert_eq!(all, ["the master key is set twice, by `keys.master_key` and by `keys.master_key_file`"]);
}

#[test]
fn reports_never_contain_secrets() {
    for lines in [
        "[data]\npostgres = \"mysql://u:canary@h/d\"",
        "[data]\npostgres = [\"canary\"]",
        "[data]\npostgress = \"postgres://u:canary@h/d\"",
        "[data]\npostgres = \"postgres://u:canary@h/d",
        "[data]\npostgres = postgres://u:canary@h/d",
        "[data]\npostgres = \"postgres://h/d\"\npostgres = \"postgres://u:canary@h/d\"",
        "data = { postgres = \"mysql://u:canary@h/d\" }",
        "data = [\"postgres://u:canary@h/d\"]",
        "data.postgres = '''\nmysql://u:canary@h/d'''",
        "[keys]\nmaster-key = \"canary\"",
    ] {
        let mistakes = parse(&with(lines)).unwrap_err();
        let seen = format!("{} {:?} {}", mistakes.render(false), mistakes, mistakes.to_json());
        assert!(!seen.contains("canary"), "{seen}");
    }
}

#[test]
fn no_slip_of_the_pen_stops_a_report_or_lets_a_secret_into_it() {
    let source = "\
issuer = \"https://id.example.com\"
[data]
dir = 'x'
postgres = \"postgres://u:canary@h/d?a=b\"
[listen]
address = [
  \"127.0.0.1:1\",
]
[keys]
master_key = \"canary\"
";
    let slips = ["", "\"", "'", "[", "]", "{", "=", "#", "\n", "é", "\"\"\"", "'''"];
    for (at, replaced) in source.char_indices() {
        for slip in slips {
            for end in [at, at + replaced.len_utf8()] {
                let text = format!("{}{slip}{}", &source[..at], &source[end..]);
                let Err(mistakes) = parse(&text) else { continue };
                let seen = format!("{} {}", mistakes.render(false), mistakes.to_json());
                assert!(!seen.contains("canary"), "{text}\n---\n{seen}");
            }
        }
    }
}
