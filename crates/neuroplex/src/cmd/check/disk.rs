//! The disk below a data folder of this machine: whether it has room, and how long a sync takes. What is in the folder is
//! not looked at.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use kernel::Code;
use rustix::fs::fstatvfs;

use super::tick::{Tick, ms};
use crate::units::size;

/// Below this a node soon keeps nothing more, in bytes.
const FREE_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Below this it is time to make room.
const FREE_BYTES_GOOD: u64 = 1024 * 1024 * 1024;
/// What is written before a sync, in bytes: about a frame of the journal.
const WRITTEN_BYTES: usize = 4096;
/// A sync beyond this makes every durable acknowledgement slow.
const SYNC_GOOD: Duration = Duration::from_millis(50);

/// Both ticks; nothing is left behind.
pub(super) fn check(folder: &Path, is_named: bool) -> Vec<Tick> {
    let shown = folder.display();
    if !folder.is_dir() {
        if is_named {
            let fix = "Name the folder that `neuroplex up --data` has.";
            return vec![Tick::bad("disk", Code::InvalidRequest, format!("{shown} is no folder"), fix)];
        }
        return vec![Tick::skipped("disk", format!("no data folder {shown} here; name one with --data DIR"))];
    }
    vec![room(folder), sync(folder)]
}

fn room(folder: &Path) -> Tick {
    let fix = "Make room, or move the data folder to a larger disk; limits of streams (`--max-bytes`, `--max-age`) keep \
               it from filling up.";
    let free = File::open(folder)
        .and_then(|file| Ok(fstatvfs(&file)?))
        .map(|s| s.f_bavail.saturating_mul(s.f_frsize));
    match free {
        Err(e) => unusable("disk", folder, "cannot be looked at", &e),
        Ok(free) => judge(&format!("{} are free below {}", size(free), folder.display()), free, fix),
    }
}

fn judge(what: &str, free: u64, fix: &str) -> Tick {
    match free {
        free if free < FREE_BYTES_MIN => Tick::bad("disk", Code::DiskFull, what, fix),
        free if free < FREE_BYTES_GOOD => Tick::warning("disk", what, fix),
        _ => Tick::good("disk", what),
    }
}

/// Measures one sync, in a file without a name.
fn sync(folder: &Path) -> Tick {
    let measured = || -> io::Result<Duration> {
        let mut file = tempfile::tempfile_in(folder)?;
        // The first makes the file; the second is what the journal does again and again.
        file.write_all(&[0; WRITTEN_BYTES])?;
        file.sync_all()?;
        file.write_all(&[1; WRITTEN_BYTES])?;
        let start = Instant::now();
        file.sync_data()?;
        Ok(start.elapsed())
    };
    match measured() {
        Ok(took) if took <= SYNC_GOOD => {
            Tick::good("sync", format!("the disk has written after {}", ms(took)))
        }
        Ok(took) => {
            let fix = "Acknowledgements from the disk wait that long: use a local SSD, or measure again when the disk is idle.";
            Tick::warning("sync", format!("the disk took {} to write 4 KiB", ms(took)), fix)
        }
        Err(e) => unusable("sync", folder, "cannot be written", &e),
    }
}

fn unusable(name: &'static str, folder: &Path, what: &str, e: &io::Error) -> Tick {
    let code = match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::DiskFull,
        _ => Code::DataFolderUnusable,
    };
    let fix =
        "Run the check as the user that the node runs as, and see to the folder's rights and free space.";
    Tick::bad(name, code, format!("{} {what}: {e}", folder.display()), fix)
}

#[cfg(test)]
mod tests {
    use super::super::tick::Mark;
    use super::*;

    #[test]
    fn a_folder_is_measured_and_nothing_is_left_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let ticks = check(folder.path(), true);
        assert_eq!(ticks.iter().map(|t| t.name).collect::<Vec<_>>(), ["disk", "sync"]);
        assert!(ticks.iter().all(|t| !matches!(t.mark, Mark::Skipped)), "{ticks:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_was_named_must_be_there() {
        let nowhere = Path::new("/does/not/exist");
        assert_eq!(check(nowhere, true)[0].mark, Mark::Bad(Code::InvalidRequest));
        assert_eq!(check(nowhere, false)[0].mark, Mark::Skipped);
    }

    #[test]
    fn a_full_disk_is_a_cross_and_a_nearly_full_one_a_warning() {
        let mark = |free| judge("", free, "").mark;
        assert_eq!(mark(1 << 20), Mark::Bad(Code::DiskFull));
        assert_eq!((mark(100 << 20), mark(2 << 30)), (Mark::Warning, Mark::Good));
    }
}
