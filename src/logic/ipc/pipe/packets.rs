//! Packets in pipes (pipe(2), `O_DIRECT`): what one write puts in one read takes out, and a read that has no room for all of it loses
//! the rest. As in Linux, each takes the place of [`PIPE_BUF`] bytes, and a longer write makes several.

use super::PIPE_BUF;
use crate::errno::Errno;
use alloc::collections::VecDeque;

/// Where packets are among the bytes of a pipe. What is in none is plain.
#[derive(Default)]
pub(super) struct Packets {
    queue: VecDeque<Packet>,
    /// Bytes up to the end of the last packet.
    covered: usize,
    padding: usize,
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// Plain bytes that come before it.
    pub before: usize,
    /// Its own.
    pub length: usize,
}

impl Packet {
    fn padding(self) -> usize {
        PIPE_BUF.saturating_sub(self.length)
    }
}

impl Packets {
    /// Places that packets take beyond their bytes.
    pub(super) fn padding(&self) -> usize {
        self.padding
    }

    /// Makes room to note one more.
    pub(super) fn reserve(&mut self) -> Result<(), Errno> {
        self.queue.try_reserve(1).map_err(|_| Errno::ENOMEM)
    }

    /// Notes that the last `length` of `total` bytes are a packet.
    pub(super) fn push(&mut self, total: usize, length: usize) {
        let before = total.saturating_sub(length).saturating_sub(self.covered);
        let packet = Packet { before, length };
        self.queue.push_back(packet);
        self.covered = total;
        self.padding = self.padding.saturating_add(packet.padding());
    }

    /// The first.
    pub(super) fn first(&self) -> Option<Packet> {
        self.queue.front().copied()
    }

    /// Notes that the oldest `count` bytes have gone. A packet may have lost its beginning so, to splice(2).
    pub(super) fn advance(&mut self, mut count: usize) {
        self.covered = self.covered.saturating_sub(count);
        while let Some(packet) = self.queue.front_mut().filter(|_| count > 0) {
            let plain = count.min(packet.before);
            packet.before = packet.before.saturating_sub(plain);
            count = count.saturating_sub(plain);
            let padding = packet.padding();
            let own = count.min(packet.length);
            packet.length = packet.length.saturating_sub(own);
            count = count.saturating_sub(own);
            self.padding = self.padding.saturating_sub(padding);
            if packet.before == 0 && packet.length == 0 {
                self.queue.pop_front();
            } else {
                self.padding = self.padding.saturating_add(packet.padding());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::File;
    use crate::ipc::pipe::{Pipe, USUAL_CAPACITY};
    use proptest::prelude::*;

    fn read(end: &crate::ipc::pipe::End, most: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; most];
        let count = end.read(0, &mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    #[test]
    fn a_read_takes_one_packet_and_loses_what_it_has_no_room_for() {
        let (reader, writer) = Pipe::pair();
        for packet in [b"abc".as_slice(), b"defgh", b"i"] {
            assert_eq!(writer.write_packets(packet), Ok(packet.len()));
        }
        let reads = [100, 2, 100, 100].map(|most| read(&reader, most));
        assert_eq!(reads, [Ok(b"abc".to_vec()), Ok(b"de".to_vec()), Ok(b"i".to_vec()), Err(Errno::EAGAIN)]);
        assert_eq!(writer.write_packets(b""), Ok(0));
        assert_eq!(read(&reader, 100), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_long_write_makes_several_packets() {
        let (reader, writer) = Pipe::pair();
        assert_eq!(writer.write_packets(&[7; PIPE_BUF + 9]), Ok(PIPE_BUF + 9));
        let lengths = [(); 2].map(|()| read(&reader, USUAL_CAPACITY).unwrap().len());
        assert_eq!(lengths, [PIPE_BUF, 9]);
    }

    #[test]
    fn each_packet_takes_a_place() {
        let (reader, writer) = Pipe::pair();
        let places = USUAL_CAPACITY / PIPE_BUF;
        assert_eq!((0..).take_while(|_| writer.write_packets(b"x") == Ok(1)).count(), places);
        assert_eq!(reader.set_capacity(PIPE_BUF, false), Err(Errno::EBUSY));
        assert_eq!(read(&reader, 1), Ok(b"x".to_vec()));
        assert_eq!(writer.write_packets(b"y"), Ok(1));
        assert_eq!((0..).take_while(|_| read(&reader, 9).is_ok()).count(), places);
        assert_eq!(writer.write(0, &[0; USUAL_CAPACITY]), Ok(USUAL_CAPACITY));
    }

    #[test]
    fn a_packet_that_was_spliced_in_part_is_shorter() {
        let (reader, writer) = Pipe::pair();
        writer.write(0, b"plain").unwrap();
        writer.write_packets(b"packet").unwrap();
        reader.claim().unwrap().take(8);
        assert_eq!((read(&reader, 100), read(&reader, 100)), (Ok(b"ket".to_vec()), Err(Errno::EAGAIN)));
        assert_eq!(writer.write(0, &[0; USUAL_CAPACITY]), Ok(USUAL_CAPACITY));
    }

    proptest! {
        #[test]
        fn plain_bytes_and_packets_come_in_order(steps in prop::collection::vec((0..3_u8, 1..40_usize), 0..80)) {
            let (reader, writer) = Pipe::pair();
            // Pieces: whether a packet, and the bytes.
            let mut model: VecDeque<(bool, Vec<u8>)> = VecDeque::new();
            for (number, (step, size)) in steps.into_iter().enumerate() {
                let bytes = vec![number as u8; size];
                match step {
                    0 => {
                        if writer.write(0, &bytes) == Ok(size) {
                            model.push_back((false, bytes));
                        }
                    }
                    1 => {
                        if writer.write_packets(&bytes) == Ok(size) {
                            model.push_back((true, bytes));
                        }
                    }
                    _ => {
                        let mut expected = Vec::new();
                        while expected.len() < size && let Some((is_packet, mut bytes)) = model.pop_front() {
                            let rest = bytes.split_off(bytes.len().min(size - expected.len()));
                            expected.extend(bytes);
                            if is_packet {
                                break;
                            }
                            if !rest.is_empty() {
                                model.push_front((false, rest));
                            }
                        }
                        prop_assert_eq!(read(&reader, size).unwrap_or_default(), expected);
                    }
                }
            }
        }
    }
}
