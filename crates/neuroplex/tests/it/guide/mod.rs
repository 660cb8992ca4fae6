//! The guide, README and the pages of the examples are run as a reader would: every command is typed, every program
//! started, every link followed. How pages are written for it stands in `docs/guide/README.md`.
//!
//! `GUIDE_PAGE=start` runs the pages that have `start` in their path only.

mod compare;
mod links;
mod page;
mod run;
mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use page::Page;
use run::Count;

use crate::server::Server;

/// Folders and files that are run, from the root of the repository.
const PAGES: &[&str] = &["README.md", "examples/README.md", "docs/guide"];

/// Pages at a time; each has a node and a handful of processes.
const AT_ONCE: usize = 3;

/// With `GUIDE_PATH`, where curl, Python and Node.js are found, to the last block: `cargo xtask peers --only guide`.
#[test]
fn every_page_holds() {
    report(std::env::var_os("GUIDE_PATH").is_some());
}

#[test]
fn every_link_leads_somewhere() {
    let root = root();
    let broken: Vec<String> = paths(&root)
        .iter()
        .flat_map(|path| links::broken(&fs::read_to_string(path).unwrap(), path))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_metric_that_is_named_is_there() {
    let server = Server::start();
    let metrics = server.web().ask("GET", "/metrics", "").body;
    for page in ["http.md", "limits.md"] {
        let text = fs::read_to_string(root().join("docs/guide").join(page)).unwrap();
        let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in names.filter(|name| name.starts_with("neuroplex_")) {
            assert!(metrics.contains(&format!("# TYPE {name} ")), "{page}: there is no metric {name}");
        }
    }
}

#[test]
fn a_page_that_is_wrong_is_found_out() {
    for (text, why) in [
        ("```console\n$ neuroplex --version\nneuroplex 9.9.9\n```\n", "the page shows"),
        ("```console\n$ neuroplex explain NO_SUCH_CODE\n```\n", "ended ill"),
        ("```console\n$ printf 'a\\nb\\n'\na\n```\n", "does not show"),
        ("```console\n$ true\nerror is announced, and none comes\n```\n", "nothing more came"),
        ("```console\n$ echo error it says\nerror it says\n```\n", "ended well"),
        ("```console terminal=2\nnothing runs\n```\n", "nothing runs"),
        ("```toml\n[nats]\nlissten = 'x'\n```\n", "ended ill"),
        ("```json\n{\n```\n", "EOF"),
        ("```cobol\n```\n", "nobody knows"),
        ("```rust file=README.md\nfn not_there() {}\n```\n", "does not stand in"),
    ] {
        let page = Page::parse(Path::new("wrong.md"), text).unwrap();
        let error = run::run(&page, &root(), false).unwrap_err();
        assert!(error.starts_with("wrong.md:") && error.contains(why), "{text}: {error}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root of the repository")
}

fn paths(root: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for place in PAGES.iter().map(|page| root.join(page)) {
        match place.is_dir() {
            true => paths.extend(fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path())),
            false => paths.push(place),
        }
    }
    paths.retain(|path| path.extension().is_some_and(|e| e == "md"));
    paths.sort();
    paths
}

/// Runs every page; fails with all that is wrong.
fn report(everything: bool) {
    let root = root();
    let only = std::env::var("GUIDE_PAGE").unwrap_or_default();
    let paths: Vec<PathBuf> =
        paths(&root).into_iter().filter(|p| p.to_string_lossy().contains(&only)).collect();
    let pages: Vec<Page> = paths.iter().map(|path| read(path, &root)).collect();
    let mut wrong = Vec::new();
    let mut sum = Count::default();
    for some in pages.chunks(AT_ONCE) {
        let results: Vec<Result<Count, String>> = thread::scope(|scope| {
            let running: Vec<_> =
                some.iter().map(|page| scope.spawn(|| run::run(page, &root, everything))).collect();
            running.into_iter().map(|run| run.join().expect("a page ends")).collect()
        });
        for (page, result) in some.iter().zip(results) {
            match result {
                Ok(count) => {
                    println!(
                        "{}: {} run, {} left to `cargo xtask peers`",
                        page.path.display(),
                        count.run,
                        count.left
                    );
                    sum.run += count.run;
                    sum.left += count.left;
                    sum.not_run.extend(count.not_run);
                }
                Err(why) => wrong.push(why),
            }
        }
    }
    println!("{} blocks run, {} left, {} not run anywhere:", sum.run, sum.left, sum.not_run.len());
    sum.not_run.iter().for_each(|why| println!("  {why}"));
    assert!(!everything || sum.left == 0);
    assert!(wrong.is_empty(), "{} pages are wrong\n\n{}\n", wrong.len(), wrong.join("\n\n"));
    assert!(sum.run > 0, "no block was run");
}

fn read(path: &Path, root: &Path) -> Page {
    let text = fs::read_to_string(path).unwrap();
    Page::parse(path.strip_prefix(root).unwrap(), &text).unwrap()
}
