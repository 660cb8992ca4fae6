//! A wrong file gets one sentence that names it and the fix.

use kernel::Code;
use net::tls::{self, Identity, Trust};

use crate::pki::Pki;

fn sentence(result: Result<impl Sized, net::Error>) -> String {
    let error = result.err().expect("the configuration was accepted");
    assert_eq!(error.code(), Code::ConfigInvalid);
    error.to_string()
}

#[test]
fn a_wrong_file_is_named_with_its_fix() {
    let pki = Pki::new();
    let (certificate, key) = pki.issue("localhost");
    let (_, other_key) = pki.issue("other");
    let (absent, empty) = (pki.path("absent.pem"), pki.write("empty.pem", "hello"));
    let damaged = pki.write("damaged.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let nonsense =
        pki.write("nonsense.pem", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n");

    for (certificate, key, words) in [
        (&absent, &key, ["absent.pem", "cannot read"]),
        (&certificate, &absent, ["absent.pem", "cannot read"]),
        (&empty, &key, ["empty.pem", "BEGIN CERTIFICATE"]),
        (&certificate, &empty, ["empty.pem", "BEGIN PRIVATE KEY"]),
        (&damaged, &key, ["damaged.pem", "write it again"]),
        (&certificate, &other_key, ["other.key", "does not fit"]),
    ] {
        let said = sentence(tls::server(Identity { certificate, key }, None, &[]));
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    let said = sentence(tls::client(Trust::File(&nonsense), None));
    assert!(said.contains("nonsense.pem") && said.contains("authority"), "{said}");
    let said = sentence(tls::server(Identity { certificate: &certificate, key: &key }, Some(&absent), &[]));
    assert!(said.contains("absent.pem"), "{said}");
}
