//! Writes operations into a buffer, and nothing else: no limit is checked here.

use kernel::Msg;
use kernel::headers::VERSION;

use super::{Connect, Info};

/// `PING`.
pub const PING: &[u8] = b"PING\r\n";
/// `PONG`.
pub const PONG: &[u8] = b"PONG\r\n";
/// `+OK`.
pub const OK: &[u8] = b"+OK\r\n";
/// What ends a line and a payload.
pub const CRLF: &[u8] = b"\r\n";

/// Upper bound of the bytes that [`deliver_head`] writes.
pub fn deliver_head_len(m: &Msg<'_>, sid: &[u8]) -> usize {
    m.subject.len() + sid.len() + m.reply.len() + 48
}

/// The line before a delivered message: `MSG` or, with headers, `HMSG`.
#[inline]
pub fn deliver_head(out: &mut Vec<u8>, m: &Msg<'_>, sid: &[u8]) {
    out.extend_from_slice(if m.headers.is_empty() { b"MSG " } else { b"HMSG " });
    out.extend_from_slice(m.subject);
    out.push(b' ');
    out.extend_from_slice(sid);
    out.push(b' ');
    reply_and_sizes(out, m);
}

/// A delivered message, whole.
#[inline]
pub fn deliver(out: &mut Vec<u8>, m: &Msg<'_>, sid: &[u8]) {
    deliver_head(out, m, sid);
    body(out, m);
}

/// `PUB` or, with headers, `HPUB`, whole.
pub fn publish(out: &mut Vec<u8>, m: &Msg<'_>) {
    out.extend_from_slice(if m.headers.is_empty() { b"PUB " } else { b"HPUB " });
    out.extend_from_slice(m.subject);
    out.push(b' ');
    reply_and_sizes(out, m);
    body(out, m);
}

/// `SUB` with or without a queue group.
pub fn subscribe(out: &mut Vec<u8>, pattern: &[u8], queue: Option<&[u8]>, sid: u64) {
    out.extend_from_slice(b"SUB ");
    out.extend_from_slice(pattern);
    out.push(b' ');
    if let Some(queue) = queue {
        out.extend_from_slice(queue);
        out.push(b' ');
    }
    decimal(out, sid);
    out.extend_from_slice(CRLF);
}

/// `UNSUB`, at once or after `max` messages in all.
pub fn unsubscribe(out: &mut Vec<u8>, sid: u64, max: Option<u64>) {
    out.extend_from_slice(b"UNSUB ");
    decimal(out, sid);
    if let Some(max) = max {
        out.push(b' ');
        decimal(out, max);
    }
    out.extend_from_slice(CRLF);
}

/// `-ERR 'text'`.
pub fn error(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"-ERR '");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"'\r\n");
}

/// `INFO {…}`.
pub fn info(out: &mut Vec<u8>, info: &Info) {
    document(out, b"INFO ", serde_json::to_vec(info));
}

/// `CONNECT {…}`.
pub fn connect(out: &mut Vec<u8>, connect: &Connect) {
    document(out, b"CONNECT ", serde_json::to_vec(connect));
}

fn document(out: &mut Vec<u8>, verb: &[u8], json: serde_json::Result<Vec<u8>>) {
    // Plain structs of strings and numbers always serialise; an empty document would be refused by the other side.
    out.extend_from_slice(verb);
    out.extend_from_slice(json.as_deref().unwrap_or(b"{}"));
    out.extend_from_slice(CRLF);
}

#[inline]
fn reply_and_sizes(out: &mut Vec<u8>, m: &Msg<'_>) {
    if !m.reply.is_empty() {
        out.extend_from_slice(m.reply);
        out.push(b' ');
    }
    if !m.headers.is_empty() {
        decimal(out, m.headers.len() as u64);
        out.push(b' ');
    }
    decimal(out, m.size() as u64);
    out.extend_from_slice(CRLF);
}

#[inline]
fn body(out: &mut Vec<u8>, m: &Msg<'_>) {
    out.extend_from_slice(m.headers);
    out.extend_from_slice(m.payload);
    out.extend_from_slice(CRLF);
}

/// The header block that tells whoever asked on `subject` that nobody listens there.
pub fn no_responders(subject: &[u8]) -> Vec<u8> {
    [VERSION, b" 503\r\nNats-Subject: ", subject, b"\r\n\r\n"].concat()
}

/// `n` in decimal digits.
#[inline]
pub fn decimal(out: &mut Vec<u8>, mut n: u64) {
    if n < 10 {
        return out.push(b'0' + n as u8);
    }
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    while n > 0 {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    out.extend_from_slice(&digits[at..]);
}
