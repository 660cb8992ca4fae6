//! Placeholder until the chore `compare` is written.

pub(crate) fn run(_: &[String]) -> Result<(), String> {
    Err("not written yet".into())
}
