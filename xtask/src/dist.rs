//! What users are given: one archive with the binary, its manual pages and completions, the unit of systemd, a
//! configuration, the licence, and its checksum beside it. The archive is unpacked again and tried before it counts as
//! made. Not here: signing and publishing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fetch::{copy, make_dir, neuroplex, root, run as run_command, target_dir};

const HELP: &str = "\
cargo xtask dist [--profile NAME] [--out DIR]

Builds the binary (profile `dist` unless another is named) and packs it into DIR (target/dist-archives):
neuroplex-VERSION-TARGET.tar.gz and .sha256. To install: tar -C /usr/local --strip-components=1 -xzf ARCHIVE";

/// What the archive takes from the repository, and where it goes.
const FILES: &[(&str, &str)] = &[
    ("deploy/systemd/neuroplex.service", "lib/systemd/system/neuroplex.service"),
    ("deploy/neuroplex.toml", "share/doc/neuroplex/neuroplex.toml"),
    ("LICENSE", "share/doc/neuroplex/LICENSE"),
    ("README.md", "share/doc/neuroplex/README.md"),
    ("CHANGELOG.md", "share/doc/neuroplex/CHANGELOG.md"),
    ("docs/errors/README.md", "share/doc/neuroplex/errors.md"),
];

/// Shells, and where each looks for completions.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "share/bash-completion/completions/neuroplex"),
    ("zsh", "share/zsh/site-functions/_neuroplex"),
    ("fish", "share/fish/vendor_completions.d/neuroplex.fish"),
];

const BINARY: &str = "bin/neuroplex";
const PAGES: &str = "share/man/man1";

/// Builds, packs, unpacks and tries.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (mut profile, mut out) = ("dist".to_owned(), target_dir().join("dist-archives"));
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--profile" => profile = value()?,
            "--out" => out = PathBuf::from(value()?),
            "--help" | "-h" => {
                println!("{HELP}");
                return Ok(());
            }
            other => return Err(format!("dist knows no `{other}`\n{HELP}")),
        }
    }
    let binary = neuroplex(&profile)?;
    let name = format!("neuroplex-{}-{}", env!("CARGO_PKG_VERSION"), target()?);
    make_dir(&out)?;
    let stage = out.join(&name);
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(|e| format!("{}: {e}", stage.display()))?;
    }
    let expected = fill(&stage, &binary)?;
    let archive = pack(&out, &name)?;
    fs::remove_dir_all(&stage).map_err(|e| format!("{}: {e}", stage.display()))?;
    try_out(&out, &name, &archive, &expected)?;
    let bytes = fs::metadata(&archive).map_or(0, |meta| meta.len());
    println!("✓ {} ({:.1} MiB, {} files)", archive.display(), bytes as f64 / 1_048_576.0, expected.len());
    println!("✓ {}.sha256", archive.display());
    Ok(())
}

/// Puts everything into `stage`; the paths within it.
fn fill(stage: &Path, binary: &Path) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    let mut put = |to: &str| -> Result<PathBuf, String> {
        let path = stage.join(to);
        make_dir(path.parent().unwrap_or(stage))?;
        all.push(to.to_owned());
        Ok(path)
    };
    copy(binary, &put(BINARY)?)?;
    for (from, to) in FILES {
        copy(&root().join(from), &put(to)?)?;
    }
    for (shell, to) in COMPLETIONS {
        let script = said(binary, &["completions", shell])?;
        let path = put(to)?;
        fs::write(&path, script).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let pages = stage.join(PAGES);
    said(binary, &["man", "--out", &pages.display().to_string()])?;
    let entries = fs::read_dir(&pages).map_err(|e| format!("{}: {e}", pages.display()))?;
    all.extend(entries.flatten().map(|entry| format!("{PAGES}/{}", entry.file_name().to_string_lossy())));
    all.sort();
    Ok(all)
}

/// The archive and its checksum. The same files make the same archive, whoever packs them and when.
fn pack(out: &Path, name: &str) -> Result<PathBuf, String> {
    let file = format!("{name}.tar.gz");
    let tar =
        ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+w,go-w,a+rX"];
    let mut command = Command::new("tar");
    command.args(tar).args(["-I", "gzip -n9", "-cf", &file, name]).current_dir(out);
    run_command(&mut command, "apt-get install tar gzip")?;
    let mut sum = Command::new("sha256sum");
    let line = run_command(sum.arg(&file).current_dir(out), "apt-get install coreutils")?;
    let beside = out.join(format!("{file}.sha256"));
    fs::write(&beside, line).map_err(|e| format!("{}: {e}", beside.display()))?;
    Ok(out.join(file))
}

/// Unpacks it as a user would, and asks the binary in it.
fn try_out(out: &Path, name: &str, archive: &Path, expected: &[String]) -> Result<(), String> {
    let mut sum = Command::new("sha256sum");
    let beside = format!("{}.sha256", archive.display());
    run_command(sum.args(["--check", "--quiet", &beside]).current_dir(out), "pack it again")?;
    let place = out.join(format!("{name}.tried"));
    make_dir(&place)?;
    let tried = || -> Result<(), String> {
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&place).args(["--strip-components=1", "-xzf"]).arg(archive);
        run_command(&mut tar, "pack it again")?;
        if let Some(missing) = expected.iter().find(|path| !place.join(path).is_file()) {
            return Err(format!("the archive lacks {missing}"));
        }
        let binary = place.join(BINARY);
        let version = said(&binary, &["--version"])?;
        if version.trim() != concat!("neuroplex ", env!("CARGO_PKG_VERSION")) {
            return Err(format!("the binary in the archive says it is `{}`", version.trim()));
        }
        let configuration = place.join("share/doc/neuroplex/neuroplex.toml").display().to_string();
        said(&binary, &["config", "check", "--config", &configuration]).map(drop)
    };
    let done = tried();
    fs::remove_dir_all(&place).map_err(|e| format!("{}: {e}", place.display()))?;
    done
}

/// What the binary says, knowing nothing of our environment.
fn said(binary: &Path, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NEUROPLEX_"))
    {
        command.env_remove(name);
    }
    run_command(command.args(words), "run it by hand")
}

/// What the compiler builds for, such as `x86_64-unknown-linux-gnu`.
fn target() -> Result<String, String> {
    let text = run_command(Command::new("rustc").arg("-vV"), "install Rust: https://rustup.rs")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".into())
}
