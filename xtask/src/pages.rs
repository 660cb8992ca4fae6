//! `cargo xtask pages`: writes the pages that are made from code: the error codes, the schema of the configuration and
//! the guide's table of keys. Tests beside the code hold the pages to it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::fetch::root;

/// Where the table stands, and how it begins.
const GUIDE: &str = "docs/guide/configuration.md";
const TABLE: &str = "| key | default |";

/// Writes every page anew.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if !args.is_empty() {
        return Err("pages takes no options: cargo xtask pages".into());
    }
    write("docs/errors/README.md", &said(&["explain", "--all"])?)?;
    write("schema/config.json", &said(&["config", "schema"])?)?;
    let guide = fs::read_to_string(root().join(GUIDE)).map_err(|e| format!("{GUIDE}: {e}"))?;
    write(GUIDE, &with_table(&guide, &said(&["config", "schema", "--table"])?)?)
}

/// What our own program says.
fn said(words: &[&str]) -> Result<String, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["run", "--quiet", "--locked", "-p", "neuroplex", "--"]).args(words);
    let ended = cargo.output().map_err(|e| format!("cargo: {e}"))?;
    match ended.status.success() {
        true => String::from_utf8(ended.stdout).map_err(|e| e.to_string()),
        false => Err(format!("{words:?}: {}", String::from_utf8_lossy(&ended.stderr))),
    }
}

fn write(path: &str, text: &str) -> Result<(), String> {
    let at = root().join(path);
    fs::create_dir_all(at.parent().unwrap_or(Path::new("."))).map_err(|e| format!("{path}: {e}"))?;
    fs::write(&at, text).map_err(|e| format!("{path}: {e}"))?;
    println!("✓ {path}");
    Ok(())
}

/// The guide with the lines of its table replaced.
fn with_table(guide: &str, table: &str) -> Result<String, String> {
    let start =
        guide.find(TABLE).ok_or_else(|| format!("{GUIDE} has no table that begins with {TABLE:?}"))?;
    let (before, rest) = guide.split_at(start);
    let length: usize =
        rest.split_inclusive('\n').take_while(|line| line.starts_with('|')).map(str::len).sum();
    Ok(format!("{before}{}\n{}", table.trim_end(), rest.get(length..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_table_is_replaced() {
        let guide = "a\n\n| key | default |\n|---|---|\n| x | 1 |\n\nb | c\n";
        let new = with_table(guide, "| key | default | z |\n|---|\n").unwrap();
        assert_eq!(new, "a\n\n| key | default | z |\n|---|\n\nb | c\n");
        assert!(with_table("no table", "").is_err());
    }
}
