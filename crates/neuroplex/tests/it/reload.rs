//! A running node reads its configuration again at SIGHUP, and tells its service manager how it is.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Child;

use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{neuroplex, run, signal};
use crate::http::Web;
use crate::lines::{Lines, PATIENCE};

/// A node whose log and service manager are ours.
struct Node {
    child: Child,
    log: Lines,
    _out: Lines,
    manager: UnixDatagram,
    nats: String,
    http: String,
    folder: TempDir,
}

impl Node {
    fn start(folder: TempDir, config: &str) -> Node {
        let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        fs::write(folder.path().join("c.toml"), config).unwrap();
        let mut command = neuroplex(&["up", "--config", "c.toml", "--json", "--log-format", "json"]);
        command.env("NOTIFY_SOCKET", folder.path().join("notify")).current_dir(folder.path());
        let mut child = command.spawn().unwrap();
        let (out, log) = (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
        let ready: Value = serde_json::from_str(&out.next()).unwrap();
        let url = |door: &str| ready[door].as_str().unwrap_or_default().to_owned();
        Node { child, log, _out: out, manager, nats: url("nats"), http: url("http"), folder }
    }

    /// What the service manager hears next.
    fn told(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// Writes another configuration and lets the node read it; what it says of it.
    fn reload(&self, config: &str) -> String {
        fs::write(self.folder.path().join("c.toml"), config).unwrap();
        signal(self.child.id(), Signal::HUP);
        assert!(self.told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert!(self.told().starts_with("READY=1\n"));
        self.log.until("the configuration")
    }

    fn as_user(&self, user: &str) -> String {
        self.nats.replace("://", &format!("://{user}@"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn published(server: &str) -> Option<i32> {
    run(server, &["pub", "a", "b"]).code
}

const DOORS: &str = "[nats]\nlisten = '127.0.0.1:0'\n[http]\nlisten = '127.0.0.1:0'\n";

#[test]
fn a_service_manager_hears_of_start_reload_and_end() {
    let node = Node::start(TempDir::new().unwrap(), DOORS);
    let ready = node.told();
    assert!(ready.starts_with("READY=1\nSTATUS=node ") && ready.contains(&node.http), "{ready}");
    let health = |http: &str| run(&node.nats, &["check", "--only", "http", "--http", http]);
    let well = health(&node.http);
    assert_eq!((well.code, well.text().lines().count()), (Some(0), 1), "{well:?}");
    assert_eq!(health("127.0.0.1:1").code, Some(10));
    let said = node.reload(&format!("lame_duck_ms = 10\n{DOORS}"));
    assert!(said.contains("lame_duck_ms") && said.contains("read again"), "{said}");
    signal(node.child.id(), Signal::TERM);
    assert!(node.told().starts_with("STOPPING=1\n"));
}

#[test]
fn sighup_changes_users_and_limits_and_names_what_needs_a_restart() {
    let users = |text: &str| format!("{DOORS}[auth]\nusers = [{text}]\n");
    let (anna, bert) = ("{ user = 'anna', password = 'a' }", "{ user = 'bert', password = 'b' }");
    let node = Node::start(TempDir::new().unwrap(), &users(&format!("{anna}, {bert}")));
    node.told();
    let mut stays = neuroplex(&["sub", ">", "--server", &node.as_user("anna:a"), "--json"]).spawn().unwrap();
    let mut leaves = neuroplex(&["sub", ">", "--server", &node.as_user("bert:b"), "--json"]).spawn().unwrap();
    let notices = [&mut stays, &mut leaves].map(|child| Lines::of(child.stderr.take().unwrap()));
    // Both are connected once they hear; a publisher is heard by both.
    let heard = [&mut stays, &mut leaves].map(|child| Lines::of(child.stdout.take().unwrap()));
    let mut both = [false, false];
    while both != [true, true] {
        assert_eq!(published(&node.as_user("anna:a")), Some(0));
        for (at, lines) in heard.iter().enumerate() {
            both[at] |= lines.now().is_some();
        }
    }
    let said = node.reload(&users(anna).replace("[nats]\n", "[nats]\nspin_us = 1\n"));
    assert!(said.contains(r#""changed":"auth.users""#) && said.contains(r#""cut":1"#), "{said}");
    assert!(node.log.until("need a restart").contains("nats.spin_us"));
    notices[1].until("disconnected");
    assert_eq!(published(&node.as_user("bert:b")), Some(20));
    assert_eq!(published(&node.as_user("anna:a")), Some(0));
    // Who stays was never interrupted.
    heard[0].next();
    while let Some(notice) = notices[0].now() {
        assert!(!notice.contains("disconnected"), "{notice}");
    }
    for mut child in [stays, leaves] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn who_is_removed_goes_on_over_http_neither_on_an_open_connection_nor_in_an_answer_that_is_under_way() {
    let users = |text: &str| format!("{DOORS}[auth]\nusers = [{text}]\n");
    let (anna, bert) = ("{ token = 'a' }", "{ token = 'b' }");
    let node = Node::start(TempDir::new().unwrap(), &users(&format!("{anna}, {bert}")));
    node.told();
    let (anna_shows, bert_shows) = ("Bearer a", "Bearer b");
    let web = Web::at(&node.http);
    let made =
        web.try_ask("PUT", "/v1/streams/S", &[("Authorization", anna_shows)], br#"{"subjects":["s"]}"#);
    assert_eq!(made.unwrap().status, 201);
    let consumer = "/v1/streams/S/consumers/C";
    let made = web.try_ask("PUT", consumer, &[("Authorization", anna_shows)], b"{}");
    assert!(made.unwrap().status < 300);
    let (mut stays, mut leaves) = (web.keep(), web.keep());
    assert_eq!(stays.ask("POST", "/v1/publish/s", anna_shows).status, 202);
    assert_eq!(leaves.ask("POST", "/v1/publish/x", bert_shows).status, 202);
    let mut followed = web.events("/v1/streams/S/messages", &[("Authorization", bert_shows)]);
    assert_eq!(followed.next().unwrap().kind, "message");
    let mut follows_on = web.events("/v1/streams/S/messages", &[("Authorization", anna_shows)]);
    assert_eq!(follows_on.next().unwrap().kind, "message");
    let mut taken = web.keep();
    let path = format!("{consumer}/pull");
    assert_eq!(taken.ask("POST", &path, bert_shows).json()["messages"].as_array().unwrap().len(), 1);
    let waits = std::thread::spawn(move || taken.ask("POST", &(path + "?expires_ms=60000"), bert_shows));
    let info = || web.try_ask("GET", consumer, &[("Authorization", anna_shows)], b"").unwrap().ok(200);
    while info()["num_waiting"] != 1 {}
    node.reload(&users(anna));
    let end = followed.next().unwrap();
    assert_eq!((&*end.kind, &end.data["code"]), ("end", &2001.into()));
    waits.join().unwrap().problem(401, 2001);
    leaves.ask("POST", "/v1/publish/x", bert_shows).problem(401, 2001);
    // Who stays was never interrupted.
    assert_eq!(stays.ask("POST", "/v1/publish/s", anna_shows).status, 202);
    assert_eq!(follows_on.next().unwrap().kind, "message");
}

#[test]
fn an_invalid_file_at_sighup_changes_nothing_and_says_why() {
    let node = Node::start(TempDir::new().unwrap(), DOORS);
    node.told();
    let said = node.reload(&format!("lame_duck = 10\n{DOORS}"));
    assert!(said.contains("nothing has changed") && said.contains("did you mean `lame_duck_ms`?"), "{said}");
    assert_eq!(published(&node.nats), Some(0));
    let said = node.reload(&DOORS.replace("[http]", "[log]\nlevel = 'debug'\n[http]"));
    assert!(said.contains("log.level"), "{said}");
    assert!(node.reload(&DOORS.replace("[http]", "[log]\nlevel = 'info'\n[http]")).contains("log.level"));
    assert!(node.reload(&DOORS.replace("[http]", "[log]\nlevel = 'inof'\n[http]")).contains("is no level"));
}

/// Puts a new certificate and its key into a folder; a copy of the certificate is what its friends trust.
fn certify(folder: &Path, copy: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let trusted = folder.join(copy);
    fs::write(&trusted, &certificate).unwrap();
    fs::write(folder.join("cert.pem"), certificate).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    trusted.to_string_lossy().into_owned()
}

#[test]
fn certificates_are_read_again_at_sighup_for_new_connections() {
    let folder = TempDir::new().unwrap();
    let first = certify(folder.path(), "first.pem");
    let config = "[nats]\nlisten = '127.0.0.1:0'\ntls_cert_file = 'cert.pem'\ntls_key_file = 'key.pem'\n[http]\nlisten = \
                  'off'\n";
    let node = Node::start(folder, config);
    node.told();
    let trusts = |ca: &str| run(&node.nats, &["pub", "a", "b", "--tls-ca", ca]).code == Some(0);
    assert!(trusts(&first));
    let second = certify(node.folder.path(), "second.pem");
    node.reload(config);
    assert!(trusts(&second) && !trusts(&first));
}
