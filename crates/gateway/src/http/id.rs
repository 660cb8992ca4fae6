//! Identities for messages that come without one.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use kernel::{Code, MessageId};

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_two_are_the_same() {
        let all: BTreeSet<String> = (0..1000).map(|_| super::fresh().unwrap()).collect();
        assert_eq!(all.len(), 1000);
    }
}
