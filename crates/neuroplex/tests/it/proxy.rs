//! A way to a server that can be cut, and that can lead to another server afterwards: its own address stays.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The way. What goes through it ends when it is led elsewhere.
pub(crate) struct Proxy {
    address: String,
    target: Arc<watch::Sender<Option<String>>>,
}

impl Proxy {
    pub(crate) async fn to(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let proxy = Proxy { address, target: Arc::new(watch::Sender::new(Some(target.to_owned()))) };
        let target = proxy.target.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, target.subscribe()));
            }
        });
        proxy
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Cuts every connection; new ones are closed at once.
    pub(crate) fn cut(&self) {
        self.target.send_replace(None);
    }

    /// Leads to another server from now on.
    pub(crate) fn lead_to(&self, target: &str) {
        self.target.send_replace(Some(target.to_owned()));
    }
}

async fn carry(mut client: TcpStream, mut target: watch::Receiver<Option<String>>) {
    let Some(address) = target.borrow_and_update().clone() else { return };
    let Ok(mut server) = TcpStream::connect(address).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = target.changed() => {}
    }
}
