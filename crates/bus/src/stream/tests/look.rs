//! Finding and counting.

use super::*;

#[test]
fn messages_are_numbered_from_one_or_from_where_the_configuration_says() {
    let mut b = stream(|_| ());
    assert_eq!(b.stream.state(), State::default());
    assert_eq!((b.publish("a", &[]), b.publish("a", &[])), (stored(1), stored(2)));
    let mut b = stream(|c| c.first_seq = 100);
    let state = b.stream.state();
    assert_eq!((state.first_seq, state.last_seq, b.stream.first()), (100, 99, 100));
    assert_eq!(b.publish("a", &[]), stored(100));
}

#[test]
fn bytes_count_as_the_real_server_counts_them() {
    let mut b = stream(|_| ());
    b.store("s.1", "hello", &[]).unwrap();
    b.show();
    assert_eq!(b.stream.state().bytes, 38);
    b.store("s.1", "hello", &[("A", "b")]).unwrap();
    b.show();
    assert_eq!(b.stream.state().bytes, 98);
    let mut b = stream(|c| c.storage = wire::jetstream::StorageType::Memory);
    b.store("s.1", "hello", &[("A", "b")]).unwrap();
    b.show();
    assert_eq!(b.stream.state().bytes, 42);
}

#[test]
fn messages_are_found_by_subject_and_place() {
    let mut b = stream(|_| ());
    ["a.1", "a.2", "b.1", "a.1", "b.2"].into_iter().for_each(|s| b.put(s));
    let s = &b.stream;
    assert_eq!((s.last_of(b"a.1"), s.last_of(b"q")), (Some(4), None));
    assert_eq!((s.last_heard(&pattern("a.*")), s.last_heard(&pattern("c.>"))), (Some(4), None));
    assert_eq!((s.next_heard(2, &pattern("b.*")), s.next_heard(6, &pattern(">"))), (Some(3), None));
    let many = |filters: &[&str], up_to, max| {
        s.last_of_many(&filters.iter().map(|f| pattern(f)).collect::<Vec<_>>(), up_to, max)
    };
    assert_eq!(many(&["a.*", "b.1"], 9, 10), Ok(vec![2, 3, 4]));
    assert_eq!(many(&["a.*", "b.1"], 3, 10), Ok(vec![1, 2, 3]));
    assert_eq!(many(&[">"], 9, 2), Err(Refusal::TooMany));
    let mut counts: Vec<_> = s.subjects(&pattern("a.*")).map(|(n, c)| (n.to_vec(), c)).collect();
    counts.sort();
    assert_eq!(counts, [(b"a.1".to_vec(), 2), (b"a.2".to_vec(), 1)]);
    assert_eq!(s.last_of_each(&mut |_, n| n != b"a.1"), [2, 3, 5]);
}

#[test]
fn a_start_within_a_millisecond_has_what_came_in_it() {
    let mut b = stream(|_| ());
    b.put("a");
    let (s, stored_ns) = (&b.stream, b.stream.state().last_time_ns);
    assert_eq!((s.at_time(stored_ns + 453_000), s.at_time(stored_ns + 1_000_000)), (1, 2));
}
