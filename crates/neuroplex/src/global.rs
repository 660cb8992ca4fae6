//! What every command takes. What counts where flags say nothing is settled in [`crate::context::Aim`].

use std::path::PathBuf;

use crate::context::Name;

/// Options of all commands.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Write JSON for programs: results on stdout, errors on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Where the server is
    #[arg(
        help = "Server: nats://[user:password@|token@]host[:port] or tls://…; several joined by commas [env: NEUROPLEX_SERVER] [default: that of the context, or nats://127.0.0.1:4222]",
        long,
        global = true,
        value_name = "URL"
    )]
    pub(crate) server: Option<String>,

    /// A server with its credentials and certificates, kept under a name: `neuroplex context --help` [env:
    /// NEUROPLEX_CONTEXT]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<Name>,

    /// Trust the authorities in this PEM file [default: the operating system's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Show the server this PEM certificate; needs --tls-key
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The PEM key of --tls-cert
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Speak TLS from the first byte, to servers that want it so
    #[arg(long, global = true)]
    pub(crate) tls_first: bool,
}
