//! `neuroplex context add`: keeps a server under a name.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use kernel::Code;
use serde_json::json;

use super::folder;
use crate::context::{Context, Name};
use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;

const EXAMPLES: &str = "\
Examples:
  neuroplex context add local --server nats://127.0.0.1:4222
  neuroplex context add prod --server tls://fabric.example:4222 --user ann \\
    --tls-ca ca.pem --password-file ~/.prod-password --use
  pass show prod | neuroplex context add prod --token - --replace \\
    --server tls://fabric.example

What is said by --server, --tls-ca, --tls-cert, --tls-key and --tls-first is
part of the context. A secret that is given as `-` is read from stdin, so that
it stands in no history and no list of processes.";

/// Longest secret on stdin, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Keep a server under a name
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to call it
    name: Name,

    /// Who we are there
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// The user's password; `-` reads stdin
    #[arg(long, value_name = "TEXT|-", allow_hyphen_values = true)]
    password: Option<String>,

    /// A file with the password, read at each connection
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// A token, instead of a user; `-` reads stdin
    #[arg(long, value_name = "TEXT|-", allow_hyphen_values = true)]
    token: Option<String>,

    /// A file with the token, read at each connection
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// What people should know of it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Replace one that is there
    #[arg(long)]
    replace: bool,

    /// Choose it, too
    #[arg(long = "use")]
    choose: bool,
}

/// Writes it once it makes sense.
pub(super) fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let wrong = |what: String| Failure::new(Code::InvalidRequest, what);
    let folder = folder()?;
    let Args { name, user, password, password_file, token, token_file, description, replace, choose } = args;
    if folder.has(&name) && !replace {
        let text =
            format!("there is a context `{name}` already. Replace it with --replace, or take another name.");
        return Err(Failure::new(Code::Conflict, text));
    }
    let Some(server) = global.server.clone() else {
        return Err(wrong("a context needs a server. Add --server URL.".into()));
    };
    let mut context = Context {
        description,
        server,
        user,
        password: password.map(secret).transpose()?,
        password_file,
        token: token.map(secret).transpose()?,
        token_file,
        tls_ca: global.tls_ca.clone(),
        tls_cert: global.tls_cert.clone(),
        tls_key: global.tls_key.clone(),
        tls_first: global.tls_first,
    };
    context.check().map_err(|why| wrong(format!("{why}.")))?;
    let here = std::env::current_dir().map_err(|e| wrong(format!("this folder cannot be named: {e}.")))?;
    context.anchor(&here);
    for path in
        [&context.password_file, &context.token_file, &context.tls_ca, &context.tls_cert, &context.tls_key]
    {
        path.as_deref().map_or(Ok(()), readable)?;
    }
    folder.write(&name, &context)?;
    if choose {
        folder.choose(Some(&name))?;
    }
    let path = folder.path(&name);
    print(&match global.json {
        true => json!({ "context": name.to_string(), "file": path, "chosen": choose }).to_string(),
        false => {
            let next = match choose {
                true => "every command goes there now".to_owned(),
                false => format!("`neuroplex context use {name}` chooses it"),
            };
            format!("context {name} is kept in {}; {next}", path.display())
        }
    })
}

/// The text as it is, or the first line of stdin.
fn secret(text: String) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text);
    }
    let mut all = String::new();
    let wrong = |what: &str| Failure::new(Code::InvalidRequest, format!("{what}. Give the secret on stdin."));
    let read = std::io::stdin().take(SECRET_BYTES_MAX).read_to_string(&mut all);
    read.map_err(|e| wrong(&format!("the secret cannot be read: {e}")))?;
    match all.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(wrong("stdin has no secret")),
    }
}

fn readable(path: &Path) -> Result<(), Failure> {
    let open = File::open(path).map(drop);
    open.map_err(|e| {
        let text = format!("`{}` cannot be read: {e}. Check the path and its rights.", path.display());
        Failure::new(Code::InvalidRequest, text)
    })
}
