//! One page, several writers: each contest has its part of `docs/benchmarks.md` between two marks and leaves the others
//! as they are. What stands outside all marks belongs to the first contest.

/// The page with the part named `name` replaced, or added at its end.
pub(crate) fn replaced(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = marks(name);
    let part = format!("{begin}\n{}\n{end}\n", text.trim_end());
    match around(page, name) {
        Some((before, after)) => format!("{before}{part}{after}"),
        None => format!("{}\n\n{part}", page.trim_end()),
    }
}

/// The page with everything outside of the marked parts replaced.
pub(crate) fn replaced_outside(page: &str, names: &[&str], text: &str) -> String {
    let mut whole = format!("{}\n", text.trim_end());
    for name in names {
        let (begin, end) = marks(name);
        let part = page.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
        if let Some((part, _)) = part {
            whole += &format!("\n{begin}{part}{end}\n");
        }
    }
    whole
}

fn marks(name: &str) -> (String, String) {
    (format!("<!-- compare {name}: begin -->"), format!("<!-- compare {name}: end -->"))
}

fn around<'a>(page: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let (begin, end) = marks(name);
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some((before, after.strip_prefix('\n').unwrap_or(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_added_then_replaced_and_the_rest_stays() {
        let page = "# Benchmarks\n\n| a | b |\n";
        let once = replaced(page, "nats-js", "## J\n\nold\n");
        assert!(once.starts_with(page) && once.contains("old"));
        let two = replaced(&once, "redis", "## R\n");
        let new = replaced(&two, "nats-js", "## J\n\nnew\n");
        assert!(new.starts_with(page) && new.contains("new") && new.contains("## R") && !new.contains("old"));
        assert_eq!(replaced(&new, "nats-js", "## J\n\nnew\n"), new);
    }

    #[test]
    fn the_first_contest_keeps_the_parts_of_the_others() {
        let page = replaced(&replaced("# Old\n", "nats-js", "## J\n"), "redis", "## R\n");
        let new = replaced_outside(&page, &["nats-js", "redis", "absent"], "# New\n");
        assert!(new.starts_with("# New\n") && !new.contains("# Old"));
        assert!(new.contains("nats-js: begin -->\n## J\n<!--") && new.contains("## R"));
        assert_eq!(replaced_outside(&new, &["nats-js", "redis", "absent"], "# New\n"), new);
    }
}
