//! Which streams there must be: what was made and what was removed, as far as the server has said so.

use std::collections::BTreeSet;

/// The names that were promised to be there, and those that may be or not.
#[derive(Debug, Default)]
pub(super) struct Names {
    made: BTreeSet<String>,
    /// Asked for, and no answer yet: there or not.
    open: BTreeSet<String>,
}

impl Names {
    /// A request to make or to remove `name` is about to be sent.
    pub(super) fn asked(&mut self, name: &str) {
        self.open.insert(name.to_owned());
    }

    /// The server said that it is there now (`true`) or gone.
    pub(super) fn answered(&mut self, name: &str, there: bool) {
        self.open.remove(name);
        match there {
            true => _ = self.made.insert(name.to_owned()),
            false => _ = self.made.remove(name),
        }
    }

    /// What differs from a server's list: names that are missing, and names that should not be there.
    pub(super) fn differ(&self, listed: &[String]) -> (Vec<String>, Vec<String>) {
        let listed: BTreeSet<&String> = listed.iter().collect();
        let missing = self.made.iter().filter(|name| !listed.contains(name) && !self.open.contains(*name));
        let surplus = listed.iter().filter(|name| !self.made.contains(**name) && !self.open.contains(**name));
        (missing.cloned().collect(), surplus.map(|name| (*name).clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_is_certain_and_what_was_only_asked_is_not() {
        let mut names = Names::default();
        for (name, there) in [("A", true), ("B", true), ("B", false)] {
            names.asked(name);
            names.answered(name, there);
        }
        names.asked("C");
        let of = |list: &[&str]| names.differ(&list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        let none = Vec::<String>::new();
        assert_eq!(of(&["A"]), (none.clone(), none.clone()));
        assert_eq!(of(&["A", "C"]), (none.clone(), none.clone()));
        assert_eq!(of(&["C"]), (vec!["A".to_owned()], none.clone()));
        assert_eq!(of(&["A", "B"]), (none, vec!["B".to_owned()]));
    }
}
