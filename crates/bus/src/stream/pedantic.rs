//! What a client that asked for it is told instead of having it put right: values that make no sense, and settings
//! that need others. Whether the configuration is allowed at all is *not* asked here.

use wire::jetstream::StreamConfig;

use super::Refusal;

/// Refuses a configuration, as it came in, that [`super::check`] would change.
pub fn check_pedantic(config: &StreamConfig) -> Result<(), Refusal> {
    for (limit, why) in [
        (config.max_msgs, "max_msgs must be set to -1"),
        (config.max_msgs_per_subject, "max_msgs_per_subject must be set to -1"),
        (config.max_bytes, "max_bytes must be set to -1"),
        (config.max_msg_size.into(), "max_msg_size must be set to -1"),
        (config.max_consumers, "max_consumers must be set to -1"),
    ] {
        if limit < -1 {
            return Err(Refusal::Pedantic(why));
        }
    }
    if config.subject_delete_marker_ttl <= 0 {
        return Ok(());
    }
    for (wrong, why) in [
        (!config.allow_msg_ttl, "subject delete marker cannot be set if message TTLs are disabled"),
        (!config.allow_rollup_hdrs, "subject delete marker cannot be set if roll-ups are disabled"),
    ] {
        if wrong {
            return Err(Refusal::ConfigInvalid(why.into()));
        }
    }
    Ok(())
}
