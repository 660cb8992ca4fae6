//! `neuroplex pub`: publishes, and ends when the server has it.

use client::Msg;
use serde_json::json;

use crate::body::BodyArgs;
use crate::failure::Failure;
use crate::global::Global;
use crate::link::Link;
use crate::output::print;
use crate::text::count;

const EXAMPLES: &str = "\
Examples:
  neuroplex pub events.hello '{\"hi\":1}'
  neuroplex pub tasks.plan -H Np-Type:command -H 'Color: blue' 'make tea'
  cat photo.jpg | neuroplex pub photos.new -
  neuroplex pub load.test x --count 100000";

/// Publish a message
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where it goes, such as events.hello
    subject: String,

    #[command(flatten)]
    body: BodyArgs,

    /// Where answers go
    #[arg(long, value_name = "SUBJECT")]
    reply: Option<String>,

    /// How many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
}

/// Publishes and waits until the server has read it.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let content = args.body.content().await?;
    let message = Msg {
        subject: args.subject.as_bytes(),
        reply: args.reply.as_deref().unwrap_or_default().as_bytes(),
        headers: &content.headers,
        payload: &content.payload,
        shared: None,
        from: None,
    };
    let link = Link::once(global, "pub").await?;
    for _ in 0..args.count {
        link.client.publish(message).await?;
    }
    link.flush().await?;
    print(&match global.json {
        true => {
            json!({ "subject": args.subject, "messages": args.count, "bytes": message.size() }).to_string()
        }
        false => format!(
            "{} of {} to {}",
            count(args.count, "message"),
            count(message.size() as u64, "byte"),
            args.subject
        ),
    })
}
