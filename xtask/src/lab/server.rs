//! A server that runs: where it is, whether it answers, how it ends.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

/// How long a server may take to be ready, and to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    port: u16,
    /// Whether it speaks RESP.
    redis: bool,
    /// When it was started.
    pub(crate) started: Instant,
    /// From its start to its first answer.
    pub(crate) ready_ms: f64,
    /// From its start to its ready line.
    pub(crate) line_ms: Option<f64>,
    /// Where its HTTP door is.
    pub(super) web: Option<String>,
    /// Kept open: a server whose output nobody holds might end.
    pub(super) out: Option<BufReader<ChildStdout>>,
}

impl Server {
    pub(super) fn new(child: Child, port: u16, redis: bool, started: Instant) -> Server {
        Server { child, port, redis, started, ready_ms: 0.0, line_ms: None, web: None, out: None }
    }

    pub(super) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Where its NATS door is, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.redis { "redis" } else { "nats" }, self.port)
    }

    /// Where its HTTP door is.
    pub(crate) fn web_url(&self) -> Result<String, String> {
        self.web.clone().ok_or_else(|| "it did not say where it speaks HTTP".into())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still there.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether a client gets a PONG.
    pub(crate) fn answers(&self) -> bool {
        let pong = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let hello: &[u8] = if self.redis { b"" } else { b"CONNECT {\"verbose\":false}\r\n" };
            stream.write_all(&[hello, b"PING\r\n"].concat())?;
            let mut said = Vec::new();
            let mut byte = [0];
            while !said.ends_with(b"\nPONG\r\n") && said != b"+PONG\r\n" {
                if stream.read(&mut byte)? == 0 {
                    return Ok(false);
                }
                said.extend_from_slice(&byte);
            }
            Ok(true)
        };
        pong().unwrap_or(false)
    }

    /// Asks it to end, waits, and says whether it ended well.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let pid = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or("no process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(|e| e.to_string())?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().map_err(|e| e.to_string())? {
                Some(_) => return Ok(()),
                None if Instant::now() > deadline => return Err("did not end on SIGTERM".into()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Server {
    /// Ends it as a power cut of the process does: SIGKILL, and nothing is said.
    pub(crate) fn kill(mut self) -> Result<(), String> {
        self.child.kill().map_err(|e| e.to_string())?;
        self.child.wait().map(drop).map_err(|e| e.to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
