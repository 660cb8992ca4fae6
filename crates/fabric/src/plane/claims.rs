//! Which subjects are some stream's already: no two streams of a tenant capture the same subject. A tree over tokens,
//! so that a hundred thousand streams are asked as fast as ten.

use std::collections::BTreeMap;

use kernel::{LogId, SubjectPattern};

#[derive(Default)]
struct Node {
    /// Who has the pattern that ends here.
    owner: Option<LogId>,
    below: BTreeMap<Box<[u8]>, Node>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Claims(Node);

impl Claims {
    /// The pattern is `owner`'s from now on.
    pub(crate) fn add(&mut self, pattern: &SubjectPattern, owner: LogId) {
        let mut node = &mut self.0;
        for token in pattern.tokens() {
            node = node.below.entry(token.into()).or_default();
        }
        node.owner = Some(owner);
    }

    /// The pattern is nobody's from now on.
    pub(crate) fn remove(&mut self, pattern: &SubjectPattern) {
        let tokens: Vec<&[u8]> = pattern.tokens().collect();
        cut(&mut self.0, &tokens);
    }

    /// Whether somebody other than `own` has a pattern that overlaps this one.
    pub(crate) fn is_taken(&self, pattern: &SubjectPattern, own: Option<LogId>) -> bool {
        let tokens: Vec<&[u8]> = pattern.tokens().collect();
        meets(&self.0, &tokens, own)
    }
}

/// Takes a pattern out, and branches that end nowhere then. True: the node has become empty.
fn cut(node: &mut Node, tokens: &[&[u8]]) -> bool {
    match tokens.split_first() {
        None => node.owner = None,
        Some((first, rest)) => {
            if node.below.get_mut(*first).is_some_and(|next| cut(next, rest)) {
                node.below.remove(*first);
            }
        }
    }
    node.owner.is_none() && node.below.is_empty()
}

fn is_other(node: &Node, own: Option<LogId>) -> bool {
    node.owner.is_some_and(|owner| Some(owner) != own)
}

/// Whether a pattern of somebody else lies at or below a node.
fn is_any(node: &Node, own: Option<LogId>) -> bool {
    is_other(node, own) || node.below.values().any(|next| is_any(next, own))
}

fn meets(node: &Node, tokens: &[&[u8]], own: Option<LogId>) -> bool {
    let Some((first, rest)) = tokens.split_first() else { return is_other(node, own) };
    if node.below.get(&b">"[..]).is_some_and(|all| is_other(all, own)) {
        return true;
    }
    match *first {
        b">" => node.below.values().any(|next| is_any(next, own)),
        b"*" => node.below.iter().any(|(token, next)| **token != *b">" && meets(next, rest, own)),
        token => [token, b"*"].iter().any(|t| node.below.get(*t).is_some_and(|next| meets(next, rest, own))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> SubjectPattern {
        SubjectPattern::parse(text.as_bytes()).unwrap()
    }

    fn patterns() -> impl Strategy<Value = SubjectPattern> {
        let token = prop::sample::select(vec!["a", "b", "*"]);
        (prop::collection::vec(token, 1..4), prop::bool::ANY).prop_map(|(mut tokens, tail)| {
            if tail {
                tokens.push(">");
            }
            pattern(&tokens.join("."))
        })
    }

    proptest! {
        #[test]
        fn a_pattern_is_taken_when_it_overlaps_anothers(
            all in prop::collection::vec(patterns(), 0..6), gone in 0..6usize, asked in patterns()
        ) {
            let mut claims = Claims::default();
            let mut left: Vec<(SubjectPattern, LogId)> = Vec::new();
            for (i, p) in all.iter().enumerate() {
                if !left.iter().any(|(other, _)| other == p) {
                    claims.add(p, LogId(i as u64));
                    left.push((p.clone(), LogId(i as u64)));
                }
            }
            if gone < left.len() {
                claims.remove(&left.remove(gone).0);
            }
            for own in [None, Some(LogId(0))] {
                let expected = left.iter().any(|(p, owner)| Some(*owner) != own && p.overlaps(&asked));
                prop_assert_eq!(claims.is_taken(&asked, own), expected);
            }
        }
    }
}
