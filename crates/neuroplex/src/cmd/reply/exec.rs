//! A shell command as a service: question on stdin, answer on stdout.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use client::Message;
use kernel::Code;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Most commands that run at once; further requests wait in the subscription.
pub(super) const AT_ONCE_MAX: usize = 16;
/// Longest run of one command.
const RUN_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer where the server states no limit.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What the requester is told when it failed.
pub(super) type Failed = (Code, String);

/// Runs the command; its stdout, at most `bytes_max` (0: no limit stated), is the answer. Its stderr is ours.
/// It ends, with whatever it started, when `over` becomes true, and when this is dropped.
pub(super) async fn run(
    command: &str,
    request: &Message,
    bytes_max: usize,
    mut over: watch::Receiver<bool>,
) -> Result<Bytes, Failed> {
    let bytes_max = if bytes_max == 0 { ANSWER_BYTES_MAX } else { bytes_max };
    let cannot = |e: io::Error| (Code::InternalError, format!("the command cannot be run: {e}"));
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .env("NEUROPLEX_SUBJECT", OsStr::from_bytes(&request.subject))
        .env("NEUROPLEX_REPLY", OsStr::from_bytes(&request.reply))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A group of its own: Ctrl-C is for us, and we let it finish.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(cannot)?;
    let _group = Group(child.id());
    tokio::select! {
        result = exchange(&mut child, &request.payload, bytes_max) => result.map_err(cannot)?,
        () = tokio::time::sleep(RUN_TIMEOUT) => {
            Err((Code::Timeout, format!("the command ran for {} s", RUN_TIMEOUT.as_secs())))
        }
        _ = over.wait_for(|over| *over) => {
            Err((Code::ServiceUnavailable, "the service was stopped before the command ended".into()))
        }
    }
}

/// Feeds it, reads it, and waits for its end.
async fn exchange(child: &mut Child, question: &[u8], bytes_max: usize) -> io::Result<Result<Bytes, Failed>> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command that does not read its question may still answer.
            _ = stdin.write_all(question).await;
        }
    };
    let read = async {
        let mut answer = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(bytes_max as u64 + 1).read_to_end(&mut answer).await?;
        }
        Ok::<_, io::Error>(answer)
    };
    let ((), answer) = tokio::join!(feed, read);
    let answer = answer?;
    if answer.len() > bytes_max {
        return Ok(Err((
            Code::PayloadTooLarge,
            format!("the command's answer is larger than {bytes_max} bytes"),
        )));
    }
    let status = child.wait().await?;
    Ok(match status.success() {
        true => Ok(answer.into()),
        false => Err((Code::InternalError, format!("the command ended with {status}"))),
    })
}

/// A command and all that it started: its end is theirs, so that nothing stays behind.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.and_then(|id| Pid::from_raw(id.cast_signed())) {
            _ = kill_process_group(group, Signal::KILL);
        }
    }
}
