//! A scan in SARIF 2.1.0 (OASIS standard, 27 March 2020), the form in which code hosts and editors take findings.
//!
//! It quotes nothing of the files that were searched.

use std::fmt::Write;

use doorward_core::scan::Kind;
use serde_json::{Value, json};

use super::{Finding, Report};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Where the findings are from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    Files,
    /// Paths are relative to the root of the repository.
    Repository,
}

/// The log of one scan.
pub(crate) fn log(report: &Report, source: Source) -> Value {
    let notifications: Vec<_> =
        report.unread_reasons.iter().map(|reason| json!({"level": "error", "message": {"text": reason}})).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "doorward",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": Kind::ALL.map(rule),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": report.unread == 0,
                "toolExecutionNotifications": notifications,
            }],
            "results": report.findings.iter().map(|finding| result(finding, source)).collect::<Vec<_>>(),
        }],
    })
}

fn rule(kind: Kind) -> Value {
    json!({
        "id": kind.as_str(),
        "shortDescription": {"text": format!("A Doorward {} is in the text", kind.title())},
        "help": {"text": help(kind)},
        "defaultConfiguration": {"level": level(kind)},
    })
}

fn help(kind: Kind) -> &'static str {
    match kind.is_secret() {
        true => "Revoke it, and issue a new one. Removing it from the text is not enough: others may have copied it.",
        false => "No action needed. A publishable key is public, and works in the pages of its own origins only.",
    }
}

fn level(kind: Kind) -> &'static str {
    match kind {
        Kind::AccessToken | Kind::ClientSecret | Kind::LiveKey | Kind::RefreshToken => "error",
        Kind::PublishableKey => "note",
        Kind::TestKey => "warning",
    }
}

fn result(finding: &Finding, source: Source) -> Value {
    let mut region = json!({"startLine": finding.line, "startColumn": finding.column});
    if let Some(offset) = finding.offset {
        region["byteOffset"] = offset.into();
    }
    let mut properties = json!({"hint": finding.hint});
    for (name, value) in [("commit", &finding.commit), ("state", &finding.state)] {
        if let Some(value) = value {
            properties[name] = value.as_str().into();
        }
    }
    json!({
        "ruleId": finding.kind.as_str(),
        "ruleIndex": Kind::ALL.iter().position(|kind| *kind == finding.kind),
        "level": level(finding.kind),
        "message": {"text": format!("Doorward {} {}…", finding.kind.title(), finding.hint)},
        "locations": [{"physicalLocation": {"artifactLocation": artifact(&finding.path, source), "region": region}}],
        "partialFingerprints": {"secretSha256/v1": finding.fingerprint},
        "properties": properties,
    })
}

fn artifact(path: &str, source: Source) -> Value {
    if path == "-" && source == Source::Files {
        return json!({"uri": "standard-input"});
    }
    let uri = uri_of(path.strip_prefix("./").unwrap_or(path));
    match uri.starts_with('/') {
        true => json!({"uri": format!("file://{uri}")}),
        false => json!({"uri": uri, "uriBaseId": "%SRCROOT%"}),
    }
}

/// A path as part of a URI (RFC 3986 3.3): all but unreserved characters and slashes are percent-encoded.
fn uri_of(path: &str) -> String {
    path.bytes().fold(String::new(), |mut uri, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            // Writing to a text does not fail.
            _ => drop(write!(uri, "%{byte:02X}")),
        }
        uri
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_becomes_a_uri() {
        let of = |path| artifact(path, Source::Files);
        assert_eq!(of("./a b/ä.rs"), json!({"uri": "a%20b/%C3%A4.rs", "uriBaseId": "%SRCROOT%"}));
        assert_eq!(of("/etc/x:y"), json!({"uri": "file:///etc/x%3Ay"}));
        assert_eq!(of("-"), json!({"uri": "standard-input"}));
        assert_eq!(artifact("-", Source::Repository), json!({"uri": "-", "uriBaseId": "%SRCROOT%"}));
    }
}
