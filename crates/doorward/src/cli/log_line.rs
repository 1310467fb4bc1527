//! Refusals in a line of a log, however the program that wrote it logs.
//!
//! A guard logs each refusal as JSON. Around it stand what loggers and collectors add: a time, a syslog or journald prefix,
//! the fields of spans, or JSON of their own in which the event is a text: `fields.message` of `tracing_subscriber`, `msg`
//! of bunyan, `MESSAGE` of journald, `log` of Docker. So every JSON value of a line is looked at, and every text in a member
//! that loggers write events into. Other members may hold what a caller sent: a header that looks like an event is none.

use doorward_core::{event::RefusalEvent, trace::TraceId};
use serde_json::{Deserializer, Value};

/// How deep texts with JSON may stand in each other.
const MAX_DEPTH: usize = 4;

/// The refusals of a trace in a line.
pub(super) fn events(line: &str, trace_id: TraceId) -> Vec<RefusalEvent> {
    let mut found = Vec::new();
    // Most lines are about something else.
    if line.contains(&trace_id.to_string()) {
        search(line, MAX_DEPTH, &mut found);
    }
    found.retain(|event| event.trace_id == trace_id);
    found
}

fn search(text: &str, depth: usize, found: &mut Vec<RefusalEvent>) {
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        rest = &rest[start..];
        let mut values = Deserializer::from_str(rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                rest = &rest[values.byte_offset()..];
                look_into(value, false, depth, found);
            }
            // The fields of a span, or something else in braces.
            _ => rest = &rest[1..],
        }
    }
}

fn look_into(value: Value, is_of_logger: bool, depth: usize, found: &mut Vec<RefusalEvent>) {
    match value {
        Value::Array(values) => values.into_iter().for_each(|value| look_into(value, is_of_logger, depth, found)),
        Value::Object(members) => match serde_json::from_value(Value::Object(members.clone())) {
            Ok(event) => found.push(event),
            Err(_) => members.into_iter().for_each(|(name, value)| look_into(value, holds_events(&name), depth, found)),
        },
        Value::String(text) if is_of_logger && depth > 0 => search(&text, depth - 1, found),
        _ => {}
    }
}

/// Whether loggers or collectors write events into members of this name.
fn holds_events(name: &str) -> bool {
    ["message", "msg", "log", "event", "body", "text"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn event() -> String {
        json!({"trace_id": ID, "at_ms": 1, "code": "key_unknown", "at": "https://api.example", "method": "GET",
            "path": "/a{b}"})
        .to_string()
    }

    fn found(line: &str) -> usize {
        let found = events(line, TraceId::parse(ID).unwrap());
        assert!(found.iter().all(|event| event.code == "key_unknown" && event.path == "/a{b}"));
        found.len()
    }

    #[test]
    fn event_is_found_in_the_usual_shapes_of_logs() {
        let event = event();
        let json_of_tracing = json!({"timestamp": "2026-11-27T03:00:00Z", "level": "INFO",
            "fields": {"message": event}, "target": "doorward::refusal", "span": {"name": "request"},
            "spans": [{"name": "request", "uri": "/{x}"}]});
        for line in [
            event.clone(),
            format!("2026-11-27T03:00:00Z  INFO doorward::refusal: {event}"),
            format!(
                "\u{1b}[2m2026-11-27T03:00:00Z\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m doorward::refusal: {event}\u{1b}[0m"
            ),
            format!("INFO request{{method=GET uri=/{{x}} ids={{1}}}}:handler{{}}: doorward::refusal: {event}"),
            format!("<14>Nov 27 03:00:00 host notes[7]: INFO doorward::refusal: {event}"),
            format!("<14>1 2026-11-27T03:00:00Z host notes 7 - [a@1 b=\"{{\"] {event}"),
            format!("Nov 27 03:00:00 host notes[7]: {event}"),
            format!("notes-1  | {event}"),
            json_of_tracing.to_string(),
            json!({"timestamp": "t", "message": event, "target": "doorward::refusal"}).to_string(),
            json!({"v": 0, "name": "notes", "msg": format!("[REQUEST - EVENT] {event}"), "level": 30}).to_string(),
            json!({"MESSAGE": event, "_PID": "7"}).to_string(),
            json!({"log": format!("{json_of_tracing}\n"), "stream": "stdout"}).to_string(),
            json!({"event": event}).to_string(),
        ] {
            assert_eq!(found(&line), 1, "{line}");
        }
    }

    #[test]
    fn header_content_is_never_taken_for_an_event() {
        let event = event();
        for line in [
            json!({"msg": "request", "user_agent": event, "trace_id": ID}).to_string(),
            json!({"fields": {"message": "request", "uri": event}}).to_string(),
            json!({"message": "request", "headers": {"user-agent": event, "x": [event]}}).to_string(),
        ] {
            assert_eq!(found(&line), 0, "{line}");
        }
    }

    #[test]
    fn lines_about_other_traces_or_without_an_event_give_none() {
        for line in [
            event().replace("4736", "4737"),
            format!("trace {ID}: {{not json}} {{"),
            json!({"trace_id": ID}).to_string(),
            String::new(),
        ] {
            assert_eq!(found(&line), 0, "{line}");
        }
    }
}
