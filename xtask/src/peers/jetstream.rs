//! Plays every case of `xtask/transcripts/js` to the real nats-server and to the server under test. The answers must
//! be equal, field by field, once what no two servers share is taken out ([`answer`]); a difference that is meant
//! stands in `allowed.toml` of that folder, with its reason. A row there that no longer applies is a failure, too.
//!
//! Not here: clients of the JetStream API (`xtask/peers/`), which prove that these answers are understood.

mod answer;
mod clock;
mod player;
mod script;
mod wire;

use std::path::Path;

use self::player::Entry;
use self::script::{Case, Script};
use super::Stage;
use super::server::{Kind, Server};
use super::setup::SETUPS;
use super::tally::Tally;
use super::transcripts::{Allowance, Allowed, difference, names};

/// The setup with streams.
const SETUP: &str = "streams";
/// How often a case is played to nats-server before a difference counts.
const PLAYED_MAX: usize = 3;

/// Runs all cases.
pub(crate) fn run(stage: &Stage, tally: &mut Tally) -> Result<(), String> {
    let folder = crate::fetch::root().join("xtask/transcripts/js");
    let allowance = Allowance::read(&folder.join("allowed.toml"))?;
    let reference = start("jetstream-reference", Kind::NatsServer, &stage.nats_server, stage)?;
    let mut tested = start("jetstream-tested", stage.tested, &stage.binary, stage)?;
    let mut all = Vec::new();
    for file in names(&folder)? {
        let script = Script::parse(&crate::fetch::read(&folder.join(format!("{file}.txt")))?)
            .map_err(|why| format!("{file}.txt: {why}"))?;
        for case in &script.cases {
            let name = format!("{file}/{}", case.name);
            if tally.wants(&name) {
                let ports = (reference.port, tested.port);
                tally.count(&name, judge(&name, &script, case, ports, &allowance, stage));
            }
            all.push(name);
        }
    }
    for row in allowance.omits.iter().filter(|row| row.reason.is_empty()) {
        tally.failed("allowed.toml", &format!("gives no reason for leaving out {:?}", row.fields));
    }
    for name in allowance.scripts().filter(|name| !all.contains(name)) {
        tally.failed("allowed.toml", &format!("names `{name}`, which is no case"));
    }
    tested.stop()
}

fn start(home: &str, kind: Kind, binary: &Path, stage: &Stage) -> Result<Server, String> {
    let setup = SETUPS.iter().find(|setup| setup.name == SETUP).ok_or("there is no setup with streams")?;
    Server::start(kind, binary, setup, &stage.work.join(home), &stage.work, 0)
}

/// Plays one case to both servers at once and compares. nats-server deletes streams in the background and now and then
/// stumbles over what it has not deleted yet; so it is asked again before a difference counts. Ours is asked once.
fn judge(
    name: &str,
    script: &Script,
    case: &Case,
    ports: (u16, u16),
    allowance: &Allowance,
    stage: &Stage,
) -> Result<(), String> {
    let reference = || player::play(script, case, ports.0).map_err(|e| format!("nats-server: {e}"));
    let tested = || player::play(script, case, ports.1).map_err(|e| format!("ours: {e}"));
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(reference);
        let ours = tested();
        (theirs.join().unwrap_or(Err("the reference's player failed".into())), ours)
    });
    let (mut theirs, mut ours) = (theirs?, ours?);
    if stage.show {
        print!("{}", theirs.iter().map(shown).collect::<String>());
    }
    let allowed: Vec<&Allowed> = allowance.of(name).collect();
    leave_out(&mut theirs, &ours, allowance);
    let mut result = compare(&theirs, &ours, &allowed, stage.tested);
    for _ in 1..PLAYED_MAX {
        if result.is_ok() {
            break;
        }
        theirs = reference()?;
        if stage.tested == Kind::NatsServer {
            ours = tested()?;
        }
        leave_out(&mut theirs, &ours, allowance);
        result = compare(&theirs, &ours, &allowed, stage.tested);
    }
    result
}

/// Takes from their answers the fields that ours are allowed to be without, where ours are without them.
fn leave_out(theirs: &mut [Entry], ours: &[Entry], allowance: &Allowance) {
    let fields = || allowance.omits.iter().flat_map(|row| &row.fields);
    for (theirs, ours) in theirs.iter_mut().zip(ours) {
        theirs.answers.retain(|line| {
            let path = line.split(" = ").next().unwrap_or_default();
            ours.answers.contains(line) || !fields().any(|field| path.ends_with(&format!(".{field}")))
        });
    }
}

fn compare(theirs: &[Entry], ours: &[Entry], allowed: &[&Allowed], tested: Kind) -> Result<(), String> {
    let mut met = vec![false; allowed.len()];
    let mut told = String::new();
    for (theirs, ours) in theirs.iter().zip(ours) {
        let Some(found) = difference(&theirs.answers, &ours.answers) else { continue };
        match allowed.iter().position(|row| row.theirs == found.theirs && row.ours == found.ours) {
            Some(row) => met[row] = true,
            None => {
                told += &format!(
                    "{}\nnats-server answered:{}\nwe answered:{}\na row that would allow it:\n  theirs = {:?}\n  ours = {:?}\n",
                    theirs.step,
                    lines(&theirs.answers),
                    lines(&ours.answers),
                    found.theirs,
                    found.ours
                );
            }
        }
    }
    if !told.is_empty() {
        return Err(told);
    }
    match allowed.iter().zip(met).find(|(row, met)| !met || row.reason.is_empty()) {
        Some((row, false)) if tested == Kind::Neuroplex => {
            Err(format!("no longer differs; remove its row from allowed.toml ({})", row.reason))
        }
        Some((_, true)) => Err("its row in allowed.toml gives no reason".into()),
        _ => Ok(()),
    }
}

fn shown(entry: &Entry) -> String {
    if entry.answers.is_empty() {
        String::new()
    } else {
        format!("       {}{}\n", entry.step, lines(&entry.answers))
    }
}

fn lines(answers: &[String]) -> String {
    if answers.is_empty() {
        return "\n    (nothing)".into();
    }
    answers.iter().map(|line| format!("\n    {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(lines: &[&str]) -> Entry {
        Entry { step: String::new(), answers: lines.iter().map(|line| (*line).into()).collect() }
    }

    #[test]
    fn only_what_may_be_left_out_and_is_goes() {
        let allowance: Allowance =
            toml::from_str("[[omits]]\nfields = [\"metadata._nats.ver\", \"ts\"]\nreason = \"r\"\n").unwrap();
        let mut theirs = [entry(&["  config.metadata._nats.ver = 1", "  config.x = 1", "  a.ts = 2"])];
        leave_out(&mut theirs, &[entry(&["  a.ts = 2"])], &allowance);
        assert_eq!(theirs[0].answers, ["  config.x = 1", "  a.ts = 2"]);
    }
}
