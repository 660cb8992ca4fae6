//! What `add` and `edit` can say of a stream.

use client::jetstream::api::{Discard, StreamConfig};
use client::jetstream::nanos;

use crate::streams::api_limit;
use crate::units::{Size, Span};

/// What goes when a limit is reached.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum DiscardArg {
    /// The oldest message
    Old,
    /// The one that comes
    New,
}

/// Everything that can also be changed later.
#[derive(clap::Args, Debug)]
pub(super) struct Limits {
    /// What is stored: patterns, joined by commas or given more than once
    #[arg(short, long, value_name = "PATTERN", value_delimiter = ',')]
    pub(super) subjects: Vec<String>,

    /// What people should know of it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// How long a message is kept, such as 7d; 0: for ever
    #[arg(long, value_name = "TIME")]
    max_age: Option<Span>,

    /// How many bytes are kept, such as 1GiB; 0: no limit
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<Size>,

    /// How many messages are kept; 0: no limit
    #[arg(long, value_name = "N")]
    max_msgs: Option<u64>,

    /// How many messages of each subject are kept; 0: no limit
    #[arg(long, value_name = "N")]
    max_msgs_per_subject: Option<u64>,

    /// How large a message may be; 0: as large as the server takes
    #[arg(long, value_name = "SIZE")]
    max_msg_size: Option<Size>,

    /// What goes when a limit is reached
    #[arg(long, value_name = "WHICH")]
    discard: Option<DiscardArg>,

    /// How long the ids of messages are remembered, so that none is stored twice
    #[arg(long, value_name = "TIME")]
    duplicates: Option<Span>,

    /// Let a message replace all earlier ones of its subject (`Nats-Rollup`)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_rollup: Option<bool>,

    /// Let messages say how long they live (`Nats-TTL`)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_ttl: Option<bool>,

    /// Let single messages be read from any server that has them
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_direct: Option<bool>,
}

impl Limits {
    /// Puts what was said into a configuration, and leaves the rest.
    pub(super) fn apply(&self, config: &mut StreamConfig) {
        if !self.subjects.is_empty() {
            config.subjects.clone_from(&self.subjects);
        }
        put(&mut config.description, self.description.clone());
        put(&mut config.max_age, self.max_age.map(|span| nanos(span.0)));
        put(&mut config.max_bytes, self.max_bytes.map(|size| api_limit(size.0)));
        put(&mut config.max_msgs, self.max_msgs.map(api_limit));
        put(&mut config.max_msgs_per_subject, self.max_msgs_per_subject.map(api_limit));
        put(
            &mut config.max_msg_size,
            self.max_msg_size.map(|size| i32::try_from(api_limit(size.0)).unwrap_or(i32::MAX)),
        );
        let discard = self.discard.map(|which| match which {
            DiscardArg::Old => Discard::Old,
            DiscardArg::New => Discard::New,
        });
        put(&mut config.discard, discard);
        put(&mut config.duplicate_window, self.duplicates.map(|span| nanos(span.0)));
        put(&mut config.allow_rollup_hdrs, self.allow_rollup);
        put(&mut config.allow_msg_ttl, self.allow_ttl);
        put(&mut config.allow_direct, self.allow_direct);
    }
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
