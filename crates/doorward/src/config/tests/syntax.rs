//! Files that are not TOML.

use super::*;

#[test]
fn broken_syntax_is_reported_with_line_and_other_mistakes() {
    let source = "issuer = \"https://id.example.com\"\n[tokens]\ncode_ttl = 60 s\naccess_token_ttl = \"1x\"\n";
    let json = parse(source).unwrap_err().to_json();
    let lines: Vec<_> = json.as_array().unwrap().iter().map(|mistake| mistake["line"].as_u64()).collect();
    assert_eq!(lines, [Some(3), Some(4)], "{json:#}");
}

#[test]
fn mistakes_after_a_syntax_error_are_reported_too() {
    let source = "[tokens]\ncode_ttl \"60s\"\nid_token_ttl \"1s\"\naccess_token_ttl = \"1x\"\n";
    let json = parse(source).unwrap_err().to_json();
    let lines: Vec<_> = json.as_array().unwrap().iter().map(|mistake| mistake["line"].as_u64()).collect();
    assert_eq!(lines, [Some(2), Some(3), Some(4)], "{json:#}");
}

#[test]
fn an_unquoted_value_is_shown_as_it_was_written() {
    let report = parse("issuer = https://id.example.com\n").unwrap_err().render(false);
    assert!(report.contains("issuer = https://id.example.com") && report.contains("must be quoted"), "{report}");
}

#[test]
fn a_text_that_is_not_closed_is_one_mistake() {
    for open in ["'''", "\"\"\""] {
        let lines = format!("pages.name = {open}\nlog.level = \"loud\"\n[tokens]\ncode_ttl = \"2h\"");
        assert!(mistake(&lines).starts_with("invalid TOML"), "{lines}");
    }
}

#[test]
fn broken_file_gets_no_errors_about_missing_keys() {
    let all = messages(parse("issuer \"https://id.example.com\"\n"));
    assert!(all.iter().all(|message| message.starts_with("invalid TOML")), "{all:?}");
}
