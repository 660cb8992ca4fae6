//! Identities. They are *not* made here out of nothing: time and randomness come in as arguments.

use std::fmt;
use std::str::FromStr;

use crate::Code;

/// Identity of one message: a UUID, version 7 when we made it (RFC 9562), so that ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(uuid::Uuid);

impl MessageId {
    /// A version 7 id from the wall clock in milliseconds and ten random bytes.
    pub fn new(wall_ms: u64, random: [u8; 10]) -> MessageId {
        MessageId(uuid::Builder::from_unix_timestamp_millis(wall_ms, &random).into_uuid())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for MessageId {
    type Err = Code;
    fn from_str(text: &str) -> Result<MessageId, Code> {
        uuid::Uuid::parse_str(text).map(MessageId).map_err(|_| Code::InvalidRequest)
    }
}

/// Name of a node: 1 to 64 of `a-z`, `A-Z`, `0-9`, `-` and `_`, so that it can be a subject's token and a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(Box<str>);

impl NodeId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeId {
    type Err = Code;
    fn from_str(text: &str) -> Result<NodeId, Code> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        match text.len() {
            1..=64 if text.bytes().all(legal) => Ok(NodeId(text.into())),
            _ => Err(Code::InvalidRequest),
        }
    }
}

/// A tenant of the node, by its row in the node's table. Tenants never see each other's subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(pub u32);

/// A connection of this node since it started; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// A subscription of this node since it started; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_later_sort_later() {
        let early = MessageId::new(1_700_000_000_000, [255; 10]);
        let late = MessageId::new(1_700_000_000_001, [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().as_bytes()[14], b'7', "version nibble");
        assert_eq!(early.to_string().parse::<MessageId>(), Ok(early));
    }

    #[test]
    fn a_node_id_is_a_token_and_a_file_name() {
        assert!("mainpc-7f3a".parse::<NodeId>().is_ok());
        for bad in ["", "a.b", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?}");
        }
    }
}
