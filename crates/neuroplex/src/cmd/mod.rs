//! The subcommands: one file each, one row each.

mod bench;
mod check;
mod completions;
mod config;
mod consumer;
mod context;
mod demo;
mod explain;
mod kv;
mod man;
mod object;
mod publish;
mod reply;
mod request;
mod stream;
mod subscribe;
mod top;
mod up;

#[cfg(test)]
mod help_tests;

use std::time::Instant;

use kernel::Code;

use crate::failure::Failure;
use crate::global::Global;

/// What `neuroplex` can be asked to do.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Command {
    Up(up::Args),
    Demo(demo::Args),
    #[command(name = "pub")]
    Publish(publish::Args),
    #[command(name = "sub")]
    Subscribe(subscribe::Args),
    Request(request::Args),
    Reply(reply::Args),
    Stream(stream::Args),
    Consumer(consumer::Args),
    Kv(kv::Args),
    Object(object::Args),
    Bench(bench::Args),
    Check(check::Args),
    Top(top::Args),
    Context(context::Args),
    Explain(explain::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Command {
    /// Does it. `started`: when the process began.
    pub(crate) fn run(self, global: &Global, started: Instant) -> Result<(), Failure> {
        match self {
            Command::Up(args) => up::run(global, &args, started),
            Command::Demo(args) => block_on(demo::run(global, args)),
            Command::Publish(args) => block_on(publish::run(global, args)),
            Command::Subscribe(args) => block_on(subscribe::run(global, args)),
            Command::Request(args) => block_on(request::run(global, args)),
            Command::Reply(args) => block_on(reply::run(global, args)),
            Command::Stream(args) => block_on(stream::run(global, args)),
            Command::Consumer(args) => block_on(consumer::run(global, args)),
            Command::Kv(args) => block_on(kv::run(global, args)),
            Command::Object(args) => block_on(object::run(global, args)),
            Command::Bench(args) => bench::run(global, &args),
            Command::Check(args) => block_on(check::run(global, args)),
            Command::Top(args) => block_on(top::run(global, args)),
            Command::Context(args) => context::run(global, args),
            Command::Explain(args) => explain::run(global, &args),
            Command::Config(args) => config::run(global, &args),
            Command::Completions(args) => completions::run(global, &args),
            Command::Man(args) => man::run(global, &args),
        }
    }
}

/// Runs a client's command on this thread.
fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|e| Failure::new(Code::InternalError, format!("the runtime does not start: {e}")))?;
    let done = runtime.block_on(command);
    // A read of stdin that nobody waits for any more must not keep the process.
    runtime.shutdown_background();
    done
}
