//! Facts of the machine: its name, its memory, its file limit, and a little randomness.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

/// Memory that this process may use, in bytes: the machine's, or less where a control group says so.
pub(crate) fn memory_bytes() -> u64 {
    const UNKNOWN: u64 = 4 << 30;
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
        line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_bytes(Path::new("/sys/fs/cgroup"), &groups);
    total.unwrap_or(UNKNOWN).min(group.unwrap_or(u64::MAX))
}

/// The least that the control groups allow which this process is in, from its own up to the root (cgroup v2).
/// `groups`: what the kernel says in `/proc/self/cgroup`.
fn group_bytes(root: &Path, groups: &str) -> Option<u64> {
    // Without a line of version 2 the root may still say something.
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let limit = |group: &Path| fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok();
    Path::new(own).ancestors().filter_map(|group| limit(&root.join(group))).min()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_control_group_on_the_way_up_counts() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("system.slice/neuroplex.service");
        fs::create_dir_all(&own).unwrap();
        let groups = "4:memory:/elsewhere\n0::/system.slice/neuroplex.service\n";
        let bytes = || group_bytes(root.path(), groups);
        assert_eq!(bytes(), None);
        fs::write(own.join("memory.max"), "max\n").unwrap();
        assert_eq!(bytes(), None);
        fs::write(root.path().join("memory.max"), "3000\n").unwrap();
        assert_eq!(bytes(), Some(3000));
        fs::write(own.join("memory.max"), "1000\n").unwrap();
        fs::write(root.path().join("system.slice/memory.max"), "2000\n").unwrap();
        assert_eq!(bytes(), Some(1000));
        assert_eq!(group_bytes(root.path(), "0::/\n"), Some(3000));
        assert_eq!(group_bytes(root.path(), ""), Some(3000));
    }
}
