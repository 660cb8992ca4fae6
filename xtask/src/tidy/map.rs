//! `ARCHITECTURE.md` is a map: every path that it names exists. So does every file that a page links to.

use super::{Finding, House};

const MAP: &str = "ARCHITECTURE.md";

/// Finds paths on the map, and links of any page, that lead nowhere. What a link names within a page is not looked for.
pub(crate) fn check(house: &House) -> Vec<Finding> {
    let mut findings = paths(house);
    for (page, text) in house.markdown() {
        for (line, link) in links(text) {
            if !target(page, link).is_some_and(|path| path.is_empty() || house.exists(&path)) {
                findings.push(Finding::new(
                    page,
                    line,
                    format!("the link to {link} leads nowhere"),
                    "link to the file as it is named today, from this page's folder",
                ));
            }
        }
    }
    findings
}

fn paths(house: &House) -> Vec<Finding> {
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

/// Links to files of this repository, `[a](b)` and `[a]: b`, with their lines.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(at, line)| {
        let defined = line.starts_with('[').then(|| line.split_once("]: ")).flatten().map(|(_, link)| link);
        // Whatever stands in backticks is an example.
        let said = line.split('`').step_by(2);
        let inline = said.flat_map(|text| text.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
        let bare = inline.chain(defined).filter_map(|link| link.split([' ', '#']).next());
        bare.filter(|link| !link.contains("://") && !link.starts_with("mailto:")).map(move |link| (at, link))
    })
}

/// The path from the root that a link of `page` means; none: it leads out of the repository.
fn target(page: &str, link: &str) -> Option<String> {
    let mut path: Vec<&str> = match link.starts_with('/') || link.is_empty() {
        true => Vec::new(),
        false => page.rsplit_once('/').map_or(Vec::new(), |(folder, _)| folder.split('/').collect()),
    };
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = path.pop()?,
            part => path.push(part),
        }
    }
    Some(path.join("/"))
}

/// Lines outside fenced blocks, counted from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    let lines = text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.map(|(at, line)| (at + 1, line))
}

/// What stands in backticks outside fenced blocks, with its line.
fn quoted(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(at, line)| line.split('`').skip(1).step_by(2).map(move |code| (at, code)))
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
    fn a_link_that_leads_nowhere_is_found_wherever_it_stands() {
        let page = "[a](nats.md#accounts) [b](../README.md \"title\") ![c](/docs/guide/) [d](#here) [e](https://x/y)\n\
                    `[f](example.md)` and [g](gone.md),\n[h](../../../out.md)\n[i]: lost.md\n```\n[j](fenced.md)\n```\n";
        let house = House::of(&[
            (MAP, ""),
            ("docs/README.md", ""),
            ("docs/guide/nats.md", ""),
            ("docs/guide/a.md", page),
        ]);
        let found: Vec<usize> = check(&house).into_iter().map(|finding| finding.line).collect();
        assert_eq!(found, [2, 3, 4]);
    }

    #[test]
    fn a_missing_map_is_found() {
        assert_eq!(check(&House::of(&[])).len(), 1);
    }
}
