//! `neuroplex top`: a node as it is now, read over HTTP again and again.

mod cells;
mod lines;
mod metrics;
mod numbers;
mod order;
mod render;
mod sample;
mod sampler;
mod screen;
mod terminal;
mod text;
mod view;

use std::time::Duration;

use kernel::Code;
use ratatui::crossterm::event::Event;
use tokio::sync::{mpsc, watch};

use crate::context::Aim;
use crate::door::{Address, Door};
use crate::failure::Failure;
use crate::global::Global;
use crate::link::{Stop, notice};
use crate::output::{Output, print, reader_gone};
use crate::progress::waiting;
use crate::units::Span;
use sampler::{Reading, Sampler, Wanted};
use screen::{Screen, Then};
use terminal::{Live, Signals};

/// Bounds of `--interval`.
const INTERVAL_MIN: Duration = Duration::from_millis(200);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

const EXAMPLES: &str = "\
Examples:
  neuroplex top  # a live screen; ? shows the keys, q quits
  neuroplex top --http https://ann:s3cret@10.0.0.7:7400 --tls-ca ca.pem
  neuroplex top --once  # text: two readings, and what came between them
  neuroplex top --once --json | jq .rates
  neuroplex top --json --interval 10s  # an object a line, until it is stopped

Without credentials in --http, those for the server are used where both are the
same host; what goes to the server with TLS goes to no http:// door but on this
machine.

A list is a page: the oldest 500 connections, the first 256 streams, the
subjects of the oldest 500 subscriptions. The next page is a key away; sorting
is within the page. The live screen asks for streams and subjects only while it
shows them, and never spends more than a fifth of the time on asking.";

/// Watch a node: connections, subjects, rates, streams, slow consumers
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    // Not a comment of the documentation: brackets would be links there.
    #[arg(
        long,
        value_name = "URL",
        help = "The HTTP door: http://[user:password@|token@]host[:port] or https://… [default: port 7400 of the server's host]"
    )]
    http: Option<Address>,

    /// Time between two readings
    #[arg(long, value_name = "TIME", default_value = "2s")]
    interval: Span,

    /// Print what two readings say, and end
    #[arg(long)]
    once: bool,
}

/// Runs until a key, a signal, or one of them is enough.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let Span(interval) = args.interval;
    if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        return Err(Failure::new(Code::InvalidRequest, "--interval is 200ms to 1h."));
    }
    if !args.once && !global.json {
        terminal::check()?;
    }
    let aim = Aim::of(global)?;
    let address = match args.http {
        Some(address) => address,
        None => Address::beside(&aim.values.server, aim.asks_for_tls())
            .map_err(|why| Failure::new(Code::InvalidRequest, why))?,
    };
    let door = Door::new(address, &aim)?;
    let sampler = Sampler::new(door, interval);
    match (args.once, global.json) {
        (true, json) => once(sampler, json).await,
        (false, true) => objects(sampler).await,
        (false, false) => live(sampler).await,
    }
}

async fn once(sampler: Sampler, json: bool) -> Result<(), Failure> {
    let what = format!("reading {} twice", sampler.address());
    let mut view = waiting(json, &what, sampler.twice()).await?;
    order::sort(&mut view, [0; 3]);
    match json {
        true => print(&object(&view)?),
        false => print(&text::text(&view)),
    }
}

/// An object a line from the second reading on. A node that goes away is told on stderr.
async fn objects(mut sampler: Sampler) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    let (mut out, mut gone) = (Output::new(), reader_gone());
    // Who cannot be reached at all is an error; who goes later may come back.
    tokio::select! {
        view = sampler.view(Wanted::everything()) => { view?; }
        () = stop.wanted() => return Ok(()),
    }
    let address = sampler.address();
    let (_wanted, mut readings) = start(sampler, Wanted::everything());
    let mut is_lost = false;
    loop {
        let reading = tokio::select! {
            reading = readings.recv() => reading.ok_or_else(stopped)?,
            () = stop.wanted() => return Ok(()),
            _ = &mut gone => return Ok(()),
        };
        match reading {
            Reading::Lost(lost) if !is_lost => {
                is_lost = true;
                notice(true, "disconnected", &format!("{}; trying to come back", lost.why));
            }
            Reading::Lost(_) => {}
            Reading::View(mut view) => {
                if std::mem::take(&mut is_lost) {
                    notice(true, "reconnected", &format!("{address} answers again"));
                }
                order::sort(&mut view, [0; 3]);
                out.line(&object(&view)?)?;
                out.flush()?;
            }
        }
    }
}

async fn live(mut sampler: Sampler) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let mut screen = Screen::new(sampler.address(), terminal::has_colors());
    // Before the screen is taken: who cannot be reached at all is told in the ordinary way.
    let what = format!("waiting for {}", sampler.address());
    screen.show(tokio::select! {
        view = waiting(false, &what, sampler.view(Wanted::default())) => view?,
        () = signals.wanted() => return Ok(()),
    });
    let mut terminal = Live::open()?;
    let mut events = terminal::events();
    let (wanted, mut readings) = start(sampler, screen.wanted());
    loop {
        terminal.draw(|frame| render::draw(frame, &mut screen))?;
        let then = tokio::select! {
            reading = readings.recv() => {
                match reading.ok_or_else(stopped)? {
                    Reading::View(view) => screen.show(*view),
                    Reading::Lost(lost) => screen.lose(lost),
                }
                Then::Ask
            }
            event = events.recv() => match event.ok_or_else(stopped)?.map_err(no_keys)? {
                Event::Key(key) => screen.press(key),
                _ => Then::Draw,
            },
            () = signals.wanted() => Then::Quit,
        };
        match then {
            Then::Quit => return Ok(()),
            Then::Ask => {
                _ = wanted
                    .send_if_modified(|known| std::mem::replace(known, screen.wanted()) != screen.wanted())
            }
            Then::Draw | Then::Nothing => {}
        }
    }
}

/// Reads from now on; what is wanted can be changed.
fn start(sampler: Sampler, first: Wanted) -> (watch::Sender<Wanted>, mpsc::Receiver<Reading>) {
    let (wanted, wants) = watch::channel(first);
    let (sender, readings) = mpsc::channel(1);
    tokio::spawn(sampler.run(wants, sender));
    (wanted, readings)
}

fn object(view: &view::View) -> Result<String, Failure> {
    serde_json::to_string(view).map_err(|e| Failure::new(Code::InternalError, format!("no JSON: {e}.")))
}

fn no_keys(e: std::io::Error) -> Failure {
    Failure::new(Code::InternalError, format!("cannot read from this terminal: {e}. Try --once."))
}

fn stopped() -> Failure {
    Failure::new(
        Code::InternalError,
        "a part of this command ended before the rest; this is a fault of ours.",
    )
}
