//! The servers that are tried, in turn: those that the user named, and those that they told of.

use wire::nats::Info;

use crate::{Error, Server};

/// Most servers that are remembered.
const SERVERS_MAX: usize = 64;

/// The list and its place. It never gets empty.
#[derive(Debug)]
pub(crate) struct Pool {
    servers: Vec<Server>,
    at: usize,
}

impl Pool {
    /// Reads the addresses that the user named; a list of text has at least one part.
    pub(crate) fn new(text: &str) -> Result<Pool, Error> {
        Ok(Pool { servers: Server::list(text)?, at: 0 })
    }

    pub(crate) fn any_tls(&self) -> bool {
        self.servers.iter().any(Server::tls)
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    pub(crate) fn current(&self) -> &Server {
        &self.servers[self.at % self.servers.len()]
    }

    pub(crate) fn advance(&mut self) {
        self.at = (self.at + 1) % self.servers.len();
    }

    /// Remembers the servers that the current one told of.
    pub(crate) fn learn(&mut self, info: &Info) {
        for address in &info.connect_urls {
            let Some(server) = self.current().neighbour(address) else { continue };
            let known = self.servers.iter().any(|s| s.same_place(&server));
            if !known && self.servers.len() < SERVERS_MAX {
                self.servers.push(server);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_take_turns_and_tell_of_others() {
        let mut pool = Pool::new("tls://ann:x@a,b").unwrap();
        let told = ["a:4222", "c:4222", "not an address", "c:4222"].map(String::from).to_vec();
        pool.learn(&Info { connect_urls: told, ..Info::default() });
        assert_eq!(pool.len(), 3);
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(pool.current().to_string());
            pool.advance();
        }
        assert_eq!(seen, ["tls://a:4222", "nats://b:4222", "tls://c:4222", "tls://a:4222"]);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut pool = Pool::new("a").unwrap();
        let told = (1..500).map(|n| format!("s{n}:4222")).collect();
        pool.learn(&Info { connect_urls: told, ..Info::default() });
        assert_eq!(pool.len(), SERVERS_MAX);
    }
}
