//! A stream's messages without their content: where each stands, and which subjects they have. It knows *nothing* of
//! limits, visibility or time to live; it finds and counts.

mod block;
mod rows;
mod subjects;
mod times;

pub(super) use block::Row;
pub(super) use rows::Rows;
pub(super) use subjects::Subjects;
