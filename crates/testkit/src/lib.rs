//! Conformance suites that every row of an extension table must pass.
