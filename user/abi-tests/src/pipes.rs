//! Pipes and fifos: ends, limits, atomic writes, readiness.

use crate::calls::{close, exited, in_child, open, pause_ms, pipe, read, read_all, status, status_of, write};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;

tests![
    what_is_written_is_read_in_order,
    writing_without_readers_is_a_signal_or_an_error,
    reading_without_writers_is_the_end,
    a_full_pipe_takes_no_more,
    small_writes_are_whole,
    blocked_writers_go_on,
    readiness_is_told,
    flags_of_pipes,
    the_size_of_a_pipe_can_be_changed,
    many_writers_lose_nothing,
    fifos_wait_for_the_other_end,
    fifos_without_waiting,
    ends_are_inherited,
    bytes_between_pipes_are_moved,
];

fn what_is_written_is_read_in_order() {
    let (input, output) = pipe(0);
    is!(write(output, b"first "), 6);
    is!(write(output, b"second"), 6);
    let mut count = 0_i32;
    ok!(SYS_ioctl, input, FIONREAD, &mut count);
    is!(count, 12);
    is!(read(input, 4), b"firs");
    is!(read(input, 100), b"t second");
    is!(status(input).st_mode & S_IFMT, S_IFIFO);
    is!(status(input).st_ino, status(output).st_ino);
    fails!(EBADF, SYS_write, input, c"x", 1);
    fails!(EBADF, SYS_read, output, &mut [0_u8; 1], 1);
    is!(sys!(SYS_read, input, &mut [0_u8; 1], 0), 0);
    let big: Vec<u8> = (0..60_000_u32).map(|number| (number % 251) as u8).collect();
    is!(write(output, &big), 60_000);
    close(output);
    holds!(read_all(input) == big);
}

fn writing_without_readers_is_a_signal_or_an_error() {
    let (input, output) = pipe(0);
    close(input);
    raw::set_action(SIGPIPE, SIG_DFL, 0, &[]);
    is!(
        in_child(|| {
            write(output, b"x");
            0
        }),
        SIGPIPE
    );
    raw::set_action(SIGPIPE, SIG_IGN, 0, &[]);
    fails!(EPIPE, SYS_write, output, c"x", 1);
    let mut entry = pollfd { fd: output, events: POLLOUT, revents: 0 };
    is!(sys!(SYS_poll, &mut entry, 1, 0), 1);
    is!(entry.revents & POLLERR, POLLERR);
    is!(sys!(SYS_write, output, c"", 0), 0);
}

fn reading_without_writers_is_the_end() {
    let (input, output) = pipe(0);
    write(output, b"rest");
    close(output);
    is!(read(input, 2), b"re");
    is!(read(input, 10), b"st");
    is!(sys!(SYS_read, input, &mut [0_u8; 4], 4), 0);
    let mut entry = pollfd { fd: input, events: POLLIN, revents: 0 };
    is!(sys!(SYS_poll, &mut entry, 1, 1000), 1);
    is!(entry.revents, POLLHUP);
}

/// Fills a pipe that does not block, and answers how much it took.
fn fill(output: i32) -> i64 {
    let mut total = 0;
    loop {
        match write(output, &[1; 4096]) {
            count @ 1.. => total += count,
            _ => return total,
        }
    }
}

fn a_full_pipe_takes_no_more() {
    let (input, output) = pipe(O_NONBLOCK);
    fails!(EAGAIN, SYS_read, input, &mut [0_u8; 1], 1);
    is!(fill(output), 65_536);
    fails!(EAGAIN, SYS_write, output, c"x", 1);
    is!(read(input, 4096).len(), 4096);
    is!(write(output, &[1; 10_000]), 4096);
    fails!(EAGAIN, SYS_write, output, c"x", 1);
}

fn small_writes_are_whole() {
    let (input, output) = pipe(O_NONBLOCK);
    fill(output);
    is!(read(input, 100).len(), 100);
    // Up to PIPE_BUF bytes go all at once or not at all.
    fails!(EAGAIN, SYS_write, output, &[2_u8; 4096], 4096);
    fails!(EAGAIN, SYS_write, output, &[2_u8; 200], 200);
}

fn blocked_writers_go_on() {
    let (input, output) = pipe(0);
    let child = raw::fork(|| {
        close(input);
        i32::from(write(output, &[3; 200_000]) != 200_000)
    });
    close(output);
    pause_ms(20);
    is!(read_all(input).len(), 200_000);
    is!(status_of(child), 0);
}

fn readiness_is_told() {
    let (input, output) = pipe(O_NONBLOCK);
    let look = |descriptor, events| {
        let mut entry = pollfd { fd: descriptor, events, revents: 0 };
        sys!(SYS_poll, &mut entry, 1, 0);
        entry.revents
    };
    is!(look(input, POLLIN | POLLRDNORM), 0);
    is!(look(output, POLLOUT | POLLWRNORM), POLLOUT | POLLWRNORM);
    write(output, b"x");
    is!(look(input, POLLIN | POLLRDNORM), POLLIN | POLLRDNORM);
    is!(look(input, 0), 0);
    fill(output);
    is!(look(output, POLLOUT), 0);
    close(output);
    is!(look(input, POLLIN), POLLIN | POLLHUP);
}

fn flags_of_pipes() {
    let (input, output) = pipe(O_CLOEXEC | O_NONBLOCK);
    is!(sys!(SYS_fcntl, input, F_GETFD), 1);
    is!(sys!(SYS_fcntl, input, F_GETFL) as i32 & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
    is!(sys!(SYS_fcntl, output, F_GETFL) as i32 & (O_ACCMODE | O_NONBLOCK), O_WRONLY | O_NONBLOCK);
    fails!(EINVAL, SYS_pipe2, &mut [0_i32; 2], O_APPEND);
    fails!(EFAULT, SYS_pipe2, crate::calls::NOWHERE, 0);
    fails!(EFAULT, SYS_pipe, 0);
}

fn the_size_of_a_pipe_can_be_changed() {
    let (_input, output) = pipe(O_NONBLOCK);
    is!(sys!(SYS_fcntl, output, F_GETPIPE_SZ), 65_536);
    is!(sys!(SYS_fcntl, output, F_SETPIPE_SZ, 4096), 4096);
    is!(fill(output), 4096);
    is!(sys!(SYS_fcntl, output, F_SETPIPE_SZ, 9000), 16_384);
    fails!(EBADF, SYS_fcntl, open(".", O_RDONLY), F_GETPIPE_SZ);
}

fn many_writers_lose_nothing() {
    const WRITERS: usize = 8;
    const RECORDS: usize = 200;
    let (input, output) = pipe(0);
    let children: Vec<i32> = (0..WRITERS)
        .map(|writer| {
            raw::fork(|| {
                for number in 0..RECORDS {
                    write(output, format!("<{writer} {number:04}>").as_bytes());
                }
                0
            })
        })
        .collect();
    close(output);
    let text = String::from_utf8_lossy(&read_all(input)).into_owned();
    is!(text.len(), WRITERS * RECORDS * 8);
    for writer in 0..WRITERS {
        let records: Vec<String> = text
            .split(['<', '>'])
            .filter(|record| record.starts_with(&format!("{writer} ")))
            .map(str::to_owned)
            .collect();
        is!(records.len(), RECORDS);
        holds!(records.is_sorted());
    }
    children.into_iter().for_each(|child| is!(status_of(child), 0));
}

fn fifos_wait_for_the_other_end() {
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o644, 0);
    let child = raw::fork(|| {
        let output = open("fifo", O_WRONLY);
        write(output, b"through");
        3
    });
    let input = open("fifo", O_RDONLY);
    is!(read_all(input), b"through");
    is!(status_of(child), exited(3));
}

fn fifos_without_waiting() {
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o644, 0);
    fails!(ENXIO, SYS_open, c"fifo", O_WRONLY | O_NONBLOCK);
    let input = ok!(SYS_open, c"fifo", O_RDONLY | O_NONBLOCK) as i32;
    is!(sys!(SYS_read, input, &mut [0_u8; 4], 4), 0);
    let output = ok!(SYS_open, c"fifo", O_WRONLY | O_NONBLOCK) as i32;
    fails!(EAGAIN, SYS_read, input, &mut [0_u8; 4], 4);
    write(output, b"x");
    is!(read(input, 4), b"x");
    let both = ok!(SYS_open, c"fifo", O_RDWR) as i32;
    is!(write(both, b"self"), 4);
    is!(read(both, 4), b"self");
}

fn ends_are_inherited() {
    let (input, output) = pipe(0);
    let child = raw::fork(|| {
        pause_ms(20);
        0
    });
    close(output);
    // The child's end keeps the pipe open.
    is!(sys!(SYS_read, input, &mut [0_u8; 1], 1), 0);
    is!(sys!(SYS_wait4, child, 0, 0, 0), i64::from(child));
}

fn bytes_between_pipes_are_moved() {
    let (input, output) = pipe(O_NONBLOCK);
    let (second_input, second_output) = pipe(O_NONBLOCK);
    write(output, b"0123456789");
    is!(sys!(SYS_tee, input, second_output, 4, 0), 4);
    is!(read(second_input, 10), b"0123");
    is!(sys!(SYS_splice, input, 0, second_output, 0, 6, 0), 6);
    is!(read(second_input, 10), b"012345");
    is!(read(input, 10), b"6789");
    let file = crate::calls::create("file");
    write(output, b"to the file");
    is!(sys!(SYS_splice, input, 0, file, 0, 100, 0), 11);
    is!(std::fs::read("file").ok(), Some(b"to the file".to_vec()));
    fails!(EINVAL, SYS_splice, file, 0, file, 0, 1, 0);
    let mut offset = 3_i64;
    is!(sys!(SYS_splice, file, &mut offset, output, 0, 4, 0), 4);
    is!((offset, read(input, 10)), (7, b"the ".to_vec()));
    fails!(ESPIPE, SYS_splice, file, 0, output, &mut offset, 1, 0);
    fails!(EAGAIN, SYS_splice, input, 0, second_output, 0, 1, 0);
    fails!(EINVAL, SYS_splice, input, 0, output, 0, 1, 0);
    fails!(EINVAL, SYS_tee, input, file, 1, 0);
    let parts = [
        iovec { iov_base: c"ab".as_ptr() as *mut _, iov_len: 2 },
        iovec { iov_base: c"cd".as_ptr() as *mut _, iov_len: 2 },
    ];
    is!(sys!(SYS_vmsplice, output, &parts, 2, 0), 4);
    is!(read(input, 10), b"abcd");
    fails!(EBADF, SYS_vmsplice, file, &parts, 2, 0);
    fails!(EINVAL, SYS_vmsplice, output, &parts, 2, 1024);
}
