//! The state that an operator wants a server to have, and the changes that lead there.

pub mod desired_state;
pub mod state_plan;

#[cfg(test)]
mod properties;
