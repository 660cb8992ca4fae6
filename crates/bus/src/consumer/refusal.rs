//! Why a consumer cannot be as somebody wants it.
/// tbd
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {}
