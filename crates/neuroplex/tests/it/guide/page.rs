//! A page of the guide as a list of blocks. Only what the tests need of Markdown: fences, and the paragraph that says
//! why the block behind it is not run.

use std::path::{Path, PathBuf};

/// How the paragraph begins that stands above a block that cannot be run; its reason follows.
pub(crate) const NOT_RUN: &str = "*Not run by the tests: ";

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    /// `console`, `rust`, `json` …
    pub(crate) language: String,
    /// What follows the language: `terminal=2`, `file=agent.py`, `needs=time`.
    words: Vec<(String, String)>,
    /// Its lines, without the indentation of the fence.
    pub(crate) text: Vec<String>,
    /// Why it is not run.
    pub(crate) not_run: Option<String>,
}

impl Block {
    /// The value of a word behind the language.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.words.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The commands of a console block, each with what it shows. What stands before the first command belongs to the
    /// one that still runs in this terminal.
    pub(crate) fn commands(&self) -> Vec<Typed> {
        let mut typed: Vec<Typed> = Vec::new();
        let mut lines = self.text.iter().zip(self.line + 1..).peekable();
        while let Some((text, line)) = lines.next() {
            if let Some(start) = text.strip_prefix("$ ") {
                let mut command = start.to_owned();
                while command.ends_with('\\') {
                    let Some((more, _)) = lines.next() else { break };
                    command = format!("{command}\n{more}");
                }
                typed.push(Typed { line, what: Input::Command(command), shows: Vec::new() });
            } else if text == "^C" {
                typed.push(Typed { line, what: Input::Interrupt, shows: Vec::new() });
            } else {
                if typed.is_empty() {
                    typed.push(Typed { line, what: Input::Nothing, shows: Vec::new() });
                }
                let last = typed.len() - 1;
                typed[last].shows.push(text.clone());
            }
        }
        typed
    }
}

/// What somebody types into a terminal, and what then appears.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) line: usize,
    pub(crate) what: Input,
    pub(crate) shows: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A command line behind `$ `.
    Command(String),
    /// `^C`.
    Interrupt,
    /// Only more of what is running.
    Nothing,
}

/// A page: where it is, and its blocks in order.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) path: PathBuf,
    pub(crate) blocks: Vec<Block>,
}

impl Page {
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Page, String> {
        let mut blocks = Vec::new();
        let mut above = "";
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            let Some((indent, fence, info)) = opening(line) else {
                if !line.trim().is_empty() {
                    above = line.trim();
                }
                continue;
            };
            let mut body = Vec::new();
            loop {
                let Some((line, _)) = lines.next() else {
                    return Err(format!("{}:{number}: this block has no end", path.display()));
                };
                if line.trim() == fence {
                    break;
                }
                body.push(line.get(indent..).unwrap_or_default().to_owned());
            }
            let mut words = info.split_whitespace();
            let language = words.next().unwrap_or_default().to_owned();
            let words = words.map(|w| w.split_once('=').unwrap_or((w, "")));
            blocks.push(Block {
                line: number,
                language,
                words: words.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                text: body,
                not_run: above.strip_prefix(NOT_RUN).map(|why| why.trim_end_matches(['*', '.']).to_owned()),
            });
            above = "";
        }
        Ok(Page { path: path.to_owned(), blocks })
    }
}

/// A line that opens a fence: its indentation, the fence, and what follows it.
fn opening(line: &str) -> Option<(usize, &str, &str)> {
    let trimmed = line.trim_start();
    let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
    (ticks >= 3).then(|| (line.len() - trimmed.len(), &trimmed[..ticks], trimmed[ticks..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_a_language_words_and_a_reason_not_to_run() {
        let text = "a\n```console terminal=2\n$ a \\\n  b\nx\n^C\n```\n\n*Not run by the tests: needs root.*\n\n  ```json\n  {}\n  ```\n";
        let page = Page::parse(Path::new("a.md"), text).unwrap();
        let [console, json] = &page.blocks[..] else { panic!("{page:?}") };
        assert_eq!(
            (console.language.as_str(), console.word("terminal"), console.line),
            ("console", Some("2"), 2)
        );
        let typed = console.commands();
        assert_eq!(typed[0].what, Input::Command("a \\\n  b".into()));
        assert_eq!((typed[0].shows.as_slice(), typed[0].line), (&["x".to_owned()][..], 3));
        assert_eq!(typed[1].what, Input::Interrupt);
        assert_eq!(
            (json.not_run.as_deref(), json.text.as_slice()),
            (Some("needs root"), &["{}".to_owned()][..])
        );
        assert_eq!(console.not_run, None);
    }

    #[test]
    fn what_stands_before_the_first_command_belongs_to_what_runs() {
        let page = Page::parse(Path::new("a.md"), "```console\nmore\n$ next\n```\n").unwrap();
        let typed = page.blocks[0].commands();
        assert_eq!((&typed[0].what, typed[0].shows.len()), (&Input::Nothing, 1));
        assert!(Page::parse(Path::new("a.md"), "```\nno end").is_err());
    }
}
