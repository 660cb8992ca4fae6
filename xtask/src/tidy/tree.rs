//! One crypto provider everywhere: crates that would bring another, or a C library that not every machine has, are in
//! nobody's normal build.

use std::process::Command;

use super::{Finding, House};

/// Crates that must not be built, and the page under `docs/decisions/` that allows one after all.
const BANNED: &[(&str, Option<&str>)] = &[("ring", None), ("openssl-sys", None), ("onig_sys", None)];

/// Asks cargo who brings a banned crate.
pub(crate) fn check(house: &House) -> Vec<Finding> {
    BANNED.iter().filter_map(|(name, page)| verdict(house, name, *page, &ask(name))).collect()
}

/// What `cargo tree` answered: the tree on standard output, and standard error.
struct Answer {
    success: bool,
    tree: String,
    said: String,
}

fn ask(name: &str) -> Answer {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["tree", "--workspace", "--locked", "--edges", "no-dev", "--invert", name];
    match Command::new(cargo).args(words).current_dir(crate::fetch::root()).output() {
        Ok(output) => Answer {
            success: output.status.success(),
            tree: String::from_utf8_lossy(&output.stdout).into_owned(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        },
        Err(why) => Answer { success: false, tree: String::new(), said: why.to_string() },
    }
}

fn verdict(house: &House, name: &str, page: Option<&str>, answer: &Answer) -> Option<Finding> {
    if let Some(page) = page {
        let gone = Finding::new(
            "xtask/src/tidy/tree.rs",
            0,
            format!("`{name}` is allowed by {page}, which does not exist"),
            "write the page, or remove the exception",
        );
        return if house.exists(page) { None } else { Some(gone) };
    }
    if answer.tree.trim().is_empty() {
        let unknown = answer.said.contains("did not match any packages");
        let failed = Finding::new(
            "Cargo.lock",
            0,
            format!("cargo tree failed: {}", answer.said.trim()),
            "make `cargo tree --workspace --locked` pass",
        );
        return if answer.success || unknown { None } else { Some(failed) };
    }
    let by: Vec<&str> = answer.tree.lines().skip(1).take(4).map(str::trim).collect();
    let fix = format!(
        "turn off the feature that brings it (`cargo tree --invert {name}`), or name a decision page in xtask/src/tidy/tree.rs"
    );
    Some(Finding::new("Cargo.lock", 0, format!("`{name}` is built, through {}", by.join(" ")), fix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(success: bool, tree: &str, said: &str) -> Answer {
        Answer { success, tree: tree.into(), said: said.into() }
    }

    #[test]
    fn a_banned_crate_in_the_build_is_found() {
        let built = answer(true, "ring v0.17.0\n└── rustls v0.23.0\n", "");
        assert!(verdict(&House::of(&[]), "ring", None, &built).is_some());
        assert!(
            verdict(&House::of(&[]), "ring", Some("docs/decisions/ring.md"), &built).is_some(),
            "the page is missing"
        );
        assert!(
            verdict(
                &House::of(&[("docs/decisions/ring.md", "")]),
                "ring",
                Some("docs/decisions/ring.md"),
                &built
            )
            .is_none()
        );
    }

    #[test]
    fn absent_is_fine_and_a_broken_cargo_is_not() {
        let house = House::of(&[]);
        assert!(verdict(&house, "ring", None, &answer(true, "", "warning: nothing to print.")).is_none());
        assert!(
            verdict(
                &house,
                "ring",
                None,
                &answer(false, "", "error: package ID specification `ring` did not match any packages")
            )
            .is_none()
        );
        assert!(
            verdict(&house, "ring", None, &answer(false, "", "error: the lock file needs to be updated"))
                .is_some()
        );
    }
}
