//! `neuroplex object get`: reads an object into a file, or to stdout.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use client::jetstream::object::{Info, Store};
use kernel::Code;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

use crate::failure::Failure;
use crate::global::Global;
use crate::link::Stop;
use crate::output::print;
use crate::progress::Progress;
use crate::streams::connect;
use crate::units::size;

const EXAMPLES: &str = "\
Examples:
  neuroplex object get photos tea.jpg  # into ./tea.jpg
  neuroplex object get photos 2026/tea.jpg --output copy.jpg
  neuroplex object get backups folder.tar --output - | tar x

The file appears when everything has come and its digest is right. On stdout it
comes as it is read: look at the exit code before you believe it.";

/// Read an object into a file
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket
    bucket: String,

    /// The object
    name: String,

    /// Where to; `-`: stdout [default: the last part of its name, in this folder]
    #[arg(short, long, value_name = "FILE|-")]
    output: Option<PathBuf>,

    /// Replace a file that exists
    #[arg(short, long)]
    force: bool,
}

/// Streams it, and compares its digest.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    if args.output.as_ref().is_some_and(|path| path.as_os_str() == "-") {
        return to_stdout(global, &args).await;
    }
    let path = match &args.output {
        Some(path) => path.clone(),
        None => own_name(&args.name)?,
    };
    if !args.force && fs::try_exists(&path).await.unwrap_or(false) {
        let text = format!("`{}` exists. Add --force to replace it, or --output FILE.", path.display());
        return Err(Failure::new(Code::InvalidRequest, text));
    }
    let context = connect(global, "object").await?;
    let store = Store::open(&context, &args.bucket).await?;
    let half = half_there(&path);
    let done = async {
        let info = to_file(global, &store, &args.name, &half).await?;
        fs::rename(&half, &path).await.map_err(|e| unwritable(&path, &e))?;
        Ok(info)
    };
    let mut stop = Stop::listen()?;
    let done: Result<Info, Failure> = tokio::select! {
        done = done => done,
        () = stop.wanted() => {
            Err(Failure::new(Code::InvalidRequest, "stopped before the end; no file was written."))
        }
    };
    let info = match done {
        Ok(info) => info,
        Err(failure) => {
            _ = fs::remove_file(&half).await;
            return Err(failure);
        }
    };
    print(&match global.json {
        true => serde_json::json!(info).to_string(),
        false => format!("{}: {}, {}", path.display(), size(info.size), info.digest),
    })
}

async fn to_file(global: &Global, store: &Store, name: &str, path: &Path) -> Result<Info, Failure> {
    let (_, info) = store.resolve(name).await?;
    let mut file = File::create(path).await.map_err(|e| unwritable(path, &e))?;
    let progress = Progress::new(global.json, name, Some(info.size));
    let info = store.get(name, &mut file, |bytes| progress.at(bytes)).await?;
    file.shutdown().await.map_err(|e| unwritable(path, &e))?;
    Ok(info)
}

async fn to_stdout(global: &Global, args: &Args) -> Result<(), Failure> {
    let context = connect(global, "object").await?;
    let store = Store::open(&context, &args.bucket).await?;
    match store.get(&args.name, &mut tokio::io::stdout(), |_| {}).await {
        Err(client::Error::Io { kind: io::ErrorKind::BrokenPipe, .. }) => Err(Failure::PipeClosed),
        done => done.map(drop).map_err(Into::into),
    }
}

/// The last part of an object's name, so that no name leads out of this folder.
fn own_name(name: &str) -> Result<PathBuf, Failure> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    match last.is_empty() || last == "." || last == ".." || last.contains('\0') {
        false => Ok(last.into()),
        true => Err(Failure::new(
            Code::InvalidRequest,
            format!("`{}` is no file's name. Say where to: --output FILE.", crate::text::plain(name)),
        )),
    }
}

/// Beside the file, so that it can be given its name in one step.
fn half_there(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

fn unwritable(path: &Path, e: &io::Error) -> Failure {
    let text = format!("cannot write `{}`: {e}. Check the path, its rights and free space.", path.display());
    Failure::new(Code::InvalidRequest, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for (name, file) in [("tea.jpg", "tea.jpg"), ("2026/tea.jpg", "tea.jpg"), ("/etc/passwd", "passwd")] {
            assert_eq!(own_name(name).unwrap(), PathBuf::from(file));
        }
        for bad in ["..", "a/..", "a/", "/", "."] {
            assert!(own_name(bad).is_err(), "{bad}");
        }
        assert!(half_there(Path::new("x/tea.jpg")).starts_with("x"));
    }
}
