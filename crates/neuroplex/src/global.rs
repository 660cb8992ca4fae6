//! What every command takes.

use std::path::PathBuf;

/// Options of all commands.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Write JSON for programs: results on stdout, errors on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Where the server is
    #[arg(
        help = "Server: nats://[user:password@|token@]host[:port] or tls://…; several joined by commas",
        long,
        global = true,
        value_name = "URL",
        env = "NEUROPLEX_SERVER",
        hide_env_values = true,
        default_value = "nats://127.0.0.1:4222"
    )]
    pub(crate) server: String,

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

impl Global {
    /// Whether anything here asks for TLS.
    pub(crate) fn asks_for_tls(&self) -> bool {
        let files = [&self.tls_ca, &self.tls_cert, &self.tls_key];
        self.tls_first || files.iter().any(|f| f.is_some()) || self.server.contains("tls://")
    }
}
