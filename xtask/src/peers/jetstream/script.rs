//! A file of JetStream cases: what is asked, in which order. Each case begins with no stream at all.
//!
//! | line | meaning |
//! |---|---|
//! | `# words` | a comment; the first says what the file is about |
//! | `each` | what follows is done at the start of every case, unheard |
//! | `case NAME` | what follows belongs to this case |
//! | `ask SUBJECT BODY` | a request; waits for its answer |
//! | `ask*3 SUBJECT BODY` | … for three answers |
//! | `begin SUBJECT BODY` | a request whose answers are told at the end |
//! | `send SUBJECT BODY` | a publish without a reply subject |
//! | `with NAME: VALUE` | a header of the request that follows |
//! | `reply 2 BODY` | publishes to the reply subject of the second message that had one |
//! | `reply*1 2 BODY` | the same as a request; waits for so many answers |
//! | `hear SUBJECT`, `hear SUBJECT in QUEUE` | subscribes; what comes is told at the end |
//! | `take 3` | waits until three messages in all came to `begin` and `hear` |
//! | `quiet 300` | waits so many milliseconds |
//!
//! A body is the rest of the line, taken as it is but for `{x*100}`, a hundred times x, and `{now+5}`, `{now-5}`, the
//! time in five seconds and five seconds ago.

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// A request and how many answers it waits for; none: they are told at the end.
    Ask {
        answers: Option<usize>,
        subject: String,
        body: String,
    },
    Send {
        subject: String,
        body: String,
    },
    With(String),
    /// To the reply subject of that message, counted from 0.
    Reply {
        answers: usize,
        to: usize,
        body: String,
    },
    Hear {
        subject: String,
        queue: String,
    },
    Take(usize),
    Quiet(u64),
}

/// A named sequence of steps, each with its line.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) steps: Vec<(String, Step)>,
}

/// A parsed file.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) each: Case,
    pub(crate) cases: Vec<Case>,
}

impl Script {
    /// Reads a file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        if !text.starts_with("# ") {
            return Err("no comment says what it is about".into());
        }
        for (at, line) in text.lines().enumerate() {
            script.line(line).map_err(|why| format!("line {}: {why}", at + 1))?;
        }
        Ok(script)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') || line == "each" {
            return Ok(());
        }
        if let Some(name) = line.strip_prefix("case ") {
            if self.cases.iter().any(|case| case.name == name) {
                return Err(format!("a second case is called `{name}`"));
            }
            self.cases.push(Case { name: name.into(), steps: Vec::new() });
            return Ok(());
        }
        let step = step(line).ok_or(format!("`{line}` is no step"))?;
        self.cases.last_mut().unwrap_or(&mut self.each).steps.push((line.into(), step));
        Ok(())
    }
}

fn step(line: &str) -> Option<Step> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (verb, count) = match word.split_once('*') {
        Some((verb, count)) => (verb, Some(count.parse().ok()?)),
        None => (word, None),
    };
    let (first, body) = rest.split_once(' ').unwrap_or((rest, ""));
    let (subject, body) = (first.to_owned(), body.to_owned());
    match (verb, count) {
        ("ask", count) if !first.is_empty() => {
            Some(Step::Ask { answers: Some(count.unwrap_or(1)), subject, body })
        }
        ("begin", None) if !first.is_empty() => Some(Step::Ask { answers: None, subject, body }),
        ("send", None) if !first.is_empty() => Some(Step::Send { subject, body }),
        ("with", None) => rest.contains(':').then(|| Step::With(rest.into())),
        ("reply", count) => Some(Step::Reply {
            answers: count.unwrap_or(0),
            to: first.parse::<usize>().ok()?.checked_sub(1)?,
            body,
        }),
        ("hear", None) => {
            Some(Step::Hear { subject, queue: body.strip_prefix("in ").unwrap_or_default().into() })
        }
        ("take", None) => Some(Step::Take(rest.parse().ok()?)),
        ("quiet", None) => Some(Step::Quiet(rest.parse().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_case_by_case() {
        let script = Script::parse(
            "# About.\n\neach\nask A {}\n\ncase one\nwith K: v\nask*2 B {\"a\": 1}\nreply 1 -NAK {}\n\ncase two\nhear d in g\ntake 2\n",
        )
        .unwrap();
        assert_eq!(script.each.steps.len(), 1);
        let steps: Vec<&Step> =
            script.cases.iter().flat_map(|case| &case.steps).map(|(_, step)| step).collect();
        assert_eq!(
            steps,
            [
                &Step::With("K: v".into()),
                &Step::Ask { answers: Some(2), subject: "B".into(), body: "{\"a\": 1}".into() },
                &Step::Reply { answers: 0, to: 0, body: "-NAK {}".into() },
                &Step::Hear { subject: "d".into(), queue: "g".into() },
                &Step::Take(2),
            ]
        );
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for text in ["ask A\n", "# x\nsing\n", "# x\nask\n", "# x\nreply 0 +ACK\n", "# x\ncase a\ncase a\n"] {
            assert!(Script::parse(text).is_err(), "{text}");
        }
    }
}
