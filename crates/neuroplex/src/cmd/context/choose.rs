//! `neuroplex context use`: chooses the context of every command that names none.

use serde_json::json;

use super::folder;
use crate::context::{Aim, Name, Origin};
use crate::failure::Failure;
use crate::global::Global;
use crate::link::notice;
use crate::output::print;

const EXAMPLES: &str = "\
Examples:
  neuroplex context use prod
  # back to NEUROPLEX_SERVER or nats://127.0.0.1:4222
  neuroplex context use --none";

/// Choose the context of every command that names none
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The context
    #[arg(required_unless_present = "none")]
    name: Option<Name>,

    /// Choose none
    #[arg(long, conflicts_with = "name")]
    none: bool,
}

/// Chooses it, if it can be used.
pub(super) fn run(global: &Global, args: &Args) -> Result<(), Failure> {
    let folder = folder()?;
    let server = args.name.as_ref().map(|name| folder.read(name)).transpose()?;
    folder.choose(args.name.as_ref())?;
    // Something nearer may still say where commands go.
    let aim = Aim::of(&Global { server: None, context: None, ..global.clone() })?;
    if let Some(Origin::Variable(name)) = aim.context.as_ref().map(|c| &c.1).or(aim.origins.get("server")) {
        notice(global.json, "nearer", &format!("{name} is set in this shell, and comes before it"));
    }
    print(&match (&args.name, server, global.json) {
        (name, _, true) => json!({ "context": name.as_ref().map(Name::to_string) }).to_string(),
        (Some(name), Some(context), false) => {
            format!("commands go to context {name} now: {}", crate::context::bare(&context.server))
        }
        _ => "no context is chosen now".into(),
    })
}
