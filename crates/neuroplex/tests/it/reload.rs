//! A running node reads its configuration again at SIGHUP, and tells its service manager how it is.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Add as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Child;

use futures_util::StreamExt as _;
use net::tls::{Trust, client};
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

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
        self.reload_lines(config).pop().unwrap_or_default()
    }

    /// The same; everything that was logged since the last time, up to there.
    fn reload_lines(&self, config: &str) -> Vec<String> {
        fs::write(self.folder.path().join("c.toml"), config).unwrap();
        signal(self.child.id(), Signal::HUP);
        assert!(self.told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert!(self.told().starts_with("READY=1\n"));
        let mut lines = vec![self.log.next()];
        while !lines.last().is_some_and(|line| line.contains("the configuration")) {
            lines.push(self.log.next());
        }
        lines
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
    assert_eq!(stays.ask("POST", "/v1/publish/s", anna_shows).status, 200);
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
    assert_eq!((&*end.kind, &end.data["code"]), ("end", &2002.into()));
    waits.join().unwrap().problem(403, 2002);
    leaves.ask("POST", "/v1/publish/x", bert_shows).problem(401, 2001);
    // Who stays was never interrupted.
    assert_eq!(stays.ask("POST", "/v1/publish/s", anna_shows).status, 200);
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

/// The status with which the HTTP door answers who calls it by this name.
fn called(http: &str, host: &str) -> u16 {
    let mut socket = TcpStream::connect(http.trim_start_matches("http://")).unwrap();
    write!(socket, "GET /v1/nodes HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_http_door_goes_by_other_names_after_sighup() {
    let named = |hosts: &str| DOORS.replace("[http]\n", &format!("[http]\nhosts = [{hosts}]\n"));
    let node = Node::start(TempDir::new().unwrap(), &named("'first.example'"));
    node.told();
    let statuses = || ["first.example", "second.example", "localhost"].map(|host| called(&node.http, host));
    assert_eq!(statuses(), [200, 403, 200]);
    assert!(node.reload(&named("'second.example'")).contains("http.hosts"));
    assert_eq!(statuses(), [403, 200, 200]);
}

#[test]
fn a_finer_log_level_at_sighup_logs_more_and_a_coarser_one_less() {
    let at = |level: &str| DOORS.replace("[http]", &format!("[log]\nlevel = '{level}'\n[http]"));
    let node = Node::start(TempDir::new().unwrap(), &at("info"));
    node.told();
    let answered = |lines: &[String]| lines.iter().filter(|line| line.contains("\"answered\"")).count();
    called(&node.http, "localhost");
    assert_eq!(answered(&node.reload_lines(&at("debug"))), 0);
    called(&node.http, "localhost");
    assert_eq!(answered(&node.reload_lines(&at("info"))), 1);
    called(&node.http, "localhost");
    assert_eq!(answered(&node.reload_lines(&at("info,gateway=debug"))), 0);
    called(&node.http, "localhost");
    assert!(node.log.until("\"answered\"").contains("/v1/nodes"), "of this part alone");
}

#[tokio::test]
async fn certificates_of_the_http_door_are_read_again_at_sighup_for_new_connections() {
    let folder = TempDir::new().unwrap();
    let first = certify(folder.path(), "first.pem");
    let config = "[nats]\nlisten = '127.0.0.1:0'\n[http]\nlisten = '127.0.0.1:0'\ntls_cert_file = \
                  'cert.pem'\ntls_key_file = 'key.pem'\n";
    let node = Node::start(folder, config);
    node.told();
    let address = node.http.strip_prefix("https://").unwrap();
    let trusts = async |ca: &str| {
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let trust = client(Trust::File(Path::new(ca)), None).unwrap();
        TlsConnector::from(trust).connect(ServerName::try_from("localhost").unwrap(), socket).await.is_ok()
    };
    assert!(trusts(&first).await);
    let second = certify(node.folder.path(), "second.pem");
    node.reload(config);
    assert!(trusts(&second).await && !trusts(&first).await);
}

#[tokio::test]
async fn a_user_that_is_gone_at_sighup_is_cut_wherever_it_came_in() {
    let users = |text: &str| format!("{DOORS}[auth]\nusers = [{text}]\n");
    let (anna, bert) = ("{ user = 'anna', password = 'a' }", "{ user = 'bert', password = 'b' }");
    let node = Node::start(TempDir::new().unwrap(), &users(&format!("{anna}, {bert}")));
    node.told();
    let web = Web::at(&node.http);
    let [by_anna, by_bert] = ["Basic YW5uYTph", "Basic YmVydDpi"].map(|shown| [("Authorization", shown)]);
    web.try_ask("PUT", "/v1/streams/S", &by_anna, br#"{"subjects":["s.>"]}"#).unwrap().ok(201);
    let mut stays = web.events("/v1/subscribe?subject=a", &by_anna);
    let mut stays_in_stream = web.events("/v1/streams/S/messages", &by_anna);
    let mut leaves = web.events("/v1/subscribe?subject=a", &by_bert);
    let mut leaves_stream = web.events("/v1/streams/S/messages", &by_bert);
    let mut request = node.http.replace("http://", "ws://").add("/v1/ws").into_client_request().unwrap();
    request.headers_mut().insert("Authorization", by_bert[0].1.parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    // A connection that was let in is not believed for ever.
    let mut kept = TcpStream::connect(node.http.trim_start_matches("http://")).unwrap();
    let mut ask = || {
        let head = format!("Host: localhost\r\nAuthorization: {}\r\n\r\n", by_bert[0].1);
        write!(kept, "HEAD /v1/nodes HTTP/1.1\r\n{head}").unwrap();
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\n") {
            kept.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        String::from_utf8(answer).unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(ask(), "200");

    let said = node.reload(&users(anna));
    assert!(said.contains(r#""cut":2"#), "{said}");
    for events in [&mut leaves, &mut leaves_stream] {
        let end = events.next().unwrap();
        assert_eq!((&*end.kind, &end.data["code"]), ("end", &2002.into()));
        assert!(events.next().is_none());
    }
    let end = timeout(PATIENCE, async { while socket.next().await.is_some_and(|m| m.is_ok()) {} }).await;
    assert!(end.is_ok(), "its WebSocket is closed");
    assert_eq!(ask(), "401");
    web.post("/v1/publish/a", &by_anna, b"x").ok(202);
    assert_eq!(stays.next().unwrap().data["payload"], "x");
    web.post("/v1/publish/s.a", &by_anna, b"y").ok(200);
    assert_eq!(stays_in_stream.next().unwrap().data["payload"], "y");
}
