//! A file system in memory that behaves as badly as a real one may: it loses what was not synced, tears it at sectors,
//! forgets names, fills up, fails to sync and flips bits. Every choice comes from the seed. It does *not* model time,
//! but for a delay of syncs.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use store::fs::{File, FileSystem};

use super::world::World;

/// The file system. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Faulty {
    world: Arc<Mutex<World>>,
    sync_delay: Duration,
}

impl Faulty {
    /// An empty one.
    pub fn new(seed: u64) -> Faulty {
        Faulty { world: Arc::new(Mutex::new(World::new(seed))), sync_delay: Duration::ZERO }
    }

    /// The same, with syncs that take that long.
    pub fn slow(seed: u64, sync_delay: Duration) -> Faulty {
        Faulty { sync_delay, ..Faulty::new(seed) }
    }

    /// Another one with the same content, from here on by itself.
    pub fn fork(&self) -> Faulty {
        let world = self.world().clone();
        Faulty { world: Arc::new(Mutex::new(world)), sync_delay: self.sync_delay }
    }

    /// Cuts the power: what was not synced is lost, wholly or in parts; files that are open are gone.
    pub fn power_cut(&self) {
        self.world().power_cut();
    }

    /// From the write with this number on (0: the next) every write finds the disk full; `None`: no more.
    pub fn fill_at(&self, write: Option<u64>) {
        let mut world = self.world();
        world.fail_write_at = write.map(|n| world.writes + n);
    }

    /// The sync with this number (0: the next), of a file or a folder, fails, and what it should have made safe never
    /// will be; later ones succeed.
    pub fn fail_sync_at(&self, sync: Option<u64>) {
        let mut world = self.world();
        world.fail_sync_at = sync.map(|n| world.syncs + n);
    }

    /// Whether every read of a file fails, which changes nothing of what is on the disk.
    pub fn fail_reads(&self, fail: bool) {
        self.world().fail_reads = fail;
    }

    /// Reads that touch this byte of a file fail, whatever it is called later; `None`: none does any more.
    pub fn fail_reads_of(&self, byte: Option<(&str, u64)>) {
        let mut world = self.world();
        world.fail_reads_of = byte.map(|(name, at)| (world.names[name], at));
    }

    /// Bytes that fit on it; `None`: any number.
    pub fn limit(&self, capacity: Option<u64>) {
        self.world().capacity = capacity;
    }

    /// Flips a bit of a file, on the disk and in memory.
    pub fn flip(&self, name: &str, bit: u64) {
        let mut world = self.world();
        let inode = world.names[name];
        world.inodes[inode].flip(bit);
    }

    /// Every file with its content.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let world = self.world();
        world.names.iter().map(|(name, inode)| (name.clone(), world.inodes[*inode].now.clone())).collect()
    }

    /// Puts a file there, synced with its name.
    pub fn put(&self, name: &str, content: &[u8]) {
        let mut world = self.world();
        let inode = world.create(name);
        world.inodes[inode].write(0, content);
        world.inodes[inode].sync();
        let folder = name.split_once('/').unwrap_or_default().0.to_owned();
        world.folders.insert(folder.clone());
        world.sync_folder(&folder);
    }

    /// A hash of every change since the start, in order: equal for equal runs.
    pub fn trace(&self) -> u64 {
        self.world().trace
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn open_inode(&self, world: &World, inode: usize) -> Arc<dyn File> {
        Arc::new(Open { fs: self.clone(), inode, epoch: world.epoch })
    }
}

fn missing(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no {name}"))
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left on device")
}

/// Counts a write; an error if it is to fail.
fn count_write(world: &mut World, more: u64) -> io::Result<()> {
    let number = world.writes;
    world.writes += 1;
    let too_much = more > 0 && world.capacity.is_some_and(|capacity| world.used() + more > capacity);
    if world.fail_write_at.is_some_and(|at| number >= at) || too_much { Err(full()) } else { Ok(()) }
}

/// Counts a sync; an error if it is to fail.
fn count_sync(world: &mut World) -> io::Result<()> {
    let number = world.syncs;
    world.syncs += 1;
    match world.fail_sync_at {
        Some(at) if number == at => Err(io::Error::other("input/output error")),
        _ => Ok(()),
    }
}

impl FileSystem for Faulty {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let world = self.world();
        let inode = *world.names.get(name).ok_or_else(|| missing(name))?;
        Ok(self.open_inode(&world, inode))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut world = self.world();
        let folder = name.split_once('/').map_or("", |(folder, _)| folder);
        if !world.folders.contains(folder) {
            return Err(missing(folder));
        }
        if world.names.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, name.to_owned()));
        }
        count_write(&mut world, 0)?;
        world.note("create", &[], name.as_bytes());
        let inode = world.create(name);
        Ok(self.open_inode(&world, inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        let inode = *world.names.get(from).ok_or_else(|| missing(from))?;
        world.note("rename", &[], from.as_bytes());
        world.rename(from, to, inode);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.names.get(name).ok_or_else(|| missing(name))?;
        world.note("remove", &[], name.as_bytes());
        world.remove(name);
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let world = self.world();
        let inside = world.names.keys().filter_map(|name| name.split_once('/'));
        Ok(inside.filter(|(of, _)| *of == folder).map(|(_, name)| name.to_owned()).collect())
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        self.world().folders.insert(folder.to_owned());
        Ok(())
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut world = self.world();
        count_sync(&mut world)?;
        world.note("sync folder", &[], folder.as_bytes());
        world.sync_folder(folder);
        Ok(())
    }
}

#[derive(Debug)]
struct Open {
    fs: Faulty,
    inode: usize,
    epoch: u64,
}

impl Open {
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.fs.world();
        if world.epoch == self.epoch { Ok(world) } else { Err(io::Error::other("the power was cut")) }
    }
}

impl File for Open {
    fn size(&self) -> io::Result<u64> {
        Ok(self.world()?.inodes[self.inode].now.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let world = self.world()?;
        let (start, end) = (offset as usize, offset as usize + buffer.len());
        let is_bad = |(inode, at): (usize, u64)| inode == self.inode && (start..end).contains(&(at as usize));
        if world.fail_reads || world.fail_reads_of.is_some_and(is_bad) {
            return Err(io::Error::other("input/output error"));
        }
        // Nothing can be read anywhere, behind the end too.
        if buffer.is_empty() {
            return Ok(());
        }
        let held = world.inodes[self.inode].now.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(held);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.world()?;
        world.note("write", &[self.inode as u64, offset], bytes);
        let grows = (offset + bytes.len() as u64).saturating_sub(world.inodes[self.inode].now.len() as u64);
        let counted = count_write(&mut world, grows);
        let written = match counted {
            Ok(()) => bytes.len(),
            Err(_) => world.random.below(bytes.len() as u64) as usize,
        };
        world.inodes[self.inode].write(offset as usize, &bytes[..written]);
        counted
    }

    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.world()?;
        count_write(&mut world, bytes)?;
        world.note("preallocate", &[self.inode as u64, bytes], &[]);
        world.inodes[self.inode].set_len(bytes as usize);
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.note("truncate", &[self.inode as u64, bytes], &[]);
        world.inodes[self.inode].set_len(bytes as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if !self.fs.sync_delay.is_zero() {
            std::thread::sleep(self.fs.sync_delay);
        }
        let mut world = self.world()?;
        if let Err(e) = count_sync(&mut world) {
            world.note("sync failed", &[self.inode as u64], &[]);
            world.inodes[self.inode].lose();
            return Err(e);
        }
        world.note("sync", &[self.inode as u64], &[]);
        world.inodes[self.inode].sync();
        Ok(())
    }
}
