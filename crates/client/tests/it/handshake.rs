//! What can go wrong before a connection is ready.

use std::time::Duration;

use client::{Client, Code, Credentials, Error};

use crate::script::{INFO, Script, soon};

/// Connects to a server that says `text` and then closes or keeps silent.
async fn told(text: &str, closes: bool) -> Error {
    let script = Script::listen().await;
    let (options, _events) = script.options();
    let connecting = tokio::spawn(Client::connect(options.connect_timeout(Duration::from_millis(200))));
    let mut peer = script.accept().await;
    peer.say(text).await;
    let end = async {
        match closes {
            true => drop(peer),
            false => _ = peer.until_it_closes().await,
        }
    };
    let (result, ()) = soon(async { tokio::join!(connecting, end) }).await;
    result.unwrap().unwrap_err()
}

#[tokio::test]
async fn whoever_is_no_good_server_is_named_with_the_reason() {
    for (text, closes, code, words) in [
        ("", true, Code::ConnectionError, "closed the connection during the handshake"),
        ("", false, Code::ConnectionError, "did not finish the handshake within 200 ms"),
        (INFO, false, Code::ConnectionError, "did not finish the handshake within 200 ms"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", false, Code::ConnectionError, "not the NATS protocol"),
        ("INFO nonsense\r\n", false, Code::ConnectionError, "not the NATS protocol"),
        ("-ERR 'maximum connections exceeded'\r\n", true, Code::LimitExceeded, "maximum connections"),
    ] {
        let e = told(text, closes).await;
        assert_eq!(e.code(), code, "{text:?}: {e}");
        assert!(e.to_string().contains(words), "{text:?}: {e}");
    }
    let endless = format!("INFO {}", "x".repeat(100_000));
    assert!(told(&endless, false).await.to_string().contains("not the NATS protocol"));
}

#[tokio::test]
async fn nothing_that_came_in_the_clear_is_taken_for_encrypted() {
    let tls = INFO.replace("\"proto\"", "\"tls_required\":true,\"proto\"");
    let e = told(&format!("{tls}PONG\r\n"), false).await;
    assert!(matches!(e, Error::Tls { .. }), "{e}");
    assert!(e.to_string().contains("in the clear"), "{e}");
}

#[tokio::test]
async fn a_client_with_tls_options_tells_nothing_to_a_server_that_offers_none() {
    let script = Script::listen().await;
    let (options, _events) = script.options();
    let provider = net::tls::provider();
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    let secret = Credentials::Password { user: "ann".into(), password: "secret".into() };
    let options = options.tls_config(config.into()).credentials(secret);
    let connecting = tokio::spawn(Client::connect(options));
    let mut peer = script.accept().await;
    // What a man in the middle leaves of an INFO that requires TLS.
    peer.say(INFO).await;
    assert_eq!(peer.until_it_closes().await, "");
    let e = soon(connecting).await.unwrap().unwrap_err();
    assert!(matches!(e, Error::TlsUnavailable { .. }), "{e}");
    assert_eq!(e.code(), Code::TlsRequired);
    assert!(e.to_string().contains("offers no TLS"), "{e}");
}

#[tokio::test]
async fn the_client_says_who_it_is() {
    let script = Script::listen().await;
    let (options, _events) = script.options();
    let connecting = tokio::spawn(Client::connect(options.name("planner").echo(false)));
    let mut peer = script.accept().await;
    // A server may ask before it answers.
    peer.say(&format!("{INFO}PING\r\n")).await;
    let said = peer.until("\r\n").await;
    for part in
        ["CONNECT {", "\"name\":\"planner\"", "\"echo\":false", "\"verbose\":false", "\"no_responders\":true"]
    {
        assert!(said.contains(part), "{said}");
    }
    peer.until("PONG\r\n").await;
    peer.say("+OK\r\nPONG\r\n").await;
    let client = soon(connecting).await.unwrap().unwrap();
    assert_eq!(client.info().max_payload, 1000);
}

#[tokio::test]
async fn the_next_address_is_tried_and_the_last_one_is_blamed() {
    let script = Script::listen().await;
    let (options, _events) = script.options();
    drop(options);
    let both = format!("127.0.0.1:1,{}", script.address());
    let connecting = tokio::spawn(Client::connect(both));
    let _peer = script.welcome().await;
    assert_eq!(
        soon(connecting).await.unwrap().unwrap().server().to_string(),
        format!("nats://{}", script.address())
    );
    let e = Client::connect("127.0.0.1:1,127.0.0.1:2").await.unwrap_err();
    assert!(e.to_string().contains("127.0.0.1:2"), "{e}");
}
