//! A message that can be known again: its payload is a number and filling that follows from the number, so that a
//! damaged, exchanged or invented one shows.

use bench::Rng;

/// Digits of the number in front.
const DIGITS: usize = 16;
/// The longest filling, in bytes.
const FILLING_BYTES_MAX: u64 = 600;

/// The payload of message `number`.
pub(super) fn payload(number: u64) -> Vec<u8> {
    let mut rng = Rng::new(number);
    let mut payload = format!("{number:016x}").into_bytes();
    let filling = rng.below(FILLING_BYTES_MAX) as usize;
    payload.resize_with(DIGITS + filling, || rng.below(256) as u8);
    payload
}

/// The number of a payload that [`payload`] made; `None`: nobody made it.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(bytes.get(..DIGITS)?).ok()?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (payload(number) == bytes).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_known_and_a_damaged_one_is_not() {
        for n in [0, 1, 0xabc, u64::MAX] {
            let mut bytes = payload(n);
            assert_eq!(number(&bytes), Some(n));
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            assert_eq!(number(&bytes), None);
        }
        assert_eq!(number(b"short"), None);
    }
}
