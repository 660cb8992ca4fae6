//! The tree of patterns: one level a token. It is *not* safe to share by itself; [`crate::Interest`] guards it.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use kernel::{Listener, SubId, SubjectPattern};

/// A listener and the subscription that it hears by.
#[derive(Clone)]
pub struct Entry {
    /// The subscription.
    pub id: SubId,
    /// Who hears.
    pub listener: Arc<dyn Listener>,
}

/// What a subject meets in the tree.
pub enum Hit<'t> {
    /// Every one of these hears it.
    All(&'t [Entry]),
    /// One of these hears it. A group of this name may be met again under another pattern: it is the same group.
    Group(&'t [u8], &'t [Entry]),
}

/// Those who listen at one place of the tree. Entries are in the order of their ids, which only grow.
#[derive(Default)]
struct Leaf {
    all: Vec<Entry>,
    groups: HashMap<Box<[u8]>, Vec<Entry>, FixedState>,
}

type Children = HashMap<Box<[u8]>, Node, FixedState>;

#[derive(Default)]
struct Node {
    children: Option<Box<Children>>,
    /// Below a `*`.
    any: Option<Box<Node>>,
    /// Patterns that end here.
    here: Option<Box<Leaf>>,
    /// Patterns that end in `>` after this.
    rest: Option<Box<Leaf>>,
}

/// See the module.
pub(crate) struct Trie {
    root: Node,
    hasher: FixedState,
}

impl Trie {
    pub(crate) fn new(seed: u64) -> Trie {
        Trie { root: Node::default(), hasher: FixedState::with_seed(seed) }
    }

    pub(crate) fn insert(&mut self, pattern: &SubjectPattern, queue: Option<&[u8]>, entry: Entry) {
        let hasher = &self.hasher;
        let mut node = &mut self.root;
        let mut tail = false;
        for token in pattern.tokens() {
            match token {
                b">" => tail = true,
                b"*" => node = node.any.get_or_insert_default(),
                _ => {
                    let new = || Box::new(HashMap::with_hasher(hasher.clone()));
                    node = node.children.get_or_insert_with(new).entry(token.into()).or_default();
                }
            }
        }
        let leaf = if tail { &mut node.rest } else { &mut node.here };
        let leaf = leaf.get_or_insert_default();
        match queue {
            None => leaf.all.push(entry),
            Some(queue) => leaf.groups.entry(queue.into()).or_default().push(entry),
        }
    }

    /// Takes an entry out, and the branches that are empty then. False: it was not there.
    pub(crate) fn remove(&mut self, pattern: &SubjectPattern, queue: Option<&[u8]>, id: SubId) -> bool {
        let tokens: Vec<&[u8]> = pattern.tokens().collect();
        self.root.remove(&tokens, queue, id)
    }

    /// Tells `hit` everybody who hears `subject`.
    pub(crate) fn matches<'t>(&'t self, subject: &[u8], hit: &mut impl FnMut(Hit<'t>)) {
        self.root.matches(Some(subject), hit);
    }

    /// Tells `tell` every entry, with the tokens of its pattern and its group.
    pub(crate) fn each<'t>(&'t self, tell: &mut impl FnMut(&[&'t [u8]], Option<&'t [u8]>, &'t Entry)) {
        self.root.each(&mut Vec::new(), tell);
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }
}

impl Leaf {
    fn tell<'t>(&'t self, hit: &mut impl FnMut(Hit<'t>)) {
        if !self.all.is_empty() {
            hit(Hit::All(&self.all));
        }
        for (name, members) in &self.groups {
            hit(Hit::Group(name, members));
        }
    }

    fn each<'t>(
        &'t self,
        tokens: &[&'t [u8]],
        tell: &mut impl FnMut(&[&'t [u8]], Option<&'t [u8]>, &'t Entry),
    ) {
        self.all.iter().for_each(|entry| tell(tokens, None, entry));
        for (name, members) in &self.groups {
            members.iter().for_each(|entry| tell(tokens, Some(name), entry));
        }
    }

    fn remove(&mut self, queue: Option<&[u8]>, id: SubId) -> bool {
        let Some(queue) = queue else { return take(&mut self.all, id) };
        let Some(members) = self.groups.get_mut(queue) else { return false };
        let found = take(members, id);
        if members.is_empty() {
            self.groups.remove(queue);
        }
        found
    }

    fn is_empty(&self) -> bool {
        self.all.is_empty() && self.groups.is_empty()
    }
}

fn take(entries: &mut Vec<Entry>, id: SubId) -> bool {
    let found = entries.binary_search_by_key(&id, |e| e.id);
    if let Ok(at) = found {
        entries.remove(at);
        if entries.capacity() > 2 * entries.len() + 8 {
            entries.shrink_to_fit();
        }
    }
    found.is_ok()
}

/// Removes from a leaf, and the leaf itself when that leaves it empty.
fn prune(leaf: &mut Option<Box<Leaf>>, queue: Option<&[u8]>, id: SubId) -> bool {
    let found = leaf.as_mut().is_some_and(|l| l.remove(queue, id));
    if leaf.as_ref().is_some_and(|l| l.is_empty()) {
        *leaf = None;
    }
    found
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_none() && self.any.is_none() && self.here.is_none() && self.rest.is_none()
    }

    fn remove(&mut self, tokens: &[&[u8]], queue: Option<&[u8]>, id: SubId) -> bool {
        let Some((token, more)) = tokens.split_first() else { return prune(&mut self.here, queue, id) };
        match *token {
            b">" => prune(&mut self.rest, queue, id),
            b"*" => {
                let found = self.any.as_mut().is_some_and(|n| n.remove(more, queue, id));
                self.any.take_if(|n| n.is_empty());
                found
            }
            name => {
                let Some(children) = &mut self.children else { return false };
                let Some(child) = children.get_mut(name) else { return false };
                let found = child.remove(more, queue, id);
                if child.is_empty() {
                    children.remove(name);
                }
                self.children.take_if(|c| c.is_empty());
                found
            }
        }
    }

    /// As deep as the longest pattern.
    fn each<'t>(
        &'t self,
        tokens: &mut Vec<&'t [u8]>,
        tell: &mut impl FnMut(&[&'t [u8]], Option<&'t [u8]>, &'t Entry),
    ) {
        if let Some(leaf) = &self.here {
            leaf.each(tokens, tell);
        }
        if let Some(leaf) = &self.rest {
            tokens.push(b">");
            leaf.each(tokens, tell);
            tokens.pop();
        }
        let named = self.children.iter().flat_map(|c| c.iter()).map(|(token, node)| (&**token, node));
        for (token, node) in self.any.iter().map(|node| (&b"*"[..], &**node)).chain(named) {
            tokens.push(token);
            node.each(tokens, tell);
            tokens.pop();
        }
    }

    /// `subject`: the tokens that are left; `None` when there are none. As deep as the deepest pattern.
    fn matches<'t>(&'t self, subject: Option<&[u8]>, hit: &mut impl FnMut(Hit<'t>)) {
        let Some(subject) = subject else {
            return self.here.iter().for_each(|leaf| leaf.tell(hit));
        };
        if let Some(leaf) = &self.rest {
            leaf.tell(hit);
        }
        if self.any.is_none() && self.children.is_none() {
            return;
        }
        let (token, more) = match subject.iter().position(|b| *b == b'.') {
            Some(dot) => (&subject[..dot], Some(&subject[dot + 1..])),
            None => (subject, None),
        };
        if let Some(node) = &self.any {
            node.matches(more, hit);
        }
        if let Some(node) = self.children.as_ref().and_then(|c| c.get(token)) {
            node.matches(more, hit);
        }
    }
}
