//! How a test says what is wrong: each claim that does not hold is a line for the process that runs the tests. The test goes on.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI32, Ordering};

static OUTPUT: AtomicI32 = AtomicI32::new(2);

/// Where lines go from now on.
pub fn set_output(descriptor: i32) {
    OUTPUT.store(descriptor, Ordering::Relaxed);
}

/// Says that something is wrong.
pub fn wrong(line: u32, what: &str) {
    let text = format!("line {line}: {what}\n");
    crate::sys!(SYS_write, OUTPUT.load(Ordering::Relaxed), text.as_ptr(), text.len());
}

/// A result as a person reads it.
pub fn outcome(result: i64) -> String {
    if (-4095..0).contains(&result) {
        std::io::Error::from_raw_os_error(-result as i32).to_string()
    } else {
        result.to_string()
    }
}

/// Claims that two things are equal.
pub fn equal<T: PartialEq<U> + Debug, U: Debug>(line: u32, what: &str, found: &T, wanted: &U) {
    if found != wanted {
        wrong(line, &format!("{what} is {found:?}, not {wanted:?}"));
    }
}

/// Claims that a call works, and answers what it does.
pub fn works(line: u32, what: &str, result: i64) -> i64 {
    if result < 0 {
        wrong(line, &format!("{what}: {}", outcome(result)));
    }
    result
}

/// Claims that a call fails in a certain way.
pub fn fails(line: u32, what: &str, result: i64, error: i32) {
    if result != -i64::from(error) {
        wrong(line, &format!("{what}: {}, not {}", outcome(result), outcome(-i64::from(error))));
    }
}

/// Claims that both are equal.
#[macro_export]
macro_rules! is {
    ($found:expr, $wanted:expr $(,)?) => {
        $crate::report::equal(line!(), stringify!($found), &$found, &$wanted)
    };
}

/// Claims that a system call works; its result.
#[macro_export]
macro_rules! ok {
    ($name:ident $($rest:tt)*) => {
        $crate::report::works(line!(), stringify!($name $($rest)*), $crate::sys!($name $($rest)*))
    };
}

/// Claims that a system call fails with an error.
#[macro_export]
macro_rules! fails {
    ($error:ident, $name:ident $($rest:tt)*) => {
        $crate::report::fails(line!(), stringify!($name $($rest)*), $crate::sys!($name $($rest)*), libc::$error)
    };
}

/// Claims that something holds.
#[macro_export]
macro_rules! holds {
    ($claim:expr) => {
        if !$claim {
            $crate::report::wrong(line!(), stringify!($claim));
        }
    };
}

/// A list of tests with their names.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        /// All tests of this room, in order.
        pub const TESTS: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}
