//! Whether what a terminal shows is what the page says. The rules stand in `docs/guide/README.md` for authors:
//!
//! - `…` in a line stands for any text, `…` as a line for any number of lines; white space counts as one space.
//! - Times, ages, "in 3 ms", the node's name, and ids and tokens (20 and more of letters, digits, `_`, `-`, with a
//!   digit among them) match any others of their kind. An id that a page shows is replaced by the real one in the
//!   commands that follow.

use regex::{Captures, Regex};

/// What a page shows and what stood in its place: pairs of ids, tokens, names.
pub(crate) type Stood = Vec<(String, String)>;

/// The kinds of text that differ from run to run.
pub(crate) struct Rules {
    volatile: Regex,
}

const TIME: &str = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| UTC)?";
const AGE: &str = r"(?:\d+(?:\.\d+)? ?(?:ms|s|m|h) ago|now)";
const WITHIN: &str = r"in \d+(?:\.\d+)? m?s";
const NODE: &str = r"[A-Za-z0-9_.]+(?:-[A-Za-z0-9_.]+)*-[0-9a-f]{4}";
const TOKEN: &str = r"[A-Za-z0-9_-]{20,}";

impl Default for Rules {
    fn default() -> Rules {
        let kinds = format!(
            r"(?P<any>…)|(?P<time>{TIME})|(?P<age>\b{AGE}\b)|(?P<within>\b{WITHIN}\b)|(?P<node>node {NODE}\b)|(?P<token>{TOKEN})|(?P<space>\s+)"
        );
        Rules { volatile: Regex::new(&kinds).expect("a pattern") }
    }
}

impl Rules {
    /// Whether `found` begins with what is `shown`: how many of its lines that takes, and what stood for what.
    pub(crate) fn begins(&self, shown: &[String], found: &[&str]) -> Result<(usize, Stood), String> {
        let Some((line, rest)) = shown.split_first() else { return Ok((0, Vec::new())) };
        if line.trim() == "…" {
            if rest.is_empty() {
                return Ok((found.len(), Vec::new()));
            }
            let mut why = "there is less than the page shows".to_owned();
            for skipped in 0..=found.len() {
                match self.begins(rest, &found[skipped..]) {
                    Ok((taken, stood)) => return Ok((skipped + taken, stood)),
                    Err(other) => why = other,
                }
            }
            return Err(why);
        }
        let Some((first, others)) = found.split_first() else {
            return Err(format!("the page shows `{line}`, and nothing more came"));
        };
        let mut stood = self
            .line(line, first)
            .ok_or_else(|| format!("the page shows\n      {line}\n    and there was\n      {first}"))?;
        let (taken, more) = self.begins(rest, others)?;
        stood.extend(more);
        Ok((taken + 1, stood))
    }

    /// Whether one line is as shown.
    fn line(&self, shown: &str, found: &str) -> Option<Stood> {
        let (pattern, kept) = self.pattern(shown.trim());
        let found = Regex::new(&pattern).expect("a pattern").captures(found.trim())?;
        Some(kept.into_iter().zip(1..).map(|(shown, n)| (shown, found[n].to_owned())).collect())
    }

    /// The pattern of a shown line, and the texts that its groups stand for.
    fn pattern(&self, shown: &str) -> (String, Vec<String>) {
        let mut pattern = "^".to_owned();
        let mut kept = Vec::new();
        let mut at = 0;
        for kind in self.volatile.captures_iter(shown) {
            let whole = kind.get(0).expect("the whole");
            pattern += &regex::escape(&shown[at..whole.start()]);
            at = whole.end();
            pattern += &self.of_kind(&kind, whole.as_str(), &mut kept);
        }
        pattern += &regex::escape(&shown[at..]);
        (pattern + "$", kept)
    }

    fn of_kind(&self, kind: &Captures<'_>, text: &str, kept: &mut Vec<String>) -> String {
        let is = |name: &str| kind.name(name).is_some();
        match text {
            _ if is("any") => ".*".into(),
            _ if is("time") => TIME.into(),
            _ if is("age") => AGE.into(),
            _ if is("within") => WITHIN.into(),
            _ if is("space") => r"\s+".into(),
            _ if is("node") => {
                kept.push(text.trim_start_matches("node ").into());
                r"node (\S+)".into()
            }
            token if token.contains(|c: char| c.is_ascii_digit()) => {
                kept.push(text.into());
                format!("({TOKEN})")
            }
            words => regex::escape(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(shown: &str, found: &str) -> Result<(usize, Stood), String> {
        let shown: Vec<String> = shown.lines().map(String::from).collect();
        Rules::default().begins(&shown, &found.lines().collect::<Vec<_>>())
    }

    #[test]
    fn what_differs_from_run_to_run_matches_its_kind_only() {
        for (shown, found) in [
            ("a   b", "a b"),
            ("#1 2026-11-21 10:09:59 UTC", "#1 2031-01-02 00:00:00 UTC"),
            ("ready in 3 ms", "ready in 1.2 s"),
            ("ORDERS  1s ago", "ORDERS    now"),
            ("{\"a\":1,…", "{\"a\":1,\"b\":2}"),
            ("a\n…\nz", "a\nb\nc\nz"),
            ("a\n…\nz", "a\nz"),
            ("a\n…", "a\nb\nc"),
            ("node mainpc-7f3a · data", "node my-box.lan-0f0f · data"),
        ] {
            assert!(compare(shown, found).is_ok(), "{shown} {found}");
        }
        for (shown, found) in [
            ("a b", "ab"),
            ("seq=1", "seq=2"),
            ("stored within 1s", "stored within 2s"),
            ("a.c", "abc"),
            ("2026-11-21 10:09:59 UTC", "yesterday"),
            ("a\n…\nz", "a\nb"),
            ("a", ""),
            ("max_deliver_attempts_ever", "max_deliver_attempts_once"),
        ] {
            assert!(compare(shown, found).is_err(), "{shown} {found}");
        }
    }

    #[test]
    fn an_id_that_is_shown_is_known_by_its_real_one() {
        let (lines, stood) = compare(
            "{\"id\":\"01jd0000000000000000000000\"}",
            "{\"id\":\"01ze1111111111111111111111\"}\nmore",
        )
        .unwrap();
        assert_eq!(lines, 1);
        assert_eq!(
            stood,
            [("01jd0000000000000000000000".to_owned(), "01ze1111111111111111111111".to_owned())]
        );
    }
}
