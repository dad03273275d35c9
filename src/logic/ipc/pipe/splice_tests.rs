//! Claims to what waits in a pipe.

use super::splice::may_wait;
use super::tests::read;
use super::*;
use crate::ipc::testing::Bell;
use crate::sync::Waiter;
use linux_raw_sys::general::{SPLICE_F_GIFT, SPLICE_F_MORE, SPLICE_F_MOVE, SPLICE_F_NONBLOCK};

#[test]
fn flags_are_those_of_the_manual() {
    assert_eq!(may_wait(0), Ok(true));
    assert_eq!(may_wait(SPLICE_F_MOVE | SPLICE_F_MORE | SPLICE_F_GIFT), Ok(true));
    assert_eq!(may_wait(SPLICE_F_MOVE | SPLICE_F_NONBLOCK), Ok(false));
    assert_eq!(may_wait(16), Err(Errno::EINVAL));
}

#[test]
fn what_is_claimed_stays_until_it_is_taken_and_nobody_else_reads_it() {
    let (reader, writer) = Pipe::pair();
    assert_eq!(reader.claim().err(), Some(Errno::EAGAIN));
    writer.write(0, b"0123456789").unwrap();
    let claim = reader.claim().unwrap();
    let mut bytes = [0; 4];
    assert_eq!((claim.peek(&mut bytes), &bytes), (4, b"0123"));
    assert_eq!(read(&reader, 4), Err(Errno::EAGAIN));
    assert_eq!(reader.claim().err(), Some(Errno::EAGAIN));
    assert_eq!(reader.poll(), Readiness::empty());
    claim.take(2);
    assert_eq!(reader.poll(), Readiness::IN | Readiness::RDNORM);
    drop(reader.claim().unwrap());
    assert_eq!(read(&reader, 20).unwrap(), b"23456789");
    assert_eq!(writer.claim().err(), Some(Errno::EBADF));
}

#[test]
fn the_end_can_be_claimed_and_holds_nothing() {
    let (reader, writer) = Pipe::pair();
    writer.write(0, b"x").unwrap();
    drop(writer);
    let claim = reader.claim().unwrap();
    let mut bytes = [0; 9];
    assert_eq!(claim.peek(&mut bytes), 1);
    claim.take(1);
    let claim = reader.claim().unwrap();
    assert_eq!(claim.peek(&mut bytes), 0);
    // Not the end for others, who would take it for one; so they are woken when it is.
    assert_eq!(read(&reader, 1), Err(Errno::EAGAIN));
    let (bell, waker) = Bell::new();
    reader.changes().unwrap().add(&Waiter::new(waker));
    drop(claim);
    assert_eq!(bell.rings(), 1);
    assert_eq!(read(&reader, 1).unwrap(), b"");
}

#[test]
fn a_full_pipe_wakes_its_writers_when_enough_was_taken() {
    let (reader, writer) = Pipe::pair();
    assert_eq!(writer.room(), Ok(USUAL_CAPACITY));
    assert_eq!(writer.write(0, &[7; USUAL_CAPACITY]), Ok(USUAL_CAPACITY));
    assert_eq!(writer.room(), Err(Errno::EAGAIN));
    let (bell, waker) = Bell::new();
    writer.changes().unwrap().add(&Waiter::new(waker));
    reader.claim().unwrap().take(PIPE_BUF - 1);
    assert_eq!((bell.rings(), writer.room()), (0, Ok(PIPE_BUF - 1)));
    let claim = reader.claim().unwrap();
    let mut bytes = vec![0; USUAL_CAPACITY];
    assert_eq!(claim.peek(&mut bytes), USUAL_CAPACITY - PIPE_BUF + 1);
    claim.take(1);
    assert_eq!((bell.rings(), writer.room()), (1, Ok(PIPE_BUF)));
    assert_eq!(reader.room(), Err(Errno::EBADF));
    drop(reader);
    assert_eq!(writer.room(), Err(Errno::EPIPE));
    assert_eq!(writer.write_all(b"x"), Err(Errno::EPIPE));
}

#[test]
fn what_there_was_room_for_is_written_whatever_others_wrote_meanwhile() {
    let (reader, writer) = Pipe::pair();
    writer.write(0, &[1; USUAL_CAPACITY]).unwrap();
    assert_eq!(writer.write_all(&[2; 2 * PIPE_BUF]), Ok(()));
    let bytes = read(&reader, 2 * USUAL_CAPACITY).unwrap();
    assert_eq!((bytes.len(), bytes.last()), (USUAL_CAPACITY + 2 * PIPE_BUF, Some(&2)));
}
