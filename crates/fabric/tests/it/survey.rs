//! What operators see of single streams: it costs the plane little, however often they ask.

use kernel::journal::Recovered;

use crate::plane::World;

impl World {
    /// What was seen of the first stream last: its messages, and what waits for each consumer. Another look is asked for.
    fn surveyed(&self) -> Option<(u64, Vec<u64>)> {
        let seen = self.plane.survey().seen();
        let stream = seen.first()?;
        Some((stream.messages, stream.consumers.iter().map(|consumer| consumer.pending).collect()))
    }
}

/// A stream S with messages, and as many consumers that hear half of them.
fn watched(messages: usize, consumers: usize) -> World {
    let mut world = World::new(Recovered::default());
    world.say("$JS.API.STREAM.CREATE.S", "", r#"{"name":"S","subjects":["s.>"]}"#);
    for n in 0..messages {
        world.put(&format!("s.{}.{n}", n % 2), "", "");
    }
    for n in 0..consumers {
        let create = format!(
            r#"{{"stream_name":"S","config":{{"durable_name":"C{n:03}","filter_subject":"s.1.*","ack_policy":"explicit"}}}}"#
        );
        world.say(&format!("$JS.API.CONSUMER.DURABLE.CREATE.S.C{n:03}"), "", &create);
    }
    world
}

#[test]
fn what_waits_for_many_consumers_is_counted_bit_by_bit() {
    let mut world = watched(5_000, 40);
    // What goes makes everybody count again.
    world.say("$JS.API.STREAM.PURGE.S", "", r#"{"seq":101}"#);
    world.rounds();
    assert_eq!(world.surveyed(), None);
    let mut turns = 0;
    let seen = loop {
        let next = world.turn();
        turns += 1;
        match world.plane.survey().seen().is_empty() {
            true => assert!(next.is_some_and(|next| next <= world.now.mono_ns), "it goes on at once"),
            false => break world.surveyed().unwrap(),
        }
    };
    assert_eq!(seen, (4900, vec![2450; 40]), "each is seen once");
    assert!((10..=40).contains(&turns), "{turns}");
}

#[test]
fn whoever_asks_all_the_time_gets_a_look_a_second() {
    let mut world = watched(10, 2);
    world.surveyed();
    world.turn();
    assert_eq!(world.surveyed(), Some((10, vec![5, 5])));
    world.put("s.1.new", "", "");
    let next = world.turn().unwrap();
    assert!(next > world.now.mono_ns, "it does not come again and again until then");
    assert_eq!(world.surveyed(), Some((10, vec![5, 5])), "it is too early for another look");
    world.now.mono_ns = next;
    world.turn();
    assert_eq!(world.surveyed(), Some((11, vec![6, 6])));
}
