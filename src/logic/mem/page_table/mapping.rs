//! What a page is mapped as, and how that is written into an entry of a page table (SDM volume 3, sections 5.5 and 13.12).
//!
//! Caching rests on this page-attribute table: entry 0 write-back, 1 write-through, 2 and 6 UC-, 3 and 7 uncached, 4 write-back,
//! 5 write-combining. But for entry 5 that is what processors start with.

use x86_64::PhysAddr;
use x86_64::structures::paging::PageTableFlags;
use x86_64::structures::paging::page_table::PageTableEntry;

/// Contents of IA32_PAT (MSR 277h) that [`Caching`] rests on.
pub const PAGE_ATTRIBUTES: u64 = 0x0007_0106_0007_0406;

/// The rights of a page: the flags that a [`Mapping`] can have.
pub const RIGHTS: PageTableFlags = PageTableFlags::WRITABLE
    .union(PageTableFlags::USER_ACCESSIBLE)
    .union(PageTableFlags::GLOBAL)
    .union(PageTableFlags::NO_EXECUTE);

/// Flags that the processor sets, kept when the rights of a page change.
const STATE: PageTableFlags = PageTableFlags::ACCESSED.union(PageTableFlags::DIRTY);

/// The page-attribute bit of a large page, among its address's bits. A 4 KiB page has it where large ones have `HUGE_PAGE`.
const LARGE_PAGE_ATTRIBUTE: u64 = 1 << 12;

/// Sizes of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageSize {
    /// 4 KiB.
    Small = 1,
    /// 2 MiB.
    Large = 2,
    /// 1 GiB; not every processor has them.
    Huge = 3,
}

impl PageSize {
    /// Bytes in a page.
    pub const fn bytes(self) -> u64 {
        1 << super::shift(self.level())
    }

    /// The level of the tables that map such pages.
    pub(super) const fn level(self) -> u8 {
        self as u8
    }

    pub(super) fn of_level(level: u8) -> Option<Self> {
        [Self::Small, Self::Large, Self::Huge].into_iter().find(|size| size.level() == level)
    }
}

/// How accesses to a page go through the processor's caches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// Ordinary memory.
    #[default]
    WriteBack,
    /// Reads are cached, writes reach memory at once.
    WriteThrough,
    /// Device registers.
    Uncached,
    /// Writes are gathered: framebuffers.
    WriteCombining,
}

impl Caching {
    /// Index into the page-attribute table.
    const fn index(self) -> u8 {
        match self {
            Self::WriteBack => 0,
            Self::WriteThrough => 1,
            Self::Uncached => 3,
            Self::WriteCombining => 5,
        }
    }

    const fn of_index(index: u8) -> Self {
        match index {
            0 | 4 => Self::WriteBack,
            1 => Self::WriteThrough,
            5 => Self::WriteCombining,
            _ => Self::Uncached,
        }
    }
}

/// What a page is mapped as: who may do what with it, and how it is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Of [`RIGHTS`]; others count for nothing.
    pub flags: PageTableFlags,
    /// How it is cached.
    pub caching: Caching,
}

impl Mapping {
    /// The kernel's constants: global, read-only, not executable.
    pub const KERNEL_READ: Self = Self::cached(PageTableFlags::GLOBAL.union(PageTableFlags::NO_EXECUTE));
    /// The kernel's data: global, writable, not executable.
    pub const KERNEL_DATA: Self = Self::cached(Self::KERNEL_READ.flags.union(PageTableFlags::WRITABLE));
    /// The kernel's code: global, read-only, executable.
    pub const KERNEL_CODE: Self = Self::cached(PageTableFlags::GLOBAL);

    /// Ordinary memory with these flags.
    pub const fn cached(flags: PageTableFlags) -> Self {
        Self { flags, caching: Caching::WriteBack }
    }

    /// The same rights, cached otherwise.
    pub const fn with_caching(self, caching: Caching) -> Self {
        Self { flags: self.flags, caching }
    }

    /// Whether it may be written to.
    pub fn is_writable(self) -> bool {
        self.flags.contains(PageTableFlags::WRITABLE)
    }

    /// Whether code in it may run.
    pub fn is_executable(self) -> bool {
        !self.flags.contains(PageTableFlags::NO_EXECUTE)
    }

    /// Whether programs may touch it.
    pub fn is_user(self) -> bool {
        self.flags.contains(PageTableFlags::USER_ACCESSIBLE)
    }

    /// Whether it is the same in all address spaces.
    pub fn is_global(self) -> bool {
        self.flags.contains(PageTableFlags::GLOBAL)
    }
}

/// An entry that maps a page.
#[derive(Clone, Copy)]
pub(super) struct LeafEntry {
    pub(super) physical: PhysAddr,
    pub(super) mapping: Mapping,
    pub(super) size: PageSize,
    /// Accessed and dirty.
    state: PageTableFlags,
}

impl LeafEntry {
    pub(super) fn new(physical: PhysAddr, mapping: Mapping, size: PageSize) -> Self {
        Self { physical, mapping, size, state: PageTableFlags::empty() }
    }

    /// Reads an entry of a table of `level`; `None` if it maps no page.
    pub(super) fn read(entry: &PageTableEntry, level: u8) -> Option<Self> {
        let (flags, address) = (entry.flags(), entry.addr().as_u64());
        let large = flags.contains(PageTableFlags::HUGE_PAGE);
        let size = PageSize::of_level(level).filter(|size| large || *size == PageSize::Small)?;
        if !flags.contains(PageTableFlags::PRESENT) {
            return None;
        }
        let attribute = if size == PageSize::Small { large } else { address & LARGE_PAGE_ATTRIBUTE != 0 };
        let index = u8::from(attribute) << 2
            | u8::from(flags.contains(PageTableFlags::NO_CACHE)) << 1
            | u8::from(flags.contains(PageTableFlags::WRITE_THROUGH));
        Some(Self {
            physical: PhysAddr::new(address & !(size.bytes() - 1)),
            mapping: Mapping { flags: flags & RIGHTS, caching: Caching::of_index(index) },
            size,
            state: flags & STATE,
        })
    }

    /// The entry. Without `no_execute`, the processor has no such flag and takes it for a fault.
    pub(super) fn entry(&self, no_execute: bool) -> PageTableEntry {
        let mut flags = PageTableFlags::PRESENT | (self.mapping.flags & RIGHTS) | self.state;
        flags.set(PageTableFlags::NO_EXECUTE, no_execute && !self.mapping.is_executable());
        let index = self.mapping.caching.index();
        flags.set(PageTableFlags::WRITE_THROUGH, index & 1 != 0);
        flags.set(PageTableFlags::NO_CACHE, index & 2 != 0);
        let attribute = index & 4 != 0;
        let small = self.size == PageSize::Small;
        flags.set(PageTableFlags::HUGE_PAGE, if small { attribute } else { true });
        let attribute_bit = if attribute && !small { LARGE_PAGE_ATTRIBUTE } else { 0 };
        let mut entry = PageTableEntry::new();
        entry.set_addr(PhysAddr::new(self.physical.as_u64() | attribute_bit), flags);
        entry
    }

    /// The page of the next smaller size at `index` within this one, otherwise the same. `None` if there is no smaller size.
    pub(super) fn piece(&self, index: usize) -> Option<Self> {
        let size = PageSize::of_level(self.size.level() - 1)?;
        Some(Self { physical: self.physical + index as u64 * size.bytes(), size, ..*self })
    }
}
