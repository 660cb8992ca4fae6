//! The live screen, drawn from its state. It decides nothing but what fits.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, Wrap};

use super::cells::{self, Column};
use super::lines;
use super::order::Tab;
use super::screen::Screen;
use super::view::{Listed, View};
use crate::text::plain;
use crate::units::span;

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);

const HELP: &str = "\
Tab, Shift-Tab   next or previous list
s                sort by the next column
↑ ↓ PgUp PgDn    scroll; Home, End
← →              previous or next page, where
                 there are more than one
p, space         pause and go on
?                this help
q, Esc, Ctrl-C   quit

in/s, out/s      messages a second
pending          connections: bytes that wait;
                 streams: messages not yet delivered
ack pending      delivered, not acknowledged
slow             64 KiB waited at two readings
cut              ended, because they did not read

A page has 500 connections, 256 streams or 500
subscriptions; lists are sorted within it.";

/// How what matters stands out, with colours or without, and what stands for a list that was not read.
#[derive(Clone, Copy)]
struct Ink {
    warning: Style,
    bad: Style,
    unread: &'static str,
}

impl Ink {
    fn of(screen: &Screen) -> Ink {
        let unread = if screen.is_paused { "not read before the pause" } else { "…" };
        match screen.has_colors {
            true => Ink {
                warning: Style::new().fg(Color::Yellow),
                bad: Style::new().fg(Color::White).bg(Color::Red),
                unread,
            },
            false => Ink { warning: BOLD, bad: REVERSED, unread },
        }
    }
}

/// Draws everything, and notes how many rows the list had room for.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &mut Screen) {
    let [title, rates, counts, banner, tabs, list, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    screen.room = usize::from(list.height.saturating_sub(1));
    let ink = Ink::of(screen);
    draw_banner(frame, screen, ink, banner);
    draw_keys(frame, keys);
    let place = screen.place();
    let tab = screen.tab;
    if let Some(view) = &screen.view {
        frame.render_widget(Line::styled(lines::node(view), BOLD), title);
        let address = Line::from(format!(" {}", screen.address)).alignment(Alignment::Right);
        if lines::node(view).chars().count() + screen.address.len() + 2 <= usize::from(title.width) {
            frame.render_widget(address, title);
        }
        frame.render_widget(Line::from(lines::rates(view)), rates);
        let slow = if view.node.slow_now > 0 { ink.warning } else { Style::new() };
        frame.render_widget(Line::styled(lines::counts(view), slow), counts);
        frame.render_widget(tabs_line(view, tab, place.order), tabs);
        let last = tab.rows(view).saturating_sub(screen.room);
        let first = place.first.min(last);
        match tab {
            Tab::Connections => {
                rows(frame, list, cells::CONNECTIONS, &view.connections, first, ink, |row| row.slow);
            }
            Tab::Streams => rows(frame, list, cells::STREAMS, &view.streams, first, ink, |_| false),
            Tab::Subjects => rows(frame, list, cells::SUBJECTS, &view.subjects, first, ink, |_| false),
        }
        screen.place_mut().first = first;
    } else {
        frame.render_widget(Line::styled(format!("neuroplex at {}", screen.address), BOLD), title);
    }
    if screen.is_help {
        draw_help(frame);
    }
}

/// What is out of the ordinary.
fn draw_banner(frame: &mut Frame<'_>, screen: &Screen, ink: Ink, area: Rect) {
    let line = match (&screen.lost, screen.news) {
        (Some(lost), _) => {
            let again = span(lost.next_in);
            Line::styled(
                format!(" no answer ({}), again in {again}: {}", lost.attempts, plain(&lost.why)),
                ink.bad,
            )
        }
        (None, _) if screen.is_paused => Line::styled(" paused: p goes on ", REVERSED),
        (None, Some((news, _))) => Line::styled(format!(" {news} "), ink.warning),
        (None, None) => return,
    };
    frame.render_widget(line, area);
}

/// The lists with how many rows each has, and the order of this one.
fn tabs_line(view: &View, tab: Tab, order: usize) -> Line<'static> {
    let mut spans = Vec::new();
    for each in Tab::ALL {
        let (name, total) = match each {
            Tab::Connections => ("Connections", Some(view.connections.total)),
            Tab::Streams => ("Streams", view.streams.is_read.then_some(view.streams.total)),
            Tab::Subjects => ("Subjects", view.subjects.is_read.then_some(view.subjects.rows.len() as u64)),
        };
        let total = total.map_or_else(String::new, |total| format!("{total} "));
        let style = if each == tab { REVERSED } else { Style::new() };
        spans.push(Span::styled(format!(" {name} {total}"), style));
        spans.push(Span::raw(" "));
    }
    spans.push(Span::raw(format!(" by {}", tab.order(order))));
    let (what, offset, count, total) = match tab {
        Tab::Connections => {
            let list = &view.connections;
            ("", list.offset, list.rows.len() as u64, list.total)
        }
        Tab::Streams => ("", view.streams.offset, view.streams.rows.len() as u64, view.streams.total),
        Tab::Subjects => {
            let list = &view.subjects;
            (" subscriptions", list.offset, list.rows.iter().map(|row| row.subscriptions).sum(), list.total)
        }
    };
    if count < total && count > 0 {
        spans.push(Span::raw(format!(" · {} to {} of {total}{what}", offset + 1, offset + count)));
    }
    Line::from(spans)
}

/// A list from a row on.
fn rows<T>(
    frame: &mut Frame<'_>,
    area: Rect,
    columns: &[Column<T>],
    listed: &Listed<T>,
    first: usize,
    ink: Ink,
    stands_out: impl Fn(&T) -> bool,
) {
    let columns: Vec<_> = columns.iter().filter(|column| column.from_width <= area.width).collect();
    let cell = |column: &Column<T>, text: String| {
        let aligned = if column.is_number() { Alignment::Right } else { Alignment::Left };
        Cell::from(Line::from(text).alignment(aligned))
    };
    let header = Row::new(columns.iter().map(|column| cell(column, column.title()))).style(BOLD);
    let shown = listed.rows.iter().skip(first).take(usize::from(area.height));
    let shown = shown.map(|row| {
        let style = if stands_out(row) { ink.warning } else { Style::new() };
        Row::new(columns.iter().map(|column| cell(column, plain(&(column.cell)(row))))).style(style)
    });
    let widths = columns.iter().map(|column| match column.width {
        Some(width) => Constraint::Length(width),
        None => Constraint::Min(8),
    });
    frame.render_widget(Table::new(shown, widths).header(header).column_spacing(1), area);
    let [_, below] = Layout::vertical([Constraint::Length(2), Constraint::Min(0)]).areas(area);
    match &listed.note {
        Some(note) if listed.rows.is_empty() => {
            frame.render_widget(
                Paragraph::new(plain(note)).wrap(Wrap { trim: true }).style(ink.warning),
                below,
            );
        }
        Some(note) => {
            let last = Rect { y: area.bottom().saturating_sub(1), height: area.height.min(1), ..area };
            frame.render_widget(Clear, last);
            frame.render_widget(Line::styled(plain(note), ink.warning), last);
        }
        None if listed.rows.is_empty() => {
            frame.render_widget(Line::from(if listed.is_read { "none" } else { ink.unread }), below);
        }
        None => {}
    }
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect) {
    let keys = " q quit · Tab list · s sort · p pause · ↑↓ scroll · ? help";
    frame.render_widget(
        Line::styled(format!("{keys:<width$}", width = usize::from(area.width)), REVERSED),
        area,
    );
}

fn draw_help(frame: &mut Frame<'_>) {
    let whole = frame.area();
    let (width, height) = (56.min(whole.width), (HELP.lines().count() as u16 + 2).min(whole.height));
    let area = Rect { x: (whole.width - width) / 2, y: (whole.height - height) / 2, width, height };
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(HELP).block(Block::bordered().title(" Keys and columns ")), area);
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
