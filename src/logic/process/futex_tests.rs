//! Tests of futexes against a model, and of lists of locks in hostile memory.

use super::futex::{Command, EVERYBODY, FutexTable, FutexWaiter, Key, WakeOperation};
use super::robust::{LockMemory, MOST_LOCKS, release};
use crate::errno::Errno;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

fn key(place: u64) -> Key {
    Key::private(1, place * 4).expect("aligned")
}

fn waiters<const N: usize>() -> [Arc<FutexWaiter>; N] {
    core::array::from_fn(|_| FutexWaiter::new(Waker::noop().clone()))
}

#[test]
fn words_are_told_apart_by_owner_and_place() {
    let words = [Key::private(1, 4), Key::private(1, 8), Key::private(2, 4), Key::shared(1, 4)];
    for (index, word) in words.iter().enumerate() {
        assert!(word.is_ok() && !words[..index].contains(word));
    }
    assert_eq!(Key::private(1, 6), Err(Errno::EINVAL));
    assert_eq!(Key::shared(1, 1), Err(Errno::EINVAL));
}

#[test]
fn who_finds_another_value_does_not_wait() {
    let mut table = FutexTable::new();
    let [waiter] = waiters();
    let mut wait = |bits, found| table.wait(&waiter, key(1), bits, || found);
    assert_eq!(wait(0, Ok(true)), Err(Errno::EINVAL));
    assert_eq!(wait(EVERYBODY, Ok(false)), Err(Errno::EAGAIN));
    assert_eq!(wait(EVERYBODY, Err(Errno::EFAULT)), Err(Errno::EFAULT));
    assert!(!waiter.waits());
    assert_eq!(wait(EVERYBODY, Ok(true)), Ok(()));
    assert!(waiter.waits() && table.cancel(&waiter));
    assert!(!waiter.waits() && !table.cancel(&waiter));
}

#[test]
fn who_came_first_is_woken_first_and_by_its_bits() {
    let mut table = FutexTable::new();
    let [a, b, c, d] = waiters();
    for (waiter, bits) in [(&a, 1), (&b, 2), (&c, 3)] {
        table.wait(waiter, key(1), bits, || Ok(true)).expect("as expected");
    }
    let since = table.now();
    table.wait(&d, key(1), 2, || Ok(true)).expect("as expected");
    let woken = table.take(key(1), 2, since, 10);
    assert!(woken.len() == 2 && Arc::ptr_eq(&woken[0], &b) && Arc::ptr_eq(&woken[1], &c));
    assert!(a.waits() && !b.waits() && !c.waits() && d.waits(), "who came later waits");
    assert!(table.take(key(2), EVERYBODY, table.now(), 10).is_empty());
}

#[test]
fn commands_are_read_as_futex_2_has_them() {
    assert_eq!(Command::from_user(0x80), Ok((Command::Wait, true, false)));
    assert_eq!(Command::from_user(9 | 0x100), Ok((Command::WaitBitset, false, true)));
    assert_eq!(Command::from_user(4), Ok((Command::CompareRequeue, false, false)));
    for unknown in [2, 6, 7, 8, 11, 13, 14, 1 | 0x100, 0x200, u32::MAX] {
        assert_eq!(Command::from_user(unknown), Err(Errno::ENOSYS), "{unknown:#x}");
    }
}

#[test]
fn a_word_is_changed_and_compared_as_wake_op_says() {
    let operation = |change: u32, comparison: u32, operand: u32, compared: u32| {
        WakeOperation::from_user(change << 28 | comparison << 24 | operand << 12 | compared)
    };
    let apply = |change, operand, old| operation(change, 0, operand, 0).expect("known").apply(old);
    assert_eq!(apply(0, 5, 9), 5);
    assert_eq!(apply(0, 0xfff, 9), u32::MAX, "operands have signs");
    assert_eq!(apply(1, 0xfff, 9), 8);
    assert_eq!((apply(2, 6, 9), apply(3, 8, 9), apply(4, 3, 9)), (15, 1, 10));
    assert_eq!((apply(8, 4, 0), apply(8 | 2, 0xfff, 0)), (16, 1 << 31));
    let wakes =
        |comparison, old: i32| operation(0, comparison, 0, 0xffe).expect("known").wakes_second(old.cast_unsigned());
    for (comparison, expected) in [
        (0, [false, true, false]),
        (1, [true, false, true]),
        (2, [true, false, false]),
        (3, [true, true, false]),
        (4, [false, false, true]),
        (5, [false, true, true]),
    ] {
        assert_eq!([-3, -2, -1].map(|old| wakes(comparison, old)), expected, "comparison {comparison}");
    }
    assert_eq!(operation(5, 0, 0, 0), Err(Errno::ENOSYS));
    assert_eq!(operation(0, 6, 0, 0), Err(Errno::ENOSYS));
}

#[derive(Clone, Debug)]
enum Step {
    Wait(usize, u64, u32),
    Cancel(usize),
    Wake(u64, u32, usize),
    Requeue(u64, u64, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (waiter, word, most) = (0_usize..24, 0_u64..4, prop_oneof![0_usize..4, Just(usize::MAX)]);
    prop_oneof![
        4 => (waiter.clone(), word.clone(), 1_u32..8).prop_map(|(waiter, word, bits)| Step::Wait(waiter, word, bits)),
        1 => waiter.prop_map(Step::Cancel),
        2 => (word.clone(), 1_u32..8, most.clone()).prop_map(|(word, bits, most)| Step::Wake(word, bits, most)),
        1 => (word.clone(), word, most).prop_map(|(from, to, most)| Step::Requeue(from, to, most)),
    ]
}

proptest! {
    #[test]
    fn waiters_are_woken_in_the_order_of_coming(steps in prop::collection::vec(step(), 0..200)) {
        let all: [_; 24] = waiters();
        let mut table = FutexTable::new();
        // (waiter, word, bits) in the order of coming to the word.
        let mut model: Vec<(usize, u64, u32)> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(waiter, word, bits) => {
                    model.retain(|(other, ..)| *other != waiter);
                    model.push((waiter, word, bits));
                    prop_assert_eq!(table.wait(&all[waiter], key(word), bits, || Ok(true)), Ok(()));
                }
                Step::Cancel(waiter) => {
                    let waits = model.iter().any(|(other, ..)| *other == waiter);
                    model.retain(|(other, ..)| *other != waiter);
                    prop_assert_eq!(table.cancel(&all[waiter]), waits);
                }
                Step::Wake(word, bits, most) => {
                    let since = table.now();
                    let woken = table.take(key(word), bits, since, most);
                    let meant = model.iter().filter(|(_, at, mask)| *at == word && mask & bits != 0);
                    let most = most.min(super::futex::BATCH);
                    let expected: Vec<_> = meant.map(|(waiter, ..)| *waiter).take(most).collect();
                    prop_assert_eq!(woken.len(), expected.len());
                    prop_assert!(woken.iter().zip(&expected).all(|(woken, index)| Arc::ptr_eq(woken, &all[*index])));
                    model.retain(|(waiter, ..)| !expected.contains(waiter));
                }
                Step::Requeue(from, to, most) => {
                    let meant = model.iter().filter(|(_, at, _)| *at == from);
                    let moved: Vec<_> = meant.map(|(waiter, ..)| *waiter).take(most).collect();
                    prop_assert_eq!(table.requeue(key(from), key(to), most), moved.len());
                    if from != to {
                        let (gone, mut stay): (Vec<_>, Vec<_>) =
                            model.into_iter().partition(|(waiter, ..)| moved.contains(waiter));
                        stay.extend(gone.into_iter().map(|(waiter, _, bits)| (waiter, to, bits)));
                        model = stay;
                    }
                }
            }
            for (index, waiter) in all.iter().enumerate() {
                prop_assert_eq!(waiter.waits(), model.iter().any(|(other, ..)| *other == index));
            }
        }
    }
}

/// Memory of 32-bit words; what is not there faults.
#[derive(Default)]
struct Memory {
    words: BTreeMap<u64, u32>,
    woken: Vec<u64>,
    reads: usize,
}

impl Memory {
    fn put(&mut self, address: u64, pointer: u64) {
        self.words.insert(address, pointer as u32);
        self.words.insert(address + 4, (pointer >> 32) as u32);
    }
}

impl LockMemory for Memory {
    fn pointer(&mut self, address: u64) -> Result<u64, Errno> {
        let high = self.load(address.checked_add(4).ok_or(Errno::EFAULT)?)?;
        Ok(u64::from(self.load(address)?) | u64::from(high) << 32)
    }

    fn load(&mut self, address: u64) -> Result<u32, Errno> {
        self.reads += 1;
        self.words.get(&address).copied().ok_or(Errno::EFAULT)
    }

    fn compare_exchange(&mut self, address: u64, old: u32, new: u32) -> Result<u32, Errno> {
        let found = self.load(address)?;
        if found == old {
            self.words.insert(address, new);
        }
        Ok(found)
    }

    fn wake_one(&mut self, address: u64) {
        self.woken.push(address);
    }
}

const HEAD: u64 = 0x1000;
const TID: u32 = 77;
const WAITERS: u32 = 1 << 31;
const DIED: u32 = 1 << 30;

/// Locks at 0x2000, 0x2100, ..., eight bytes before their entries, with these values.
fn locks(values: &[u32], pending: u64) -> Memory {
    let mut memory = Memory::default();
    let entry = |index: usize| if index < values.len() { 0x2008 + 0x100 * index as u64 } else { HEAD };
    memory.put(HEAD, entry(0));
    memory.put(HEAD + 8, 8_u64.wrapping_neg());
    memory.put(HEAD + 16, pending);
    for (index, value) in values.iter().enumerate() {
        memory.put(entry(index), entry(index + 1));
        memory.words.insert(entry(index) - 8, *value);
    }
    memory
}

#[test]
fn locks_of_a_dead_thread_are_marked_and_one_waiter_of_each_is_woken() {
    let mut memory = locks(&[TID, TID | WAITERS, 5 | WAITERS, 0], 0);
    assert_eq!(release(HEAD, TID, &mut memory), Ok(()));
    assert_eq!(
        [0x2000, 0x2100, 0x2200, 0x2300].map(|lock| memory.words[&lock]),
        [DIED, DIED | WAITERS, 5 | WAITERS, 0]
    );
    assert_eq!(memory.woken, [0x2100]);
}

#[test]
fn a_lock_that_was_being_let_go_wakes_who_may_wait() {
    let mut memory = locks(&[TID], 0x3008);
    memory.put(0x3008, 0);
    memory.words.insert(0x3000, 0);
    assert_eq!(release(HEAD, TID, &mut memory), Ok(()));
    assert_eq!((memory.woken, memory.words[&0x2000]), (vec![0x3000], DIED));
    let mut memory = locks(&[TID | WAITERS], 0x2008);
    assert_eq!(release(HEAD, TID, &mut memory), Ok(()));
    assert_eq!((memory.woken, memory.words[&0x2000]), (vec![0x2000], DIED | WAITERS), "once, though it is listed too");
}

#[test]
fn lists_that_lead_nowhere_end() {
    let mut ring = locks(&[5, 5], 0);
    ring.put(0x2108, 0x2008);
    assert_eq!(release(HEAD, TID, &mut ring), Ok(()));
    assert!(ring.reads <= 4 * MOST_LOCKS + 10);
    let mut torn = locks(&[TID, TID], 0);
    torn.put(0x2008, 0xdead_0000);
    assert_eq!(release(HEAD, TID, &mut torn), Err(Errno::EFAULT));
    assert_eq!((torn.words[&0x2000], torn.words[&0x2100]), (DIED, TID));
    let mut odd = locks(&[TID], 0);
    odd.put(HEAD + 8, 3);
    assert_eq!(release(HEAD, TID, &mut odd), Err(Errno::EFAULT));
    assert_eq!(release(u64::MAX, TID, &mut Memory::default()), Err(Errno::EFAULT));
    assert_eq!(release(u64::MAX - 20, TID, &mut Memory::default()), Err(Errno::EFAULT));
}
