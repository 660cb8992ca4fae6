//! Rules about a Rust file by itself: it opens by saying what it is, stays short, and has nothing unfinished in it.

use super::house::line_of;
use super::source::code_only;
use super::{Finding, House};

/// Lines after which a file should be asked whether it is still one idea.
const LONG: usize = 700;

/// Files that are longer, with the lines they have today. A ratchet: rows may shrink and go, never grow or come.
const LONGER: &[(&str, usize)] = &[];

/// What must not be left in the code, and why.
const LEFTOVERS: &[(&str, &str)] = &[
    ("todo!", "finish it, or return an error that says what is missing"),
    ("unimplemented!", "finish it, or return an error that says what is missing"),
    ("dbg!", "remove it, or use tracing"),
    ("#[ignore", "a test that does not run is worse than none: repair it or remove it"),
];

/// Every Rust file opens with `//!`.
pub(crate) fn opening(house: &House) -> Vec<Finding> {
    let silent = house.rust().filter(|(_, text)| !text.trim_start().starts_with("//!"));
    silent
        .map(|(path, _)| {
            Finding::new(path, 1, "does not open with `//!`", "say what this file is, and what it is not")
        })
        .collect()
}

/// No file is longer than [`LONG`] but the ones in [`LONGER`], and those only shrink.
pub(crate) fn length(house: &House) -> Vec<Finding> {
    lengths(house, LONGER)
}

fn lengths(house: &House, longer: &[(&str, usize)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in house.rust() {
        let lines = text.lines().count();
        let known = longer.iter().find(|(name, _)| *name == path).map(|(_, lines)| *lines);
        if lines > known.unwrap_or(LONG) {
            let what = format!("{lines} lines; at most {}", known.unwrap_or(LONG));
            findings.push(Finding::new(path, lines, what, "is it still one idea? split it"));
        } else if known.is_some_and(|known| lines < known) {
            findings.push(Finding::new(
                path,
                lines,
                "is shorter than its row",
                format!("set its row in LONGER to {lines}, or drop it at {LONG}"),
            ));
        }
    }
    for (path, _) in longer.iter().filter(|(path, _)| house.text(path).is_none()) {
        findings.push(Finding::new(path, 0, "is gone", "remove its row from LONGER"));
    }
    findings
}

/// Nothing of [`LEFTOVERS`] is in any code, tests included.
pub(crate) fn leftovers(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in house.rust() {
        let code = code_only(text);
        for (mark, fix) in LEFTOVERS {
            let at = code
                .match_indices(mark)
                .map(|(at, _)| at)
                .filter(|at| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            findings.extend(
                at.map(|at| Finding::new(path, line_of(&code, at), format!("`{mark}` was left here"), *fix)),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_introduce_itself_is_found() {
        let house = House::of(&[("a.rs", "//! A.\n"), ("b.rs", "use std::fmt;\n"), ("c.rs", "/// C.\n")]);
        let files: Vec<String> = opening(&house).into_iter().map(|finding| finding.file).collect();
        assert_eq!(files, ["b.rs", "c.rs"]);
    }

    #[test]
    fn long_files_are_found_and_the_ratchet_only_turns_one_way() {
        let (long, short) = ("\n".repeat(LONG + 1), "\n".repeat(LONG));
        let house = House::of(&[("long.rs", &long), ("short.rs", &short)]);
        assert_eq!(lengths(&house, &[]).len(), 1);
        assert!(lengths(&house, &[("long.rs", LONG + 1)]).is_empty());
        assert_eq!(lengths(&house, &[("long.rs", LONG + 2)])[0].what, "is shorter than its row");
        assert_eq!(lengths(&house, &[("long.rs", LONG + 1), ("gone.rs", 800)])[0].what, "is gone");
    }

    #[test]
    fn leftovers_are_found_in_code_and_not_in_prose() {
        let house = House::of(&[(
            "a.rs",
            "//! todo! in prose\nfn f() { let s = \"dbg!\"; }\n#[test]\n#[ignore = \"slow\"]\nfn g() { todo!() }\n",
        )]);
        let lines: Vec<usize> = leftovers(&house).iter().map(|finding| finding.line).collect();
        assert_eq!(lines, [5, 4]);
    }
}
