//! Doors with users, permissions and TLS.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use client::{Client, Code, Credentials, Options};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::command::{Running, neuroplex, run};
use crate::server::Server;

const USERS: &str = r#"
[[auth.users]]
user = "ann"
password = "p@ss"
publish_allow = ["open.>", "_INBOX.>"]
subscribe_allow = ["open.>", "_INBOX.>"]
"#;

fn with_user(server: &Server, user: &str) -> String {
    server.nats().replace("://", &format!("://{user}@"))
}

#[tokio::test]
async fn only_who_is_known_comes_in() {
    let server = Server::with(USERS, &[]);
    for url in [server.nats().to_owned(), with_user(&server, "ann:wrong"), with_user(&server, "token")] {
        let refused = Client::connect(url).await.unwrap_err();
        assert_eq!(refused.code(), Code::AuthFailed, "{refused}");
    }
    assert!(Client::connect(with_user(&server, "ann:p%40ss")).await.is_ok());
    let password = Credentials::Password { user: "ann".into(), password: "p@ss".into() };
    assert!(Client::connect(Options::new(server.nats()).credentials(password)).await.is_ok());
    let ended = run(server.nats(), &["pub", "a", "x", "--json"]);
    assert_eq!((ended.code, ended.error().as_str()), (Some(20), "AUTH_FAILED"));
}

#[tokio::test]
async fn what_is_not_allowed_ends_what_was_asked_and_nothing_else() {
    let server = Server::with(USERS, &[]);
    let url = with_user(&server, "ann:p%40ss");
    let client = Client::connect(url.as_str()).await.unwrap();
    let mut secret = client.subscribe("secret.>", None).unwrap();
    assert_eq!(secret.next().await, None);
    assert_eq!(secret.error().unwrap().code(), Code::PermissionDenied);
    let denied = client.request(("secret.a", ""), Duration::from_secs(30)).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let mut open = client.subscribe("open.>", None).unwrap();
    client.publish(("open.a", "x")).await.unwrap();
    assert!(open.next().await.is_some());

    for args in [&["pub", "secret.a", "x"][..], &["sub", "secret.>"], &["request", "secret.a", "x"]] {
        let ended = run(&url, &[args, &["--json"]].concat());
        assert_eq!(ended.code, Some(20), "{args:?}: {ended:?}");
        assert!(ended.err.contains("PERMISSION_DENIED"), "{args:?}: {}", ended.err);
    }
}

#[test]
fn an_answer_that_the_server_refuses_is_told_and_not_counted() {
    let config = "[[auth.users]]\nuser = \"asks\"\npassword = \"p\"\n\
        [[auth.users]]\nuser = \"mute\"\npassword = \"p\"\npublish_allow = [\"open.>\"]\n";
    let server = Server::with(config, &[]);
    let service = Running::listening(&with_user(&server, "mute:p"), &["reply", "ok", "x", "--json"]);
    let asked = run(&with_user(&server, "asks:p"), &["request", "ok", "q", "--timeout-ms", "200", "--json"]);
    assert_eq!(asked.error(), "TIMEOUT");
    let line: serde_json::Value = serde_json::from_str(&service.out.next()).unwrap();
    let said = (line["event"].as_str(), line["error"].as_str());
    assert_eq!(said, (Some("unanswered"), Some("PERMISSION_DENIED")));
    let told: serde_json::Value = serde_json::from_str(&service.err.next()).unwrap();
    assert_eq!(told["event"], "refused");
    assert!(told["message"].as_str().unwrap().contains("_INBOX."), "{told}");
}

/// A folder with an authority and what it signed for `localhost`.
pub(crate) fn certificates() -> TempDir {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let folder = TempDir::new().unwrap();
    for (name, text) in
        [("ca.pem", authority.pem()), ("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())]
    {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[tokio::test]
async fn tls_protects_the_door_in_both_ways_of_beginning() {
    for tls_first in [false, true] {
        let folder = certificates();
        let ca = folder.path().join("ca.pem");
        let config = format!(
            "[nats]\ntls_cert_file = {:?}\ntls_key_file = {:?}\ntls_first = {tls_first}\n",
            folder.path().join("cert.pem"),
            folder.path().join("key.pem"),
        );
        let server = Server::within(TempDir::new().unwrap(), &config, &[]);
        let url = format!("tls://{}", server.address());
        let options = || Options::new(url.as_str()).tls_first(tls_first);
        let stranger = Client::connect(options()).await.unwrap_err();
        assert!(stranger.to_string().contains("certificate"), "{stranger}");
        let client = Client::connect(options().tls_ca(&ca)).await.unwrap();
        let mut messages = client.subscribe("a", None).unwrap();
        for n in 0..20u8 {
            client.publish(("a", vec![n; 900_000])).await.unwrap();
        }
        for n in 0..20u8 {
            assert!(messages.next().await.unwrap().payload == vec![n; 900_000]);
        }
        client.drain().await.unwrap();
        let mut check = vec!["check", "--tls-ca", ca.to_str().unwrap()];
        check.extend(tls_first.then_some("--tls-first"));
        let ended = run(&url, &check);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.text().contains("encrypted"), "{}", ended.text());
        // The wrong way of beginning is named.
        let wrong = [
            &["pub", "a", "x", "--tls-ca", ca.to_str().unwrap()][..],
            if tls_first { &[] } else { &["--tls-first"] },
        ];
        let ended = run(&url, &wrong.concat());
        assert_eq!(ended.code, Some(10), "{ended:?}");
        assert!(ended.err.contains("--tls-first"), "{}", ended.err);
    }
}

#[test]
fn a_door_that_asks_for_a_certificate_gets_one_or_names_the_options() {
    let folder = certificates();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let config = format!("[nats]\ntls_cert_file = {cert:?}\ntls_key_file = {key:?}\ntls_ca_file = {ca:?}\n");
    let server = Server::with(&config, &[]);
    let url = format!("tls://{}", server.address());
    let refused = run(&url, &["pub", "a", "x", "--tls-ca", &ca]);
    assert_eq!(refused.code, Some(10), "{refused:?}");
    assert!(refused.err.contains("--tls-cert FILE --tls-key FILE"), "{}", refused.err);
    let let_in = run(&url, &["pub", "a", "x", "--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key]);
    assert_eq!(let_in.code, Some(0), "{let_in:?}");
}

#[tokio::test]
async fn an_address_that_asks_for_tls_never_goes_on_in_the_clear() {
    let server = Server::start();
    let folder = certificates();
    let url = format!("tls://{}", server.address());
    let e = Client::connect(Options::new(url).tls_ca(folder.path().join("ca.pem"))).await.unwrap_err();
    assert_eq!(e.code(), Code::TlsRequired);
}

#[test]
fn only_who_may_monitor_reads_the_figures_where_the_door_says_so() {
    let config = |monitor: &str| {
        format!(
            "[http]\nmonitor = '{monitor}'\n{USERS}\n[[auth.users]]\nuser = 'watch'\npassword = 'w'\npublish_allow = ['$NP.monitor']\n"
        )
    };
    // ann:p@ss and watch:w.
    let (ann, watch) = ([("Authorization", "Basic YW5uOnBAc3M=")], [("Authorization", "Basic d2F0Y2g6dw==")]);
    for (monitor, expected) in [("users", [401, 403, 200]), ("local", [200; 3]), ("open", [200; 3])] {
        let server = Server::with(&config(monitor), &[]);
        let web = server.web();
        for path in ["/metrics", "/varz", "/connz", "/subsz"] {
            let status = |headers: &[(&str, &str)]| web.try_ask("GET", path, headers, b"").unwrap().status;
            assert_eq!([status(&[]), status(&ann), status(&watch)], expected, "{monitor}: {path}");
        }
        for path in ["/healthz", "/readyz"] {
            web.ask("GET", path, "").ok(200);
        }
        let document = web.ask("GET", "/openapi.json", "").ok(200);
        let asks = document["paths"]["/metrics"]["get"]["security"].is_array();
        assert_eq!(asks, monitor == "users");
    }
}

#[test]
fn users_who_are_all_of_one_tenant_are_no_strangers_to_each_other() {
    let users = "[[auth.users]]\nuser = 'own'\npassword = 'p'\ntenant = 'acme'\n";
    let web = Server::with(users, &[]);
    for path in ["/metrics", "/varz", "/connz", "/subsz"] {
        assert_eq!(web.web().ask("GET", path, "").status, 200, "{path}");
    }
}

#[test]
fn tenants_of_one_machine_do_not_see_each_other_in_figures() {
    let user = |name: &str, tenant: &str| {
        format!("[[auth.users]]\nuser = '{name}'\npassword = 'p'\ntenant = '{tenant}'\n")
    };
    let server = Server::with(&[user("own", ""), user("here", "here"), user("there", "there")].concat(), &[]);
    let web = server.web();
    // own:p, here:p and there:p.
    let shown = |credentials: &'static str| [("Authorization", credentials)];
    let [own, here, there] = [shown("Basic b3duOnA="), shown("Basic aGVyZTpw"), shown("Basic dGhlcmU6cA==")];
    let _of_here = web.events("/v1/subscribe?subject=a", &here);
    for path in ["/metrics", "/varz", "/connz", "/subsz"] {
        let status = |headers: &[(&str, &str)]| web.try_ask("GET", path, headers, b"").unwrap().status;
        assert_eq!([status(&[]), status(&here), status(&own)], [401, 403, 200], "{path}");
    }
    for (who, count) in [(&here, 1), (&there, 0)] {
        let nodes = web.try_ask("GET", "/v1/nodes", who, b"").unwrap().ok(200);
        let node = &nodes["items"][0];
        assert_eq!((&node["connections"], &node["subscriptions"]), (&count.into(), &count.into()));
    }
}

/// What `neuroplex check` says of damage: the result, what it is and what to do.
fn damage(server: &str, more: &[&str]) -> (String, String) {
    let ended = run(server, &[&["check", "--json"], more].concat());
    let checks = ended.json();
    let all = checks["checks"].as_array().expect("checks");
    let tick = all.iter().find(|tick| tick["name"] == "damage").expect("damage is a check");
    (tick["result"].as_str().unwrap().to_owned(), format!("{} {}", tick["what"], tick["fix"]))
}

#[test]
fn a_check_asks_a_guarded_door_as_who_it_is_and_says_who_may_know_of_damage() {
    let user = |name: &str, tenant: &str| {
        format!("[[auth.users]]\nuser = '{name}'\npassword = 'p'\ntenant = '{tenant}'\n")
    };
    let bob = "[[auth.users]]\nuser = 'bob'\npassword = 'p'\npublish_deny = ['$NP.>']\n";
    let server = Server::with(&[&user("own", ""), &user("there", "there"), bob].concat(), &[]);
    let http = server.http();
    let ask = |user: &str, http: &str| damage(&with_user(&server, user), &["--http", http]);
    assert_eq!(ask("own:p", http).0, "good");
    // The door's own credentials go before those for the server.
    assert_eq!(ask("there:p", &http.replace("://", "://own:p@")).0, "good");
    let elsewhere = http.replace("127.0.0.1", "localhost");
    for (user, http, words) in [
        ("there:p", http, ["answered 403", "own tenant"]),
        ("bob:p", http, ["answered 403", "$NP.monitor"]),
        ("own:wrong", http, ["not known there", "$NP.monitor"]),
        // Credentials go to their own host alone.
        ("own:p", &elsewhere, ["Name them in a context", "$NP.monitor"]),
    ] {
        let (result, said) = ask(user, http);
        assert_eq!(result, "warning", "{user} at {http}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{user} at {http}: {said}");
    }
}

#[test]
fn a_check_shows_a_contexts_credentials_to_a_door_with_tls() {
    let folder = certificates();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let tls = format!("tls_cert_file = {:?}\ntls_key_file = {:?}\n", file("cert.pem"), file("key.pem"));
    let config = format!(
        "[nats]\n{tls}[http]\nmonitor = 'users'\n{tls}[[auth.users]]\nuser = 'ann'\npassword = 'p@ss'\n"
    );
    let server = Server::with(&config, &[]);
    let contexts = folder.path().join("neuroplex/contexts");
    fs::create_dir_all(&contexts).unwrap();
    let context = format!("server = 'tls://{}'\nuser = 'ann'\npassword = 'p@ss'\n", server.address());
    let path = contexts.join("here.toml");
    fs::write(&path, context).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let check = |more: &[&str]| {
        let http = format!("https://{}", server.http().split_once("://").unwrap().1);
        let mut command = neuroplex(&["check", "--context", "here", "--http", &http]);
        let output = command.args(more).env("XDG_CONFIG_HOME", folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = check(&["--tls-ca", &file("ca.pem")]);
    assert!(said.contains(" ✓ http ") && said.contains(" ✓ damage "), "{said}");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = check(&[]);
    assert!(code == Some(10) && said.contains(" ✗ http ") && said.contains("certificate"), "{said}");
}
