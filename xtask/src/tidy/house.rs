//! The repository in memory: every text file by its path from the root, and every other path by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Folders that are built or fetched, never written by us.
const NOT_OURS: &[&str] = &["target", ".git", "node_modules", "__pycache__", ".neuroplex"];

/// Kinds of files that checks read.
const TEXT: &[&str] = &["rs", "toml", "md"];

/// What the checks look at. Paths use `/` and start at the root.
#[derive(Default)]
pub(crate) struct House {
    texts: BTreeMap<String, String>,
    paths: BTreeSet<String>,
}

impl House {
    /// Reads the repository at `root`.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let mut house = Self::default();
        house.enter(root, "")?;
        Ok(house)
    }

    /// A house made of these files, for tests.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut house = Self::default();
        for (path, text) in files {
            house.paths.insert((*path).into());
            house.texts.insert((*path).into(), (*text).into());
        }
        house
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Every Rust file, in the order of their paths.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every Markdown file, in the order of their paths.
    pub(crate) fn markdown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(|(path, _)| path.ends_with(".md"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The `Cargo.toml` of every crate under `crates/`, with the crate's folder name.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.texts.iter().filter_map(|(path, text)| {
            let name = path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")?;
            Some((name, path.as_str(), text.as_str()))
        })
    }

    /// Whether a file or a folder of that path exists.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.paths.contains(path)
            || self.paths.range(folder.clone()..).next().is_some_and(|p| p.starts_with(&folder))
    }

    fn enter(&mut self, root: &Path, folder: &str) -> Result<(), String> {
        let at = root.join(folder);
        let told = |e: std::io::Error| format!("{}: {e}", at.display());
        for entry in std::fs::read_dir(&at).map_err(told)? {
            let entry = entry.map_err(told)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if entry.file_type().map_err(told)?.is_dir() {
                if !NOT_OURS.contains(&name.as_str()) {
                    self.paths.insert(format!("{path}/"));
                    self.enter(root, &path)?;
                }
                continue;
            }
            if path.rsplit_once('.').is_some_and(|(_, kind)| TEXT.contains(&kind)) {
                self.texts.insert(path.clone(), crate::fetch::read(&root.join(&path))?);
            }
            self.paths.insert(path);
        }
        Ok(())
    }
}

/// The line number, counted from 1, of the byte `at` in `text`.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|b| *b == b'\n').count()
}
