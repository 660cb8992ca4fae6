//! From the reports of all rounds to a verdict a row: medians, the ratio with its spread, met or missed, and why a
//! figure should be doubted. No measuring here.

use serde_json::Value;

use super::rows::{Goal, Row};

/// A throughput counts where the server's core had nothing to do for at most this part of the time.
const IDLE: f64 = 0.05;
/// Cores that other programs used, above which it is told.
const DISTURBED: f64 = 0.05;

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
    let mut notes = Vec::new();
    let ratio = median(&ours).zip(median(&theirs)).map(|(a, b)| a / b);
    let pairs: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
    let judged = match row.goal {
        Goal::Faster(..) => saturated_ratio(rounds, ratio, &mut notes),
        Goal::OursAtMost(..) | Goal::OursAtLeast(_) => median(&ours),
        Goal::Less(..) | Goal::Ratio(..) | Goal::Told => ratio,
    };
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
    let idle = |reports: &[Value]| medium(reports, "/machine/server_core_idle");
    let (ours, theirs) = (idle(&rounds.ours)?, idle(&rounds.theirs)?);
    if ours <= IDLE && theirs <= IDLE {
        return ratio;
    }
    let cpu = |reports: &[Value]| medium(reports, "/cost/us_per_delivered");
    let by_cpu = cpu(&rounds.theirs)? / cpu(&rounds.ours)?;
    notes.push(format!(
        "the server's core was idle for {:.0} % (ours), {:.0} % (theirs): judged by CPU a delivery, {by_cpu:.2}×",
        ours * 100.0,
        theirs * 100.0
    ));
    Some(by_cpu)
}

/// Why runs of a scenario failed, each reason once.
pub(crate) fn failed(rounds: &Rounds) -> Vec<String> {
    let mut reasons: Vec<&String> = Vec::new();
    for why in &rounds.failures {
        if !reasons.contains(&why) {
            reasons.push(why);
        }
    }
    let times = |why: &String| rounds.failures.iter().filter(|other| *other == why).count();
    reasons.into_iter().map(|why| format!("failed {}×: {why}", times(why))).collect()
}

/// What disturbed a scenario, if something did.
pub(crate) fn disturbed(rounds: &Rounds) -> Option<String> {
    let both = |pointer| {
        let of = |reports: &[Value]| medium(reports, pointer).unwrap_or_default();
        (of(&rounds.ours), of(&rounds.theirs))
    };
    let (ours, theirs) = both("/machine/others");
    if ours.max(theirs) < DISTURBED {
        return None;
    }
    let (load_ours, load_theirs) = both("/load/waited");
    Some(format!(
        "other programs used {ours:.2} cores beside ours, {theirs:.2} beside theirs, and kept the load from its core for {:.1} % and {:.1} % of the time",
        load_ours * 100.0,
        load_theirs * 100.0
    ))
}

/// The median of one figure.
pub(crate) fn medium(reports: &[Value], pointer: &str) -> Option<f64> {
    median(&reports.iter().filter_map(|r| r.pointer(pointer)?.as_f64()).collect::<Vec<_>>())
}

fn verdict(goal: Goal, figure: Option<f64>) -> Verdict {
    let Some(x) = figure else {
        return if goal == Goal::Told { Verdict::None } else { Verdict::Missed };
    };
    let (met, beyond) = match goal {
        Goal::Faster(goal, more) | Goal::Ratio(goal, more) => (x >= goal, x >= more),
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

    fn report(rate: f64, idle: f64, others: f64, us: f64) -> Value {
        let machine = json!({"server_core_idle": idle, "others": others});
        json!({"msgs_per_s": rate, "cost": {"us_per_delivered": us}, "machine": machine})
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
        let ours = [report(3e6, 0.0, 0.0, 0.1), report(4e6, 0.0, 0.0, 0.1), report(5e6, 0.0, 0.0, 0.1)];
        let theirs = [report(1e6, 0.0, 0.0, 0.9), report(1e6, 0.0, 0.0, 0.9), report(1e6, 0.0, 0.0, 0.9)];
        let line = line(&FAST, &rounds(&ours, &theirs));
        assert_eq!((line.ratio.as_str(), line.verdict.as_str()), ("4.00× (3.00–5.00)", "beyond"));
        assert!(line.notes.is_empty());
    }

    #[test]
    fn where_a_server_idled_cpu_decides_and_it_is_said() {
        let line = line(&FAST, &rounds(&[report(9e6, 0.3, 0.0, 0.3)], &[report(1e6, 0.0, 0.0, 0.9)]));
        assert_eq!(line.verdict, "met");
        assert!(line.notes.iter().any(|n| n.contains("30 % (ours)") && n.contains("3.00×")), "{line:?}");
    }

    #[test]
    fn a_core_that_others_used_was_not_idle_but_the_run_was_disturbed() {
        let rounds = rounds(&[report(2e6, 0.0, 0.2, 0.3)], &[report(1e6, 0.0, 0.0, 0.9)]);
        assert_eq!(line(&FAST, &rounds).verdict, "MISSED");
        assert!(disturbed(&rounds).is_some_and(|text| text.contains("0.20 cores beside ours")));
        assert_eq!(disturbed(&Rounds::default()), None);
    }

    #[test]
    fn a_figure_that_could_not_be_measured_is_missed_and_says_why_once() {
        let rounds = Rounds { failures: vec!["no port".into(), "no port".into()], ..Rounds::default() };
        let line = line(&FAST, &rounds);
        assert_eq!((line.verdict.as_str(), line.ours.as_str()), ("MISSED", "–"));
        assert_eq!(failed(&rounds), ["failed 2×: no port"]);
    }
}
