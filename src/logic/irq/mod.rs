//! Interrupts without the hardware: which vector a line gets, where it comes from, and what the controllers' registers mean.

pub mod lines;
pub mod local;
pub mod routing;
pub mod vectors;
