//! The one table of error codes: number, name, retry answer, HTTP status, and what a person needs to know. Doors
//! translate codes into their protocol's errors; they do *not* invent their own.

use std::fmt;

/// Whether the same request may succeed when sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It will fail again.
    No,
    /// It may succeed; wait as the retry policy says.
    Yes,
    /// It may succeed after the time that the error names.
    After,
}

impl Retry {
    /// The answer in one word: `no`, `yes`, `after`.
    pub fn as_str(self) -> &'static str {
        match self {
            Retry::No => "no",
            Retry::Yes => "yes",
            Retry::After => "after",
        }
    }
}

/// A row of the table.
struct Row {
    number: u16,
    name: &'static str,
    retry: Retry,
    http: u16,
    meaning: &'static str,
    state: &'static str,
    remedy: &'static str,
}

macro_rules! codes {
    ($($variant:ident = $number:literal $name:literal $retry:ident $http:literal
        { $meaning:literal $state:literal $remedy:literal })*) => {
        /// An error code. `Display` prints its name; [`Code::number`] its number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Code {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &[Code] = &[$(Code::$variant),*];

            fn row(self) -> &'static Row {
                match self {
                    $(Code::$variant => &Row {
                        number: $number, name: $name, retry: Retry::$retry, http: $http,
                        meaning: $meaning, state: $state, remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

codes! {
    ConnectionError = 1001 "CONNECTION_ERROR" Yes 502 {
        "The network connection failed or could not be made."
        "A message without acknowledgement may or may not have arrived; nothing else changed."
        "Check that the server runs and that the address is right: `neuroplex check --server URL`. Then send again."
    }
    Timeout = 1002 "TIMEOUT" Yes 504 {
        "No answer came within the time allowed."
        "The request may still be carried out; its late answer is dropped."
        "Send again if doing it twice is harmless, or allow more time with `--timeout-ms`."
    }
    ServiceUnavailable = 1003 "SERVICE_UNAVAILABLE" Yes 503 {
        "The node is starting or is about to stop and takes no new work."
        "Nothing was done."
        "Try again, or connect to another node."
    }
    AddressInUse = 1004 "ADDRESS_IN_USE" No 500 {
        "Another program listens on the address that a door wants."
        "The node did not start; nothing was changed."
        "Stop the other program, or give the door another address: `--nats 127.0.0.1:4223`, `--http 127.0.0.1:7401`."
    }
    SlowConsumer = 1005 "SLOW_CONSUMER" Yes 503 {
        "A client did not read fast enough and more than its limit of bytes waited for it."
        "The connection was closed and what waited for it was dropped; others were slowed for milliseconds at most."
        "Read faster, share the work among a queue group, or raise `nats.outbox_bytes_max`."
    }
    AuthFailed = 2001 "AUTH_FAILED" No 401 {
        "The credentials are missing, wrong, expired or revoked."
        "Nothing was done; the connection was closed."
        "Give the right user and password, or token, in the server's URL. A client refreshes a token once."
    }
    PermissionDenied = 2002 "PERMISSION_DENIED" No 403 {
        "Who you are is known, but you may not do this."
        "The message was not delivered, or the subscription not made; the connection stays open."
        "Ask for the permission: the lists `publish_allow` and `subscribe_allow` of your user in the configuration."
    }
    RateLimited = 2003 "RATE_LIMITED" After 429 {
        "More requests came than the limit allows."
        "The request was not carried out."
        "Wait for the time that the answer names, then send again."
    }
    TlsRequired = 2004 "TLS_REQUIRED" No 403 {
        "A door would speak without encryption on an address that other machines can reach."
        "The node did not start, or the connection was closed; nothing was changed."
        "Give the door a certificate and users, listen on 127.0.0.1, or open this door on purpose with `security.allow_plaintext = [\"nats\"]`."
    }
    ModelNotFound = 3001 "MODEL_NOT_FOUND" No 404 {
        "No node serves the model that was asked for."
        "Nothing was done."
        "Check the model's name, or load it first."
    }
    ModelOverloaded = 3002 "MODEL_OVERLOADED" After 503 {
        "The model's queue is full."
        "The request was not queued."
        "Wait for `retry_after_ms`, then send again; a fallback may be available at once."
    }
    InvalidRequest = 4001 "INVALID_REQUEST" No 400 {
        "The request is malformed or contradicts itself."
        "Nothing was done."
        "Correct the request; the message says which part is wrong."
    }
    ConfigInvalid = 4002 "CONFIG_INVALID" No 400 {
        "The configuration cannot be read, names an unknown key, or has a value out of bounds."
        "The node did not start; nothing was changed."
        "Correct the line that the message names; `neuroplex config check --config FILE` tests it, `neuroplex config show` lists every key."
    }
    SubjectInvalid = 4003 "SUBJECT_INVALID" No 400 {
        "A subject or pattern has an empty token, white space, a misplaced wildcard, or is too long."
        "The message was not delivered, or the subscription not made."
        "Join tokens by `.`; `*` stands for one token, `>` for the rest and stands last; subjects of messages have no wildcards."
    }
    LimitExceeded = 4004 "LIMIT_EXCEEDED" No 429 {
        "A limit on connections, subscriptions or the length of a line was reached."
        "What was there before stays as it was; the new thing was refused. A line that is too long closes the connection."
        "Close what is not needed, or raise the limit that the message names."
    }
    InternalError = 5001 "INTERNAL_ERROR" Yes 500 {
        "The server failed in a way that it should not."
        "The request may be half known to other nodes; acknowledged messages are safe."
        "Send again. If it persists, report it with the log's lines around it: it is a bug in neuroplex."
    }
    DataFolderInUse = 5002 "DATA_FOLDER_IN_USE" No 500 {
        "Another neuroplex process uses the data folder."
        "The node did not start; the folder was not touched."
        "Stop the other process, or give this one its own folder: `--data DIR`."
    }
    DataFolderUnusable = 5003 "DATA_FOLDER_UNUSABLE" No 500 {
        "The data folder cannot be read or written, another version of neuroplex wrote it, or files in it are missing or older \
         than they should be."
        "The node did not start; the folder was not changed."
        "Check the folder's rights and free space; open a newer version's folder with that version; put back what is missing, \
         or follow the sentence to go on without it."
    }
    StoreFailed = 5004 "STORE_FAILED" No 500 {
        "The disk failed to write or to sync the journal."
        "What was acknowledged before is safe; nothing more is stored until the node starts again."
        "Look at the disk and the system's log, then start the node again: what the disk does not hold is left out."
    }
    DiskFull = 5005 "DISK_FULL" No 507 {
        "The disk, or the quota, of the data folder is full."
        "What was acknowledged before is safe; nothing more is stored until the node starts again."
        "Free space or move the data folder to a larger disk, then start the node again."
    }
    NoResponders = 6001 "NO_RESPONDERS" Yes 503 {
        "Nobody listens on the subject of the request."
        "The request was delivered to nobody."
        "Start the service that answers, or check the subject's spelling: `neuroplex sub SUBJECT` shows what arrives."
    }
    StreamNotFound = 6002 "STREAM_NOT_FOUND" No 404 {
        "There is no stream of that name."
        "Nothing was done."
        "Check the name, or create the stream first."
    }
    Backpressure = 6003 "BACKPRESSURE" After 503 {
        "The listener that must take the message is full."
        "The message was not stored; earlier ones are safe."
        "Wait for `retry_after_ms`, then send the same message with the same id."
    }
    StaleLease = 6004 "STALE_LEASE" No 409 {
        "The delivery that is acknowledged has since been given to another consumer."
        "The acknowledgement changed nothing."
        "Drop the work's result, or make its effect repeatable; the new holder acknowledges."
    }
    DuplicateMismatch = 6005 "DUPLICATE_MISMATCH" No 409 {
        "The producer's sequence number was used before, for other content."
        "The message was not stored; the first one stays."
        "Give every message its own number; restart the producer with a higher epoch."
    }
    FilterInvalid = 6006 "FILTER_INVALID" No 400 {
        "The filter's expression cannot be read or is too large."
        "The subscription was not made."
        "Correct the expression at the place that the message names."
    }
    PayloadTooLarge = 6007 "PAYLOAD_TOO_LARGE" No 413 {
        "Headers and payload together are larger than the limit."
        "The message was not delivered; on the NATS door the connection was closed."
        "Split the content, store it as an object and send its name, or raise `nats.payload_bytes_max`."
    }
    NotFound = 6008 "NOT_FOUND" No 404 {
        "There is no consumer, message, key or object of that name."
        "Nothing was done."
        "Check the name: `neuroplex consumer ls STREAM`, `neuroplex kv ls BUCKET`, `neuroplex object ls BUCKET` list what is there."
    }
    Conflict = 6009 "CONFLICT" No 409 {
        "What should be changed is not as the request expects it: another revision, another last sequence, or it is there already."
        "Nothing was done."
        "Read it again, decide anew, and send the change with the revision that was read."
    }
}

impl Code {
    /// The number, such as 3002.
    pub fn number(self) -> u16 {
        self.row().number
    }

    /// The name, such as `MODEL_OVERLOADED`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether to send again.
    pub fn retry(self) -> Retry {
        self.row().retry
    }

    /// The HTTP status that carries it.
    pub fn http_status(self) -> u16 {
        self.row().http
    }

    /// What it means, in one sentence.
    pub fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// What happened to the state.
    pub fn state(self) -> &'static str {
        self.row().state
    }

    /// What to do.
    pub fn remedy(self) -> &'static str {
        self.row().remedy
    }

    /// The exit code of a command that ends with it: ten times the family, so 1xxx is 10 and 6xxx is 60.
    pub fn exit_code(self) -> u8 {
        (self.number() / 1000 * 10) as u8
    }

    /// The code with this number.
    pub fn from_number(number: u16) -> Option<Code> {
        Code::ALL.iter().copied().find(|c| c.number() == number)
    }

    /// The code with this name; upper and lower case are the same.
    pub fn from_name(name: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|c| c.name().eq_ignore_ascii_case(name))
    }

    /// The page of all codes, as `docs/errors/README.md` holds it.
    pub fn page() -> String {
        let mut page = String::from(
            "# Error codes\n\nGenerated from the table in `crates/kernel/src/code.rs`: \
             `neuroplex explain --all > docs/errors/README.md`.\n\n\
             A command that fails exits with ten times the code's family: 10 for 1xxx, 60 for 6xxx; 2 is wrong usage.\n",
        );
        for code in Code::ALL {
            page.push_str(&code.paragraph());
        }
        page
    }

    /// What `neuroplex explain` prints: one section of the page.
    pub fn paragraph(self) -> String {
        let Row { number, name, retry, http, meaning, state, remedy } = self.row();
        format!(
            "\n## {number} {name}\n\n{meaning}\n\n- **State:** {state}\n- **What to do:** {remedy}\n\
             - **Retry:** {} · **HTTP status:** {http}\n",
            retry.as_str()
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for Code {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_in_order() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{pair:?}");
            assert_ne!(pair[0].name(), pair[1].name());
        }
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(*code));
            assert_eq!(Code::from_name(&code.name().to_lowercase()), Some(*code));
        }
    }

    #[test]
    fn the_published_numbers_and_retry_answers_hold() {
        use Retry::*;
        for (number, name, retry) in [
            (1001, "CONNECTION_ERROR", Yes),
            (1002, "TIMEOUT", Yes),
            (1003, "SERVICE_UNAVAILABLE", Yes),
            (2001, "AUTH_FAILED", No),
            (2002, "PERMISSION_DENIED", No),
            (2003, "RATE_LIMITED", After),
            (3001, "MODEL_NOT_FOUND", No),
            (3002, "MODEL_OVERLOADED", After),
            (4001, "INVALID_REQUEST", No),
            (5001, "INTERNAL_ERROR", Yes),
            (6001, "NO_RESPONDERS", Yes),
            (6007, "PAYLOAD_TOO_LARGE", No),
        ] {
            let code = Code::from_number(number).unwrap();
            assert_eq!((code.name(), code.retry()), (name, retry));
        }
        assert_eq!(Code::ModelOverloaded.exit_code(), 30);
    }
}
