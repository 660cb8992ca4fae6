//! `connections`: what an idle connection with one subscription costs, and how many are held.

use crate::cpu::{Moment, resident_bytes};
use crate::lines::Lines;
use crate::link::{Link, Server};
use crate::poller::Poller;
use crate::{BenchError, Connections, Options, Report};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::{Duration, Instant};
use wire::nats::{Info, encode};

/// How long connections rest before memory is read, unless `duration` says more.
const REST: Duration = Duration::from_secs(2);
const NAP: Duration = Duration::from_millis(50);
/// How long all answers to the last PING may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn run(options: &Options) -> Result<Report, BenchError> {
    let server = Server::parse(&options.server)?;
    raise_file_limit()?;
    let resident = || options.server_pid.map(resident_bytes).transpose();
    let before = Moment::now(options.server_pid)?;
    let rss_before = resident()?;
    let (mut crowd, stopped) = Crowd::open(options, &server)?;
    let open_s = before.elapsed().as_secs_f64();
    crowd.turn(options.duration.unwrap_or(REST))?;
    let rss_after = resident()?;
    let opened = crowd.members.len();
    let held = crowd.answering()?;
    let spent = before.until(&Moment::now(options.server_pid)?);

    let bytes_each = rss_before.zip(rss_after).map(|(a, b)| (b as f64 - a as f64) / opened.max(1) as f64);
    let asked = options.clients;
    let connections = Connections { asked, held, stopped, open_s, rss_before, rss_after, bytes_each };
    let mut report = Report::new(options, &crowd.info, spent, 0, 0);
    report.connections = Some(connections);
    Ok(report)
}

/// As many files as the system allows this process.
fn raise_file_limit() -> Result<(), BenchError> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}

/// Connections that only answer PINGs.
struct Crowd {
    members: Vec<Member>,
    info: Info,
    poller: Poller,
}

struct Member {
    /// `None` when the server has closed it.
    link: Option<Link>,
    lines: Lines,
}

impl Crowd {
    /// Opens one after the other, each subscribed and acknowledged before the next. The first failure ends it and is
    /// told; without any connection it is an error.
    fn open(options: &Options, server: &Server) -> Result<(Self, Option<String>), BenchError> {
        let mut crowd = Self { members: Vec::new(), info: Info::default(), poller: Poller::new()? };
        for nth in 0..options.clients {
            match Link::open(server, Some(&format!("{}.{nth}", options.subject))) {
                Ok(link) => {
                    crowd.info = link.info.clone();
                    crowd.poller.add_reader(&link, nth)?;
                    crowd.members.push(Member { link: Some(link), lines: Lines::default() });
                }
                Err(error) if nth == 0 => return Err(error),
                Err(error) => return Ok((crowd, Some(error.to_string()))),
            }
        }
        Ok((crowd, None))
    }

    /// Answers PINGs for a while.
    fn turn(&mut self, time: Duration) -> Result<(), BenchError> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            for ready in self.poller.wait(NAP.min(time))? {
                if let Some(member) = self.members.get_mut(ready.token) {
                    member.read()?;
                }
            }
        }
        Ok(())
    }

    /// Sends every connection a PING; says how many answered.
    fn answering(&mut self) -> Result<usize, BenchError> {
        for member in &mut self.members {
            member.link.take_if(|link| link.write_line(encode::PING).is_err());
        }
        let start = Instant::now();
        let silent = |m: &Member| m.link.is_some() && m.lines.pongs == 0;
        while start.elapsed() < ANSWER_LIMIT && self.members.iter().any(silent) {
            self.turn(NAP)?;
        }
        Ok(self.members.iter().filter(|m| m.link.is_some() && m.lines.pongs > 0).count())
    }
}

impl Member {
    fn read(&mut self) -> Result<(), BenchError> {
        let mut buffer = [0; 4096];
        while let Some(link) = &self.link {
            match link.read(&mut buffer)? {
                // Closing the socket takes it out of the poller, too.
                Some(0) => self.link = None,
                Some(n) => {
                    let mut bytes = buffer.get(..n).unwrap_or_default();
                    while !bytes.is_empty() {
                        let taken = self.lines.take(bytes);
                        bytes = bytes.get(taken..).unwrap_or_default();
                    }
                }
                None => break,
            }
        }
        while let (Some(link), 1..) = (&self.link, self.lines.pings_owed) {
            link.write_line(encode::PONG)?;
            self.lines.pings_owed -= 1;
        }
        Ok(())
    }
}
