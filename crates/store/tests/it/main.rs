//! What the store promises, over a disk that fails and over the real one.

mod conformance;
