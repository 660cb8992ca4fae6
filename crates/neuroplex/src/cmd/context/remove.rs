//! `neuroplex context rm`: forgets a context.

use serde_json::json;

use super::folder;
use crate::confirm::YesArg;
use crate::context::Name;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;

const EXAMPLES: &str = "\
Examples:
  neuroplex context rm staging
  neuroplex context rm staging --yes";

/// Forget a context
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The context
    name: Name,

    #[command(flatten)]
    yes: YesArg,
}

/// Asks, then removes its file.
pub(super) fn run(global: &Global, args: &Args) -> Result<(), Failure> {
    let folder = folder()?;
    let name = &args.name;
    if !folder.has(name) {
        return Err(folder.absent(name));
    }
    args.yes.confirm(&format!("forget context `{name}`, with the credentials in it"))?;
    let was_chosen = folder.remove(name)?;
    print(&match (global.json, was_chosen) {
        (true, _) => {
            json!({ "context": name.to_string(), "deleted": true, "wasChosen": was_chosen }).to_string()
        }
        (false, false) => format!("context {name} is forgotten"),
        (false, true) => format!("context {name} is forgotten; it was the chosen one, and none is now"),
    })
}
