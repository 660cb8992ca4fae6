//! The score of a run: one line for each test, and how many passed and failed.

/// Counts what the parts report.
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    part: String,
    filter: String,
}

impl Tally {
    /// A score that only tests with `filter` in their name take part in.
    pub(crate) fn new(filter: &str) -> Self {
        Self { passed: 0, failed: 0, part: String::new(), filter: filter.into() }
    }

    /// Everything that follows belongs to this part.
    pub(crate) fn enter(&mut self, part: &str) {
        self.part = part.into();
    }

    /// What names must contain to take part; empty means all.
    pub(crate) fn filter(&self) -> &str {
        &self.filter
    }

    /// Whether a test of this name takes part.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }

    /// A test passed.
    pub(crate) fn passed(&mut self, name: &str) {
        self.passed += 1;
        println!("ok     {}/{name}", self.part);
    }

    /// A test failed, and why.
    pub(crate) fn failed(&mut self, name: &str, why: &str) {
        self.failed += 1;
        println!("FAILED {}/{name}", self.part);
        for line in why.lines() {
            println!("         {line}");
        }
    }

    /// Counts a result under its name.
    pub(crate) fn count(&mut self, name: &str, result: Result<(), String>) {
        match result {
            Ok(()) => self.passed(name),
            Err(why) => self.failed(name, &why),
        }
    }
}
