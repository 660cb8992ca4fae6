//! What to do about what is missing without a trace: the end of the journal or of the catalogue, a whole file, or newer
//! content in whose place an older copy stands. Disks break bytes; they seldom take away files to the byte, people do,
//! and they may still have them. So it is *not* served over, as damage is: that would remove what the missing part
//! speaks of, and give sequences again. It is refused, until somebody says that it is gone for good.

use kernel::journal::Damage;

use crate::catalogue::Catalogue;
use crate::error::Error;
use crate::mark::{FoundMark, Mark, POSITIONS};
use crate::scan::Scan;

/// What can be seen of the segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segments {
    /// Some that the catalogue speaks of, with records that are wanted, are missing.
    pub(crate) are_missing: bool,
    /// There are some, and nothing else.
    pub(crate) are_alone: bool,
    /// The mark is lost, and there are some that nothing speaks of.
    pub(crate) are_unexplained: bool,
    /// The mark is lost, and there are journal files of which none has anything that can be read.
    pub(crate) is_nothing_left: bool,
}

/// Judges what is missing. Gives the mark with what is accepted, and adds reports. Errors: something is missing that
/// nothing stands for, and nobody accepted that.
pub(crate) fn judge(
    found: &FoundMark,
    catalogue: &Catalogue,
    segments: Segments,
    scan: &mut Scan,
    damage: &mut Vec<Damage>,
) -> Result<Mark, Error> {
    let mut mark = found.mark;
    let is_behind = catalogue.last() < mark.sequence;
    let (name, end) = catalogue.end();
    let journal_lost = scan.lost_file.is_some() || !scan.missing.is_empty();
    let is_bare = segments.are_unexplained || segments.is_nothing_left;
    let catalogue_lost = segments.are_alone
        || is_bare
        || is_behind && mark.sequence > mark.accepted_sequence && (journal_lost || segments.are_missing);
    if is_behind {
        let what = match catalogue_lost || mark.sequence <= mark.accepted_sequence {
            false => {
                "the catalogue's end is missing; the journal still had all that it said, and nothing was lost"
            }
            true => "the catalogue's end is missing; what was settled since is lost",
        };
        damage.push(Damage { file: name.clone(), offset: end, what: what.to_owned(), entries: 0 });
    }
    if !journal_lost && !catalogue_lost {
        return Ok(mark);
    }
    if !found.is_loss_accepted {
        let what = if segments.are_alone {
            "the catalogue is missing, which says what is in the segments".to_owned()
        } else if segments.are_unexplained {
            "the mark is missing or damaged, and there are segments of which the catalogue says nothing"
                .to_owned()
        } else if segments.is_nothing_left {
            "the mark is missing or damaged, and of the journal nothing can be read".to_owned()
        } else if catalogue_lost {
            format!(
                "{name} ends with change {}, and {} were written: its end was cut off, or an older copy was put back",
                catalogue.last(),
                mark.sequence
            )
        } else if let Some(file) = &scan.lost_file {
            format!("{file} is missing, to which the latest entries were written")
        } else {
            let (first, last) = scan.missing.first().map_or((0, 0), |missing| (missing.first, missing.last));
            format!(
                "entries {first} to {last} of the journal are missing: a file was removed or cut off, or an older copy \
                 was put back"
            )
        };
        return Err(Error::unusable(format!(
            "{what}; nothing was changed: put back what is missing, or, if it is gone for good, make an empty file \
             mark/accept-loss in the store's folder and start again"
        )));
    }
    let missing = std::mem::take(&mut scan.missing);
    scan.broken.extend(missing.into_iter().map(crate::scan::Missing::accepted));
    let file = scan.lost_file.take().unwrap_or_else(|| "journal".to_owned());
    let what = format!("up to {POSITIONS} entries behind {} may be missing as well", scan.last);
    damage.push(Damage { file, offset: 0, what, entries: POSITIONS });
    // The mark lags: so many more may have been promised. Their positions are not given again.
    scan.last += POSITIONS;
    (mark.accepted, mark.accepted_sequence) = (scan.last, mark.sequence);
    Ok(mark)
}
