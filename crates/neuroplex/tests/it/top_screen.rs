//! The live screen of `neuroplex top` in a pseudo-terminal: it is drawn, keys and signals reach it, and the terminal is
//! given back as it was.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::command::{neuroplex, signal};
use crate::lines::PATIENCE;
use crate::server::Server;

/// What leaves the screen of its own, and what shows the cursor again.
const LEAVES: &str = "\x1b[?1049l";
const CURSOR: &str = "\x1b[?25h";

/// `top` in a terminal of its own.
struct Screen {
    child: Child,
    terminal: File,
    /// The program's end of it; as long as it is open, the other can be read.
    program: File,
    output: Receiver<Vec<u8>>,
    /// All that was written.
    written: Vec<u8>,
    before: Termios,
}

impl Screen {
    fn open(server: &Server, variables: &[(&str, &str)]) -> Screen {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&terminal).expect("it is ours");
        unlockpt(&terminal).expect("it opens");
        let name = ptsname(&terminal, Vec::new()).expect("its name");
        let program = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end");
        let (terminal, program) = (File::from(terminal), File::from(program));
        let before = tcgetattr(&program).expect("its state");
        size(&terminal, 80, 24);
        let mut command = neuroplex(&["top", "--interval", "200ms", "--http", server.http()]);
        command.env("NEUROPLEX_SERVER", server.nats()).env("TERM", "xterm").env_remove("NO_COLOR");
        command.envs(variables.iter().copied());
        let end = || Stdio::from(program.try_clone().expect("one more"));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("the program starts");
        let (sender, output) = channel();
        let mut reads = terminal.try_clone().expect("one more");
        thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = reads.read(&mut some) {
                if sender.send(some[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Screen { child, terminal, program, output, written: Vec::new(), before }
    }

    /// Waits until this stands on the screen.
    fn until(&mut self, words: &str) {
        loop {
            let text = shown(&self.written);
            if text.contains(words) {
                return;
            }
            let more = self.output.recv_timeout(PATIENCE);
            self.written.extend(more.unwrap_or_else(|_| panic!("no {words:?} in\n{text}")));
        }
    }

    fn press(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).expect("keys");
    }

    fn resize(&self, columns: u16, rows: u16) {
        size(&self.terminal, columns, rows);
        // It is no controlling terminal, so the system does not tell it.
        signal(self.child.id(), Signal::WINCH);
    }

    /// Waits for its end, and checks that the terminal is as it was.
    fn ended(mut self) -> Option<i32> {
        let code = self.child.wait().expect("an end").code();
        let after = tcgetattr(&self.program).expect("its state");
        let modes = |t: &Termios| (t.input_modes, t.output_modes, t.control_modes, t.local_modes);
        assert_eq!(modes(&after), modes(&self.before));
        // Whatever the program wrote comes before this.
        self.program.write_all(b"that is all").expect("a mark");
        self.until("that is all");
        let all = String::from_utf8_lossy(&self.written);
        let (leaves, cursor) = (all.rfind(LEAVES), all.rfind(CURSOR));
        assert!(leaves.is_some() && cursor.is_some(), "{all:?}");
        assert!(all.rfind("\x1b[?1049h") < leaves && all.rfind("\x1b[?25l") < cursor, "{all:?}");
        code
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn size(terminal: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a size");
}

/// What stands on the screen after all this: text where the cursor was moved to, and no colours.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (mut rows, mut row, mut column) = (Vec::<Vec<char>>::new(), 0, 0);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                let mut sequence: String = chars.by_ref().take(1).collect();
                if sequence == "[" {
                    sequence.clear();
                    let ends = |c: &char| ('@'..='~').contains(c);
                    let end = chars.by_ref().inspect(|c| sequence.push(*c)).find(ends);
                    let mut numbers = sequence.trim_end_matches(|c: char| !c.is_ascii_digit()).split(';');
                    let mut number = || numbers.next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(1);
                    match end {
                        Some('H') => (row, column) = (number() - 1, number() - 1),
                        Some('J') => rows.clear(),
                        _ => {}
                    }
                }
            }
            '\r' => column = 0,
            '\n' => row += 1,
            c => {
                rows.resize(rows.len().max(row + 1), Vec::new());
                let cells = &mut rows[row];
                cells.resize(cells.len().max(column + 1), ' ');
                cells[column] = c;
                column += 1;
            }
        }
    }
    let rows = rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned());
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn it_is_drawn_keys_lead_through_it_and_q_gives_the_terminal_back() {
    let server = Server::start();
    let mut screen = Screen::open(&server, &[]);
    screen.until("Connections 0   Streams   Subjects   by messages/s");
    screen.press("s");
    screen.until("by bytes/s");
    screen.press("\t");
    screen.until("CONSUMERS PENDING ACK PENDING\n\nnone");
    screen.press("\t");
    screen.until("SUBSCRIPTIONS QUEUES");
    screen.press("?");
    screen.until("Keys and columns");
    screen.press("x");
    screen.until("SUBSCRIPTIONS QUEUES");
    screen.press("\t");
    screen.until("by bytes/s");
    screen.resize(130, 30);
    screen.until("BYTES OUT");
    screen.resize(20, 3);
    screen.until("neuroplex");
    screen.resize(80, 24);
    screen.until("OUT/S    PENDING SLOW");
    screen.press("q");
    assert_eq!(screen.ended(), Some(0));
}

#[test]
fn control_c_and_signals_give_the_terminal_back() {
    let server = Server::start();
    let mut screen = Screen::open(&server, &[]);
    screen.until("q quit");
    screen.press("\x03");
    assert_eq!(screen.ended(), Some(0));
    for what in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        let mut screen = Screen::open(&server, &[]);
        screen.until("q quit");
        signal(screen.child.id(), what);
        assert_eq!(screen.ended(), Some(0), "{what:?}");
    }
}

#[test]
fn a_node_that_goes_and_comes_back_is_told_and_seen_again() {
    let server = Server::start();
    let mut screen = Screen::open(&server, &[]);
    screen.until("q quit");
    let address = server.http().split_once("://").unwrap().1.to_owned();
    server.signal(Signal::KILL);
    server.ended();
    screen.until("no answer");
    let again = Server::at(&address);
    screen.until("the node was started again");
    signal(again.pid(), Signal::KILL);
    again.ended();
    screen.until("no answer");
    // Who does not wait for it leaves as ever.
    screen.press("q");
    assert_eq!(screen.ended(), Some(0));
}

#[test]
fn no_color_is_written_where_none_is_wanted() {
    let mut server = Some(Server::start());
    let colored = |screen: &Screen| String::from_utf8_lossy(&screen.written).contains("\x1b[38;5;15;48;5;1m");
    let mut screens: Vec<_> = [("NO_COLOR", ""), ("NO_COLOR", "1")]
        .map(|variable| Screen::open(server.as_ref().unwrap(), &[variable]))
        .into();
    screens.iter_mut().for_each(|screen| screen.until("q quit"));
    drop(server.take());
    screens.iter_mut().for_each(|screen| screen.until("no answer"));
    let all: Vec<_> = screens.iter().map(colored).collect();
    assert_eq!(all, [true, false], "{:?}", String::from_utf8_lossy(&screens[0].written));
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_is_told_what_to_use_instead() {
    let server = Server::start();
    let mut screen = Screen::open(&server, &[("TERM", "dumb")]);
    screen.until("--once");
    assert_eq!(screen.child.wait().unwrap().code(), Some(40));
    assert!(!screen.written.contains(&0x1b));
}
