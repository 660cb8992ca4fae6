//! The state of the screen: which list, in what order, from which row on, and what keys do to it. Pure: it reads no key
//! and draws nothing.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::order::{self, Tab};
use super::sample::{CONNECTIONS_MAX, STREAMS_MAX, SUBSCRIPTIONS_MAX};
use super::sampler::Wanted;
use super::view::View;

/// How long it is told that the node has come back, in milliseconds.
const NEWS_MS: u64 = 5000;

/// A list's place on the screen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) order: usize,
    /// The first row that is seen.
    pub(super) first: usize,
    /// Where the page begins that the node is asked for.
    pub(super) offset: u64,
}

/// The node does not answer.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub(super) why: String,
    pub(super) attempts: u32,
    pub(super) next_in: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The door, as people write it.
    pub(super) address: String,
    pub(super) tab: Tab,
    pub(super) places: [Place; 3],
    pub(super) is_paused: bool,
    pub(super) is_help: bool,
    pub(super) view: Option<View>,
    pub(super) lost: Option<Lost>,
    /// What has just happened, and until when on the node's clock it is told, in milliseconds.
    pub(super) news: Option<(&'static str, u64)>,
    /// Whether colours may be used.
    pub(super) has_colors: bool,
    /// Rows that the list had room for when it was drawn last.
    pub(super) room: usize,
}

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Draw,
    /// The node is asked for something else, at once.
    Ask,
    Quit,
    Nothing,
}

impl Screen {
    pub(super) fn new(address: String, has_colors: bool) -> Screen {
        Screen { address, has_colors, ..Screen::default() }
    }

    pub(super) fn place(&self) -> Place {
        let [connections, streams, subjects] = self.places;
        match self.tab {
            Tab::Connections => connections,
            Tab::Streams => streams,
            Tab::Subjects => subjects,
        }
    }

    pub(super) fn place_mut(&mut self) -> &mut Place {
        let [connections, streams, subjects] = &mut self.places;
        match self.tab {
            Tab::Connections => connections,
            Tab::Streams => streams,
            Tab::Subjects => subjects,
        }
    }

    /// What the node is asked for.
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            offsets: self.places.map(|place| place.offset),
            has_streams: self.tab == Tab::Streams,
            has_subjects: self.tab == Tab::Subjects,
            is_paused: self.is_paused,
        }
    }

    /// A new reading. A list that it was not asked for stays as it was.
    pub(super) fn show(&mut self, mut view: View) {
        // What was on its way when it was paused does not move the picture.
        if self.is_paused && self.view.is_some() {
            return;
        }
        let news = match (self.lost.take(), view.restarted) {
            (_, true) => Some("the node was started again: its counters begin anew"),
            (Some(_), false) => Some("the node answers again"),
            (None, false) => None,
        };
        self.news = match news {
            Some(news) => Some((news, view.time_ms.saturating_add(NEWS_MS))),
            None => self.news.filter(|(_, until_ms)| view.time_ms < *until_ms),
        };
        if let Some(before) = self.view.take() {
            view.streams.stay(before.streams);
            view.subjects.stay(before.subjects);
        }
        let lists = [
            (view.connections.total, view.connections.offset),
            (view.streams.total, view.streams.offset),
            (view.subjects.total, view.subjects.offset),
        ];
        // A page that is no more: those before it are.
        for (place, (total, offset)) in self.places.iter_mut().zip(lists) {
            if offset >= total && place.offset == offset {
                place.offset = 0;
            }
        }
        self.view = Some(view);
        self.sort();
    }

    /// No reading.
    pub(super) fn lose(&mut self, lost: Lost) {
        self.lost = Some(lost);
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Then {
        if key.kind == KeyEventKind::Release {
            return Then::Nothing;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control {
            return if key.code == KeyCode::Char('c') { Then::Quit } else { Then::Nothing };
        }
        match key.code {
            KeyCode::Char('q') => return Then::Quit,
            KeyCode::Esc if !self.is_help => return Then::Quit,
            // Any other key takes the help away.
            _ if self.is_help => self.is_help = false,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.is_help = true,
            KeyCode::Tab => return self.turn_to(1),
            KeyCode::BackTab => return self.turn_to(2),
            KeyCode::Char('s') => {
                let orders = self.tab.orders();
                let place = self.place_mut();
                (place.order, place.first) = ((place.order + 1) % orders, 0);
                self.sort();
            }
            KeyCode::Char('p' | ' ') => {
                self.is_paused = !self.is_paused;
                return Then::Ask;
            }
            KeyCode::Down | KeyCode::Char('j') => self.scroll(|first, _| first + 1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll(|first, _| first.saturating_sub(1)),
            KeyCode::PageDown => self.scroll(|first, room| first + room),
            KeyCode::PageUp => self.scroll(|first, room| first.saturating_sub(room)),
            KeyCode::Home => self.scroll(|_, _| 0),
            KeyCode::End => self.scroll(|_, _| usize::MAX),
            KeyCode::Right => return self.turn(true),
            KeyCode::Left => return self.turn(false),
            _ => return Then::Nothing,
        }
        Then::Draw
    }

    fn sort(&mut self) {
        let orders = self.places.map(|place| place.order);
        if let Some(view) = &mut self.view {
            order::sort(view, orders);
        }
    }

    /// Shows another list, so many to the right, and asks for it.
    fn turn_to(&mut self, steps: usize) -> Then {
        let at = Tab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or_default();
        self.tab = Tab::ALL.get((at + steps) % Tab::ALL.len()).copied().unwrap_or_default();
        Then::Ask
    }

    fn scroll(&mut self, to: impl FnOnce(usize, usize) -> usize) {
        let room = self.room.max(1);
        let rows = self.view.as_ref().map_or(0, |view| self.tab.rows(view));
        let place = self.place_mut();
        place.first = to(place.first, room).min(rows.saturating_sub(room));
    }

    /// Asks for the page behind or before this one, if there is one.
    fn turn(&mut self, forward: bool) -> Then {
        let Some(view) = &self.view else { return Then::Nothing };
        let (total, step) = match self.tab {
            Tab::Connections => (view.connections.total, CONNECTIONS_MAX),
            Tab::Streams => (view.streams.total, STREAMS_MAX),
            Tab::Subjects => (view.subjects.total, SUBSCRIPTIONS_MAX),
        };
        let place = self.place_mut();
        let offset = match forward {
            true if place.offset + step < total => place.offset + step,
            true => place.offset,
            false => place.offset.saturating_sub(step),
        };
        if offset == place.offset || self.is_paused {
            return Then::Nothing;
        }
        let place = self.place_mut();
        (place.offset, place.first) = (offset, 0);
        Then::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Page, Sample};
    use super::super::view::tests::{connection, sample};
    use super::*;

    fn press(screen: &mut Screen, code: KeyCode) -> Then {
        screen.press(code.into())
    }

    fn screen(connections: u64, total: u64) -> Screen {
        let mut screen = Screen::new("http://h:1".into(), true);
        let rows = (0..connections).map(|id| connection(id, 0, id)).collect();
        let sample = Sample { connections: Page::new(total, 0, rows), ..sample(1000) };
        screen.room = 10;
        screen.show(View::of(None, &sample));
        screen
    }

    #[test]
    fn keys_that_end_it_end_it() {
        for key in [KeyCode::Char('q').into(), KeyCode::Esc.into()] {
            assert_eq!(screen(1, 1).press(key), Then::Quit);
        }
        let control = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        assert_eq!(screen(1, 1).press(control('c')), Then::Quit);
        assert_eq!(screen(1, 1).press(control('q')), Then::Nothing);
        let mut helped = screen(1, 1);
        assert_eq!(press(&mut helped, KeyCode::Char('?')), Then::Draw);
        assert_eq!((press(&mut helped, KeyCode::Esc), helped.is_help), (Then::Draw, false));
    }

    #[test]
    fn scrolling_stays_within_the_rows() {
        let mut screen = screen(25, 25);
        let mut first = |code| {
            press(&mut screen, code);
            screen.place().first
        };
        assert_eq!([first(KeyCode::Up), first(KeyCode::Down), first(KeyCode::PageDown)], [0, 1, 11]);
        assert_eq!([first(KeyCode::PageDown), first(KeyCode::Down), first(KeyCode::End)], [15, 15, 15]);
        assert_eq!([first(KeyCode::PageUp), first(KeyCode::Home)], [5, 0]);
    }

    #[test]
    fn lists_have_an_order_each_and_go_round() {
        let mut screen = screen(3, 3);
        press(&mut screen, KeyCode::Char('s'));
        press(&mut screen, KeyCode::Tab);
        assert_eq!((screen.tab, screen.place().order), (Tab::Streams, 0));
        press(&mut screen, KeyCode::BackTab);
        assert_eq!((screen.tab, screen.place().order), (Tab::Connections, 1));
        press(&mut screen, KeyCode::BackTab);
        assert_eq!(screen.tab, Tab::Subjects);
        for _ in 0..Tab::Subjects.orders() {
            press(&mut screen, KeyCode::Char('s'));
        }
        assert_eq!(screen.place().order, 0);
    }

    #[test]
    fn pages_are_asked_for_while_there_are_more() {
        let mut screen = screen(500, 1200);
        let mut turn = |code| (press(&mut screen, code), screen.wanted().offsets[0]);
        assert_eq!(turn(KeyCode::Left), (Then::Nothing, 0));
        assert_eq!(turn(KeyCode::Right), (Then::Ask, 500));
        assert_eq!(turn(KeyCode::Right), (Then::Ask, 1000));
        assert_eq!(turn(KeyCode::Right), (Then::Nothing, 1000));
        assert_eq!(turn(KeyCode::Left), (Then::Ask, 500));
    }

    #[test]
    fn a_paused_picture_stands_still() {
        let mut screen = screen(1, 1);
        assert_eq!(press(&mut screen, KeyCode::Char('p')), Then::Ask);
        assert!(screen.wanted().is_paused);
        screen.show(View::of(None, &sample(5000)));
        assert_eq!(screen.view.as_ref().unwrap().time_ms, 1_061_000);
        press(&mut screen, KeyCode::Char('p'));
        screen.show(View::of(None, &sample(5000)));
        assert_eq!(screen.view.as_ref().unwrap().time_ms, 1_065_000);
    }
}
