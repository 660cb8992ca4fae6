//! Randomness for inboxes and jitter, from the system, so that nobody guesses another's inbox.

use crate::Error;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 22 draws out of 62 are 131 bits.
const TOKEN_CHARS: usize = 22;

/// A token that can stand in a subject.
pub(crate) fn token() -> Result<String, Error> {
    let mut token = String::with_capacity(TOKEN_CHARS);
    while token.len() < TOKEN_CHARS {
        // Bytes from 248 on are drawn again, so that every character is as likely as any other.
        let drawn = bytes::<32>()?.into_iter().filter(|b| *b < 248).map(|b| ALPHABET[usize::from(b) % 62]);
        token.extend(drawn.take(TOKEN_CHARS - token.len()).map(char::from));
    }
    Ok(token)
}

/// A number for jitter. Without randomness all clients draw the same: worse, but no reason to stay away.
pub(crate) fn number() -> u64 {
    bytes::<8>().map(u64::from_ne_bytes).unwrap_or_default()
}

fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_different_and_can_stand_in_a_subject() {
        let (a, b) = (token().unwrap(), token().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.len(), TOKEN_CHARS);
        assert!(a.bytes().all(|c| c.is_ascii_alphanumeric()));
    }
}
