//! Signals as something to be read (signalfd(2)).
//!
//! Whose signals those are depends on who reads, so the pending ones come from a [`Pending`] of the layer above, which looks at
//! the thread that calls.

use crate::errno::Errno;
use crate::fs::{File, Readiness};
use crate::signal::SignalSet;
use crate::sync::{IrqLock, Rank, WaitQueue};
use alloc::sync::Arc;

/// Bytes of one `struct signalfd_siginfo`.
pub const RECORD: usize = 128;

/// What is told of a signal: the fields of `struct signalfd_siginfo`, of which each kind of signal fills its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalRecord {
    /// The signal.
    pub signal: u32,
    /// An error number; Linux does not use it.
    pub error: i32,
    /// Why it was sent: `SI_USER`, `CLD_EXITED` and so on.
    pub code: i32,
    /// Who sent it.
    pub process: u32,
    /// As which user.
    pub user: u32,
    /// Which file is ready (SIGIO).
    pub descriptor: i32,
    /// Which timer expired.
    pub timer: u32,
    /// The events of the file (SIGIO).
    pub band: u32,
    /// How often the timer expired unnoticed.
    pub overrun: u32,
    /// What the exception was (SIGSEGV and its like).
    pub trap: u32,
    /// What the child exited with, or which signal ended it.
    pub status: i32,
    /// What sigqueue(3) sent, as a number.
    pub value: i32,
    /// What sigqueue(3) sent, as a pointer.
    pub pointer: u64,
    /// Ticks that the child ran itself.
    pub user_time: u64,
    /// Ticks that the child ran in the kernel.
    pub system_time: u64,
    /// Where the exception was.
    pub address: u64,
    /// The least significant bit of the address (SIGBUS).
    pub address_bit: u16,
    /// The system call that a filter refused (SIGSYS).
    pub system_call: i32,
    /// Where it was called.
    pub call_address: u64,
    /// For which architecture.
    pub architecture: u32,
}

impl SignalRecord {
    /// As `struct signalfd_siginfo`.
    pub fn to_bytes(&self) -> [u8; RECORD] {
        let mut fields = Fields { bytes: [0; RECORD], place: 0 };
        fields.put(&self.signal.to_ne_bytes());
        fields.put(&self.error.to_ne_bytes());
        fields.put(&self.code.to_ne_bytes());
        fields.put(&self.process.to_ne_bytes());
        fields.put(&self.user.to_ne_bytes());
        fields.put(&self.descriptor.to_ne_bytes());
        fields.put(&self.timer.to_ne_bytes());
        fields.put(&self.band.to_ne_bytes());
        fields.put(&self.overrun.to_ne_bytes());
        fields.put(&self.trap.to_ne_bytes());
        fields.put(&self.status.to_ne_bytes());
        fields.put(&self.value.to_ne_bytes());
        fields.put(&self.pointer.to_ne_bytes());
        fields.put(&self.user_time.to_ne_bytes());
        fields.put(&self.system_time.to_ne_bytes());
        fields.put(&self.address.to_ne_bytes());
        fields.put(&self.address_bit.to_ne_bytes());
        fields.put(&[0; 2]);
        fields.put(&self.system_call.to_ne_bytes());
        fields.put(&self.call_address.to_ne_bytes());
        fields.put(&self.architecture.to_ne_bytes());
        fields.bytes
    }
}

/// Fields of a structure, one after the other. What is left is zeros.
struct Fields {
    bytes: [u8; RECORD],
    place: usize,
}

impl Fields {
    fn put(&mut self, field: &[u8]) {
        let end = self.place.saturating_add(field.len());
        if let Some(target) = self.bytes.get_mut(self.place..end) {
            target.copy_from_slice(field);
        }
        self.place = end;
    }
}

/// The pending signals of the thread that calls, its own and its process's.
pub trait Pending: Send + Sync {
    /// Takes the next one of `wanted`, as sigwaitinfo(2) would.
    fn take(&self, wanted: SignalSet) -> Option<SignalRecord>;

    /// Whether there is one of `wanted`.
    fn any(&self, wanted: SignalSet) -> bool;

    /// Wakes when a signal is sent to the thread or its process.
    fn changes(&self) -> &WaitQueue;
}

/// Signals, as an open file.
pub struct SignalReader {
    pending: Arc<dyn Pending>,
    wanted: IrqLock<SignalSet>,
}

impl SignalReader {
    /// A file that gives the signals of `wanted`, but for SIGKILL and SIGSTOP, which nobody can wait for.
    pub fn new(pending: Arc<dyn Pending>, wanted: SignalSet) -> Arc<Self> {
        Arc::new(Self { pending, wanted: IrqLock::new(Rank::File, wanted.as_mask()) })
    }

    /// signalfd(2) of a file that there is: it gives these from now on.
    pub fn set_wanted(&self, wanted: SignalSet) {
        *self.wanted.lock() = wanted.as_mask();
        self.pending.changes().wake_all();
    }
}

impl File for SignalReader {
    fn read(&self, _: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let wanted = *self.wanted.lock();
        let (records, _) = bytes.as_chunks_mut::<RECORD>();
        if records.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut done = 0_usize;
        for target in records {
            let Some(signal) = self.pending.take(wanted) else { break };
            *target = signal.to_bytes();
            done = done.saturating_add(RECORD);
        }
        if done == 0 { Err(Errno::EAGAIN) } else { Ok(done) }
    }

    fn write(&self, _: u64, _: &[u8]) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }

    fn poll(&self) -> Readiness {
        let wanted = *self.wanted.lock();
        if self.pending.any(wanted) { Readiness::IN | Readiness::RDNORM } else { Readiness::empty() }
    }

    fn changes(&self) -> Option<&WaitQueue> {
        Some(self.pending.changes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::testing::Bell;
    use crate::signal::Signal;
    use crate::sync::Waiter;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Signals {
        sent: Mutex<Vec<SignalRecord>>,
        changed: WaitQueue,
    }

    impl Signals {
        fn send(&self, signal: u32) {
            self.sent.lock().unwrap().push(SignalRecord { signal, ..SignalRecord::default() });
            self.changed.wake_all();
        }
    }

    fn has(wanted: SignalSet, number: u32) -> bool {
        let signal = i32::try_from(number).ok().and_then(|number| Signal::from_user(number).ok().flatten());
        signal.is_some_and(|signal| wanted.contains(signal))
    }

    impl Pending for Signals {
        fn take(&self, wanted: SignalSet) -> Option<SignalRecord> {
            let mut sent = self.sent.lock().unwrap();
            let place = sent.iter().position(|record| has(wanted, record.signal))?;
            Some(sent.remove(place))
        }

        fn any(&self, wanted: SignalSet) -> bool {
            self.sent.lock().unwrap().iter().any(|record| has(wanted, record.signal))
        }

        fn changes(&self) -> &WaitQueue {
            &self.changed
        }
    }

    #[test]
    fn signals_of_the_set_are_read_and_others_stay() {
        let signals = Arc::new(Signals::default());
        let reader = SignalReader::new(signals.clone(), SignalSet::from_bits(1 << 1 | 1 << 14));
        let mut bytes = [0; 3 * RECORD - 1];
        assert_eq!(reader.read(0, &mut bytes), Err(Errno::EAGAIN));
        [2, 10, 15, 2].into_iter().for_each(|signal| signals.send(signal));
        assert_eq!(reader.poll(), Readiness::IN | Readiness::RDNORM);
        assert_eq!(reader.read(0, &mut bytes), Ok(2 * RECORD));
        assert_eq!((bytes[0], bytes[RECORD]), (2, 15));
        assert_eq!(reader.read(0, &mut bytes), Ok(RECORD));
        assert_eq!(reader.poll(), Readiness::empty());
        let (bell, waker) = Bell::new();
        reader.changes().unwrap().add(&Waiter::new(waker));
        reader.set_wanted(SignalSet::from_bits(1 << 9));
        assert_eq!((bell.rings(), reader.read(0, &mut bytes)), (1, Ok(RECORD)));
        assert_eq!(reader.read(0, &mut bytes[1..RECORD]), Err(Errno::EINVAL));
        assert_eq!(reader.write(0, &bytes), Err(Errno::EINVAL));
    }

    #[test]
    fn nobody_reads_what_cannot_be_caught() {
        let signals = Arc::new(Signals::default());
        let all = SignalSet::from_bits(u64::MAX);
        let reader = SignalReader::new(signals.clone(), all);
        for again in [false, true] {
            if again {
                reader.set_wanted(all);
            }
            [9, 1, 19, 64, 0, 65, u32::MAX].into_iter().for_each(|signal| signals.send(signal));
            let mut bytes = [0; 7 * RECORD];
            assert_eq!(reader.read(0, &mut bytes), Ok(2 * RECORD));
            assert_eq!((bytes[0], bytes[RECORD]), (1, 64));
        }
    }

    #[test]
    fn fields_lie_where_programs_look_for_them() {
        let record = SignalRecord {
            signal: 1,
            status: 2,
            pointer: 3,
            address: 4,
            address_bit: 5,
            system_call: 6,
            call_address: 7,
            architecture: 8,
            ..SignalRecord::default()
        };
        let bytes = record.to_bytes();
        // Offsets of signalfd(2)'s structure, by its fields' sizes.
        let found = [0, 40, 48, 72, 80, 84, 88, 96].map(|offset| bytes[offset]);
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
