//! `neuroplex check`: a list of ticks; each cross names its fix. The exit code is that of the first cross.

mod disk;
mod http;
mod machine;
mod messages;
mod streams;
mod tick;

use std::path::PathBuf;

use client::{Client, Info};
use kernel::Code;
use serde_json::json;

use crate::context::Aim;
use crate::door::Address;
use crate::failure::Failure;
use crate::global::Global;
use crate::link::Link;
use crate::output::Output;
use tick::{Mark, Tick};

const EXAMPLES: &str = "\
Examples:
  neuroplex check
  neuroplex check --server nats://10.0.0.7:4222 --http http://10.0.0.7:7400
  neuroplex check --context prod --http https://10.0.0.7:7400 --tls-ca ca.pem
  neuroplex check --data /var/lib/neuroplex
  neuroplex check --only http  # for a container's health check
  neuroplex check --json

Without credentials in --http, those for the server are used where both are the
same host; what goes to the server with TLS goes to no http:// door but on this
machine.

The exit code is that of the first cross; `neuroplex --help` lists them.";

/// Where `neuroplex up` keeps its data unless it is told otherwise.
const USUAL_DATA: &str = ".neuroplex";

/// Check a server, the way to it, and this machine
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    // Not a comment of the documentation: brackets would be links there.
    #[arg(
        long,
        value_name = "URL",
        help = "The HTTP door: http://[user:password@|token@]host[:port] or https://… [default: http://127.0.0.1:7400, if something listens there]"
    )]
    http: Option<Address>,

    /// The data folder of a node on this machine: its disk is looked at [default: .neuroplex, if it is
    /// there]
    #[arg(long, value_name = "DIR", env = "NEUROPLEX_DATA", hide_env_values = true)]
    data: Option<PathBuf>,

    /// Check this and nothing else: what a container's health check asks
    #[arg(long, value_name = "WHAT")]
    only: Option<Only>,
}

/// What can be checked by itself.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Only {
    /// The HTTP door
    Http,
}

/// Runs every check that makes sense, and prints each as soon as it is known.
pub(crate) async fn run(global: &Global, args: Args) -> Result<(), Failure> {
    let mut list = List { json: global.json, ticks: Vec::new(), out: Output::new() };
    let is_named = args.http.is_some();
    let address = args.http.map_or_else(Address::usual, Ok);
    let address = address.map_err(|why| Failure::new(Code::InvalidRequest, why))?;
    if let Some(Only::Http) = args.only {
        // Here a door that nobody named must be there, too.
        list.add(http::check(address, true, Aim::of(global)).await.tick)?;
        return list.end();
    }
    let start = std::time::Instant::now();
    match Link::once(global, "check").await {
        Ok(link) => {
            let took = tick::ms(start.elapsed());
            list.add(Tick::good("server", format!("{} let us in after {took}", link.client.server())))?;
            server(&link.client, &mut list).await?;
        }
        Err(failure) => list.add(Tick::failure("server", failure))?,
    }
    let health = http::check(address, is_named, Aim::of(global)).await;
    list.add(health.tick)?;
    list.add(streams::damage(health.door).await)?;
    let folder = args.data.as_deref().unwrap_or(USUAL_DATA.as_ref());
    disk::check(folder, args.data.is_some()).into_iter().try_for_each(|tick| list.add(tick))?;
    list.add(machine::files())?;
    list.add(machine::clock(health.date_s))?;
    list.end()
}

/// What only a server that let us in can be asked.
async fn server(client: &Client, list: &mut List) -> Result<(), Failure> {
    list.add(protocol(&client.info()))?;
    list.add(messages::publish_and_subscribe(client).await)?;
    list.add(messages::request_and_answer(client).await)?;
    list.add(messages::headers(client).await)?;
    list.add(messages::largest(client).await)?;
    list.add(streams::answer(client).await)?;
    // Nothing is left to arrive.
    _ = client.close().await;
    Ok(())
}

fn protocol(info: &Info) -> Tick {
    let what = format!(
        "{} speaks the protocol of NATS {}{}",
        crate::text::payload(info.server_name.as_bytes()),
        crate::text::payload(info.version.as_bytes()),
        if info.tls_required { ", encrypted" } else { "" },
    );
    match info.headers && info.proto >= 1 {
        true => Tick::good("protocol", what),
        false => {
            let fix = "Use a server of protocol 2.2 or newer: without headers there is no envelope and no quick refusal.";
            Tick::bad("protocol", Code::InvalidRequest, format!("{what}, but without headers"), fix)
        }
    }
}

/// The ticks so far.
struct List {
    json: bool,
    ticks: Vec<Tick>,
    out: Output,
}

impl List {
    fn add(&mut self, tick: Tick) -> Result<(), Failure> {
        if !self.json {
            self.out.line(&tick.line())?;
            self.out.flush()?;
        }
        self.ticks.push(tick);
        Ok(())
    }

    fn end(mut self) -> Result<(), Failure> {
        let first_cross = self.ticks.iter().find_map(|t| match t.mark {
            Mark::Bad(code) => Some(code),
            _ => None,
        });
        if self.json {
            let checks: Vec<_> = self.ticks.iter().map(Tick::json).collect();
            self.out.line(&json!({ "ok": first_cross.is_none(), "checks": checks }).to_string())?;
            self.out.flush()?;
        }
        first_cross.map_or(Ok(()), |code| Err(Failure::Said(code)))
    }
}
