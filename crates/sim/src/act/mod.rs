//! What each kind of event does: one file for what belongs together. An event asks or breaks something and tells the
//! oracle so; it does *not* judge what comes of it.

mod consume;
mod course;
mod fault;
mod publish;
mod streams;
