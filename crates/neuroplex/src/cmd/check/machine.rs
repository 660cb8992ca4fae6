//! What the machine itself must offer: enough open files, and a clock that can be right.

use std::time::{SystemTime, UNIX_EPOCH};

use kernel::Code;
use rustix::process::{Resource, getrlimit};

use super::tick::Tick;

/// Below this a node is of little use.
const FILES_MIN: u64 = 256;
/// Below this a node serves fewer connections than it could.
const FILES_GOOD: u64 = 4096;
/// No clock of a running program can show less: 2025-07-01, in seconds since 1970.
const WRITTEN_S: u64 = 1_751_328_000;
/// Difference to the server's clock from which on times-to-live go wrong.
const SKEW_S_MAX: u64 = 5;

/// The limit of open files of this shell: every connection of a node started here is one.
pub(super) fn files() -> Tick {
    let limit = getrlimit(Resource::Nofile).current;
    let fix = "Before `neuroplex up`: `ulimit -n 65536` (for a service: LimitNOFILE=65536).";
    match limit {
        None => Tick::good("files", "this shell may open any number of files"),
        Some(n) if n < FILES_MIN => Tick::bad(
            "files",
            Code::LimitExceeded,
            format!("this shell may open {n} files, each connection is one"),
            fix,
        ),
        Some(n) if n < FILES_GOOD => {
            Tick::warning("files", format!("this shell may open {n} files, each connection is one"), fix)
        }
        Some(n) => Tick::good("files", format!("this shell may open {n} files")),
    }
}

/// Our clock, beside the server's where its HTTP door told the time.
pub(super) fn clock(server_s: Option<u64>) -> Tick {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    judge(now_s, server_s)
}

fn judge(now_s: u64, server_s: Option<u64>) -> Tick {
    let fix = "Set it, and keep it set with NTP: `timedatectl set-ntp true`.";
    if now_s < WRITTEN_S {
        let what = "this machine's clock stands before the day this program was written";
        return Tick::bad("clock", Code::InvalidRequest, what, fix);
    }
    match server_s.map(|s| s.abs_diff(now_s)) {
        None => Tick::good("clock", "this machine's clock is plausible"),
        Some(skew) if skew <= SKEW_S_MAX => {
            Tick::good("clock", "this machine's clock agrees with the server's")
        }
        Some(skew) => {
            let what = format!("this machine's clock and the server's differ by {skew} s");
            Tick::bad("clock", Code::InvalidRequest, what, fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tick::Mark;
    use super::*;

    #[test]
    fn a_clock_that_cannot_be_right_is_a_cross() {
        let good = |now, server| judge(now, server).mark == Mark::Good;
        assert!(good(WRITTEN_S + 10, None) && good(WRITTEN_S + 10, Some(WRITTEN_S + 12)));
        assert!(!good(1000, None) && !good(WRITTEN_S + 10, Some(WRITTEN_S + 100)));
    }
}
