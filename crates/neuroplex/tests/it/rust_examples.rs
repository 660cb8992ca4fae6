//! The examples of the Rust client, run as they stand: the guide's Rust is taken from them.

#![allow(dead_code, reason = "their `main` is for people")]

#[path = "../../../client/examples/streams.rs"]
mod streams;
#[path = "../../../client/examples/tour.rs"]
mod tour;

use crate::server::Server;

#[tokio::test]
async fn the_tour_of_the_client_ends_well() {
    let server = Server::start();
    tour::run(server.nats()).await.unwrap();
}

#[tokio::test]
async fn the_example_of_durable_streams_ends_well() {
    let server = Server::start();
    streams::run(server.nats()).await.unwrap();
}
