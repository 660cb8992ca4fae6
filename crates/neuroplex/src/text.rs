//! Messages as people read them. What others sent cannot move the cursor or change the colours of a terminal.

use client::{Headers, Message};

/// A message: subject and payload, then its reply subject and headers, indented.
pub(crate) fn message(m: &Message) -> String {
    let mut text = plain(&String::from_utf8_lossy(&m.subject));
    let payload = payload(&m.payload);
    if !payload.is_empty() {
        text.push(if payload.contains('\n') { '\n' } else { ' ' });
        text.push_str(&payload);
    }
    if !m.reply.is_empty() {
        text.push_str("\n  reply to ");
        text.push_str(&plain(&String::from_utf8_lossy(&m.reply)));
    }
    for h in Headers::new(&m.headers).iter().filter(|h| !h.name.is_empty()) {
        text.push_str(&format!("\n  {}: {}", plain(h.name), plain(h.value)));
    }
    text
}

/// A payload as text, or what it is instead.
pub(crate) fn payload(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            text.strip_suffix('\n').unwrap_or(text).split('\n').map(plain).collect::<Vec<_>>().join("\n")
        }
        Err(_) => format!("({} bytes that are no text)", bytes.len()),
    }
}

/// `1 message`, `2 messages`.
pub(crate) fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Text in which control characters are written out; tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() && c != '\t' {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_where_it_can_be() {
        let m = Message { subject: "a.b".into(), payload: "{\"hi\":1}\n".into(), ..Message::default() };
        assert_eq!(message(&m), "a.b {\"hi\":1}");
        let headers = client::headers::block([("Color", "blue")]).unwrap();
        let m = Message { reply: "r".into(), headers: headers.into(), payload: "1\n2".into(), ..m };
        assert_eq!(message(&m), "a.b\n1\n2\n  reply to r\n  Color: blue");
    }

    #[test]
    fn nobody_else_drives_this_terminal() {
        assert_eq!(payload(b"\x1b[2Jgone\ttab"), "\\u{1b}[2Jgone\ttab");
        assert_eq!(payload(b"\xff\xfe"), "(2 bytes that are no text)");
    }
}
