//! Both ends of TLS against each other, in memory, with certificates made on the spot.

mod handshake;
mod pki;
mod refusals;
