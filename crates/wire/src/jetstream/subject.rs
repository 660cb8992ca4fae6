//! The request subjects below `$JS.API.`: one table of what can be asked, read and written without allocation. Whether
//! names are legal and things exist is *not* decided here, and a subject that is not in the table is nobody's: the real
//! server does not answer it either.

use std::fmt;

use super::Fault;

/// What every request subject begins with.
pub const PREFIX: &str = "$JS.API.";

macro_rules! calls {
    ($($(#[$doc:meta])* $variant:ident $head:literal ($($field:ident),*) $kind:literal)*) => {
        /// A request, by its subject.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Call<'a> {
            $($(#[$doc])* $variant {
                $(#[doc = concat!("The ", stringify!($field), " that is meant.")] $field: &'a str,)*
            },)*
            /// Create or change a consumer, whose name and filter may stand in the subject.
            ConsumerCreate {
                /// The stream that is meant.
                stream: &'a str,
                /// The consumer's name.
                consumer: Option<&'a str>,
                /// What it hears: the rest of the subject.
                filter: Option<&'a str>,
            },
            /// A message, answered as it is.
            DirectGet {
                /// The stream that is meant.
                stream: &'a str,
                /// The subject whose last message is wanted: the rest of the request's subject.
                subject: Option<&'a str>,
            },
            /// What we do not do.
            Refused(Refusal),
        }

        impl<'a> Call<'a> {
            fn uniform(tail: &'a str) -> Option<Call<'a>> {
                $(if let Some([$($field),*]) = tokens(tail.strip_prefix($head)) {
                    return Some(Call::$variant { $($field),* });
                })*
                None
            }

            /// The `type` of its answer; empty where the answer is no document.
            pub fn answer_type(&self) -> &'static str {
                match self {
                    $(Call::$variant { .. } => $kind,)*
                    Call::ConsumerCreate { .. } => "io.nats.jetstream.api.v1.consumer_create_response",
                    Call::DirectGet { .. } => "",
                    Call::Refused(what) => what.answer_type(),
                }
            }

            fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Call::$variant { $($field),* } => {
                        f.write_str($head)?;
                        $(write!(f, ".{}", $field)?;)*
                        Ok(())
                    })*
                    Call::ConsumerCreate { stream, consumer, filter } => {
                        write!(f, "CONSUMER.CREATE.{stream}")?;
                        rest(f, *consumer)?;
                        rest(f, *filter)
                    }
                    Call::DirectGet { stream, subject } => {
                        write!(f, "DIRECT.GET.{stream}")?;
                        rest(f, *subject)
                    }
                    Call::Refused(what) => f.write_str(what.head()),
                }
            }
        }
    };
}

macro_rules! refusals {
    ($($variant:ident $head:literal $tokens:literal $kind:literal)*) => {
        /// A request that is known and refused, with [`Refusal::fault`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Refusal { $(#[doc = concat!("`", $head, "`")] $variant,)* }

        impl Refusal {
            /// Every one.
            pub const ALL: &[Refusal] = &[$(Refusal::$variant),*];

            fn read(tail: &str) -> Option<Refusal> {
                $(if tokens::<$tokens>(tail.strip_prefix($head)).is_some() {
                    return Some(Refusal::$variant);
                })*
                None
            }

            fn head(self) -> &'static str {
                match self { $(Refusal::$variant => $head,)* }
            }

            fn answer_type(self) -> &'static str {
                match self { $(Refusal::$variant => $kind,)* }
            }
        }
    };
}

calls! {
    /// Messages for a pull consumer.
    ConsumerNext "CONSUMER.MSG.NEXT" (stream, consumer) ""
    /// The account's limits and use.
    AccountInfo "INFO" () "io.nats.jetstream.api.v1.account_info_response"
    /// Create a stream.
    StreamCreate "STREAM.CREATE" (stream) "io.nats.jetstream.api.v1.stream_create_response"
    /// Change a stream.
    StreamUpdate "STREAM.UPDATE" (stream) "io.nats.jetstream.api.v1.stream_update_response"
    /// A stream's configuration and state.
    StreamInfo "STREAM.INFO" (stream) "io.nats.jetstream.api.v1.stream_info_response"
    /// Names of streams.
    StreamNames "STREAM.NAMES" () "io.nats.jetstream.api.v1.stream_names_response"
    /// Configuration and state of streams.
    StreamList "STREAM.LIST" () "io.nats.jetstream.api.v1.stream_list_response"
    /// Delete a stream.
    StreamDelete "STREAM.DELETE" (stream) "io.nats.jetstream.api.v1.stream_delete_response"
    /// Delete messages of a stream.
    StreamPurge "STREAM.PURGE" (stream) "io.nats.jetstream.api.v1.stream_purge_response"
    /// A message, as a document.
    MsgGet "STREAM.MSG.GET" (stream) "io.nats.jetstream.api.v1.stream_msg_get_response"
    /// Delete a message.
    MsgDelete "STREAM.MSG.DELETE" (stream) "io.nats.jetstream.api.v1.stream_msg_delete_response"
    /// Create or change a durable consumer: the older form.
    DurableCreate "CONSUMER.DURABLE.CREATE" (stream, consumer) "io.nats.jetstream.api.v1.consumer_create_response"
    /// A consumer's configuration and state.
    ConsumerInfo "CONSUMER.INFO" (stream, consumer) "io.nats.jetstream.api.v1.consumer_info_response"
    /// Names of a stream's consumers.
    ConsumerNames "CONSUMER.NAMES" (stream) "io.nats.jetstream.api.v1.consumer_names_response"
    /// Configuration and state of a stream's consumers.
    ConsumerList "CONSUMER.LIST" (stream) "io.nats.jetstream.api.v1.consumer_list_response"
    /// Delete a consumer.
    ConsumerDelete "CONSUMER.DELETE" (stream, consumer) "io.nats.jetstream.api.v1.consumer_delete_response"
    /// Stop deliveries for a time, or go on.
    ConsumerPause "CONSUMER.PAUSE" (stream, consumer) "io.nats.jetstream.api.v1.consumer_pause_response"
    /// Begin again.
    ConsumerReset "CONSUMER.RESET" (stream, consumer) "io.nats.jetstream.api.v1.consumer_reset_response"
    /// Let go of the client that a priority group is pinned to.
    ConsumerUnpin "CONSUMER.UNPIN" (stream, consumer) "io.nats.jetstream.api.v1.consumer_unpin_response"
}

refusals! {
    StreamSnapshot "STREAM.SNAPSHOT" 1 "io.nats.jetstream.api.v1.stream_snapshot_response"
    StreamRestore "STREAM.RESTORE" 1 "io.nats.jetstream.api.v1.stream_restore_response"
    StreamStepDown "STREAM.LEADER.STEPDOWN" 1 "io.nats.jetstream.api.v1.stream_leader_stepdown_response"
    StreamRemovePeer "STREAM.PEER.REMOVE" 1 "io.nats.jetstream.api.v1.stream_remove_peer_response"
    StreamEvacuatePeer "STREAM.PEER.EVACUATE" 1 "io.nats.jetstream.api.v1.stream_evacuate_peer_response"
    StreamCancelMove "STREAM.CANCEL_MOVE" 1 "io.nats.jetstream.api.v1.stream_cancel_move_response"
    ConsumerStepDown "CONSUMER.LEADER.STEPDOWN" 2 "io.nats.jetstream.api.v1.consumer_leader_stepdown_response"
    ConsumerRemovePeer "CONSUMER.PEER.REMOVE" 2 "io.nats.jetstream.api.v1.consumer_remove_peer_response"
    ConsumerEvacuatePeer "CONSUMER.PEER.EVACUATE" 2 "io.nats.jetstream.api.v1.consumer_evacuate_peer_response"
}

impl Refusal {
    /// What it is refused with.
    pub fn fault(self) -> Fault {
        match self {
            Refusal::StreamSnapshot | Refusal::StreamRestore => Fault::BadRequest,
            _ => Fault::ClusterRequired,
        }
    }
}

impl<'a> Call<'a> {
    /// Reads a request subject, `$JS.API.…`.
    pub fn parse(subject: &'a [u8]) -> Option<Call<'a>> {
        Call::parse_tail(std::str::from_utf8(subject.strip_prefix(PREFIX.as_bytes())?).ok()?)
    }

    /// Reads a request subject of a domain, `$JS.<domain>.API.…`.
    pub fn parse_in(domain: &str, subject: &'a [u8]) -> Option<Call<'a>> {
        let tail = subject.strip_prefix(b"$JS.")?.strip_prefix(domain.as_bytes())?.strip_prefix(b".API.")?;
        Call::parse_tail(std::str::from_utf8(tail).ok()?)
    }

    /// Reads what follows [`PREFIX`].
    pub fn parse_tail(tail: &'a str) -> Option<Call<'a>> {
        Call::uniform(tail)
            .or_else(|| Call::consumer_create(tail))
            .or_else(|| Call::direct_get(tail))
            .or_else(|| Refusal::read(tail).map(Call::Refused))
    }

    fn consumer_create(tail: &'a str) -> Option<Call<'a>> {
        let (stream, more) = first(tail.strip_prefix("CONSUMER.CREATE.")?)?;
        let (consumer, filter) = match more {
            Some(more) => {
                let (consumer, filter) = first(more)?;
                (Some(consumer), filter)
            }
            None => (None, None),
        };
        Some(Call::ConsumerCreate { stream, consumer, filter })
    }

    fn direct_get(tail: &'a str) -> Option<Call<'a>> {
        let (stream, subject) = first(tail.strip_prefix("DIRECT.GET.")?)?;
        Some(Call::DirectGet { stream, subject })
    }

    /// The stream that is meant, if the subject names one.
    pub fn stream(&self) -> Option<&'a str> {
        match *self {
            Call::AccountInfo {} | Call::StreamNames {} | Call::StreamList {} | Call::Refused(_) => None,
            Call::StreamCreate { stream }
            | Call::StreamUpdate { stream }
            | Call::StreamInfo { stream }
            | Call::StreamDelete { stream }
            | Call::StreamPurge { stream }
            | Call::MsgGet { stream }
            | Call::MsgDelete { stream }
            | Call::DirectGet { stream, .. }
            | Call::ConsumerNames { stream }
            | Call::ConsumerList { stream }
            | Call::ConsumerCreate { stream, .. }
            | Call::ConsumerNext { stream, .. }
            | Call::DurableCreate { stream, .. }
            | Call::ConsumerInfo { stream, .. }
            | Call::ConsumerDelete { stream, .. }
            | Call::ConsumerPause { stream, .. }
            | Call::ConsumerReset { stream, .. }
            | Call::ConsumerUnpin { stream, .. } => Some(stream),
        }
    }
}

/// The whole subject, with [`PREFIX`]; of a [`Refusal`] without the names that follow.
impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.write(f)
    }
}

fn rest(f: &mut fmt::Formatter<'_>, token: Option<&str>) -> fmt::Result {
    match token {
        Some(token) => write!(f, ".{token}"),
        None => Ok(()),
    }
}

/// Exactly `N` tokens, each behind a dot; none of them empty.
fn tokens<const N: usize>(rest: Option<&str>) -> Option<[&str; N]> {
    let mut parts = rest?.split('.');
    let mut all = [""; N];
    if !parts.next()?.is_empty() {
        return None;
    }
    for token in &mut all {
        *token = parts.next().filter(|t| !t.is_empty())?;
    }
    parts.next().is_none().then_some(all)
}

/// The first token, and what follows its dot; no token empty.
fn first(text: &str) -> Option<(&str, Option<&str>)> {
    if text.split('.').any(str::is_empty) {
        return None;
    }
    match text.split_once('.') {
        Some((token, more)) => Some((token, Some(more))),
        None => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read_and_written() {
        use Call::*;
        for (subject, call) in [
            ("INFO", AccountInfo {}),
            ("STREAM.CREATE.S", StreamCreate { stream: "S" }),
            ("STREAM.NAMES", StreamNames {}),
            ("STREAM.MSG.GET.S", MsgGet { stream: "S" }),
            ("DIRECT.GET.S", DirectGet { stream: "S", subject: None }),
            ("DIRECT.GET.S.a.b", DirectGet { stream: "S", subject: Some("a.b") }),
            ("CONSUMER.CREATE.S", ConsumerCreate { stream: "S", consumer: None, filter: None }),
            ("CONSUMER.CREATE.S.C", ConsumerCreate { stream: "S", consumer: Some("C"), filter: None }),
            (
                "CONSUMER.CREATE.S.C.a.>",
                ConsumerCreate { stream: "S", consumer: Some("C"), filter: Some("a.>") },
            ),
            ("CONSUMER.DURABLE.CREATE.S.C", DurableCreate { stream: "S", consumer: "C" }),
            ("CONSUMER.MSG.NEXT.S.C", ConsumerNext { stream: "S", consumer: "C" }),
            ("CONSUMER.UNPIN.S.C", ConsumerUnpin { stream: "S", consumer: "C" }),
        ] {
            let whole = format!("{PREFIX}{subject}");
            assert_eq!(Call::parse(whole.as_bytes()), Some(call), "{whole}");
            assert_eq!(call.to_string(), whole);
            let domain = format!("$JS.hub.API.{subject}");
            assert_eq!(Call::parse_in("hub", domain.as_bytes()), Some(call));
            assert_eq!(Call::parse(domain.as_bytes()), None);
        }
    }

    #[test]
    fn what_we_refuse_is_known_and_what_nobody_answers_is_not() {
        let down = Call::parse(b"$JS.API.STREAM.LEADER.STEPDOWN.S").unwrap();
        assert_eq!(down, Call::Refused(Refusal::StreamStepDown));
        assert_eq!(down.answer_type(), "io.nats.jetstream.api.v1.stream_leader_stepdown_response");
        assert_eq!(Refusal::StreamStepDown.fault(), Fault::ClusterRequired);
        for silent in [
            "",
            "NOTHING",
            "STREAM.SING.S",
            "STREAM.INFO",
            "STREAM.CREATE.a.b",
            "STREAM.CREATE.",
            "INFO.x",
            "CONSUMER.CREATE.",
            "CONSUMER.CREATE.S.",
            "CONSUMER.CREATE.S.C.",
            "CONSUMER.MSG.NEXT.S",
            "DIRECT.GET.S..a",
            "META.LEADER.STEPDOWN",
        ] {
            assert_eq!(Call::parse(format!("{PREFIX}{silent}").as_bytes()), None, "{silent}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Call::parse(&bytes);
        }

        #[test]
        fn what_is_read_is_written_again(tail in "(STREAM|CONSUMER|DIRECT|MSG|GET|CREATE|INFO|NEXT|PAUSE|a|b|\\.){1,12}") {
            let subject = format!("{PREFIX}{tail}");
            match Call::parse(subject.as_bytes()) {
                None | Some(Call::Refused(_)) => {}
                Some(call) => prop_assert_eq!(call.to_string(), subject),
            }
        }
    }
}
