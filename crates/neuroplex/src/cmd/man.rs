//! `neuroplex man`: the pages that `man` shows, made from the same words as `--help`.

use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use kernel::Code;
use serde_json::json;

use crate::failure::Failure;
use crate::global::Global;
use crate::output::{Output, print};

const EXAMPLES: &str = "\
Examples:
  neuroplex man | man -l -             # the program's page
  neuroplex man stream add | man -l -  # the page of a command
  neuroplex man --out ~/.local/share/man/man1";

/// The page of the whole.
const PROGRAM: &str = "neuroplex";

/// Print a manual page, or write all of them
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The command, such as `stream add` [default: the program]
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,

    /// Write the page of every command into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "words")]
    out: Option<PathBuf>,
}

/// Prints one page, or writes all.
pub(crate) fn run(global: &Global, args: &Args) -> Result<(), Failure> {
    let mut program = crate::program().disable_help_subcommand(true);
    program.build();
    if let Some(folder) = &args.out {
        return write(global, &program, folder);
    }
    let command = find(&program, &args.words)?;
    let page = page(command).map_err(Failure::from)?;
    match global.json {
        true => print(&json!({ "name": name(command), "page": String::from_utf8_lossy(&page) }).to_string()),
        false => {
            let mut out = Output::new();
            out.bytes(&page)?;
            out.flush()
        }
    }
}

fn write(global: &Global, program: &Command, folder: &Path) -> Result<(), Failure> {
    let wrong = |e: io::Error| {
        let text = format!("`{}` cannot be written: {e}. Check the path and its rights.", folder.display());
        Failure::new(Code::InvalidRequest, text)
    };
    std::fs::create_dir_all(folder).map_err(wrong)?;
    let mut all = Vec::new();
    gather(program, &mut all);
    let mut files = Vec::new();
    for command in all {
        let file = format!("{}.1", name(command));
        std::fs::write(folder.join(&file), page(command).map_err(wrong)?).map_err(wrong)?;
        files.push(file);
    }
    print(&match global.json {
        true => json!({ "folder": folder, "files": files }).to_string(),
        false => format!("{} pages are in {}", files.len(), folder.display()),
    })
}

/// A command and everything below it that users know of.
fn gather<'c>(command: &'c Command, all: &mut Vec<&'c Command>) {
    all.push(command);
    command.get_subcommands().filter(|c| !c.is_hide_set()).for_each(|below| gather(below, all));
}

fn find<'c>(program: &'c Command, words: &[String]) -> Result<&'c Command, Failure> {
    let mut command = program;
    for word in words {
        let below = || command.get_subcommands().filter(|c| !c.is_hide_set()).map(Command::get_name);
        command = command.find_subcommand(word).ok_or_else(|| {
            let there = match below().collect::<Vec<_>>() {
                none if none.is_empty() => "It has no commands below it.".to_owned(),
                some => format!("There are: {}.", some.join(", ")),
            };
            let text = format!("`{}` has no command `{}`. {there}", name(command), crate::text::plain(word));
            Failure::new(Code::InvalidRequest, text)
        })?;
    }
    Ok(command)
}

/// `neuroplex-stream-add`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

/// The page as `man` reads it. What stands below the options in `--help` keeps its lines.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man =
        Man::new(command.clone()).manual(PROGRAM).source(concat!("neuroplex ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|c| !c.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for (heading, text) in sections(&text) {
        let mut roff = Roff::new();
        roff.control("SH", [heading]).control("nf", []);
        for line in text.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []).to_writer(&mut page)?;
    }
    if command.get_name() != PROGRAM {
        let mut roff = Roff::new();
        let exit = "Exit codes and the options of every command: ";
        roff.control("SH", ["SEE ALSO"]).text([roman(exit), bold(PROGRAM), roman("(1).")]);
        roff.to_writer(&mut page)?;
    }
    Ok(page)
}

/// What stands below the options, by its headings; paragraphs without one are notes.
fn sections(text: &str) -> Vec<(&'static str, String)> {
    let mut all: Vec<(&str, String)> = Vec::new();
    for paragraph in text.split("\n\n").filter(|p| !p.is_empty()) {
        let (heading, text) = match paragraph.split_once('\n') {
            Some(("Examples:", rest)) => ("EXAMPLES", rest),
            Some(("Exit codes:", rest)) => ("EXIT STATUS", rest),
            _ => ("NOTES", paragraph),
        };
        match all.last_mut() {
            Some((last, notes)) if *last == heading => *notes += &format!("\n\n{text}"),
            _ => all.push((heading, text.to_owned())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_words_of_the_help_and_its_examples_line_by_line() {
        let mut program = crate::program();
        program.build();
        let words = ["stream".to_owned(), "add".to_owned()];
        let text = String::from_utf8(page(find(&program, &words).unwrap()).unwrap()).unwrap();
        assert!(text.contains("neuroplex\\-stream\\-add") || text.contains("neuroplex-stream-add"), "{text}");
        let examples = text.split(".SH EXAMPLES\n.nf\n").nth(1).expect("a section");
        assert!(examples.lines().next().unwrap().contains("neuroplex stream add ORDERS"), "{examples}");
        assert!(text.contains(".SH NOTES\n") && text.contains(".SH \"SEE ALSO\"\n"), "{text}");
        assert!(find(&program, &["strem".to_owned()]).is_err());
        let whole = String::from_utf8(page(&program).unwrap()).unwrap();
        assert!(whole.contains(".SH \"EXIT STATUS\"\n") && !whole.contains("SEE ALSO"), "{whole}");
    }
}
