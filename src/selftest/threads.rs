//! Tests of threads: none is lost, none waits for ever, none keeps another from its turn.

use super::tools::{Chance, PATIENCE, after, eventually, here, no_memory, processors, room_for_threads, spin};
use super::{Outcome, Test};
use crate::hw::ipi;
use crate::proc::thread::{self, Thread, spawn_on};
use crate::proc::{JoinHandle, Mutex, Priority, scheduler, sleep, spawn};
use crate::proc::{Outcome as Wait, wait_until};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use core::time::Duration;
use logic::sched::{CpuSet, Nice};
use logic::sync::wait_queue::WaitQueue;
use logic::sync::{IrqLock, Rank};

/// All of them.
pub const TESTS: &[Test] = &[
    Test { name: "threads-join", run: values_come_back },
    Test { name: "threads-names", run: names_and_numbers },
    Test { name: "threads-tree", run: threads_start_threads },
    Test { name: "threads-short", run: short_lives },
    Test { name: "threads-end-in-handlers", run: handlers_may_be_the_last_to_let_go },
    Test { name: "threads-affinity", run: threads_stay_where_they_must },
    Test { name: "threads-mutex", run: a_mutex_lets_one_in },
    Test { name: "threads-ping-pong-one", run: ping_pong_on_one_processor },
    Test { name: "threads-ping-pong-two", run: ping_pong_on_two_processors },
    Test { name: "threads-wake-storm", run: wakes_from_everywhere_are_seen },
    Test { name: "threads-time-outs", run: time_outs_swallow_no_wake_up },
    Test { name: "threads-yield", run: yielding_is_fair },
    Test { name: "threads-weights", run: nice_threads_get_less },
    Test { name: "threads-preemption", run: spinners_are_preempted },
    Test { name: "threads-urgent", run: urgent_spinners_starve_nobody },
    Test { name: "threads-spreading", run: spinners_spread_over_idle_processors },
    Test { name: "threads-stealing", run: a_thief_looks_past_what_it_may_not_have },
    Test { name: "threads-crowd", run: a_crowd_loses_nobody },
];

fn join_all(threads: Vec<JoinHandle<()>>) {
    threads.into_iter().for_each(JoinHandle::join);
}

fn values_come_back() -> Outcome {
    let mut threads = Vec::new();
    for number in 0..100_u64 {
        threads.push(spawn("square", Priority::NORMAL, move || number * number).map_err(no_memory)?);
    }
    for (number, thread) in threads.into_iter().enumerate() {
        check_eq!(thread.join(), (number * number) as u64);
    }
    let text = spawn("text", Priority::NORMAL, || String::from("kept")).map_err(no_memory)?;
    check!(eventually(|| text.thread().is_finished()), "a thread does not end");
    check_eq!(text.join(), "kept");
    static LATE: AtomicBool = AtomicBool::new(false);
    LATE.store(false, SeqCst);
    drop(spawn("detached", Priority::NORMAL, || LATE.store(true, SeqCst)).map_err(no_memory)?);
    check!(eventually(|| LATE.load(SeqCst)), "a thread that nobody joins does not run");
    Ok(())
}

fn names_and_numbers() -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    let before = thread::count();
    let mut threads = Vec::new();
    for name in ["first", "second", "a name that is longer than what fits", "ünïcödé-ünïcödé-ünïcödé"] {
        let stop = stop.clone();
        let work = move || {
            while !stop.load(SeqCst) {
                sleep(Duration::from_millis(1));
            }
        };
        threads.push(spawn(name, Priority::NORMAL, work).map_err(no_memory)?);
    }
    check_eq!(thread::count(), before + 4);
    let names: Vec<&str> = threads.iter().map(|thread| thread.thread().name()).collect();
    check_eq!(names[..2], ["first", "second"]);
    check_eq!(names[2], "a name that is longer than what ");
    check!(names[3].len() <= 32 && "ünïcödé-ünïcödé-ünïcödé".starts_with(names[3]), "cut to {}", names[3]);
    let mut ids = Vec::new();
    thread::for_each(|thread| ids.push(thread.id()));
    check!(ids.is_sorted_by(|a, b| a < b), "ids do not rise: {ids:?}");
    check_eq!(ids.len(), before + 4);
    for thread in &threads {
        check!(ids.contains(&thread.thread().id()), "{} is not visited", thread.thread().name());
    }
    let own = spawn("self", Priority::NORMAL, || scheduler::current().id()).map_err(no_memory)?;
    let id = own.thread().id();
    check_eq!(own.join(), id);
    stop.store(true, SeqCst);
    join_all(threads);
    check_eq!(thread::count(), before);
    Ok(())
}

fn threads_start_threads() -> Outcome {
    fn grow(depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        let children = [(); 2].map(|()| spawn("branch", Priority::NORMAL, move || grow(depth - 1)));
        // One that cannot be started is missing in the sum.
        children.into_iter().flatten().map(JoinHandle::join).sum()
    }
    // All levels of the tree are there at once.
    let depth = room_for_threads(256).ilog2() - 1;
    check_eq!(grow(depth), 1 << depth);
    Ok(())
}

/// The end of a thread against whoever waits for it.
fn short_lives() -> Outcome {
    for round in 0..1000_usize {
        let allowed = if round % 2 == 0 { CpuSet::ALL } else { CpuSet::only(round / 2 % processors()) };
        let thread = spawn_on(allowed, "short", Priority::NORMAL, move || round).map_err(no_memory)?;
        check_eq!(thread.join(), round);
    }
    Ok(())
}

/// Who lets go of a thread last frees it, and be it in the handler of a call that another processor waits for.
fn handlers_may_be_the_last_to_let_go() -> Outcome {
    static PARCEL: IrqLock<Option<Arc<Thread>>> = IrqLock::new(Rank::File, None);
    let mut ended = Vec::new();
    for _ in 0..room_for_threads(100) {
        let handle = spawn("parcel", Priority::NORMAL, || ()).map_err(no_memory)?;
        ended.push(handle.thread().clone());
        handle.join();
    }
    for thread in ended {
        check!(eventually(|| Arc::strong_count(&thread) == 1), "a thread that has ended is not let go of");
        *PARCEL.lock() = Some(thread);
        ipi::call_others(|_| true, &|| {
            let last = PARCEL.lock().take();
            drop(last);
        });
        PARCEL.lock().take();
    }
    Ok(())
}

fn threads_stay_where_they_must() -> Outcome {
    let mut threads = Vec::new();
    for cpu in (0..processors()).cycle().take(3 * processors()) {
        let work = move || {
            (0..150_u64)
                .filter(|round| {
                    match round % 3 {
                        0 => scheduler::yield_now(),
                        1 => sleep(Duration::from_micros(200)),
                        _ => spin(Duration::from_micros(200)),
                    }
                    here() != cpu
                })
                .count()
        };
        threads.push(spawn_on(CpuSet::only(cpu), "pinned", Priority::NORMAL, work).map_err(no_memory)?);
    }
    for thread in threads {
        check_eq!(thread.join(), 0);
    }
    // A processor that there is not: any will do.
    let nowhere = spawn_on(CpuSet::only(255), "nowhere", Priority::NORMAL, || {
        sleep(Duration::from_millis(1));
        scheduler::yield_now();
        5
    });
    check_eq!(nowhere.map_err(no_memory)?.join(), 5);
    Ok(())
}

fn a_mutex_lets_one_in() -> Outcome {
    const THREADS: u64 = 16;
    const ROUNDS: u64 = 300;
    let counter = Arc::new(Mutex::new(0_u64));
    let mut threads = Vec::new();
    for number in 0..THREADS {
        let counter = counter.clone();
        let work = move || {
            for round in 0..ROUNDS {
                let mut guard = counter.lock();
                let value = *guard;
                match (number + round) % 16 {
                    0 => scheduler::yield_now(),
                    1 => sleep(Duration::from_micros(10)),
                    _ => {}
                }
                *guard = value + 1;
            }
        };
        threads.push(spawn("contender", Priority::NORMAL, work).map_err(no_memory)?);
    }
    join_all(threads);
    check_eq!(*counter.lock(), THREADS * ROUNDS);
    let guard = counter.lock();
    check!(counter.try_lock().is_none(), "a held mutex was free");
    drop(guard);
    check!(counter.try_lock().is_some(), "a free mutex was held");
    Ok(())
}

fn ping_pong(cpus: [usize; 2]) -> Outcome {
    const ROUNDS: usize = 10_000;
    let table = Arc::new((AtomicUsize::new(0), [WaitQueue::new(), WaitQueue::new()]));
    let mut threads = Vec::new();
    for (me, cpu) in cpus.into_iter().enumerate() {
        let table = table.clone();
        let work = move || {
            let (turn, queues) = &*table;
            for round in 0..ROUNDS {
                wait_until(&queues[me], None, || turn.load(SeqCst) == 2 * round + me);
                turn.store(2 * round + me + 1, SeqCst);
                queues[1 - me].wake_one();
            }
        };
        threads.push(spawn_on(CpuSet::only(cpu), "ping-pong", Priority::NORMAL, work).map_err(no_memory)?);
    }
    join_all(threads);
    check_eq!(table.0.load(SeqCst), 2 * ROUNDS);
    Ok(())
}

fn ping_pong_on_one_processor() -> Outcome {
    ping_pong([processors() - 1; 2])
}

fn ping_pong_on_two_processors() -> Outcome {
    ping_pong([0, processors() - 1])
}

/// Many wake one that sleeps and times out all the time: what they did is always seen.
fn wakes_from_everywhere_are_seen() -> Outcome {
    const RINGS: u64 = 2000;
    let bell = Arc::new((AtomicU64::new(0), WaitQueue::new()));
    let mut threads = Vec::new();
    for cpu in 0..processors() {
        let bell = bell.clone();
        let work = move || {
            for _ in 0..RINGS {
                bell.0.fetch_add(1, SeqCst);
                bell.1.wake_all();
            }
        };
        threads.push(spawn_on(CpuSet::only(cpu), "ringer", Priority::NORMAL, work).map_err(no_memory)?);
    }
    let mut chance = Chance::new(1);
    let all = RINGS * processors() as u64;
    let mut heard = 0;
    let end = after(PATIENCE);
    while heard < all {
        let deadline = (chance.below(2) == 0).then(|| after(Duration::from_micros(chance.below(100))));
        if wait_until(&bell.1, deadline, || bell.0.load(SeqCst) > heard) == Wait::Done {
            heard = bell.0.load(SeqCst);
        }
        check!(crate::hw::clock::now() < end, "{heard} of {all} were heard in time");
    }
    join_all(threads);
    Ok(())
}

/// Each wake-up is for one of several who wait, some of whom are just about to give up.
fn time_outs_swallow_no_wake_up() -> Outcome {
    const TOKENS: u64 = 1000;
    #[derive(Default)]
    struct Table {
        tokens: AtomicU64,
        taken: AtomicU64,
        over: AtomicBool,
        waiting: WaitQueue,
    }
    let table = Arc::new(Table::default());
    let mut threads = Vec::new();
    for number in 0..12_u64 {
        let table = table.clone();
        let work = move || {
            let mut chance = Chance::new(number);
            loop {
                let deadline = (number > 0).then(|| after(Duration::from_micros(chance.below(300))));
                let mut has_token = false;
                wait_until(&table.waiting, deadline, || {
                    has_token = table.tokens.fetch_update(SeqCst, SeqCst, |tokens| tokens.checked_sub(1)).is_ok();
                    has_token || table.over.load(SeqCst)
                });
                if has_token {
                    table.taken.fetch_add(1, SeqCst);
                } else if table.over.load(SeqCst) {
                    return;
                } else {
                    // Away for a while: others must take what comes meanwhile.
                    sleep(Duration::from_millis(5 + chance.below(5)));
                }
            }
        };
        threads.push(spawn("taker", Priority::NORMAL, work).map_err(no_memory)?);
    }
    let mut lost = None;
    for given in 1..=TOKENS {
        table.tokens.fetch_add(1, SeqCst);
        table.waiting.wake_one();
        if given % 3 == 0 && !eventually(|| table.taken.load(SeqCst) == given) {
            lost = Some(given);
            break;
        }
    }
    table.over.store(true, SeqCst);
    table.waiting.wake_all();
    join_all(threads);
    check!(lost.is_none(), "nobody was woken for token {lost:?}");
    check_eq!(table.taken.load(SeqCst), TOKENS);
    Ok(())
}

/// Threads that only give way to each other take turns: while one has had many, no other has had few. A thread from which the host
/// takes its processor for a while has had that time, though, and others may be before it until they have had as much.
fn yielding_is_fair() -> Outcome {
    const THREADS: usize = 4;
    const TURNS: u64 = 5000;
    struct Polite {
        turns: AtomicU64,
        nanoseconds: AtomicU64,
    }
    impl Polite {
        fn had(&self) -> (u64, u64) {
            (self.turns.load(SeqCst), self.nanoseconds.load(SeqCst))
        }
    }
    let table = Arc::new((
        AtomicUsize::new(0),
        [const { Polite { turns: AtomicU64::new(0), nanoseconds: AtomicU64::new(0) } }; THREADS],
    ));
    let cpu = processors() - 1;
    let mut threads = Vec::new();
    for me in 0..THREADS {
        let table = table.clone();
        let work = move || {
            let (ready, all) = &*table;
            let this = scheduler::current();
            ready.fetch_add(1, SeqCst);
            while ready.load(SeqCst) < THREADS {
                scheduler::yield_now();
            }
            let begun = this.run_time();
            for _ in 0..TURNS {
                all[me].turns.fetch_add(1, SeqCst);
                scheduler::yield_now();
                all[me].nanoseconds.store((this.run_time() - begun).as_nanos() as u64, SeqCst);
            }
            // What it sees of the others when it ends: who has had few turns, and little time.
            let (_, own) = all[me].had();
            all.iter().map(Polite::had).find(|(turns, had)| *turns < TURNS / 10 && *had < own / 2)
        };
        threads.push(spawn_on(CpuSet::only(cpu), "polite", Priority::NORMAL, work).map_err(no_memory)?);
    }
    let wronged = threads.into_iter().filter_map(JoinHandle::join).next();
    check!(wronged.is_none(), "one ended when another had had {wronged:?} turns and nanoseconds");
    Ok(())
}

/// Threads that never wait, until they are told to end.
struct Spinners {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Where each ran last.
    places: Arc<[AtomicUsize; 64]>,
}

impl Spinners {
    fn none() -> Self {
        let places = Arc::new([const { AtomicUsize::new(usize::MAX) }; 64]);
        Self { stop: Arc::default(), threads: Vec::new(), places }
    }

    fn add(&mut self, allowed: CpuSet, priority: Priority) -> Outcome {
        let (stop, places, me) = (self.stop.clone(), self.places.clone(), self.threads.len());
        let work = move || {
            while !stop.load(SeqCst) {
                places[me].store(here(), SeqCst);
                core::hint::spin_loop();
            }
        };
        self.threads.push(spawn_on(allowed, "spinner", priority, work).map_err(no_memory)?);
        Ok(())
    }

    fn run(&self) -> bool {
        eventually(|| self.places[..self.threads.len()].iter().all(|place| place.load(SeqCst) != usize::MAX))
    }

    fn stand_on(&self, cpu: usize) -> bool {
        self.places[..self.threads.len()].iter().any(|place| place.load(SeqCst) == cpu)
    }

    fn end(self) {
        self.stop.store(true, SeqCst);
        join_all(self.threads);
    }
}

/// Whether a thread of `priority` gets to run on `cpu` within a time that is long for a computer.
fn gets_a_turn(cpu: usize, priority: Priority) -> Result<bool, String> {
    let ran = Arc::new(AtomicBool::new(false));
    let flag = ran.clone();
    let thread = spawn_on(CpuSet::only(cpu), "turn", priority, move || flag.store(true, SeqCst)).map_err(no_memory)?;
    let in_time = eventually(|| ran.load(SeqCst));
    if in_time {
        thread.join();
    }
    Ok(in_time)
}

fn all_get_turns_beside(spinner: Priority) -> Outcome {
    for cpu in [0, processors() - 1] {
        let mut spinners = Spinners::none();
        spinners.add(CpuSet::only(cpu), spinner)?;
        check!(spinners.run(), "a spinner does not run on processor {cpu}");
        for priority in [Priority::NORMAL, Priority::Fair(Nice::MAX), Priority::Idle, Priority::Urgent] {
            let got = gets_a_turn(cpu, priority)?;
            check!(got, "{priority:?} gets no turn on processor {cpu} beside a spinner that is {spinner:?}");
        }
        spinners.end();
    }
    Ok(())
}

fn spinners_are_preempted() -> Outcome {
    all_get_turns_beside(Priority::NORMAL)?;
    all_get_turns_beside(Priority::Idle)
}

fn urgent_spinners_starve_nobody() -> Outcome {
    all_get_turns_beside(Priority::Urgent)
}

/// Two on one processor share it by weight.
fn nice_threads_get_less() -> Outcome {
    let go = Arc::new(AtomicBool::new(false));
    let cpu = processors() - 1;
    let mut threads = Vec::new();
    for nice in [0, 5] {
        let go = go.clone();
        let work = move || {
            while !go.load(SeqCst) {
                scheduler::yield_now();
            }
            let this = scheduler::current();
            let begun = this.run_time();
            spin(Duration::from_millis(600));
            this.run_time() - begun
        };
        let priority = Priority::Fair(Nice::new(nice));
        threads.push(spawn_on(CpuSet::only(cpu), "weighed", priority, work).map_err(no_memory)?);
    }
    sleep(Duration::from_millis(5));
    go.store(true, SeqCst);
    let had: Vec<Duration> = threads.into_iter().map(JoinHandle::join).collect();
    // Five steps of 1.25 are three times as much, less what each had while the other was not there yet or any more.
    check!(had[0] > had[1], "nice 0 got {:?} and nice 5 got {:?}", had[0], had[1]);
    check!(had[1] > Duration::ZERO, "nice 5 got nothing");
    Ok(())
}

/// Those that piled up where there was room take over processors that become idle.
fn spinners_spread_over_idle_processors() -> Outcome {
    let cpus = processors().min(16);
    let mut blockers = Spinners::none();
    for cpu in 1..cpus {
        for _ in 0..3 {
            blockers.add(CpuSet::only(cpu), Priority::NORMAL)?;
        }
    }
    check!(blockers.run(), "not all blockers run");
    let mut spinners = Spinners::none();
    for _ in 0..cpus {
        spinners.add(CpuSet::first(cpus), Priority::NORMAL)?;
    }
    blockers.end();
    let spread = eventually(|| (0..cpus).all(|cpu| spinners.stand_on(cpu)));
    let places: Vec<usize> = spinners.places[..cpus].iter().map(|place| place.load(SeqCst)).collect();
    spinners.end();
    check!(spread, "{cpus} spinners stay on {places:?}");
    Ok(())
}

/// The busiest processor has nothing that may move; another has.
fn a_thief_looks_past_what_it_may_not_have() -> Outcome {
    if processors() < 3 {
        return Ok(());
    }
    let (mut pinned, mut holder, mut movable) = (Spinners::none(), Spinners::none(), Spinners::none());
    for _ in 0..5 {
        pinned.add(CpuSet::only(1), Priority::NORMAL)?;
    }
    for cpu in 2..processors().min(32) {
        holder.add(CpuSet::only(cpu), Priority::NORMAL)?;
    }
    check!(pinned.run() && holder.run(), "not all spinners run");
    let mut allowed = CpuSet::only(0);
    for _ in 0..2 {
        allowed.insert(2);
        movable.add(if movable.threads.is_empty() { CpuSet::only(0) } else { allowed }, Priority::NORMAL)?;
    }
    check!(movable.run(), "not all movable spinners run");
    holder.end();
    let moved = eventually(|| movable.stand_on(0) && movable.stand_on(2));
    movable.end();
    pinned.end();
    check!(moved, "two share processor 0 and processor 2 is idle");
    Ok(())
}

/// Thousands of threads sleep, take turns with a mutex, wait and are woken, some all at once, others one by one.
fn a_crowd_loses_nobody() -> Outcome {
    const QUEUES: usize = 8;
    #[derive(Default)]
    struct Gate {
        waiting: WaitQueue,
        open: AtomicBool,
        tickets: AtomicUsize,
    }
    struct Place {
        counter: Mutex<usize>,
        gates: [Gate; QUEUES],
        passed: AtomicUsize,
    }
    let place = Arc::new(Place { counter: Mutex::new(0), gates: Default::default(), passed: AtomicUsize::new(0) });
    let count = room_for_threads(4000);
    let mut threads = Vec::new();
    for number in 0..count {
        let place = place.clone();
        let work = move || {
            sleep(Duration::from_micros(number as u64 % 97 * 100));
            *place.counter.lock() += 1;
            let gate = &place.gates[number % QUEUES];
            let deadline = (number % 3 == 0).then(|| after(Duration::from_secs(3600)));
            wait_until(&gate.waiting, deadline, || {
                gate.open.load(SeqCst)
                    || gate.tickets.fetch_update(SeqCst, SeqCst, |tickets| tickets.checked_sub(1)).is_ok()
            });
            place.passed.fetch_add(1, SeqCst);
        };
        threads.push(spawn(&format!("crowd/{number}"), Priority::NORMAL, work).map_err(no_memory)?);
    }
    check!(eventually(|| *place.counter.lock() == count), "{} of {count} came", *place.counter.lock());
    check_eq!(place.passed.load(SeqCst), 0);
    for (number, gate) in place.gates.iter().enumerate() {
        if number % 2 == 0 {
            gate.open.store(true, SeqCst);
            gate.waiting.wake_all();
            continue;
        }
        for _ in (number..count).step_by(QUEUES) {
            gate.tickets.fetch_add(1, SeqCst);
            gate.waiting.wake_one();
        }
    }
    check!(eventually(|| place.passed.load(SeqCst) == count), "{} of {count} passed", place.passed.load(SeqCst));
    join_all(threads);
    check_eq!(*place.counter.lock(), count);
    Ok(())
}
