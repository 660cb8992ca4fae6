//! What else the machine did: time of all cores from `/proc/stat`, so that a disturbed run is known as one.

use std::fs;

/// Ticks a second of `/proc`: `USER_HZ`, 100 on every architecture Linux runs on today.
pub(crate) const TICKS_PER_S: f64 = 100.0;

/// Ticks of cores at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Machine {
    /// Not idle, all cores together, time that a hypervisor took included.
    busy: u64,
    /// Idle, on the one core that the server may use, if it is one.
    server_core_idle: Option<u64>,
}

/// What passed between two moments.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Activity {
    /// Seconds in which a core did something, all cores together.
    pub(crate) busy_s: f64,
    /// Seconds in which the server's only core had nothing to do.
    pub(crate) server_core_idle_s: Option<f64>,
}

impl Machine {
    /// `None` where `/proc/stat` cannot be read.
    pub(crate) fn now(server_pid: Option<u32>) -> Option<Self> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let core =
            server_pid.and_then(|pid| only_core(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?));
        Self::read(&stat, core)
    }

    fn read(stat: &str, core: Option<usize>) -> Option<Self> {
        let (_, busy) = times(stat, "cpu")?;
        let idle = core.and_then(|core| times(stat, &format!("cpu{core}"))).map(|(idle, _)| idle);
        Some(Self { busy, server_core_idle: idle })
    }

    pub(crate) fn until(&self, later: &Self) -> Activity {
        let seconds = |before: u64, after: u64| after.saturating_sub(before) as f64 / TICKS_PER_S;
        Activity {
            busy_s: seconds(self.busy, later.busy),
            server_core_idle_s: self
                .server_core_idle
                .zip(later.server_core_idle)
                .map(|(before, after)| seconds(before, after)),
        }
    }
}

/// Idle and busy ticks of a line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn times(stat: &str, name: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|n| n.parse().ok()).take(8).collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((idle, ticks.iter().sum::<u64>() - idle))
}

/// The core that a process is pinned to, if it is exactly one.
fn only_core(status: &str) -> Option<usize> {
    status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "cpu  100 1 50 1000 9 2 3 5 0 0\ncpu0 60 1 30 400 4 1 2 3 0 0\ncpu1 40 0 20 600 5 1 1 2 0 0\n";

    #[test]
    fn cores_are_read_together_and_alone() {
        assert_eq!(Machine::read(STAT, Some(1)), Some(Machine { busy: 161, server_core_idle: Some(605) }));
        assert_eq!(Machine::read(STAT, None), Some(Machine { busy: 161, server_core_idle: None }));
        assert_eq!(Machine::read("intr 7", None), None);
    }

    #[test]
    fn only_a_server_on_one_core_has_a_core() {
        assert_eq!(only_core("Name:\tx\nCpus_allowed_list:\t3\n"), Some(3));
        assert_eq!(only_core("Cpus_allowed_list:\t0-1\n"), None);
    }
}
