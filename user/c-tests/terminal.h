// What the programs about terminals share: a pseudo-terminal, and what is read from it.
#ifndef TERMINAL_H
#define TERMINAL_H

#include "say.h"
#include <termios.h>

static int master, slave;
static char name[64] __attribute__((unused)), got[10000];

// Opens a pseudo-terminal.
static inline void open_pair(void) {
    master = posix_openpt(O_RDWR | O_NOCTTY);
    DO(master);
    DO(grantpt(master));
    DO(unlockpt(master));
    DO(ptsname_r(master, name, sizeof name));
    slave = open(name, O_RDWR | O_NOCTTY);
    DO(slave);
}

static inline void close_pair(void) {
    close(slave);
    close(master);
}

static inline void nonblocking(int file, int on) { DO(fcntl(file, F_SETFL, on ? O_NONBLOCK : 0)); }

// Prints what was read, control characters by number.
static inline void print(const char *what, long count) {
    printf("%s: ", what);
    if (count < 0) {
        printf("%s\n", error_name(errno));
        return;
    }
    printf("%ld '", count);
    for (long index = 0; index < count && index < 200; index++) {
        unsigned char byte = got[index];
        if (byte < ' ' || byte >= 127 || byte == '\\') {
            printf("\\%02x", byte);
        } else {
            putchar(byte);
        }
    }
    printf("'\n");
}

// Reads once, and prints that.
static inline void shown(const char *what, int file, size_t most) {
    errno = 0;
    print(what, read(file, got, most));
}

static inline void until_ready(int file) {
    struct pollfd entry = {file, POLLIN, 0};
    DO(poll(&entry, 1, -1));
}

// Reads as soon as there is something. What is typed takes its time on Linux, and so does its echo.
static inline void soon(const char *what, int file) {
    until_ready(file);
    shown(what, file, 200);
}

// Reads so many bytes, in pieces if need be.
static inline void all(const char *what, int file, long count) {
    long done = 0;
    while (done < count) {
        until_ready(file);
        long more = read(file, got + done, count - done);
        if (more <= 0) {
            break;
        }
        done += more;
    }
    print(what, done);
}

static inline void type(const char *text) { DO(write(master, text, strlen(text))); }

static inline void change(void (*how)(struct termios *)) {
    struct termios settings;
    DO(tcgetattr(slave, &settings));
    how(&settings);
    DO(tcsetattr(slave, TCSANOW, &settings));
}

static inline void no_echo(struct termios *settings) { settings->c_lflag &= ~ECHO; }

#endif
