//! Whether what a page points to is there: files of the repository, and headings in them.

use std::fs;
use std::path::Path;

/// Every link of `text`, a page in `folder`, that leads nowhere.
pub(crate) fn broken(text: &str, path: &Path) -> Vec<String> {
    let folder = path.parent().unwrap_or(path);
    let mut bad = Vec::new();
    for target in targets(text) {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        if file.contains("://") {
            continue;
        }
        let to = if file.is_empty() { path.to_owned() } else { folder.join(file) };
        let there = match heading {
            "" => to.exists(),
            _ => fs::read_to_string(&to).is_ok_and(|text| anchors(&text).any(|a| a == heading)),
        };
        if !there {
            bad.push(format!("{}: `{target}` leads nowhere", path.display()));
        }
    }
    bad
}

/// What stands in the round brackets of links, outside of blocks.
fn targets(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        inside ^= line.trim_start().starts_with("```");
        if inside {
            continue;
        }
        let links = line.match_indices("](").filter_map(|(at, mark)| line[at + mark.len()..].split_once(')'));
        found.extend(links.map(|(target, _)| target));
    }
    found
}

/// The names that headings have as targets, as code hosts make them.
fn anchors(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_files_and_headings_are_found_and_those_in_blocks_left_alone() {
        let text = "[a](b.md#c-d) [e](#f)\n```\n[no](link)\n```\n# F g, `h`!\n";
        assert_eq!(targets(text), ["b.md#c-d", "#f"]);
        assert_eq!(anchors(text).collect::<Vec<_>>(), ["f-g-h"]);
        assert_eq!(broken(text, Path::new("/nowhere/a.md")).len(), 2);
    }
}
