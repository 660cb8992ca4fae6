//! The first 256 bytes of every file: what it is, in which version, and whose. It is *not* needed to check what
//! follows: the checksums there are salted with what the name and the caller say, so a damaged head costs nothing.

use kernel::{NodeId, Position};

use crate::Error;
use crate::bytes::{Cut, put};

/// Length of a head, in bytes, in every version.
pub(crate) const HEAD_BYTES: usize = 256;
const MAGIC: &[u8; 8] = b"NEUROPLX";
const VERSION: u16 = 1;
const CRC_AT: usize = HEAD_BYTES - 4;
const NAME_BYTES_MAX: usize = 64;

/// Whose files these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the fabric, at most 64 bytes; empty: none yet.
    pub fabric: String,
    /// The node.
    pub node: NodeId,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Journal = 1,
    Segment = 2,
    Catalogue = 3,
    Mark = 4,
}

impl What {
    /// The folder that holds files of this kind.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            What::Journal => "journal",
            What::Segment => "segments",
            What::Catalogue => "catalogue",
            What::Mark => "mark",
        }
    }

    /// The name of the file with this number.
    pub(crate) fn name(self, number: u64) -> String {
        format!("{}/{number:016x}", self.folder())
    }

    /// What the checksums of that file are salted with: what belongs to another file never counts as valid, be it what
    /// a reused file held before or what somebody sent as a payload.
    pub(crate) fn salt(self, number: u64, identity: &Identity) -> u32 {
        let names = crc32c::crc32c_append(crc32c::crc32c(identity.fabric.as_bytes()), &[0]);
        let names = crc32c::crc32c_append(names, identity.node.as_str().as_bytes());
        let whole = crc32c::crc32c_append(names, &[self as u8]);
        crc32c::crc32c_append(whole, &number.to_le_bytes())
    }
}

/// The number that a file's name gives it.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    (name.len() == 16).then(|| u64::from_str_radix(name, 16).ok()).flatten()
}

/// A head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) what: What,
    pub(crate) number: u64,
    /// Of a journal file: the position of its first entry.
    pub(crate) first: Position,
    /// Of a journal file: what was synced when it was begun.
    pub(crate) synced: Position,
}

/// What stands at the start of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A head of ours.
    Head(Head),
    /// Nothing: the file was made but never begun.
    Nothing,
    /// Something unreadable.
    Damage,
}

impl Head {
    /// Appends the head.
    pub(crate) fn encode(&self, identity: &Identity, out: &mut Vec<u8>) {
        let mut head = [0; HEAD_BYTES];
        put(&mut head, 0, MAGIC);
        put(&mut head, 8, &VERSION.to_le_bytes());
        put(&mut head, 10, &[self.what as u8]);
        put(&mut head, 16, &self.number.to_le_bytes());
        put(&mut head, 24, &self.first.0.to_le_bytes());
        put(&mut head, 32, &self.synced.0.to_le_bytes());
        put(&mut head, 40, &[identity.fabric.len() as u8, identity.node.as_str().len() as u8]);
        put(&mut head, 48, identity.fabric.as_bytes());
        put(&mut head, 48 + NAME_BYTES_MAX, identity.node.as_str().as_bytes());
        let crc = crc32c::crc32c(head.get(..CRC_AT).unwrap_or_default());
        put(&mut head, CRC_AT, &crc.to_le_bytes());
        out.extend_from_slice(&head);
    }

    /// Reads the head of the file `name`. Errors: another version's, or somebody else's.
    pub(crate) fn decode(bytes: &[u8], what: What, name: &str, identity: &Identity) -> Result<Found, Error> {
        let Some(head) = bytes.get(..HEAD_BYTES) else { return Ok(Found::Nothing) };
        if head.iter().all(|byte| *byte == 0) {
            return Ok(Found::Nothing);
        }
        let body = head.get(..CRC_AT).unwrap_or_default();
        let mut cut = Cut(head.get(CRC_AT..).unwrap_or_default());
        if cut.u32() != Some(crc32c::crc32c(body)) || !body.starts_with(MAGIC) {
            return Ok(Found::Damage);
        }
        let mut cut = Cut(body.get(8..).unwrap_or_default());
        let version = cut.u16().unwrap_or_default();
        if version != VERSION {
            return Err(Error::unusable(format!(
                "{name} has format version {version}, and this neuroplex knows version {VERSION}; \
                 open it with the neuroplex that wrote it, or give another folder: --data DIR"
            )));
        }
        let kind = cut.u16().unwrap_or_default();
        if kind != what as u16 {
            return Err(Error::unusable(format!("{name} is a file of another kind ({kind})")));
        }
        cut.take(4);
        let mut number = || cut.u64().unwrap_or_default();
        let head = Head { what, number: number(), first: Position(number()), synced: Position(number()) };
        let lengths = cut.u16().unwrap_or_default().to_le_bytes();
        cut.take(6);
        let mut text = |length: u8| {
            let field = cut.take(NAME_BYTES_MAX).unwrap_or_default();
            String::from_utf8_lossy(field.get(..length.into()).unwrap_or_default()).into_owned()
        };
        let (fabric, node) = (text(lengths[0]), text(lengths[1]));
        if (fabric.as_str(), node.as_str()) != (identity.fabric.as_str(), identity.node.as_str()) {
            return Err(Error::unusable(format!(
                "{name} belongs to node {node:?} of fabric {fabric:?}, not to {:?} of {:?}; \
                 start that node here, or give another folder: --data DIR",
                identity.node.as_str(),
                identity.fabric
            )));
        }
        Ok(Found::Head(head))
    }
}
