//! How many bytes of messages go in and out a second, smoothed over about ten seconds. It is told the time and the totals.

use std::sync::{Mutex, PoisonError};

use super::metrics::{Figure, Kind, Reading, Sample};

/// How long an old rate weighs, in milliseconds.
const MEMORY_MS: f64 = 10_000.0;

#[derive(Clone, Copy, Default)]
struct State {
    wall_ms: u64,
    totals: [u64; 2],
    rates: [f64; 2],
}

/// See the module.
#[derive(Default)]
pub(super) struct Rates(Mutex<State>);

impl Rates {
    /// It is this late, and so many bytes went in and out since the start.
    pub(super) fn tick(&self, wall_ms: u64, totals: [u64; 2]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed_ms = wall_ms.saturating_sub(state.wall_ms) as f64;
        if state.wall_ms > 0 && passed_ms > 0.0 {
            let weight = 1.0 - (-passed_ms / MEMORY_MS).exp();
            let before = state.totals;
            for ((rate, total), before) in state.rates.iter_mut().zip(totals).zip(before) {
                let now = total.saturating_sub(before) as f64 * 1000.0 / passed_ms;
                *rate += weight * (now - *rate);
            }
        }
        (state.wall_ms, state.totals) = (wall_ms, totals);
    }

    /// What operators see of it, under the two names that dashboards know.
    pub(super) fn figures(&self) -> [Figure; 2] {
        let State { rates, .. } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let samples: Vec<Sample> = ["in", "out"]
            .into_iter()
            .zip(rates)
            .map(|(direction, rate)| Sample {
                labels: vec![("direction", direction.to_owned()), ("protocol", "nats".to_owned())],
                reading: Reading::Number(rate.round()),
            })
            .collect();
        ["bandwidth_bytes_per_second", "network_throughput"].map(|name| Figure {
            name: name.into(),
            help: "Bytes of messages a second, over about the last ten seconds.",
            kind: Kind::Gauge,
            samples: samples.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_becomes_its_rate_and_silence_becomes_none() {
        let rates = Rates::default();
        let read = || match rates.figures()[0].samples[0].reading {
            Reading::Number(rate) => rate,
            Reading::Histogram(_) => f64::NAN,
        };
        for second in 1..100 {
            rates.tick(second * 1000, [second * 500, 0]);
        }
        assert_eq!(read(), 500.0);
        for second in 100..300 {
            rates.tick(second * 1000, [99 * 500, 0]);
        }
        assert_eq!(read(), 0.0);
    }
}
