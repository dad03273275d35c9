//! The first process: the root file system is unpacked, and init begins in it.

use super::clone::Run;
use super::exec::{self, Program};
use super::{Current, FileTable, FsContext, Image, Process, Stop, TREE, Task, signals};
use crate::hw::boot::Initramfs;
use crate::hw::user::UserContext;
use crate::proc::space::{self, Space};
use crate::proc::wait::wait_until;
use crate::proc::{Priority, files, thread};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use logic::errno::Errno;
use logic::fs::cpio;
use logic::fs::credentials::Access;
use logic::fs::inode::FileSystem;
use logic::fs::mount::{Mount, MountFlags};
use logic::fs::open_file::{OpenFile, StatusFlags};
use logic::fs::page_cache;
use logic::fs::walk::Wanted;
use logic::mem::space::layout::Layout;
use logic::process::{Credentials, DEFAULT_NUMBERS, Limits, Pid, Tree};
use logic::signal::{Actions, Signal, SignalInfo, SignalSet};
use logic::sync::WaitQueue;

/// What init may be, in the order of trying.
const INITS: [&str; 4] = ["/init", "/sbin/init", "/etc/init", "/bin/sh"];

/// Threads of all programs for each MiB of memory.
const THREADS_PER_MIB: u64 = 8;

/// Init is told when Ctrl+Alt+Delete is typed, instead of the machine's being reset (reboot(2), `LINUX_REBOOT_CMD_CAD_OFF`).
static HAS_RESET_KEYS: AtomicBool = AtomicBool::new(false);

static HAS_ENDED: AtomicBool = AtomicBool::new(false);
static ENDED: WaitQueue = WaitQueue::new();

/// Why there is no first process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoInit {
    /// There is none of the files that it may be.
    Missing,
    /// It cannot be begun.
    Failed(Errno),
}

impl From<Errno> for NoInit {
    fn from(error: Errno) -> Self {
        Self::Failed(error)
    }
}

/// Unpacks `archive` as the root file system and starts init: `wanted`, or the first that there is. `run` is what kernel threads
/// of tasks run.
///
/// # Errors
/// [`NoInit`].
pub fn start_first(archive: Initramfs, wanted: Option<&str>, memory_mib: u64, run: Run) -> Result<(), NoInit> {
    page_cache::set_unmap(space::forget_file);
    let root = files::root_file_system();
    let (made, outcome) = cpio::unpack(archive.bytes(), &root.root());
    drop(archive);
    if let Err(error) = outcome {
        log::warn!("initramfs: {error}; {} entries were unpacked", made.entries);
    }
    let mount = Mount::first(root, MountFlags::empty());
    let context = FsContext::at(&mount);
    let limits = Limits::new((memory_mib * THREADS_PER_MIB).max(64));
    let space = Space::new(Layout::new(8 << 20, None))?;
    let process = Process::new(Pid::INIT, space, Actions::new(), limits, Image::default());
    let files = Arc::new(FileTable::default());
    let credentials = Arc::new(Credentials::root());
    let task = Task::new(Pid::INIT, process, files, context, credentials, super::Name::new(), SignalSet::EMPTY);
    give_console(&task)?;
    let program = find(&task, wanted)?;
    log::info!("init: {}", program.path.escape_ascii());
    *TREE.lock() = Some(Tree::new(task.clone(), DEFAULT_NUMBERS)?);
    files::begin_console();
    let spawned = thread::spawn("init", Priority::NORMAL, move || begin(task, program, run));
    spawned.map(|_| ()).map_err(|_| NoInit::Failed(Errno::ENOMEM))
}

/// What init's kernel thread does.
fn begin(task: Arc<Task>, program: Program, run: Run) {
    task.adopt_thread();
    let mut current = Current::new(task, UserContext::new());
    match exec::execute(&mut current, program) {
        Err(Stop::Elsewhere) => run(current),
        failed => {
            log::error!("init cannot begin: {failed:?}");
            space::leave();
            first_has_ended();
        }
    }
}

/// Standard input, output and error of init.
fn give_console(task: &Task) -> Result<(), Errno> {
    let place = files::console_place();
    let access = Access::READ | Access::WRITE;
    let open = OpenFile::new(files::console_file(), place, access, StatusFlags::empty());
    for _ in 0..3 {
        task.add_descriptor(open.clone(), false)?;
    }
    Ok(())
}

/// The program that init is.
fn find(task: &Task, wanted: Option<&str>) -> Result<Program, NoInit> {
    let walker = task.walker(None)?;
    let candidates = wanted.into_iter().chain(if wanted.is_some() { &[][..] } else { &INITS }.iter().copied());
    for path in candidates {
        let Ok(place) = walker.caller().lookup(path.as_bytes(), Wanted::Target) else { continue };
        let path = path.as_bytes().to_vec();
        let environment = [&b"HOME=/"[..], b"TERM=linux", b"PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
        return Ok(Program {
            place,
            arguments: alloc::vec![path.clone()],
            path,
            environment: environment.map(<[u8]>::to_vec).to_vec(),
        });
    }
    Err(NoInit::Missing)
}

/// Who resets the machine when Ctrl+Alt+Delete is typed: init, or the kernel, which does from the start.
pub fn give_reset_keys_to_init(given: bool) {
    HAS_RESET_KEYS.store(given, Ordering::Relaxed);
}

/// Ctrl+Alt+Delete was typed: init gets SIGINT. False if that is for the kernel, or there is no init.
pub fn tell_init_of_reset_keys() -> bool {
    let is_for_init = HAS_RESET_KEYS.load(Ordering::Relaxed) && !HAS_ENDED.load(Ordering::Acquire);
    is_for_init && signals::send(Pid::INIT, SignalInfo::kernel(Signal::SIGINT)).is_ok()
}

/// Init has ended: no program runs any more.
pub(super) fn first_has_ended() {
    HAS_ENDED.store(true, Ordering::Release);
    ENDED.wake_all();
}

/// Waits until init has ended.
pub fn wait_for_end() {
    wait_until(&ENDED, None, || HAS_ENDED.load(Ordering::Acquire));
}
