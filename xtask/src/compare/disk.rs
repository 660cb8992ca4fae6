//! The disk that durable figures stand on: what file system it has, and how long it takes to have four kibibytes safe.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::fetch;

const SYNCS: usize = 200;
const BLOCK: [u8; 4096] = [0x55; 4096];

/// What was found.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    file_system: String,
    p50_us: f64,
    p99_us: f64,
}

impl Disk {
    /// Looks at the disk under `folder`: appends a block and waits for `fdatasync`, two hundred times.
    pub(crate) fn measure(folder: &Path) -> Result<Disk, String> {
        let told = |e: std::io::Error| format!("{}: {e}", folder.display());
        let said = fetch::run(Command::new("df").arg("--output=fstype").arg(folder), "is coreutils there?")?;
        let file_system = said.lines().next_back().unwrap_or("unknown").trim().to_owned();
        let path = folder.join("sync-latency");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(told)?;
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let start = Instant::now();
            file.write_all(&BLOCK).and_then(|()| file.sync_data()).map_err(told)?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        fs::remove_file(&path).map_err(told)?;
        times.sort_by(f64::total_cmp);
        Ok(Disk { file_system, p50_us: quantile(&times, 0.5), p99_us: quantile(&times, 0.99) })
    }

    /// In one sentence.
    pub(crate) fn line(&self) -> String {
        let Disk { file_system, p50_us, p99_us } = self;
        format!(
            "Disk: {file_system}; appending 4 KiB and `fdatasync` take {p50_us:.0} µs (p50), {p99_us:.0} µs (p99)"
        )
    }
}

/// Of sorted values: the one that `q` of them do not exceed.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (sorted.len() as f64 * q).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_occurred() {
        let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(
            (quantile(&sorted, 0.5), quantile(&sorted, 0.99), quantile(&[], 0.5)),
            (100.0, 198.0, 0.0)
        );
    }
}
