//! Flipped bits: each costs its own record at most, and is reported.
