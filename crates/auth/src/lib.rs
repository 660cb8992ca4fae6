//! Who may do what: accounts, credentials and permissions; pure.
//!
//! It answers questions. It does *not* enforce: the fabric's session does, once for each route.

pub mod accounts;
pub mod options;
pub mod permissions;

pub use accounts::{Accounts, Credentials, Principal};
pub use permissions::{Answer, Permissions, Rule};
