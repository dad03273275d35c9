//! Programs that take a process over: arguments, environment, scripts, what survives exec and what does not. This binary is those programs,
//! too: its first argument says which.

use crate::calls::{close, create, exited, in_child, open, own_number, pipe, read_all};
use crate::{fails, holds, is, ok, raw, sys, tests};
use libc::*;
use std::ffi::{CStr, CString};

tests![
    arguments_and_environment_arrive,
    an_empty_argument_list_becomes_one_empty_argument,
    too_many_arguments_are_refused,
    errors_leave_the_program_running,
    scripts_name_their_interpreter,
    scripts_of_scripts_end_somewhere,
    broken_programs_are_refused,
    a_running_program_is_not_written,
    descriptors_survive_unless_marked,
    signals_after_exec,
    what_exec_keeps,
    programs_by_descriptor,
    the_auxiliary_vector_is_right,
    threads_end_with_exec,
    set_user_id_programs,
    the_name_is_the_files,
];

/// The first argument of the programs below.
const MARK: &str = "--as-program";

/// If the arguments say so, this process is one of the programs that tests execute; its exit code.
pub fn as_another_program(words: &[String]) -> Option<u8> {
    let [mark, program, rest @ ..] = words else { return None };
    if mark != MARK {
        return None;
    }
    match program.as_str() {
        "print" => {
            let environment: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
            print!("{}|{}", rest.join(","), environment.join(","));
        }
        "exit" => return rest.first()?.parse().ok(),
        "descriptors" => (3..200)
            .filter(|&descriptor| sys!(SYS_fcntl, descriptor, F_GETFD) >= 0)
            .for_each(|descriptor| print!("{descriptor} ")),
        "state" => print_state(),
        "users" => print!("{} {}", sys!(SYS_getuid), sys!(SYS_geteuid)),
        "name" => {
            let mut name = [0_u8; 16];
            sys!(SYS_prctl, PR_GET_NAME, &mut name);
            print!("{}", String::from_utf8_lossy(name.split(|&byte| byte == 0).next().unwrap_or_default()));
        }
        "wait" => {
            sys!(SYS_write, 1, c"r", 1);
            sys!(SYS_read, 0, &mut [0_u8; 1], 1);
        }
        "auxiliary" => print_auxiliary(),
        _ => return Some(99),
    }
    Some(0)
}

fn print_state() {
    let (mut mask, mut pending) = (0_u64, 0_u64);
    sys!(SYS_rt_sigprocmask, SIG_BLOCK, 0, &mut mask, 8);
    sys!(SYS_rt_sigpending, &mut pending, 8);
    let action = |signal: i32| {
        let mut found = [0_u64; 4];
        sys!(SYS_rt_sigaction, signal, 0, &mut found, 8);
        found[0]
    };
    let umask = sys!(SYS_umask, 0);
    let alarm = sys!(SYS_alarm, 0) > 0;
    print!("{mask:x} {pending:x} {} {} {umask:o} {alarm} {}", action(SIGUSR1), action(SIGUSR2), sys!(SYS_getpid));
}

fn print_auxiliary() {
    let path = raw::string_at(raw::auxiliary(AT_EXECFN) as usize);
    print!("{} {} ", raw::auxiliary(AT_PAGESZ), String::from_utf8_lossy(&path));
    print!("{} {} ", raw::auxiliary(AT_UID) as i64 == sys!(SYS_getuid), raw::auxiliary(AT_SECURE));
    print!("{} {} ", raw::auxiliary(AT_PHENT), raw::auxiliary(AT_PHNUM) > 0 && raw::auxiliary(AT_PHDR) != 0);
    print!("{} {}", raw::auxiliary(AT_CLKTCK), raw::auxiliary(AT_ENTRY) != 0 && raw::auxiliary(AT_RANDOM) != 0);
}

fn text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// This program's own file, by a name in the test's folder.
fn own_program() -> CString {
    let name = c"program";
    if sys!(SYS_access, name, F_OK) != 0 {
        let own = raw::string_at(raw::auxiliary(AT_EXECFN) as usize);
        let own = CString::new(own).unwrap_or_default();
        // A link where that can be; the folder may be on another file system.
        let bytes = std::fs::read(own.to_str().unwrap_or_default())
            .or_else(|_| std::fs::read(std::env::current_exe().unwrap_or_default()));
        std::fs::write("program", bytes.unwrap_or_default()).unwrap_or_default();
        ok!(SYS_chmod, name, 0o755);
    }
    name.to_owned()
}

/// Pointers to strings, and the zero that ends them.
fn pointers(strings: &[&CStr]) -> Vec<usize> {
    strings.iter().map(|string| string.as_ptr() as usize).chain([0]).collect()
}

/// Executes, or answers the error.
fn execute(path: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> i64 {
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    sys!(SYS_execve, path, arguments.as_ptr(), environment.as_ptr())
}

/// What the program prints that `prepare` executes, and its status.
fn output_of(prepare: impl FnOnce()) -> (String, i32) {
    let (input, output) = pipe(O_CLOEXEC);
    let child = raw::fork(|| {
        sys!(SYS_dup2, output, 1);
        prepare();
        98
    });
    close(output);
    let text = String::from_utf8_lossy(&read_all(input)).into_owned();
    close(input);
    (text, crate::calls::status_of(child))
}

const PROGRAM_MARK: &CStr = c"--as-program";

fn run_program(program: &CStr, rest: &[&CStr]) {
    let path = own_program();
    let mut arguments = vec![c"zero", PROGRAM_MARK, program];
    arguments.extend(rest);
    let result = execute(&path, &arguments, &[]);
    crate::report::works(line!(), "execve", result);
}

fn arguments_and_environment_arrive() {
    let path = own_program();
    let found = output_of(|| {
        let arguments = [c"zero", PROGRAM_MARK, c"print", c"one", c"", c"with blank"];
        execute(&path, &arguments, &[c"A=1", c"B="]);
    });
    is!(found, ("one,,with blank|A=1,B=".to_owned(), 0));
    is!(output_of(|| run_program(c"exit", &[c"42"])).1, exited(42));
    let found = output_of(|| {
        let arguments = pointers(&[c"zero", PROGRAM_MARK, c"print"]);
        sys!(SYS_execve, path.as_c_str(), arguments.as_ptr(), 0);
    });
    is!(found.0, "|");
    let long = text(&"x".repeat(100_000));
    let found = output_of(|| {
        execute(&path, &[c"zero", PROGRAM_MARK, c"print", &long], &[&long]);
    });
    holds!(found.0.len() >= 100_000);
}

fn an_empty_argument_list_becomes_one_empty_argument() {
    // Since Linux 5.18: execve(2). Without a mark, the program would run all tests, so a script tells.
    std::fs::write("script", "#!/bin/sh\nexit 3\n").unwrap_or_default();
    ok!(SYS_chmod, c"script", 0o755);
    is!(
        in_child(|| {
            execute(c"script", &[], &[]);
            98
        }),
        exited(3)
    );
}

fn too_many_arguments_are_refused() {
    let path = own_program();
    let long = text(&"x".repeat(32 * 4096));
    is!(execute(&path, &[c"zero", &long], &[]), -i64::from(E2BIG));
    is!(execute(&path, &[c"zero"], &[&long]), -i64::from(E2BIG));
    let part = text(&"y".repeat(100_000));
    let many = vec![part.as_c_str(); 100];
    is!(execute(&path, &many, &[]), -i64::from(E2BIG));
    let short = vec![c"z"; 2_000_000];
    is!(execute(&path, &short, &[]), -i64::from(E2BIG));
}

fn errors_leave_the_program_running() {
    create("plain");
    fails!(ENOENT, SYS_execve, c"missing", 0, 0);
    fails!(ENOENT, SYS_execve, c"", 0, 0);
    fails!(EACCES, SYS_execve, c"plain", 0, 0);
    fails!(EACCES, SYS_execve, c".", 0, 0);
    fails!(ENOTDIR, SYS_execve, c"plain/x", 0, 0);
    fails!(EFAULT, SYS_execve, crate::calls::NOWHERE, 0, 0);
    let path = own_program();
    fails!(EFAULT, SYS_execve, path.as_c_str(), crate::calls::NOWHERE, 0);
    fails!(EFAULT, SYS_execve, path.as_c_str(), &[crate::calls::NOWHERE, 0], 0);
    ok!(SYS_symlink, c"loop", c"loop");
    fails!(ELOOP, SYS_execve, c"loop", 0, 0);
    ok!(SYS_mknod, c"fifo", S_IFIFO | 0o777, 0);
    fails!(EACCES, SYS_execve, c"fifo", 0, 0);
}

fn script(name: &str, content: &str) {
    std::fs::write(name, content).unwrap_or_default();
    let name = text(name);
    ok!(SYS_chmod, name.as_c_str(), 0o755);
}

fn scripts_name_their_interpreter() {
    own_program();
    script("plain", "#! /bin/sh\necho \"$0 $1 $#\"\n");
    let found = output_of(|| {
        execute(c"./plain", &[c"ignored", c"one", c"two"], &[]);
    });
    is!(found, ("./plain one 2\n".to_owned(), 0));
    script("option", "#!/bin/sh -e\nfalse\nexit 5\n");
    is!(
        in_child(|| {
            execute(c"./option", &[c"x"], &[]);
            98
        }),
        exited(1)
    );
    script("no-newline", "#!/bin/sh");
    is!(
        in_child(|| {
            execute(c"./no-newline", &[c"x"], &[]);
            98
        }),
        exited(0)
    );
    script("missing", "#!/no/such/program\n");
    fails!(ENOENT, SYS_execve, c"./missing", 0, 0);
    script("folder", "#!/\n");
    fails!(EACCES, SYS_execve, c"./folder", 0, 0);
    script("nothing", "#!\n");
    fails!(ENOEXEC, SYS_execve, c"./nothing", 0, 0);
    script("blanks", "#!   \n");
    fails!(ENOEXEC, SYS_execve, c"./blanks", 0, 0);
}

fn scripts_of_scripts_end_somewhere() {
    script("level0", "#!/bin/sh\nexit 4\n");
    for level in 1..=6 {
        script(&format!("level{level}"), &format!("#!./level{}\n", level - 1));
    }
    is!(
        in_child(|| {
            execute(c"./level3", &[c"x"], &[]);
            98
        }),
        exited(4)
    );
    fails!(ELOOP, SYS_execve, c"./level6", 0, 0);
    script("itself", "#!./itself\n");
    fails!(ELOOP, SYS_execve, c"./itself", 0, 0);
}

fn broken_programs_are_refused() {
    script("text", "echo no interpreter\n");
    fails!(ENOEXEC, SYS_execve, c"text", 0, 0);
    script("empty", "");
    fails!(ENOEXEC, SYS_execve, c"empty", 0, 0);
    own_program();
    let good = std::fs::read("program").unwrap_or_default();
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        std::fs::write("damaged", bytes).unwrap_or_default();
        ok!(SYS_chmod, c"damaged", 0o755);
    };
    damaged(&|bytes| bytes.truncate(40));
    fails!(ENOEXEC, SYS_execve, c"damaged", 0, 0);
    damaged(&|bytes| bytes[18] = 40);
    fails!(ENOEXEC, SYS_execve, c"damaged", 0, 0);
    damaged(&|bytes| bytes[0] = 0);
    fails!(ENOEXEC, SYS_execve, c"damaged", 0, 0);
    damaged(&|bytes| bytes[54] = 1);
    fails!(ENOEXEC, SYS_execve, c"damaged", 0, 0);
    damaged(&|bytes| bytes[16] = 1);
    fails!(ENOEXEC, SYS_execve, c"damaged", 0, 0);
}

fn a_running_program_is_not_written() {
    own_program();
    let (input, output) = pipe(0);
    let (ready_input, ready_output) = pipe(0);
    let child = raw::fork(|| {
        sys!(SYS_dup2, input, 0);
        sys!(SYS_dup2, ready_output, 1);
        close(output);
        run_program(c"wait", &[]);
        98
    });
    is!(crate::calls::read(ready_input, 1), b"r");
    fails!(ETXTBSY, SYS_open, c"program", O_WRONLY);
    fails!(ETXTBSY, SYS_truncate, c"program", 0);
    close(output);
    is!(crate::calls::status_of(child), 0);
    let run = || {
        in_child(|| {
            run_program(c"exit", &[c"7"]);
            98
        })
    };
    // Nobody runs it any more; and what is open for writing is not run.
    let writer = open("program", O_RDWR);
    fails!(ETXTBSY, SYS_execve, c"program", 0, 0);
    // A mapping is as good as a descriptor for that, a private one, too, and one of a child as well.
    let place = ok!(SYS_mmap, 0, 8192, PROT_READ, MAP_PRIVATE, writer, 0);
    close(writer);
    fails!(ETXTBSY, SYS_execve, c"program", 0, 0);
    let (input, output) = pipe(0);
    let child = raw::fork(|| {
        close(output);
        crate::calls::read(input, 1).len() as i32
    });
    ok!(SYS_munmap, place, 4096);
    ok!(SYS_munmap, place + 4096, 4096);
    fails!(ETXTBSY, SYS_execve, c"program", 0, 0);
    close(output);
    is!(crate::calls::status_of(child), 0);
    is!(run(), exited(7));
    // A mapping of what is open for reading forbids nothing.
    let reader = open("program", O_RDONLY);
    ok!(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, reader, 0);
    is!(run(), exited(7));
}

fn descriptors_survive_unless_marked() {
    let file = create("file");
    own_program();
    let found = output_of(|| {
        sys!(SYS_dup3, file, 100, 0);
        sys!(SYS_dup3, file, 101, O_CLOEXEC);
        sys!(SYS_dup3, file, 102, 0);
        run_program(c"descriptors", &[]);
    });
    holds!(found.0.contains("100 ") && found.0.contains("102 ") && !found.0.contains("101 "));
}

extern "C" fn nothing(_: i32, _: *mut siginfo_t, _: *mut c_void) {}

fn signals_after_exec() {
    own_program();
    let found = output_of(|| {
        raw::on_signal(SIGUSR1, nothing, 0);
        raw::set_action(SIGUSR2, SIG_IGN, 0, &[]);
        ok!(SYS_rt_sigprocmask, SIG_SETMASK, &(1_u64 << (SIGHUP - 1)), 0, 8);
        sys!(SYS_kill, own_number(), SIGHUP);
        sys!(SYS_umask, 0o17);
        sys!(SYS_alarm, 100);
        run_program(c"state", &[]);
    });
    let words: Vec<&str> = found.0.split(' ').collect();
    // Mask and pending signals stay; handlers become the default, what is ignored stays so.
    is!(&words[..words.len().saturating_sub(1)], &["1", "1", "0", "1", "17", "true"]);
}

fn what_exec_keeps() {
    own_program();
    let (input, output) = pipe(O_CLOEXEC);
    let child = raw::fork(|| {
        sys!(SYS_dup2, output, 1);
        run_program(c"state", &[]);
        98
    });
    close(output);
    let text = String::from_utf8_lossy(&read_all(input)).into_owned();
    is!(text.split(' ').next_back(), Some(child.to_string().as_str()));
    is!(crate::calls::status_of(child), 0);
}

fn programs_by_descriptor() {
    own_program();
    let arguments = pointers(&[c"zero", PROGRAM_MARK, c"exit", c"12"]);
    let file = ok!(SYS_open, c"program", O_RDONLY | O_CLOEXEC);
    is!(
        in_child(|| {
            sys!(SYS_execveat, file, c"", arguments.as_ptr(), 0, AT_EMPTY_PATH);
            98
        }),
        exited(12)
    );
    let folder = ok!(SYS_open, c".", O_PATH);
    is!(
        in_child(|| {
            sys!(SYS_execveat, folder, c"program", arguments.as_ptr(), 0, 0);
            98
        }),
        exited(12)
    );
    fails!(ENOENT, SYS_execveat, file, c"", arguments.as_ptr(), 0, 0);
    fails!(EINVAL, SYS_execveat, folder, c"program", arguments.as_ptr(), 0, 0x4000_0000);
    ok!(SYS_symlink, c"program", c"link");
    fails!(ELOOP, SYS_execveat, AT_FDCWD, c"link", arguments.as_ptr(), 0, AT_SYMLINK_NOFOLLOW);
}

fn the_auxiliary_vector_is_right() {
    own_program();
    is!(output_of(|| run_program(c"auxiliary", &[])).0, "4096 program true 0 56 true 100 true");
}

fn threads_end_with_exec() {
    own_program();
    let found = output_of(|| {
        for _ in 0..4 {
            std::thread::spawn(|| {
                loop {
                    crate::calls::pause_ms(1000);
                }
            });
        }
        // Another thread than the first calls it, and the process keeps its number.
        let own = own_number();
        let _ = std::thread::spawn(move || {
            print!("{own} ");
            let _ = std::io::Write::flush(&mut std::io::stdout());
            run_program(c"state", &[]);
        })
        .join();
    });
    let words: Vec<&str> = found.0.split(' ').collect();
    is!(found.1, 0);
    is!(words.first(), words.last());
}

fn set_user_id_programs() {
    if sys!(SYS_geteuid) != 0 {
        return;
    }
    let path = own_program();
    ok!(SYS_chown, path.as_c_str(), 77, -1);
    ok!(SYS_chmod, path.as_c_str(), 0o4755);
    is!(output_of(|| run_program(c"users", &[])).0, "0 77");
    is!(
        output_of(|| {
            sys!(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            run_program(c"users", &[]);
        })
        .0,
        "0 0"
    );
}

fn the_name_is_the_files() {
    own_program();
    ok!(SYS_link, c"program", c"a-rather-long-name");
    let found = output_of(|| {
        execute(c"./a-rather-long-name", &[c"zero", PROGRAM_MARK, c"name"], &[]);
    });
    is!(found.0, "a-rather-long-n");
}
