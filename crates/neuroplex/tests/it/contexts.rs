//! Contexts as users keep them: a server under a name, and every command that honours it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Ended, neuroplex};
use crate::secured::certificates;
use crate::server::Server;

/// Somebody with a configuration folder of their own.
struct Someone(TempDir);

impl Someone {
    fn new() -> Someone {
        Someone(TempDir::new().unwrap())
    }

    fn run(&self, line: &str) -> Ended {
        self.run_with(line, &[], "")
    }

    fn run_with(&self, line: &str, variables: &[(&str, &str)], input: &str) -> Ended {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let mut command = neuroplex(&words);
        command.env("XDG_CONFIG_HOME", self.0.path()).envs(variables.iter().copied());
        let mut child = command.current_dir(self.0.path()).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        Ended { code: output.status.code(), out: output.stdout, err }
    }

    /// Runs what must end well.
    fn does(&self, line: &str) -> Ended {
        let ended = self.run(line);
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
        ended
    }

    /// What a command that must fail with this exit code and error says.
    fn is_refused(&self, line: &str, code: i32, name: &str) -> String {
        let ended = self.run(&format!("{line} --json"));
        assert_eq!((ended.code, ended.error().as_str()), (Some(code), name), "{line}: {ended:?}");
        ended.err
    }
}

const USERS: &str =
    "[[auth.users]]\nuser = \"ann\"\npassword = \"S3cret: p@ss\"\n[[auth.users]]\ntoken = \"t0ken\"\n";

#[test]
fn every_client_command_goes_where_the_context_says_and_is_known_there() {
    let (server, other, me) = (Server::with(USERS, &[]), Server::start(), Someone::new());
    let (url, elsewhere) = (server.nats(), other.nats());
    fs::write(me.0.path().join("secret"), "S3cret: p@ss\n").unwrap();
    me.does(&format!("context add prod --server {url} --user ann --password-file secret --use"));
    let ended = me.run_with(&format!("context add token --server {url} --token -"), &[], "t0ken\n");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    me.does(&format!("context add open --server {elsewhere}"));

    me.does("stream add ORDERS --subjects orders.>");
    me.does("pub orders.tea x --ack");
    me.does("kv add settings");
    me.does("kv put settings a b");
    me.does("check");
    me.does("bench pubsub it.bench --msgs 1000");
    assert_eq!(me.does("--context token stream info ORDERS --json").json()["state"]["messages"], 1);
    me.is_refused("--context open stream info ORDERS", 60, "STREAM_NOT_FOUND");
    let variable = [("NEUROPLEX_CONTEXT", "open")];
    assert_eq!(me.run_with("stream ls --json", &variable, "").json(), serde_json::json!([]));
    // A server that is named nearer gets none of the context's credentials.
    me.is_refused(&format!("pub a x --server {url}"), 20, "AUTH_FAILED");
    let ended = me.run_with("stream ls --json", &[("NEUROPLEX_SERVER", elsewhere)], "");
    assert_eq!(ended.json(), serde_json::json!([]), "{ended:?}");
}

#[test]
fn a_context_brings_its_certificates_wherever_the_command_is_started() {
    let folder = certificates();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let config =
        format!("[nats]\ntls_cert_file = '{}'\ntls_key_file = '{}'\n", path("cert.pem"), path("key.pem"));
    let (server, me) = (Server::with(&config, &[]), Someone::new());
    let url = format!("tls://{}", server.address());
    me.is_refused(&format!("pub a x --server {url}"), 10, "CONNECTION_ERROR");
    fs::copy(path("ca.pem"), me.0.path().join("ca.pem")).unwrap();
    me.does(&format!("context add safe --server {url} --tls-ca ca.pem --use"));
    me.does("pub a x");
    let shown = me.does("context show --json").json();
    assert_eq!(shown["config"]["tls_ca"], me.0.path().join("ca.pem").display().to_string());
}

#[test]
fn what_counts_is_shown_with_who_said_it_and_without_secrets() {
    let me = Someone::new();
    let default = me.does("context show --json").json();
    assert_eq!((&default["context"], &default["origins"]["server"]), (&Value::Null, &"default".into()));
    me.does(
        "context add prod --server nats://h:1 --user ann --password S3cret --description the_real_one --use",
    );
    me.does("context add other --server nats://bob:S3cret@o");
    for line in
        ["context show", "context show other", "context ls", "context show --json", "context ls --json"]
    {
        let text = me.does(line).text().to_owned();
        assert!(!text.contains("S3cret"), "{line}: {text}");
    }
    let shown = me.does("context show --json").json();
    assert_eq!((&shown["context"], &shown["from"]), (&"prod".into(), &"context use".into()));
    assert_eq!(
        (&shown["config"]["user"], &shown["origins"]["user"]),
        (&"ann".into(), &"context prod".into())
    );
    let nearer = me.does("context show --server nats://n --json").json();
    assert_eq!((&nearer["aside"], &nearer["config"]["user"]), (&"prod".into(), &Value::Null));
    let both = me.does("context show other --tls-first --json").json();
    assert_eq!(both["origins"]["tls_first"], "flag --tls-first");
    let list = me.does("context ls --json").json();
    let names: Vec<_> = list.as_array().unwrap().iter().map(|c| (&c["name"], &c["chosen"])).collect();
    assert_eq!(names, [(&"other".into(), &false.into()), (&"prod".into(), &true.into())]);
    assert!(me.does("context ls").text().lines().nth(2).unwrap().starts_with("*  prod"));
    let note = me.run_with("context use other", &[("NEUROPLEX_SERVER", "nats://x")], "").err;
    assert!(note.contains("NEUROPLEX_SERVER"), "{note}");
}

#[test]
fn contexts_are_replaced_and_forgotten_only_on_purpose() {
    let me = Someone::new();
    me.does("context add a --server nats://h --token S3cret --use");
    let file = me.0.path().join("neuroplex/contexts/a.toml");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    me.is_refused("context add a --server nats://i", 60, "CONFLICT");
    assert!(fs::read_to_string(&file).unwrap().contains("S3cret"));
    me.does("context add a --server nats://i --replace");
    assert!(!fs::read_to_string(&file).unwrap().contains("S3cret"));
    me.is_refused("context rm a", 40, "INVALID_REQUEST");
    assert_eq!(me.does("context rm a --yes --json").json()["wasChosen"], true);
    assert!(!file.exists());
    assert_eq!(me.does("context show --json").json()["context"], Value::Null);
    me.does("context use --none");
}

#[test]
fn what_is_wrong_with_a_context_is_said_before_anything_is_sent() {
    let me = Someone::new();
    me.does("context add prod --server nats://h --token S3cret");
    for line in [
        "context add b",
        "context add b --server http://h",
        "context add b --server h --user u",
        "context add b --server h --token-file none",
        "context use prd",
        "context rm b",
        "--context prd pub a x",
    ] {
        let said = me.is_refused(line, 40, "INVALID_REQUEST");
        assert!(!line.contains("prd") || said.contains("`prod`?"), "{said}");
    }
    assert_eq!(me.run("context add ../b --server h").code, Some(2));
    assert_eq!(me.run_with("pub a x", &[("NEUROPLEX_CONTEXT", "../b")], "").code, Some(40));
    let file = me.0.path().join("neuroplex/contexts/prod.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(me.is_refused("--context prod pub a x", 40, "CONFIG_INVALID").contains("chmod 600"));
    fs::write(&file, "server = 'h'\nsevrer = 1\n").unwrap();
    assert!(me.is_refused("--context prod pub a x", 40, "CONFIG_INVALID").contains("line 2"));
    assert!(me.does("context ls").text().contains("line 2"), "the others can still be seen");
    let nowhere = [("XDG_CONFIG_HOME", "relative"), ("HOME", "")];
    assert_eq!(me.run_with("context ls", &nowhere, "").code, Some(40));
    fs::remove_file(&file).unwrap();
    fs::write(me.0.path().join("neuroplex/context"), "prod\n").unwrap();
    assert!(me.is_refused("pub a x", 40, "CONFIG_INVALID").contains("context use --none"));
}
