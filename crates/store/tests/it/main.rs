//! What the store promises, over a disk that fails and over the real one.

mod conformance;
mod crash;
mod damage;
mod failing;
mod model;
mod refusal;
mod run;
