//! Rules of the interest, one thread at a time; `model` checks its generations under every interleaving.

use std::sync::Arc;

use kernel::{SubId, SubjectPattern};
use proptest::prelude::*;

use crate::test::Silent;
use crate::{Hit, Interest};

fn pattern(text: &str) -> SubjectPattern {
    SubjectPattern::parse(text.as_bytes()).unwrap()
}

fn heard(interest: &Interest, subject: &str) -> Vec<u64> {
    let mut ids = Vec::new();
    interest.read().matches(subject.as_bytes(), &mut |hit| match hit {
        Hit::All(entries) | Hit::Group(_, entries) => ids.extend(entries.iter().map(|e| e.id.0)),
    });
    ids.sort_unstable();
    ids
}

fn token(wild: bool) -> impl Strategy<Value = &'static str> {
    prop::sample::select(if wild { vec!["a", "b", "c", "*", ">"] } else { vec!["a", "b", "c"] })
}

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<&'static str>, Option<&'static str>),
    Remove(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let queue = prop::option::of(prop::sample::select(vec!["q", "r"]));
    prop_oneof![
        3 => (prop::collection::vec(token(true), 1..5), queue).prop_map(|(t, q)| Step::Add(t, q)),
        1 => any::<prop::sample::Index>().prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn the_tree_says_what_trying_every_pattern_says(
        steps in prop::collection::vec(step(), 1..40),
        subjects in prop::collection::vec(prop::collection::vec(token(false), 1..5), 1..20),
    ) {
        let interest = Interest::new(7);
        let mut brute: Vec<(SubjectPattern, Option<&str>, SubId)> = Vec::new();
        for step in steps {
            match step {
                Step::Add(tokens, queue) => {
                    let Ok(p) = SubjectPattern::parse(tokens.join(".").as_bytes()) else { continue };
                    let id = interest.subscribe(&p, queue.map(str::as_bytes), Arc::new(Silent));
                    brute.push((p, queue, id));
                }
                Step::Remove(at) if !brute.is_empty() => {
                    let (p, queue, id) = brute.swap_remove(at.index(brute.len()));
                    prop_assert!(interest.unsubscribe(&p, queue.map(str::as_bytes), id));
                    prop_assert!(!interest.unsubscribe(&p, queue.map(str::as_bytes), id), "only once");
                }
                Step::Remove(_) => {}
            }
            for subject in &subjects {
                let subject = subject.join(".");
                let mut ids: Vec<u64> =
                    brute.iter().filter(|b| b.0.matches(subject.as_bytes())).map(|b| b.2.0).collect();
                ids.sort_unstable();
                prop_assert_eq!(heard(&interest, &subject), ids);
            }
        }
        for (p, queue, id) in brute.drain(..) {
            interest.unsubscribe(&p, queue.map(str::as_bytes), id);
        }
        prop_assert!(interest.is_empty() && interest.is_pruned(), "branches are pruned");
    }
}

#[test]
fn a_change_makes_the_stamps_of_its_first_token_stale_and_spares_others() {
    let interest = Interest::new(7);
    let (orders, inbox) = (interest.stamp(b"orders.new"), interest.stamp(b"_INBOX.x.1"));
    let id = interest.subscribe(&pattern("_INBOX.x.*"), None, Arc::new(Silent));
    assert!(interest.is_current(orders) && !interest.is_current(inbox));
    let inbox = interest.stamp(b"_INBOX.x.1");
    interest.unsubscribe(&pattern("_INBOX.x.*"), None, id);
    assert!(!interest.is_current(inbox));
    interest.subscribe(&pattern(">"), None, Arc::new(Silent));
    assert!(!interest.is_current(orders), "a leading wildcard concerns everybody");
}

#[test]
fn odd_subjects_are_taken_token_by_token() {
    let interest = Interest::new(7);
    interest.subscribe(&pattern(">"), None, Arc::new(Silent));
    interest.subscribe(&pattern("a.*.b"), None, Arc::new(Silent));
    for (subject, count) in [("", 1), ("a..b", 2), (".", 1), ("a.b", 1), ("*", 1)] {
        assert_eq!(heard(&interest, subject).len(), count, "{subject:?}");
    }
}
