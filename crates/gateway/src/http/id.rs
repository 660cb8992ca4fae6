//! Identities: of messages that come without one, and what one may look like.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use kernel::envelope::name;
use kernel::{Code, Message, MessageId};

use super::problem::Problem;

/// Random bytes that are asked for at once: enough for a hundred identities.
const STOCK_BYTES: usize = 1000;
const RANDOM_BYTES: usize = 10;

thread_local! {
    /// Random bytes, and how many of them are used up.
    static STOCK: RefCell<([u8; STOCK_BYTES], usize)> = const { RefCell::new(([0; STOCK_BYTES], STOCK_BYTES)) };
}

/// A new identity.
pub(super) fn fresh() -> Result<String, Problem> {
    let random = STOCK.with_borrow_mut(|(stock, used)| {
        if *used + RANDOM_BYTES > STOCK_BYTES {
            getrandom::fill(stock).ok()?;
            *used = 0;
        }
        let bytes: [u8; RANDOM_BYTES] = stock.get(*used..*used + RANDOM_BYTES)?.try_into().ok()?;
        *used += RANDOM_BYTES;
        Some(bytes)
    });
    let random =
        random.ok_or_else(|| Problem::new(Code::InternalError, "the system gives no random numbers"))?;
    let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
    Ok(MessageId::new(wall_ms, random).to_string())
}

/// Most characters of an identity.
const CHARS_MAX: usize = 255;

/// Refuses an identity in a message's JSON form that the same message could not have as a header of HTTP.
pub(super) fn check(message: &Message) -> Result<(), Problem> {
    let is_fine = |id: &str| (1..=CHARS_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    let block = std::str::from_utf8(&message.headers).unwrap_or_default();
    // As it was written: whoever reads headers as headers does not see the blanks around it.
    let id = block.split("\r\n").find_map(|line| line.strip_prefix(name::ID)?.strip_prefix(": "));
    match id.is_none_or(is_fine) {
        true => Ok(()),
        false => {
            let detail = format!("id: 1 to {CHARS_MAX} characters of ASCII that can be seen");
            Err(Problem::new(Code::InvalidRequest, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn an_identity_is_one_that_a_header_could_have() {
        let check = |id: &str| {
            let text = serde_json::json!({"subject": "a", "id": id, "headers": {"Np-Id2": ""}}).to_string();
            super::check(&wire::json::read(&text).unwrap()).is_ok()
        };
        assert!(check("m-1") && check(&"x".repeat(255)));
        for bad in ["", " a", "a b", "é", "\u{9b}", &"x".repeat(256)] {
            assert!(!check(bad), "{bad:?}");
        }
        assert!(super::check(&wire::json::read(r#"{"subject":"a"}"#).unwrap()).is_ok());
    }

    #[test]
    fn no_two_are_the_same() {
        let all: BTreeSet<String> = (0..1000).map(|_| super::fresh().unwrap()).collect();
        assert_eq!(all.len(), 1000);
    }
}
