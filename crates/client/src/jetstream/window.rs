//! How much a continuous pull has asked for and not yet got, and when to ask for more. Pure counting.

use super::status::Unserved;

/// What may be on its way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    messages_max: u64,
    /// 0: any number.
    bytes_max: u64,
    messages: u64,
    bytes: u64,
    /// Whether a message has come since the last pull.
    served: bool,
}

/// What the next pull asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) messages: u64,
    /// 0: any number.
    pub(crate) bytes: u64,
}

impl Window {
    pub(crate) fn new(messages_max: u64, bytes_max: u64) -> Window {
        Window { messages_max: messages_max.max(1), bytes_max, messages: 0, bytes: 0, served: true }
    }

    /// What to ask for now: nothing until half of it has come.
    pub(crate) fn ask(&mut self) -> Option<Ask> {
        let few = self.messages <= self.messages_max / 2;
        let light = self.bytes_max > 0 && self.bytes <= self.bytes_max / 2;
        if !few && !light {
            return None;
        }
        let ask = Ask {
            messages: self.messages_max.saturating_sub(self.messages).max(1),
            bytes: self.bytes_max.saturating_sub(self.bytes),
        };
        self.messages += ask.messages;
        self.bytes += ask.bytes;
        self.served = false;
        Some(ask)
    }

    /// A message of so many bytes came.
    pub(crate) fn came(&mut self, bytes: usize) {
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes as u64);
        self.served = true;
    }

    /// A pull is over with this left of it; `None`: nobody knows, so nothing is on its way.
    pub(crate) fn over(&mut self, unserved: Option<Unserved>) {
        match unserved {
            Some(left) => {
                self.messages = self.messages.saturating_sub(left.messages);
                self.bytes = self.bytes.saturating_sub(left.bytes);
                if self.messages == 0 {
                    self.bytes = 0;
                }
            }
            None => (self.messages, self.bytes) = (0, 0),
        }
    }

    /// Whether a message has come since the last pull: if not, asking for the same again would help nobody.
    pub(crate) fn is_served(&self) -> bool {
        self.served
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_is_asked_for_when_half_has_come() {
        let mut window = Window::new(10, 0);
        assert_eq!(window.ask(), Some(Ask { messages: 10, bytes: 0 }));
        (0..4).for_each(|_| window.came(100));
        assert_eq!(window.ask(), None);
        window.came(100);
        assert_eq!(window.ask(), Some(Ask { messages: 5, bytes: 0 }));
        window.over(Some(Unserved { messages: 10, bytes: 0 }));
        assert_eq!(window.ask(), Some(Ask { messages: 10, bytes: 0 }));
        window.over(None);
        assert_eq!(window.ask(), Some(Ask { messages: 10, bytes: 0 }));
    }

    #[test]
    fn bytes_are_a_reason_to_ask_as_well() {
        let mut window = Window::new(100, 1000);
        assert_eq!(window.ask(), Some(Ask { messages: 100, bytes: 1000 }));
        assert!(!window.is_served());
        window.came(600);
        assert!(window.is_served());
        assert_eq!(window.ask(), Some(Ask { messages: 1, bytes: 600 }));
    }

    proptest! {
        #[test]
        fn it_never_stalls_and_never_asks_for_more_than_it_may(
            messages_max in 1u64..50,
            steps in prop::collection::vec(any::<bool>(), 1..200),
        ) {
            let mut window = Window::new(messages_max, 0);
            let mut on_its_way = 0;
            for over in steps {
                on_its_way += window.ask().map_or(0, |ask| ask.messages);
                prop_assert!(on_its_way > 0 && on_its_way <= messages_max);
                if over {
                    window.over(Some(Unserved { messages: on_its_way, bytes: 0 }));
                    on_its_way = 0;
                } else {
                    window.came(1);
                    on_its_way -= 1;
                }
            }
        }
    }
}
