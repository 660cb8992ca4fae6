//! Plays every file of `xtask/transcripts/` to the real nats-server and to the server under test. The answers must be
//! equal, or the difference must stand in `allowed.toml` with a reason. A row there that no longer applies is a
//! failure, too.

use std::path::Path;

use serde::Deserialize;

use super::Stage;
use super::fleet::Fleet;
use super::server::Kind;
use super::tally::Tally;
use super::transcript::{Cut, Script};

/// Longer transcripts are sent whole only: a megabyte byte by byte shows nothing new.
const CUT_BYTES_MAX: usize = 2048;

/// A difference that is meant.
#[derive(Deserialize)]
pub(crate) struct Allowed {
    scripts: Vec<String>,
    pub(crate) theirs: Vec<String>,
    pub(crate) ours: Vec<String>,
    pub(crate) reason: String,
}

/// Fields that answers of ours leave out wherever nats-server has them.
#[derive(Deserialize)]
pub(crate) struct Omitted {
    pub(crate) fields: Vec<String>,
    pub(crate) reason: String,
}

/// All differences that are meant.
#[derive(Deserialize)]
pub(crate) struct Allowance {
    #[serde(default)]
    differs: Vec<Allowed>,
    #[serde(default)]
    pub(crate) omits: Vec<Omitted>,
}

impl Allowance {
    /// Reads a file of them.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        toml::from_str(&crate::fetch::read(path)?).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// The rows that name a script.
    pub(crate) fn of(&self, name: &str) -> impl Iterator<Item = &Allowed> {
        self.differs.iter().filter(move |row| row.scripts.iter().any(|script| script == name))
    }

    /// Every script that a row names.
    pub(crate) fn scripts(&self) -> impl Iterator<Item = &String> {
        self.differs.iter().flat_map(|row| &row.scripts)
    }
}

/// The lines in which two answers differ, without what they have in common before and after.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference<'a> {
    pub(crate) theirs: &'a [String],
    pub(crate) ours: &'a [String],
}

/// Runs all transcripts.
pub(crate) fn run(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    let folder = crate::fetch::root().join("xtask/transcripts");
    let allowance = Allowance::read(&folder.join("allowed.toml"))?;
    let start = |name, kind, binary, tally: &mut Tally| {
        Fleet::start(name, kind, binary, &stage.work, |setup| !setup.streams, tally)
    };
    let reference = start("reference", Kind::NatsServer, &stage.nats_server, tally);
    let tested = start("tested", stage.tested, &stage.binary, tally);
    let names = names(&folder)?;
    for name in &names {
        if !tally.wants(name) {
            continue;
        }
        let result = play(&folder, name, &reference, &tested, &allowance, stage);
        tally.count(name, result);
    }
    for script in allowance.scripts().filter(|script| !names.contains(script)) {
        tally.failed("allowed.toml", &format!("names `{script}`, which is no transcript"));
    }
    tested.stop(tally);
    Ok(())
}

/// The names of the transcripts in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, String> {
    let files = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.ok()?.file_name().to_string_lossy().strip_suffix(".txt")?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn play(
    folder: &Path,
    name: &str,
    reference: &Fleet,
    tested: &Fleet,
    allowance: &Allowance,
    stage: &Stage,
) -> Result<(), String> {
    let script = Script::parse(&crate::fetch::read(&folder.join(format!("{name}.txt")))?)?;
    let ports = (reference.port(&script.server)?, tested.port(&script.server)?);
    let allowed: Vec<&Allowed> = allowance.of(name).collect();
    let mut met = vec![false; allowed.len()];
    for cut in cuts(&script) {
        let (theirs, ours) = (script.play(ports.0, cut)?, script.play(ports.1, cut)?);
        if stage.show && matches!(cut, Cut::Whole) {
            println!("       {}\n         {}", script.about, theirs.join("\n         "));
        }
        let Some(difference) = difference(&theirs, &ours) else { continue };
        let row =
            allowed.iter().position(|row| row.theirs == difference.theirs && row.ours == difference.ours);
        match row {
            Some(row) => met[row] = true,
            None => return Err(told(&script, cut, &theirs, &ours, &difference)),
        }
    }
    match allowed.iter().zip(met).find(|(row, met)| !met || row.reason.is_empty()) {
        // against the real server itself nothing differs
        Some((row, false)) if stage.tested == Kind::Neuroplex => {
            Err(format!("no longer differs; remove its row from allowed.toml ({})", row.reason))
        }
        Some((_, true)) => Err("its row in allowed.toml gives no reason".into()),
        _ => Ok(()),
    }
}

fn cuts(script: &Script) -> Vec<Cut> {
    let mut cuts = vec![Cut::Whole];
    if script.bytes() <= CUT_BYTES_MAX && !script.only_once {
        cuts.push(Cut::Bytes);
    }
    if script.every_split {
        cuts.extend((1..script.bytes()).map(Cut::At));
    }
    cuts
}

/// Where two answers differ, if they do.
pub(crate) fn difference<'a>(theirs: &'a [String], ours: &'a [String]) -> Option<Difference<'a>> {
    let before = theirs.iter().zip(ours).take_while(|(a, b)| a == b).count();
    let (theirs, ours) = (&theirs[before..], &ours[before..]);
    let after = theirs.iter().rev().zip(ours.iter().rev()).take_while(|(a, b)| a == b).count();
    let (theirs, ours) = (&theirs[..theirs.len() - after], &ours[..ours.len() - after]);
    if theirs.is_empty() && ours.is_empty() { None } else { Some(Difference { theirs, ours }) }
}

fn told(script: &Script, cut: Cut, theirs: &[String], ours: &[String], difference: &Difference) -> String {
    let list =
        |lines: &[String]| lines.iter().map(|line| format!("\n    {}", shortened(line))).collect::<String>();
    format!(
        "{} (sent {cut:?})\nnats-server answered:{}\nwe answered:{}\na row that would allow it:\n  theirs = {:?}\n  ours = {:?}",
        script.about,
        list(theirs),
        list(ours),
        difference.theirs,
        difference.ours
    )
}

fn shortened(line: &str) -> String {
    if line.chars().count() <= 160 {
        line.into()
    } else {
        format!("{}… ({} characters)", line.chars().take(150).collect::<String>(), line.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(words: &str) -> Vec<String> {
        words.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn a_difference_is_what_is_left_between_what_is_common() {
        let (theirs, ours) = (lines("INFO +OK -ERR PONG"), lines("INFO +OK PONG"));
        let expected = lines("-ERR");
        assert_eq!(difference(&theirs, &ours), Some(Difference { theirs: &expected, ours: &[] }));
        assert_eq!(difference(&theirs, &theirs), None);
    }

    #[test]
    fn repeated_lines_are_not_counted_twice() {
        let (theirs, ours) = (lines("a a a"), lines("a a"));
        assert_eq!(difference(&theirs, &ours).map(|d| (d.theirs.len(), d.ours.len())), Some((1, 0)));
    }
}
