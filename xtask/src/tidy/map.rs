//! `ARCHITECTURE.md` is a map: every path that it names exists.

use super::{Finding, House};

const MAP: &str = "ARCHITECTURE.md";

/// Finds paths on the map that lead nowhere.
pub(crate) fn check(house: &House) -> Vec<Finding> {
    let Some(text) = house.text(MAP) else {
        return vec![Finding::new(MAP, 0, "is missing", "write the map of the code")];
    };
    let mut findings = Vec::new();
    for (line, code) in quoted(text).filter(|(_, code)| is_path(code)) {
        // a path may end in an item: `crates/bus/src/route.rs::Route`
        let path = code.split("::").next().unwrap_or(code).trim_end_matches('/');
        if !house.exists(path) {
            findings.push(Finding::new(
                MAP,
                line,
                format!("`{code}` does not exist"),
                "name the path from the root as it is today",
            ));
        }
    }
    findings
}

/// What stands in backticks outside fenced blocks, with its line.
fn quoted(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    let lines = text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.flat_map(|(at, line)| line.split('`').skip(1).step_by(2).map(move |code| (at + 1, code)))
}

/// Whether a word in backticks is meant as a path of this repository: no spaces, placeholders, URLs, subjects or flags.
fn is_path(code: &str) -> bool {
    let outside = code.contains("://")
        || code.starts_with(['/', '-', '~', '$', '.'])
            && !code.starts_with(".ci")
            && !code.starts_with(".github");
    let odd = code.contains([' ', '<', '*', '{', '=', '(', '…', '"']);
    let named = [".rs", ".md", ".toml"].iter().any(|end| code.ends_with(end)) || code.contains('/');
    named && !outside && !odd
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_nowhere_is_found() {
        let map = "see `crates/bus/src/route.rs` and `crates/bus/`\nand `crates/gone/src/x.rs`, `LOST.md`\n";
        let house = House::of(&[(MAP, map), ("crates/bus/src/route.rs", "")]);
        let found: Vec<(usize, String)> =
            check(&house).into_iter().map(|finding| (finding.line, finding.what)).collect();
        assert_eq!(
            found,
            [(2, "`crates/gone/src/x.rs` does not exist".into()), (2, "`LOST.md` does not exist".into())]
        );
    }

    #[test]
    fn words_that_are_no_paths_are_left_alone() {
        let map = "`GET /healthz`, `/healthz`, `Session`, `https://a/b`, `$NP.a.b`, `cargo run -p x/y`, `crates/<name>/src`\n```\nno/path\n```\n";
        assert!(check(&House::of(&[(MAP, map)])).is_empty());
    }

    #[test]
    fn a_missing_map_is_found() {
        assert_eq!(check(&House::of(&[])).len(), 1);
    }
}
