//! `neuroplex config`: what a node would be started with.

use crate::cmd::up::NodeArgs;
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;

/// Show or check the configuration
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  neuroplex config show                       every key with the value in force
  neuroplex config check --config neuroplex.toml

Later wins: defaults, --profile, --config, environment (nats.listen is NEUROPLEX_NATS_LISTEN), flags.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Print the configuration in force, as TOML; secrets are hidden
    Show(NodeArgs),
    /// Say whether a node would start with it; addresses and certificates are looked at, nothing is opened
    Check(NodeArgs),
}

/// Shows or checks.
pub(crate) fn run(global: &Global, args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Show(node) => {
            let config = node.load()?;
            match global.json {
                true => print(&config.to_json()),
                false => print(config.to_toml().trim_end()),
            }
        }
        Command::Check(node) => {
            node.load()?;
            match global.json {
                true => print(r#"{"ok":true}"#),
                false => print("✓ the configuration makes sense"),
            }
        }
    }
}
