//! What a run measured, as one JSON object and as a table for a person.

use crate::cpu::Spent;
use crate::{Durable, Histogram, Mode, Options};
use serde::Serialize;
use std::fmt;
use wire::nats::Info;

/// The outcome of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What traffic it was.
    pub mode: Mode,
    /// Whom it was put on.
    pub server: ServerName,
    /// The subject, or the first tokens of all.
    pub subject: String,
    /// Payload bytes of a message.
    pub size: usize,
    /// Connections of the kind that the mode multiplies.
    pub clients: usize,
    /// Distinct subjects.
    pub subjects: usize,
    /// Whether messages carried a header.
    pub headers: bool,
    /// The schedule, in messages a second; `None`: as fast as it goes.
    pub rate: Option<u64>,
    /// Length of the measured window.
    pub seconds: f64,
    /// Messages published (requests sent) in the window.
    pub msgs: u64,
    /// The same by the second.
    pub msgs_per_s: f64,
    /// Messages received in the window by all subscribers (responses, for requests).
    pub delivered: u64,
    /// The same by the second.
    pub delivered_per_s: f64,
    /// Published payload, in millions of bytes a second.
    pub mb_per_s: f64,
    /// What it cost the server, when its process is known.
    pub cost: Option<ServerCost>,
    /// What it cost this process.
    pub load: Load,
    /// What else went on.
    pub machine: Option<Machine>,
    /// Of every message or request, where it was measured.
    pub latency: Option<Latency>,
    /// Of `connections`.
    pub connections: Option<Connections>,
    /// Of the modes with durable streams.
    pub durable: Option<Durable>,
    /// Of `overtake`.
    pub overtake: Option<Overtake>,
    /// What went wrong with messages; all zero in a good run.
    pub faults: Faults,
}

/// What the server calls itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ServerName {
    /// Its address as given.
    pub url: String,
    /// `server_name` of its INFO.
    pub name: String,
    /// `version` of its INFO.
    pub version: String,
}

/// CPU time of the server's process in the measured window.
#[derive(Debug, Clone, Serialize)]
pub struct ServerCost {
    /// Its process.
    pub pid: u32,
    /// User and system time.
    pub cpu_s: f64,
    /// CPU time by wall time: 1 is one core.
    pub busy: f64,
    /// CPU time by published message (request).
    pub us_per_msg: f64,
    /// CPU time by delivered message.
    pub us_per_delivered: Option<f64>,
}

/// CPU time of the load itself in the measured window.
#[derive(Debug, Clone, Serialize)]
pub struct Load {
    /// User and system time.
    pub cpu_s: f64,
    /// CPU time by wall time: the load is one thread, so 1 means that it was the limit.
    pub busy: f64,
    /// CPU time by published message (request).
    pub us_per_msg: f64,
    /// Time by wall time in which the load could have run and another program had its core: latencies hold it.
    pub waited: f64,
    /// Whether the load waited by spinning, so that `busy` says nothing.
    pub spinning: bool,
}

/// What else went on in the measured window.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Cores that were used by neither server nor load, on average: what disturbed the run. Without a server's process
    /// the server is among them.
    pub others: f64,
    /// Part of the time in which the only core that the server may use was idle; `None` if it may use several. Near 0
    /// the server, with whoever else was there, was the limit.
    pub server_core_idle: Option<f64>,
}

/// Quantiles in microseconds. With a rate they count from the scheduled moment, so that a server that stops does not
/// hide the messages it kept from being sent; without, from the moment of writing (closed loop).
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the fields are quantiles")]
pub struct Latency {
    /// From the schedule (`true`) or from the write.
    pub from_schedule: bool,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

/// How soon critical messages reached a worker that has a backlog. The time counts from before the publish until the
/// worker has the message, its acknowledgement on disk included.
#[derive(Debug, Clone, Serialize)]
pub struct Overtake {
    /// Messages that were stored before and waited.
    pub backlog: u64,
    /// Critical messages, one after another.
    pub tries: u64,
    /// The middle one of the times, in milliseconds.
    pub p50_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// The most messages of the backlog that the worker got between a publish and its delivery.
    pub between_max: u64,
}

/// Memory by idle connection.
#[derive(Debug, Clone, Serialize)]
pub struct Connections {
    /// Connections asked for.
    pub asked: usize,
    /// Connections that answered a PING at the end.
    pub held: usize,
    /// Why there are fewer.
    pub stopped: Option<String>,
    /// Seconds that opening and subscribing took, for all.
    pub open_s: f64,
    /// Resident bytes of the server before.
    pub rss_before: Option<u64>,
    /// Resident bytes of the server with all connections idle.
    pub rss_after: Option<u64>,
    /// The difference by connection.
    pub bytes_each: Option<f64>,
}

/// Messages that did not arrive as they were sent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Faults {
    /// Sent and never received.
    pub lost: u64,
    /// Received more often than sent.
    pub doubled: u64,
    /// Received with other bytes than sent, or in another order.
    pub damaged: u64,
    /// Published, and answered with an error.
    pub refused: u64,
    /// The first of them.
    pub first: Option<String>,
}

impl Faults {
    /// Whether every message arrived once, in order and unchanged.
    pub fn none(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.damaged == 0 && self.refused == 0
    }

    /// Those of another pass of the same run.
    pub(crate) fn add(&mut self, other: Faults) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.damaged += other.damaged;
        self.refused += other.refused;
        self.first = self.first.take().or(other.first);
    }
}

impl Latency {
    pub(crate) fn new(histogram: &Histogram, from_schedule: bool) -> Self {
        let us = |q| histogram.quantile(q) as f64 / 1e3;
        Self {
            from_schedule,
            p50_us: us(0.5),
            p90_us: us(0.9),
            p99_us: us(0.99),
            p999_us: us(0.999),
            max_us: histogram.max() as f64 / 1e3,
        }
    }
}

impl Report {
    /// The figures that every mode has.
    pub(crate) fn new(options: &Options, info: &Info, spent: Spent, msgs: u64, delivered: u64) -> Self {
        let seconds = spent.wall.as_secs_f64().max(1e-9);
        let each = |cpu_s: f64, n: u64| cpu_s * 1e6 / n.max(1) as f64;
        let own = spent.own.as_secs_f64();
        let cost = options.server_pid.zip(spent.server).map(|(pid, cpu)| ServerCost {
            pid,
            cpu_s: cpu.as_secs_f64(),
            busy: cpu.as_secs_f64() / seconds,
            us_per_msg: each(cpu.as_secs_f64(), msgs.max(delivered * u64::from(msgs == 0))),
            us_per_delivered: (delivered > 0).then(|| each(cpu.as_secs_f64(), delivered)),
        });
        let known = own + cost.as_ref().map_or(0.0, |c| c.cpu_s);
        let machine = spent.machine.map(|m| Machine {
            others: ((m.busy_s - known) / seconds).max(0.0),
            server_core_idle: m.server_core_idle_s.map(|idle| idle / seconds),
        });
        Self {
            mode: options.mode,
            server: ServerName {
                url: options.server.clone(),
                name: info.server_name.clone(),
                version: info.version.clone(),
            },
            subject: options.subject.clone(),
            size: options.size,
            clients: options.clients,
            subjects: options.subjects,
            headers: options.headers,
            rate: options.rate,
            seconds,
            msgs,
            msgs_per_s: msgs as f64 / seconds,
            delivered,
            delivered_per_s: delivered as f64 / seconds,
            mb_per_s: msgs as f64 * options.size as f64 / seconds / 1e6,
            cost,
            load: Load {
                cpu_s: own,
                busy: own / seconds,
                waited: spent.own_waited.as_secs_f64() / seconds,
                us_per_msg: each(own, msgs.max(delivered)),
                spinning: false,
            },
            machine,
            latency: None,
            connections: None,
            durable: None,
            overtake: None,
            faults: Faults::default(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, .. } = self;
        writeln!(f, "{} on {} (version {}, {})", self.mode.word(), server.url, server.version, server.name)?;
        write!(f, "  traffic     {} B on {}", self.size, self.subject)?;
        writeln!(
            f,
            ", clients {}, subjects {}{}",
            self.clients,
            self.subjects,
            if self.headers { ", with headers" } else { "" }
        )?;
        if let Some(c) = &self.connections {
            return self.write_connections(f, c);
        }
        if let Some(d) = &self.durable {
            d.write(f, self.mode)?;
        }
        writeln!(f, "  measured    {:.3} s", self.seconds)?;
        if self.mode == Mode::PublishAck {
            writeln!(f, "  acked       {}, {:.0} /s", self.msgs, self.msgs_per_s)?;
        } else if self.mode == Mode::Streams {
            writeln!(f, "  created     {}, {:.0} /s", self.msgs, self.msgs_per_s)?;
        } else if self.mode != Mode::Sub
            && !matches!(self.mode, Mode::Replay | Mode::ReplayPull | Mode::PullConsume | Mode::Overtake)
        {
            write!(f, "  published   {}, {:.0} /s", self.msgs, self.msgs_per_s)?;
            writeln!(f, ", {:.1} MB/s of payload", self.mb_per_s)?;
        }
        if self.mode == Mode::HttpPublish {
            writeln!(f, "  answered    {}, {:.0} /s", self.delivered, self.delivered_per_s)?;
        } else if !matches!(self.mode, Mode::Pub | Mode::PublishAck | Mode::Streams | Mode::Overtake) {
            writeln!(f, "  delivered   {}, {:.0} /s", self.delivered, self.delivered_per_s)?;
        }
        if let Some(o) = &self.overtake {
            write!(f, "  overtook    {} that waited, {} times: p50 {:.3} ms", o.backlog, o.tries, o.p50_ms)?;
            writeln!(f, ", max {:.3} ms; at most {} came between", o.max_ms, o.between_max)?;
        }
        if let Some(l) = &self.latency {
            let from = if l.from_schedule { "from schedule" } else { "closed loop" };
            write!(f, "  latency     p50 {:.1} µs, p90 {:.1}, p99 {:.1}", l.p50_us, l.p90_us, l.p99_us)?;
            writeln!(f, ", p99.9 {:.1}, max {:.1} ({from})", l.p999_us, l.max_us)?;
        }
        self.write_cost(f)
    }
}

impl Report {
    fn write_cost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(c) = &self.cost {
            write!(f, "  server      {:.3} s CPU, {:.1} % busy", c.cpu_s, c.busy * 100.0)?;
            write!(f, ", {:.3} µs a message", c.us_per_msg)?;
            c.us_per_delivered.map_or(Ok(()), |us| write!(f, ", {us:.3} µs a delivery"))?;
            writeln!(f)?;
        }
        if let Some(m) = self.machine.as_ref().filter(|m| m.others >= 0.02) {
            writeln!(f, "  DISTURBED   other programs used {:.2} cores", m.others)?;
        }
        let l = &self.load;
        write!(f, "  this load   {:.3} s CPU, {:.1} % busy", l.cpu_s, l.busy * 100.0)?;
        write!(f, ", {:.3} µs a message{}", l.us_per_msg, if l.spinning { " (spinning)" } else { "" })?;
        match l.waited {
            ..0.002 => writeln!(f)?,
            waited => writeln!(f, "; waited for its core for {:.1} %", waited * 100.0)?,
        }
        if self.faults.none() {
            return write!(f, "  complete    {}", self.promise());
        }
        let Faults { lost, doubled, damaged, refused, first } = &self.faults;
        write!(f, "  FAULTS      {lost} lost, {doubled} doubled, {damaged} damaged, {refused} refused")?;
        first.as_ref().map_or(Ok(()), |first| write!(f, "; first {first}"))
    }

    /// What a run without faults has shown.
    fn promise(&self) -> &'static str {
        match (self.mode, self.clients) {
            (Mode::Pub, _) => "the server has read every message",
            (Mode::Sub, _) => "every message was of the subject and length expected",
            (Mode::Request, _) => "every request had its own answer",
            (Mode::PublishAck, _) => "every publish was acknowledged once and is stored",
            (Mode::Replay | Mode::ReplayPull, _) => "every sequence once, with its own payload",
            (Mode::PullConsume, _) => "every sequence once, with its own payload, and acknowledged",
            (Mode::Streams, _) => "every stream was created",
            (Mode::HttpPublish, _) => "every request had its own answer, a 202",
            (Mode::Overtake, _) => "every critical message came next but a few, and the backlog in order",
            (Mode::PubSub, 2..) => "every message once and well formed",
            _ => "every message once, in order and unchanged",
        }
    }

    fn write_connections(&self, f: &mut fmt::Formatter<'_>, c: &Connections) -> fmt::Result {
        write!(f, "  held        {} of {}, opened in {:.2} s", c.held, c.asked, c.open_s)?;
        if let Some(why) = &c.stopped {
            write!(f, "\n  stopped     {why}")?;
        }
        if let (Some(before), Some(after), Some(each)) = (c.rss_before, c.rss_after, c.bytes_each) {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            write!(f, "\n  memory      {:.1} MiB before, {:.1} MiB after", mib(before), mib(after))?;
            write!(f, ": {:.2} KiB a connection", each / 1024.0)?;
        }
        Ok(())
    }
}
