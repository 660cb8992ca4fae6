//! A context: a server under a name, with who we are there and whom we trust. Here is what one says; where it lies is in
//! [`folder`], what counts before it in [`aim`].

mod aim;
mod folder;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use client::{Credentials, Server};
use kernel::Code;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

pub(crate) use aim::{Aim, Origin, no_folder};
pub(crate) use folder::Folder;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest file of a password or token, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// What is shown in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// A context's name, which is also its file's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(String);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Name, &'static str> {
        const FORM: &str = "a context's name has letters, digits, `.`, `_` and `-`, begins with a letter or digit, and has \
                            at most 64 of them";
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        match begins && text.len() <= NAME_BYTES_MAX && text.bytes().all(legal) {
            true => Ok(Name(text.into())),
            false => Err(FORM),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a context says. Paths that are not absolute count from its file's folder.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// As `--server` takes it.
    pub(crate) server: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
    /// A file with the password, read at each connection; so with the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_ca: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_cert: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls_key: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) tls_first: bool,
}

impl fmt::Debug for Context {
    /// Never shows a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("server", &bare(&self.server)).finish_non_exhaustive()
    }
}

impl Context {
    /// What does not go together, in one sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        let servers = self.server.split(',').map(|s| s.trim().parse::<Server>());
        let servers = servers.collect::<Result<Vec<Server>, _>>().map_err(|e| format!("`server`: {e}"))?;
        let passwords = usize::from(self.password.is_some()) + usize::from(self.password_file.is_some());
        let tokens = usize::from(self.token.is_some()) + usize::from(self.token_file.is_some());
        let in_address = servers.iter().any(|s| s.credentials().is_some());
        match (self.user.is_some(), passwords, tokens) {
            (false, 0, 0) => {}
            _ if in_address => {
                return Err("the address has credentials, and the context has others; say them once".into());
            }
            (true, 1, 0) | (false, 0, 1) => {}
            (_, 2, _) | (_, _, 2) => return Err("name the secret itself or its file, not both".into()),
            (true, 0, 0) => return Err("`user` needs `password` or `password_file`".into()),
            (false, 1, 0) => return Err("a password needs a `user`".into()),
            _ => return Err("a user with a password, or a token: not both".into()),
        }
        match self.tls_cert.is_some() == self.tls_key.is_some() {
            true => Ok(()),
            false => Err("`tls_cert` and `tls_key` go together: name both files, or neither".into()),
        }
    }

    /// Whether a token says who we are.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some() || self.token_file.is_some()
    }

    /// Whether others must not read its file.
    fn has_secrets(&self) -> bool {
        self.password.is_some() || self.token.is_some() || self.server.contains('@')
    }

    /// Makes paths absolute that count from `folder`.
    pub(crate) fn anchor(&mut self, folder: &Path) {
        let all = [
            &mut self.password_file,
            &mut self.token_file,
            &mut self.tls_ca,
            &mut self.tls_cert,
            &mut self.tls_key,
        ];
        for path in all.into_iter().flatten().filter(|path| path.is_relative()) {
            *path = folder.join(&*path);
        }
    }

    /// Who we are there, where the address does not say so; secrets in files are read now.
    pub(crate) fn credentials(&self) -> Result<Option<Credentials>, Failure> {
        let secret = |text: &Option<String>, file: &Option<PathBuf>| match (text, file) {
            (Some(text), _) => Ok(Some(text.clone())),
            (None, Some(path)) => read_secret(path).map(Some),
            (None, None) => Ok(None),
        };
        let (password, token) =
            (secret(&self.password, &self.password_file)?, secret(&self.token, &self.token_file)?);
        Ok(match (&self.user, password, token) {
            (Some(user), Some(password), _) => Some(Credentials::Password { user: user.clone(), password }),
            (_, _, Some(token)) => Some(Credentials::Token(token)),
            _ => None,
        })
    }

    /// Every key that is set, and its value as others may see it.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string());
        let secret = |text: &Option<String>| text.as_ref().map(|_| HIDDEN.to_owned());
        let all = [
            ("description", self.description.clone()),
            ("server", Some(bare(&self.server))),
            ("user", self.user.clone()),
            ("password", secret(&self.password)),
            ("password_file", path(&self.password_file)),
            ("token", secret(&self.token)),
            ("token_file", path(&self.token_file)),
            ("tls_ca", path(&self.tls_ca)),
            ("tls_cert", path(&self.tls_cert)),
            ("tls_key", path(&self.tls_key)),
            ("tls_first", self.tls_first.then(|| "true".to_owned())),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// The address without the credentials in it.
pub(crate) fn bare(servers: &str) -> String {
    let one = |server: &str| {
        let (scheme, rest) = server.split_once("://").unwrap_or(("", server));
        let place = match rest.rsplit_once('@') {
            Some((_, place)) => format!("{HIDDEN}@{place}"),
            None => rest.to_owned(),
        };
        if scheme.is_empty() { place } else { format!("{scheme}://{place}") }
    };
    servers.split(',').map(|s| one(s.trim())).collect::<Vec<_>>().join(",")
}

fn read_secret(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map(|read| read as u64));
    let wrong = |what: &str| {
        let text = format!("{what}. Check the path in the context, and the file's rights.");
        Failure::new(Code::ConfigInvalid, text)
    };
    match read {
        Err(e) => Err(wrong(&format!("{} cannot be read: {e}", path.display()))),
        Ok(read) if read > SECRET_BYTES_MAX => {
            Err(wrong(&format!("{} is larger than 64 KiB", path.display())))
        }
        Ok(_) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        for good in ["prod", "a", "eu-1.staging_2", "7"] {
            assert_eq!(good.parse::<Name>().unwrap().to_string(), good);
        }
        let long = "x".repeat(65);
        for bad in ["", ".", "..", ".hidden", "-x", "a/b", "../a", "a b", "ä", "a\n", long.as_str()] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_said() {
        let says = |text: &str| toml::from_str::<Context>(text).unwrap().check();
        for good in [
            "server = 'nats://h'",
            "server = 'nats://u:p@h, tls://h2:1'",
            "server = 'h'\nuser = 'u'\npassword = 'p'",
            "server = 'h'\ntoken_file = 't'\ntls_cert = 'c'\ntls_key = 'k'",
        ] {
            assert_eq!(says(good), Ok(()), "{good}");
        }
        for (bad, word) in [
            ("server = 'http://h'", "`server`"),
            ("server = 'nats://u:p@h'\ntoken = 't'", "say them once"),
            ("server = 'h'\nuser = 'u'", "`password`"),
            ("server = 'h'\npassword = 'p'", "a `user`"),
            ("server = 'h'\nuser = 'u'\npassword = 'p'\npassword_file = 'f'", "not both"),
            ("server = 'h'\nuser = 'u'\npassword = 'p'\ntoken = 't'", "not both"),
            ("server = 'h'\ntls_cert = 'c'", "go together"),
        ] {
            assert!(says(bad).unwrap_err().contains(word), "{bad}: {:?}", says(bad));
        }
        assert!(!says("server = 'ftp://u:secret@h'").unwrap_err().contains("secret"));
    }

    #[test]
    fn nothing_that_is_shown_has_a_secret() {
        let text = "server = 'nats://ann:S3cret@a:1,tls://S3cret@b,c'\npassword = 'S3cret'\ntoken = 'S3cret'";
        let context: Context = toml::from_str(text).unwrap();
        let shown = format!("{context:?} {:?}", context.rows());
        assert!(!shown.contains("S3cret") && shown.contains("tls://(hidden)@b"), "{shown}");
    }
}
