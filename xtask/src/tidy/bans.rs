//! What the pure layers may not reach: clocks, sockets, files, randomness, async. A core that cannot touch the world
//! can be replayed from a seed.

use super::arrows::{dependencies, line_of_dependency};
use super::house::line_of;
use super::source::{code_only, is_test_file, test_modules, without_tests};
use super::{Finding, House};

/// The crates of layers 0 to 3.
const PURE: &[&str] =
    &["kernel", "wire", "auth", "resilience", "bus", "state", "consensus", "inference", "learning", "fabric"];

const FROM_OUTSIDE: &str = "take it as an argument: time, randomness and IO come from the driver";
const SEEDED: &str = "use `hashbrown` with a hasher that was seeded by argument, or a `BTreeMap`";

/// Names that pure code must not say, and what to do instead.
const NAMES: &[(&str, &str)] = &[
    ("tokio", FROM_OUTSIDE),
    ("std::net", "keep addresses as text or bytes; sockets belong to layer 4"),
    ("std::fs", "return an effect; files belong to layer 4"),
    ("Instant::now", FROM_OUTSIDE),
    ("SystemTime::now", FROM_OUTSIDE),
    ("getrandom", FROM_OUTSIDE),
    ("thread_rng", FROM_OUTSIDE),
    ("rand::rng", FROM_OUTSIDE),
    ("new_v4", FROM_OUTSIDE),
    ("now_v7", FROM_OUTSIDE),
    ("RandomState", SEEDED),
    ("HashMap::new", SEEDED),
    ("HashSet::new", SEEDED),
    ("HashMap::with_capacity", SEEDED),
    ("HashSet::with_capacity", SEEDED),
];

/// Crates that pure code must not depend on.
const CRATES: &[&str] =
    &["tokio", "async-std", "smol", "mio", "socket2", "getrandom", "rand", "fastrand", "libc", "rustix"];

/// Finds every ban broken in the pure layers.
pub(crate) fn check(house: &House) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, path, text) in house.manifests().filter(|(name, ..)| PURE.contains(name)) {
        for used in
            dependencies(text).unwrap_or_default().iter().filter(|used| CRATES.contains(&used.as_str()))
        {
            let what = format!("`{name}` is pure and must not depend on `{used}`");
            findings.push(Finding::new(path, line_of_dependency(text, used), what, FROM_OUTSIDE));
        }
    }
    let tests: Vec<String> = house.rust().flat_map(|(path, text)| test_modules(path, text)).collect();
    for (path, text) in house.rust() {
        let pure =
            path.strip_prefix("crates/").and_then(|p| p.split('/').next()).is_some_and(|n| PURE.contains(&n));
        if pure && !is_test_file(path) && !tests.iter().any(|test| test == path) {
            let code = without_tests(&code_only(text));
            findings.extend(names(path, &code));
            findings.extend(default_hashers(path, &code));
        }
    }
    findings
}

fn names(path: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, fix) in NAMES {
        let mut lines: Vec<usize> = words(code, name).map(|at| line_of(code, at)).collect();
        lines.extend(
            imports(code).filter(|(_, import)| words(import, name).next().is_some()).map(|(line, _)| line),
        );
        lines.sort_unstable();
        lines.dedup();
        findings.extend(
            lines.iter().map(|line| Finding::new(path, *line, format!("pure code says `{name}`"), *fix)),
        );
    }
    findings
}

/// Where `name` stands in `code` as whole words.
fn words<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).map(|(at, _)| at).filter(move |at| {
        let (before, after) = (&code[..*at], &code[at + name.len()..]);
        !before.ends_with(part_of_word) && !after.starts_with(part_of_word)
    })
}

/// Every import of nested braces, written out: `use std::{fs, net::IpAddr};` gives `std::fs` and `std::net::IpAddr`,
/// with the line of the `use`.
fn imports(code: &str) -> impl Iterator<Item = (usize, String)> {
    words(code, "use").filter_map(|at| Some((at, code[at + 3..].split_once(';')?.0))).flat_map(
        |(at, tree)| {
            let tree: String = tree.split_whitespace().collect();
            let line = line_of(code, at);
            expand("", &tree).into_iter().map(move |import| (line, import))
        },
    )
}

fn expand(prefix: &str, tree: &str) -> Vec<String> {
    let Some((head, rest)) = tree.split_once('{') else { return vec![format!("{prefix}{tree}")] };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let prefix = format!("{prefix}{head}");
    at_commas(inner).into_iter().flat_map(|branch| expand(&prefix, branch)).collect()
}

/// Splits at commas that stand in no bracket.
fn at_commas(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' | '<' | '(' | '[' => depth += 1,
            '}' | '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// `HashMap<K, V>` and `HashSet<T>`: types that leave the hasher to chance.
fn default_hashers(path: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, seeded) in [("HashMap", 3), ("HashSet", 2)] {
        for at in words(code, name) {
            let rest = code[at + name.len()..].trim_start_matches("::");
            let Some(arguments) = rest.strip_prefix('<').and_then(angle) else { continue };
            if at_commas(arguments).len() < seeded {
                let what = format!("`{name}<{arguments}>` has a hasher of its own choice");
                findings.push(Finding::new(path, line_of(code, at), what, SEEDED));
            }
        }
    }
    findings
}

/// What stands before the `>` that closes an already opened `<`.
fn angle(rest: &str) -> Option<&str> {
    let mut depth = 1_usize;
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return rest.get(..at);
        }
        before = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &str) -> Vec<(usize, String)> {
        let house = House::of(&[("crates/bus/src/x.rs", code)]);
        check(&house).into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn a_clock_in_a_core_is_found_where_it_stands() {
        assert_eq!(
            found("//! x\nfn f() {\n let t = std::time::Instant::now();\n}"),
            [(3, "pure code says `Instant::now`".into())]
        );
    }

    #[test]
    fn an_import_hidden_in_braces_is_found() {
        assert_eq!(
            found("use std::{\n    fmt,\n    net::{IpAddr, TcpStream},\n};"),
            [(1, "pure code says `std::net`".into())]
        );
        assert_eq!(found("use std::{fs, io};").len(), 1);
    }

    #[test]
    fn comments_strings_tests_and_longer_words_are_free() {
        assert!(found("// tokio\nfn f() { let s = \"tokio\"; my_tokio(); }\n#[cfg(test)]\nmod tests { use std::fs; }").is_empty());
        let lib = "mod a;\n#[cfg(test)]\nmod model;";
        let house = House::of(&[
            ("crates/bus/tests/it/main.rs", "use std::fs;"),
            ("crates/node/src/lib.rs", "use std::fs;"),
            ("crates/bus/src/lib.rs", lib),
            ("crates/bus/src/model.rs", "use std::fs;"),
        ]);
        assert!(check(&house).is_empty());
    }

    #[test]
    fn a_map_without_a_seeded_hasher_is_found() {
        assert_eq!(found("struct S { m: HashMap<u8, Vec<(u8, u8)>> }").len(), 1);
        assert_eq!(found("fn f() { let s = x.collect::<HashSet<u8>>(); }").len(), 1);
        assert_eq!(found("fn f() { let m = std::collections::HashMap::new(); }").len(), 1);
        assert!(found("struct S { m: HashMap<u8, fn(u8) -> u8, Fixed>, s: HashSet<u8, Fixed> }").is_empty());
    }

    #[test]
    fn a_dependency_that_reaches_out_is_found() {
        let house = House::of(&[(
            "crates/kernel/Cargo.toml",
            "[dependencies]\nrand = \"0.9\"\n[dev-dependencies]\ntokio = \"1\"\n",
        )]);
        assert_eq!(check(&house).len(), 1);
    }
}
