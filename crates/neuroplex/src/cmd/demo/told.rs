//! What the demo says: a line for a person, an event for a program. Whether it is true is *not* known here: whoever calls
//! has checked it.

use std::time::{Duration, Instant};

use kernel::Code;
use serde_json::{Value, json};

use super::worker::{Report, Said};
use crate::failure::Failure;
use crate::output::print;

/// The narrator.
#[derive(Clone, Copy)]
pub(super) struct Told {
    json: bool,
    pause: Duration,
    began: Instant,
}

impl Told {
    pub(super) fn new(json: bool, pause: Duration) -> Told {
        Told { json, pause, began: Instant::now() }
    }

    /// How long it has gone on.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn title(&self) -> Result<(), Failure> {
        let version = env!("CARGO_PKG_VERSION");
        let title = format!("neuroplex {version} demo: durable streams, and what a kill does to them");
        self.say("demo", json!({ "version": version }), &title)
    }

    /// What is shown next, after a moment for reading.
    pub(super) async fn act(&self, number: u32, title: &str) -> Result<(), Failure> {
        tokio::time::sleep(self.pause).await;
        self.say("act", json!({ "number": number, "title": title }), &format!("\n{number}. {title}"))
    }

    /// Something that was promised and is so.
    pub(super) fn holds(&self, event: &str, fields: Value, text: &str) -> Result<(), Failure> {
        self.say(event, fields, &format!(" ✓ {text}"))
    }

    /// Something that happens.
    pub(super) fn happens(&self, event: &str, fields: Value, text: &str) -> Result<(), Failure> {
        self.say(event, fields, &format!("   {text}"))
    }

    /// The last thing that holds.
    pub(super) fn end(&self, event: &str, fields: Value, text: &str) -> Result<(), Failure> {
        self.holds(event, fields, text)
    }

    /// What a worker does.
    pub(super) fn report(&self, report: &Report) -> Result<(), Failure> {
        let Report { worker, said } = report;
        match said {
            Said::Took { job, attempt, steps, .. } => {
                let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
                let fields = json!({ "worker": worker, "job": job, "attempt": attempt, "steps": steps });
                self.happens("took", fields, &format!("{worker:<5} takes job {job}, {steps} steps{again}"))
            }
            // For programs; a person sees enough.
            Said::Step { job, step, .. } if self.json => {
                self.happens("step", json!({ "worker": worker, "job": job, "step": step }), "")
            }
            Said::Done { job, attempt } => {
                let fields = json!({ "worker": worker, "job": job, "attempt": attempt });
                self.happens("done", fields, &format!("{worker:<5} has done job {job}"))
            }
            Said::Stale { job } => {
                let fields = json!({ "worker": worker, "job": job, "code": Code::StaleLease.number() });
                self.happens("stale", fields, &format!("{worker:<5} was too late with job {job}"))
            }
            Said::Ready | Said::Step { .. } | Said::Ended => Ok(()),
        }
    }

    /// What to try next.
    pub(super) fn next(&self) -> Result<(), Failure> {
        match self.json {
            true => Ok(()),
            false => print(
                "\nTry next:
  neuroplex up                                             a node that stays
  neuroplex stream add JOBS --subjects 'jobs.>' --retention workqueue
  neuroplex pub jobs.first '{\"hello\":1}' --ack
  neuroplex consumer add JOBS workers && neuroplex consumer next JOBS workers
  neuroplex explain 6004                                   what a stale lease is",
            ),
        }
    }

    fn say(&self, event: &str, fields: Value, text: &str) -> Result<(), Failure> {
        if !self.json {
            return print(text);
        }
        let mut line = json!({ "event": event, "ms": self.began.elapsed().as_millis() as u64 });
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
            let text = text.trim().trim_start_matches("✓ ");
            if !text.is_empty() {
                line.insert("text".into(), text.into());
            }
        }
        print(&line.to_string())
    }
}

/// What did not happen as it was promised.
pub(super) fn untrue(what: impl AsRef<str>) -> Failure {
    let what = what.as_ref();
    Failure::new(Code::InternalError, format!("the demo does not show what it promises: {what}."))
}
