//! What is on its way from one socket to another.

use super::address::Address;
use super::flight::Rights;
use crate::errno::Errno;
use crate::sync::WaitQueue;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// What a message counts beside its bytes, for what it takes in the kernel.
pub(super) const OVERHEAD: usize = 256;

/// Bytes of a stream in one message; and what is copied with a lock held.
pub(super) const PIECE: usize = 4096;

/// Who sends: `struct ucred`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The process.
    pub process: u32,
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
}

impl Credentials {
    /// Bytes of the structure.
    pub const SIZE: usize = 12;

    /// Nobody: what a socket without a peer says of it.
    pub const NOBODY: Self = Self { process: 0, user: u32::MAX, group: u32::MAX };

    /// Of a program's memory.
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let [p0, p1, p2, p3, u0, u1, u2, u3, g0, g1, g2, g3] = *bytes;
        let [process, user, group] = [[p0, p1, p2, p3], [u0, u1, u2, u3], [g0, g1, g2, g3]].map(u32::from_ne_bytes);
        Self { process, user, group }
    }

    /// For a program's memory.
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let [[p0, p1, p2, p3], [u0, u1, u2, u3], [g0, g1, g2, g3]] =
            [self.process, self.user, self.group].map(u32::to_ne_bytes);
        [p0, p1, p2, p3, u0, u1, u2, u3, g0, g1, g2, g3]
    }
}

/// What a socket has sent that nobody has received yet, and who waits for that to become less. It is the sender's memory that
/// is used up, whoever does not read.
pub(super) struct Account {
    used: AtomicUsize,
    limit: AtomicUsize,
    /// The socket's own queue: for this, and for everything else.
    pub(super) changed: WaitQueue,
}

impl Account {
    pub(super) const fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit: AtomicUsize::new(limit), changed: WaitQueue::new() }
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        self.changed.wake_all();
    }

    /// Bytes that one message more may have.
    pub(super) fn room(&self) -> usize {
        self.limit().saturating_sub(self.used()).saturating_sub(OVERHEAD)
    }

    /// Whether there is so much room that who waits to send is woken.
    pub(super) fn is_writable(&self) -> bool {
        self.used() <= self.limit() / 4
    }
}

/// A part of what an account has used. Given back, and told, when dropped: with no lock held.
struct Charge {
    account: Arc<Account>,
    amount: usize,
}

impl Charge {
    fn new(account: &Arc<Account>, amount: usize) -> Self {
        let mut charge = Self { account: account.clone(), amount: 0 };
        charge.add(amount);
        charge
    }

    fn add(&mut self, amount: usize) {
        self.account.used.fetch_add(amount, Ordering::Relaxed);
        self.amount = self.amount.saturating_add(amount);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.amount, Ordering::Relaxed);
        if self.account.is_writable() {
            self.account.changed.wake_all();
        }
    }
}

/// A message in a socket's inbox: a datagram, or a piece of a stream.
pub(super) struct Message {
    /// Shared, so that what is only peeked at is copied with no lock held.
    bytes: Arc<Vec<u8>>,
    /// Bytes that have been received: of a stream.
    done: usize,
    pub(super) sender: Address,
    pub(super) credentials: Credentials,
    pub(super) rights: Rights,
    charge: Charge,
}

impl Message {
    /// Copies `bytes`, at the expense of `account`, and takes `rights`.
    pub(super) fn new(
        bytes: &[u8],
        account: &Arc<Account>,
        sender: Address,
        credentials: Credentials,
        rights: &mut Rights,
    ) -> Result<Self, Errno> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len()).map_err(|_| Errno::ENOBUFS)?;
        copy.extend_from_slice(bytes);
        let charge = Charge::new(account, bytes.len().saturating_add(OVERHEAD));
        let rights = core::mem::take(rights);
        Ok(Self { bytes: Arc::new(copy), done: 0, sender, credentials, rights, charge })
    }

    /// What has not been received.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.done..).unwrap_or_default()
    }

    /// All of the bytes.
    pub(super) fn shared(&self) -> Arc<Vec<u8>> {
        self.bytes.clone()
    }

    /// So many bytes were received.
    pub(super) fn advance(&mut self, count: usize) {
        self.done = self.done.saturating_add(count);
    }

    /// Adds `next` to this piece of a stream, so that many small pieces do not take a message each. False if they do not belong
    /// together or find no room.
    pub(super) fn absorb(&mut self, next: &Self) -> bool {
        let belongs = self.rights.is_empty()
            && next.rights.is_empty()
            && self.credentials == next.credentials
            && Arc::ptr_eq(&self.charge.account, &next.charge.account);
        let added = next.rest();
        if !belongs || self.bytes.len().saturating_add(added.len()) > PIECE {
            return false;
        }
        // None while somebody looks at it.
        let Some(bytes) = Arc::get_mut(&mut self.bytes) else { return false };
        if bytes.try_reserve(added.len()).is_err() {
            return false;
        }
        bytes.extend_from_slice(added);
        self.charge.add(added.len());
        true
    }
}
