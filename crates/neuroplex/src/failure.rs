//! Why a command ends without success, how it is told, and the exit code that it gets.

use std::io;

use kernel::Code;

/// The end of a command that did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// To be told on stderr, in one sentence or two: what, and the fix.
    Told { code: Code, message: String },
    /// The command's own output has said it.
    Said(Code),
    /// Whoever read our output went away; nothing is wrong.
    PipeClosed,
    /// A signal ended what had not come to its end.
    Interrupted,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure::Told { code, message: message.into() }
    }

    /// The exit code: ten times the code's family.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Failure::Told { code, .. } | Failure::Said(code) => code.exit_code(),
            Failure::PipeClosed => 0,
            // As a shell counts SIGINT.
            Failure::Interrupted => 130,
        }
    }

    /// Its code, where it has one.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Failure::Told { code, .. } | Failure::Said(code) => Some(*code),
            Failure::PipeClosed | Failure::Interrupted => None,
        }
    }

    /// What is to be told, without the code.
    pub(crate) fn message(&self) -> &str {
        match self {
            Failure::Told { message, .. } => message,
            _ => "",
        }
    }

    /// What stands on stderr, if anything.
    pub(crate) fn line(&self, json: bool) -> Option<String> {
        let Failure::Told { code, message } = self else { return None };
        Some(match json {
            false => format!("error {} {}: {message}", code.number(), code.name()),
            true => serde_json::json!({ "error": {
                "code": code.name(),
                "number": code.number(),
                "message": message,
                "retry": code.retry().as_str(),
            }})
            .to_string(),
        })
    }
}

impl From<client::Error> for Failure {
    fn from(e: client::Error) -> Failure {
        let wait =
            e.retry_after_ms().map(|ms| format!(" The server asks to wait {ms} ms.")).unwrap_or_default();
        Failure::new(e.code(), format!("{e}. {}", fix(&e)).trim_end().to_owned() + &wait)
    }
}

/// Errors of writing to stdout.
impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Failure {
        match e.kind() {
            io::ErrorKind::BrokenPipe => Failure::PipeClosed,
            _ => Failure::new(
                Code::InternalError,
                format!("cannot write the output: {e}. Check where it goes to."),
            ),
        }
    }
}

/// What helps a person at a command line; the code's own remedy where nothing is closer.
fn fix(e: &client::Error) -> &'static str {
    use client::Error as E;
    match e {
        E::Connect { reason, .. } | E::Tls { reason, .. } if wants_certificate(reason) => {
            "The server asks for a client certificate: --tls-cert FILE --tls-key FILE."
        }
        E::Connect { reason, .. } | E::Tls { reason, .. } if breaks_off(reason) => {
            "If the server expects TLS from the first byte, add --tls-first; if it does not, leave it out. Check, too, that a NATS door listens there (port 4222 by default)."
        }
        E::Url { .. } => {
            "An address is nats://[user:password@]host[:port] or tls://…, in --server or NEUROPLEX_SERVER."
        }
        E::Connect { .. } => "Start a node with `neuroplex up`, or name the server that runs: --server URL.",
        E::Handshake { .. } => {
            "Check that a NATS door listens there (port 4222 by default; 7400 is HTTP); if it expects TLS from the first byte, add --tls-first."
        }
        E::Tls { .. } => {
            "If the server's certificate comes from an authority of your own, name it: --tls-ca FILE."
        }
        E::TlsUnavailable { .. } => {
            "Give the server a certificate, or use nats:// and leave the --tls options out."
        }
        // Their own sentences say what to do.
        E::TlsFiles(_) | E::Name { .. } | E::Io { .. } => "",
        E::NoStreams { .. } => {
            "Use a server that keeps streams, and let this user publish to `$JS.API.>` and hear `_INBOX.>`."
        }
        E::NoStream { .. } => {
            "`neuroplex stream ls` shows what is stored where; `neuroplex stream add NAME --subjects SUBJECT` adds a stream."
        }
        E::Absent(_) => "Check the name; the `ls` of the same command shows what there is.",
        E::Revision { .. } => {
            "Read it again with `neuroplex kv get BUCKET KEY --json` and write with the revision that it has."
        }
        E::Damaged(_) => "Read it again; if it stays so, put it again from its source.",
        E::Api { err_code: 10059, .. } => {
            "`neuroplex stream ls` lists the streams; `neuroplex stream add` makes one."
        }
        E::Api { err_code: 10014, .. } => {
            "`neuroplex consumer ls STREAM` lists the consumers; `neuroplex consumer add` makes one."
        }
        E::Api { err_code: 10037, .. } => {
            "`neuroplex stream info STREAM` says which numbers and subjects it holds."
        }
        E::Api { err_code: 10077, .. } => {
            "The stream is full and refuses what is new: let consumers take messages, or raise its limits with `neuroplex stream edit`."
        }
        E::Api { err_code: 10058, .. } => "`neuroplex stream edit` changes a stream that exists.",
        other => other.code().remedy(),
    }
}

/// The TLS alert certificate_required, however it is spelled. In TLS 1.3 it comes when the client's handshake is over.
fn wants_certificate(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase().replace(['_', ' '], "");
    reason.contains("certificaterequired")
}

/// The two sides did not agree on who speaks first: one closed, or heard what is no TLS.
fn breaks_off(reason: &str) -> bool {
    ["closed the connection during the handshake", "handshake eof", "InvalidContentType", "connection reset"]
        .iter()
        .any(|word| reason.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_a_sentence_with_its_code_and_its_fix() {
        let e = client::Error::Connect { server: "nats://h:1".into(), reason: "connection refused".into() };
        let failure = Failure::from(e);
        assert_eq!(failure.exit_code(), 10);
        let line = failure.line(false).unwrap();
        assert!(
            line.starts_with(
                "error 1001 CONNECTION_ERROR: cannot connect to nats://h:1: connection refused. "
            )
        );
        let json: serde_json::Value = serde_json::from_str(&failure.line(true).unwrap()).unwrap();
        assert_eq!(
            (json["error"]["number"].as_u64(), json["error"]["retry"].as_str()),
            (Some(1001), Some("yes"))
        );
    }

    #[test]
    fn what_tls_lacks_is_named_by_its_option() {
        let server = || "tls://h:1".to_owned();
        for (reason, option) in [
            ("received fatal alert: CertificateRequired", "--tls-cert FILE --tls-key FILE"),
            ("received fatal alert: certificate required", "--tls-cert FILE --tls-key FILE"),
            ("it closed the connection during the handshake", "--tls-first"),
            ("tls handshake eof", "--tls-first"),
            ("received corrupt message of type InvalidContentType", "leave it out"),
        ] {
            for e in [
                client::Error::Tls { server: server(), reason: reason.into() },
                client::Error::Connect { server: server(), reason: reason.into() },
            ] {
                assert!(fix(&e).contains(option), "{reason}: {}", fix(&e));
            }
        }
        let unknown = client::Error::Tls { server: server(), reason: "UnknownIssuer".into() };
        assert!(fix(&unknown).contains("--tls-ca"));
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit_code(), failure.line(false)), (0, None));
    }
}
