//! Memory that is mapped, moved, protected and given back.

use crate::calls::{close, create, exited, in_child, memory, open, pipe, read, status, status_of, write};
use crate::raw::{bytes_at, call_code, read_byte, write_byte};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;

tests![
    anonymous_memory_is_zero,
    files_are_mapped_privately,
    files_are_mapped_shared,
    shared_mappings_are_seen_by_read_and_write,
    mapping_refuses_what_it_must,
    fixed_mappings_replace_and_others_do_not,
    a_hint_is_followed_where_there_is_room,
    unmapping_takes_pieces_out,
    protections_change_in_pieces,
    children_have_copies,
    shared_anonymous_memory_is_shared,
    mappings_grow_shrink_and_move,
    memory_is_given_back,
    the_break_moves,
    residence_is_told,
    code_is_run_where_it_may,
    locked_and_advised,
    a_mapping_outlives_its_file,
    holes_in_mapped_files_give_memory_back,
    the_limit_of_address_space_holds,
    synchronising_mappings,
    a_large_sparse_mapping_costs_little,
    unreadable_buffers_are_errors,
];

const PAGE: usize = 4096;
const RW: i32 = PROT_READ | PROT_WRITE;
const ANONYMOUS: i32 = MAP_PRIVATE | MAP_ANONYMOUS;

fn map(address: usize, length: usize, protection: i32, flags: i32, file: i32) -> usize {
    sys!(SYS_mmap, address, length, protection, flags, file, 0) as usize
}

fn is_address(result: usize) -> bool {
    (result as i64) > 0
}

fn anonymous_memory_is_zero() {
    let place = memory(3 * PAGE);
    is!(place % PAGE, 0);
    holds!(bytes_at(place, 3 * PAGE).iter().all(|&byte| byte == 0));
    for page in 0..3 {
        write_byte(place + page * PAGE, page as u8 + 1);
    }
    is!((read_byte(place), read_byte(place + 2 * PAGE)), (1, 3));
    // A length of less than a page is a page.
    let small = memory(1);
    write_byte(small + PAGE - 1, 9);
    ok!(SYS_munmap, place, 3 * PAGE);
    ok!(SYS_munmap, place, 3 * PAGE);
}

fn files_are_mapped_privately() {
    let file = create("file");
    write(file, b"hello");
    let place = map(0, PAGE, RW, MAP_PRIVATE, file);
    is!(bytes_at(place, 6), b"hello\0");
    write_byte(place, b'J');
    is!(std::fs::read("file").ok(), Some(b"hello".to_vec()));
    is!(bytes_at(place, 5), b"Jello");
    // The tail of the last page is not the file's.
    write_byte(place + 100, 1);
    let reader = open("file", O_RDONLY);
    holds!(is_address(map(0, PAGE, RW, MAP_PRIVATE, reader)));
}

fn files_are_mapped_shared() {
    let file = create("file");
    ok!(SYS_ftruncate, file, 2 * PAGE);
    let first = map(0, 2 * PAGE, RW, MAP_SHARED, file);
    let second = map(0, 2 * PAGE, PROT_READ, MAP_SHARED, file);
    write_byte(first + PAGE + 5, 77);
    is!(read_byte(second + PAGE + 5), 77);
    is!(
        in_child(|| {
            write_byte(first + 9, 8);
            0
        }),
        0
    );
    is!(read_byte(second + 9), 8);
    let with_offset = sys!(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, file, PAGE) as usize;
    is!(read_byte(with_offset + 5), 77);
}

fn shared_mappings_are_seen_by_read_and_write() {
    let file = create("file");
    ok!(SYS_ftruncate, file, PAGE);
    let place = map(0, PAGE, RW, MAP_SHARED, file);
    write_byte(place, b'a');
    is!(read(file, 1), b"a");
    is!(sys!(SYS_pwrite64, file, c"xyz", 3, 10), 3);
    is!(bytes_at(place + 10, 3), b"xyz");
    let private = map(0, PAGE, RW, MAP_PRIVATE, file);
    is!(sys!(SYS_pwrite64, file, c"!", 1, 20), 1);
    is!(read_byte(private + 20), b'!');
    // What a private mapping has written to is its own from then on.
    write_byte(private, b'b');
    is!(sys!(SYS_pwrite64, file, c"?", 1, 20), 1);
    is!((read_byte(private + 20), read_byte(place + 20)), (b'!', b'?'));
    // Reading from a file into a mapping of itself.
    is!(sys!(SYS_pread64, file, place + 100, 3, 10), 3);
    is!(bytes_at(place + 100, 3), b"xyz");
}

fn mapping_refuses_what_it_must() {
    let file = create("file");
    ok!(SYS_ftruncate, file, PAGE);
    fails!(EINVAL, SYS_mmap, 0, 0, RW, ANONYMOUS, -1, 0);
    fails!(EINVAL, SYS_mmap, 0, PAGE, RW, MAP_ANONYMOUS, -1, 0);
    fails!(EINVAL, SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, file, 100);
    fails!(EBADF, SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, -1, 0);
    fails!(ENOMEM, SYS_mmap, 0, usize::MAX - PAGE, RW, ANONYMOUS, -1, 0);
    fails!(ENOMEM, SYS_mmap, 0, 1_usize << 48, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0);
    fails!(EINVAL, SYS_mmap, 0x1234_5678, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0);
    fails!(ENOMEM, SYS_mmap, 0x7fff_ffff_f000_usize, PAGE, RW, ANONYMOUS | MAP_FIXED, -1, 0);
    let reader = open("file", O_RDONLY);
    fails!(EACCES, SYS_mmap, 0, PAGE, RW, MAP_SHARED, reader, 0);
    let writer = open("file", O_WRONLY);
    fails!(EACCES, SYS_mmap, 0, PAGE, PROT_WRITE, MAP_SHARED, writer, 0);
    fails!(EACCES, SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, writer, 0);
    fails!(EOVERFLOW, SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, file, 0x7fff_ffff_ffff_f000_usize);
    let shared = map(0, PAGE, PROT_READ, MAP_SHARED, reader);
    fails!(EACCES, SYS_mprotect, shared, PAGE, RW);
    fails!(ENODEV, SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE, crate::calls::pipe(0).0, 0);
    fails!(EINVAL, SYS_munmap, 123, PAGE);
    fails!(EINVAL, SYS_munmap, shared, 0);
}

fn fixed_mappings_replace_and_others_do_not() {
    let place = memory(3 * PAGE);
    write_byte(place, 1);
    write_byte(place + PAGE, 2);
    is!(map(place + PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED, -1), place + PAGE);
    is!((read_byte(place), read_byte(place + PAGE)), (1, 0));
    fails!(EEXIST, SYS_mmap, place + PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    fails!(EEXIST, SYS_mmap, place, 10 * PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ok!(SYS_munmap, place + PAGE, PAGE);
    is!(map(place + PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1), place + PAGE);
}

fn a_hint_is_followed_where_there_is_room() {
    let place = memory(8 * PAGE);
    ok!(SYS_munmap, place, 8 * PAGE);
    is!(map(place + PAGE, PAGE, RW, ANONYMOUS, -1), place + PAGE);
    let elsewhere = map(place + PAGE, PAGE, RW, ANONYMOUS, -1);
    holds!(is_address(elsewhere) && elsewhere != place + PAGE);
}

fn unmapping_takes_pieces_out() {
    let place = memory(5 * PAGE);
    for page in 0..5 {
        write_byte(place + page * PAGE, 1);
    }
    ok!(SYS_munmap, place + PAGE, PAGE);
    ok!(SYS_munmap, place + 3 * PAGE, PAGE);
    for page in [0, 2, 4] {
        is!(read_byte(place + page * PAGE), 1);
    }
    for page in [1, 3] {
        is!(in_child(|| i32::from(read_byte(place + page * PAGE))) & 0x7f, SIGSEGV);
    }
    ok!(SYS_munmap, place, 5 * PAGE);
}

fn protections_change_in_pieces() {
    let place = memory(4 * PAGE);
    write_byte(place + PAGE, 5);
    ok!(SYS_mprotect, place + PAGE, PAGE, PROT_READ);
    is!(read_byte(place + PAGE), 5);
    is!(
        in_child(|| {
            write_byte(place + PAGE, 1);
            0
        }) & 0x7f,
        SIGSEGV
    );
    write_byte(place + 2 * PAGE, 1);
    ok!(SYS_mprotect, place + PAGE, PAGE, PROT_NONE);
    is!(in_child(|| i32::from(read_byte(place + PAGE))) & 0x7f, SIGSEGV);
    ok!(SYS_mprotect, place, 4 * PAGE, RW);
    is!(read_byte(place + PAGE), 5);
    ok!(SYS_munmap, place + 2 * PAGE, PAGE);
    fails!(ENOMEM, SYS_mprotect, place, 4 * PAGE, PROT_READ);
    fails!(EINVAL, SYS_mprotect, place + 1, PAGE, RW);
    fails!(EINVAL, SYS_mprotect, place, PAGE, 0x100);
    ok!(SYS_mprotect, place, 0, RW);
}

fn children_have_copies() {
    let place = memory(64 * PAGE);
    for page in 0..64 {
        write_byte(place + page * PAGE, 1);
    }
    let children: Vec<i32> = (0..4_u8)
        .map(|number| {
            raw::fork(|| {
                for page in 0..64 {
                    if read_byte(place + page * PAGE) != 1 {
                        return 1;
                    }
                    write_byte(place + page * PAGE, number + 10);
                }
                i32::from((0..64).any(|page| read_byte(place + page * PAGE) != number + 10))
            })
        })
        .collect();
    for page in 0..64 {
        write_byte(place + page * PAGE + 1, 2);
    }
    children.into_iter().for_each(|child| is!(status_of(child), 0));
    holds!((0..64).all(|page| bytes_at(place + page * PAGE, 2) == [1, 2]));
    // Grandchildren, too.
    let status = in_child(|| {
        write_byte(place, 50);
        let status = in_child(|| {
            write_byte(place, 51);
            0
        });
        i32::from(status != 0 || read_byte(place) != 50)
    });
    is!(status, 0);
    is!(read_byte(place), 1);
}

fn shared_anonymous_memory_is_shared() {
    let place = map(0, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);
    is!(
        in_child(|| {
            write_byte(place + PAGE, 42);
            0
        }),
        0
    );
    is!(read_byte(place + PAGE), 42);
    is!(
        in_child(|| {
            let status = in_child(|| {
                write_byte(place, 43);
                0
            });
            i32::from(status != 0 || read_byte(place) != 43)
        }),
        0
    );
    is!(read_byte(place), 43);
}

fn mappings_grow_shrink_and_move() {
    let place = memory(8 * PAGE);
    ok!(SYS_munmap, place + 4 * PAGE, 4 * PAGE);
    write_byte(place + 3 * PAGE, 9);
    is!(sys!(SYS_mremap, place, 4 * PAGE, 6 * PAGE, 0) as usize, place);
    is!((read_byte(place + 3 * PAGE), read_byte(place + 5 * PAGE)), (9, 0));
    is!(sys!(SYS_mremap, place, 6 * PAGE, 2 * PAGE, 0) as usize, place);
    is!(in_child(|| i32::from(read_byte(place + 2 * PAGE))) & 0x7f, SIGSEGV);
    write_byte(place, 7);
    // Something stands in the way.
    let barrier = map(place + 2 * PAGE, PAGE, RW, ANONYMOUS | MAP_FIXED, -1);
    is!(barrier, place + 2 * PAGE);
    // The areas join, so one of another protection is needed.
    ok!(SYS_mprotect, barrier, PAGE, PROT_READ);
    fails!(ENOMEM, SYS_mremap, place, 2 * PAGE, 4 * PAGE, 0);
    let moved = ok!(SYS_mremap, place, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE) as usize;
    holds!(moved != place);
    is!(read_byte(moved), 7);
    is!(in_child(|| i32::from(read_byte(place))) & 0x7f, SIGSEGV);
    let target = memory(4 * PAGE);
    is!(sys!(SYS_mremap, moved, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) as usize, target);
    is!(read_byte(target), 7);
    fails!(EINVAL, SYS_mremap, target, 4 * PAGE, 4 * PAGE, MREMAP_FIXED, place);
    fails!(EINVAL, SYS_mremap, target, 4 * PAGE, 0, 0);
    fails!(EINVAL, SYS_mremap, target + 1, PAGE, PAGE, 0);
    fails!(EINVAL, SYS_mremap, target, 4 * PAGE, 4 * PAGE, 0x100);
    fails!(EINVAL, SYS_mremap, target, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE);
    ok!(SYS_munmap, target, 4 * PAGE);
    fails!(EFAULT, SYS_mremap, target, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
}

fn memory_is_given_back() {
    let place = memory(4 * PAGE);
    write_byte(place + PAGE, 5);
    write_byte(place + 2 * PAGE, 6);
    ok!(SYS_madvise, place + PAGE, PAGE, MADV_DONTNEED);
    is!((read_byte(place + PAGE), read_byte(place + 2 * PAGE)), (0, 6));
    let file = create("file");
    write(file, &[3; 100]);
    let private = map(0, PAGE, RW, MAP_PRIVATE, file);
    write_byte(private, 9);
    ok!(SYS_madvise, private, PAGE, MADV_DONTNEED);
    is!(read_byte(private), 3);
    let shared = map(0, PAGE, RW, MAP_SHARED, file);
    write_byte(shared, 4);
    ok!(SYS_madvise, shared, PAGE, MADV_DONTNEED);
    is!(read_byte(shared), 4);
    fails!(EINVAL, SYS_madvise, place + 1, PAGE, MADV_DONTNEED);
    fails!(EINVAL, SYS_madvise, place, PAGE, 9999);
    ok!(SYS_munmap, place, PAGE);
    fails!(ENOMEM, SYS_madvise, place, 2 * PAGE, MADV_DONTNEED);
}

fn the_break_moves() {
    let start = sys!(SYS_brk, 0) as usize;
    is!(sys!(SYS_brk, start + 10_000) as usize, start + 10_000);
    write_byte(start + 9_999, 1);
    is!(read_byte(start + 5_000), 0);
    is!(sys!(SYS_brk, start) as usize, start);
    is!(sys!(SYS_brk, start + 10_000) as usize, start + 10_000);
    is!(read_byte(start + 9_999), 0);
    // Too much leaves it where it is.
    is!(sys!(SYS_brk, usize::MAX / 2) as usize, start + 10_000);
    is!(sys!(SYS_brk, 1) as usize, start + 10_000);
}

fn residence_is_told() {
    let place = memory(4 * PAGE);
    write_byte(place + PAGE, 1);
    let mut pages = [0xff_u8; 4];
    ok!(SYS_mincore, place, 4 * PAGE, &mut pages);
    is!(pages.map(|page| page & 1), [0, 1, 0, 0]);
    fails!(EINVAL, SYS_mincore, place + 1, PAGE, &mut pages);
    fails!(EFAULT, SYS_mincore, place, PAGE, crate::calls::NOWHERE);
    ok!(SYS_munmap, place + 2 * PAGE, PAGE);
    fails!(ENOMEM, SYS_mincore, place, 4 * PAGE, &mut pages);
}

fn code_is_run_where_it_may() {
    // mov eax, imm32; ret
    let code = |value: u8| [0xb8, value, 0, 0, 0, 0xc3];
    let put = |place: usize, value: u8| {
        code(value).iter().enumerate().for_each(|(index, &byte)| write_byte(place + index, byte))
    };
    let place = map(0, PAGE, RW | PROT_EXEC, ANONYMOUS, -1);
    put(place, 42);
    is!(call_code(place), 42);
    put(place, 43);
    is!(call_code(place), 43);
    let later = memory(PAGE);
    put(later, 44);
    is!(in_child(|| call_code(later)) & 0x7f, SIGSEGV);
    ok!(SYS_mprotect, later, PAGE, PROT_READ | PROT_EXEC);
    is!(call_code(later), 44);
    is!(
        in_child(|| {
            write_byte(later, 0);
            0
        }) & 0x7f,
        SIGSEGV
    );
    is!(in_child(|| call_code(later)), exited(44));
}

fn locked_and_advised() {
    let place = memory(2 * PAGE);
    ok!(SYS_mlock, place, 2 * PAGE);
    ok!(SYS_munlock, place, 2 * PAGE);
    ok!(SYS_madvise, place, 2 * PAGE, MADV_WILLNEED);
    ok!(SYS_madvise, place, 2 * PAGE, MADV_NORMAL);
    ok!(SYS_madvise, place, 2 * PAGE, MADV_FREE);
    let populated = map(0, 4 * PAGE, RW, ANONYMOUS | MAP_POPULATE, -1);
    let mut pages = [0_u8; 4];
    ok!(SYS_mincore, populated, 4 * PAGE, &mut pages);
    is!(pages.map(|page| page & 1), [1; 4]);
}

fn a_mapping_outlives_its_file() {
    let file = create("file");
    write(file, b"text");
    let place = map(0, PAGE, RW, MAP_SHARED, file);
    close(file);
    ok!(SYS_unlink, c"file");
    is!(bytes_at(place, 4), b"text");
    write_byte(place, b'T');
    is!(bytes_at(place, 4), b"Text");
}

fn holes_in_mapped_files_give_memory_back() {
    let file = ok!(SYS_memfd_create, c"holes", 0) as i32;
    ok!(SYS_ftruncate, file, 4 * PAGE);
    let shared = map(0, 4 * PAGE, RW, MAP_SHARED, file);
    let ends = |place: usize| -> Vec<u8> {
        (0..8).map(|end| read_byte(place + end / 2 * PAGE + end % 2 * (PAGE - 1))).collect()
    };
    for end in 0..8 {
        write_byte(shared + end / 2 * PAGE + end % 2 * (PAGE - 1), end as u8 + 1);
    }
    let private = map(0, 4 * PAGE, RW, MAP_PRIVATE, file);
    is!(ends(private), [1, 2, 3, 4, 5, 6, 7, 8]);
    write_byte(private + PAGE, 50);
    is!(status(file).st_blocks * 512, 4 * PAGE as i64);
    // A child that shows the pages sees them go, and keeps copies, too.
    let (input, output) = pipe(0);
    let (ready_input, ready_output) = pipe(0);
    let child = raw::fork(|| {
        close(output);
        is!(ends(shared), [1, 2, 3, 4, 5, 6, 7, 8]);
        sys!(SYS_write, ready_output, c"r", 1);
        read(input, 1);
        is!(ends(shared), [1, 0, 0, 0, 0, 0, 0, 8]);
        is!(ends(private), [1, 0, 50, 4, 0, 0, 0, 8]);
        0
    });
    is!(read(ready_input, 1), b"r");
    ok!(SYS_fallocate, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE - 1, 2 * PAGE + 2);
    is!(status(file).st_blocks * 512, 2 * PAGE as i64);
    is!(ends(shared), [1, 0, 0, 0, 0, 0, 0, 8]);
    is!(ends(private), [1, 0, 50, 4, 0, 0, 0, 8]);
    close(output);
    is!(status_of(child), 0);
    // What is written to a hole is the file's again.
    write_byte(shared + 2 * PAGE, 9);
    is!(read_byte(private + 2 * PAGE), 9);
    ok!(SYS_lseek, file, 2 * PAGE, SEEK_SET);
    is!(read(file, 1), [9]);
    // Truncation takes copies, too.
    ok!(SYS_ftruncate, file, PAGE);
    ok!(SYS_ftruncate, file, 4 * PAGE);
    is!(ends(private), [1, 0, 0, 0, 0, 0, 0, 0]);
}

fn the_limit_of_address_space_holds() {
    let status = in_child(|| {
        ok!(SYS_setrlimit, RLIMIT_AS, &rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 });
        fails!(ENOMEM, SYS_mmap, 0, 64 << 20, RW, ANONYMOUS, -1, 0);
        let before = sys!(SYS_brk, 0);
        is!(sys!(SYS_brk, before + (64 << 20)), before);
        0
    });
    is!(status, 0);
}

fn synchronising_mappings() {
    let file = create("file");
    ok!(SYS_ftruncate, file, PAGE);
    let place = map(0, PAGE, RW, MAP_SHARED, file);
    ok!(SYS_msync, place, PAGE, MS_SYNC);
    ok!(SYS_msync, place, PAGE, MS_ASYNC);
    fails!(EINVAL, SYS_msync, place, PAGE, MS_SYNC | MS_ASYNC);
    fails!(EINVAL, SYS_msync, place + 1, PAGE, MS_SYNC);
    fails!(EINVAL, SYS_msync, place, PAGE, 0x100);
    ok!(SYS_munmap, place, PAGE);
    fails!(ENOMEM, SYS_msync, place, PAGE, MS_SYNC);
}

fn a_large_sparse_mapping_costs_little() {
    let place = map(0, 1 << 36, RW, ANONYMOUS | MAP_NORESERVE, -1);
    holds!(is_address(place));
    for index in 0..16 {
        write_byte(place + (index << 32), index as u8);
    }
    holds!((0..16).all(|index| usize::from(read_byte(place + (index << 32))) == index));
    ok!(SYS_munmap, place, 1_usize << 36);
}

fn unreadable_buffers_are_errors() {
    let place = memory(3 * PAGE);
    ok!(SYS_mprotect, place + PAGE, PAGE, PROT_NONE);
    let file = create("file");
    fails!(EFAULT, SYS_write, file, place + PAGE, 10);
    // What can be had is written.
    is!(sys!(SYS_write, file, place + PAGE - 10, 100), 10);
    ok!(SYS_ftruncate, file, 100);
    ok!(SYS_lseek, file, 0, SEEK_SET);
    is!(sys!(SYS_read, file, place + PAGE - 10, 100), 10);
    fails!(EFAULT, SYS_read, file, place + PAGE, 10);
    ok!(SYS_mprotect, place + PAGE, PAGE, PROT_READ);
    fails!(EFAULT, SYS_read, file, place + PAGE, 10);
    fails!(EFAULT, SYS_read, file, 0xffff_8000_0000_0000_usize, 10);
    fails!(EFAULT, SYS_write, file, 0xffff_ffff_8010_0000_usize, 10);
}
