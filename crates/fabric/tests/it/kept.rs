//! A message that a stream must have: where it goes, and that what was kept comes back.

use kernel::journal::Recovered;
use kernel::{Code, Msg, headers};

use crate::plane::World;

impl World {
    /// Publishes on a subject with a header.
    fn give(&mut self, subject: &str, header: (&str, &str)) -> Result<usize, Code> {
        let block = headers::block([header]).unwrap();
        let m = Msg { subject: subject.as_bytes(), headers: &block, payload: b"kept", ..Msg::default() };
        let done = self.session.publish(&m, &mut self.woken);
        self.turn();
        done
    }
}

#[test]
fn what_must_be_kept_is_heard_by_nobody_where_no_stream_captures_it() {
    let mut world = World::new(Recovered::default());
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.config", r#"{"name":"S","subjects":["s"]}"#);
    world.heard();
    for header in [("Np-Delay", "1h"), ("np-guarantee", "at-least-once"), ("Np-Ack", "mem")] {
        assert_eq!(world.give("_INBOX.loose", header), Err(Code::StreamNotFound), "{header:?}");
        assert_eq!(world.give("s", header), Ok(1), "{header:?}");
    }
    assert!(world.heard().is_empty());
    assert_eq!(world.give("_INBOX.loose", ("Np-Guarantee", "at-most-once")), Ok(1));
    let m = Msg { subject: b"_INBOX.loose", ..Msg::default() };
    assert_eq!(world.session.publish_kept(&m, &mut world.woken), Err(Code::StreamNotFound));
    assert_eq!(world.heard(), ["kept"]);
}

#[test]
fn what_was_kept_comes_back_to_a_reader_whatever_its_headers_ask() {
    let mut world = World::new(Recovered::default());
    world.journal.is_readable = true;
    let config = r#"{"name":"S","subjects":["s"],"allow_direct":true}"#;
    world.say("$JS.API.STREAM.CREATE.S", "_INBOX.config", config);
    world.heard();
    world.give("s", ("Np-Guarantee", "exactly-once")).unwrap();
    for ask in [r#"{"seq":1}"#, r#"{"seq":1,"batch":2}"#] {
        world.say("$JS.API.DIRECT.GET.S", "_INBOX.read", ask);
        world.turn();
        let heard = world.heard();
        assert_eq!(heard.first().map(String::as_str), Some("kept"), "{ask}: {heard:?}");
    }
}
