//! Where contexts lie: `neuroplex/contexts/NAME.toml` in the user's configuration folder, and in `neuroplex/context` the
//! name of the chosen one. Only the user may read or write them; files are replaced in one step.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use kernel::Code;

use super::{Context, Name};
use crate::failure::Failure;

/// Largest file of a context, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// What the names of their files end with.
const ENDING: &str = ".toml";

/// The folder `neuroplex` in the user's configuration folder; it need not exist.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// As the XDG Base Directory Specification says; a relative path there counts as none.
    pub(crate) fn of_environment() -> Option<Folder> {
        let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || absolute(std::env::var_os("HOME")).map(|home| home.join(".config"));
        absolute(std::env::var_os("XDG_CONFIG_HOME")).or_else(home).map(|base| Folder::within(&base))
    }

    /// Within a configuration folder.
    pub(crate) fn within(base: &Path) -> Folder {
        Folder(base.join("neuroplex"))
    }

    fn contexts(&self) -> PathBuf {
        self.0.join("contexts")
    }

    fn choice(&self) -> PathBuf {
        self.0.join("context")
    }

    /// A context's file.
    pub(crate) fn path(&self, name: &Name) -> PathBuf {
        self.contexts().join(format!("{name}{ENDING}"))
    }

    /// Every context, by name.
    pub(crate) fn names(&self) -> Result<Vec<Name>, Failure> {
        let entries = match fs::read_dir(self.contexts()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| unusable(&self.contexts(), "cannot be read", &e))?,
        };
        let name = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(ENDING)?.parse().ok();
        let mut names: Vec<Name> = entries.flatten().filter_map(name).collect();
        names.sort();
        Ok(names)
    }

    /// A context that must be there.
    pub(crate) fn read(&self, name: &Name) -> Result<Context, Failure> {
        let path = self.path(name);
        let meta = match fs::metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(self.absent(name)),
            meta => meta.map_err(|e| unusable(&path, "cannot be read", &e))?,
        };
        if meta.len() > FILE_BYTES_MAX {
            return Err(broken(&path, "it is larger than 64 KiB"));
        }
        let text = fs::read_to_string(&path).map_err(|e| unusable(&path, "cannot be read", &e))?;
        let mut context: Context = toml::from_str(&text).map_err(|e| broken(&path, &said(&text, &e)))?;
        allowed(&path, &meta, &context)?;
        context.check().map_err(|why| broken(&path, &why))?;
        context.anchor(&self.contexts());
        Ok(context)
    }

    /// Whether there is a file of this name.
    pub(crate) fn has(&self, name: &Name) -> bool {
        self.path(name).exists()
    }

    pub(crate) fn write(&self, name: &Name, context: &Context) -> Result<(), Failure> {
        let text = toml::to_string(context)
            .map_err(|e| Failure::new(Code::InternalError, format!("the context cannot be written: {e}.")))?;
        self.replace(&self.path(name), &text)
    }

    /// Removes a context that must be there; whether it was the chosen one, which then is none.
    pub(crate) fn remove(&self, name: &Name) -> Result<bool, Failure> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(self.absent(name)),
            done => done.map_err(|e| unusable(&path, "cannot be removed", &e))?,
        }
        let was_chosen = self.chosen()?.as_ref() == Some(name);
        if was_chosen {
            self.choose(None)?;
        }
        Ok(was_chosen)
    }

    /// The context that counts where nobody names one.
    pub(crate) fn chosen(&self) -> Result<Option<Name>, Failure> {
        let path = self.choice();
        match fs::read_to_string(&path) {
            Ok(text) => {
                let name = text.trim().parse().map_err(|_| broken(&path, "it holds no context's name"))?;
                Ok(Some(name))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unusable(&path, "cannot be read", &e)),
        }
    }

    /// Chooses one, or none.
    pub(crate) fn choose(&self, name: Option<&Name>) -> Result<(), Failure> {
        let path = self.choice();
        match name {
            Some(name) => self.replace(&path, &format!("{name}\n")),
            None => match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    Err(unusable(&path, "cannot be removed", &e))
                }
                _ => Ok(()),
            },
        }
    }

    /// There is none of this name, but others.
    pub(crate) fn absent(&self, name: &Name) -> Failure {
        let names: Vec<String> = self.names().unwrap_or_default().iter().map(Name::to_string).collect();
        let near = names
            .iter()
            .map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &name.0.to_lowercase()), known))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let fix = match near {
            None => "There are none yet: `neuroplex context add NAME --server URL`.".to_owned(),
            Some((likeness, known)) if likeness > 0.7 => format!("Did you mean `{known}`?"),
            Some(_) => format!("There are: {}.", names.join(", ")),
        };
        Failure::new(Code::InvalidRequest, format!("there is no context `{name}`. {fix}"))
    }

    /// Writes a file that only the user may read, and puts it in the place of the old one in one step.
    fn replace(&self, path: &Path, text: &str) -> Result<(), Failure> {
        let done = || {
            // With its parents; those that exist stay as they are.
            DirBuilder::new().recursive(true).mode(0o700).create(self.contexts())?;
            let folder = path.parent().unwrap_or(&self.0);
            // 0600, under a name that nobody else has.
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|e| e.error)?;
            Ok(())
        };
        done().map_err(|e: io::Error| unusable(path, "cannot be written", &e))
    }
}

/// A file with secrets is the user's alone, and nobody else may say which server gets them.
fn allowed(path: &Path, meta: &Metadata, context: &Context) -> Result<(), Failure> {
    let mode = meta.permissions().mode();
    let what = match (mode & 0o022 != 0, mode & 0o077 != 0 && context.has_secrets()) {
        (true, _) => "others may write it",
        (_, true) => "it holds a secret, and others may read it",
        _ => return Ok(()),
    };
    let text = format!("{}: {what}. Keep it to yourself: chmod 600 '{0}'", path.display());
    Err(Failure::new(Code::ConfigInvalid, text))
}

/// What is wrong with the text, and in which line.
fn said(text: &str, e: &toml::de::Error) -> String {
    let at = e.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(at).filter(|b| *b == b'\n').count();
    format!("line {line}: {}", e.message().trim())
}

fn broken(path: &Path, why: &str) -> Failure {
    let fix = "Correct the file, or replace it: `neuroplex context add NAME --replace`.";
    Failure::new(Code::ConfigInvalid, format!("{}: {why}. {fix}", path.display()))
}

fn unusable(path: &Path, what: &str, e: &io::Error) -> Failure {
    let text = format!("{} {what}: {e}. Check the rights of the folder.", path.display());
    Failure::new(Code::ConfigInvalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn message(failure: Failure) -> String {
        failure.line(false).unwrap()
    }

    #[test]
    fn a_context_is_found_again_and_is_the_users_alone() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::within(&base.path().join("new"));
        assert_eq!((folder.names().unwrap(), folder.chosen().unwrap()), (Vec::new(), None));
        let context = Context { server: "nats://h".into(), token: Some("t".into()), ..Context::default() };
        folder.write(&name("prod"), &context).unwrap();
        folder.write(&name("prod"), &context).unwrap();
        folder.write(&name("a"), &context).unwrap();
        folder.choose(Some(&name("prod"))).unwrap();
        assert_eq!(folder.read(&name("prod")).unwrap(), context);
        assert_eq!(folder.names().unwrap(), [name("a"), name("prod")]);
        assert_eq!(folder.chosen().unwrap(), Some(name("prod")));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.path(&name("prod"))), mode(&folder.contexts())), (0o600, 0o700));
        assert!(folder.remove(&name("prod")).unwrap() && !folder.remove(&name("a")).unwrap());
        assert_eq!((folder.names().unwrap(), folder.chosen().unwrap()), (Vec::new(), None));
        assert_eq!(fs::read_dir(folder.contexts()).unwrap().count(), 0, "nothing half-written is left");
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_fix() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::within(base.path());
        assert!(message(folder.read(&name("x")).unwrap_err()).contains("context add"));
        let good = Context { server: "h".into(), ..Context::default() };
        folder.write(&name("production"), &good).unwrap();
        assert!(message(folder.read(&name("prodution")).unwrap_err()).contains("`production`?"));
        for (text, word) in [
            ("server = 'h'\nsevrer = 'x'", "line 2: unknown field `sevrer`"),
            ("server = ", "line 1"),
            ("user = 'u'", "missing field `server`"),
            ("server = 'h'\nuser = 'u'", "password_file"),
        ] {
            fs::write(folder.path(&name("broken")), text).unwrap();
            let said = message(folder.read(&name("broken")).unwrap_err());
            assert!(said.contains(word) && said.contains("broken.toml"), "{said}");
        }
        fs::write(folder.choice(), "../x").unwrap();
        assert!(message(folder.chosen().unwrap_err()).contains("no context's name"));
    }

    #[test]
    fn a_file_that_others_may_read_or_write_gives_no_secret() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::within(base.path());
        let mut context = Context { server: "h".into(), ..Context::default() };
        let refused = |context: &Context, mode: u32| {
            folder.write(&name("c"), context).unwrap();
            fs::set_permissions(folder.path(&name("c")), fs::Permissions::from_mode(mode)).unwrap();
            folder.read(&name("c")).err().map(message)
        };
        assert_eq!(refused(&context, 0o644), None);
        assert!(refused(&context, 0o666).unwrap().contains("chmod 600"));
        context.token = Some("t".into());
        assert!(refused(&context, 0o640).unwrap().contains("chmod 600"));
        assert_eq!(refused(&context, 0o600), None);
    }
}
