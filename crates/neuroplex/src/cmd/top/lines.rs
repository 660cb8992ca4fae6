//! The lines that say how the node as a whole is, for the live screen and for `--once` alike.

use std::time::Duration;

use super::numbers::{UNKNOWN, bytes_per_s, count, per_s};
use super::view::View;
use crate::text::{count as counted, plain};
use crate::units::{size, span};

/// `neuroplex 0.1.0 · node n1 · up 1h2m · 34.5 MiB · CPU 12 % of 2 cores`
pub(super) fn node(view: &View) -> String {
    let node = &view.node;
    let cpu = node.cpu_percent.map_or_else(|| UNKNOWN.to_owned(), |percent| format!("{percent:.0} %"));
    format!(
        "neuroplex {} · node {} · up {} · {} · CPU {cpu} of {}",
        plain(&node.version),
        plain(&node.id),
        span(Duration::from_secs(node.uptime_ms / 1000)),
        size(node.memory_bytes),
        counted(node.cores, "core"),
    )
}

/// `in 3.0k msg/s 293 KiB/s · out … · HTTP 10 requests/s`
pub(super) fn rates(view: &View) -> String {
    let rates = &view.rates;
    format!(
        "in {} msg/s {} · out {} msg/s {} · HTTP {} requests/s",
        per_s(rates.messages_in_per_s),
        bytes_per_s(rates.bytes_in_per_s),
        per_s(rates.messages_out_per_s),
        bytes_per_s(rates.bytes_out_per_s),
        per_s(rates.http_requests_per_s),
    )
}

/// `12 connections · 34 subscriptions · slow consumers 1 now, 0 cut · 1.2 MiB pending`
pub(super) fn counts(view: &View) -> String {
    let node = &view.node;
    format!(
        "{} · {} · slow consumers {} now, {} cut · {} pending",
        amount(node.connections, "connection"),
        amount(node.subscriptions, "subscription"),
        count(node.slow_now),
        count(node.slow_cut_total),
        size(node.pending_bytes),
    )
}

fn amount(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}
