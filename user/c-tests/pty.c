// Pseudo-terminals (pty(7), pts(4), termios(3), ioctl_tty(2)): both sides, lines, flow, packet mode.
#include "terminal.h"

static void opening(void) {
    printf("-- opening\n");
    int number = -1, locked = -1;
    char path[64];
    struct stat status;
    master = posix_openpt(O_RDWR | O_NOCTTY);
    SAY(isatty(master));
    SAY(ptsname_r(master, name, sizeof name));
    printf("%.9s\n", name);
    SAY(ioctl(master, TIOCGPTN, &number));
    snprintf(path, sizeof path, "/dev/pts/%d", number);
    SAY(strcmp(path, name));
    SAY(open(name, O_RDWR | O_NOCTTY));
    SAY(ioctl(master, TIOCGPTLCK, &locked));
    SAY(locked);
    SAY(unlockpt(master));
    SAY(ioctl(master, TIOCGPTLCK, &locked));
    SAY(locked);
    slave = open(name, O_RDWR | O_NOCTTY);
    SAY(isatty(slave));
    SAY(strcmp(ttyname(slave), name));
    SAY(ioctl(slave, TIOCGPTN, &number));
    SAY(fstat(slave, &status));
    printf("%o, major %d\n", status.st_mode & S_IFMT, (int)(status.st_rdev >> 8));
    int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    SAY(peer >= 0);
    SAY(fcntl(peer, F_GETFD));
    SAY(write(peer, "by peer", 7));
    all("master", master, 7);
    close(peer);
    SAY(lseek(slave, 0, SEEK_CUR));
    SAY(pread(slave, got, 1, 0));
    SAY(ioctl(slave, 0x1234, 0));
    SAY(ioctl(0, TIOCGPTN, &number));
    SAY(tcgetpgrp(slave));
    SAY(tcgetsid(slave));
    // All slaves closed: the master is told so, until one is opened again.
    struct pollfd entry = {master, POLLIN | POLLOUT, 0};
    SAY(poll(&entry, 1, 0));
    printf("%#x\n", entry.revents);
    DO(write(slave, "last", 4));
    until_ready(master);
    close(slave);
    SAY(poll(&entry, 1, 0));
    printf("%#x\n", entry.revents);
    shown("master", master, 100);
    shown("master", master, 100);
    SAY(poll(&entry, 1, 0));
    printf("%#x\n", entry.revents);
    SAY(write(master, "kept\n", 5));
    slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
    until_ready(slave);
    until_ready(master);
    SAY(poll(&entry, 1, 0));
    printf("%#x\n", entry.revents);
    all("master", master, 6);
    soon("slave", slave);
    // The master closed: the end, for good.
    DO(write(master, "lost\n", 5));
    until_ready(slave);
    close(master);
    entry.fd = slave;
    SAY(poll(&entry, 1, 0));
    printf("%#x\n", entry.revents);
    shown("slave", slave, 100);
    SAY(write(slave, "x", 1));
    struct termios settings;
    SAY(tcgetattr(slave, &settings));
    SAY(isatty(slave));
    SAY(access(name, F_OK));
    SAY(open(name, O_RDWR | O_NOCTTY));
    close(slave);
}

static void echo_newline(struct termios *settings) { settings->c_lflag |= ECHONL; }
static void plain_echo(struct termios *settings) {
    settings->c_lflag &= ~(ECHOE | ECHOK | ECHOCTL | ECHOKE);
    settings->c_lflag |= ECHO;
}

static void own_end(struct termios *settings) { settings->c_cc[VEOL] = ';'; }

static void keep_returns(struct termios *settings) {
    settings->c_iflag &= ~ICRNL;
    settings->c_iflag |= INLCR;
}

static void no_returns(struct termios *settings) { settings->c_iflag |= IGNCR; }
static void strip(struct termios *settings) { settings->c_iflag |= ISTRIP; }
static void no_output(struct termios *settings) { settings->c_oflag &= ~OPOST; }
static void wide_tabs(struct termios *settings) { settings->c_oflag |= OPOST | XTABS; }
static void no_signals(struct termios *settings) { settings->c_lflag &= ~ISIG; }
static void raw(struct termios *settings) { cfmakeraw(settings); }
static void cooked(struct termios *settings) { settings->c_lflag |= ICANON | ECHO | ISIG; }

static void four(struct termios *settings) {
    settings->c_cc[VMIN] = 4;
    settings->c_cc[VTIME] = 0;
}

static void none(struct termios *settings) {
    settings->c_cc[VMIN] = 0;
    settings->c_cc[VTIME] = 0;
}

static void in_time(struct termios *settings) {
    settings->c_cc[VMIN] = 0;
    settings->c_cc[VTIME] = 1;
}

static void between(struct termios *settings) {
    settings->c_cc[VMIN] = 10;
    settings->c_cc[VTIME] = 1;
}

// What is typed, how many bytes its echo has, and how many reads there are of it.
struct typed {
    const char *what, *text;
    void (*how)(struct termios *);
    int echo, reads;
};

static void try_each(const struct typed *typed, int count) {
    for (int index = 0; index < count; index++) {
        printf("%s\n", typed[index].what);
        if (typed[index].how) {
            change(typed[index].how);
        }
        type(typed[index].text);
        all("  echo", master, typed[index].echo);
        for (int number = 0; number < typed[index].reads; number++) {
            soon("  read", slave);
        }
        shown("  no more", slave, 200);
    }
}

static void lines(void) {
    printf("-- lines\n");
    open_pair();
    nonblocking(slave, 1);
    nonblocking(master, 1);
    static const struct typed typed[] = {
        {"a line", "hello\n", NULL, 7, 1},
        {"part of a line", "par", NULL, 3, 0},
        {"its end", "t\r", NULL, 3, 1},
        {"erased", "abx\177c\n", NULL, 9, 1},
        {"all erased", "ab\177\177\177\177c\n", NULL, 11, 1},
        {"killed", "lost\25kept\n", NULL, 22, 1},
        {"a word erased", "one two \27three\n", NULL, 27, 1},
        {"literal", "a\26\3b\26\177\n", NULL, 12, 1},
        {"reprinted", "ab\22c\n", NULL, 11, 1},
        {"tabs and controls", "a\tb\1c\33\n", NULL, 10, 1},
        {"end in the line", "abc\4", NULL, 3, 1},
        {"end", "\4", NULL, 0, 1},
        {"lines", "one\ntwo\n", NULL, 10, 2},
    };
    try_each(typed, sizeof typed / sizeof *typed);
    printf("bit by bit\n");
    type("abcdef\n");
    all("  echo", master, 8);
    shown("  read", slave, 4);
    int waiting;
    SAY(ioctl(slave, FIONREAD, &waiting));
    SAY(waiting);
    shown("  read", slave, 4);
    change(no_echo);
    printf("a line too long\n");
    memset(got, 'x', 5000);
    SAY(write(master, got, 5000));
    type("\n");
    until_ready(slave);
    SAY(read(slave, got, 10000));
    SAY(got[4095]);
    static const struct typed settings[] = {
        {"no echo", "secret\n", no_echo, 0, 1},
        {"newlines echoed", "secret\n", echo_newline, 2, 1},
        {"echo without art", "ab\177c\25d\1\n", plain_echo, 9, 1},
        {"an end of one's own", "a;b\n", own_end, 5, 2},
        {"returns kept", "a\rb\nc\4", keep_returns, 5, 1},
        {"no returns", "a\rb\rc\4", no_returns, 3, 1},
        {"stripped", "\301BC\4", strip, 3, 1},
        {"no signals", "a\3b\4", no_signals, 3, 1},
    };
    try_each(settings, sizeof settings / sizeof *settings);
    printf("output\n");
    DO(write(slave, "a\tb\nc\r\n", 7));
    all("  shown", master, 9);
    change(wide_tabs);
    DO(write(slave, "a\tb\nc\r\n", 7));
    all("  shown", master, 15);
    change(no_output);
    DO(write(slave, "a\tb\nc\r\n", 7));
    all("  shown", master, 7);
    close_pair();
}

// Waits until so many bytes can be read by a program that does not read lines.
static void until_typed(int count) {
    int waiting = 0;
    while (DO(ioctl(slave, FIONREAD, &waiting)) == 0 && waiting < count) {
        sleep_ms(1);
    }
}

static void raw_reads(void) {
    printf("-- raw\n");
    open_pair();
    nonblocking(master, 1);
    change(raw);
    type("\3\4\177\r\n");
    all("  read", slave, 5);
    shown("  echo", master, 100);
    change(none);
    shown("  nothing there", slave, 100);
    change(in_time);
    shown("  nothing in time", slave, 100);
    type("abcdef");
    soon("  there", slave);
    change(four);
    type("abcdef");
    soon("  at least four", slave);
    type("abcdef");
    shown("  at most two", slave, 2);
    shown("  the rest", slave, 100);
    struct pollfd entry = {slave, POLLIN, 0};
    type("ab");
    until_typed(2);
    SAY(poll(&entry, 1, 0));
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        until_it_sleeps(parent, parent);
        type("cd");
        _exit(0);
    }
    shown("  in two pieces", slave, 100);
    say_end("typist", child);
    change(between);
    type("xyz");
    until_typed(3);
    shown("  until a pause", slave, 100);
    nonblocking(slave, 1);
    shown("  not at all", slave, 100);
    type("xyz");
    until_typed(3);
    shown("  what there is", slave, 100);
    printf("what was typed becomes a line\n");
    type("ab");
    until_typed(2);
    change(cooked);
    shown("  read", slave, 100);
    type("c\n");
    soon("  read", slave);
    close_pair();
}

static void flow(void) {
    printf("-- flow\n");
    open_pair();
    nonblocking(slave, 1);
    nonblocking(master, 1);
    int waiting;
    struct pollfd entry = {slave, POLLOUT, 0};
    change(no_echo);
    type("\23");
    // A line after it shows that it has come.
    type("x\n");
    soon("  read", slave);
    SAY(write(slave, "stopped", 7));
    SAY(poll(&entry, 1, 0));
    shown("  shown", master, 100);
    type("\21");
    SAY(poll(&entry, 1, -1));
    SAY(write(slave, "started", 7));
    all("  shown", master, 7);
    SAY(tcflow(slave, TCOOFF));
    SAY(write(slave, "stopped", 7));
    SAY(tcflow(slave, TCOON));
    SAY(write(slave, "started", 7));
    SAY(ioctl(slave, TIOCOUTQ, &waiting));
    all("  shown", master, 7);
    SAY(tcflow(slave, TCIOFF));
    all("  shown", master, 1);
    SAY(tcflow(slave, 9));
    type("one\ntwo\n");
    until_ready(slave);
    SAY(tcflush(slave, TCIFLUSH));
    shown("  read", slave, 100);
    SAY(tcflush(slave, 9));
    SAY(tcdrain(slave));
    SAY(tcsendbreak(slave, 0));
    struct winsize size = {24, 80, 1, 2}, other = {0};
    SAY(ioctl(slave, TIOCGWINSZ, &other));
    printf("%d %d\n", other.ws_row, other.ws_col);
    SAY(ioctl(master, TIOCSWINSZ, &size));
    SAY(ioctl(slave, TIOCGWINSZ, &other));
    printf("%d %d %d %d\n", other.ws_row, other.ws_col, other.ws_xpixel, other.ws_ypixel);
    struct termios settings;
    SAY(tcgetattr(master, &settings));
    printf("%o %o %o %o, speed %d\n", settings.c_iflag, settings.c_oflag, settings.c_cflag, settings.c_lflag,
           (int)cfgetospeed(&settings));
    for (int index = 0; index < 17; index++) {
        printf("%d ", settings.c_cc[index]);
    }
    printf("\n");
    SAY(tcgetattr(0, &settings) == 0 || errno == ENOTTY);
    close_pair();
    // A writer that waits for the reader.
    open_pair();
    change(raw);
    pid_t child = fork();
    if (child == 0) {
        memset(got, 'w', sizeof got);
        for (int round = 0; round < 20; round++) {
            long done = 0;
            while (done < (long)sizeof got) {
                done += DO(write(slave, got, sizeof got - done));
            }
        }
        _exit(0);
    }
    close(slave);
    long total = 0, count;
    while ((count = read(master, got, sizeof got)) > 0) {
        total += count;
    }
    SAY(total);
    say_end("writer", child);
    close(master);
}

static void packets(void) {
    printf("-- packet mode\n");
    open_pair();
    nonblocking(slave, 1);
    nonblocking(master, 1);
    int on = 1, off = 0, value = -1;
    struct pollfd entry = {master, POLLIN | POLLPRI, 0};
    SAY(ioctl(master, TIOCPKT, &on));
    SAY(ioctl(master, TIOCGPKT, &value));
    SAY(value);
    SAY(ioctl(slave, TIOCPKT, &on));
    DO(write(slave, "data", 4));
    soon("  data", master);
    shown("  none", master, 100);
    SAY(tcflush(slave, TCIFLUSH));
    SAY(poll(&entry, 1, 0));
    printf("%#x\n", entry.revents);
    DO(write(slave, "more", 4));
    shown("  status", master, 100);
    soon("  data", master);
    SAY(tcflush(slave, TCOFLUSH));
    shown("  status", master, 100);
    SAY(tcflow(slave, TCOOFF));
    shown("  status", master, 100);
    SAY(tcflow(slave, TCOON));
    shown("  status", master, 100);
    change(no_echo);
    shown("  nothing", master, 100);
    change(raw);
    shown("  status", master, 100);
    SAY(ioctl(master, TIOCPKT, &off));
    DO(write(slave, "plain", 5));
    soon("  plain", master);
    close_pair();
}

int main(void) {
    begin();
    opening();
    lines();
    raw_reads();
    flow();
    packets();
    return 0;
}
