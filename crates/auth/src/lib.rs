//! Who may do what: credentials, accounts and permissions; pure.
