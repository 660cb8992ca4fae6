//! Accounts as the configuration writes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What stands in place of a secret where a configuration is shown. Nobody may have it as one.
pub const HIDDEN: &str = "(hidden)";

/// The section `auth`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Who may connect. Without any, everybody who reaches a door may.
    #[schemars(extend("x-reload" = true))]
    pub users: Vec<User>,
}

/// One account: a user with a password, or a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// Name; with a token it only labels the account.
    pub user: String,
    /// Password of the user.
    #[schemars(extend("writeOnly" = true))]
    pub password: String,
    /// Token, instead of a password.
    #[schemars(extend("writeOnly" = true))]
    pub token: String,
    /// The tenant that it belongs to; tenants never see each other's subjects. Empty: the node's own. A running node takes
    /// no tenant that is new.
    pub tenant: String,
    /// Patterns that it may publish to; empty: all.
    pub publish_allow: Vec<String>,
    /// Patterns that it may never publish to.
    pub publish_deny: Vec<String>,
    /// Patterns that it may subscribe to; empty: all.
    pub subscribe_allow: Vec<String>,
    /// Patterns that it may never hear.
    pub subscribe_deny: Vec<String>,
}
