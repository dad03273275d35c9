//! What goes along with a message (cmsg(3)): open files, and who sends.

use super::unix::{Credentials, MOST_PER_MESSAGE};
use crate::errno::Errno;
use arrayvec::ArrayVec;
use linux_raw_sys::net;

/// Bytes of `struct cmsghdr`: length, level, type.
const HEADER: usize = size_of::<net::cmsghdr>();

/// What the next message is aligned to.
const ALIGNMENT: usize = size_of::<usize>();

/// Bytes of a descriptor.
const DESCRIPTOR: usize = size_of::<i32>();

/// What a program wants to go along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlMessages {
    /// Descriptors whose open files are passed on.
    pub descriptors: ArrayVec<i32, MOST_PER_MESSAGE>,
    /// Who it says it is. The layer above looks whether it may.
    pub credentials: Option<Credentials>,
}

impl ControlMessages {
    /// Reads `msg_control`. What is meant for other protocols is passed over.
    ///
    /// # Errors
    /// [`Errno::EINVAL`] for lengths that lead nowhere, unknown messages and too many descriptors.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Errno> {
        let mut found = Self::default();
        let mut rest = bytes;
        while let Some((header, after)) = rest.split_first_chunk::<HEADER>() {
            let [l0, l1, l2, l3, l4, l5, l6, l7, v0, v1, v2, v3, t0, t1, t2, t3] = *header;
            let length = u64::from_ne_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
            let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(HEADER));
            let data = after.get(..length.ok_or(Errno::EINVAL)?).ok_or(Errno::EINVAL)?;
            let (level, kind) = (u32::from_ne_bytes([v0, v1, v2, v3]), u32::from_ne_bytes([t0, t1, t2, t3]));
            if level == net::SOL_SOCKET {
                found.add(kind, data)?;
            }
            rest = after.get(data.len().next_multiple_of(ALIGNMENT)..).unwrap_or_default();
        }
        Ok(found)
    }

    fn add(&mut self, kind: u32, data: &[u8]) -> Result<(), Errno> {
        match kind {
            net::SCM_RIGHTS => {
                let (descriptors, _) = data.as_chunks::<DESCRIPTOR>();
                for descriptor in descriptors {
                    self.descriptors.try_push(i32::from_ne_bytes(*descriptor)).map_err(|_| Errno::EINVAL)?;
                }
            }
            net::SCM_CREDENTIALS => {
                let bytes = data.as_array::<{ Credentials::SIZE }>().ok_or(Errno::EINVAL)?;
                self.credentials = Some(Credentials::from_bytes(bytes));
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

/// Writes control messages into the room that a program offers.
pub struct ControlWriter<'a> {
    bytes: &'a mut [u8],
    used: usize,
    is_truncated: bool,
}

impl<'a> ControlWriter<'a> {
    /// Into `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, used: 0, is_truncated: false }
    }

    /// How many descriptors find room. The others are not even opened.
    pub fn room_for_descriptors(&self) -> usize {
        self.bytes.len().saturating_sub(self.used).saturating_sub(HEADER) / DESCRIPTOR
    }

    /// Adds descriptors; those without room are left out, and that is told. None is no message.
    pub fn descriptors(&mut self, descriptors: &[i32]) {
        let fitting = descriptors.get(..self.room_for_descriptors()).unwrap_or(descriptors);
        self.is_truncated |= fitting.len() < descriptors.len();
        if !fitting.is_empty() {
            let data: ArrayVec<u8, { MOST_PER_MESSAGE * DESCRIPTOR }> =
                fitting.iter().take(MOST_PER_MESSAGE).flat_map(|descriptor| descriptor.to_ne_bytes()).collect();
            self.add(net::SCM_RIGHTS, &data);
        }
    }

    /// Adds who sends.
    pub fn credentials(&mut self, credentials: Credentials) {
        self.add(net::SCM_CREDENTIALS, &credentials.to_bytes());
    }

    /// Bytes that were written.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Whether something found no room (`MSG_CTRUNC`).
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    fn add(&mut self, kind: u32, data: &[u8]) {
        let Some(target) = self.bytes.get_mut(self.used..).filter(|target| target.len() >= HEADER) else {
            self.is_truncated = true;
            return;
        };
        let fits = data.len().min(target.len().saturating_sub(HEADER));
        self.is_truncated |= fits < data.len();
        let length = HEADER.saturating_add(fits);
        let header = (length as u64).to_ne_bytes().into_iter();
        let header = header.chain(net::SOL_SOCKET.to_ne_bytes()).chain(kind.to_ne_bytes());
        // The gap to the next message is zeros.
        let message = header.chain(data.iter().copied().take(fits)).chain(core::iter::repeat(0));
        let space = length.next_multiple_of(ALIGNMENT).min(target.len());
        target.iter_mut().zip(message).take(space).for_each(|(slot, byte)| *slot = byte);
        self.used = self.used.saturating_add(space);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHO: Credentials = Credentials { process: 1, user: 2, group: 3 };

    fn message(length: u64, level: u32, kind: u32, data: &[u8]) -> Vec<u8> {
        [&length.to_ne_bytes()[..], &level.to_ne_bytes(), &kind.to_ne_bytes(), data].concat()
    }

    #[test]
    fn messages_of_other_protocols_are_passed_over_and_unknown_ones_refused() {
        let other = message(20, 41, 9, &[1; 8]);
        let rights = message(24, 1, net::SCM_RIGHTS, &[5, 0, 0, 0, 6, 0, 0, 0]);
        let found = ControlMessages::from_bytes(&[other, rights].concat()).unwrap();
        assert_eq!((found.descriptors.as_slice(), found.credentials), (&[5, 6][..], None));
        assert_eq!(ControlMessages::from_bytes(&message(16, 1, 77, &[])), Err(Errno::EINVAL));
        assert_eq!(ControlMessages::from_bytes(&message(27, 1, net::SCM_CREDENTIALS, &[0; 16])), Err(Errno::EINVAL));
    }

    #[test]
    fn lengths_that_lead_nowhere_are_refused() {
        for length in [0, 15, 25, u64::MAX] {
            assert_eq!(ControlMessages::from_bytes(&message(length, 1, 1, &[0; 8])), Err(Errno::EINVAL), "{length}");
        }
        assert_eq!(ControlMessages::from_bytes(&[0; 15]), Ok(ControlMessages::default()), "no room for a header");
        let many = message(16 + 4 * 254, 1, net::SCM_RIGHTS, &[0; 4 * 254]);
        assert_eq!(ControlMessages::from_bytes(&many), Err(Errno::EINVAL));
    }

    #[test]
    fn what_finds_no_room_is_left_out_and_told() {
        for (room, used, truncated) in [(0, 0, true), (15, 0, true), (20, 20, true), (24, 24, false), (40, 24, false)] {
            let mut bytes = vec![0xff; room];
            let mut writer = ControlWriter::new(&mut bytes);
            writer.descriptors(&[7, 8]);
            assert_eq!((writer.used(), writer.is_truncated()), (used, truncated), "{room}");
        }
        let mut bytes = [0xff; 64];
        let mut writer = ControlWriter::new(&mut bytes);
        writer.credentials(WHO);
        writer.descriptors(&[-1]);
        assert_eq!((writer.used(), writer.is_truncated()), (32 + 24, false));
        assert_eq!((&bytes[28..32], &bytes[52..57]), (&[0; 4][..], &[0, 0, 0, 0, 0xff][..]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(descriptors in prop::collection::vec(any::<i32>(), 0..254), who: bool) {
            let mut bytes = vec![0; 2000];
            let mut writer = ControlWriter::new(&mut bytes);
            writer.descriptors(&descriptors);
            if who {
                writer.credentials(WHO);
            }
            let used = writer.used();
            let found = ControlMessages::from_bytes(&bytes[..used]).unwrap();
            prop_assert_eq!(found.descriptors.as_slice(), &descriptors[..]);
            prop_assert_eq!(found.credentials, who.then_some(WHO));
        }
    }
}
