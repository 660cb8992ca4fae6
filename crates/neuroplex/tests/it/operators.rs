//! A node as its operators see it: the HTTP door, asked with plain bytes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::Value;

use crate::lines::PATIENCE;
use crate::server::Server;

impl Server {
    /// The answer to `GET path`: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.get_as(path, "localhost")
    }

    /// The answer to `GET path` under another name.
    pub(crate) fn get_as(&self, path: &str, host: &str) -> (u16, String) {
        let mut socket = TcpStream::connect(self.http().trim_start_matches("http://")).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// A number in `/varz`.
    pub(crate) fn varz(&self, field: &str) -> u64 {
        let (status, body) = self.get("/varz");
        assert_eq!(status, 200);
        let all: Value = serde_json::from_str(&body).unwrap();
        all[field].as_u64().unwrap_or_else(|| panic!("no {field} in {body}"))
    }

    /// Asks until the answer is yes.
    pub(crate) fn until(&self, what: &str, mut yes: impl FnMut(&Server) -> bool) {
        let start = Instant::now();
        while !yes(self) {
            assert!(start.elapsed() < PATIENCE, "never: {what}");
            std::thread::yield_now();
        }
    }
}
