//! Lists of patterns that say where somebody may publish and what it may hear. A deny beats an allow; no allow list
//! allows everything.

use kernel::SubjectPattern;

/// One direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Only these; empty: everything.
    pub allow: Vec<SubjectPattern>,
    /// Never these.
    pub deny: Vec<SubjectPattern>,
}

/// Whether a pattern may be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Yes,
    /// Yes, but some of its subjects are denied: each must be asked for.
    Partly,
    /// No.
    No,
}

impl Rule {
    /// Whether there is nothing to check.
    pub fn is_open(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// Whether a message on `subject` is within the rule.
    pub fn admits(&self, subject: &[u8]) -> bool {
        let allowed = self.allow.is_empty() || self.allow.iter().any(|p| p.matches(subject));
        allowed && !self.deny.iter().any(|p| p.matches(subject))
    }

    /// Whether all subjects of `pattern` are within the rule.
    pub fn admits_pattern(&self, pattern: &SubjectPattern) -> Answer {
        let allowed = self.allow.is_empty() || self.allow.iter().any(|p| p.covers(pattern));
        if !allowed || self.deny.iter().any(|p| p.covers(pattern)) {
            return Answer::No;
        }
        match self.deny.iter().any(|p| p.overlaps(pattern)) {
            true => Answer::Partly,
            false => Answer::Yes,
        }
    }
}

/// What one principal may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Where it may publish.
    pub publish: Rule,
    /// What it may hear.
    pub subscribe: Rule,
    /// Whether it is the node itself, which alone publishes on its own subjects.
    is_node: bool,
}

impl Permissions {
    /// First tokens that belong to the node itself: nobody from outside publishes there.
    pub const RESERVED: [&[u8]; 2] = [b"$NP", b"$SYS"];

    /// What somebody may do by these rules.
    pub fn new(publish: Rule, subscribe: Rule) -> Permissions {
        Permissions { publish, subscribe, is_node: false }
    }

    /// What the node itself may do: everything.
    pub fn of_the_node() -> Permissions {
        Permissions { is_node: true, ..Permissions::default() }
    }

    /// Whether a message may be published on `subject`.
    pub fn may_publish(&self, subject: &[u8]) -> bool {
        let first = subject.split(|b| *b == b'.').next().unwrap_or_default();
        (self.is_node || !Self::RESERVED.contains(&first))
            && (self.publish.is_open() || self.publish.admits(subject))
    }

    /// Whether `pattern` may be subscribed to.
    pub fn may_subscribe(&self, pattern: &SubjectPattern) -> Answer {
        self.subscribe.admits_pattern(pattern)
    }

    /// Whether a message on `subject` may be heard.
    pub fn may_hear(&self, subject: &[u8]) -> bool {
        self.subscribe.is_open() || self.subscribe.admits(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patterns(list: &[&str]) -> Vec<SubjectPattern> {
        list.iter().map(|p| SubjectPattern::parse(p.as_bytes()).unwrap()).collect()
    }

    fn rule(allow: &[&str], deny: &[&str]) -> Rule {
        Rule { allow: patterns(allow), deny: patterns(deny) }
    }

    #[test]
    fn a_deny_beats_an_allow() {
        let r = rule(&["a.>"], &["a.secret.>"]);
        assert!(r.admits(b"a.b") && !r.admits(b"a.secret.b") && !r.admits(b"b"));
        assert!(rule(&[], &[]).admits(b"anything"));
    }

    #[test]
    fn a_pattern_that_reaches_into_denied_subjects_is_partly_admitted() {
        let r = rule(&["a.>"], &["a.secret.>"]);
        let ask = |p: &str| r.admits_pattern(&patterns(&[p])[0]);
        assert_eq!(ask("a.b"), Answer::Yes);
        assert_eq!(ask("a.*"), Answer::Yes);
        assert_eq!(ask("a.>"), Answer::Partly);
        assert_eq!(ask("a.secret.x"), Answer::No);
        assert_eq!(ask(">"), Answer::No);
    }

    #[test]
    fn nobody_publishes_on_the_nodes_own_subjects() {
        let open = Permissions::default();
        assert!(
            !open.may_publish(b"$SYS.x") && !open.may_publish(b"$NP") && open.may_publish(b"$JS.API.INFO")
        );
    }

    proptest! {
        #[test]
        fn what_is_heard_through_an_admitted_pattern_is_admitted(
            allow in prop::collection::vec("[ab*](\\.[ab*]){0,2}", 0..3),
            deny in prop::collection::vec("[ab*](\\.[ab*]){0,2}(\\.>)?", 0..3),
            ask in "[ab*](\\.[ab*]){0,2}(\\.>)?",
            subject in "[ab](\\.[ab]){0,3}",
        ) {
            let refs = |v: &[String]| patterns(&v.iter().map(String::as_str).collect::<Vec<_>>());
            let r = Rule { allow: refs(&allow), deny: refs(&deny) };
            let ask = patterns(&[&ask]).remove(0);
            if r.admits_pattern(&ask) == Answer::Yes && ask.matches(subject.as_bytes()) {
                prop_assert!(r.admits(subject.as_bytes()));
            }
        }
    }
}
