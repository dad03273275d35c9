//! Memory management: which frames are free, which pages they appear at, which kernel addresses are taken.
//!
//! ```text
//!   boot::MemoryMap                      addresses that the kernel gives itself
//!         │ usable ranges                          │
//!         ▼                                        ▼
//!   frames::FrameAllocator                 areas::AreaAllocator ── names a fault's address
//!    (one, under a lock)                           │ virtual range
//!         │ batches   │ frames for tables          ▼
//!         ▼           └──────────────────▶ page_table::Tables ──── walk ──▶ page_table::audit
//!   frames::FrameCache                             ▲
//!    (one per CPU) ── frames for pages ────────────┘
//!
//!   frames::RefCounts: users of each frame, without a lock
//! ```
//!
//! Programs have their addresses from [`space::AddressSpace`], whose pages are [`page::Page`]s: their own, or those that a
//! [`backing::Backing`] shows them.
//!
//! Nothing here touches memory: records and tables lie where the traits [`frames::RecordMemory`] and
//! [`page_table::TableMemory`] find them, in the direct map or on the test's heap. Nothing here flushes a processor's buffers.

pub mod areas;
pub mod backing;
pub mod frames;
pub mod page;
pub mod page_table;
pub mod pieces;
pub mod space;

/// There is no free memory of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames;
