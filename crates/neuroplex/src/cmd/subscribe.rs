//! `neuroplex sub`: shows what arrives, until it is stopped or has seen enough.

use crate::failure::Failure;
use crate::global::Global;
use crate::link::{self, Link, Stop};
use crate::output::{Output, reader_gone};
use crate::text;

const EXAMPLES: &str = "\
Examples:
  neuroplex sub 'events.>'
  # share the messages with others of the group
  neuroplex sub 'tasks.*' --queue workers
  neuroplex sub events.hello --max 1 --json  # one message, as JSON, then end";

/// Show the messages that arrive
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which subjects: `*` stands for one word between dots, `>` for all that follow (quote them)
    pattern: String,

    /// Share the messages with the others of this group
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,

    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
}

/// Prints messages until `--max`, Ctrl-C or SIGTERM. What is on its way when the signal comes is still shown.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let link = Link::stay(global, "sub").await?;
    let mut messages = link.client.subscribe(&args.pattern, args.queue.as_deref())?;
    if let Some(max) = args.max {
        messages.unsubscribe_after(max);
    }
    link.flush().await?;
    link::notice(
        global.json,
        "listening",
        &format!("listening on {} at {}", args.pattern, link.client.server()),
    );

    let mut out = Output::new();
    let mut gone = reader_gone();
    let mut stopping = false;
    loop {
        let next = tokio::select! {
            next = messages.next() => next,
            Ok(()) = &mut gone => return Err(Failure::PipeClosed),
            () = stop.wanted() => {
                if stopping {
                    break;
                }
                stopping = true;
                messages.drain();
                continue;
            }
        };
        let mut next = next;
        let Some(_) = next else { break };
        // What has already come is shown in one go.
        while let Some(m) = next {
            out.line(&if global.json { wire::json::write(&m.as_msg()) } else { text::message(&m) })?;
            next = messages.try_next();
        }
        out.flush()?;
    }
    if let Some(why) = messages.error() {
        return Err(why.clone().into());
    }
    if messages.dropped() > 0 {
        let dropped = text::count(messages.dropped(), "message");
        link::notice(
            global.json,
            "dropped",
            &format!("{dropped} dropped because they were not read fast enough"),
        );
    }
    // The messages are shown; that the server may be gone by now changes nothing.
    _ = link.client.close().await;
    Ok(())
}
