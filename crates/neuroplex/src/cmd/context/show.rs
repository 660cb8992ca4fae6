//! `neuroplex context show`: where commands go, with whom, and who said so.

use serde_json::{Map, Value, json};

use crate::context::{Aim, Name};
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;
use crate::table::Columns;

const EXAMPLES: &str = "\
Examples:
  neuroplex context show       # what counts now
  neuroplex context show prod  # what would count with --context prod
  neuroplex context show --json | jq -r .config.server";

/// Show where commands go, and who said so; secrets are hidden
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The context, as if --context named it
    name: Option<Name>,
}

/// Shows every value in force with its origin.
pub(super) fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let global = Global { context: args.name.or_else(|| global.context.clone()), ..global.clone() };
    let aim = Aim::of(&global)?;
    let rows = aim.values.rows();
    let origin = |key: &str| aim.origins.get(key).map(ToString::to_string).unwrap_or_default();
    if global.json {
        let config: Map<String, Value> =
            rows.iter().map(|(key, value)| ((*key).into(), json!(value))).collect();
        let origins: Map<String, Value> =
            rows.iter().map(|(key, _)| ((*key).into(), json!(origin(key)))).collect();
        let (name, from) = aim.context.as_ref().map(|(n, f)| (n.to_string(), f.to_string())).unzip();
        let answer = json!({
            "context": name, "from": from,
            "aside": aim.aside.as_ref().map(Name::to_string), "config": config, "origins": origins,
        });
        return print(&answer.to_string());
    }
    let head = match (&aim.context, &aim.aside) {
        (Some((name, from)), _) => format!("context {name} ({from})"),
        (None, Some(name)) => format!("no context: {} comes before context {name}", origin("server")),
        (None, None) => "no context".into(),
    };
    let mut table = Columns::new(&["key", "value", "from"]);
    for (key, value) in rows {
        table.row([key.into(), value, origin(key)]);
    }
    print(&format!("{head}\n{}", table.text("")))
}
