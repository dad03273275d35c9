//! Memory management: which frames are free, which pages they appear at, which kernel addresses are taken.

pub mod areas;
pub mod frames;
pub mod page_table;

/// There is no free memory of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames;
