//! The neuroplex binary.

fn main() {}
