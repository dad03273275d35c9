// What several programs here share: one fact a line, and an end to what hangs.
#ifndef SAY_H
#define SAY_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "names.h"

// What compilers must not look through.
static volatile int minus_one __attribute__((unused)) = -1;
static void *volatile nowhere __attribute__((unused)) = (void *)8;

static inline long say(const char *what, long result) {
    int error = errno;
    if (result == -1 && error != 0) {
        printf("%s: %s\n", what, error_name(error));
    } else {
        printf("%s: %ld\n", what, result);
    }
    return result;
}

// Prints a call and what it answers.
#define SAY(call) (errno = 0, say(#call, (long)(call)))

static inline long must(const char *what, long result) {
    if (result == -1) {
        printf("it fails: %s: %s\n", what, error_name(errno));
    }
    return result;
}

// Makes a call that is not in question.
#define DO(call) must(#call, (long)(call))

static inline void hangs(int signal) {
    (void)signal;
    static const char text[] = "it hangs\n";
    if (write(1, text, sizeof text - 1)) {
    }
    _exit(99);
}

// Prints line by line, and ends what takes too long. Whoever runs this may have signals ignored or blocked: nohup(1), shells without job
// control.
static inline void begin(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number <= SIGSYS; number++) {
        signal(number, SIG_DFL);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGALRM, hangs);
    alarm(60);
}

static inline void sleep_ms(long milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

// Waits until a thread of a process sleeps.
static inline void until_it_sleeps(pid_t process, pid_t thread) {
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", process, thread);
    for (;;) {
        int file = open(path, O_RDONLY | O_CLOEXEC);
        long count = file < 0 ? -1 : read(file, text, sizeof text - 1);
        close(file);
        if (count <= 0) {
            return;
        }
        text[count] = 0;
        char *state = strrchr(text, ')');
        if (state && state[2] != 'R') {
            return;
        }
        sleep_ms(1);
    }
}

// How a child ended.
static inline void say_end(const char *who, pid_t child) {
    int status = 0;
    DO(waitpid(child, &status, 0));
    if (WIFSIGNALED(status)) {
        printf("%s: killed by %s\n", who, signal_name(WTERMSIG(status)));
    } else {
        printf("%s: exit %d\n", who, WEXITSTATUS(status));
    }
}

#endif
