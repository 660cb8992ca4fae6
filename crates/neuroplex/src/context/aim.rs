//! What a command talks to, settled from flags, variables, a context and defaults, each value with its origin. A context
//! belongs to its server: a server that is named nearer sets the whole context aside, so that no credentials go to a
//! server that they are not for.

use std::collections::BTreeMap;
use std::fmt;

use client::Options;
use kernel::Code;

use super::{Context, Folder, Name};
use crate::failure::Failure;
use crate::global::Global;

/// The server where nobody names one.
const SERVER: &str = "nats://127.0.0.1:4222";
/// The variables beside the flags.
const SERVER_VARIABLE: &str = "NEUROPLEX_SERVER";
const CONTEXT_VARIABLE: &str = "NEUROPLEX_CONTEXT";

/// Who said a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    /// `neuroplex context use`.
    Chosen,
    Variable(&'static str),
    Flag(&'static str),
    /// Of a value that a context says.
    Context(Name),
}

impl Origin {
    /// The higher, the nearer to whoever types.
    fn rank(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::Chosen | Origin::Context(_) => 1,
            Origin::Variable(_) => 2,
            Origin::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Chosen => f.write_str("context use"),
            Origin::Variable(name) => write!(f, "env {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
            Origin::Context(name) => write!(f, "context {name}"),
        }
    }
}

/// What there is besides flags.
#[derive(Debug, Default)]
struct Surroundings {
    server: Option<String>,
    context: Option<String>,
    folder: Option<Folder>,
}

impl Surroundings {
    fn of_process() -> Surroundings {
        // What is empty is not set.
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        Surroundings {
            server: variable(SERVER_VARIABLE),
            context: variable(CONTEXT_VARIABLE),
            folder: Folder::of_environment(),
        }
    }
}

/// Where a command goes, and who said so.
#[derive(Debug)]
pub(crate) struct Aim {
    /// The context in force, and who named it.
    pub(crate) context: Option<(Name, Origin)>,
    /// A context that does not count, because a server is named nearer.
    pub(crate) aside: Option<Name>,
    /// Everything that is in force.
    pub(crate) values: Context,
    /// Who said it, by key.
    pub(crate) origins: BTreeMap<&'static str, Origin>,
}

impl Aim {
    /// Of this command line, here and now.
    pub(crate) fn of(global: &Global) -> Result<Aim, Failure> {
        Aim::settle(global, &Surroundings::of_process())
    }

    fn settle(global: &Global, around: &Surroundings) -> Result<Aim, Failure> {
        let server = match (&global.server, &around.server) {
            (Some(server), _) => Some((server, Origin::Flag("--server"))),
            (None, Some(server)) => Some((server, Origin::Variable(SERVER_VARIABLE))),
            (None, None) => None,
        };
        let (context, aside) = match (named(global, around)?, &server) {
            (Some((name, from)), Some((_, nearer))) if nearer.rank() > from.rank() => (None, Some(name)),
            (context, _) => (context, None),
        };
        let mut aim = Aim {
            values: Context { server: SERVER.into(), ..Context::default() },
            origins: BTreeMap::from([("server", Origin::Default)]),
            context,
            aside,
        };
        if let Some((name, from)) = aim.context.clone() {
            aim.values = open(around, &name, &from)?;
            let keys = aim.values.rows().into_iter().map(|(key, _)| key);
            aim.origins = keys.map(|key| (key, Origin::Context(name.clone()))).collect();
        }
        // A server that is named farther than the context does not count.
        let counts =
            |from: &Origin| aim.context.as_ref().is_none_or(|(_, context)| from.rank() >= context.rank());
        if let Some((server, from)) = server.filter(|(_, from)| counts(from)) {
            aim.values.server.clone_from(server);
            aim.origins.insert("server", from);
        }
        aim.lay_flags(global);
        Ok(aim)
    }

    fn lay_flags(&mut self, global: &Global) {
        let paths = [
            ("--tls-ca", "tls_ca", &global.tls_ca, &mut self.values.tls_ca),
            ("--tls-cert", "tls_cert", &global.tls_cert, &mut self.values.tls_cert),
            ("--tls-key", "tls_key", &global.tls_key, &mut self.values.tls_key),
        ];
        for (flag, key, given, value) in paths {
            if given.is_some() {
                value.clone_from(given);
                self.origins.insert(key, Origin::Flag(flag));
            }
        }
        if global.tls_first {
            self.values.tls_first = true;
            self.origins.insert("tls_first", Origin::Flag("--tls-first"));
        }
    }

    /// Whether anything asks for TLS.
    pub(crate) fn asks_for_tls(&self) -> bool {
        let Context { server, tls_ca, tls_cert, tls_key, tls_first, .. } = &self.values;
        *tls_first || [tls_ca, tls_cert, tls_key].iter().any(|f| f.is_some()) || server.contains("tls://")
    }

    /// How to connect.
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        let values = &self.values;
        let mut options = Options::new(&values.server).tls_first(values.tls_first);
        if let Some(credentials) = values.credentials()? {
            options = options.credentials(credentials);
        }
        if let Some(path) = &values.tls_ca {
            options = options.tls_ca(path);
        }
        match (&values.tls_cert, &values.tls_key) {
            (Some(certificate), Some(key)) => Ok(options.tls_identity(certificate, key)),
            (None, None) => Ok(options),
            _ => Err(Failure::new(
                Code::InvalidRequest,
                "--tls-cert and --tls-key go together: name both files, or neither.",
            )),
        }
    }
}

/// The context that somebody names.
fn named(global: &Global, around: &Surroundings) -> Result<Option<(Name, Origin)>, Failure> {
    if let Some(name) = &global.context {
        return Ok(Some((name.clone(), Origin::Flag("--context"))));
    }
    if let Some(text) = &around.context {
        let name = text.parse().map_err(|form| {
            Failure::new(Code::InvalidRequest, format!("{CONTEXT_VARIABLE} names no context: {form}."))
        })?;
        return Ok(Some((name, Origin::Variable(CONTEXT_VARIABLE))));
    }
    let chosen = around.folder.as_ref().map(Folder::chosen).transpose()?.flatten();
    Ok(chosen.map(|name| (name, Origin::Chosen)))
}

fn open(around: &Surroundings, name: &Name, from: &Origin) -> Result<Context, Failure> {
    let Some(folder) = &around.folder else { return Err(no_folder()) };
    match (folder.has(name), from) {
        (false, Origin::Chosen) => Err(Failure::new(
            Code::ConfigInvalid,
            format!(
                "the chosen context `{name}` is gone. Choose another: `neuroplex context use NAME`, or none: `neuroplex context use --none`."
            ),
        )),
        _ => folder.read(name),
    }
}

/// Nobody knows where this user's configuration lies.
pub(crate) fn no_folder() -> Failure {
    let text = "there is no place for contexts: neither XDG_CONFIG_HOME nor HOME is an absolute path. Set one of them.";
    Failure::new(Code::ConfigInvalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        global: Global,
    }

    /// A folder with two contexts, of which `near` is chosen.
    fn contexts() -> (tempfile::TempDir, Folder) {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::within(base.path());
        for name in ["near", "far"] {
            let context = Context {
                server: format!("nats://{name}"),
                token: Some("t".into()),
                tls_ca: Some("/ca".into()),
                ..Context::default()
            };
            folder.write(&name.parse().unwrap(), &context).unwrap();
        }
        folder.choose(Some(&"near".parse().unwrap())).unwrap();
        (base, folder)
    }

    fn settle(flags: &str, server: &str, context: &str, folder: Option<&Folder>) -> Result<Aim, Failure> {
        let words = std::iter::once("x").chain(flags.split_ascii_whitespace());
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let around = Surroundings { server: given(server), context: given(context), folder: folder.cloned() };
        Aim::settle(&Line::parse_from(words).global, &around)
    }

    #[test]
    fn what_is_named_nearer_counts_and_no_token_goes_to_a_server_that_it_is_not_for() {
        let (_base, folder) = contexts();
        for (flags, server, context, goes_to, with_token, from) in [
            ("", "", "", "nats://near", true, "context near"),
            ("", "", "far", "nats://far", true, "context far"),
            ("--context near", "", "far", "nats://near", true, "context near"),
            ("", "nats://v", "", "nats://v", false, "env NEUROPLEX_SERVER"),
            ("--server nats://f", "nats://v", "", "nats://f", false, "flag --server"),
            ("--server nats://f", "", "far", "nats://f", false, "flag --server"),
            // Named beside each other: another server of the same context.
            ("", "nats://v", "far", "nats://v", true, "env NEUROPLEX_SERVER"),
            ("--server nats://f --context far", "", "", "nats://f", true, "flag --server"),
            // A context that is named nearer than the server.
            ("--context far", "nats://v", "", "nats://far", true, "context far"),
        ] {
            let aim = settle(flags, server, context, Some(&folder)).unwrap();
            let case = format!("{flags:?} {server:?} {context:?}");
            assert_eq!(aim.values.server, goes_to, "{case}");
            assert_eq!(aim.origins["server"].to_string(), from, "{case}");
            assert_eq!(aim.values.credentials().unwrap().is_some(), with_token, "{case}");
            assert_eq!((aim.aside.is_none(), aim.asks_for_tls()), (with_token, with_token), "{case}");
        }
    }

    #[test]
    fn without_contexts_the_default_counts_and_flags_for_tls_always_do() {
        let aim = settle("--tls-ca /other", "", "", None).unwrap();
        assert_eq!(
            (aim.values.server.as_str(), aim.origins["server"].to_string().as_str()),
            (SERVER, "default")
        );
        let (_base, folder) = contexts();
        let aim = settle("--tls-ca /other", "", "", Some(&folder)).unwrap();
        assert_eq!(aim.values.tls_ca.as_deref(), Some("/other".as_ref()));
        assert_eq!(aim.origins["tls_ca"].to_string(), "flag --tls-ca");
    }

    #[test]
    fn a_context_that_is_not_there_is_no_default() {
        let (_base, folder) = contexts();
        for (flags, context, word) in
            [("--context farr", "", "`far`?"), ("", "../x", "NEUROPLEX_CONTEXT"), ("", "farr", "`far`?")]
        {
            let line = settle(flags, "", context, Some(&folder)).unwrap_err().line(false).unwrap();
            assert!(line.contains(word), "{line}");
        }
        assert!(settle("--context far", "", "", None).is_err());
        std::fs::remove_file(folder.path(&"near".parse().unwrap())).unwrap();
        let line = settle("", "", "", Some(&folder)).unwrap_err().line(false).unwrap();
        assert!(line.contains("context use --none"), "{line}");
        assert!(settle("--server nats://f", "", "", Some(&folder)).is_ok(), "a chosen context is not asked");
    }
}
