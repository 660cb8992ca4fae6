//! `neuroplex explain`: the page of an error code.

use kernel::Code;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::global::Global;
use crate::output::print;

const EXAMPLES: &str = "\
Examples:
  neuroplex explain 6001
  neuroplex explain no_responders
  neuroplex explain --all";

/// Explain an error code: what it means, what happened to the state, what to do
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Its number or its name
    #[arg(value_name = "CODE|NAME", value_parser = parse, required_unless_present = "all")]
    code: Option<Code>,

    /// Every code, as one page
    #[arg(long, conflicts_with = "code")]
    all: bool,
}

/// Prints the page of one code, or of all.
pub(crate) fn run(global: &Global, args: &Args) -> Result<(), Failure> {
    let text = match (args.code, global.json) {
        (Some(code), true) => row(code).to_string(),
        (Some(code), false) => code.paragraph().trim().to_owned(),
        (None, true) => Code::ALL.iter().map(|code| row(*code)).collect::<Value>().to_string(),
        (None, false) => Code::page().trim_end().to_owned(),
    };
    print(&text)
}

fn row(code: Code) -> Value {
    json!({
        "number": code.number(),
        "name": code.name(),
        "retry": code.retry().as_str(),
        "httpStatus": code.http_status(),
        "exitCode": code.exit_code(),
        "meaning": code.meaning(),
        "state": code.state(),
        "remedy": code.remedy(),
    })
}

fn parse(text: &str) -> Result<Code, String> {
    let name = text.trim().replace(['-', ' '], "_");
    let number = name.parse::<u16>();
    let found = number.clone().ok().and_then(Code::from_number).or_else(|| Code::from_name(&name));
    let near = || match number {
        Ok(number) => Code::ALL.iter().min_by_key(|c| c.number().abs_diff(number)),
        Err(_) => {
            Code::ALL.iter().min_by_key(|c| strsim::damerau_levenshtein(c.name(), &name.to_uppercase()))
        }
    };
    found.ok_or_else(|| match near() {
        Some(code) => format!("no such code; the nearest is {} {}", code.number(), code.name()),
        None => "no such code".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_by_number_and_by_name_and_a_slip_names_the_nearest() {
        for text in ["6001", "NO_RESPONDERS", "no_responders", "no-responders", " no responders "] {
            assert_eq!(parse(text), Ok(Code::NoResponders), "{text:?}");
        }
        assert!(parse("NO_RESPONDER").unwrap_err().contains("6001 NO_RESPONDERS"));
        assert!(parse("2009").unwrap_err().contains("2004 TLS_REQUIRED"));
        assert!(parse("timeuot").unwrap_err().contains("1002 TIMEOUT"));
    }
}
