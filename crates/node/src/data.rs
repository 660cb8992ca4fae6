//! The data folder: whose it is, and that only one process uses it. What is stored in it belongs to `store`.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use kernel::{Code, NodeId};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::machine;

const IDENTITY: &str = "node.toml";
const LOCK: &str = "lock";
const MAGIC: &str = "neuroplex data folder";
const VERSION: u32 = 1;

/// The file that says whose the folder is.
#[derive(Serialize, Deserialize)]
struct Identity {
    magic: String,
    format_version: u32,
    node_id: String,
}

/// The folder, locked for as long as this lives.
pub(crate) struct Data {
    pub(crate) path: PathBuf,
    pub(crate) node_id: NodeId,
    /// Whether it was made just now.
    pub(crate) created: bool,
    _lock: File,
}

impl Data {
    /// Opens the folder, or makes it. `node_id`: the name that the node should have; it must be the folder's.
    pub(crate) fn open(path: &Path, node_id: Option<&NodeId>) -> Result<Data, Error> {
        fs::create_dir_all(path).map_err(|e| unusable(path, "cannot be made", &e))?;
        let lock = lock(path)?;
        let file = path.join(IDENTITY);
        let (found, created) = match fs::read_to_string(&file) {
            Ok(text) => (read(path, &text)?, false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => (create(path, &file, node_id)?, true),
            Err(e) => return Err(unusable(&file, "cannot be read", &e)),
        };
        if let Some(wanted) = node_id.filter(|wanted| **wanted != found) {
            let sentence = format!(
                "{} belongs to node {found}, not {wanted}; leave out --node-id, or give another folder: --data DIR",
                path.display()
            );
            return Err(Error::new(Code::DataFolderUnusable, sentence));
        }
        Ok(Data { path: path.to_owned(), node_id: found, created, _lock: lock })
    }
}

fn lock(path: &Path) -> Result<File, Error> {
    let file = path.join(LOCK);
    let lock = File::create(&file).map_err(|e| unusable(&file, "cannot be written", &e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let sentence = format!(
                "another neuroplex process uses {}; stop it, or give this one its own folder: --data DIR",
                path.display()
            );
            Err(Error::new(Code::DataFolderInUse, sentence))
        }
        Err(TryLockError::Error(e)) => Err(unusable(&file, "cannot be locked", &e)),
    }
}

fn read(path: &Path, text: &str) -> Result<NodeId, Error> {
    let strange = |what: &str| {
        let sentence = format!("{} {what}; give another folder: --data DIR", path.join(IDENTITY).display());
        Error::new(Code::DataFolderUnusable, sentence)
    };
    let identity: Identity =
        toml::from_str(text).map_err(|_| strange("is no file of neuroplex or is damaged"))?;
    if identity.magic != MAGIC {
        return Err(strange("is no file of neuroplex"));
    }
    if identity.format_version != VERSION {
        return Err(strange(&format!(
            "has format version {}, and this neuroplex knows version {VERSION}",
            identity.format_version
        )));
    }
    identity.node_id.parse().map_err(|_| strange("holds no valid node id"))
}

fn create(path: &Path, file: &Path, node_id: Option<&NodeId>) -> Result<NodeId, Error> {
    let fresh = format!("{}-{:04x}", machine::host_name(), machine::random() as u16);
    let node_id = match node_id {
        Some(id) => id.clone(),
        None => fresh
            .parse()
            .map_err(|c| Error::new(c, format!("{fresh} is no node id; give one: --node-id ID")))?,
    };
    let identity = Identity { magic: MAGIC.into(), format_version: VERSION, node_id: node_id.to_string() };
    let text = toml::to_string(&identity).map_err(|e| Error::new(Code::InternalError, e.to_string()))?;
    // Whole or not at all: written beside, synced, renamed, and the folder synced.
    let write = || -> io::Result<()> {
        let beside = path.join("node.toml.new");
        let mut out = File::create(&beside)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        fs::rename(&beside, file)?;
        File::open(path)?.sync_all()
    };
    write().map_err(|e| unusable(file, "cannot be written", &e))?;
    Ok(node_id)
}

fn unusable(path: &Path, what: &str, e: &io::Error) -> Error {
    let sentence =
        format!("{} {what}: {e}; check its rights, or give another folder: --data DIR", path.display());
    Error::new(Code::DataFolderUnusable, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> NodeId {
        text.parse().unwrap()
    }

    #[test]
    fn a_folder_keeps_its_node_id_and_serves_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let first = Data::open(&path, Some(&id("pc1"))).unwrap();
        assert!(first.created);
        assert_eq!(Data::open(&path, None).err().map(|e| e.code), Some(Code::DataFolderInUse));
        drop(first);
        let again = Data::open(&path, None).unwrap();
        assert_eq!((again.node_id.as_str(), again.created), ("pc1", false));
        drop(again);
        let other = Data::open(&path, Some(&id("pc2"))).err().map(|e| e.code);
        assert_eq!(other, Some(Code::DataFolderUnusable));
    }

    #[test]
    fn a_folder_of_another_version_or_program_is_refused_and_left_alone() {
        for text in [
            "",
            "x = [",
            "magic = \"x\"\nformat_version = 1\nnode_id = \"a\"",
            &format!("magic = \"{MAGIC}\"\nformat_version = 2\nnode_id = \"a\""),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(IDENTITY), text).unwrap();
            let error = Data::open(dir.path(), None).err().unwrap();
            assert_eq!(error.code, Code::DataFolderUnusable);
            assert_eq!(fs::read_to_string(dir.path().join(IDENTITY)).unwrap(), text);
        }
    }
}
