//! Kernel virtual addresses for whoever needs some: stacks with a guard page, device memory.

use super::paging::{self, Caching};
use super::{AREAS, cpu};
use core::fmt;
use logic::mem::areas::{Area, AreaAllocator, Place, Purpose};
use logic::sync::{IrqLock, Rank};
use x86_64::{PhysAddr, VirtAddr};

const PAGE: u64 = 4096;

static TAKEN: IrqLock<AreaAllocator> =
    IrqLock::new(Rank::KernelAreas, AreaAllocator::new(VirtAddr::new(AREAS.start), VirtAddr::new(AREAS.end)));

/// No frames, no heap or no addresses are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("out of memory")
    }
}

/// Maps `bytes` of fresh memory above `guard` pages that stay unmapped.
///
/// # Errors
/// [`OutOfMemory`]; nothing is taken then.
pub(super) fn map_new(bytes: u64, guard: u64, purpose: Purpose) -> Result<Area, OutOfMemory> {
    let area = take(bytes, guard, purpose)?;
    match paging::map_new(area.start(), bytes) {
        Ok(()) => Ok(area),
        Err(_) => Err(give_back(area)),
    }
}

/// Unmaps what [`map_new`] mapped. No lock may be held.
pub(super) fn unmap(areas: impl IntoIterator<Item = Area> + AsRef<[Area]>) {
    paging::unmap_and_free(areas.as_ref().iter().map(|area| area.start()..area.start() + area.bytes()));
    areas.into_iter().for_each(|area| _ = give_back(area));
}

/// Maps `bytes` bytes of physical memory at `address`, for good. `None` if `bytes` is 0, the processor has no such addresses, or
/// there is no room.
pub(super) fn map_device(address: PhysAddr, bytes: u64, caching: Caching) -> Option<VirtAddr> {
    let offset = address.as_u64() % PAGE;
    let end = address.as_u64().checked_add(bytes)?;
    if bytes == 0 || end > 1 << cpu::physical_address_bits() {
        return None;
    }
    let whole = (offset + bytes).next_multiple_of(PAGE);
    let area = take(whole, 1, Purpose::Mmio).ok()?;
    let start = area.start();
    match paging::map_device(start, address - offset, whole, caching) {
        Ok(()) => Some(start + offset),
        Err(_) => {
            give_back(area);
            None
        }
    }
}

/// What an address among the areas belongs to, in words.
pub fn describe(address: VirtAddr) -> Option<Place> {
    TAKEN.lock().describe(address)
}

/// The same without waiting: `None` too if somebody is changing the areas.
pub(super) fn try_describe(address: VirtAddr) -> Option<Place> {
    TAKEN.try_lock()?.describe(address)
}

/// Calls `visit` for each area, under the lock.
#[cfg(feature = "selftest")]
pub(super) fn visit(visit: impl FnMut(&Area)) {
    TAKEN.lock().areas().iter().for_each(visit);
}

fn take(bytes: u64, guard: u64, purpose: Purpose) -> Result<Area, OutOfMemory> {
    TAKEN.lock().allocate(bytes, PAGE, guard, purpose).map_err(|_| OutOfMemory)
}

fn give_back(area: Area) -> OutOfMemory {
    TAKEN.lock().free(area).expect("what is given back was taken");
    OutOfMemory
}
