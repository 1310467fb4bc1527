//! What keys take, alone and together.

use doorward_server::Accent;

use super::*;

#[test]
fn plain_http_off_loopback_is_refused() {
    for address in ["\"0.0.0.0:8400\"", "[\"127.0.0.1:8400\", \"[::]:8400\"]", "\"192.0.2.1:80\""] {
        let said = mistake(&format!("[listen]\naddress = {address}"));
        assert!(said.contains("plain HTTP"), "{said}");
    }
    for lines in [
        "address = \"[::1]:8400\"",
        "address = \"[::ffff:127.0.0.1]:8400\"",
        "address = \"0.0.0.0:8400\"\ntls.certificate = \"c\"\ntls.key = \"k\"",
        "address = \"0.0.0.0:8400\"\nbehind_proxy = true\ntrusted_proxies = [\"10.0.0.1\", \"fd00::/8\"]",
    ] {
        assert!(parse(&with(&format!("[listen]\n{lines}"))).is_ok(), "{lines}");
    }
}

#[test]
fn a_proxy_is_trusted_by_name_and_by_no_other_way() {
    assert!(mistake("listen.behind_proxy = true").contains("no proxy is trusted"));
    assert!(mistake("listen.trusted_proxies = [\"10.0.0.0/8\"]").contains("no effect"));
    assert!(mistake("listen = { behind_proxy = true, trusted_proxies = [\"::/0\"] }").contains("everyone"));
    assert!(mistake("listen = { behind_proxy = true, trusted_proxies = [\"10.0.0.1/8\"] }").contains("within one"));
    assert!(mistake("listen = { behind_proxy = true, trusted_proxies = [\"proxy\"] }").contains("but got `proxy`"));
}

#[test]
fn metrics_need_an_address_of_their_own() {
    let both = "[listen]\naddress = \"127.0.0.1:8400\"\n[metrics]\naddress = ";
    assert!(mistake(&format!("{both}\"127.0.0.1:8400\"")).contains("where the server itself listens"));
    let warnings = |address: &str| {
        let config = parse(&with(&format!("{both}\"{address}\""))).unwrap();
        let warnings = config.warnings(&config.program.addresses);
        warnings.into_iter().filter(|warning| warning.contains("read the metrics")).count()
    };
    assert_eq!((warnings("127.0.0.1:9464"), warnings("[::1]:9464"), warnings("0.0.0.0:9464")), (0, 0, 1));
}

#[test]
fn report_of_a_proxy_needs_a_proxy() {
    let proxy = "behind_proxy = true\ntrusted_proxies = [\"10.0.0.0/8\"]";
    for line in ["forwarded_header = \"forwarded\"", "proxy_protocol = true"] {
        assert!(mistake(&format!("[listen]\n{line}")).contains("no effect"), "{line}");
        assert!(parse(&with(&format!("[listen]\n{line}\n{proxy}"))).is_ok(), "{line}");
    }
    let config = parse(&with(&format!("[listen]\nforwarded_header = \"forwarded\"\n{proxy}"))).unwrap();
    assert_eq!(config.program.forwarded_header, doorward_listen::ForwardedHeader::Forwarded);
}

#[test]
fn tls_needs_certificate_and_key() {
    assert!(mistake("listen.tls.certificate = \"c\"").contains("needs both"));
    assert!(mistake("listen.tls.key = \"k\"").contains("needs both"));
}

#[test]
fn every_bad_element_of_a_list_is_named_at_its_place() {
    let mistakes = parse(&with("listen.address = [\"localhost:1\", \"127.0.0.1:1\", 7]")).unwrap_err();
    let json = mistakes.to_json();
    let columns: Vec<_> = json.as_array().unwrap().iter().map(|mistake| mistake["column"].as_u64()).collect();
    assert_eq!(columns, [Some(19), Some(49)]);
    assert!(mistake("listen.address = []").contains("empty"));
}

#[test]
fn lifetimes_keep_their_order() {
    for lines in [
        "session = { idle = \"2d\", absolute = \"1d\" }",
        "tokens = { refresh_idle = \"200d\" }",
        "tokens = { refresh_grace_same_address = \"5s\" }",
        "signing = { rotate_every = \"2h\" }",
        "signing = { retire_after = \"1m\" }\ntokens = { id_token_ttl = \"1m\" }",
        "signing = { retire_after = \"1m\" }\ntokens = { access_token_ttl = \"1m\" }",
    ] {
        assert!(mistake(lines).contains("is longer than"), "{lines}");
    }
}

#[test]
fn ranges_and_types_are_kept() {
    for (lines, said) in [
        ("password.min_length = 7", "takes 8 to 128"),
        ("password.min_length = -1", "takes 8 to 128"),
        ("password.min_length = \"15\"", "takes a whole number, but this is a text"),
        ("throttle.client_failures_per_minute = 19", "takes 20 to"),
        ("limits.body_bytes = 17", "takes 1KiB to 16MiB"),
        ("listen.behind_proxy = \"yes\"", "takes true or false, but this is a text"),
        ("log.format = \"xml\"", "takes text, json, but got `xml`"),
        ("pages.accent = \"blue\"", "takes a colour as #rrggbb"),
        ("pages.name = \"\"", "takes a name"),
        ("data.dir = \"\"", "this is empty"),
        ("data.postgres = \"mysql://h/d\"", "begins with postgres://"),
        ("session.idle = 3.5", "this is a number with a fraction"),
        ("session.idle = \"soon\"", "but got `soon`"),
        ("session.idle = { a = 1 }", "this is a table"),
        ("session = 3", "is a section"),
        ("[[session]]\nidle = \"1h\"", "is a section"),
        ("\"session.idle\" = \"1h\"", "is not a key"),
        ("[sesion]\nidle = \"1h\"", "`sesion` is not a section"),
    ] {
        let message = mistake(lines);
        assert!(message.contains(said), "{lines}: {message}");
    }
    assert_eq!(parse(&with("limits.body_bytes = 0x4000")).unwrap().server.limits.body_bytes, 16_384);
}

#[test]
fn unknown_key_error_suggests_a_similar_key() {
    for (lines, meant) in [
        ("[tokens]\ncode-ttl = \"60s\"", "`code_ttl`"),
        ("[listn]", "`listen`"),
        ("address = \"127.0.0.1:1\"", "`listen.address`"),
        ("[listen.tls]\ncert = \"c\"\ncertificat = \"c\"", "`certificate`"),
    ] {
        let report = parse(&with(lines)).unwrap_err().render(false);
        assert!(report.contains(&format!("did you mean {meant}?")), "{report}");
    }
}

#[test]
fn an_accent_is_judged_by_the_pages() {
    let unreadable = Accent::parse("#FFFF00").unwrap_err();
    assert_eq!(mistake("pages.accent = \"#FFFF00\""), format!("`pages.accent` {unreadable}"));
    let config = parse(&with("pages.accent = \"#7A1FA2\"")).unwrap();
    assert_eq!(config.server.accent, Accent::parse("#7a1fa2").unwrap());
}

#[test]
fn links_of_pages_lead_to_the_web_or_to_a_mailbox() {
    assert!(parse(&with("[pages]\nhelp_url = \"mailto:help@example.com\"")).is_ok());
    for (url, why) in [
        ("javascript:alert(1)", "https:// or mailto:"),
        ("http://example.com", "https:// or mailto:"),
        ("/help", "https:// or mailto:"),
        ("mailto:", "https:// or mailto:"),
        ("", "https:// or mailto:"),
        ("https://exa mple.com", "printable ASCII"),
        ("https://user@example.com", "no user name"),
        ("https://../help", "the host"),
        ("https://example.com/../help", "the path"),
    ] {
        let printed = mistake(&format!("[pages]\nhelp_url = \"{url}\""));
        assert!(printed.contains(why), "{printed}");
    }
}
