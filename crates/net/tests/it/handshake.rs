//! Who gets through a handshake and who does not.

use std::sync::Arc;

use net::tls::{self, Identity, Trust};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use crate::pki::Pki;

/// Passes bytes from one to the other until neither has more to say.
fn shake(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Result<(), rustls::Error> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(())
}

#[test]
fn a_client_trusts_a_server_of_its_authority_only() {
    let (ours, theirs) = (Pki::new(), Pki::new());
    let (certificate, key) = ours.issue("localhost");
    let server = tls::server(Identity { certificate: &certificate, key: &key }, None, &[]).unwrap();
    let knows = tls::client(Trust::File(&ours.ca()), None).unwrap();
    let stranger = tls::client(Trust::File(&theirs.ca()), None).unwrap();
    assert_eq!(shake(knows, server.clone()), Ok(()));
    assert!(shake(stranger, server).is_err());
}

#[test]
fn a_client_refuses_a_server_of_another_name() {
    let pki = Pki::new();
    let (certificate, key) = pki.issue("elsewhere.example");
    let server = tls::server(Identity { certificate: &certificate, key: &key }, None, &[]).unwrap();
    assert!(shake(tls::client(Trust::File(&pki.ca()), None).unwrap(), server).is_err());
}

#[test]
fn a_door_with_a_client_authority_lets_in_only_those_it_signed() {
    let (pki, other) = (Pki::new(), Pki::new());
    let (certificate, key) = pki.issue("localhost");
    let ca = pki.ca();
    let server = tls::server(Identity { certificate: &certificate, key: &key }, Some(&ca), &[]).unwrap();
    let with = |issued: Option<(std::path::PathBuf, std::path::PathBuf)>| {
        let identity = issued.as_ref().map(|(certificate, key)| Identity { certificate, key });
        tls::client(Trust::File(&ca), identity).unwrap()
    };
    assert_eq!(shake(with(Some(pki.issue("agent"))), server.clone()), Ok(()));
    assert!(shake(with(None), server.clone()).is_err(), "without a certificate");
    assert!(shake(with(Some(other.issue("agent"))), server).is_err(), "of another authority");
}
