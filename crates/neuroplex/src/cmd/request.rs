//! `neuroplex request`: asks, and prints the first answer.

use std::time::Duration;

use client::{Headers, Message, Msg};
use kernel::Code;

use crate::body::BodyArgs;
use crate::failure::Failure;
use crate::global::Global;
use crate::link::Link;
use crate::output::Output;
use crate::progress::waiting;
use crate::service;

const EXAMPLES: &str = "\
Examples:
  neuroplex request sum '1 2'
  neuroplex request models.echo - --timeout-ms 30000 < prompt.txt
  neuroplex request sum '1 2' --json  # the whole answer, with its headers";

/// Ask, and print the first answer
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Whom to ask
    subject: String,

    #[command(flatten)]
    body: BodyArgs,

    /// How long to wait for the answer
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    timeout_ms: u64,
}

/// Prints the answer's payload as it is, or the whole answer as JSON. An answer that says that the service failed is
/// a failure with the service's code.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let content = args.body.content().await?;
    let link = Link::once(global, "request").await?;
    let question = Msg {
        subject: args.subject.as_bytes(),
        headers: &content.headers,
        payload: &content.payload,
        ..Msg::default()
    };
    let asked = link.client.request(question, Duration::from_millis(args.timeout_ms));
    let answer = waiting(global.json, "waiting for the answer", asked).await?;
    show(&answer, global.json)?;
    match service::error(Headers::new(&answer.headers)) {
        None => Ok(()),
        Some((code, text)) => Err(Failure::new(
            code.unwrap_or(Code::InternalError),
            format!(
                "the service on `{}` answered with an error: {text}. Look at the service's own output.",
                args.subject
            ),
        )),
    }
}

fn show(answer: &Message, json: bool) -> Result<(), Failure> {
    let mut out = Output::new();
    match json {
        true => out.line(&wire::json::write(&answer.as_msg()))?,
        false => out.content(&answer.payload)?,
    }
    out.flush()
}
