//! Sockets by abstract names (unix(7)). As in Linux, each kind of socket has names of its own.

use super::address::Address;
use super::{Kind, Socket};
use crate::errno::Errno;
use crate::sync::{IrqLock, Rank};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt::Write;

/// Names that a socket that asks for any can get: five hexadecimal digits.
const AUTOMATIC: u32 = 1 << 20;

/// Who is called what, in the order of kinds and names.
pub(super) struct Names(IrqLock<Table>);

struct Table {
    sockets: Vec<((Kind, Address), Weak<Socket>)>,
    next_automatic: u32,
}

impl Table {
    fn find(&self, kind: Kind, name: &Address) -> Result<usize, usize> {
        self.sockets.binary_search_by(|((other_kind, other), _)| key(*other_kind, other).cmp(&key(kind, name)))
    }
}

fn key(kind: Kind, name: &Address) -> (u32, &[u8]) {
    let bytes: &[u8] = match name {
        Address::Abstract(name) => name,
        _ => &[],
    };
    (kind.number(), bytes)
}

impl Names {
    pub(super) const fn new() -> Self {
        Self(IrqLock::new(Rank::File, Table { sockets: Vec::new(), next_automatic: 0 }))
    }

    /// Calls a socket by an abstract name.
    ///
    /// # Errors
    /// [`Errno::EADDRINUSE`].
    pub(super) fn bind(&self, kind: Kind, name: &Address, socket: Weak<Socket>) -> Result<(), Errno> {
        let mut table = self.0.lock();
        let place = table.find(kind, name).err().ok_or(Errno::EADDRINUSE)?;
        table.sockets.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        table.sockets.insert(place, ((kind, name.clone()), socket));
        Ok(())
    }

    /// Calls a socket by a name that nobody has, and answers that.
    ///
    /// # Errors
    /// [`Errno::ENOSPC`] if there is none.
    pub(super) fn bind_any(&self, kind: Kind, socket: &Weak<Socket>) -> Result<Address, Errno> {
        for _ in 0..AUTOMATIC {
            let number = {
                let mut table = self.0.lock();
                table.next_automatic = table.next_automatic.wrapping_add(1) % AUTOMATIC;
                table.next_automatic
            };
            let mut digits = arrayvec::ArrayString::<8>::new();
            write!(digits, "{number:05x}").map_err(|_| Errno::ENOSPC)?;
            let name = Address::Abstract(digits.bytes().collect());
            match self.bind(kind, &name, socket.clone()) {
                Err(Errno::EADDRINUSE) => {}
                outcome => return outcome.map(|()| name),
            }
        }
        Err(Errno::ENOSPC)
    }

    /// The socket of that name.
    pub(super) fn get(&self, kind: Kind, name: &Address) -> Option<Arc<Socket>> {
        let weak = {
            let table = self.0.lock();
            let place = table.find(kind, name).ok()?;
            table.sockets.get(place).map(|(_, socket)| socket.clone())
        };
        weak?.upgrade()
    }

    /// Forgets a name, if it is this socket's.
    pub(super) fn release(&self, kind: Kind, name: &Address, socket: &Weak<Socket>) {
        let mut table = self.0.lock();
        if let Ok(place) = table.find(kind, name)
            && table.sockets.get(place).is_some_and(|(_, owner)| owner.ptr_eq(socket))
        {
            table.sockets.remove(place);
        }
    }
}
