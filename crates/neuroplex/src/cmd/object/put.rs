//! `neuroplex object put`: stores a file, or what comes on stdin.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{self, Poll};

use client::jetstream::Context;
use client::jetstream::object::{Meta, Store, StoreConfig};
use kernel::Code;
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

use crate::failure::Failure;
use crate::global::Global;
use crate::link::{self, Stop};
use crate::output::print;
use crate::progress::Progress;
use crate::streams::connect;
use crate::units::size;

const EXAMPLES: &str = "\
Examples:
  neuroplex object put photos tea.jpg
  neuroplex object put photos tea.jpg --name 2026/tea.jpg
  tar c folder | neuroplex object put backups - --name folder.tar

A bucket that does not exist is made. An object of the same name is replaced
once the new one is there in full.";

/// Store a file
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The bucket
    bucket: String,

    /// The file; `-` reads stdin
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// What to call it [default: the file's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// What people should know of it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
}

/// Streams it there and says its size and digest.
pub(super) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let from_stdin = args.file.as_os_str() == "-";
    let name = match (args.name, args.file.file_name()) {
        (Some(name), _) => name,
        (None, Some(name)) if !from_stdin => name.to_string_lossy().into_owned(),
        _ => {
            let what = "what comes on stdin has no name of its own. Give it one: --name NAME.";
            return Err(Failure::new(Code::InvalidRequest, what));
        }
    };
    let (source, bytes): (Box<dyn AsyncRead + Unpin>, Option<u64>) = match from_stdin {
        true => (Box::new(tokio::io::stdin()), None),
        false => {
            let (file, bytes) = open(&args.file).await?;
            (Box::new(file), bytes)
        }
    };
    let context = connect(global, "object").await?;
    let store = bucket(&context, &args.bucket, global.json).await?;
    let meta = Meta { description: args.description, ..Meta::new(name) };
    let mut stop = Stop::listen()?;
    let mut source = UntilStopped { source, stopped: Box::pin(async move { stop.wanted().await }) };
    let info = {
        let progress = Progress::new(global.json, &meta.name, bytes);
        store.put(meta, &mut source, |bytes| progress.at(bytes)).await?
    };
    print(&match global.json {
        true => serde_json::json!(info).to_string(),
        false => format!("{}: {}, {}", crate::text::plain(&info.name), size(info.size), info.digest),
    })
}

/// A source that breaks off when the user wants to stop, so that what is half there is removed.
struct UntilStopped<R> {
    source: R,
    stopped: Pin<Box<dyn Future<Output = ()>>>,
}

impl<R: AsyncRead + Unpin> AsyncRead for UntilStopped<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.stopped.as_mut().poll(cx) {
            Poll::Ready(()) => {
                Poll::Ready(Err(io::Error::other("stopped before the end; nothing was stored")))
            }
            Poll::Pending => Pin::new(&mut self.source).poll_read(cx, buf),
        }
    }
}

async fn open(path: &PathBuf) -> Result<(File, Option<u64>), Failure> {
    let wrong = |e| {
        let text = format!("cannot read `{}`: {e}. Check the path and its rights.", path.display());
        Failure::new(Code::InvalidRequest, text)
    };
    let file = File::open(path).await.map_err(wrong)?;
    let meta = file.metadata().await.map_err(wrong)?;
    if meta.is_dir() {
        let text = format!("`{}` is a folder. Pack it: tar c {0} | neuroplex object put … -", path.display());
        return Err(Failure::new(Code::InvalidRequest, text));
    }
    // Pipes and devices say 0 and have more.
    Ok((file, meta.is_file().then_some(meta.len())))
}

/// The bucket, made if need be.
async fn bucket(context: &Context, name: &str, json: bool) -> Result<Store, Failure> {
    match Store::open(context, name).await {
        Err(client::Error::Absent(_)) => {
            let store = Store::create(context, &StoreConfig::new(name)).await?;
            link::notice(json, "created", &format!("bucket {name} was not there and has been made"));
            Ok(store)
        }
        store => Ok(store?),
    }
}
