//! A folder of another version or another node is refused with a clear sentence, and nothing in it changes.

use std::sync::Arc;

use kernel::Code;
use store::{Identity, Stepped};
use testkit::fs::Faulty;

use crate::run::{Core, End, identity, options};

fn used() -> Faulty {
    let mut core = Core::new(5);
    for _ in 0..200 {
        core.step();
    }
    core.restart(End::Kill);
    core.fs.clone()
}

fn refused(fs: &Faulty, identity: Identity, sentence: &str) {
    let before = fs.files();
    let error = Stepped::open(Arc::new(fs.clone()), options(), identity).expect_err("it is refused");
    assert_eq!(error.code, Code::DataFolderUnusable);
    assert!(error.text.contains(sentence), "{}", error.text);
    assert_eq!(fs.files(), before);
}

#[test]
fn another_nodes_folder_is_refused() {
    let fs = used();
    refused(&fs, Identity { node: "node-2".parse().unwrap(), ..identity() }, "belongs to node \"node-1\"");
    refused(&fs, Identity { fabric: "other".into(), ..identity() }, "of fabric \"fabric\"");
}

#[test]
fn another_versions_file_is_refused_whichever_it_is() {
    for (name, content) in used().files() {
        if name.starts_with("quarantine") || content[..256].iter().all(|byte| *byte == 0) {
            continue;
        }
        let fs = used();
        let mut newer = content.clone();
        newer[8] = 2;
        let crc = crc32c(&newer[..252]);
        newer[252..256].copy_from_slice(&crc.to_le_bytes());
        for byte in [8, 252, 253, 254, 255] {
            for bit in 0..8 {
                if (content[byte] ^ newer[byte]) & (1 << bit) != 0 {
                    fs.flip(&name, byte as u64 * 8 + bit);
                }
            }
        }
        refused(&fs, identity(), "has format version 2");
    }
}

/// CRC32C, bit by bit: the test does not trust the crate that it tests with.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & 0_u32.wrapping_sub(crc & 1));
        }
    }
    !crc
}
