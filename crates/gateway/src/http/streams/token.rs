//! The token by which a client acknowledges a delivery: the delivery's own subject, in letters that travel everywhere.
//! It is opaque to clients, and taken back only by the consumer that gave it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wire::jetstream::ack::Delivery;

/// The token of a delivery.
pub(super) fn write(subject: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(subject)
}

/// The subject that a token stands for, if it is one of this consumer's.
pub(super) fn read(token: &str, stream: &str, consumer: &str) -> Option<Vec<u8>> {
    let subject = URL_SAFE_NO_PAD.decode(token).ok()?;
    let delivery = Delivery::parse(&subject)?;
    let mut again = Vec::with_capacity(subject.len());
    delivery.write(&mut again);
    // One way of writing it only, so that nothing else than a delivery's subject is ever published.
    let is_own = delivery.stream == stream && delivery.consumer == consumer;
    (is_own && again == subject).then_some(subject)
}

/// The place of the delivery among all of its consumer.
pub(super) fn consumer_seq(subject: &[u8]) -> u64 {
    Delivery::parse(subject).map_or(0, |delivery| delivery.consumer_seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SUBJECT: &[u8] = b"$JS.ACK.S.C.1.2.3.4.5";

    #[test]
    fn a_token_is_taken_back_by_its_consumer_only() {
        let token = write(SUBJECT);
        assert_eq!(read(&token, "S", "C").as_deref(), Some(SUBJECT));
        assert_eq!(read(&token, "S", "D"), None);
        assert_eq!(read(&token, "T", "C"), None);
        for forged in [
            &b"$JS.API.STREAM.DELETE.S"[..],
            b"$JS.ACK.S.C.01.2.3.4.5",
            b"$JS.ACK._.x.S.C.1.2.3.4.5",
            b"$JS.ACK.S.C.1.2.3.4.5.6",
            b"$JS.ACK.S.C.1.2.3.4",
            b"$JS.ACK.S.*.1.2.3.4.5",
            b"$JS.ACK.S.C.1.2.3.4.5\r\nPUB a 1\r\nx",
            b"",
        ] {
            assert_eq!(read(&write(forged), "S", "C"), None, "{}", String::from_utf8_lossy(forged));
        }
        assert_eq!(read(&format!("{token}="), "S", "C"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(token in "\\PC{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (read(&token, "S", "C"), read(&write(&bytes), "S", "C"));
        }
    }
}
