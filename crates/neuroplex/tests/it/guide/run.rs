//! Runs a page from its first block to its last, in a folder and with a node of its own.
//!
//! | block | what happens |
//! |---|---|
//! | `console` | commands are typed, one after the other, and what they say is compared |
//! | `console terminal=NAME` | another terminal; its last command may go on, and later blocks show more of it |
//! | any with `file=NAME` | is written to that file |
//! | `rust file=PATH` | must stand in that file, which is an example that the tests run |
//! | `json`, `toml` | must be JSON, must be a configuration that a node takes |
//! | `python`, `javascript` | is run as a program and must end well |
//! | `text` | is only shown |
//!
//! Commands and programs that need curl, Python or Node.js, and blocks that say `needs=…`, are run by `cargo xtask
//! peers --only guide`.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

use super::compare::{Rules, Stood};
use super::page::{Block, Input, Page, Typed};
use super::terminal::{Terminal, World};

/// Programs that a machine with Rust and a C compiler may lack.
const FOREIGN: &[&str] = &["curl", "python", "python3", "pip", "node", "npm", "npx", "nats", "jq"];

/// How the guide says `neuroplex` before it is installed.
const CARGO_RUN: &str = "cargo run --release --";

/// What was done with a page's blocks.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) run: usize,
    /// Blocks that need a program that is not asked for here.
    pub(crate) left: usize,
    /// Blocks that are not run anywhere, and why.
    pub(crate) not_run: Vec<String>,
}

/// A page that is being run.
pub(crate) struct Run<'a> {
    page: &'a Page,
    root: &'a Path,
    /// Whether programs in other languages are there.
    everything: bool,
    world: World,
    terminals: Vec<(String, Terminal)>,
    stood: Stood,
    count: Count,
    // Gone after the terminals.
    _folder: TempDir,
}

/// Runs a page; an error says where it is wrong.
pub(crate) fn run(page: &Page, root: &Path, everything: bool) -> Result<Count, String> {
    let folder = TempDir::new().map_err(|e| e.to_string())?;
    let mut world = world(folder.path(), root)?;
    // A chosen context counts only where no variable comes before it; such a page says by itself where commands go.
    if mentions(page, &["neuroplex", "context", "use"]) {
        world.env.retain(|(name, _)| name != "NEUROPLEX_SERVER");
    }
    let mut run = Run {
        page,
        root,
        everything,
        world,
        terminals: Vec::new(),
        stood: Stood::new(),
        count: Count::default(),
        _folder: folder,
    };
    run.node()?;
    for block in &page.blocks {
        run.block(block)?;
    }
    Ok(std::mem::take(&mut run.count))
}

/// A folder and ports of the page's own, and the environment in which a page is true.
fn world(folder: &Path, root: &Path) -> Result<World, String> {
    symlink(root.join("examples"), folder.join("examples")).map_err(|e| e.to_string())?;
    let (nats, http) = (port()?, port()?);
    let ours = Path::new(env!("CARGO_BIN_EXE_neuroplex")).parent().ok_or("a folder of the program")?;
    let before = std::env::var("GUIDE_PATH").map(|path| path + ":").unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    let env = [
        ("PATH", format!("{before}{}:{path}", ours.display())),
        ("HOME", folder.display().to_string()),
        ("XDG_CONFIG_HOME", folder.join(".config").display().to_string()),
        ("NEUROPLEX_SERVER", format!("nats://localhost:{nats}")),
        ("NEUROPLEX_NATS_LISTEN", format!("127.0.0.1:{nats}")),
        ("NEUROPLEX_HTTP_LISTEN", format!("127.0.0.1:{http}")),
        ("PYTHONUNBUFFERED", "1".into()),
        ("NO_COLOR", "1".into()),
    ];
    // On a terminal curl shows no progress; here it would.
    fs::write(folder.join(".curlrc"), "silent\nshow-error\n").map_err(|e| e.to_string())?;
    if let Ok(modules) = std::env::var("GUIDE_NODE_MODULES") {
        symlink(modules, folder.join("node_modules")).map_err(|e| e.to_string())?;
    }
    Ok(World {
        folder: folder.to_owned(),
        env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        ports: vec![(":4222".into(), format!(":{nats}")), (":7400".into(), format!(":{http}"))],
    })
}

/// A port that is free, below those that the system gives away by itself.
fn port() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 15_000 + u16::try_from(std::process::id() % 500).map_err(|e| e.to_string())? * 32;
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut tried = (0..500).map(|_| begin + NEXT.fetch_add(1, Ordering::Relaxed));
    tried.find(free).ok_or_else(|| "no port is free".into())
}

/// Whether a command of the page has these words beside each other.
fn mentions(page: &Page, all: &[&str]) -> bool {
    let consoles = page.blocks.iter().filter(|b| b.language == "console" && b.not_run.is_none());
    let says = |typed: Typed| matches!(typed.what, Input::Command(line) if words(&line).windows(all.len()).any(|w| w == all));
    consoles.flat_map(Block::commands).any(says)
}

impl Run<'_> {
    /// Starts a node, unless the page does.
    fn node(&mut self) -> Result<(), String> {
        if mentions(self.page, &["neuroplex", "up"]) {
            return Ok(());
        }
        let terminal = self.terminal("node");
        terminal.start("neuroplex up")?;
        let ready = ["…".to_owned(), "ready in 1 ms".to_owned()];
        let rules = Rules::default();
        self.terminal("node").shows(&ready, &rules).map(drop).map_err(|e| format!("the page's node: {e}"))
    }

    fn block(&mut self, block: &Block) -> Result<(), String> {
        let here = format!("{}:{}", self.page.path.display(), block.line);
        if let Some(why) = &block.not_run {
            self.count.not_run.push(format!("{here}: {why}"));
            return Ok(());
        }
        if !self.everything && needs_more(block) {
            self.count.left += 1;
            return Ok(());
        }
        self.count.run += 1;
        let text = block.text.join("\n") + "\n";
        let result = match (block.language.as_str(), block.word("file")) {
            ("console", None) => return self.console(block),
            ("rust", Some(file)) => self.stands_in(&block.text, file),
            (_, Some(file)) => self.write(file, &text).map(drop),
            ("json", None) => {
                serde_json::from_str::<serde_json::Value>(&text).map(drop).map_err(|e| e.to_string())
            }
            ("toml", None) => self.program("block.toml", &text, "neuroplex config check --config"),
            ("python", None) => self.program("block.py", &text, "python"),
            ("javascript", None) => self.program("block.mjs", &text, "node"),
            ("text", None) => Ok(()),
            ("rust", None) => Err("Rust needs `file=`: the example it stands in".into()),
            (other, None) => Err(format!("nobody knows how to run `{other}`")),
        };
        result.map_err(|why| format!("{here}: {why}"))
    }

    fn console(&mut self, block: &Block) -> Result<(), String> {
        let name = block.word("terminal").unwrap_or_default();
        for typed in block.commands() {
            let here = format!("{}:{}", self.page.path.display(), typed.line);
            self.typed(name, &typed).map_err(|why| format!("{here}: {why}"))?;
        }
        Ok(())
    }

    fn typed(&mut self, name: &str, typed: &Typed) -> Result<(), String> {
        let line = match &typed.what {
            Input::Nothing => return self.shows(name, &typed.shows),
            Input::Interrupt => {
                self.terminal(name).interrupt()?;
                self.terminal(name).ended()?;
                return self.shows(name, &typed.shows);
            }
            Input::Command(line) => line.replace(CARGO_RUN, "neuroplex"),
        };
        let line = self.stood.iter().fold(line, |line, (shown, real)| line.replace(shown.as_str(), real));
        let line = self.world.real(&line);
        self.terminal(name).start(&line)?;
        if !name.is_empty() {
            return self.shows(name, &typed.shows);
        }
        let well = self.terminal(name).judged()?;
        if !typed.shows.is_empty() {
            self.shows(name, &typed.shows)?;
            self.terminal(name).all_shown()?;
        }
        let fails = typed.shows.iter().any(|shown| shown.starts_with("error "));
        match well == fails {
            true => Err(format!(
                "`{line}` ended {}; it says\n      {}",
                ["ill", "well"][usize::from(well)],
                self.terminal(name).said()
            )),
            false => Ok(()),
        }
    }

    fn shows(&mut self, name: &str, shown: &[String]) -> Result<(), String> {
        let rules = Rules::default();
        let stood = self.terminal(name).shows(shown, &rules)?;
        for (shown, real) in stood {
            match self.stood.iter().find(|(known, _)| *known == shown) {
                Some((_, known)) if *known != real => {
                    return Err(format!("`{shown}` stood for {known}, and now for {real}"));
                }
                Some(_) => {}
                None => self.stood.push((shown, real)),
            }
        }
        Ok(())
    }

    fn terminal(&mut self, name: &str) -> &mut Terminal {
        if let Some(at) = self.terminals.iter().position(|(n, _)| n == name) {
            return &mut self.terminals[at].1;
        }
        self.terminals.push((name.to_owned(), Terminal::new(self.world.clone(), name)));
        let last = self.terminals.len() - 1;
        &mut self.terminals[last].1
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.world.folder.join(name);
        let folder = path.parent().ok_or("a file in a folder")?;
        fs::create_dir_all(folder).map_err(|e| e.to_string())?;
        fs::write(&path, self.world.real(text)).map_err(|e| e.to_string())?;
        Ok(path)
    }

    fn program(&mut self, file: &str, text: &str, by: &str) -> Result<(), String> {
        let path = self.write(file, text)?;
        self.terminal("").start(&format!("{by} {}", path.display()))?;
        match self.terminal("").judged()? {
            true => Ok(()),
            false => Err(format!("`{by}` ended ill; it says\n      {}", self.terminal("").said())),
        }
    }

    /// Whether these lines stand together in a file of the repository, whatever their indentation.
    fn stands_in(&self, lines: &[String], file: &str) -> Result<(), String> {
        let source = fs::read_to_string(self.root.join(file)).map_err(|e| format!("{file}: {e}"))?;
        let bare = |line: &str| line.trim().to_owned();
        let source: Vec<String> = source.lines().map(bare).collect();
        let wanted: Vec<String> = lines.iter().map(|l| bare(l)).collect();
        match source.windows(wanted.len().max(1)).any(|window| window == wanted) {
            true => Ok(()),
            false => Err(format!("this does not stand in {file}")),
        }
    }
}

/// The words of a command line, without what is between them and the program's long name.
fn words(line: &str) -> Vec<String> {
    line.replace(CARGO_RUN, "neuroplex").split_whitespace().map(String::from).collect()
}

/// Whether a block needs a program in another language, or more time than a test should take.
fn needs_more(block: &Block) -> bool {
    let foreign = |line: &str| words(line).iter().any(|word| FOREIGN.contains(&word.as_str()));
    block.word("needs").is_some()
        || matches!(block.language.as_str(), "python" | "javascript") && block.word("file").is_none()
        || block.language == "console"
            && block.commands().iter().any(|t| matches!(&t.what, Input::Command(line) if foreign(line)))
}
