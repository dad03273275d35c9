//! Timers and signals as files: what timerfd_create(2) and signalfd(2) need of the machine and of tasks.

use crate::hw::clock;
use crate::proc::process::{SIGNALS_SENT, current_task};
use crate::proc::timer::{Call, call_at};
use alloc::sync::Arc;
use logic::errno::Errno;
use logic::fs::{File, Readiness};
use logic::ipc::signal_reader::{Pending, SignalRecord};
use logic::ipc::timer::{Clock, How, Setting, Timer};
use logic::signal::{Detail, SignalInfo, SignalSet};
use logic::sync::{IrqLock, Rank, WaitQueue};
use logic::time::Instant;
use logic::time::calendar::UnixTime;

/// What a timer goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerClock {
    /// The time of day. Nobody sets it, so it never jumps.
    RealTime,
    /// The time since the kernel's start.
    Monotonic,
}

impl Clock for TimerClock {
    fn now_ns(&self) -> u64 {
        match self {
            Self::Monotonic => clock::now().nanoseconds(),
            Self::RealTime => {
                let UnixTime { seconds, nanoseconds } = clock::wall_clock();
                u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanoseconds.into())
            }
        }
    }
}

/// A timer that a program reads. As in Linux, one that was not read since it expired does not expire again by itself: what it has
/// missed is worked out when somebody reads.
pub struct ProgramTimer {
    clock: TimerClock,
    timer: Arc<Timer>,
    alarm: IrqLock<Option<Call>>,
}

impl ProgramTimer {
    /// A timer that does not run.
    pub fn new(clock: TimerClock) -> Arc<Self> {
        let timer = Timer::new(Arc::new(clock));
        Arc::new(Self { clock, timer, alarm: IrqLock::new(Rank::File, None) })
    }

    /// timerfd_settime(2): what it was set to before.
    ///
    /// # Errors
    /// [`Errno::ENOMEM`].
    pub fn set(&self, setting: Setting, how: How) -> Result<Setting, Errno> {
        let before = self.timer.set(setting, how);
        self.arm()?;
        Ok(before)
    }

    /// timerfd_gettime(2).
    pub fn get(&self) -> Setting {
        self.timer.get()
    }

    /// Has sleepers woken when it expires next.
    fn arm(&self) -> Result<(), Errno> {
        let call = match self.timer.next_expiry() {
            None => None,
            Some(next) => {
                // In this order, so that the alarm is not early.
                let left = next.saturating_sub(self.clock.now_ns());
                let deadline = clock::now().nanoseconds().saturating_add(left);
                let timer = self.timer.clone();
                let ring = move || {
                    timer.fire();
                };
                Some(call_at(Instant::from_nanoseconds(deadline), ring).map_err(|_| Errno::ENOMEM)?)
            }
        };
        let previous = core::mem::replace(&mut *self.alarm.lock(), call);
        drop(previous);
        Ok(())
    }
}

impl File for ProgramTimer {
    fn read(&self, position: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let count = self.timer.read(position, bytes)?;
        // What has been read is not lost, even if no sleeper can be woken the next time.
        let _ = self.arm();
        Ok(count)
    }

    fn write(&self, position: u64, bytes: &[u8]) -> Result<usize, Errno> {
        self.timer.write(position, bytes)
    }

    fn poll(&self) -> Readiness {
        self.timer.poll()
    }

    fn changes(&self) -> Option<&WaitQueue> {
        self.timer.changes()
    }
}

/// The signals of whoever reads.
pub struct SignalSource;

impl Pending for SignalSource {
    fn take(&self, wanted: SignalSet) -> Option<SignalRecord> {
        current_task()?.take_signal(wanted).map(record)
    }

    fn any(&self, wanted: SignalSet) -> bool {
        current_task().is_some_and(|task| task.has_pending_signal(wanted))
    }

    fn changes(&self) -> &WaitQueue {
        &SIGNALS_SENT
    }
}

/// What is told of a signal.
fn record(info: SignalInfo) -> SignalRecord {
    let SignalInfo { signal, code, detail } = info;
    let record = SignalRecord { signal: signal.number().into(), code, ..SignalRecord::default() };
    // Halves of a pointer's size, as the structures of C overlay one another.
    let low = |value: u64| (value & u64::from(u32::MAX)) as u32;
    match detail {
        Detail::None => record,
        Detail::Sender { pid, uid } => SignalRecord { process: pid, user: uid, ..record },
        Detail::Queued { pid, uid, value } => {
            SignalRecord { process: pid, user: uid, value: low(value).cast_signed(), pointer: value, ..record }
        }
        Detail::Timer { id, overrun, value } => SignalRecord {
            timer: id.cast_unsigned(),
            overrun: overrun.cast_unsigned(),
            value: low(value).cast_signed(),
            pointer: value,
            ..record
        },
        Detail::Child { pid, uid, status, user_ticks, system_ticks } => SignalRecord {
            process: pid,
            user: uid,
            status,
            user_time: user_ticks.cast_unsigned(),
            system_time: system_ticks.cast_unsigned(),
            ..record
        },
        Detail::Fault { address } => SignalRecord { address, ..record },
        Detail::Poll { band, descriptor } => SignalRecord { band: low(band.cast_unsigned()), descriptor, ..record },
        Detail::SystemCall { address, number, architecture } => {
            SignalRecord { call_address: address, system_call: number, architecture, ..record }
        }
    }
}
