//! What a publish costs before anybody is served: finding the cached route, checking that it is current and reading
//! its verdict. Prints `ns_per_check`. A microbenchmark: everything is in the processor's nearest cache.

use std::hint::black_box;
use std::time::Instant;

use auth::options::{Options, User};
use auth::{Accounts, Credentials};
use fabric::{Hub, Limits, Session, Woken};
use kernel::Msg;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lists = |word: &str| (0..20).map(|n| format!("{word}.{n}.>")).collect();
    let user = User {
        token: "t".into(),
        publish_allow: lists("agents"),
        publish_deny: lists("agents.*.secret"),
        ..User::default()
    };
    let accounts = Accounts::new(&Options { users: vec![user] })?;
    let limits = Limits {
        connections_max: 10,
        subscriptions_max: 10,
        outbox_bytes_max: 1 << 20,
        outboxes_bytes_max: 1 << 20,
        interest_bytes_max: 1 << 20,
    };
    let hub = Hub::new(accounts, limits, 1);
    let who = hub.accounts().authenticate(Credentials { token: "t", ..Credentials::default() })?;
    let mut session = Session::new(&hub, who);
    let mut woken = Woken::default();
    let m = Msg { subject: b"agents.19.planner.tasks", payload: b"0123456789abcdef", ..Msg::default() };
    const ROUND: u32 = 1_000_000;
    let mut rounds: Vec<f64> = (0..21)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..ROUND {
                let _ = black_box(session.publish(black_box(&m), &mut woken));
            }
            start.elapsed().as_nanos() as f64 / f64::from(ROUND)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("ns_per_check {:.2}", rounds[rounds.len() / 2]);
    Ok(())
}
