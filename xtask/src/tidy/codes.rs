//! Error codes and their page: each number of the table in the kernel has its heading in the generated page, by the
//! same name, and the page has no others.

use super::{Finding, House};

const TABLE: &str = "crates/kernel/src/code.rs";
const PAGE: &str = "docs/errors/README.md";
const AGAIN: &str = "generate the page again from the table";

/// A code as one of the two names it.
#[derive(Debug, PartialEq)]
struct Named<'a> {
    line: usize,
    number: &'a str,
    name: &'a str,
}

/// Finds codes without a heading, and headings without a code.
pub(crate) fn check(house: &House) -> Vec<Finding> {
    let Some(table) = house.text(TABLE) else {
        return vec![Finding::new(TABLE, 0, "is missing", "the table of error codes belongs there")];
    };
    let (codes, headings) = (rows(table), house.text(PAGE).map(headings).unwrap_or_default());
    let mut findings = Vec::new();
    if codes.is_empty() {
        findings.push(Finding::new(
            TABLE,
            0,
            "has no rows of the form `= 1001 \"CONNECTION_ERROR\"`",
            "keep number and name on one line",
        ));
    }
    for code in codes.iter().filter(|code| !headings.iter().any(|heading| same(code, heading))) {
        let what = format!("{} {} has no heading in {PAGE}", code.number, code.name);
        findings.push(Finding::new(
            TABLE,
            code.line,
            what,
            format!("{AGAIN}: `## {} {}`", code.number, code.name),
        ));
    }
    for heading in headings.iter().filter(|heading| !codes.iter().any(|code| same(code, heading))) {
        findings.push(Finding::new(
            PAGE,
            heading.line,
            format!("{} {} is not in {TABLE}", heading.number, heading.name),
            AGAIN,
        ));
    }
    findings
}

fn same(a: &Named, b: &Named) -> bool {
    a.number == b.number && a.name == b.name
}

/// The rows of the table: lines above the tests that hold a four-digit number and, after it, a name in quotes.
fn rows(table: &str) -> Vec<Named<'_>> {
    let mut named = Vec::new();
    for (at, line) in table.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]")) {
        let mut parts = line.split('"');
        let (Some(before), Some(name)) = (parts.next(), parts.next()) else { continue };
        let number = before.trim_end_matches([' ', ',']).rsplit([' ', '(', '=']).next().unwrap_or_default();
        if is_code(number, name) {
            named.push(Named { line: at + 1, number, name });
        }
    }
    named
}

/// The headings of the page: `## 1001 CONNECTION_ERROR`.
fn headings(page: &str) -> Vec<Named<'_>> {
    let mut named = Vec::new();
    for (at, line) in page.lines().enumerate() {
        let Some((number, name)) =
            line.strip_prefix("## ").and_then(|heading| heading.trim().split_once(' '))
        else {
            continue;
        };
        if is_code(number, name) {
            named.push(Named { line: at + 1, number, name });
        }
    }
    named
}

fn is_code(number: &str, name: &str) -> bool {
    let screaming = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    number.len() == 4
        && number.bytes().all(|b| b.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(screaming)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str =
        "    Timeout = 1002 \"TIMEOUT\" Yes 504 {\n    Gone = 6002 \"STREAM_NOT_FOUND\" No 404 {\n";

    #[test]
    fn a_code_without_a_heading_and_a_heading_without_a_code_are_found() {
        let house = House::of(&[
            (TABLE, ROWS),
            (PAGE, "# Errors\n## 1002 TIMEOUT\n## 9999 GHOST\n## How to read this\n"),
        ]);
        let found: Vec<(String, usize)> =
            check(&house).into_iter().map(|finding| (finding.file, finding.line)).collect();
        assert_eq!(found, [(TABLE.into(), 2), (PAGE.into(), 3)]);
    }

    #[test]
    fn a_renamed_code_is_found_on_both_sides() {
        let house = House::of(&[(TABLE, ROWS), (PAGE, "## 1002 TIMED_OUT\n## 6002 STREAM_NOT_FOUND\n")]);
        assert_eq!(check(&house).len(), 2);
    }

    #[test]
    fn a_full_page_passes_and_an_unreadable_table_does_not() {
        let page = "## 1002 TIMEOUT\n## 6002 STREAM_NOT_FOUND\n";
        assert!(check(&House::of(&[(TABLE, ROWS), (PAGE, page)])).is_empty());
        assert!(!check(&House::of(&[(TABLE, "enum Code {}"), (PAGE, "")])).is_empty());
    }
}
