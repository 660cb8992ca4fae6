//! `neuroplex stream get`: one message of a stream.

use client::jetstream::Stored;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::Output;
use crate::streams::{connect, moment};
use crate::text;

const EXAMPLES: &str = "\
Examples:
  neuroplex stream get ORDERS 17
  neuroplex stream get ORDERS --last-for orders.new
  neuroplex stream get ORDERS 17 --raw > body.bin  # the content as it is";

/// Show one message of a stream
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The stream
    stream: String,

    /// The message's number
    #[arg(value_name = "SEQ", required_unless_present = "last_for")]
    seq: Option<u64>,

    /// The last message of this subject instead
    #[arg(long, value_name = "SUBJECT", conflicts_with = "seq")]
    last_for: Option<String>,

    /// The content as it is, and nothing else
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

/// Reads and shows.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let context = connect(global, "stream").await?;
    let stream = context.stream(&args.stream)?;
    let stored = match (&args.last_for, args.seq) {
        (Some(subject), _) => stream.last_message(subject).await?,
        (None, seq) => stream.message(seq.unwrap_or_default()).await?,
    };
    let mut out = Output::new();
    if args.raw {
        out.bytes(&stored.message.payload)?;
    } else if global.json {
        out.line(&json(&args.stream, &stored))?;
    } else {
        out.line(&format!("#{} {}", stored.seq, moment(stored.time)))?;
        out.line(&text::message(&stored.message))?;
    }
    out.flush()
}

/// A message with where it stands, as one line of JSON.
fn json(stream: &str, stored: &Stored) -> String {
    format!(
        r#"{{"stream":{},"seq":{},"time":"{}","message":{}}}"#,
        serde_json::json!(stream),
        stored.seq,
        stored.time,
        wire::json::write(&stored.message.as_msg())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_where_it_stands_is_json() {
        let message =
            client::Message { subject: "a".into(), payload: "{\"n\":1}".into(), ..Default::default() };
        let stored = Stored { seq: 7, time: client::jetstream::Time(0), message };
        let value: serde_json::Value = serde_json::from_str(&json("S", &stored)).unwrap();
        assert_eq!((&value["seq"], &value["message"]["payload"]["n"]), (&7.into(), &1.into()));
    }
}
