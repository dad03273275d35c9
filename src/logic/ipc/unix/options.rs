//! Options of sockets at level `SOL_SOCKET` (socket(7), unix(7)).

use super::{Credentials, Role, Socket};
use crate::errno::Errno;
use arrayvec::ArrayVec;
use linux_raw_sys::net;

/// Bytes that a socket's buffer holds at first: Linux' /proc/sys/net/core/wmem_default.
pub const USUAL_BUFFER: usize = 212_992;

/// Datagrams that wait at most before others have to: Linux' /proc/sys/net/unix/max_dgram_qlen.
pub const MOST_DATAGRAMS: usize = 10;

/// The least and the most that a buffer can be made to hold, the latter without and with privilege.
const LEAST_BUFFER: usize = 4608;
const MOST_BUFFER: usize = 2 * USUAL_BUFFER;
const LIMIT: usize = 1 << 24;

/// What getsockopt(2) answers: a number of four bytes, or credentials.
pub type OptionValue = ArrayVec<u8, { Credentials::SIZE }>;

fn number(value: u32) -> OptionValue {
    value.to_ne_bytes().into_iter().collect()
}

fn size(value: usize) -> OptionValue {
    number(u32::try_from(value).unwrap_or(u32::MAX))
}

impl Socket {
    /// getsockopt(2).
    ///
    /// # Errors
    /// [`Errno::ENOPROTOOPT`].
    pub fn option(&self, option: u32) -> Result<OptionValue, Errno> {
        let mut state = self.state.lock();
        Ok(match option {
            net::SO_TYPE => number(self.kind.number()),
            net::SO_DOMAIN => number(net::AF_UNIX),
            net::SO_PROTOCOL => number(0),
            net::SO_ERROR => number(state.error.take().map_or(0, |error| u32::from(error.number()))),
            net::SO_ACCEPTCONN => number(u32::from(state.role == Role::Listening)),
            net::SO_PASSCRED => number(u32::from(state.wants_credentials)),
            net::SO_PEERCRED => state.peer_credentials.to_bytes().into_iter().collect(),
            net::SO_SNDBUF => size(self.account.limit()),
            net::SO_RCVBUF => size(state.receive_limit),
            net::SO_REUSEADDR | net::SO_KEEPALIVE | net::SO_BROADCAST => number(0),
            _ => return Err(Errno::ENOPROTOOPT),
        })
    }

    /// setsockopt(2). Buffers get twice what is asked for, as socket(7) has it. What a socket receives counts at its sender's
    /// buffer, so its own for receiving is a number without effect.
    ///
    /// # Errors
    /// [`Errno::ENOPROTOOPT`]; [`Errno::EINVAL`] if the value is too short; [`Errno::EPERM`].
    pub fn set_option(&self, option: u32, value: &[u8], privileged: bool) -> Result<(), Errno> {
        let value = u32::from_ne_bytes(*value.first_chunk::<4>().ok_or(Errno::EINVAL)?);
        let wanted = usize::try_from(value).unwrap_or(usize::MAX).saturating_mul(2);
        let buffer = wanted.clamp(LEAST_BUFFER, MOST_BUFFER);
        let forced = || if privileged { Ok(wanted.clamp(LEAST_BUFFER, LIMIT)) } else { Err(Errno::EPERM) };
        match option {
            net::SO_PASSCRED => self.state.lock().wants_credentials = value != 0,
            net::SO_SNDBUF => self.account.set_limit(buffer),
            net::SO_SNDBUFFORCE => self.account.set_limit(forced()?),
            net::SO_RCVBUF => self.state.lock().receive_limit = buffer,
            net::SO_RCVBUFFORCE => self.state.lock().receive_limit = forced()?,
            net::SO_REUSEADDR | net::SO_KEEPALIVE | net::SO_BROADCAST => {}
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }
}
