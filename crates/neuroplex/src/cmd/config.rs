//! `neuroplex config`: what a node would be started with, who said it, and what could be said.

use node::{Config, schema};

use crate::cmd::up::NodeArgs;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;

const SHOW_EXAMPLES: &str = "\
Examples:
  neuroplex config show  # every key, its value, and who said it
  NEUROPLEX_NATS_SPIN_US=0 neuroplex config show --nats off
  neuroplex config show --json | jq .config.nats.listen";

const CHECK_EXAMPLES: &str = "\
Examples:
  neuroplex config check --config neuroplex.toml
  neuroplex config check --config neuroplex.toml && systemctl reload neuroplex";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  neuroplex config schema > neuroplex.schema.json
  neuroplex config schema | jq .properties.nats

Editors that read TOML schemas check a file that begins with this line:
#:schema ./neuroplex.schema.json";

/// Show or check the configuration
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neuroplex config show  # every key, its value, and who said it
  neuroplex config check --config neuroplex.toml
  neuroplex config schema > neuroplex.schema.json

Later wins: defaults, --profile, --config, environment (nats.listen is
NEUROPLEX_NATS_LISTEN), flags.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Print the configuration in force as TOML, each value with its origin; secrets are hidden
    #[command(after_help = SHOW_EXAMPLES)]
    Show(NodeArgs),
    /// Say whether a node would start with it; addresses and certificates are looked at, nothing is opened
    #[command(after_help = CHECK_EXAMPLES)]
    Check(NodeArgs),
    /// Print the JSON Schema of the file: every key with its meaning, unit, default, bounds, and whether a running node
    /// takes a new value
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema {
        /// The table of the guide instead
        #[arg(long, hide = true)]
        table: bool,
    },
}

/// Shows or checks.
pub(crate) fn run(global: &Global, args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Show(node) => {
            let (config, origins) = Config::load_with_origins(&node.sources())?;
            match global.json {
                true => print(&config.to_json(&origins).to_string()),
                false => print(config.to_toml(&origins).trim_end()),
            }
        }
        Command::Check(node) => {
            Config::load(&node.sources())?;
            match global.json {
                true => print(r#"{"ok":true}"#),
                false => print("✓ the configuration makes sense"),
            }
        }
        Command::Schema { table: true } => print(schema::table().trim_end()),
        Command::Schema { table: false } => print(&format!("{:#}", schema::schema())),
    }
}
