//! A terminal of the reader: one command after the other in one folder, the last of which may go on. What a command
//! says goes into a file, so that neither a full pipe nor a child in the background can hold up the test.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::compare::{Rules, Stood};
use crate::lines::PATIENCE;

/// How often it is looked whether something came.
const GLANCE: Duration = Duration::from_millis(5);

/// What the terminals of one page have in common.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) folder: PathBuf,
    pub(crate) env: Vec<(String, String)>,
    /// `:4222` and the port that stands for it, likewise `:7400`.
    pub(crate) ports: Vec<(String, String)>,
}

impl World {
    /// What the page says, as this machine must be told.
    pub(crate) fn real(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (shown, real)| text.replace(shown, real))
    }

    /// What this machine says, as the page would.
    pub(crate) fn shown(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (shown, real)| text.replace(real, shown))
    }
}

/// A terminal, and what runs in it.
pub(crate) struct Terminal {
    world: World,
    name: String,
    running: Option<Running>,
    commands: usize,
    groups: Vec<Pid>,
}

struct Running {
    child: Child,
    said: PathBuf,
    /// Lines that a page has shown already.
    seen: usize,
    interrupted: bool,
    /// Whether somebody has looked at how it ended.
    judged: bool,
}

impl Terminal {
    pub(crate) fn new(world: World, name: &str) -> Terminal {
        Terminal { world, name: name.into(), running: None, commands: 0, groups: Vec::new() }
    }

    /// Starts a command line; what ran before must have ended.
    pub(crate) fn start(&mut self, line: &str) -> Result<(), String> {
        if self.running.is_some() {
            let status = self.ended()?;
            let running = self.running.as_ref().ok_or("nothing runs in this terminal")?;
            if !status.success() && !running.interrupted && !running.judged {
                return Err(format!(
                    "the command before ended with {status}; it says\n      {}",
                    self.said()
                ));
            }
        }
        self.commands += 1;
        let aside = self.world.folder.join(".terminals");
        fs::create_dir_all(&aside).map_err(|e| e.to_string())?;
        let said = aside.join(format!("{}-{}", self.name, self.commands));
        let at = aside.join(format!("{}-folder", self.name));
        let folder = fs::read_to_string(&at).map_or(self.world.folder.clone(), |at| at.trim_end().into());
        let out = File::create(&said).map_err(|e| e.to_string())?;
        let err = out.try_clone().map_err(|e| e.to_string())?;
        // A later command begins in the folder where this one ends.
        let script = format!("{line}\nended=$?; pwd > '{}'; exit $ended", at.display());
        let mut command = Command::new("sh");
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NEUROPLEX_"))
        {
            command.env_remove(name);
        }
        command.args(["-c", &script]).current_dir(folder).envs(self.world.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let child = command.spawn().map_err(|e| format!("sh: {e}"))?;
        self.groups.extend(Pid::from_raw(child.id().cast_signed()));
        self.running = Some(Running { child, said, seen: 0, interrupted: false, judged: false });
        Ok(())
    }

    /// Waits until what runs has said what the page shows next.
    pub(crate) fn shows(&mut self, shown: &[String], rules: &Rules) -> Result<Stood, String> {
        let world = self.world.clone();
        let running = self.running.as_mut().ok_or("nothing runs in this terminal")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = running.status()?.is_some();
            let text = world.shown(&fs::read_to_string(&running.said).map_err(|e| e.to_string())?);
            let mut lines: Vec<&str> = text.lines().collect();
            if !ended && !text.ends_with('\n') {
                lines.pop();
            }
            let new = lines.get(running.seen..).unwrap_or_default();
            match rules.begins(shown, new) {
                Ok((taken, stood)) => {
                    running.seen += taken;
                    return Ok(stood);
                }
                Err(why) if ended || Instant::now() > deadline => {
                    return Err(format!("{why}\n    in all\n      {}", new.join("\n      ")));
                }
                Err(_) => sleep(GLANCE),
            }
        }
    }

    /// Whether nothing is left that the page has not shown.
    pub(crate) fn all_shown(&mut self) -> Result<(), String> {
        let running = self.running.as_ref().ok_or("nothing runs in this terminal")?;
        let text = self.world.shown(&fs::read_to_string(&running.said).map_err(|e| e.to_string())?);
        let rest: Vec<&str> =
            text.lines().skip(running.seen).filter(|line| !line.trim().is_empty()).collect();
        if rest.is_empty() {
            Ok(())
        } else {
            Err(format!("the page does not show\n      {}", rest.join("\n      ")))
        }
    }

    /// Waits until the command has ended.
    pub(crate) fn ended(&mut self) -> Result<ExitStatus, String> {
        let running = self.running.as_mut().ok_or("nothing runs in this terminal")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = running.status()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(format!("it does not end within {PATIENCE:?}; it says\n      {}", self.said()));
            }
            sleep(GLANCE);
        }
    }

    /// Whether it ended well, for those who know what to think of it.
    pub(crate) fn judged(&mut self) -> Result<bool, String> {
        let status = self.ended()?;
        if let Some(running) = &mut self.running {
            running.judged = true;
        }
        Ok(status.success())
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&mut self) -> Result<(), String> {
        if let Some(running) = &mut self.running {
            running.interrupted = true;
        }
        let group = self.groups.last().ok_or("nothing runs in this terminal")?;
        kill_process_group(*group, Signal::INT).map_err(|e| e.to_string())
    }

    /// Everything that the last command has said.
    pub(crate) fn said(&self) -> String {
        let said = self.running.as_ref().and_then(|r| fs::read_to_string(&r.said).ok()).unwrap_or_default();
        self.world.shown(said.trim_end()).replace('\n', "\n      ")
    }
}

impl Running {
    fn status(&mut self) -> Result<Option<ExitStatus>, String> {
        self.child.try_wait().map_err(|e| e.to_string())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        for group in self.groups.drain(..) {
            _ = kill_process_group(group, Signal::KILL);
        }
        if let Some(mut running) = self.running.take() {
            _ = running.child.wait();
        }
    }
}
