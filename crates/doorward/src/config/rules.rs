//! Rules that several keys make together. What one key takes is in its row of the table.

use std::{net::SocketAddr, time::Duration};

use doorward_listen::ForwardedHeader;

use super::{draft::Draft, settings::Config, units::format_duration};

/// Adds every rule that is broken to the draft's mistakes.
pub(super) fn check(draft: &mut Draft) {
    plain_http_stays_on_loopback(draft);
    metrics_are_elsewhere(draft);
    proxies_are_named(draft);
    reports_come_from_proxies(draft);
    tls_is_a_pair(draft);
    master_key_has_one_source(draft);
    for order in ORDERS {
        order.check(draft);
    }
}

fn plain_http_stays_on_loopback(draft: &mut Draft) {
    let program = &draft.config.program;
    let Some(reason) = program.addresses.iter().find_map(|address| program.refuses_plain_http_at(*address)) else {
        return;
    };
    let message = format!("`listen.address` is {reason}");
    let help =
        "set `listen.tls.certificate` and `listen.tls.key`, or set `listen.behind_proxy` with `listen.trusted_proxies`";
    let involved = ["listen.address", "listen.behind_proxy", "listen.tls.certificate", "listen.tls.key"];
    draft.note_about(&involved, message, Some(help.into()));
}

fn metrics_are_elsewhere(draft: &mut Draft) {
    let program = &draft.config.program;
    let of_server = |address: &&SocketAddr| program.addresses.iter().any(|other| overlap(address, other));
    let Some(address) = program.metrics_addresses.iter().find(of_server) else { return };
    let message = format!("`metrics.address` is {address}, where the server itself listens");
    let help = "use another port for metrics";
    draft.note_about(&["metrics.address", "listen.address"], message, Some(help.into()));
}

/// Whether two sockets can't listen at both.
fn overlap(one: &SocketAddr, other: &SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port()
        && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
        && one.port() != 0
}

fn proxies_are_named(draft: &mut Draft) {
    let behind_proxy = draft.config.program.behind_proxy;
    let (message, help) = match (behind_proxy, draft.config.server.trusted_proxies.is_empty()) {
        (true, true) => (
            "`listen.behind_proxy` is set, but no proxy is trusted",
            "list its networks in `listen.trusted_proxies`, such as [\"10.0.0.0/8\"]",
        ),
        (false, false) => (
            "`listen.trusted_proxies` has no effect without `listen.behind_proxy`",
            "set `listen.behind_proxy = true`, or remove the list",
        ),
        _ => return,
    };
    let involved = if behind_proxy {
        ["listen.behind_proxy", "listen.trusted_proxies"]
    } else {
        ["listen.trusted_proxies", "listen.behind_proxy"]
    };
    draft.note_about(&involved, message.into(), Some(help.into()));
}

/// How a proxy reports its clients has no effect if there is none.
fn reports_come_from_proxies(draft: &mut Draft) {
    if draft.config.program.behind_proxy {
        return;
    }
    for key in ["listen.forwarded_header", "listen.proxy_protocol"] {
        let has_effect = match key {
            "listen.proxy_protocol" => draft.config.program.proxy_protocol,
            _ => draft.config.program.forwarded_header != ForwardedHeader::default(),
        };
        if has_effect {
            let message = format!("`{key}` has no effect without `listen.behind_proxy`");
            let help = "set `listen.behind_proxy = true` with `listen.trusted_proxies`, or remove the key";
            draft.note_about(&[key, "listen.behind_proxy"], message, Some(help.into()));
        }
    }
}

fn tls_is_a_pair(draft: &mut Draft) {
    let pair = ["listen.tls.certificate", "listen.tls.key"];
    if let [false, true] | [true, false] = pair.map(|path| draft.is_given(path)) {
        let message = "`listen.tls` needs both `certificate` and `key`, but one is missing";
        draft.note_about(&pair, message.into(), None);
    }
}

fn master_key_has_one_source(draft: &mut Draft) {
    let sources = ["keys.master_key", "keys.master_key_file"];
    if sources.iter().all(|path| draft.is_given(path)) {
        let message = "the master key is set twice, by `keys.master_key` and by `keys.master_key_file`";
        let help = "keep one: with the wrong key, stored data is unusable";
        draft.note_about(&sources, message.into(), Some(help.into()));
    }
}

/// One duration that may not be longer than another.
struct Order {
    shorter: &'static str,
    longer: &'static str,
    read: fn(&Config) -> (Duration, Duration),
    /// Where the mistake is reported if both are given.
    reported_at: Side,
    reason: &'static str,
}

enum Side {
    Longer,
    Shorter,
}

const ORDERS: &[Order] = &[
    Order {
        shorter: "session.idle",
        longer: "session.absolute",
        read: |c| (c.server.session.idle, c.server.session.absolute),
        reported_at: Side::Shorter,
        reason: "a session can't stay unused for longer than it lasts",
    },
    Order {
        shorter: "tokens.refresh_idle",
        longer: "tokens.refresh_absolute",
        read: |c| (c.server.tokens.refresh.idle, c.server.tokens.refresh.absolute),
        reported_at: Side::Shorter,
        reason: "a refresh token can't stay unused for longer than its family lasts",
    },
    Order {
        shorter: "tokens.refresh_grace_other_address",
        longer: "tokens.refresh_grace_same_address",
        read: |c| (c.server.tokens.refresh.grace_other_address, c.server.tokens.refresh.grace_same_address),
        reported_at: Side::Shorter,
        reason: "other addresses must not be trusted longer than the known one",
    },
    Order {
        shorter: "signing.publish_before_use",
        longer: "signing.rotate_every",
        read: |c| (c.server.signing.publish_before_use, c.server.signing.rotate_every),
        reported_at: Side::Shorter,
        reason: "the next key must be published while the current one signs",
    },
    Order {
        shorter: "tokens.access_token_ttl",
        longer: "signing.retire_after",
        read: |c| (c.server.tokens.access_token_ttl, c.server.signing.retire_after),
        reported_at: Side::Longer,
        reason: "a token would outlive the key that verifies it",
    },
    Order {
        shorter: "tokens.id_token_ttl",
        longer: "signing.retire_after",
        read: |c| (c.server.tokens.id_token_ttl, c.server.signing.retire_after),
        reported_at: Side::Longer,
        reason: "a token would outlive the key that verifies it",
    },
];

impl Order {
    fn check(&self, draft: &mut Draft) {
        let (shorter, longer) = (self.read)(&draft.config);
        if shorter <= longer {
            return;
        }
        let [is, bound] = [shorter, longer].map(format_duration);
        let message = format!("`{}` ({is}) is longer than `{}` ({bound}): {}", self.shorter, self.longer, self.reason);
        let involved = match self.reported_at {
            Side::Longer => [self.longer, self.shorter],
            Side::Shorter => [self.shorter, self.longer],
        };
        draft.note_about(&involved, message, None);
    }
}
