//! Subjects (where a message goes) and patterns (what a subscription hears). Matching many patterns at once is
//! *not* here: that is `bus::interest`.
//!
//! A subject is a list of tokens joined by `.`; in a pattern the token `*` stands for exactly one token and a last
//! token `>` for one or more.

use std::fmt;

use crate::Code;
use crate::limits::{PATTERN_TOKENS_MAX, SUBJECT_BYTES_MAX};

/// A subject that can be published to: no empty token, no wildcard, no white space or control character.
///
/// The data plane carries subjects as bytes and is as lenient as the protocol that brought them; this type is for
/// those who name a subject themselves and for connections that asked for strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject<'a>(&'a str);

impl<'a> Subject<'a> {
    /// Reads a subject from bytes. Errors with [`Code::SubjectInvalid`].
    pub fn parse(bytes: &'a [u8]) -> Result<Subject<'a>, Code> {
        let text = legal(bytes)?;
        match text.split('.').any(|t| t.is_empty() || t == "*" || t == ">") {
            true => Err(Code::SubjectInvalid),
            false => Ok(Subject(text)),
        }
    }

    /// The subject as text.
    pub fn as_str(&self) -> &'a str {
        self.0
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a subscription hears. `>` stands last only; no empty token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubjectPattern(Box<str>);

impl SubjectPattern {
    /// Reads a pattern from bytes. Errors with [`Code::SubjectInvalid`].
    pub fn parse(bytes: &[u8]) -> Result<SubjectPattern, Code> {
        let text = legal(bytes)?;
        let mut tokens = text.split('.');
        let mut count = 0;
        while let Some(token) = tokens.next() {
            count += 1;
            let misplaced = token == ">" && tokens.clone().next().is_some();
            if token.is_empty() || misplaced || count > PATTERN_TOKENS_MAX {
                return Err(Code::SubjectInvalid);
            }
        }
        Ok(SubjectPattern(text.into()))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tokens, first to last.
    pub fn tokens(&self) -> impl Iterator<Item = &[u8]> {
        self.0.as_bytes().split(|b| *b == b'.')
    }

    /// Whether this pattern hears `subject`, taken token by token as it is.
    pub fn matches(&self, subject: &[u8]) -> bool {
        let mut theirs = subject.split(|b| *b == b'.');
        for ours in self.tokens() {
            match (ours, theirs.next()) {
                (b">", Some(_)) => return true,
                (b"*", Some(_)) => {}
                (token, Some(other)) if token == other => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    /// Whether every subject that `other` hears is heard by this pattern too.
    pub fn covers(&self, other: &SubjectPattern) -> bool {
        let mut theirs = other.tokens();
        for ours in self.tokens() {
            match (ours, theirs.next()) {
                (b">", Some(_)) => return true,
                (b"*", Some(token)) if token != b">" => {}
                (token, Some(other)) if token == other => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    /// Whether some subject is heard by both patterns.
    pub fn overlaps(&self, other: &SubjectPattern) -> bool {
        let (mut ours, mut theirs) = (self.tokens(), other.tokens());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (Some(b">"), Some(_)) | (Some(_), Some(b">")) => return true,
                (Some(a), Some(b)) if a == b || a == b"*" || b == b"*" => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for SubjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What subjects and patterns have in common: length, UTF-8, no white space, no control character.
fn legal(bytes: &[u8]) -> Result<&str, Code> {
    let text = std::str::from_utf8(bytes).map_err(|_| Code::SubjectInvalid)?;
    let plain = text.bytes().all(|b| b > b' ' && b != 0x7f);
    match !text.is_empty() && text.len() <= SUBJECT_BYTES_MAX && plain {
        true => Ok(text),
        false => Err(Code::SubjectInvalid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> SubjectPattern {
        SubjectPattern::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_subject_has_no_wildcard_and_no_hole() {
        assert!(Subject::parse(b"a.b-c.$X").is_ok());
        assert!(Subject::parse("agenten.größe".as_bytes()).is_ok());
        for bad in ["", ".", "a.", ".a", "a..b", "a.*", ">", "a b", "a\tb", "a\r\n"] {
            assert_eq!(Subject::parse(bad.as_bytes()), Err(Code::SubjectInvalid), "{bad:?}");
        }
        assert!(Subject::parse(b"a*b.>c").is_ok(), "a wildcard is a whole token");
    }

    #[test]
    fn patterns_match_as_the_protocol_says() {
        for (p, s, yes) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a", false),
            ("a.>", "a.b.c", true),
            (">", "a", true),
            ("*.b", "a.b", true),
            ("*.*", "a", false),
        ] {
            assert_eq!(pattern(p).matches(s.as_bytes()), yes, "{p} {s}");
        }
        for bad in ["", "a..b", ">.a", "a.>.b", "a."] {
            assert!(SubjectPattern::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    fn tokens(wild: bool) -> impl Strategy<Value = String> {
        let token = prop::sample::select(if wild { vec!["a", "b", "*"] } else { vec!["a", "b"] });
        let tail = if wild { prop::bool::ANY.boxed() } else { Just(false).boxed() };
        (prop::collection::vec(token, 1..4), tail).prop_map(|(mut t, tail)| {
            if tail {
                t.push(">");
            }
            t.join(".")
        })
    }

    proptest! {
        #[test]
        fn covering_and_overlapping_agree_with_matching(p in tokens(true), q in tokens(true), s in tokens(false)) {
            let (p, q) = (pattern(&p), pattern(&q));
            if p.covers(&q) && q.matches(s.as_bytes()) {
                prop_assert!(p.matches(s.as_bytes()));
            }
            if p.matches(s.as_bytes()) && q.matches(s.as_bytes()) {
                prop_assert!(p.overlaps(&q) && q.overlaps(&p));
            }
        }

        #[test]
        fn any_bytes_parse_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Subject::parse(&bytes);
            if let Ok(p) = SubjectPattern::parse(&bytes) {
                prop_assert_eq!(p.as_str().as_bytes(), &bytes[..]);
            }
        }
    }
}
