//! A bare handler of axum that answers `POST /v1/publish/SUBJECT` with 202 and does nothing else: what the same library
//! reaches on the same runtime as a node. It is *not* a server of anything.
//!
//! Prints its address and serves until it is stopped.

use std::error::Error;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    // As `neuroplex up` makes its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        let router = Router::new().route("/v1/publish/{subject}", post(async || StatusCode::ACCEPTED));
        axum::serve(listener, router).await?;
        Ok(())
    })
}
