// Timers and signals as files (timerfd_create(2), signalfd(2)); poll(2), select(2) and their kin; how signals end waits.
#include "say.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#define SECOND_NS 1000000000L

static struct itimerspec every(long value_ns, long interval_ns) {
    struct itimerspec setting = {{interval_ns / SECOND_NS, interval_ns % SECOND_NS}, {value_ns / SECOND_NS, value_ns % SECOND_NS}};
    return setting;
}

static long take(int file) {
    uint64_t count = 0;
    return read(file, &count, sizeof count) == sizeof count ? (long)count : -1;
}

static long now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void timers(clockid_t clock) {
    printf("-- timer of clock %d\n", clock);
    int timer = timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec setting = every(0, 0), old;
    char bytes[8];
    SAY(take(timer));
    SAY(read(timer, bytes, 7));
    SAY(write(timer, bytes, 8));
    SAY(lseek(timer, 0, SEEK_SET));
    SAY(timerfd_settime(timer, 0x10, &setting, NULL));
    SAY(timerfd_settime(1, 0, &setting, NULL));
    SAY(timerfd_gettime(timer, nowhere));
    setting.it_value.tv_nsec = SECOND_NS;
    SAY(timerfd_settime(timer, 0, &setting, NULL));
    setting = every(1000 * SECOND_NS, 20 * SECOND_NS);
    SAY(timerfd_settime(timer, 0, &setting, &old));
    SAY(old.it_value.tv_sec + old.it_value.tv_nsec);
    SAY(timerfd_gettime(timer, &old));
    SAY(old.it_value.tv_sec >= 900 && old.it_value.tv_sec <= 1000);
    SAY(old.it_interval.tv_sec);
    struct pollfd entry = {timer, POLLIN | POLLOUT, 0};
    SAY(poll(&entry, 1, 0));
    // An absolute time that has passed, and many intervals with it.
    long past = now_ns(clock) - 1000000;
    setting = every(past, 0);
    SAY(timerfd_settime(timer, TFD_TIMER_ABSTIME, &setting, NULL));
    SAY(poll(&entry, 1, -1));
    SAY(entry.revents);
    SAY(take(timer));
    SAY(take(timer));
    SAY(timerfd_gettime(timer, &old));
    SAY(old.it_value.tv_sec + old.it_value.tv_nsec);
    setting = every(past, 1000);
    SAY(timerfd_settime(timer, TFD_TIMER_ABSTIME, &setting, NULL));
    SAY(poll(&entry, 1, -1));
    SAY(take(timer) >= 1000);
    setting = every(past, 1000 * SECOND_NS);
    SAY(timerfd_settime(timer, TFD_TIMER_ABSTIME, &setting, NULL));
    SAY(poll(&entry, 1, -1));
    SAY(take(timer));
    SAY(take(timer));
    // Setting it again forgets what had expired.
    setting = every(1, 0);
    SAY(timerfd_settime(timer, 0, &setting, NULL));
    SAY(poll(&entry, 1, -1));
    setting = every(1000 * SECOND_NS, 0);
    SAY(timerfd_settime(timer, 0, &setting, NULL));
    SAY(poll(&entry, 1, 0));
    SAY(take(timer));
    setting = every(0, SECOND_NS);
    SAY(timerfd_settime(timer, 0, &setting, NULL));
    SAY(timerfd_gettime(timer, &old));
    SAY(old.it_value.tv_sec + old.it_value.tv_nsec);
    SAY(old.it_interval.tv_sec);
    // A read that waits; and periods that add up.
    SAY(fcntl(timer, F_SETFL, 0));
    setting = every(5000000, 5000000);
    SAY(timerfd_settime(timer, 0, &setting, NULL));
    SAY(take(timer) >= 1);
    long total = 0;
    while (total < 10) {
        total += take(timer);
    }
    sleep_ms(30);
    SAY(take(timer) >= 5);
    close(timer);
}

static void timer_edges(void) {
    printf("-- timers\n");
    SAY(timerfd_create(99, 0));
    SAY(timerfd_create(CLOCK_THREAD_CPUTIME_ID, 0));
    SAY(timerfd_create(CLOCK_MONOTONIC, 1));
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), epoll = epoll_create1(0);
    struct epoll_event event = {EPOLLIN | EPOLLET, {.u64 = 1}};
    DO(epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event));
    struct itimerspec setting = every(1000, 5000000);
    DO(timerfd_settime(timer, 0, &setting, NULL));
    SAY(epoll_wait(epoll, &event, 1, -1));
    SAY(take(timer) >= 1);
    SAY(epoll_wait(epoll, &event, 1, -1));
    SAY(take(timer) >= 1);
    close(epoll);
    close(timer);
}

static void said(struct signalfd_siginfo *record) {
    printf("signal %d, code %d, by %s, number %d\n", record->ssi_signo, record->ssi_code,
           record->ssi_pid == (uint32_t)getpid() ? "itself" : "another", record->ssi_int);
}

static void signals(void) {
    printf("-- signals\n");
    sigset_t set, before;
    sigemptyset(&set);
    int numbers[] = {SIGUSR1, SIGUSR2, SIGCHLD, SIGRTMIN, SIGRTMIN + 1};
    for (int index = 0; index < 5; index++) {
        sigaddset(&set, numbers[index]);
    }
    DO(sigprocmask(SIG_BLOCK, &set, &before));
    int file = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    struct signalfd_siginfo records[8];
    SAY(read(file, records, sizeof *records));
    SAY(read(file, records, sizeof *records - 1));
    SAY(write(file, records, sizeof *records));
    SAY(signalfd(-1, &set, 1));
    SAY(signalfd(1, &set, 0));
    SAY(signalfd(999, &set, 0));
    struct pollfd entry = {file, POLLIN | POLLOUT, 0};
    SAY(poll(&entry, 1, 0));
    union sigval value = {.sival_int = 1};
    // Sent in this order, and read in that of their numbers; of one real-time signal in the order sent.
    for (; value.sival_int <= 3; value.sival_int++) {
        DO(sigqueue(getpid(), SIGRTMIN + 1, value));
        DO(sigqueue(getpid(), SIGRTMIN, value));
    }
    DO(kill(getpid(), SIGUSR2));
    DO(kill(getpid(), SIGUSR1));
    DO(kill(getpid(), SIGUSR1));
    DO(raise(SIGUSR2));
    SAY(poll(&entry, 1, 0));
    SAY(entry.revents);
    long count = SAY(read(file, records, 3 * sizeof *records + 5));
    for (long index = 0; index < count / (long)sizeof *records; index++) {
        said(&records[index]);
    }
    count = SAY(read(file, records, sizeof records));
    for (long index = 0; index < count / (long)sizeof *records; index++) {
        said(&records[index]);
    }
    SAY(read(file, records, sizeof records));
    // A child that ends while its parent waits to read.
    DO(fcntl(file, F_SETFL, 0));
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        until_it_sleeps(parent, parent);
        _exit(7);
    }
    SAY(read(file, records, sizeof records));
    SAY(records->ssi_signo);
    SAY(records->ssi_code);
    SAY(records->ssi_status);
    SAY(records->ssi_pid == (uint32_t)child);
    say_end("child", child);
    // By epoll, and with another set.
    int epoll = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.u64 = 1}};
    DO(epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event));
    child = fork();
    if (child == 0) {
        until_it_sleeps(parent, parent);
        kill(parent, SIGUSR1);
        _exit(0);
    }
    SAY(epoll_wait(epoll, &event, 1, -1));
    SAY(read(file, records, sizeof *records));
    SAY(records->ssi_signo);
    say_end("child", child);
    SAY(read(file, records, sizeof *records));
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    SAY(signalfd(file, &set, SFD_NONBLOCK) == file);
    DO(raise(SIGUSR1));
    SAY(poll(&entry, 1, 0));
    DO(raise(SIGUSR2));
    SAY(poll(&entry, 1, 0));
    SAY(read(file, records, sizeof records));
    SAY(records->ssi_signo);
    // A child that inherits the file reads its own signals by it.
    child = fork();
    if (child == 0) {
        SAY(poll(&entry, 1, 0));
        DO(raise(SIGUSR2));
        SAY(read(file, records, sizeof records));
        SAY(records->ssi_pid == (uint32_t)getpid());
        fflush(stdout);
        _exit(0);
    }
    say_end("child", child);
    SAY(poll(&entry, 1, 0));
    signal(SIGUSR1, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    DO(sigprocmask(SIG_SETMASK, &before, NULL));
    signal(SIGUSR1, SIG_DFL);
    close(epoll);
    close(file);
}

static volatile int handled;

static void count(int signal) {
    (void)signal;
    handled++;
}

static void handle(int signal, int flags) {
    struct sigaction action = {.sa_handler = count, .sa_flags = flags};
    sigaction(signal, &action, NULL);
}

// Waits that open the mask for a signal that is pending already.
static void masks(void) {
    printf("-- masks\n");
    sigset_t set, open, now;
    sigemptyset(&open);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    DO(sigprocmask(SIG_BLOCK, &set, NULL));
    handle(SIGUSR1, SA_RESTART);
    int epoll = epoll_create1(0), ready = eventfd(1, 0), idle = eventfd(0, 0);
    struct epoll_event event = {EPOLLIN, {.u64 = 1}};
    struct pollfd entry = {idle, POLLIN, 0};
    struct timespec zero = {0, 0};
    fd_set files;
#define PENDING(wait) \
    handled = 0; \
    DO(raise(SIGUSR1)); \
    SAY(wait); \
    SAY(handled); \
    sigpending(&now); \
    SAY(sigismember(&now, SIGUSR1)); \
    sigprocmask(SIG_SETMASK, NULL, &now); \
    SAY(sigismember(&now, SIGUSR1)); \
    sigsuspend(&open)
#define PENDING_HANDLED(wait) \
    handled = 0; \
    DO(raise(SIGUSR1)); \
    SAY(wait); \
    SAY(handled); \
    sigprocmask(SIG_SETMASK, NULL, &now); \
    SAY(sigismember(&now, SIGUSR1))
    PENDING_HANDLED(ppoll(&entry, 1, NULL, &open));
    PENDING_HANDLED(ppoll(&entry, 1, &zero, &open));
    FD_ZERO(&files);
    FD_SET(idle, &files);
    PENDING_HANDLED(pselect(idle + 1, &files, NULL, NULL, NULL, &open));
    SAY(FD_ISSET(idle, &files) != 0);
    PENDING_HANDLED(pselect(idle + 1, &files, NULL, NULL, &zero, &open));
    PENDING_HANDLED(epoll_pwait(epoll, &event, 1, -1, &open));
    PENDING_HANDLED(epoll_pwait(epoll, &event, 1, 0, &open));
    PENDING_HANDLED(sigsuspend(&open));
    // A file is ready, and no signal comes: the mask is back.
    entry.fd = ready;
    SAY(ppoll(&entry, 1, NULL, &open));
    sigprocmask(SIG_SETMASK, NULL, &now);
    SAY(sigismember(&now, SIGUSR1));
    // Nor does a handler run for one that is pending, which stays.
    PENDING(ppoll(&entry, 1, NULL, &open));
    PENDING(ppoll(&entry, 1, &zero, &open));
    FD_ZERO(&files);
    FD_SET(ready, &files);
    PENDING(pselect(ready + 1, &files, NULL, NULL, NULL, &open));
    DO(epoll_ctl(epoll, EPOLL_CTL_ADD, ready, &event));
    PENDING(epoll_pwait(epoll, &event, 1, -1, &open));
    PENDING(epoll_pwait(epoll, &event, 1, 0, &open));
    SAY(syscall(SYS_ppoll, &entry, 1, NULL, &open, 4));
    SAY(syscall(SYS_epoll_pwait, epoll, &event, 1, 0, &open, 4));
    struct timespec wrong = {0, SECOND_NS};
    SAY(ppoll(&entry, 1, &wrong, NULL));
    wrong.tv_sec = -1;
    wrong.tv_nsec = 0;
    SAY(ppoll(&entry, 1, &wrong, NULL));
    SAY(pselect(0, NULL, NULL, NULL, &wrong, NULL));
    DO(sigprocmask(SIG_UNBLOCK, &set, NULL));
    close(epoll);
    close(ready);
    close(idle);
}

// Has a child send signals to this process as soon as it sleeps.
static pid_t disturb(int first, int second) {
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        until_it_sleeps(parent, parent);
        kill(parent, first);
        if (second) {
            // Not before it has stopped.
            until_it_sleeps(parent, parent);
            sleep_ms(20);
            kill(parent, second);
        }
        _exit(0);
    }
    return child;
}

static void interrupted(void) {
    printf("-- interrupted\n");
    int epoll = epoll_create1(0), idle = eventfd(0, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event event = {EPOLLIN, {.u64 = 1}};
    struct pollfd entry = {idle, POLLIN, 0};
    struct timespec time = {0, 100000000}, left;
    struct timeval patience = {1000, 0};
    fd_set files;
    sigset_t set;
    pid_t child;
    DO(epoll_ctl(epoll, EPOLL_CTL_ADD, idle, &event));
#define DISTURBED(first, second, wait) \
    child = disturb(first, second); \
    SAY(wait); \
    waitpid(child, NULL, 0)
    // With handlers.
    handle(SIGUSR1, SA_RESTART);
    DISTURBED(SIGUSR1, 0, epoll_wait(epoll, &event, 1, -1));
    DISTURBED(SIGUSR1, 0, poll(&entry, 1, -1));
    DISTURBED(SIGUSR1, 0, poll(&entry, 1, 1000000));
    FD_ZERO(&files);
    FD_SET(idle, &files);
    DISTURBED(SIGUSR1, 0, select(idle + 1, &files, NULL, NULL, &patience));
    SAY(patience.tv_sec >= 900 && patience.tv_sec < 1000);
    DISTURBED(SIGUSR1, 0, pause());
    time.tv_sec = 1000;
    DISTURBED(SIGUSR1, 0, nanosleep(&time, &left));
    SAY(left.tv_sec >= 900 && left.tv_sec <= 1000);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    DISTURBED(SIGUSR1, 0, sigtimedwait(&set, NULL, &time));
    // Stopped and continued, without a handler.
    time.tv_sec = 0;
    DISTURBED(SIGSTOP, SIGCONT, epoll_wait(epoll, &event, 1, 1000000));
    DISTURBED(SIGSTOP, SIGCONT, epoll_pwait(epoll, &event, 1, -1, &set));
    DISTURBED(SIGSTOP, SIGCONT, poll(&entry, 1, 100));
    DISTURBED(SIGSTOP, SIGCONT, ppoll(&entry, 1, &time, NULL));
    DISTURBED(SIGSTOP, SIGCONT, nanosleep(&time, NULL));
    DISTURBED(SIGSTOP, SIGCONT, sigtimedwait(&set, NULL, &time));
    // Of signals that are ignored nobody hears.
    DISTURBED(SIGURG, 0, epoll_wait(epoll, &event, 1, 100));
    DISTURBED(SIGWINCH, 0, sigtimedwait(&set, NULL, &time));
    struct itimerspec setting = every(50000000, 0);
    DO(timerfd_settime(timer, 0, &setting, NULL));
    DISTURBED(SIGSTOP, SIGCONT, take(timer));
    close(timer);
    close(idle);
    close(epoll);
}

// Timers of processor time that tick while others wait: no wait ends by that.
static volatile int stop_spinning;

static void *spin(void *unused) {
    while (!stop_spinning) {
    }
    return unused;
}

static void ticks(void) {
    printf("-- ticks\n");
    struct itimerval slow = {{0, 0}, {1000, 0}}, off = {{0, 0}, {0, 0}};
    DO(setitimer(ITIMER_PROF, &slow, NULL));
    pthread_t threads[2];
    for (int index = 0; index < 2; index++) {
        pthread_create(&threads[index], NULL, spin, NULL);
    }
    int epoll = epoll_create1(0), interruptions = 0, late = 0;
    struct epoll_event event;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    struct timespec short_time = {0, 1000000};
    struct timeval wait = {0, 1000};
    for (int round = 0; round < 100; round++) {
        interruptions += epoll_wait(epoll, &event, 1, 1) != 0;
        interruptions += poll(NULL, 0, 1) != 0;
        interruptions += sigtimedwait(&set, NULL, &short_time) != -1 || errno != EAGAIN;
        interruptions += nanosleep(&short_time, NULL) != 0;
        wait.tv_usec = 1000;
        interruptions += select(0, NULL, NULL, NULL, &wait) != 0;
        late += wait.tv_usec != 0 || wait.tv_sec != 0;
    }
    SAY(interruptions);
    SAY(late);
    stop_spinning = 1;
    for (int index = 0; index < 2; index++) {
        pthread_join(threads[index], NULL);
    }
    DO(setitimer(ITIMER_PROF, &off, NULL));
    close(epoll);
}

// An alarm is the process's: it comes though the thread that has set it has ended.
static void *set_alarm(void *signal_after_ns) {
    struct itimerval soon = {{0, 0}, {0, (long)(intptr_t)signal_after_ns / 1000}};
    DO(setitimer(ITIMER_REAL, &soon, NULL));
    return NULL;
}

static void alarms(void) {
    printf("-- alarm of a thread that has ended\n");
    pthread_t thread;
    handle(SIGALRM, 0);
    handled = 0;
    pthread_create(&thread, NULL, set_alarm, (void *)50000000);
    pthread_join(thread, NULL);
    while (!handled) {
        sleep_ms(1);
    }
    SAY(handled);
    begin();
}

// Signals of a process find the threads that are left when its first has ended.
static void *wait_for_signal(void *ready) {
    DO(write(*(int *)ready, "r", 1));
    while (!handled) {
        sleep_ms(1);
    }
    _exit(7);
}

static void first_threads(void) {
    printf("-- signal to a process whose first thread has ended\n");
    static int ready[2];
    char byte;
    DO(pipe(ready));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        handled = 0;
        handle(SIGUSR1, 0);
        pthread_t thread;
        pthread_create(&thread, NULL, wait_for_signal, &ready[1]);
        pthread_exit(NULL);
    }
    DO(read(ready[0], &byte, 1));
    // The first thread may need a moment.
    sleep_ms(50);
    SAY(kill(child, SIGUSR1));
    say_end("the others", child);
    close(ready[0]);
    close(ready[1]);
}

static void polls(void) {
    printf("-- poll and select\n");
    int pipes[2], pair[2];
    DO(pipe(pipes));
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    struct pollfd entries[4] = {{pipes[0], POLLIN, 99}, {-1, POLLIN, 99}, {999, POLLIN, 99}, {pipes[1], POLLOUT, 99}};
    SAY(poll(entries, 4, -1));
    for (int index = 0; index < 4; index++) {
        SAY(entries[index].revents);
    }
    SAY(poll(NULL, 0, 0));
    SAY(poll(nowhere, 1, 0));
    struct pollfd socket = {pair[0], POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};
#define LOOK() \
    SAY(poll(&socket, 1, 0)); \
    printf("%#x\n", socket.revents)
    LOOK();
    DO(write(pair[1], "x", 1));
    LOOK();
    DO(shutdown(pair[1], SHUT_WR));
    LOOK();
    DO(shutdown(pair[0], SHUT_WR));
    LOOK();
    socket.events = 0;
    LOOK();
    close(pair[1]);
    LOOK();
    // A hang-up that is asked for alone, and told alone.
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    socket.fd = pair[0];
    socket.events = POLLRDHUP;
    DO(write(pair[1], "x", 1));
    LOOK();
    DO(shutdown(pair[1], SHUT_WR));
    LOOK();
    entries[0].fd = pipes[1];
    entries[0].events = 0;
    close(pipes[0]);
    SAY(poll(entries, 1, 0));
    printf("%#x\n", entries[0].revents);
    int file = open(".", O_TMPFILE | O_RDWR, 0600);
    entries[0].fd = file;
    entries[0].events = POLLIN | POLLOUT | POLLPRI;
    SAY(poll(entries, 1, 0));
    printf("%#x\n", entries[0].revents);
    fd_set reads, writes, others;
    FD_ZERO(&reads);
    FD_ZERO(&writes);
    FD_ZERO(&others);
    FD_SET(pair[0], &reads);
    FD_SET(pair[0], &writes);
    FD_SET(pair[0], &others);
    FD_SET(file, &reads);
    FD_SET(file, &others);
    struct timeval none = {0, 0}, wrong = {-1, 0};
    SAY(select(64, &reads, &writes, &others, &none));
    SAY(FD_ISSET(pair[0], &reads) != 0);
    SAY(FD_ISSET(pair[0], &writes) != 0);
    SAY(FD_ISSET(pair[0], &others) != 0);
    SAY(FD_ISSET(file, &reads) != 0);
    SAY(FD_ISSET(file, &others) != 0);
    SAY(select(-1, NULL, NULL, NULL, &none));
    SAY(select(0, NULL, NULL, NULL, &wrong));
    FD_SET(63, &reads);
    SAY(select(64, &reads, NULL, NULL, &none));
    none.tv_usec = 2000000;
    SAY(select(0, NULL, NULL, NULL, &none) == 0 && none.tv_sec == 0);
    close(file);
    close(pair[0]);
    close(pair[1]);
    close(pipes[1]);
}

int main(void) {
    begin();
    timers(CLOCK_MONOTONIC);
    timers(CLOCK_REALTIME);
    timers(CLOCK_BOOTTIME);
    timer_edges();
    signals();
    masks();
    interrupted();
    ticks();
    alarms();
    first_threads();
    polls();
    return 0;
}
