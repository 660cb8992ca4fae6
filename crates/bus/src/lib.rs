//! The data plane: interest, routes and outboxes.
