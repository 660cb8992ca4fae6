//! `neuroplex reply`: a small service: answers every request on a subject, until it is stopped.

mod exec;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use client::{Client, Message, Msg, Subscription};
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::global::Global;
use crate::link::{self, Link, Stop};
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
for at most 60 s.";

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
    answer_bytes: usize,
    took_ms: f64,
}

/// Answers until Ctrl-C or SIGTERM; what was asked before is still answered.
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
    let served = serve(global, &link.client, requests, answers, &mut stop).await;
    // Every answer is with the client; a server that is gone by now cannot have them.
    _ = link.client.close().await;
    served
}

async fn serve(
    global: &Global,
    client: &Client,
    mut requests: Subscription,
    answers: Answers,
    stop: &mut Stop,
) -> Result<(), Failure> {
    let answers = Arc::new(answers);
    let mut running = JoinSet::new();
    let mut out = Output::new();
    let (mut stopping, mut open) = (false, true);
    while open || !running.is_empty() {
        tokio::select! {
            request = requests.next(), if open && running.len() < exec::AT_ONCE_MAX => match request {
                // Nobody waits for an answer: nothing to do.
                Some(request) if request.reply.is_empty() => {}
                Some(request) => _ = running.spawn(answer(client.clone(), answers.clone(), request)),
                None => open = false,
            },
            Some(answered) = running.join_next() => if let Ok(answered) = answered {
                if let Some((_, why)) = &answered.failed {
                    link::notice(global.json, "failed", why);
                }
                out.line(&line(&answered, global.json))?;
                out.flush()?;
            },
            () = stop.wanted() => match stopping {
                true => return Ok(()),
                false => {
                    stopping = true;
                    requests.drain();
                }
            }
        }
    }
    match requests.error() {
        Some(why) => Err(why.clone().into()),
        None => Ok(()),
    }
}

/// Makes an answer and sends it. Whatever goes wrong with one request, the service goes on.
async fn answer(client: Client, answers: Arc<Answers>, request: Message) -> Answered {
    let start = Instant::now();
    let made = match &*answers {
        Answers::Body(body) => Ok(Answer { headers: Bytes::new(), payload: body.clone() }),
        Answers::Echo => Ok(Answer { headers: request.headers.clone(), payload: request.payload.clone() }),
        Answers::Exec(command) => exec::run(command, &request, client.info().max_payload)
            .await
            .map(|payload| Answer { headers: Bytes::new(), payload }),
    };
    let mut failed = made.as_ref().err().cloned();
    let answer = made.unwrap_or_else(|(code, why)| Answer {
        headers: service::failed(code, &why).into(),
        payload: Bytes::new(),
    });
    let message =
        Msg { subject: &request.reply, headers: &answer.headers, payload: &answer.payload, ..Msg::default() };
    if let Err(e) = client.publish(message).await {
        failed = Some((e.code(), format!("the answer could not be sent: {e}")));
    }
    Answered {
        subject: text::payload(&request.subject),
        asked_bytes: request.payload.len(),
        failed,
        answer_bytes: answer.payload.len(),
        took_ms: start.elapsed().as_secs_f64() * 1000.0,
    }
}

fn line(a: &Answered, json: bool) -> String {
    if json {
        return serde_json::json!({
            "event": "answered",
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
        Some((code, _)) => format!("{} asked {asked}, failed with {code} in {:.1} ms", a.subject, a.took_ms),
    }
}
