//! What goes, by request or by a limit.

use super::*;

#[test]
fn a_full_stream_lets_go_of_the_oldest() {
    let mut b = stream(|c| c.max_msgs = 3);
    (0..5).for_each(|_| b.put("a"));
    assert_eq!(b.seqs(), [3, 4, 5]);
    let mut b = stream(|c| c.max_bytes = 100);
    (0..5).for_each(|_| b.put("aaa"));
    assert_eq!(b.seqs(), [4, 5], "34 bytes each");
    let mut b = stream(|c| c.max_bytes = 100);
    b.store("a", &"x".repeat(200), &[]).unwrap();
    b.show();
    assert_eq!((b.seqs(), b.stream.state().first_seq, b.stream.state().last_seq), (vec![], 2, 1));
}

#[test]
fn a_subject_keeps_its_newest_messages() {
    let mut b = stream(|c| c.max_msgs_per_subject = 2);
    ["a", "b", "a", "a", "b", "b", "a"].into_iter().for_each(|s| b.put(s));
    assert_eq!(b.seqs(), [4, 5, 6, 7]);
    let mut changes = Changes::default();
    b.stream.delete(4, &mut changes).unwrap();
    b.note(changes);
    b.put("a");
    b.put("a");
    assert_eq!(b.seqs(), [5, 6, 8, 9]);
    assert_eq!(b.restarted(true).seqs(), [5, 6, 8, 9]);
}

#[test]
fn a_roll_up_stands_for_what_was_before() {
    let mut b = stream(|c| c.allow_rollup_hdrs = true);
    ["a", "b", "b"].into_iter().for_each(|s| b.put(s));
    b.publish("b", &[("Nats-Rollup", "sub")]).unwrap();
    assert_eq!(b.seqs(), [1, 4]);
    b.store("c", "x", &[("Nats-Rollup", "ALL")]).unwrap();
    b.put("d");
    assert_eq!(b.seqs(), [5, 6]);
    assert_eq!(b.publish("a", &[("Nats-Rollup", "Foo")]), Err(Refusal::RollupInvalid { word: "foo".into() }));
    let mut b = stream(|_| ());
    assert_eq!(b.publish("a", &[("Nats-Rollup", "sub")]), Err(Refusal::RollupForbidden));
}

#[test]
fn deleting_leaves_a_hole_that_is_listed() {
    let mut b = stream(|_| ());
    (0..5).for_each(|n| b.put(&format!("s.{}", n % 2)));
    let mut changes = Changes::default();
    assert_eq!(b.stream.delete(2, &mut changes), Ok(()));
    assert_eq!(b.stream.delete(2, &mut changes), Err(Refusal::NotFound { seq: 2 }));
    assert_eq!(b.stream.delete(9, &mut changes), Err(Refusal::NotFound { seq: 9 }));
    assert_eq!((b.stream.deleted(10), b.stream.state().num_deleted), (vec![2], 1));
    b.stream.delete(1, &mut changes).unwrap();
    assert_eq!((b.stream.deleted(10), b.stream.state().first_seq), (vec![], 3));
    b.stream.delete(5, &mut changes).unwrap();
    assert_eq!((b.stream.deleted(10), b.stream.state().last_seq), (vec![5], 5));
    assert_eq!(b.stream.last_of(b"s.0"), Some(3));
    let mut b = stream(|c| c.deny_delete = true);
    b.put("a");
    assert_eq!(b.stream.delete(1, &mut changes), Err(Refusal::DeleteForbidden));
}

#[test]
fn a_purge_takes_what_it_is_asked_to() {
    let five = || {
        let mut b = stream(|_| ());
        (0..5).for_each(|n| b.put(&format!("s.{}", n % 2)));
        b
    };
    let (zero, one) = (pattern("s.0"), pattern("s.1"));
    let all = Purge::default();
    for (what, left) in [
        (all, vec![]),
        (Purge { before: Some(3), ..all }, vec![3, 4, 5]),
        (Purge { keep: Some(2), ..all }, vec![4, 5]),
        (Purge { filter: Some(&one), ..all }, vec![1, 3, 5]),
        (Purge { filter: Some(&zero), keep: Some(1), ..all }, vec![2, 4, 5]),
        (Purge { filter: Some(&zero), before: Some(3), ..all }, vec![2, 3, 4, 5]),
        (Purge { before: Some(6), ..all }, vec![]),
        (Purge { keep: Some(50), ..all }, vec![1, 2, 3, 4, 5]),
    ] {
        let mut b = five();
        assert_eq!(b.purge(what), Ok(5 - left.len() as u64), "{what:?}");
        assert_eq!(b.seqs(), left, "{what:?}");
        let state = b.stream.state();
        assert_eq!((state.first_seq, state.last_seq), (left.first().copied().unwrap_or(6), 5));
        assert_eq!(b.publish("s.0", &[]), stored(6));
    }
    let mut changes = Changes::default();
    let mut b = five();
    purge_all(&mut b.stream, Purge { before: Some(100), ..all }, &mut changes).unwrap();
    assert_eq!((b.stream.state().first_seq, b.stream.state().last_seq, changes.last), (100, 99, Some(99)));
    let both = Purge { before: Some(3), keep: Some(1), ..all };
    assert_eq!(five().purge(both), Err(Refusal::BadRequest));
    let mut b = stream(|c| c.deny_purge = true);
    assert_eq!(b.purge(all), Err(Refusal::PurgeForbidden));
}

#[test]
fn a_tighter_configuration_is_applied_at_once() {
    let five = |change: fn(&mut StreamConfig)| {
        let mut b = stream(|_| ());
        (0..5).for_each(|n| b.put(&format!("s.{}", n % 2)));
        let mut config = b.stream.config().clone();
        change(&mut config);
        let config = check_update(b.stream.config(), config, &Limits::default()).unwrap();
        let mut changes = Changes::default();
        b.stream.update(config, &mut changes);
        b.note(changes);
        b
    };
    assert_eq!(five(|c| c.max_msgs_per_subject = 1).seqs(), [4, 5]);
    assert_eq!(five(|c| c.max_msgs = 2).seqs(), [4, 5]);
    assert_eq!(five(|c| (c.max_msgs, c.discard) = (2, Discard::New)).seqs(), [1, 2, 3, 4, 5]);
    let mut b = five(|c| c.max_msgs_per_subject = 2);
    (0..3).for_each(|_| b.put("s.0"));
    assert_eq!(b.seqs(), [2, 4, 7, 8]);
    let mut b = five(|c| c.sealed = true);
    assert_eq!(b.publish("s.0", &[]), Err(Refusal::Sealed));
    assert_eq!(b.purge(Purge::default()), Err(Refusal::Sealed));
}

#[test]
fn a_purge_goes_on_where_it_was_and_takes_nothing_that_came_later() {
    let (every, two) = (pattern("s.*"), Some(2));
    for (what, left) in [
        (Purge { filter: Some(&every), ..Purge::default() }, vec![5, 21]),
        (Purge { filter: Some(&every), keep: two, ..Purge::default() }, vec![5, 20, 21]),
        (Purge { filter: Some(&every), before: Some(11), ..Purge::default() }, (11..=21).collect()),
    ] {
        let mut b = stream(|_| ());
        (1..=20).for_each(|n| b.put(if n == 5 { "t" } else { "s.1" }));
        let mut changes = Changes::default();
        let mut purging = b.stream.purge(what, &mut changes).unwrap();
        assert!(b.stream.purge_more(&mut purging, 4, &mut changes));
        assert_eq!(
            (purging.purged(), b.stream.state().messages),
            (4, 16),
            "a slice takes no more than it may"
        );
        b.note(changes);
        // Others go on meanwhile.
        b.put("s.2");
        let mut changes = Changes::default();
        for seq in [7, 19] {
            b.stream.delete(seq, &mut changes).unwrap();
        }
        while b.stream.purge_more(&mut purging, 4, &mut changes) {}
        b.note(changes);
        let left: Vec<u64> = match what.before {
            Some(_) => [5].into_iter().chain(left.into_iter().filter(|seq| *seq != 19)).collect(),
            None => left,
        };
        assert_eq!(b.seqs(), left, "{what:?}");
    }
}

#[test]
fn a_purge_that_finds_little_looks_at_a_bounded_part_at_a_time() {
    let mut b = stream(|_| ());
    (0..1000).for_each(|n| b.put(if n == 999 { "t.1" } else { "s" }));
    let (filter, mut changes) = (pattern("t.*"), Changes::default());
    let what = Purge { filter: Some(&filter), ..Purge::default() };
    let mut purging = b.stream.purge(what, &mut changes).unwrap();
    let slices = (1..).take_while(|_| b.stream.purge_more(&mut purging, 4, &mut changes)).count();
    assert!((6..12).contains(&slices), "{slices}");
    assert_eq!(purging.purged(), 1);
}

#[test]
fn a_purge_that_keeps_many_remembers_none_of_them() {
    for (keep, gone, filter) in [
        (u64::MAX, 0, "s.*"),
        (1001, 0, "s.*"),
        (999, 1, "s.*"),
        (400, 600, "s.*"),
        (400, 100, "s.1"),
        (500, 0, "s.1"),
    ] {
        let mut b = stream(|_| ());
        (0..1000).for_each(|n| b.put(&format!("s.{}", n % 2)));
        let (filter, mut changes) = (pattern(filter), Changes::default());
        let what = Purge { filter: Some(&filter), keep: Some(keep), ..Purge::default() };
        let mut purging = b.stream.purge(what, &mut changes).unwrap();
        let mut slices = 0;
        while b.stream.purge_more(&mut purging, 4, &mut changes) {
            slices += 1;
            let held = format!("{purging:?}");
            assert!(held.len() < 400, "{held}");
        }
        assert_eq!(purging.purged(), gone, "{what:?}");
        assert!(slices <= gone / 4 + 1000 / (4 * 32) * 2 + 2, "{what:?}: {slices}");
    }
}
