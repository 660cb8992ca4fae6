//! Every byte form that two crates share; the only encoder and decoder.
