//! Facts of the machine: its name, its memory, its file limit, and a little randomness.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};

/// Memory that this process may use, in bytes: the machine's, or less where a control group says so.
pub(crate) fn memory_bytes() -> u64 {
    const UNKNOWN: u64 = 4 << 30;
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let group =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    total.unwrap_or(UNKNOWN).min(group.unwrap_or(u64::MAX))
}

/// Whether the machine has one processor only, so that whoever waits awake keeps others from running.
pub(crate) fn is_single_processor() -> bool {
    fs::read_to_string("/sys/devices/system/cpu/online").is_ok_and(|cpus| cpus.trim() == "0")
}

/// The machine's name, cut down to what a node's id may hold.
pub(crate) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let first = name.split('.').next().unwrap_or_default();
    let kept: String = first.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    if kept.is_empty() { "node".into() } else { kept.to_ascii_lowercase() }
}

/// Raises the number of files and connections that this process may have open to what the system allows; says it.
pub(crate) fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Refused where the system forbids it; then the lower limit holds, and `accept` says so when it is reached.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Sixty-four bits that nobody outside can guess; for hashes and names, not for keys.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
