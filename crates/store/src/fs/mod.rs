//! The port to the file system: two small traits through which every byte of the store goes, so that tests can lose,
//! tear and flip what the disk holds. It is *not* an abstraction over object stores: files are overwritten in place.

mod disk;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

pub use disk::Disk;

/// A folder and what is in it. Names are relative, with `/` between folder and file; there is one level of folders.
pub trait FileSystem: Debug + Send + Sync {
    /// Opens a file that is there, to read and to write.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Makes a file that is not there yet. Its name is safe after [`FileSystem::sync_folder`] of its folder.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Gives a file another name in the same folder, in place of what had that name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file. Who has it open may go on reading it.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names in a folder, without the folder's own, in order; none if there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Makes a folder unless it is there, its name safe at once.
    fn make_folder(&self, folder: &str) -> io::Result<()>;
    /// Makes what was created, renamed and removed in a folder safe.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
}

/// An open file.
pub trait File: Debug + Send + Sync {
    /// Its length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Fills the buffer from this offset on; an end of file before that is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes all of it at this offset. After an error some of it may be there.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes the file this long, of zeros, in one piece if it can be, so that writing into it costs no allocation. A
    /// file system that cannot do it does nothing.
    fn preallocate(&self, bytes: u64) -> io::Result<()>;
    /// Cuts the file off.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// Makes what was written safe, with the length if that changed. After an error nothing since the last success is.
    fn sync_data(&self) -> io::Result<()>;
}
