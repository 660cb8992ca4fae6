//! The terminal in the state that the live screen needs, and given back whatever happens: at the end, on an error and on a
//! panic. Signals end the command in the ordinary way.

use std::io;
use std::thread;

use kernel::Code;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::output::Output;

/// Keys that wait while the screen is drawn.
const KEYS_MAX: usize = 64;

/// Errors where no live screen can be drawn, and names what does instead.
pub(super) fn check() -> Result<(), Failure> {
    let instead = "use --once for text, or --json for an object a line.";
    let what = if !Output::new().is_terminal() {
        format!("stdout is no terminal: {instead}")
    } else if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        format!("this terminal cannot move its cursor (TERM=dumb): {instead}")
    } else {
        return Ok(());
    };
    Err(Failure::new(Code::InvalidRequest, what))
}

/// Whether colours are welcome: `NO_COLOR`, if it is not empty, says no.
pub(super) fn has_colors() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The live screen, as long as it is held.
pub(super) struct Live(DefaultTerminal);

impl Live {
    pub(super) fn open() -> Result<Live, Failure> {
        // A panic gives the terminal back before it is told: ratatui sees to it.
        ratatui::try_init().map(Live).map_err(|e| {
            ratatui::restore();
            Failure::new(Code::InternalError, format!("this terminal cannot be used: {e}. Try --once."))
        })
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame<'_>)) -> Result<(), Failure> {
        self.0.draw(draw)?;
        Ok(())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        _ = self.0.show_cursor();
        // After a panic it is given back already: once more would put the cursor over what the panic said.
        if !thread::panicking() {
            ratatui::restore();
        }
    }
}

/// Keys and changes of size as they come; an error is the last.
pub(super) fn events() -> mpsc::Receiver<io::Result<Event>> {
    let (sender, events) = mpsc::channel(KEYS_MAX);
    // A thread of its own, which ends with the process: a read of a terminal cannot be called off.
    thread::spawn(move || {
        loop {
            let event = event::read();
            let is_last = event.is_err();
            if sender.blocking_send(event).is_err() || is_last {
                return;
            }
        }
    });
    events
}

/// The signals that would leave a terminal as it is.
pub(super) struct Signals(Vec<Signal>);

impl Signals {
    pub(super) fn listen() -> Result<Signals, Failure> {
        let kinds =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        let all = kinds.into_iter().map(signal).collect::<io::Result<_>>();
        all.map(Signals)
            .map_err(|e| Failure::new(Code::InternalError, format!("cannot listen for signals: {e}.")))
    }

    /// Returns when one of them comes.
    pub(super) async fn wanted(&mut self) {
        std::future::poll_fn(|context| {
            match self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready()) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
    }
}
