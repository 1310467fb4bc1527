//! Why a request was refused: the closed list of denials, one refusal with its facts, and its forms on the wire.

pub mod challenge;
pub mod cors;
pub mod denial;
pub mod event;
pub mod refusal;
pub mod trace;
