//! Pipes by the rules of pipe(7) and fifo(7), and against a queue of bytes.

use super::*;
use crate::ipc::testing::{Bell, Memory};
use crate::sync::Waiter;
use proptest::prelude::*;
use std::collections::VecDeque;

pub(super) fn read(end: &End, most: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; most];
    let count = end.read(0, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

#[test]
fn bytes_that_are_written_are_read_and_nothing_else() {
    let (reader, writer) = Pipe::pair();
    assert_eq!(read(&reader, 9), Err(Errno::EAGAIN));
    assert_eq!(writer.write(0, b"abc"), Ok(3));
    assert_eq!(writer.write(0, b"de"), Ok(2));
    assert_eq!(read(&reader, 0).unwrap(), b"");
    assert_eq!(read(&reader, 4).unwrap(), b"abcd");
    assert_eq!(read(&reader, 4).unwrap(), b"e");
    assert_eq!(reader.write(0, b"x"), Err(Errno::EBADF));
    assert_eq!(read(&writer, 1), Err(Errno::EBADF));
}

#[test]
fn a_pipe_ends_when_its_last_writer_has_gone_and_everything_is_read() {
    let (reader, writer) = Pipe::pair();
    writer.write(0, b"last").unwrap();
    assert_eq!(reader.poll(), Readiness::IN | Readiness::RDNORM);
    drop(writer);
    assert_eq!(reader.poll(), Readiness::IN | Readiness::RDNORM | Readiness::HUP);
    assert_eq!(read(&reader, 9).unwrap(), b"last");
    assert_eq!(read(&reader, 9).unwrap(), b"");
    assert_eq!(reader.poll(), Readiness::HUP);
}

#[test]
fn nobody_writes_to_nobody() {
    let (reader, writer) = Pipe::pair();
    assert_eq!(writer.poll(), Readiness::OUT | Readiness::WRNORM);
    drop(reader);
    assert_eq!(writer.write(0, b"x"), Err(Errno::EPIPE));
    assert_eq!(writer.write(0, b""), Ok(0));
    assert!(writer.poll().contains(Readiness::ERR));
}

#[test]
fn a_small_write_is_whole_or_not_at_all_and_a_large_one_is_what_fits() {
    let (reader, writer) = Pipe::pair();
    assert_eq!(writer.write(0, &[1; USUAL_CAPACITY - 10]), Ok(USUAL_CAPACITY - 10));
    assert_eq!(writer.write(0, &[2; 11]), Err(Errno::EAGAIN));
    assert_eq!(writer.write(0, &[2; 4]), Ok(4));
    assert_eq!(writer.write(0, &[3; PIPE_BUF + 1]), Ok(6));
    assert_eq!(writer.write(0, &[3; PIPE_BUF + 1]), Err(Errno::EAGAIN));
    assert_eq!(writer.poll(), Readiness::empty());
    assert_eq!(read(&reader, PIPE_BUF - 1).unwrap().len(), PIPE_BUF - 1);
    assert_eq!(writer.poll(), Readiness::empty(), "no room for PIPE_BUF bytes");
    assert_eq!(read(&reader, 1).unwrap().len(), 1);
    assert_eq!(writer.poll(), Readiness::OUT | Readiness::WRNORM);
}

#[test]
fn the_capacity_is_whole_pages_and_never_less_than_what_waits() {
    let (_reader, writer) = Pipe::pair();
    assert_eq!(writer.capacity(), 65536);
    assert_eq!(writer.set_capacity(5000, false), Ok(8192));
    assert_eq!(writer.write(0, &[0; 9000]), Ok(8192));
    assert_eq!(writer.set_capacity(0, false), Err(Errno::EBUSY));
    assert_eq!(writer.set_capacity(MOST_CAPACITY + 1, false), Err(Errno::EPERM));
    assert_eq!(writer.set_capacity(MOST_CAPACITY + 1, true), Ok(2 * MOST_CAPACITY));
    assert_eq!(writer.set_capacity(usize::MAX, true), Err(Errno::EINVAL));
    assert!(writer.poll().contains(Readiness::OUT));
}

#[test]
fn one_reader_is_woken_for_a_write_and_the_next_for_what_the_first_leaves() {
    let (reader, writer) = Pipe::pair();
    let bells = [Bell::new(), Bell::new()];
    let queue = reader.changes().unwrap();
    for (_, waker) in &bells {
        queue.add(&Waiter::new(waker.clone()));
    }
    writer.write(0, b"ab").unwrap();
    assert_eq!([bells[0].0.rings(), bells[1].0.rings()], [1, 0]);
    read(&reader, 1).unwrap();
    assert_eq!([bells[0].0.rings(), bells[1].0.rings()], [1, 1]);
}

#[test]
fn writers_are_woken_when_there_is_room_for_a_whole_write() {
    let (reader, writer) = Pipe::pair();
    writer.write(0, &[0; USUAL_CAPACITY]).unwrap();
    let (bell, waker) = Bell::new();
    writer.changes().unwrap().add(&Waiter::new(waker));
    read(&reader, PIPE_BUF - 1).unwrap();
    assert_eq!(bell.rings(), 0);
    read(&reader, 1).unwrap();
    assert_eq!(bell.rings(), 1);
}

#[test]
fn everybody_is_woken_when_the_other_side_goes() {
    let (reader, writer) = Pipe::pair();
    let (bell, waker) = Bell::new();
    for _ in 0..2 {
        writer.changes().unwrap().add(&Waiter::new(waker.clone()));
    }
    drop(reader);
    assert_eq!(bell.rings(), 2);
}

#[test]
fn a_fifo_is_opened_when_both_sides_have_come() {
    let fifo = Pipe::new();
    assert_eq!(fifo.open(Access::Write, true).err(), Some(Errno::ENXIO));
    let reader = fifo.open(Access::Read, false).unwrap();
    assert!(!reader.has_met());
    assert_eq!(reader.poll(), Readiness::empty(), "it has not ended, it has not begun");
    let (bell, waker) = Bell::new();
    fifo.opened().add(&Waiter::new(waker));
    let writer = fifo.open(Access::Write, true).unwrap();
    assert!(writer.has_met() && reader.has_met() && bell.rings() == 1);
    drop(writer);
    assert!(reader.has_met(), "a writer that came and went was a writer");
    assert_eq!(reader.poll(), Readiness::HUP);
    let again = fifo.open(Access::Write, false).unwrap();
    again.write(0, b"x").unwrap();
    assert_eq!(reader.poll(), Readiness::IN | Readiness::RDNORM);
    let both = fifo.open(Access::Both, true).unwrap();
    assert!(both.has_met());
    drop((reader, again));
    assert_eq!(read(&both, 9).unwrap(), b"x");
    assert_eq!(read(&both, 9), Err(Errno::EAGAIN), "it is a writer itself");
    both.write(0, b"lost").unwrap();
    drop(both);
    let reader = fifo.open(Access::Read, true).unwrap();
    assert_eq!(read(&reader, 9).unwrap(), b"", "what nobody read goes with the last end");
}

#[test]
fn a_pipe_tells_how_many_bytes_wait() {
    let (reader, writer) = Pipe::pair();
    writer.write(0, b"four").unwrap();
    let mut memory = Memory::new(8);
    assert_eq!(reader.control(ioctl::FIONREAD, 4, &mut memory), Ok(0));
    assert_eq!(memory.0[4..], 4_i32.to_ne_bytes());
    assert_eq!(reader.control(ioctl::FIONREAD, 5, &mut memory), Err(Errno::EFAULT));
    assert_eq!(reader.control(ioctl::TCGETS, 0, &mut memory), Err(Errno::ENOTTY));
}

#[test]
fn who_opens_an_unnamed_pipe_again_waits_for_nobody() {
    let (reader, writer) = Pipe::pair();
    writer.write(0, b"left").unwrap();
    drop(writer);
    let again = reader.pipe().open(Access::Read, false).unwrap();
    assert!(again.has_met());
    assert_eq!(read(&again, 10), Ok(b"left".to_vec()));
    drop((reader, again));
    let (reader, writer) = Pipe::pair();
    let pipe = reader.pipe().clone();
    drop((reader, writer));
    assert!(pipe.open(Access::Write, true).is_ok());
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_whatever_the_sizes(
        steps in prop::collection::vec((0..4, prop_oneof![0..20_usize, 4000..4200_usize, 0..80_000_usize]), 1..60)
    ) {
        let (reader, writer) = Pipe::pair();
        let mut model = VecDeque::new();
        let mut next = 0_u32;
        for (step, size) in steps {
            let capacity = writer.capacity();
            let room = capacity - model.len();
            match step {
                0 | 1 => {
                    let bytes: Vec<u8> = (0..size).map(|_| { next = next.wrapping_add(1); (next % 251) as u8 }).collect();
                    let expected = if size == 0 { Ok(0) }
                        else if room == 0 || (size <= PIPE_BUF && size > room) { Err(Errno::EAGAIN) }
                        else { Ok(size.min(room)) };
                    prop_assert_eq!(writer.write(0, &bytes), expected);
                    model.extend(&bytes[..expected.unwrap_or(0)]);
                }
                2 => {
                    let expected: Vec<u8> = model.drain(..size.min(model.len())).collect();
                    match read(&reader, size) {
                        Ok(bytes) => prop_assert_eq!(bytes, expected),
                        Err(error) => prop_assert!(error == Errno::EAGAIN && expected.is_empty() && size > 0),
                    }
                }
                _ => {
                    let wanted = size.max(PIPE_BUF).next_power_of_two();
                    let expected = if model.len() > wanted { Err(Errno::EBUSY) } else { Ok(wanted) };
                    prop_assert_eq!(writer.set_capacity(size, false), expected);
                }
            }
            let room = writer.capacity() - model.len();
            prop_assert_eq!(reader.poll().contains(Readiness::IN), !model.is_empty());
            prop_assert_eq!(writer.poll().contains(Readiness::OUT), room >= PIPE_BUF);
        }
    }
}
