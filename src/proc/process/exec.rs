//! execve(2): a process goes on with another program.
//!
//! Everything that can be refused is read and mapped in a new address space first; the old program is given up only then.

use super::{Current, Image, Name, Process, Stop, Task, with_tree};
use crate::hw::user::UserContext;
use crate::hw::{cpu, user};
use crate::proc::space::{MachineFlush, MachineSpace, Space};
use crate::proc::{files, random, vdso};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;
use logic::errno::Errno;
use logic::exec::stack::{self, Contents};
use logic::exec::{Header, Mapping, Plan, Program as Elf, Script, Source, plan};
use logic::fs::attributes::FileKind;
use logic::fs::credentials::Access;
use logic::fs::mount::MountFlags;
use logic::fs::open_file::{OpenFile, StatusFlags};
use logic::fs::page_cache::Running;
use logic::fs::place::Place;
use logic::fs::walk::Wanted;
use logic::mem::backing::Backing;
use logic::mem::space::layout::{Layout, Randomness};
use logic::mem::space::{self, AreaFlags, Content, MapRequest, Placement, Reach};
use logic::process::Resource;
use logic::procfs::stat::Places;
use logic::signal::AlternateStack;
use logic::signal::frame;

/// A program to be executed.
pub struct Program {
    /// Its file.
    pub place: Place,
    /// The path by which it was found.
    pub path: Vec<u8>,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Its environment.
    pub environment: Vec<Vec<u8>>,
}

/// A program file, open.
struct File {
    open: Arc<OpenFile>,
    backing: Arc<dyn Backing>,
    first: Vec<u8>,
    bytes: u64,
    running: Option<Arc<Running>>,
}

/// A loaded program that has not begun.
struct Loaded {
    space: Arc<Space>,
    image: Image,
    entry: u64,
    stack: u64,
}

/// Has the process of the task that runs go on with another program.
///
/// # Errors
/// As execve(2); the old program goes on then. [`Stop::Elsewhere`] if all went well.
pub fn execute(current: &mut Current, mut program: Program) -> Result<(), Stop> {
    let task = current.task.clone();
    let name = program_name(&program.path);
    let mut scripts = 0;
    let file = loop {
        let file = open(&task, &program.place)?;
        let Some(script) = Script::parse(&file.first)? else { break file };
        let path = core::mem::take(&mut program.path);
        script.arguments(&path, &mut program.arguments, scripts)?;
        scripts += 1;
        program.path = script.interpreter.to_vec();
        let walker = task.walker(None)?;
        program.place = walker.caller().lookup(&program.path, Wanted::Target)?;
    };
    let attributes = file.open.place().inode().attributes()?;
    let may_change_user = !file.open.place().mount.flags().contains(MountFlags::NOSUID);
    let mut credentials = (*task.credentials()).clone();
    let mode = u32::from(attributes.permissions);
    let secure = credentials.execute(mode, attributes.user, attributes.group, may_change_user);
    let identities =
        [credentials.users.real, credentials.users.effective, credentials.groups.real, credentials.groups.effective];
    let loaded = load(&task, &file, &program, identities, secure)?;
    if !task.dismiss_others() {
        // The process ends: nobody sees what this answers.
        return Err(Errno::EINTR.into());
    }
    become_first(&task);
    if secure {
        task.process.is_private.store(true, Ordering::Relaxed);
        task.parent_death_signal.store(0, Ordering::Relaxed);
    }
    replace(current, &task, loaded, credentials, name)?;
    // Not before nothing is left of what it was.
    task.process.is_private.store(secure, Ordering::Release);
    Err(Stop::Elsewhere)
}

/// The last part of a path, as the name of a program.
fn program_name(path: &[u8]) -> Name {
    let last = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    last.iter().copied().take(super::NAME_BYTES).collect()
}

/// The point of no return.
fn replace(
    current: &mut Current,
    task: &Arc<Task>,
    loaded: Loaded,
    credentials: logic::process::Credentials,
    name: Name,
) -> Result<(), Errno> {
    let process: &Arc<Process> = &task.process;
    let Loaded { space, image, entry, stack } = loaded;
    space.enter();
    process.set_space(Some(space));
    task.return_borrowed();
    let previous = core::mem::replace(&mut *process.image.lock(), image);
    drop(previous);
    let actions = process.actions.lock().after_exec();
    *process.actions.lock() = actions;
    task.signals.lock().alternate = AlternateStack::NONE;
    task.clear_tid.store(0, Ordering::Relaxed);
    task.robust_list.store(0, Ordering::Relaxed);
    *task.credentials.lock() = Arc::new(credentials);
    *task.name.lock() = name;
    // The table is the program's own from now on.
    if Arc::strong_count(&task.files()) > 2 {
        task.set_files(Some(task.files().copy()?));
    }
    loop {
        let closed = task.files().edit(|table| table.close_on_exec());
        if closed.is_empty() {
            break;
        }
        closed.into_iter().for_each(|open| files::closed(task, open));
    }
    with_tree(|tree| tree.note_exec(process.id));
    let mut context = UserContext::new();
    let mut registers = context.registers();
    (registers.rip, registers.rsp) = (entry, stack);
    context.set_registers(&registers);
    current.context = context;
    Ok(())
}

/// The thread that executes another program is the first of its process from then on.
fn become_first(task: &Arc<Task>) {
    let former = with_tree(|tree| tree.become_first(task.id()));
    if let Some(Ok(Some(former))) = former {
        task.id.store(task.process.id.number().into(), Ordering::Relaxed);
        drop(former);
    }
}

/// Opens a file to be executed.
fn open(task: &Task, place: &Place) -> Result<File, Errno> {
    let walker = task.walker(None)?;
    walker.caller().check_executable(place)?;
    if place.inode().kind() != FileKind::Regular {
        return Err(Errno::EACCES);
    }
    let running = place.inode().page_cache().map(Running::begin).transpose()?.map(Arc::new);
    // Who may execute a file need not be allowed to read it.
    let file = place.inode().clone().open()?;
    let open = OpenFile::new(file, place.clone(), Access::READ, StatusFlags::empty());
    let mut first = alloc::vec![0; logic::exec::script::FIRST_BYTES];
    let count = open.read_at(0, &mut first)?;
    first.truncate(count);
    let bytes = open.place().inode().attributes()?.size;
    let backing = open.backing().map_err(|_| Errno::EACCES)?;
    Ok(File { open, backing, first, bytes, running })
}

/// Reads and checks an ELF file.
fn parse(file: &File) -> Result<Elf, Errno> {
    let header = Header::parse(&file.first)?;
    let range = header.table();
    let length = usize::try_from(range.end - range.start).map_err(|_| Errno::ENOEXEC)?;
    let mut table = Vec::new();
    table.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
    table.resize(length, 0);
    read_all(file, range.start, &mut table)?;
    Elf::parse(&header, &table, file.bytes)
}

fn read_all(file: &File, position: u64, bytes: &mut [u8]) -> Result<(), Errno> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.open.read_at(position.saturating_add(done as u64), rest)? {
            0 => return Err(Errno::ENOEXEC),
            count => done += count,
        }
    }
    Ok(())
}

fn load(task: &Task, file: &File, program: &Program, identities: [u32; 4], secure: bool) -> Result<Loaded, Errno> {
    let elf = parse(file)?;
    let interpreter = match elf.interpreter() {
        None => None,
        Some(range) => {
            let mut path = alloc::vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
            read_all(file, range.start, &mut path)?;
            let walker = task.walker(None)?;
            let place = walker.caller().lookup(plan::interpreter_path(&path)?, Wanted::Target)?;
            let file = open(task, &place)?;
            let elf = parse(&file).map_err(plan::interpreter_error)?;
            Some((file, elf))
        }
    };
    let stack_limit = task.process.limit(Resource::Stack);
    let [stack, mappings, program_start, heap, first, second] = random::numbers();
    let randomness = Randomness { stack, mappings, program: program_start, heap };
    let random_bytes = u128::from(first) << 64 | u128::from(second);
    let space = Space::new(Layout::new(stack_limit, Some(randomness)))?;
    let limits = task.process.memory_limits();
    space
        .edit(|space, flush| {
            let layout = *space.layout();
            let plan = elf.place(align_up(layout.program, elf.alignment()))?;
            map_all(space, flush, file, &plan, &limits)?;
            let heap = plan.break_start.saturating_add(layout.heap_distance);
            space.start_heap(heap);
            let (entry, base) = match &interpreter {
                None => (plan.entry, None),
                Some((file, elf)) => {
                    let place = room_for(space, flush, elf, &limits)?;
                    let plan = elf.place(place).map_err(plan::interpreter_error)?;
                    map_all(space, flush, file, &plan, &limits)?;
                    (plan.entry, Some(plan.bias))
                }
            };
            let vdso = vdso::map(space, flush, &limits);
            let executable = elf.executable_stack().unwrap_or(false);
            let top = layout.stack_top;
            map_stack(space, flush, top, executable, &limits)?;
            let initial = stack::build(
                top,
                stack_limit,
                &Contents {
                    arguments: &program.arguments,
                    environment: &program.environment,
                    path: &program.path,
                    random: random_bytes.to_le_bytes(),
                    program: &plan,
                    interpreter_bias: base,
                    identities,
                    secure,
                    hardware: cpu::hardware_capabilities(),
                    hardware_2: 0,
                    vdso,
                    least_signal_stack: frame::most_bytes(user::fpu_bytes()) as u64,
                },
            )?;
            if space.poke(initial.pointer, &initial.bytes, Reach::Allowed, &limits, flush)? < initial.bytes.len() {
                return Err(Errno::ENOMEM);
            }
            space.set_stack(initial.pointer);
            let image = Image {
                executable: Some(file.open.place().clone()),
                _running: file.running.clone(),
                places: Places {
                    code: part_of(&plan, space::Protection::EXECUTE),
                    data: part_of(&plan, space::Protection::WRITE),
                    heap,
                    stack: initial.pointer,
                    arguments: initial.arguments,
                    environment: initial.environment,
                },
                auxiliary: initial.auxiliary,
            };
            Ok((image, entry, initial.pointer))
        })
        .map(|(image, entry, stack)| Loaded { space, image, entry, stack })
}

/// From the first to the last mapping that allows this.
fn part_of(plan: &Plan, protection: space::Protection) -> Range<u64> {
    let mut mappings = plan.mappings.iter().filter(|mapping| mapping.protection.contains(protection));
    let Some(first) = mappings.next() else { return 0..0 };
    first.address..mappings.next_back().unwrap_or(first).end()
}

fn align_up(address: u64, alignment: u64) -> u64 {
    address.checked_next_multiple_of(alignment).unwrap_or(address)
}

/// Where mappings are, for an interpreter that can be anywhere.
fn room_for(
    space: &mut MachineSpace,
    flush: &mut MachineFlush<'_>,
    elf: &Elf,
    limits: &space::Limits,
) -> Result<u64, Errno> {
    if !elf.is_movable() {
        return Ok(elf.span().start);
    }
    let bytes = (elf.span().end - elf.span().start).saturating_add(elf.alignment());
    let request = MapRequest {
        placement: Placement::Near(0),
        bytes,
        protection: space::Protection::empty(),
        flags: AreaFlags::empty(),
        content: Content::Anonymous,
        name: None,
    };
    let start = space.map(request, limits, flush)?;
    space.unmap(start, bytes, flush)?;
    Ok(align_up(start, elf.alignment()))
}

fn map_all(
    space: &mut MachineSpace,
    flush: &mut MachineFlush<'_>,
    file: &File,
    plan: &Plan,
    limits: &space::Limits,
) -> Result<(), Errno> {
    for mapping in &plan.mappings {
        map_one(space, flush, file, mapping, limits)?;
    }
    Ok(())
}

fn map_one(
    space: &mut MachineSpace,
    flush: &mut MachineFlush<'_>,
    file: &File,
    mapping: &Mapping,
    limits: &space::Limits,
) -> Result<(), Errno> {
    let (content, zero_tail) = match mapping.source {
        Source::Zero => (Content::Anonymous, 0),
        Source::File { offset, zero_tail } => {
            let backing = file.backing.clone();
            (Content::Backed { backing, offset, most: space::Protection::all() }, zero_tail)
        }
    };
    let request = MapRequest {
        placement: Placement::Fixed(mapping.address),
        bytes: mapping.length,
        protection: mapping.protection,
        flags: AreaFlags::empty(),
        content,
        name: None,
    };
    space.map(request, limits, flush)?;
    if zero_tail > 0 && mapping.protection.contains(space::Protection::WRITE) {
        let zeros = alloc::vec![0; usize::try_from(zero_tail).unwrap_or(0)];
        let start = mapping.end().saturating_sub(zero_tail);
        space.poke(start, &zeros, Reach::Forced, limits, flush)?;
    }
    Ok(())
}

fn map_stack(
    space: &mut MachineSpace,
    flush: &mut MachineFlush<'_>,
    top: u64,
    executable: bool,
    limits: &space::Limits,
) -> Result<(), Errno> {
    const FIRST_BYTES: u64 = 128 << 10;
    let mut protection = space::Protection::READ | space::Protection::WRITE;
    protection.set(space::Protection::EXECUTE, executable);
    let request = MapRequest {
        placement: Placement::Fixed(top - FIRST_BYTES),
        bytes: FIRST_BYTES,
        protection,
        flags: AreaFlags::GROWS_DOWN,
        content: Content::Anonymous,
        name: None,
    };
    space.map(request, limits, flush)?;
    Ok(())
}
