//! Options of sockets at level `SOL_SOCKET` (socket(7), unix(7)).

use super::{Role, Socket};
use crate::errno::Errno;
use arrayvec::ArrayVec;
use linux_raw_sys::{general, net};

/// Bytes that a socket's buffer holds at first: Linux' /proc/sys/net/core/wmem_default.
pub const USUAL_BUFFER: usize = 212_992;

/// Datagrams that wait at most before others have to: Linux' /proc/sys/net/unix/max_dgram_qlen.
pub const MOST_DATAGRAMS: usize = 10;

/// The least and the most that a buffer can be made to hold, the latter without and with privilege.
const LEAST_BUFFER: usize = 4608;
const MOST_BUFFER: usize = 2 * USUAL_BUFFER;
const LIMIT: usize = 1 << 24;

/// What getsockopt(2) answers: a number of four bytes, credentials, or a `struct timeval`.
pub type OptionValue = ArrayVec<u8, TIME>;

/// Bytes of `struct timeval`.
const TIME: usize = size_of::<general::timeval>();
const SECOND_NS: u64 = 1_000_000_000;
const MICROSECOND_NS: u64 = 1000;

fn number(value: u32) -> OptionValue {
    value.to_ne_bytes().into_iter().collect()
}

fn size(value: usize) -> OptionValue {
    number(u32::try_from(value).unwrap_or(u32::MAX))
}

fn time(nanoseconds: u64) -> OptionValue {
    let fields = [nanoseconds / SECOND_NS, nanoseconds % SECOND_NS / MICROSECOND_NS];
    fields.into_iter().flat_map(u64::to_ne_bytes).collect()
}

/// How long a call waits, by a `struct timeval`: socket(7), `SO_RCVTIMEO`. 0 is for ever; what is negative is no time at all.
fn patience_ns(value: &[u8]) -> Result<u64, Errno> {
    let bytes = value.first_chunk::<TIME>().ok_or(Errno::EINVAL)?;
    let [s0, s1, s2, s3, s4, s5, s6, s7, m0, m1, m2, m3, m4, m5, m6, m7] = *bytes;
    let seconds = i64::from_ne_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    let microseconds = i64::from_ne_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
    let microseconds = u64::try_from(microseconds).ok().filter(|part| *part < 1_000_000).ok_or(Errno::EDOM)?;
    // The least time that is not for ever.
    let Ok(seconds) = u64::try_from(seconds) else { return Ok(1) };
    Ok(seconds.saturating_mul(SECOND_NS).saturating_add(microseconds.saturating_mul(MICROSECOND_NS)))
}

impl Socket {
    /// How long a call waits to receive, in nanoseconds; `None` is for ever.
    pub fn receive_patience_ns(&self) -> Option<u64> {
        Some(self.state.lock().receive_patience_ns).filter(|time| *time > 0)
    }

    /// How long a call waits to send.
    pub fn send_patience_ns(&self) -> Option<u64> {
        Some(self.state.lock().send_patience_ns).filter(|time| *time > 0)
    }

    /// Bytes that it may have on their way, so the most that one message has.
    pub fn send_limit(&self) -> usize {
        self.account.limit()
    }

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
            net::SO_RCVTIMEO_OLD | net::SO_RCVTIMEO_NEW => time(state.receive_patience_ns),
            net::SO_SNDTIMEO_OLD | net::SO_SNDTIMEO_NEW => time(state.send_patience_ns),
            net::SO_REUSEADDR | net::SO_KEEPALIVE | net::SO_BROADCAST => number(0),
            _ => return Err(Errno::ENOPROTOOPT),
        })
    }

    /// setsockopt(2). Buffers get twice what is asked for, as socket(7) has it. What a socket receives counts at its sender's
    /// buffer, so its own for receiving is a number without effect.
    ///
    /// # Errors
    /// [`Errno::ENOPROTOOPT`]; [`Errno::EINVAL`] if the value is too short; [`Errno::EPERM`]; [`Errno::EDOM`] for a time that is
    /// none.
    pub fn set_option(&self, option: u32, value: &[u8], privileged: bool) -> Result<(), Errno> {
        match option {
            net::SO_RCVTIMEO_OLD | net::SO_RCVTIMEO_NEW => {
                self.state.lock().receive_patience_ns = patience_ns(value)?;
                return Ok(());
            }
            net::SO_SNDTIMEO_OLD | net::SO_SNDTIMEO_NEW => {
                self.state.lock().send_patience_ns = patience_ns(value)?;
                return Ok(());
            }
            _ => {}
        }
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
