//! The ways in which a server is set up for the suites: one row each, written out in the configuration language of
//! either server.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// How a door speaks TLS.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Tls {
    /// Not at all.
    Off,
    /// After the first INFO.
    Upgrade,
    /// Before anything else.
    First,
    /// As `Upgrade`, and the client must show a certificate too.
    Mutual,
}

/// Who may come in.
pub(crate) enum Who {
    Password { user: &'static str, password: &'static str, may: Option<May> },
    Token(&'static str),
}

/// Patterns that a user may or may not publish to and subscribe to.
pub(crate) struct May {
    publish_allow: &'static [&'static str],
    publish_deny: &'static [&'static str],
    subscribe_allow: &'static [&'static str],
    subscribe_deny: &'static [&'static str],
}

/// One way to set up a server. What is `None` stays at its default, which is the same in both servers.
pub(crate) struct Setup {
    pub(crate) name: &'static str,
    pub(crate) tls: Tls,
    /// With durable streams, kept in the server's folder.
    pub(crate) streams: bool,
    max_payload_bytes: Option<u32>,
    max_control_line_bytes: Option<u32>,
    max_connections: Option<u32>,
    max_subscriptions: Option<u32>,
    ping_interval_ms: Option<u32>,
    pings_max: Option<u32>,
    auth_timeout_ms: Option<u32>,
    users: &'static [Who],
}

const PLAIN: Setup = Setup {
    name: "plain",
    tls: Tls::Off,
    streams: false,
    max_payload_bytes: None,
    max_control_line_bytes: None,
    max_connections: None,
    max_subscriptions: None,
    ping_interval_ms: None,
    pings_max: None,
    auth_timeout_ms: None,
    users: &[],
};

/// Everything that a suite or a transcript can ask for by name.
pub(crate) const SETUPS: &[Setup] = &[
    PLAIN,
    Setup { name: "retiring", ..PLAIN },
    Setup { name: "streams", streams: true, ..PLAIN },
    Setup { name: "streams-killed", streams: true, ..PLAIN },
    Setup {
        name: "small",
        max_payload_bytes: Some(1024),
        max_control_line_bytes: Some(512),
        max_subscriptions: Some(5),
        ..PLAIN
    },
    Setup { name: "crowd", max_connections: Some(1), ..PLAIN },
    Setup { name: "pings", ping_interval_ms: Some(1000), pings_max: Some(1), ..PLAIN },
    Setup { name: "users", auth_timeout_ms: Some(1000), users: USERS, ..PLAIN },
    Setup { name: "token", auth_timeout_ms: Some(1000), users: &[Who::Token("open-sesame")], ..PLAIN },
    Setup { name: "tls", tls: Tls::Upgrade, ..PLAIN },
    Setup { name: "tls-first", tls: Tls::First, ..PLAIN },
    Setup { name: "tls-mutual", tls: Tls::Mutual, ..PLAIN },
];

const USERS: &[Who] = &[
    Who::Password { user: "alice", password: "wonderland", may: None },
    Who::Password {
        user: "bob",
        password: "builder",
        may: Some(May {
            publish_allow: &["open.>", "echo"],
            publish_deny: &["open.secret"],
            subscribe_allow: &["open.>", "_INBOX.>"],
            subscribe_deny: &["open.secret", "open.deep.>"],
        }),
    },
];

/// The same setup as our server's TOML.
pub(crate) fn neuroplex(setup: &Setup, certificates: &Path) -> String {
    let mut out = String::from("[nats]\n");
    for (key, value) in [
        ("payload_bytes_max", setup.max_payload_bytes),
        ("control_line_bytes_max", setup.max_control_line_bytes),
        ("connections_max", setup.max_connections),
        ("subscriptions_max", setup.max_subscriptions),
        ("ping_interval_ms", setup.ping_interval_ms),
        ("pings_max", setup.pings_max),
        ("auth_timeout_ms", setup.auth_timeout_ms),
    ] {
        if let Some(value) = value {
            let _ = writeln!(out, "{key} = {value}");
        }
    }
    if setup.tls != Tls::Off {
        for (key, file) in [("tls_cert_file", "server.pem"), ("tls_key_file", "server.key")] {
            let _ = writeln!(out, "{key} = {:?}", certificates.join(file));
        }
    }
    match setup.tls {
        Tls::Mutual => _ = writeln!(out, "tls_ca_file = {:?}", certificates.join("ca.pem")),
        Tls::First => out += "tls_first = true\n",
        Tls::Off | Tls::Upgrade => {}
    }
    for who in setup.users {
        out += "\n[[auth.users]]\n";
        match who {
            Who::Token(token) => _ = writeln!(out, "token = {token:?}"),
            Who::Password { user, password, may } => {
                let _ = writeln!(out, "user = {user:?}\npassword = {password:?}");
                for (key, patterns) in may.iter().flat_map(May::lists) {
                    let _ = writeln!(out, "{key} = {patterns:?}");
                }
            }
        }
    }
    out
}

/// The same setup as nats-server's configuration, listening on `port`, its streams in `home`.
pub(crate) fn nats_server(setup: &Setup, certificates: &Path, home: &Path, port: u16) -> String {
    let mut out = format!("listen: \"127.0.0.1:{port}\"\nlame_duck_grace_period: \"1s\"\n");
    if setup.streams {
        let _ = writeln!(out, "jetstream {{ store_dir: {:?} }}", home.join("data"));
    }
    for (key, unit, value) in [
        ("max_payload", "", setup.max_payload_bytes),
        ("max_control_line", "", setup.max_control_line_bytes),
        ("max_connections", "", setup.max_connections),
        ("max_subscriptions", "", setup.max_subscriptions),
        ("ping_interval", "ms", setup.ping_interval_ms),
        ("ping_max", "", setup.pings_max),
    ] {
        if let Some(value) = value {
            let _ = if unit.is_empty() {
                writeln!(out, "{key}: {value}")
            } else {
                writeln!(out, "{key}: \"{value}{unit}\"")
            };
        }
    }
    if setup.tls != Tls::Off {
        let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|file| certificates.join(file));
        let extra = match setup.tls {
            Tls::Mutual => format!("ca_file: {ca:?}, verify: true"),
            Tls::First => "handshake_first: true".into(),
            Tls::Off | Tls::Upgrade => String::new(),
        };
        let _ = writeln!(out, "tls {{ cert_file: {cert:?}, key_file: {key:?}, {extra} }}");
    }
    if !setup.users.is_empty() {
        let _ = writeln!(out, "authorization {{");
        if let Some(ms) = setup.auth_timeout_ms {
            let _ = writeln!(out, "  timeout: {:.3}", f64::from(ms) / 1000.0);
        }
        out += &nats_server_users(setup.users);
        out += "}\n";
    }
    out
}

fn nats_server_users(users: &[Who]) -> String {
    let (mut token, mut list) = (String::new(), String::new());
    for who in users {
        match who {
            Who::Token(secret) => token = format!("  token: {secret:?}\n"),
            Who::Password { user, password, may } => {
                let may = may.as_ref().map(nats_server_permissions).unwrap_or_default();
                let _ = writeln!(list, "    {{ user: {user:?}, password: {password:?} {may} }}");
            }
        }
    }
    if list.is_empty() { token } else { format!("{token}  users: [\n{list}  ]\n") }
}

fn nats_server_permissions(may: &May) -> String {
    let May { publish_allow, publish_deny, subscribe_allow, subscribe_deny } = may;
    format!(
        ", permissions: {{ publish: {{ allow: {publish_allow:?}, deny: {publish_deny:?} }}, \
         subscribe: {{ allow: {subscribe_allow:?}, deny: {subscribe_deny:?} }} }}"
    )
}

impl May {
    fn lists(&self) -> [(&'static str, &'static [&'static str]); 4] {
        [
            ("publish_allow", self.publish_allow),
            ("publish_deny", self.publish_deny),
            ("subscribe_allow", self.subscribe_allow),
            ("subscribe_deny", self.subscribe_deny),
        ]
    }
}

/// Makes an authority, and a server's and a client's certificate signed by it, in `folder`.
pub(crate) fn certificates(folder: &Path) -> Result<(), String> {
    let script = crate::fetch::root().join("xtask/peers/certificates.py");
    let fix = "remove target/peers and run again";
    crate::fetch::run(Command::new(crate::fetch::python()?).arg(script).arg(folder), fix).map(drop)
}
