//! What holds for the help of every command.

use clap::{Arg, Command};

use crate::program;

/// Every command that does something, with the words that name it.
fn leaves() -> Vec<(Vec<String>, Command)> {
    fn gather(command: &Command, words: &[String], all: &mut Vec<(Vec<String>, Command)>) {
        let below: Vec<&Command> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
        if below.is_empty() {
            all.push((words.to_vec(), command.clone()));
        }
        for command in below {
            gather(command, &[words, &[command.get_name().to_owned()]].concat(), all);
        }
    }
    let mut program = program().disable_help_subcommand(true);
    program.build();
    let mut all = Vec::new();
    gather(&program, &[], &mut all);
    assert!(all.len() > 30, "{} commands", all.len());
    all
}

/// The example lines of a command's help, as the words that a shell would give us; those that are no call of ours are
/// left out.
fn examples(command: &Command) -> Vec<Vec<String>> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default().replace("\\\n", "");
    let block = text.split("Examples:\n").nth(1).unwrap_or_default();
    let lines = block.lines().take_while(|line| line.starts_with("  "));
    lines.filter_map(|line| Some(words(line.get(line.find("neuroplex ")?..)?))).collect()
}

/// The words up to a pipe, a redirection, a further command or a remark.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote) = (Vec::new(), String::new(), None);
    // A word of its own stands for what another program says.
    for c in line.replace("$(pidof neuroplex)", "1").chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') => all.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            (None, '|' | '<' | '>' | '&' | ';' | '#' | ')') => break,
            (None, c) => word.push(c),
        }
    }
    all.extend(Some(word).filter(|word| !word.is_empty()));
    all
}

#[test]
fn every_command_says_what_it_does_and_every_option_what_it_is_for() {
    for (name, command) in leaves() {
        let name = name.join(" ");
        assert!(command.get_about().is_some(), "{name}");
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            assert!(arg.get_help().is_some(), "{name}: {}", arg.get_id());
        }
        let takes = |long: &str| command.get_arguments().any(|arg: &Arg| arg.get_long() == Some(long));
        assert!(takes("json") && takes("server") && takes("context"), "{name}");
    }
}

#[test]
fn every_command_shows_examples_of_itself_that_it_understands() {
    for (name, command) in leaves() {
        let examples = examples(&command);
        let calls = |words: &Vec<String>| {
            let mut said = words.iter();
            name.iter().all(|word| said.any(|said| said == word))
        };
        assert!(examples.iter().any(calls), "{name:?} has no example of itself: {examples:?}");
        for words in &examples {
            if let Err(e) = program().try_get_matches_from(words) {
                panic!("{name:?}: {words:?}\n{e}");
            }
        }
    }
}

#[test]
fn every_exit_code_stands_in_the_help() {
    let help = program().render_long_help().to_string();
    let said = help.split("Exit codes:").nth(1).expect("a list of exit codes");
    let of_errors = kernel::Code::ALL.iter().map(|code| code.exit_code());
    for code in of_errors.chain([0, 2, 130]) {
        assert!(said.split_whitespace().any(|word| word == code.to_string()), "{code}: {said}");
    }
}

#[test]
fn what_stands_below_the_options_fits_a_narrow_terminal() {
    for (name, command) in leaves() {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{name:?}: {line}");
        }
    }
}
