//! `neuroplex context ls`: every context.

use serde_json::{Value, json};

use super::folder;
use crate::context::bare;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::table::Columns;

const EXAMPLES: &str = "\
Examples:
  neuroplex context ls  # the chosen one has a star
  neuroplex context ls --json";

/// List the contexts
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {}

/// Lists them by name; one that cannot be used says so, and the others are shown all the same.
pub(super) fn run(global: &Global, _: &Args) -> Result<(), Failure> {
    let folder = folder()?;
    let chosen = folder.chosen()?;
    let mut rows = Vec::new();
    let mut table = Columns::new(&["", "name", "server", "user", "description"]);
    for name in folder.names()? {
        let is_chosen = chosen.as_ref() == Some(&name);
        let star = if is_chosen { "*" } else { "" };
        match folder.read(&name) {
            Ok(context) => {
                let who = context.user.clone().or_else(|| context.has_token().then(|| "(token)".to_owned()));
                rows.push(json!({
                    "name": name.to_string(), "chosen": is_chosen, "server": bare(&context.server),
                    "user": context.user, "description": context.description,
                }));
                let description = context.description.unwrap_or_default();
                let who = who.unwrap_or_else(|| "-".into());
                table.row([star.into(), name.to_string(), bare(&context.server), who, description]);
            }
            Err(failure) => {
                let why = failure.line(false).unwrap_or_default();
                rows.push(json!({ "name": name.to_string(), "chosen": is_chosen, "error": why }));
                table.row([star.into(), name.to_string(), why, String::new(), String::new()]);
            }
        }
    }
    print(&match global.json {
        true => Value::Array(rows).to_string(),
        false => table.text("no contexts"),
    })
}
