//! CPU time and memory of a process, as Linux counts them in `/proc`, and of this one.

use crate::BenchError;
use crate::machine::{Activity, Machine, TICKS_PER_S};
use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// A moment: wall clock, this process's CPU time, and the server's if it may be looked at.
#[derive(Debug)]
pub(crate) struct Moment {
    wall: Instant,
    own: Duration,
    own_waited: Duration,
    server: Option<Threads>,
    machine: Option<Machine>,
}

/// What passed between two moments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) own: Duration,
    /// Time in which this thread could have run and another had its core.
    pub(crate) own_waited: Duration,
    pub(crate) server: Option<Duration>,
    pub(crate) machine: Option<Activity>,
}

impl Moment {
    pub(crate) fn now(server_pid: Option<u32>) -> Result<Self, BenchError> {
        let server = match server_pid {
            Some(pid) => Some(Threads::read(pid).map_err(|source| BenchError::Process { pid, source })?),
            None => None,
        };
        let machine = Machine::now(server_pid);
        Ok(Self { wall: Instant::now(), own: own_cpu(), own_waited: own_waited(), server, machine })
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.wall.elapsed()
    }

    pub(crate) fn until(&self, later: &Self) -> Spent {
        Spent {
            wall: later.wall.saturating_duration_since(self.wall),
            own: later.own.saturating_sub(self.own),
            own_waited: later.own_waited.saturating_sub(self.own_waited),
            server: self.server.as_ref().zip(later.server.as_ref()).map(|(a, b)| a.until(b)),
            machine: self.machine.zip(later.machine).map(|(a, b)| a.until(&b)),
        }
    }
}

/// CPU time of every thread of a process in nanoseconds (`schedstat`), and of the whole in ticks (`stat`).
#[derive(Debug)]
struct Threads {
    ns_of: HashMap<u32, u64>,
    ticks: u64,
}

impl Threads {
    fn read(pid: u32) -> io::Result<Self> {
        let ticks =
            ticks(&fs::read_to_string(format!("/proc/{pid}/stat"))?).ok_or(io::ErrorKind::InvalidData)?;
        let mut ns_of = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let path = entry?.path();
            let Some(tid) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse().ok()) else {
                continue;
            };
            // A kernel without schedstat, or a thread that ended meanwhile: the ticks remain.
            let Ok(text) = fs::read_to_string(path.join("schedstat")) else { continue };
            if let Some(ns) = text.split_ascii_whitespace().next().and_then(|n| n.parse().ok()) {
                ns_of.insert(tid, ns);
            }
        }
        Ok(Self { ns_of, ticks })
    }

    /// The sum over threads is exact but forgets a thread that ended; the ticks forget nothing but are coarse.
    fn until(&self, later: &Self) -> Duration {
        if later.ns_of.is_empty() || self.ns_of.keys().any(|tid| !later.ns_of.contains_key(tid)) {
            return Duration::from_secs_f64(later.ticks.saturating_sub(self.ticks) as f64 / TICKS_PER_S);
        }
        let since = |(tid, ns): (&u32, &u64)| ns.saturating_sub(self.ns_of.get(tid).copied().unwrap_or(0));
        Duration::from_nanos(later.ns_of.iter().map(since).sum())
    }
}

/// utime + stime: fields 14 and 15, counted after the name, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn own_cpu() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(t.tv_sec.try_into().unwrap_or(0), t.tv_nsec.try_into().unwrap_or(0))
}

/// The second figure of `schedstat`; zero where the kernel does not count it.
fn own_waited() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split_ascii_whitespace().nth(1).and_then(|n| n.parse().ok());
    Duration::from_nanos(ns.unwrap_or_default())
}

/// Resident bytes of a process: the exact walk of `smaps_rollup` where it is allowed, else `VmRSS`, which may be off by
/// some pages for each core.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64, BenchError> {
    let fail = |source| BenchError::Process { pid, source };
    let exact = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok().and_then(|t| kib(&t, "Rss:"));
    if let Some(kib) = exact {
        return Ok(kib * 1024);
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).map_err(fail)?;
    kib(&status, "VmRSS:").map(|kib| kib * 1024).ok_or_else(|| fail(io::ErrorKind::InvalidData.into()))
}

fn kib(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_cannot_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 9 0 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("nonsense"), None);
    }

    #[test]
    fn work_of_this_process_is_seen_from_outside_as_from_inside() {
        let pid = Some(std::process::id());
        let before = Moment::now(pid).unwrap();
        let mut x = 1u64;
        loop {
            for _ in 0..100_000 {
                x = std::hint::black_box(x.wrapping_mul(3));
            }
            let spent = before.until(&Moment::now(pid).unwrap());
            if spent.own >= Duration::from_millis(30) && spent.server.unwrap() >= Duration::from_millis(20) {
                break;
            }
        }
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000);
    }

    #[test]
    fn a_thread_that_ended_makes_the_coarse_clock_the_true_one() {
        let of = |threads: &[(u32, u64)], ticks| Threads { ns_of: threads.iter().copied().collect(), ticks };
        let before = of(&[(1, 100), (2, 50)], 10);
        assert_eq!(before.until(&of(&[(1, 150), (2, 50), (3, 7)], 10)).as_nanos(), 57);
        assert_eq!(before.until(&of(&[(1, 150)], 12)), Duration::from_millis(20));
    }
}
