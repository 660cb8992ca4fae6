//! Rust source reduced to what a rule is about: code without comments, strings and tests, line for line.
//!
//! A lexer of a few states, not a parser: enough to tell code from prose.

/// Blanks comments and the contents of string and character literals; newlines stay, so that lines keep their numbers.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let length = literal_or_comment(rest, at.checked_sub(1).and_then(|before| bytes.get(before)));
        if length == 0 {
            out.push(rest[0]);
            at += 1;
        } else {
            out.extend(rest[..length].iter().map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
            at += length;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How many bytes of `rest` are one comment or literal; 0 if it starts with code.
fn literal_or_comment(rest: &[u8], before: Option<&u8>) -> usize {
    let word_before = before.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => quoted(rest, b'"'),
        [b'b', b'"', ..] if !word_before => 1 + quoted(&rest[1..], b'"'),
        [b'r', ..] if !word_before => raw_string(rest, 1),
        [b'b', b'r', ..] if !word_before => raw_string(rest, 2),
        // a character literal, not a lifetime: '\x' or one character and its closing quote
        [b'\'', b'\\', ..] => quoted(rest, b'\''),
        [b'\'', ..] => character(rest),
        _ => 0,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b if b == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[u8], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') {
        return 0;
    }
    let body = prefix + hashes + 1;
    let closing = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let end = rest[body..].windows(closing.len()).position(|window| window == closing);
    end.map_or(rest.len(), |end| body + end + closing.len())
}

fn character(rest: &[u8]) -> usize {
    let Some(first) = rest.get(1) else { return 0 };
    let width = match first {
        0..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
}

/// Blanks every item under `#[cfg(test)]` or `#[test]`. Takes what [`code_only`] gives.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    for mark in ["#[cfg(test)]", "#[cfg(all(test", "#[test]"] {
        while let Some(start) = out.find(mark) {
            let end = start + item_length(&out[start..]);
            let blank: String = out[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
            out.replace_range(start..end, &blank);
        }
    }
    out
}

/// The bytes from an attribute to the end of the item that it stands on: its closing brace, or a semicolon before any.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Whether a path is no shipping code by where it is.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "fuzz"))
}

/// The paths of the modules that a file brings in for its tests only: `#[cfg(test)] mod model;`, and those that a
/// `#[path = "…"]` between the two names.
pub(crate) fn test_modules(path: &str, text: &str) -> Vec<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let inside = match file {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    };
    let mut modules = Vec::new();
    for item in
        text.split("#[cfg(test)]").skip(1).filter_map(|rest| rest.split_once(';').map(|(item, _)| item))
    {
        let (named, declared) =
            match item.trim().strip_prefix("#[path = \"").and_then(|rest| rest.split_once("\"]")) {
                Some((named, declared)) => (Some(named), declared.trim()),
                None => (None, item.trim()),
            };
        match (named, declared.split_whitespace().collect::<Vec<_>>().as_slice()) {
            (Some(named), [.., "mod", _]) => modules.push(format!("{folder}/{named}")),
            (None, ["mod", name] | [_, "mod", name]) => modules.push(format!("{inside}/{name}.rs")),
            _ => {}
        }
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_goes_and_lines_stay() {
        let text = "let a = \"tokio // \\\" x\"; // tokio\n/* tokio /* nested */ */ let b = r#\"tokio\"#;\nlet c: &'a str;";
        let code = code_only(text);
        assert!(!code.contains("tokio"), "{code}");
        assert_eq!(code.lines().count(), 3);
        assert!(code.contains("let a =") && code.contains("let b =") && code.contains("let c: &'a str;"));
    }

    #[test]
    fn characters_are_literals_and_lifetimes_are_not() {
        assert_eq!(code_only("f('\"', '\\'', 'é', \"x\")").split_whitespace().collect::<String>(), "f(,,,)");
        assert_eq!(code_only("fn f<'a>(x: &'a u8) {}"), "fn f<'a>(x: &'a u8) {}");
    }

    #[test]
    fn modules_for_tests_are_known_by_their_declaration() {
        let text = "mod a;\n#[cfg(test)]\nmod model;\n#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;\n#[cfg(test)]\nmod x { fn f() { 1; } }\n";
        assert_eq!(
            test_modules("crates/bus/src/lib.rs", text),
            ["crates/bus/src/model.rs", "crates/bus/src/b_tests.rs"]
        );
        assert_eq!(test_modules("crates/bus/src/b.rs", "#[cfg(test)] mod t;"), ["crates/bus/src/b/t.rs"]);
    }

    #[test]
    fn tests_are_cut_out_and_what_follows_stays() {
        let code =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { {} }\n}\n#[cfg(test)] use std::fs;\nfn c() {}\n";
        let kept = without_tests(code);
        assert!(kept.contains("fn a") && kept.contains("fn c"));
        assert!(!kept.contains("fn b") && !kept.contains("std::fs"));
        assert_eq!(kept.lines().count(), code.lines().count());
    }
}
