//! One server for each setup that a suite needs, all of one kind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::server::{Kind, Server};
use super::setup::{SETUPS, Setup};
use super::tally::Tally;

/// Running servers by the name of their setup.
pub(crate) struct Fleet {
    /// Tells the fleets of one run apart.
    name: &'static str,
    servers: BTreeMap<&'static str, Server>,
    kind: Kind,
    binary: PathBuf,
    work: PathBuf,
}

impl Fleet {
    /// Starts one server for each setup that is `needed`. One that does not start is a failure of its own, and of
    /// every test that needs it.
    pub(crate) fn start(
        name: &'static str,
        kind: Kind,
        binary: &Path,
        work: &Path,
        needed: fn(&Setup) -> bool,
        tally: &mut Tally,
    ) -> Self {
        let mut fleet =
            Self { name, servers: BTreeMap::new(), kind, binary: binary.into(), work: work.into() };
        for setup in SETUPS.iter().filter(|setup| needed(setup)) {
            match fleet.launch(setup, 0) {
                Ok(server) => _ = fleet.servers.insert(setup.name, server),
                Err(why) => tally.failed(&format!("start {}", setup.name), &why),
            }
        }
        fleet
    }

    fn launch(&self, setup: &Setup, port: u16) -> Result<Server, String> {
        let home = self.work.join(format!("{}-{}", self.name, setup.name));
        Server::start(self.kind, &self.binary, setup, &home, &self.work, port)
    }

    /// The port of one server.
    pub(crate) fn port(&self, setup: &str) -> Result<u16, String> {
        self.servers
            .get(setup)
            .map(|server| server.port)
            .ok_or(format!("no server runs with setup `{setup}`"))
    }

    /// The ports of all, by setup.
    pub(crate) fn ports(&self) -> serde_json::Value {
        self.servers
            .iter()
            .map(|(name, server)| ((*name).to_owned(), server.port.into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// Does what a suite asks for: `restart NAME` kills a server and starts it again on its port, `retire NAME` lets
    /// it send its clients away and starts no other.
    pub(crate) fn obey(&mut self, order: &str) -> Result<(), String> {
        let (verb, name) = order.split_once(' ').unwrap_or((order, ""));
        let setup =
            SETUPS.iter().find(|setup| setup.name == name).ok_or(format!("there is no setup `{name}`"))?;
        let server = self.servers.get_mut(name).ok_or(format!("no server runs with setup `{name}`"))?;
        match verb {
            "restart" => {
                let port = server.port;
                server.kill()?;
                let again = self.launch(setup, port)?;
                self.servers.insert(setup.name, again);
                Ok(())
            }
            "retire" => server.retire(),
            _ => Err(format!("a suite asked for `{order}`")),
        }
    }

    /// Ends all servers as an operator would, and counts how that went.
    pub(crate) fn stop(mut self, tally: &mut Tally) {
        let results: Vec<String> = self
            .servers
            .iter_mut()
            .filter_map(|(name, server)| Some(format!("{name}: {}", server.stop().err()?)))
            .collect();
        match results.is_empty() {
            true => tally.passed("servers end when told to"),
            false => tally.failed("servers end when told to", &results.join("\n")),
        }
    }
}
