//! Why a system call fails: Linux's error numbers by their names in errno(3).

use core::fmt;
use linux_raw_sys::errno;

/// An error number; a system call answers it negated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(u16);

impl Errno {
    /// The number, at least 1.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => formatter.pad(name),
            None => write!(formatter, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

macro_rules! errors {
    ($($name:ident: $meaning:literal,)*) => {
        impl Errno {
            $(#[doc = $meaning] pub const $name: Self = Self(errno::$name as u16);)*
        }

        const NAMES: &[(u16, &str)] = &[$((errno::$name as u16, stringify!($name)),)*];
    };
}

errors! {
    EPERM: "Not permitted.",
    ENOENT: "No such file or directory.",
    ESRCH: "No such process.",
    EINTR: "A signal came first.",
    EIO: "The device failed.",
    ENXIO: "No such device or address.",
    E2BIG: "Too many arguments.",
    ENOEXEC: "Not in a format that can be run.",
    EBADF: "No such open file, or not open for this.",
    ECHILD: "No such child.",
    EAGAIN: "It would have to wait.",
    ENOMEM: "No memory.",
    EACCES: "Permission denied.",
    EFAULT: "A bad address.",
    ENOTBLK: "Not a block device.",
    EBUSY: "In use.",
    EEXIST: "There already.",
    EXDEV: "On another file system.",
    ENODEV: "No such device.",
    ENOTDIR: "Not a directory.",
    EISDIR: "A directory.",
    EINVAL: "An invalid argument.",
    ENFILE: "Too many open files in the system.",
    EMFILE: "Too many open files in the process.",
    ENOTTY: "Not a terminal, or not a request that it knows.",
    ETXTBSY: "A program that runs.",
    EFBIG: "The file would be too large.",
    ENOSPC: "No room on the device.",
    ESPIPE: "It has no position.",
    EROFS: "A read-only file system.",
    EMLINK: "Too many links.",
    EPIPE: "Nobody reads.",
    EDOM: "Out of the function's domain.",
    ERANGE: "The result does not fit.",
    EDEADLK: "It would wait for itself.",
    ENAMETOOLONG: "A name that is too long.",
    ENOLCK: "No more locks.",
    ENOSYS: "Not implemented.",
    ENOTEMPTY: "A directory that is not empty.",
    ELOOP: "Too many symbolic links.",
    ENODATA: "No data.",
    EOVERFLOW: "The value does not fit.",
    EILSEQ: "Not a character.",
    ENOTSOCK: "Not a socket.",
    EDESTADDRREQ: "No address to send to.",
    EMSGSIZE: "The message is too long.",
    EPROTOTYPE: "The wrong type of protocol.",
    ENOPROTOOPT: "No such option.",
    EPROTONOSUPPORT: "No such protocol.",
    ESOCKTNOSUPPORT: "No such type of socket.",
    EOPNOTSUPP: "Not supported.",
    EAFNOSUPPORT: "No such address family.",
    EADDRINUSE: "The address is in use.",
    EADDRNOTAVAIL: "No such address here.",
    ENETUNREACH: "No way to that network.",
    ECONNABORTED: "The connection was broken off.",
    ECONNRESET: "The other side broke off.",
    ENOBUFS: "No room for more.",
    EISCONN: "Connected already.",
    ENOTCONN: "Not connected.",
    ETIMEDOUT: "It took too long.",
    ECONNREFUSED: "Nobody listens.",
    EALREADY: "Begun already.",
    EINPROGRESS: "Begun.",
    ELIBBAD: "An interpreter or library that is not one.",
    ECANCELED: "Given up.",
    ETOOMANYREFS: "Too many files on their way.",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_linux_numbers_and_names() {
        assert_eq!((Errno::EPERM.number(), Errno::ENOSYS.number(), Errno::EINPROGRESS.number()), (1, 38, 115));
        assert_eq!(format!("{} {:?}", Errno::EAGAIN, Errno::ELOOP), "EAGAIN ELOOP");
    }
}
