//! Good files load. For bad ones, the operator learns all mistakes at once.

mod rules;
mod secrets;
mod syntax;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use super::{
    schema::{KEYS, Key, Kind},
    settings::LogFormat,
    units::{parse_duration, parse_size},
    *,
};

const MINIMAL: &str = "issuer = \"https://id.example.com\"\n";

fn parse_with(source: &str, environment: &Environment) -> Result<Config, Mistakes> {
    Config::parse(source, Path::new("/etc/doorward/doorward.toml"), environment, |_| Vec::new())
}

fn parse(source: &str) -> Result<Config, Mistakes> {
    parse_with(source, &Environment::default())
}

fn with(lines: &str) -> String {
    format!("{MINIMAL}{lines}\n")
}

/// The messages of all mistakes, each with its key.
fn messages(result: Result<Config, Mistakes>) -> Vec<String> {
    result.unwrap_err().list.into_iter().map(|mistake| mistake.message).collect()
}

/// The one mistake that `lines` make.
fn mistake(lines: &str) -> String {
    let all = messages(parse(&with(lines)));
    assert_eq!(all.len(), 1, "{all:#?}");
    all.into_iter().next().unwrap()
}

#[test]
fn the_smallest_file_gives_every_default() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(&*config.server.issuer, "https://id.example.com");
    assert_eq!(config.program.addresses, ["127.0.0.1:8400".parse().unwrap()]);
    assert_eq!(config.program.data_dir, Path::new("/etc/doorward/data"));
    assert!(config.program.master_key.is_none());
    assert_eq!(config.program.master_key_file, Path::new("/etc/doorward/data/master.key"));
    assert_eq!(config.server.tokens.access_token_ttl, Duration::from_secs(300));
    assert_eq!(config.server.limits.body_bytes, 65_536);
    assert_eq!(config.program.log_format, LogFormat::Text);
    assert_eq!(config.server.name, "Doorward");
    assert!(config.program.threads >= 1 && config.server.password.max_concurrent_hashes >= 1);
}

#[test]
fn five_mistakes_are_named_at_once_each_at_its_line() {
    let source = "\
issuer = \"http://id.example.com\"

[tokens]
code_tll = \"60s\"
access_token_ttl = 300

[limits]
body_bytes = \"64KB\"

[listen]
trusted_proxies = [\"10.0.0.0/8\", \"0.0.0.0/0\"]
behind_proxy = true
";
    let report = r#"
error: `issuer` can't be `http://id.example.com`: an issuer is an `https` URL; `http` is only for `localhost`, `127.0.0.1` and `[::1]`
 --> /etc/doorward/doorward.toml:1:10
  |
1 | issuer = "http://id.example.com"
  |          ^^^^^^^^^^^^^^^^^^^^^^^

error: `tokens.code_tll` is not a key
 --> /etc/doorward/doorward.toml:4:1
  |
4 | code_tll = *****
  | ^^^^^^^^
  |
  = help: did you mean `code_ttl`?

error: `tokens.access_token_ttl` takes a duration with its unit, in quotes, but this is a number
 --> /etc/doorward/doorward.toml:5:20
  |
5 | access_token_ttl = 300
  |                    ^^^
  |
  = help: for seconds, write "300s"

error: `limits.body_bytes` takes a size, but got `64KB`
 --> /etc/doorward/doorward.toml:8:14
  |
8 | body_bytes = "64KB"
  |              ^^^^^^
  |
  = help: write a whole number with B, KiB, MiB or GiB: "64KiB"

error: `listen.trusted_proxies` trusts everyone with `0.0.0.0/0`: any caller could claim any address
  --> /etc/doorward/doorward.toml:11:34
   |
11 | trusted_proxies = ["10.0.0.0/8", "0.0.0.0/0"]
   |                                  ^^^^^^^^^^^
   |
   = help: name the networks of the proxy

5 mistakes in the configuration"#;
    assert_eq!(parse(source).unwrap_err().render(false), report.trim_start());
}

#[test]
fn the_report_for_programs_has_key_line_column_and_message() {
    let environment = Environment::from_iter([("DOORWARD_LOG__LEVEL", "loud")]);
    let json = parse_with("[session]\n  idel = \"1h\"\n", &environment).unwrap_err().to_json();
    let expected = serde_json::json!([
        {
            "path": "session.idel", "file": "/etc/doorward/doorward.toml", "line": 2, "column": 3, "variable": null,
            "message": "`session.idel` is not a key", "help": "did you mean `idle`?",
        },
        {
            "path": "log.level", "file": null, "line": null, "column": null, "variable": "DOORWARD_LOG__LEVEL",
            "message": "`log.level` takes error, warn, info, debug, trace, but got `loud`", "help": null,
        },
        {
            "path": "issuer", "file": "/etc/doorward/doorward.toml", "line": null, "column": null, "variable": null,
            "message": "`issuer` is missing", "help": "write it into the file, or set DOORWARD_ISSUER",
        },
    ]);
    assert_eq!(json, expected);
}

fn at(issuer: &Issuer) -> Given<'_> {
    Given { issuer, data: None }
}

#[test]
fn template_names_a_data_folder_of_its_own() {
    let issuer = Issuer::parse("https://id.example.com").unwrap();
    let text = template(&Given { issuer: &issuer, data: Some(Path::new("/srv/a \"b\"")) });
    assert_eq!(parse(&text).unwrap().program.data_dir, Path::new("/srv/a \"b\""));
}

#[test]
fn the_template_loads_and_holds_the_defaults() {
    let issuer = Issuer::parse("https://id.example.com").unwrap();
    let written = parse(&template(&at(&issuer))).unwrap();
    assert_eq!(format!("{written:?}"), format!("{:?}", parse(MINIMAL).unwrap()));
}

#[test]
fn a_server_of_this_machine_listens_at_the_port_of_its_issuer() {
    let config = parse(&template(&at(&Issuer::parse("http://localhost:9777").unwrap()))).unwrap();
    assert_eq!(config.program.addresses, ["127.0.0.1:9777".parse().unwrap()]);
}

#[test]
fn data_folder_uses_the_default_configuration() {
    let config = parse(MINIMAL).unwrap();
    let of_folder = doorward_server::Settings::new(&config.server.issuer);
    assert_eq!(format!("{:#?}", config.server), format!("{of_folder:#?}"));
}

#[test]
fn every_line_of_the_template_can_be_uncommented() {
    let template = super::template(&at(&Issuer::parse("https://id.example.com").unwrap()));
    let lines = template.lines().map(|line| if line.starts_with("# ") { line } else { line.trim_start_matches('#') });
    let uncommented = lines.collect::<Vec<_>>().join("\n");
    let config = parse(&uncommented).unwrap();
    assert_eq!(config.program.tls.unwrap().certificate, Path::new("/etc/doorward/tls/fullchain.pem"));
    for key in KEYS.iter().filter(|key| key.is_allowed_in_file()) {
        assert!(uncommented.contains(&format!("\n{} = ", key.name_in_section())), "{}", key.path);
    }
}

#[test]
fn every_key_means_the_same_in_the_file_and_in_the_environment() {
    let mut seen = BTreeSet::new();
    for key in KEYS.iter().filter(|key| key.is_allowed_in_file()) {
        // Each of these is valid only together with another key.
        let together =
            ["listen.behind_proxy", "listen.forwarded_header", "listen.proxy_protocol", "listen.trusted_proxies"];
        if key.path.starts_with("listen.tls.") || together.contains(&key.path) {
            continue;
        }
        let text = &*another_value(key);
        let mut lines = format!("{} = {}\n", key.path, key.kind.toml(text));
        if key.path != "issuer" {
            lines += MINIMAL;
        }
        let by_file = format!("{:?}", parse(&lines).unwrap_or_else(|mistakes| panic!("{mistakes}")));
        let environment = Environment::from_iter([(key.variable(), text)]);
        let by_variable =
            format!("{:?}", parse_with(MINIMAL, &environment).unwrap_or_else(|mistakes| panic!("{mistakes}")));
        assert_eq!(by_file, by_variable, "{}", key.path);
        // A secret is not shown, so only that there is one.
        assert_ne!(by_file, format!("{:?}", parse(MINIMAL).unwrap()), "{}", key.path);
        assert!(seen.insert(by_file), "{} has the field of another key", key.path);
    }
}

/// A value that differs from the default as little as possible, so that it keeps the rules with all other defaults.
fn another_value(key: &Key) -> String {
    let default = key.kind.default_text();
    let next = |number: u64, most: u64| if number < most { number + 1 } else { number - 1 };
    match &key.kind {
        Kind::Addresses(_) => "127.0.0.2:1, [::1]:2".into(),
        Kind::Boolean(_) => (default != "true").to_string(),
        Kind::Choice(names, ..) => names.iter().find(|name| **name != default).unwrap().to_string(),
        Kind::Colour(_) => "#123456".into(),
        Kind::Count(range, _) => next(default.parse().unwrap(), (*range.end()).into()).to_string(),
        Kind::DatabaseUrl(_) => "postgres://localhost/other".into(),
        Kind::Duration(range, _) => {
            format!("{}s", next(parse_duration(&default).unwrap().as_secs(), range.end().as_secs()))
        }
        Kind::Issuer(_) => "https://other.example".into(),
        Kind::Link(_) => "https://www.example.com/other".into(),
        Kind::MasterKey(_) => unreachable!("the file can't hold it"),
        Kind::Name(_) => "Example".into(),
        Kind::Networks(_) => "10.0.0.0/8".into(),
        Kind::Path(_) => "/srv/elsewhere".into(),
        Kind::Size(range, _) => format!("{}B", next(parse_size(&default).unwrap() as u64, *range.end() as u64)),
    }
}

#[test]
fn environment_overrides_the_file() {
    let environment = Environment::from_iter([
        ("DOORWARD_TOKENS__ACCESS_TOKEN_TTL", "10m"),
        ("DOORWARD_LISTEN__ADDRESS", "127.0.0.1:1,[::1]:2"),
        ("DOORWARD_DATA__DIR", "here"),
    ]);
    let config = parse_with(&with("[tokens]\naccess_token_ttl = \"1m\""), &environment).unwrap();
    assert_eq!(config.server.tokens.access_token_ttl, Duration::from_secs(600));
    assert_eq!(config.program.addresses.len(), 2);
    assert_eq!(config.program.data_dir, Path::new("here"));
}

#[test]
fn a_mistake_of_the_environment_names_the_variable() {
    let environment = Environment::from_iter([("DOORWARD_TOKENS__CODE_TLL", "60s"), ("DOORWARD_SESSION__IDLE", "")]);
    let report = parse_with(MINIMAL, &environment).unwrap_err().render(false);
    assert!(report.contains("environment variable DOORWARD_SESSION__IDLE"), "{report}");
    assert!(report.contains("`session.idle` is empty"), "{report}");
    assert!(report.contains("did you mean DOORWARD_TOKENS__CODE_TTL?"), "{report}");
}

#[test]
fn file_mistake_is_reported_despite_the_environment() {
    let environment = Environment::from_iter([("DOORWARD_TOKENS__CODE_TTL", "30s")]);
    let all = messages(parse_with(&with("[tokens]\ncode_ttl = \"2h\""), &environment));
    assert_eq!(all, ["`tokens.code_ttl` takes 10s to 1m"]);
}

#[test]
fn missing_file_error_says_how_to_create_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("doorward.toml");
    let report = Config::load(&path, &Environment::default()).unwrap_err().render(false);
    assert!(report.contains("can't be read") && report.contains("doorward init"), "{report}");

    fs::write(&path, MINIMAL).unwrap();
    let config = Config::load(&path, &Environment::default()).unwrap();
    assert_eq!(config.program.data_dir, folder.path().join("data"));
}

#[test]
fn colours_are_used_only_when_asked_for() {
    let mistakes = parse("").unwrap_err();
    assert!(mistakes.render(true).contains('\u{1b}') && !mistakes.render(false).contains('\u{1b}'));
}

#[test]
fn the_reference_page_names_every_key_and_variable() {
    let page = reference_page();
    for key in KEYS {
        assert!(page.contains(&format!("### `{}`", key.path)) && page.contains(&format!("`{}`", key.variable())));
    }
    assert!(page.contains("`DOORWARD_DATA__POSTGRES_FILE`"));
}
