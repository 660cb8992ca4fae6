//! What a client that asked for it is told instead of having it put right. Whether the configuration is allowed at all
//! is *not* asked here.

use wire::jetstream::ConsumerConfig;

use super::refusal::Refusal;

/// Refuses a configuration, as it came in, that [`super::config::check`] would change.
pub fn check_pedantic(c: &ConsumerConfig) -> Result<(), Refusal> {
    let first = c.backoff.first();
    for (wrong, why) in [
        (c.max_deliver < -1, "max_deliver must be set to -1"),
        (c.max_waiting < 0, "max_waiting must not be negative"),
        (first.is_some_and(|first| *first != c.ack_wait), "first backoff value has to equal batch AckWait"),
        (c.max_ack_pending < -1, "max_ack_pending must be set to -1"),
        (c.max_batch < 0, "max_batch must not be negative"),
        (c.max_expires < 0, "max_expires must not be negative"),
        (c.max_bytes < 0, "max_bytes must not be negative"),
        (c.idle_heartbeat < 0, "idle_heartbeat must not be negative"),
        (c.inactive_threshold < 0, "inactive_threshold must not be negative"),
        (c.priority_timeout < 0, "priority_timeout must not be negative"),
    ] {
        if wrong {
            return Err(Refusal::Pedantic(why));
        }
    }
    Ok(())
}
