//! Who runs where: carries out what `logic::sched` decides.
//!
//! A thread that runs is in no run queue; its processor holds it as `current`. Leaving a thread has two halves: [`switch`] picks
//! the next thread and changes stacks; [`finish`] runs on the next thread's stack and only then does with the thread that was left
//! what it wanted: back into a run queue, to sleep, or to its end. So no other processor ever runs a stack that is still in use.
//!
//! Interrupt handlers only wake and say that somebody should be preempted; that happens at the end of the interrupt.

use super::cpus::{self, Cpu, NEVER};
use super::load;
use super::thread::{Priority, Thread};
use crate::hw::apic::{self, Destination};
use crate::hw::context::{self, Context};
use crate::hw::{clock, irq, percpu, smp, stacks, timer, trap};
use alloc::sync::Arc;
use alloc::vec::Vec;
use arrayvec::ArrayString;
use core::fmt::Write;
use core::sync::atomic::Ordering;
use logic::acpi::Platform;
use logic::boot::BootInfo;
use logic::procfs::machine::Times;
use logic::sched::{CpuSet, Outgoing, Reason, RunQueue, Timer, balance};
use logic::sync::interrupts::InterruptsOff;
use logic::sync::park::{AfterSwitch, Wakeup};
use logic::sync::rank::assert_none_held;
use logic::time::Instant;
use x86_64::instructions::interrupts;

/// What becomes of a thread that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It wants to go on.
    Requeue,
    /// It wants to go on, after the others.
    Yield,
    /// It sleeps, unless it was woken meanwhile.
    Park,
    /// It is done.
    Exit,
}

/// Lets the boot processor run threads: what it runs now becomes its idle thread, which must end in [`idle`].
pub fn start_boot_cpu() {
    irq::set_fixed_handler(irq::RESCHEDULE_VECTOR, reconsider);
    timer::set_hook(on_timer);
    add_this_cpu();
    trap::after_interrupts(after_interrupt);
}

/// Starts all other processors that the firmware names, but for those beyond `cpus=` of the command line.
pub fn start_other_cpus(info: &BootInfo, platform: &Platform) {
    let most = match info.command_line.value("cpus").map(str::parse::<usize>) {
        None => usize::MAX,
        Some(Ok(most)) if most > 0 => most,
        Some(_) => {
            log::warn!("cpus= takes a number from 1 on");
            usize::MAX
        }
    };
    let this = apic::id();
    let usable = platform.cpus.iter().filter(|cpu| cpu.usable && cpu.apic_id != this).map(|cpu| cpu.apic_id);
    let mut ids = Vec::new();
    if ids.try_reserve(platform.cpus.len()).is_ok() {
        ids.extend(usable.take(most - 1));
    }
    match smp::start(info, &ids, run_further_cpu) {
        Ok(outcome) => {
            for id in &outcome.silent {
                log::warn!("the processor with APIC id {id} does not answer, and is left out");
            }
            if outcome.left_out > 0 {
                log::warn!("no memory or room for {} more processors; they are left out", outcome.left_out);
            }
        }
        Err(_) => log::warn!("no memory to start other processors with"),
    }
}

/// What a further processor runs once it is set up.
fn run_further_cpu() -> ! {
    add_this_cpu();
    idle()
}

/// Makes what this processor runs its idle thread.
fn add_this_cpu() {
    let number = percpu::current().number();
    let mut name = ArrayString::<16>::new();
    // The number has at most three digits.
    let _ = write!(name, "idle/{number}");
    let idle = Thread::new(&name, Priority::Idle, CpuSet::only(number), Context::of_this_processor(), None);
    let cpu = cpus::add(number, idle);
    cpu.idle.context.adopt();
}

/// Runs threads for ever; sleeps when there is none.
pub fn idle() -> ! {
    loop {
        interrupts::disable();
        switch(Disposition::Requeue);
        clock::refine();
        if stacks::trim_pool() {
            // There may be more, and there may be something better to do.
            interrupts::enable();
            continue;
        }
        interrupts::enable_and_hlt();
    }
}

/// The thread that runs this.
pub fn current() -> Arc<Thread> {
    let _here = InterruptsOff::new();
    cpus::this().expect("threads run on processors that take part").current.lock().clone()
}

/// Who runs on processor `number`, if it takes part and nobody is just changing that.
pub fn running_on(number: usize) -> Option<Arc<Thread>> {
    Some(cpus::get(number)?.current.try_lock()?.clone())
}

/// The idle threads of all processors that take part, which are in no other list.
pub fn idle_threads() -> impl Iterator<Item = Arc<Thread>> {
    (0..percpu::count()).filter_map(cpus::get).map(|cpu| cpu.idle.clone())
}

/// What each processor that takes part has spent its time with.
pub fn times() -> impl Iterator<Item = Times> {
    (0..percpu::numbers()).filter_map(cpus::get).map(Cpu::times)
}

/// How often processors went on with another thread.
pub fn switches() -> u64 {
    (0..percpu::numbers()).filter_map(cpus::get).map(Cpu::switches).sum()
}

/// Notes that the thread that runs this has spent time in its program, by the time-stamp counter.
pub fn note_user_ticks(ticks: u64) {
    let _here = InterruptsOff::new();
    if let Some(cpu) = cpus::this() {
        cpu.note_user_ticks(ticks);
    }
}

/// Counts the processor time of the thread that runs here up to now, not only to the last switch.
pub fn count_run_time() {
    let _here = InterruptsOff::new();
    if let Some(cpu) = cpus::this() {
        cpu.queue.lock().charge(clock::now().nanoseconds());
    }
}

/// Lets others run first, if any want to.
pub fn yield_now() {
    switch(Disposition::Yield);
}

/// Puts a new thread where there is least to do.
pub(super) fn start(thread: &Arc<Thread>) {
    place(thread.clone(), Reason::New);
}

/// Wakes a thread that sleeps or is about to. From any context, interrupt handlers included.
pub(super) fn wake(thread: &Arc<Thread>) {
    if thread.park.wake() == Wakeup::Enqueue {
        place(thread.clone(), Reason::Woken);
    }
}

/// Has a thread notice that there is something for it: wakes it if it sleeps, and interrupts the program that it runs.
pub fn nudge(thread: &Arc<Thread>) {
    wake(thread);
    if thread.context.is_running()
        && let Some(cpu) = thread.entity.last_cpu().and_then(cpus::get)
    {
        let _here = InterruptsOff::new();
        if cpu.number != percpu::current().number() {
            notify(cpu);
        }
    }
}

/// Gives the processor away until [`wake`]; returns at once if that has come since the thread prepared to sleep.
pub(super) fn park(thread: &Thread) {
    let _here = InterruptsOff::new();
    if thread.park.commit() {
        switch(Disposition::Park);
    }
}

/// Ends the thread that runs this.
pub(super) fn exit() -> ! {
    switch(Disposition::Exit);
    unreachable!("nobody enqueues a thread that has ended")
}

/// The first thing that a new thread does.
pub(super) fn begin() {
    finish();
    interrupts::enable();
}

/// Has `timer`, which is set nowhere else, go off at `deadline` on this processor.
pub(super) fn set_timer(timer: &Arc<Timer>, deadline: Instant) {
    let _here = InterruptsOff::new();
    let cpu = cpus::this().expect("threads run on processors that take part");
    let is_first = cpu.timers.lock().insert(timer, deadline.nanoseconds());
    if is_first {
        rearm(cpu);
    }
}

/// Forgets what [`set_timer`] asked for, if it has not happened yet.
pub(super) fn cancel_timer(timer: &Arc<Timer>) {
    // The timer stays where it was set; only firing takes it out.
    if let Some(cpu) = timer.queue().and_then(cpus::get) {
        cpu.timers.lock().cancel(timer);
    }
}

/// Leaves the thread that runs this, if another's turn it is.
fn switch(disposition: Disposition) {
    assert_none_held();
    let _here = InterruptsOff::new();
    let cpu = cpus::this().expect("threads run on processors that take part");
    cpu.preempt.store(false, Ordering::Relaxed);
    let outgoing = match disposition {
        Disposition::Requeue => Outgoing::Runnable,
        Disposition::Yield => Outgoing::Yields,
        Disposition::Park | Disposition::Exit => Outgoing::Leaves,
    };
    let next = pick(cpu, outgoing);
    let this = cpu.current.lock().clone();
    if Arc::ptr_eq(&this, &next) {
        rearm(cpu);
        return;
    }
    cpu.note_switch(&this, &next);
    *cpu.left.lock() = Some((this, disposition));
    *cpu.current.lock() = next.clone();
    // Nothing that must be dropped is left on this stack: it may never run again.
    context::switch_to(next);
    finish();
}

/// The thread to run next: one of this processor's, one that waits elsewhere, or the idle one.
fn pick(cpu: &Cpu, outgoing: Outgoing) -> Arc<Thread> {
    let now = clock::now().nanoseconds();
    let own = {
        let mut queue = cpu.queue.lock();
        let next = queue.pick_next(now, outgoing);
        cpu.publish(&queue);
        next
    };
    own.or_else(|| steal(cpu, now)).unwrap_or_else(|| cpu.idle.clone())
}

/// Takes a thread that waits on another processor, to be run here.
fn steal(cpu: &Cpu, now: u64) -> Option<Arc<Thread>> {
    let loads = cpus::loads();
    let mut candidates = CpuSet::ALL;
    // The busiest may have nothing but threads that must stay there.
    while let Some(number) = balance::choose_victim(&loads, cpu.number, &candidates) {
        candidates.remove(number);
        let Some(stolen) = cpus::get(number).and_then(|victim| steal_from(victim, cpu.number)) else { continue };
        let mut queue = cpu.queue.lock();
        queue.enqueue(stolen, now, Reason::Migrated);
        let next = queue.pick_next(now, Outgoing::Leaves);
        cpu.publish(&queue);
        return next;
    }
    None
}

fn steal_from(victim: &Cpu, thief: usize) -> Option<Arc<Thread>> {
    let mut queue = victim.queue.lock();
    let stolen = queue.steal(|thread| thread.may_run_on(thief));
    victim.publish(&queue);
    stolen
}

/// The second half of [`switch`], on the stack of who runs now: sees to who was left.
fn finish() {
    let cpu = cpus::this().expect("threads run on processors that take part");
    let left = cpu.left.lock().take();
    let Some((thread, disposition)) = left else { return };
    let reason = match disposition {
        Disposition::Requeue | Disposition::Yield => Some(Reason::Preempted),
        Disposition::Park => (thread.park.finish() == AfterSwitch::Requeue).then_some(Reason::Woken),
        Disposition::Exit => None,
    };
    match reason.filter(|_| !Arc::ptr_eq(&thread, &cpu.idle)) {
        Some(_) if !thread.may_run_on(cpu.number) => place(thread, Reason::Migrated),
        // Who runs now was picked with this one in view. To ask again would take its turn away before it has begun where the
        // switch alone costs it more than it may be ahead: on a slow machine, for a thread of little weight.
        Some(Reason::Preempted) => {
            let mut queue = cpu.queue.lock();
            queue.enqueue(thread, clock::now().nanoseconds(), Reason::Preempted);
            cpu.publish(&queue);
        }
        Some(reason) => enqueue(cpu, thread, reason),
        None => {}
    }
    rearm(cpu);
}

/// Puts a thread into the queue of the processor that suits it best.
fn place(thread: Arc<Thread>, reason: Reason) {
    let wants_switch = {
        let _here = InterruptsOff::new();
        let this = cpus::this().expect("threads are started and woken on processors that take part");
        let target = balance::choose_cpu(thread.entity.last_cpu(), this.number, &cpus::loads(), &thread.allowed);
        enqueue(cpus::get(target).unwrap_or(this), thread, reason);
        this.preempt.load(Ordering::Relaxed)
    };
    // In a handler or under a lock, interrupts are off: then it happens when they are on again.
    if wants_switch && interrupts::are_enabled() {
        switch(Disposition::Requeue);
    }
}

/// Puts a thread into the queue of `cpu`, which learns of it if it has to act. Interrupts are off.
fn enqueue(cpu: &'static Cpu, thread: Arc<Thread>, reason: Reason) {
    let now = clock::now().nanoseconds();
    let (preempt, is_only) = {
        let mut queue = cpu.queue.lock();
        queue.enqueue(thread, now, reason);
        cpu.publish(&queue);
        (queue.should_preempt(now), queue.len() == 1)
    };
    let is_this = cpu.number == percpu::current().number();
    if preempt {
        cpu.preempt.store(true, Ordering::Relaxed);
    }
    let wants_notice = preempt || (!is_this && is_only);
    let has_notice = wants_notice && notify(cpu);
    if is_this && !has_notice && (is_only || preempt) {
        // Whoever runs was alone so far and had no end to its turn; or there is no APIC to interrupt it with.
        rearm(cpu);
    }
}

/// Has `cpu` look at its queue again. False without an APIC; then there is one processor.
fn notify(cpu: &Cpu) -> bool {
    percpu::get(cpu.number).is_some_and(|target| apic::send(Destination::One(target.apic_id()), irq::RESCHEDULE_VECTOR))
}

/// The interrupt that [`notify`] sends.
fn reconsider() {
    let Some(cpu) = cpus::this() else { return };
    let now = clock::now().nanoseconds();
    let taker = {
        let mut queue = cpu.queue.lock();
        if queue.should_preempt(now) {
            cpu.preempt.store(true, Ordering::Relaxed);
        }
        idle_taker(cpu, &queue)
    };
    // A switch will set the timer. Set to the end of a turn that is over, it would go off in the next thread's at once.
    if !cpu.preempt.load(Ordering::Relaxed) {
        rearm(cpu);
    }
    if let Some(idle) = taker {
        notify(idle);
    }
}

/// An idle processor that could take over a thread that waits for `cpu`. If there is one, the two have just missed each other:
/// both looked at loads that were a moment old.
fn idle_taker(cpu: &Cpu, queue: &RunQueue<Thread>) -> Option<&'static Cpu> {
    if queue.is_empty() {
        return None;
    }
    let idle =
        (0..percpu::numbers()).filter_map(cpus::get).filter(|other| other.number != cpu.number && other.has_nothing());
    idle.into_iter().find(|other| queue.could_give(|thread| thread.may_run_on(other.number)))
}

/// The timer's interrupt: wakes whose time has come, and ends turns.
fn on_timer() {
    let Some(cpu) = cpus::this() else { return };
    cpu.armed.store(NEVER, Ordering::Relaxed);
    let now = clock::now().nanoseconds();
    loop {
        let due = cpu.timers.lock().expire(now);
        let Some(timer) = due else { break };
        timer.fire();
    }
    reconsider();
    load::sample();
    clock::refine();
}

/// Sets this processor's timer to whatever comes first, a sleep's end or a turn's. A timer that is set to that already is left
/// alone: set again at each switch, one that is just about to go off would never do it among threads that switch fast.
fn rearm(cpu: &Cpu) {
    let slice_end = cpu.queue.lock().slice_end();
    let deadline = cpu.timers.lock().next_deadline();
    let next = slice_end.into_iter().chain(deadline).min();
    if cpu.armed.swap(next.unwrap_or(NEVER), Ordering::Relaxed) != next.unwrap_or(NEVER) {
        timer::arm(next.map(Instant::from_nanoseconds));
    }
}

/// At the end of each interrupt, on the stack of what was interrupted.
fn after_interrupt() {
    if cpus::this().is_some_and(|cpu| cpu.preempt.load(Ordering::Relaxed)) {
        switch(Disposition::Requeue);
    }
}
