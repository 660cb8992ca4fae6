//! Placeholder until the chore `soak` is written.

pub(crate) fn run(_: &[String]) -> Result<(), String> {
    Err("not written yet".into())
}
