// Sessions and jobs on a pseudo-terminal (setsid(2), credentials(7), tcsetpgrp(3)), and a shell on one.
#include "terminal.h"
#include <libgen.h>

static volatile sig_atomic_t last_signal;

static void note(int signal) { last_signal = signal; }

// Told when the leader has ended; and held open by whom it leaves.
static int leader_ended[2], alive[2];

// Runs `what` in a child that leads a session on a terminal of its own, and prints how it ends. The parent answers to what the
// child writes to its terminal: each '?' has it type what comes next, and '!' does once the child sleeps.
static void on_terminal(const char *title, int (*what)(void), const char *const *answers) {
    printf("-- %s\n", title);
    open_pair();
    DO(pipe(leader_ended));
    DO(pipe(alive));
    pid_t child = fork();
    if (child == 0) {
        close(master);
        setsid();
        DO(ioctl(slave, TIOCSCTTY, 0));
        struct termios settings;
        tcgetattr(slave, &settings);
        settings.c_lflag &= ~ECHO;
        tcsetattr(slave, TCSANOW, &settings);
        int code = what();
        fflush(stdout);
        _exit(code);
    }
    close(slave);
    char byte;
    while (*answers && read(master, &byte, 1) == 1) {
        if (byte == '!') {
            until_it_sleeps(child, child);
        }
        if (byte == '?' || byte == '!') {
            type(*answers++);
        }
    }
    say_end(title, child);
    DO(write(leader_ended[1], "x", 1));
    close(alive[1]);
    SAY(read(alive[0], &byte, 1));
    SAY(read(master, &byte, 1));
    close(master);
    close(alive[0]);
    close(leader_ended[0]);
    close(leader_ended[1]);
}

static void ask(const char *how) { DO(write(slave, how, 1)); }

static int session(void) {
    struct stat status;
    int tty = open("/dev/tty", O_RDWR);
    SAY(setsid());
    SAY(fstat(tty, &status));
    printf("%x\n", (int)status.st_rdev);
    SAY(tcgetpgrp(tty) == getpid());
    SAY(tcgetsid(slave) == getpid());
    SAY(ioctl(slave, TIOCSCTTY, 0));
    SAY(tcsetpgrp(slave, 999999));
    // A group of another session.
    SAY(tcsetpgrp(slave, getppid()));
    SAY(tcsetpgrp(slave, -1));
    int pid = -1;
    SAY(ioctl(slave, TIOCGSID, &pid));
    SAY(pid == getpid());
    pid_t child = fork();
    if (child == 0) {
        SAY(ioctl(slave, TIOCSCTTY, 0));
        SAY(setsid() == getpid());
        SAY(open("/dev/tty", O_RDWR));
        SAY(ioctl(slave, TIOCSCTTY, 0));
        SAY(tcgetpgrp(slave));
        fflush(stdout);
        _exit(0);
    }
    say_end("child", child);
    // The leader gives it up: the foreground is hung up, itself too.
    signal(SIGHUP, note);
    SAY(ioctl(tty, TIOCNOTTY));
    SAY(last_signal == SIGHUP);
    SAY(open("/dev/tty", O_RDWR));
    SAY(tcgetpgrp(slave));
    SAY(ioctl(slave, TIOCSCTTY, 0));
    SAY(tcgetpgrp(slave) == getpid());
    return 0;
}

static int typed_signals(void) {
    int signals[] = {SIGINT, SIGQUIT, SIGTSTP};
    sigset_t set, before;
    sigemptyset(&set);
    for (int index = 0; index < 3; index++) {
        signal(signals[index], note);
        sigaddset(&set, signals[index]);
    }
    sigprocmask(SIG_BLOCK, &set, &before);
    for (int index = 0; index < 3; index++) {
        int signal;
        ask("?");
        DO(sigwait(&set, &signal));
        printf("typed: %s\n", signal_name(signal));
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    // A read that is interrupted, and what was typed before is gone.
    struct sigaction action = {.sa_handler = note};
    sigaction(SIGINT, &action, NULL);
    ask("!");
    SAY(read(slave, got, 100));
    ask("!");
    shown("read", slave, 100);
    return 0;
}

static int size_changes(void) {
    sigset_t set;
    int signal;
    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct winsize size = {30, 100, 0, 0};
    SAY(ioctl(slave, TIOCSWINSZ, &size));
    SAY(sigwait(&set, &signal));
    // The same again is no change.
    SAY(ioctl(slave, TIOCSWINSZ, &size));
    struct timespec time = {0, 1000000};
    SAY(sigtimedwait(&set, NULL, &time));
    return 0;
}

// Waits until a child stops or ends.
static void say_stop(const char *who, pid_t child) {
    int status = 0;
    DO(waitpid(child, &status, WUNTRACED));
    if (WIFSTOPPED(status)) {
        printf("%s: stopped by %s\n", who, signal_name(WSTOPSIG(status)));
    } else if (WIFSIGNALED(status)) {
        printf("%s: killed by %s\n", who, signal_name(WTERMSIG(status)));
    } else {
        printf("%s: exit %d\n", who, WEXITSTATUS(status));
    }
}

static void to_stop(struct termios *settings) { settings->c_lflag |= TOSTOP; }

static int background(void) {
    int done[2], go[2];
    char byte;
    DO(pipe(done));
    DO(pipe(go));
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        shown("child", slave, 100);
        change(to_stop);
        DO(write(done[1], "x", 1));
        // From here on in the background.
        DO(read(go[0], &byte, 1));
        signal(SIGTTOU, SIG_IGN);
        SAY(write(slave, "w", 1));
        signal(SIGTTIN, SIG_IGN);
        shown("child", slave, 100);
        signal(SIGTTOU, SIG_DFL);
        SAY(write(slave, "w", 1));
        _exit(5);
    }
    setpgid(child, child);
    say_stop("it reads", child);
    SAY(tcsetpgrp(slave, child));
    SAY(tcgetpgrp(slave) == child);
    DO(kill(-child, SIGCONT));
    ask("?");
    DO(read(done[0], &byte, 1));
    // Who takes the terminal back is in the background.
    signal(SIGTTOU, SIG_IGN);
    SAY(tcsetpgrp(slave, getpid()));
    DO(write(go[1], "x", 1));
    say_stop("it writes", child);
    DO(kill(-child, SIGCONT));
    say_stop("it writes again", child);
    SAY(tcsetpgrp(slave, child));
    DO(kill(-child, SIGCONT));
    say_stop("in the foreground", child);
    return 0;
}

static int orphan(void) {
    // A grandchild whose parent ends is in an orphaned group: nobody could continue it.
    int pipes[2], go[2];
    char byte;
    DO(pipe(pipes));
    DO(pipe(go));
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        pid_t parent = getpid();
        if (fork() == 0) {
            while (getppid() == parent) {
                sleep_ms(1);
            }
            DO(read(go[0], &byte, 1));
            shown("orphan", slave, 10);
            change(no_echo);
            DO(write(pipes[1], "x", 1));
        }
        _exit(0);
    }
    say_end("parent", child);
    DO(write(go[1], "x", 1));
    SAY(read(pipes[0], &byte, 1));
    return 0;
}

static int hung_up(void) {
    // What is in the foreground is told when the leader ends. The terminal controls nobody then, but works.
    int pipes[2];
    char byte;
    DO(pipe(pipes));
    pid_t child = fork();
    if (child == 0) {
        signal(SIGHUP, note);
        DO(write(pipes[1], "x", 1));
        while (!last_signal) {
            sleep_ms(1);
        }
        DO(read(leader_ended[0], &byte, 1));
        printf("hung up by %s\n", signal_name(last_signal));
        nonblocking(slave, 1);
        shown("slave", slave, 10);
        SAY(write(slave, "x", 1));
        SAY(tcgetpgrp(slave));
        SAY(open("/dev/tty", O_RDWR));
        _exit(0);
    }
    SAY(read(pipes[0], &byte, 1));
    return 3;
}

static void masters_end(void) {
    printf("-- the master's end\n");
    open_pair();
    int pipes[2];
    char byte;
    DO(pipe(pipes));
    pid_t child = fork();
    if (child == 0) {
        close(master);
        setsid();
        DO(ioctl(slave, TIOCSCTTY, 0));
        DO(write(pipes[1], "x", 1));
        shown("slave", slave, 10);
        for (;;) {
            pause();
        }
    }
    SAY(read(pipes[0], &byte, 1));
    until_it_sleeps(child, child);
    close_pair();
    say_end("leader", child);
}

// Whether a line says it: at its beginning, what the shell does not echo.
static int says(const char *line, const char *text) {
    return *text == '=' ? strncmp(line, text, strlen(text)) == 0 : strstr(line, text) != NULL;
}

// Reads from the shell's terminal until `text` comes. Prints lines that begin with '[' or '='.
static void expect(const char *text) {
    static char line[1000];
    static size_t length;
    char byte;
    while (!says(line, text) && read(master, &byte, 1) == 1) {
        if (byte == '\n') {
            length = 0;
        } else if (byte != '\r' && length < sizeof line - 1) {
            line[length++] = byte;
        }
        line[length] = 0;
    }
    // The rest of the line.
    int prints = line[0] == '[' || line[0] == '=';
    while (prints && read(master, &byte, 1) == 1 && byte != '\r') {
        line[length++] = byte;
        line[length] = 0;
    }
    if (prints) {
        printf("%s\n", line);
    }
    line[0] = 0;
    length = 0;
}

static void shell(const char *program) {
    printf("-- a shell\n");
    char path[1000], folder[900];
    snprintf(folder, sizeof folder, "%s", program);
    dirname(folder);
    snprintf(path, sizeof path, "%s/../root/bin/busybox", folder);
    if (access(path, X_OK) != 0) {
        snprintf(path, sizeof path, "%s/../bin/busybox", folder);
    }
    open_pair();
    pid_t child = fork();
    if (child == 0) {
        setsid();
        DO(ioctl(slave, TIOCSCTTY, 0));
        for (int file = 0; file < 3; file++) {
            DO(dup2(slave, file));
        }
        close_pair();
        setenv("P", program, 1);
        setenv("PS1", "ready> ", 1);
        setenv("TERM", "dumb", 1);
        signal(SIGALRM, SIG_DFL);
        execl(path, "sh", (char *)NULL);
        _exit(99);
    }
    close(slave);
    expect("ready> ");
    type("$P job\n");
    expect("=runs");
    type("\32");
    expect("Stopped");
    expect("ready> ");
    type("jobs\n");
    expect("Stopped");
    expect("ready> ");
    type("fg\n");
    expect("=goes on");
    struct winsize size = {31, 99, 0, 0};
    DO(ioctl(master, TIOCSWINSZ, &size));
    expect("=size");
    type("\3");
    expect("ready> ");
    type("echo =status $?\n");
    expect("=status");
    expect("ready> ");
    type("$P job &\n");
    expect("=runs");
    type("jobs\n");
    expect("Running");
    expect("ready> ");
    type("fg\n");
    while (tcgetpgrp(master) == child) {
        sleep_ms(1);
    }
    type("\34");
    expect("ready> ");
    type("echo =status $?\n");
    expect("=status");
    expect("ready> ");
    type("$P job | cat\n");
    expect("=runs");
    type("\32");
    expect("Stopped");
    expect("ready> ");
    type("kill %1; wait; echo =waited\n");
    expect("=waited");
    expect("ready> ");
    type("cat >/dev/null; echo =end\n");
    while (tcgetpgrp(master) == child) {
        sleep_ms(1);
    }
    type("some\nlines\n\4");
    expect("=end");
    expect("ready> ");
    type("$P job\n");
    expect("=runs");
    // The terminal goes away below shell and job.
    close(master);
    say_end("shell", child);
}

static void resized(int number) {
    (void)number;
    struct winsize size = {0};
    char line[40];
    ioctl(0, TIOCGWINSZ, &size);
    int length = snprintf(line, sizeof line, "=size %d %d\n", size.ws_row, size.ws_col);
    DO(write(1, line, length));
}

static void continued(int number) {
    (void)number;
    DO(write(1, "=goes on\n", 9));
}

// What the shell runs.
static void job(void) {
    signal(SIGCONT, continued);
    signal(SIGWINCH, resized);
    // A line of its own, even after a prompt.
    DO(write(1, "\n=runs\n", 7));
    alarm(60);
    for (;;) {
        pause();
    }
}

int main(int count, char **words) {
    if (count > 1) {
        job();
    }
    begin();
    // A group of its own, whoever has started it.
    setpgid(0, 0);
    on_terminal("session", session, (const char *const[]){NULL});
    on_terminal("typed signals", typed_signals, (const char *const[]){"\3", "\34", "\32", "lost\3", "kept\n", NULL});
    on_terminal("size", size_changes, (const char *const[]){NULL});
    on_terminal("background", background, (const char *const[]){"for the child\n", NULL});
    on_terminal("orphan", orphan, (const char *const[]){NULL});
    on_terminal("hung up", hung_up, (const char *const[]){NULL});
    masters_end();
    shell(words[0]);
    return 0;
}
