//! Payloads that say who they are: a number in hexadecimal, then filling. No two of a run are the same, if they have
//! room for the number.

/// Digits of a number.
pub(super) const DIGITS: usize = 16;

/// Writes `n` over the first [`DIGITS`] bytes of `place`, or as many low digits as fit.
pub(super) fn write(place: &mut [u8], n: u64) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let len = place.len().min(DIGITS);
    for (nth, byte) in place.iter_mut().take(DIGITS).enumerate() {
        let shift = 4 * (len - 1 - nth);
        *byte = HEX.get(((n >> shift) & 15) as usize).copied().unwrap_or(b'0');
    }
}

/// The number that [`write()`] wrote; `None` if there is none.
pub(super) fn read(digits: &[u8]) -> Option<u64> {
    digits.iter().take(DIGITS).try_fold(0, |n, b| Some(n << 4 | u64::from((*b as char).to_digit(16)?)))
}

/// A payload of `size` bytes without its number.
pub(super) fn blank(size: usize) -> Vec<u8> {
    vec![b'.'; size]
}

/// Whether `payload` is the one of number `n` and has the size of `blank`.
pub(super) fn is(payload: &[u8], n: u64, blank: &[u8]) -> bool {
    let digits = payload.len().min(DIGITS);
    let mask = if digits == DIGITS { u64::MAX } else { (1 << (4 * digits)) - 1 };
    payload.len() == blank.len()
        && payload.get(digits..) == blank.get(digits..)
        && payload.get(..digits).and_then(read) == Some(n & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_recognised_and_no_other() {
        for size in [0, 1, 5, 16, 17, 128] {
            let mut payload = blank(size);
            write(&mut payload, 0xabc);
            assert!(is(&payload, 0xabc, &blank(size)), "{size}");
            assert!(!is(&payload, 0xabc, &blank(size + 1)));
            if size > 2 {
                assert!(!is(&payload, 0xabd, &blank(size)));
            }
        }
        assert!(!is(b"00000000000000xy.", 0, &blank(17)));
    }
}
