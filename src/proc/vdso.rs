//! The vDSO: a page of code, and one of data before it, that every program finds mapped, so that it need not ask the kernel for the
//! time (vdso(7)). `asm/vdso.asm` is the code, `hw::shared_clock` keeps the data.

use super::space::{MachineFlush, MachineSpace};
use crate::hw::shared_clock;
use crate::hw::space::FRAMES;
use alloc::string::String;
use alloc::sync::Arc;
use logic::mem::OutOfFrames;
use logic::mem::backing::{Backing, BackingName, NoPage};
use logic::mem::page::{PAGE_BYTES, Page};
use logic::mem::space::{AreaFlags, Content, Limits, MapRequest, Placement, Protection};
use spin::Once;

/// The shared object (`scripts/build.rs` has it assembled).
static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vdso.so"));

const _: () = assert!(IMAGE.len() <= PAGE_BYTES, "the vDSO is one page");

const PAGE: u64 = PAGE_BYTES as u64;

/// The two pages: data, code.
struct Pages {
    code: Page,
}

impl Backing for Pages {
    fn page(&self, index: u64) -> Result<Page, NoPage> {
        match index {
            0 => Ok(shared_clock::page()?),
            1 => Ok(self.code.share()?),
            _ => Err(NoPage::BeyondEnd),
        }
    }

    fn will_be_written(&self, _: u64) {}

    fn name(&self) -> BackingName {
        BackingName { device: 0, inode: 0, path: String::new() }
    }
}

/// The pages, for all programs.
fn pages() -> Result<Arc<dyn Backing>, OutOfFrames> {
    static PAGES: Once<Arc<Pages>> = Once::new();
    let pages = PAGES.try_call_once(|| {
        let code = Page::zeroed(&FRAMES)?;
        code.write(0, IMAGE);
        Ok(Arc::new(Pages { code }))
    })?;
    Ok(pages.clone())
}

/// Maps the vDSO for a program; answers where its code is. Without memory for it, the program does without.
pub fn map(space: &mut MachineSpace, flush: &mut MachineFlush<'_>, limits: &Limits) -> Option<u64> {
    let backing = pages().ok()?;
    let request = |placement, pages, right, offset, name| MapRequest {
        placement,
        bytes: pages * PAGE,
        protection: Protection::READ | right,
        flags: AreaFlags::empty(),
        content: Content::Backed { backing: backing.clone(), offset, most: Protection::all() },
        name: Some(name),
    };
    let data = request(Placement::Near(0), 2, Protection::empty(), 0, "[vvar]");
    let start = space.map(data, limits, flush).ok()?;
    let code = request(Placement::Fixed(start + PAGE), 1, Protection::EXECUTE, PAGE, "[vdso]");
    space.map(code, limits, flush).ok()
}
