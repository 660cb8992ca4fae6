//! From the reports of all rounds to a verdict a row: medians, the ratio with its spread, met or missed, and why a
//! figure should be doubted. No measuring here.

use serde_json::Value;

use super::rows::{Goal, Row};

/// A throughput counts where the server had work for this part of the time.
const SATURATED: f64 = 0.95;
/// Other programs on the server's core for longer than this are told.
const DISTURBED: f64 = 0.02;

/// Reports of one scenario: a round is a pair, theirs missing where only ours is measured.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(crate) ours: Vec<Value>,
    pub(crate) theirs: Vec<Value>,
    /// What went wrong, if something did.
    pub(crate) failures: Vec<String>,
}

/// A row with its figures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) title: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
    pub(crate) ratio: String,
    pub(crate) goal: String,
    pub(crate) verdict: String,
    pub(crate) notes: Vec<String>,
}

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Beyond,
    Met,
    Missed,
    None,
}

/// Fills a row from its scenario's rounds.
pub(crate) fn line(row: &Row, rounds: &Rounds) -> Line {
    let figures = |reports: &[Value]| -> Vec<f64> {
        reports.iter().filter_map(|r| r.pointer(row.pointer)?.as_f64()).collect()
    };
    let (ours, theirs) = (figures(&rounds.ours), figures(&rounds.theirs));
    let show = |x: Option<f64>| x.map_or("–".into(), |x| row.unit.show(x));
    let mut notes = disturbances(rounds);
    let ratio = median(&ours).zip(median(&theirs)).map(|(a, b)| a / b);
    let pairs: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
    let judged = match row.goal {
        Goal::Faster(..) => saturated_ratio(rounds, ratio, &mut notes),
        Goal::OursAtMost(..) | Goal::OursAtLeast(_) => median(&ours),
        Goal::Less(..) | Goal::Told => ratio,
    };
    notes.extend(rounds.failures.iter().map(|why| format!("failed: {why}")));
    Line {
        title: row.title.into(),
        ours: show(median(&ours)),
        theirs: show(median(&theirs)),
        ratio: ratio.map_or("–".into(), |ratio| with_spread(ratio, &pairs)),
        goal: row.goal.show(row.unit),
        verdict: verdict(row.goal, judged).word().into(),
        notes,
    }
}

/// The ratio of a throughput, or, where a server had idle time, that of CPU a delivery, which idle time does not touch.
fn saturated_ratio(rounds: &Rounds, ratio: Option<f64>, notes: &mut Vec<String>) -> Option<f64> {
    let had_work = |reports: &[Value]| {
        let busy =
            |r: &Value| Some(r.pointer("/cost/busy")?.as_f64()? + r.pointer("/cost/waited")?.as_f64()?);
        median(&reports.iter().filter_map(busy).collect::<Vec<_>>())
    };
    let (ours, theirs) = (had_work(&rounds.ours)?, had_work(&rounds.theirs)?);
    if ours >= SATURATED && theirs >= SATURATED {
        return ratio;
    }
    let cpu = |reports: &[Value]| {
        let each = |r: &Value| r.pointer("/cost/us_per_delivered")?.as_f64();
        median(&reports.iter().filter_map(each).collect::<Vec<_>>())
    };
    let by_cpu = cpu(&rounds.theirs)? / cpu(&rounds.ours)?;
    notes.push(format!(
        "not saturated (ours {:.0} % busy, theirs {:.0} %): judged by CPU a delivery, {by_cpu:.2}×",
        ours * 100.0,
        theirs * 100.0
    ));
    Some(by_cpu)
}

fn disturbances(rounds: &Rounds) -> Vec<String> {
    let worst = |reports: &[Value]| {
        let waited = |r: &Value| r.pointer("/cost/waited")?.as_f64();
        reports.iter().filter_map(waited).fold(0.0, f64::max)
    };
    let (ours, theirs) = (worst(&rounds.ours), worst(&rounds.theirs));
    if ours.max(theirs) < DISTURBED {
        return Vec::new();
    }
    vec![format!(
        "disturbed: other programs had the server's core for up to {:.0} % (ours), {:.0} % (theirs)",
        ours * 100.0,
        theirs * 100.0
    )]
}

fn verdict(goal: Goal, figure: Option<f64>) -> Verdict {
    let Some(x) = figure else {
        return if goal == Goal::Told { Verdict::None } else { Verdict::Missed };
    };
    let (met, beyond) = match goal {
        Goal::Faster(goal, more) => (x >= goal, x >= more),
        Goal::Less(goal, more) | Goal::OursAtMost(goal, more) => (x <= goal, more.is_some_and(|m| x <= m)),
        Goal::OursAtLeast(goal) => (x >= goal, false),
        Goal::Told => return Verdict::None,
    };
    match (met, beyond) {
        (_, true) => Verdict::Beyond,
        (true, _) => Verdict::Met,
        _ => Verdict::Missed,
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Beyond => "beyond",
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::None => "",
        }
    }
}

fn with_spread(ratio: f64, pairs: &[f64]) -> String {
    let low = pairs.iter().copied().fold(f64::INFINITY, f64::min);
    let high = pairs.iter().copied().fold(0.0, f64::max);
    format!("{ratio:.2}× ({low:.2}–{high:.2})")
}

/// The middle value, or the mean of the two.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    match sorted.len() % 2 {
        1 => Some(upper),
        _ => sorted.get(sorted.len() / 2 - 1).map(|lower| (lower + upper) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::rows::Unit;
    use serde_json::json;

    const FAST: Row = Row {
        scenario: "s",
        title: "t",
        pointer: "/msgs_per_s",
        unit: Unit::PerSecond,
        goal: Goal::Faster(2.5, 4.0),
    };

    fn report(rate: f64, busy: f64, waited: f64, us: f64) -> Value {
        json!({"msgs_per_s": rate, "cost": {"busy": busy, "waited": waited, "us_per_delivered": us}})
    }

    fn rounds(ours: &[Value], theirs: &[Value]) -> Rounds {
        Rounds { ours: ours.to_vec(), theirs: theirs.to_vec(), failures: Vec::new() }
    }

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn a_saturated_throughput_is_judged_by_its_ratio_of_medians() {
        let ours = [report(3e6, 1.0, 0.0, 0.1), report(4e6, 1.0, 0.0, 0.1), report(5e6, 1.0, 0.0, 0.1)];
        let theirs = [report(1e6, 1.0, 0.0, 0.9), report(1e6, 1.0, 0.0, 0.9), report(1e6, 1.0, 0.0, 0.9)];
        let line = line(&FAST, &rounds(&ours, &theirs));
        assert_eq!((line.ratio.as_str(), line.verdict.as_str()), ("4.00× (3.00–5.00)", "beyond"));
        assert!(line.notes.is_empty());
    }

    #[test]
    fn where_a_server_idled_cpu_decides_and_it_is_said() {
        let line = line(&FAST, &rounds(&[report(9e6, 0.7, 0.0, 0.3)], &[report(1e6, 1.0, 0.0, 0.9)]));
        assert_eq!(line.verdict, "met");
        assert!(line.notes.iter().any(|n| n.contains("not saturated") && n.contains("3.00×")), "{line:?}");
    }

    #[test]
    fn a_server_that_had_to_wait_for_its_core_was_saturated_but_disturbed() {
        let line = line(&FAST, &rounds(&[report(2e6, 0.8, 0.2, 0.3)], &[report(1e6, 1.0, 0.0, 0.9)]));
        assert_eq!(line.verdict, "MISSED");
        assert!(line.notes.iter().any(|n| n.contains("up to 20 % (ours)")), "{line:?}");
    }

    #[test]
    fn a_figure_that_could_not_be_measured_is_missed_and_says_why() {
        let failed = Rounds { failures: vec!["no port".into()], ..Rounds::default() };
        let line = line(&FAST, &failed);
        assert_eq!((line.verdict.as_str(), line.ours.as_str()), ("MISSED", "–"));
        assert_eq!(line.notes, ["failed: no port"]);
    }
}
