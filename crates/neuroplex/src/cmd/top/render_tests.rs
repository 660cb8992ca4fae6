//! Tests of the screen as a person sees it.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;

use super::super::sample::{Page, Read, Sample, Subject};
use super::super::screen::Lost;
use super::super::view::SLOW_BYTES;
use super::super::view::tests::{connection, sample, stream};
use super::*;

fn seen(screen: &mut Screen, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, screen)).unwrap();
    let buffer = terminal.backend().buffer();
    let lines = buffer.content().chunks(usize::from(width.max(1)));
    let lines =
        lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn busy() -> Screen {
    let of = |at_ms: u64| {
        let mut rows: Vec<_> = (1..40).map(|id| connection(id, 1_000_001, at_ms / id)).collect();
        rows[1].pending_bytes = SLOW_BYTES * 20;
        rows[2].name = "\u{1b}[2Jtrick".into();
        rows[3].name = String::new();
        Sample {
            connections: Page::new(39, 0, rows),
            streams: Read::Page(Page::new(2, 0, vec![stream("JOBS", at_ms), stream("EVENTS", 2)])),
            ..sample(at_ms)
        }
    };
    let mut screen = Screen::new("http://127.0.0.1:7400".into(), true);
    screen.show(View::of(Some(&of(1000)), &of(3000)));
    screen
}

#[test]
fn everything_stands_on_80_by_24() {
    let text = seen(&mut busy(), 80, 24);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "neuroplex 0.1.0 · node n1 · up 1m3s · 35 MiB · CPU 25 % of 2 cores");
    assert_eq!(lines[1], "in 3000 msg/s 293 KiB/s · out 6000 msg/s 585.9 KiB/s · HTTP 10 requests/s");
    assert_eq!(lines[2], "1 connection · 0 subscriptions · slow consumers 1 now, 0 cut · 0 B pending");
    assert_eq!(lines[4], " Connections 39   Streams 2   Subjects 0   by messages/s");
    assert_eq!(lines[5], "NAME                   ADDRESS                SUBS   IN/S  OUT/S    PENDING SLOW");
    assert_eq!(lines[6], "c1                     127.0.0.1:4000            0   1000   2000        0 B");
    assert_eq!(lines[7], "c2                     127.0.0.1:4000            0    500   1000    1.2 MiB slow");
    assert!(lines[23].starts_with(" q quit · Tab list · s sort"));
    assert_eq!(lines.len(), 24);
}

#[test]
fn other_lists_and_the_help_are_a_key_away() {
    let mut screen = busy();
    screen.press(KeyCode::Tab.into());
    let streams = seen(&mut screen, 80, 24);
    assert!(streams.contains("MESSAGES      BYTES   IN/S CONSUMERS PENDING ACK PENDING"), "{streams}");
    assert!(streams.contains("\nJOBS"), "{streams}");
    screen.press(KeyCode::Tab.into());
    assert!(seen(&mut screen, 80, 24).contains("SUBJECT"));
    screen.press(KeyCode::Char('?').into());
    let help = seen(&mut screen, 80, 24);
    assert!(help.contains("Keys and columns") && help.contains("they did not read"), "{help}");
}

#[test]
fn the_list_scrolls_to_its_last_row_and_no_further() {
    let mut screen = busy();
    seen(&mut screen, 80, 24);
    screen.press(KeyCode::End.into());
    let text = seen(&mut screen, 80, 24);
    assert!(text.contains("\nc39 ") && !text.contains("\nc1 "), "{text}");
    // A larger window shows what it has room for.
    assert!(seen(&mut screen, 80, 60).contains("\nc1 "));
}

#[test]
fn a_node_that_went_away_is_told_above_its_last_picture() {
    let mut screen = busy();
    let why = "cannot connect to http://127.0.0.1:7400: Connection refused".into();
    screen.lose(Lost { why, attempts: 3, next_in: std::time::Duration::from_secs(1) });
    let text = seen(&mut screen, 80, 24);
    let banner = text.lines().nth(3).unwrap();
    assert!(banner.starts_with(" no answer (3), again in 1s: cannot connect"), "{banner}");
    assert!(text.contains("\nc1 "));
    screen.show(View::of(None, &sample(1000)));
    let text = seen(&mut screen, 80, 24);
    assert!(!text.contains("no answer") && text.contains("the node answers again"), "{text}");
    screen.show(View::of(None, &sample(7000)));
    assert!(!seen(&mut screen, 80, 24).contains("answers again"));
}

#[test]
fn names_cannot_drive_the_terminal() {
    let text = seen(&mut busy(), 120, 24);
    assert!(text.contains("\\u{1b}[2Jtrick") && !text.contains('\u{1b}'), "{text}");
    assert!(text.contains("(nats 4)"));
}

#[test]
fn what_a_user_may_not_see_is_told_in_its_place() {
    let mut now = sample(1000);
    now.streams = Read::Refused("no streams for you".into());
    now.subjects = Read::Refused("no subjects for you".into());
    let mut screen = Screen::new("http://h:1".into(), true);
    screen.show(View::of(None, &now));
    for note in ["from /metrics only: no streams for you", "no subjects for you"] {
        screen.press(KeyCode::Tab.into());
        assert!(seen(&mut screen, 80, 24).contains(note));
    }
}

#[test]
fn a_list_that_was_not_read_is_no_empty_list() {
    let of = |streams| View::of(None, &Sample { streams, ..sample(1000) });
    let mut screen = Screen::new("http://h:1".into(), true);
    screen.show(of(Read::Not));
    assert!(seen(&mut screen, 80, 24).contains("  Streams   Subjects 0 "));
    screen.press(KeyCode::Tab.into());
    assert!(seen(&mut screen, 80, 24).contains("\n…"));
    screen.press(KeyCode::Char('p').into());
    assert!(seen(&mut screen, 80, 24).contains("\nnot read before the pause"));
    screen.press(KeyCode::Char('p').into());
    screen.show(of(Read::Page(Page::new(0, 0, vec![]))));
    assert!(seen(&mut screen, 80, 24).contains("\nnone"));
    // It stays when other lists are read.
    screen.show(of(Read::Page(Page::new(1, 0, vec![stream("JOBS", 1)]))));
    screen.show(of(Read::Not));
    assert!(seen(&mut screen, 80, 24).contains("\nJOBS"));
}

#[test]
fn a_part_of_a_list_says_which() {
    let mut now = sample(1000);
    now.connections.total = 700;
    let subject =
        |subject: &str, subscriptions| Subject { subject: subject.into(), subscriptions, queues: 0 };
    now.subjects = Read::Page(Page::new(9000, 500, vec![subject("a", 499), subject("b", 1)]));
    let mut screen = Screen::new("http://h:1".into(), true);
    screen.show(View::of(None, &now));
    assert!(seen(&mut screen, 80, 24).contains("by messages/s · 1 to 1 of 700"));
    screen.press(KeyCode::BackTab.into());
    assert!(seen(&mut screen, 100, 24).contains("by subscriptions · 501 to 1000 of 9000 subscriptions"));
}

#[test]
fn without_colours_it_stands_out_all_the_same() {
    for has_colors in [true, false] {
        let mut screen = Screen { has_colors, ..busy() };
        screen.lose(Lost { why: "gone".into(), attempts: 1, next_in: std::time::Duration::from_secs(1) });
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, &mut screen)).unwrap();
        let cells = terminal.backend().buffer().content();
        let colored = cells.iter().any(|cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset));
        assert_eq!(colored, has_colors);
        let banner = &cells[3 * 80 + 1];
        assert!(banner.modifier.contains(Modifier::REVERSED) || banner.bg == Color::Red);
    }
}

#[test]
fn every_size_is_drawn() {
    for width in [0, 1, 40, 80, 130] {
        for height in [0, 1, 5, 8, 24] {
            let mut screen = busy();
            for key in [KeyCode::End, KeyCode::PageUp, KeyCode::Tab, KeyCode::Char('?')] {
                seen(&mut screen, width, height);
                screen.press(key.into());
                seen(&mut screen, width, height);
            }
        }
    }
}
