//! `neuroplex reply`: a small service: answers every request on a subject, until it is stopped.

mod exec;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Client, Message, Msg, Subscription};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::failure::Failure;
use crate::global::Global;
use crate::link::{self, Link, Sent, Stop, Undelivered};
use crate::output::Output;
use crate::{service, text};

const EXAMPLES: &str = "\
Examples:
  neuroplex reply ping pong
  neuroplex reply echo --echo --queue echoers
  neuroplex reply upper --exec 'tr a-z A-Z'

With --exec the question comes on the command's stdin, and what it writes is
the answer; NEUROPLEX_SUBJECT and NEUROPLEX_REPLY name the subjects. A command
that fails answers with the headers Nats-Service-Error and -Error-Code, which
`neuroplex request` turns into an error. At most 16 commands run at once, each
for at most 60 s, and whatever a command started ends with it.

Ctrl-C and SIGTERM let what runs go on for at most 5 s; a second one ends it.";

/// How long running answers may go on after the first signal.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// And then, until what became of them has been told to those who asked.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);
/// Answers without a command that the server has not confirmed yet.
const UNCONFIRMED_MAX: usize = 1024;

/// Answer every request on a subject
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("answer").required(true).args(["body", "echo", "exec"]))]
pub(crate) struct Args {
    /// The subject, or a pattern
    subject: String,

    /// The answer, always the same
    #[arg(value_name = "BODY", allow_hyphen_values = true)]
    body: Option<String>,

    /// Answer with the question
    #[arg(long)]
    echo: bool,

    /// Answer with what this shell command writes
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,

    /// Share the requests with the others of this group
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
}

/// Where answers come from.
enum Answers {
    Body(Bytes),
    Echo,
    Exec(String),
}

/// An answer, ready to be sent.
struct Answer {
    headers: Bytes,
    payload: Bytes,
}

/// What became of a request: what is told about it.
struct Answered {
    subject: String,
    asked_bytes: usize,
    failed: Option<exec::Failed>,
    sent: Sending,
    answer_bytes: usize,
    took_ms: f64,
}

/// Whether the answer got through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    Done,
    /// Told already when the refusal came.
    Refused,
    Lost,
}

/// What every answer needs.
struct Service {
    client: Client,
    sent: Sent,
    answers: Answers,
    /// Becomes true when commands must end.
    over: watch::Receiver<bool>,
}

/// Answers until Ctrl-C or SIGTERM; what was asked before is still answered, if it takes no longer than [`STOP_TIMEOUT`].
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let link = Link::stay(global, "reply").await?;
    let requests = link.client.subscribe(&args.subject, args.queue.as_deref())?;
    link.flush().await?;
    link::notice(
        global.json,
        "listening",
        &format!("answering on {} at {}", args.subject, link.client.server()),
    );

    let answers = match (args.body, args.exec) {
        (Some(body), _) => Answers::Body(body.into()),
        (_, Some(command)) => Answers::Exec(command),
        (None, None) => Answers::Echo,
    };
    let (end, over) = watch::channel(false);
    let service = Service { client: link.client.clone(), sent: link.sent(), answers, over };
    let served = serve(global, Arc::new(service), end, requests, &mut stop).await;
    // Every answer is with the client; a server that is gone by now cannot have them.
    tokio::select! {
        _ = link.client.close() => {}
        () = stop.wanted() => {}
    }
    served
}

async fn serve(
    global: &Global,
    service: Arc<Service>,
    end: watch::Sender<bool>,
    mut requests: Subscription,
    stop: &mut Stop,
) -> Result<(), Failure> {
    let at_once_max = match service.answers {
        Answers::Exec(_) => exec::AT_ONCE_MAX,
        Answers::Body(_) | Answers::Echo => UNCONFIRMED_MAX,
    };
    let mut running = JoinSet::new();
    let mut out = Output::new();
    let (mut deadline, mut open) = (None, true);
    while open || !running.is_empty() {
        tokio::select! {
            request = requests.next(), if open && running.len() < at_once_max => match request {
                // Nobody waits for an answer: nothing to do.
                Some(request) if request.reply.is_empty() => {}
                Some(request) => _ = running.spawn(answer(service.clone(), request)),
                None => open = false,
            },
            Some(answered) = running.join_next() => if let Ok(answered) = answered {
                if let Some((_, why)) = answered.failed.as_ref().filter(|_| answered.sent != Sending::Refused) {
                    link::notice(global.json, "failed", why);
                }
                out.line(&line(&answered, global.json))?;
                out.flush()?;
            },
            () = stop.wanted() => match deadline {
                // Again: what runs is ended at once, unanswered.
                Some(_) => break,
                None => {
                    deadline = Some(Instant::now() + STOP_TIMEOUT);
                    requests.drain();
                    stopping(global, running.len());
                }
            },
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => match end.send_replace(true) {
                true => break,
                false => {
                    open = false;
                    deadline = Some(Instant::now() + LAST_WORDS_TIMEOUT);
                }
            },
        }
    }
    // Dropped answers take their commands with them.
    running.shutdown().await;
    match requests.error() {
        Some(why) => Err(why.clone().into()),
        None => Ok(()),
    }
}

/// Says why the process is still there after the first signal.
fn stopping(global: &Global, running: usize) {
    if running > 0 {
        let (answers, seconds) = (text::count(running as u64, "answer"), STOP_TIMEOUT.as_secs());
        let told =
            format!("stopping: {answers} still in the making, ended after {seconds} s or by a second signal");
        link::notice(global.json, "stopping", &told);
    }
}

/// Makes an answer and sends it. Whatever goes wrong with one request, the service goes on.
async fn answer(service: Arc<Service>, request: Message) -> Answered {
    let start = Instant::now();
    let made = match &service.answers {
        Answers::Body(body) => Ok(Answer { headers: Bytes::new(), payload: body.clone() }),
        Answers::Echo => Ok(Answer { headers: request.headers.clone(), payload: request.payload.clone() }),
        Answers::Exec(command) => {
            exec::run(command, &request, service.client.info().max_payload, service.over.clone())
                .await
                .map(|payload| Answer { headers: Bytes::new(), payload })
        }
    };
    let took_ms = start.elapsed().as_secs_f64() * 1000.0;
    let mut failed = made.as_ref().err().cloned();
    let answer = made.unwrap_or_else(|(code, why)| Answer {
        headers: service::failed(code, &why).into(),
        payload: Bytes::new(),
    });
    let message =
        Msg { subject: &request.reply, headers: &answer.headers, payload: &answer.payload, ..Msg::default() };
    let sent = match service.sent.publish(&service.client, message).await {
        Ok(()) => Sending::Done,
        Err(Undelivered::Refused(e)) => {
            failed = Some((e.code(), e.to_string()));
            Sending::Refused
        }
        Err(Undelivered::Lost(e)) => {
            failed = Some((e.code(), format!("the answer could not be sent: {e}")));
            Sending::Lost
        }
    };
    Answered {
        subject: text::payload(&request.subject),
        asked_bytes: request.payload.len(),
        failed,
        sent,
        answer_bytes: answer.payload.len(),
        took_ms,
    }
}

fn line(a: &Answered, json: bool) -> String {
    if json {
        return serde_json::json!({
            "event": if a.sent == Sending::Done { "answered" } else { "unanswered" },
            "subject": a.subject,
            "askedBytes": a.asked_bytes,
            "answerBytes": a.answer_bytes,
            "tookMs": a.took_ms,
            "error": a.failed.as_ref().map(|(code, _)| code.name()),
        })
        .to_string();
    }
    let asked = text::count(a.asked_bytes as u64, "byte");
    match &a.failed {
        None => {
            let answered = text::count(a.answer_bytes as u64, "byte");
            format!("{} asked {asked}, answered {answered} in {:.1} ms", a.subject, a.took_ms)
        }
        Some((code, _)) if a.sent != Sending::Done => {
            format!("{} asked {asked}, not answered: {code}", a.subject)
        }
        Some((code, _)) => format!("{} asked {asked}, failed with {code} in {:.1} ms", a.subject, a.took_ms),
    }
}
