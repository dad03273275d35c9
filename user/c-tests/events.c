// eventfd(2), epoll(7), timerfd_create(2), signalfd(2), poll(2), select(2).
#include "say.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static long add(int counter, uint64_t count) { return write(counter, &count, sizeof count); }

static long take(int counter) {
    uint64_t count = 0;
    return read(counter, &count, sizeof count) == sizeof count ? (long)count : -1;
}

static int watch(int epoll, int operation, int file, uint32_t events, uint64_t data) {
    struct epoll_event event = {events, {.u64 = data}};
    return epoll_ctl(epoll, operation, file, &event);
}

static int by_data(const void *one, const void *other) {
    const struct epoll_event *a = one, *b = other;
    return (a->data.u64 > b->data.u64) - (a->data.u64 < b->data.u64);
}

// Prints what an epoll tells, by its data.
static void told(const char *what, int epoll, int milliseconds) {
    struct epoll_event events[8];
    errno = 0;
    int count = epoll_wait(epoll, events, 8, milliseconds);
    printf("%s:", what);
    if (count < 0) {
        printf(" %s", error_name(errno));
    }
    if (count > 1) {
        qsort(events, count, sizeof *events, by_data);
    }
    for (int index = 0; index < count; index++) {
        printf(" %d=%#x", (int)events[index].data.u64, events[index].events);
    }
    printf("%s\n", count ? "" : " nothing");
}

static void counters(void) {
    printf("-- counters\n");
    int counter = eventfd(3, EFD_NONBLOCK);
    char bytes[16];
    SAY(take(counter));
    SAY(take(counter));
    SAY(add(counter, 5));
    SAY(write(counter, bytes, 7));
    SAY(read(counter, bytes, 7));
    SAY(read(counter, bytes, 16));
    SAY(add(counter, UINT64_MAX));
    SAY(add(counter, UINT64_MAX - 1));
    SAY(add(counter, 1));
    struct pollfd entry = {counter, POLLIN | POLLOUT, 0};
    SAY(poll(&entry, 1, 0));
    SAY(entry.revents);
    SAY(take(counter) == -2);
    SAY(pread(counter, bytes, 8, 0));
    SAY(lseek(counter, 0, SEEK_SET));
    int semaphore = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    SAY(take(semaphore));
    SAY(take(semaphore));
    SAY(take(semaphore));
    SAY(eventfd(0, 0x40));
    close(counter);
    close(semaphore);
}

static int shared_counter, sum, taken, epoll_of_all;
static pid_t sleeper;

static void *take_one(void *unused) {
    __atomic_fetch_add(&sum, (int)take(shared_counter), __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&taken, 1, __ATOMIC_SEQ_CST);
    return unused;
}

// Each write is for one of four readers, who all wait.
static void readers(int flags) {
    printf("-- readers %d\n", flags);
    shared_counter = eventfd(0, flags);
    sum = taken = 0;
    pthread_t threads[4];
    for (int index = 0; index < 4; index++) {
        pthread_create(&threads[index], NULL, take_one, NULL);
    }
    for (int index = 1; index <= 4; index++) {
        DO(add(shared_counter, 1));
        while (__atomic_load_n(&taken, __ATOMIC_SEQ_CST) < index) {
            sleep_ms(1);
        }
        SAY(taken);
    }
    for (int index = 0; index < 4; index++) {
        pthread_join(threads[index], NULL);
    }
    SAY(sum);
    close(shared_counter);
}

static void interest(void) {
    printf("-- interest list\n");
    SAY(epoll_create(0));
    SAY(epoll_create1(1));
    int epoll = epoll_create1(EPOLL_CLOEXEC), counter = eventfd(0, EFD_NONBLOCK), file = open(".", O_TMPFILE | O_RDWR, 0600);
    struct epoll_event event;
    char byte;
    SAY(fcntl(epoll, F_GETFD));
    SAY(read(epoll, &byte, 1));
    SAY(write(epoll, &byte, 1));
    SAY(watch(epoll, EPOLL_CTL_ADD, counter, EPOLLIN, 1));
    SAY(watch(epoll, EPOLL_CTL_ADD, counter, EPOLLIN, 1));
    SAY(watch(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN, 1));
    SAY(watch(counter, EPOLL_CTL_ADD, epoll, EPOLLIN, 1));
    SAY(watch(epoll, EPOLL_CTL_ADD, file, EPOLLIN, 1));
    SAY(watch(epoll, EPOLL_CTL_ADD, 999, EPOLLIN, 1));
    SAY(watch(999, EPOLL_CTL_ADD, counter, EPOLLIN, 1));
    SAY(watch(epoll, 9, counter, EPOLLIN, 1));
    SAY(epoll_ctl(epoll, EPOLL_CTL_ADD, 0, NULL));
    SAY(epoll_wait(epoll, &event, 0, 0));
    SAY(epoll_wait(epoll, &event, minus_one, 0));
    SAY(epoll_wait(counter, &event, 1, 0));
    SAY(epoll_wait(999, &event, 1, 0));
    told("idle", epoll, 0);
    DO(add(counter, 1));
    SAY(epoll_wait(epoll, nowhere, 1, 0));
    told("level", epoll, -1);
    told("level", epoll, 0);
    SAY(watch(epoll, EPOLL_CTL_MOD, counter, EPOLLOUT, 2));
    told("modified", epoll, 0);
    SAY(watch(epoll, EPOLL_CTL_MOD, counter, 0, 3));
    told("for nothing", epoll, 0);
    SAY(epoll_ctl(epoll, EPOLL_CTL_DEL, counter, NULL));
    SAY(epoll_ctl(epoll, EPOLL_CTL_DEL, counter, NULL));
    SAY(watch(epoll, EPOLL_CTL_MOD, counter, EPOLLIN, 1));
    told("removed", epoll, 0);
    close(file);
    close(counter);
    close(epoll);
}

static void edges(void) {
    printf("-- edges\n");
    int epoll = epoll_create1(0), pipes[2];
    char bytes[8];
    DO(pipe2(pipes, O_NONBLOCK));
    DO(watch(epoll, EPOLL_CTL_ADD, pipes[0], EPOLLIN | EPOLLET, 1));
    told("empty", epoll, 0);
    DO(write(pipes[1], "a", 1));
    told("first", epoll, 0);
    told("again", epoll, 0);
    DO(write(pipes[1], "b", 1));
    told("more, still readable", epoll, 0);
    DO(read(pipes[0], bytes, 1));
    told("read some", epoll, 0);
    DO(write(pipes[1], "c", 1));
    DO(write(pipes[1], "d", 1));
    told("two writes", epoll, 0);
    told("again", epoll, 0);
    DO(read(pipes[0], bytes, 8));
    DO(write(pipes[1], "e", 1));
    DO(read(pipes[0], bytes, 8));
    told("written and read", epoll, 0);
    DO(write(pipes[1], "f", 1));
    SAY(watch(epoll, EPOLL_CTL_MOD, pipes[0], EPOLLIN | EPOLLET, 2));
    told("modified while readable", epoll, 0);
    told("again", epoll, 0);
    DO(watch(epoll, EPOLL_CTL_ADD, pipes[1], EPOLLOUT | EPOLLET, 3));
    told("writable", epoll, 0);
    told("again", epoll, 0);
    close(pipes[1]);
    told("hung up", epoll, 0);
    told("again", epoll, 0);
    close(pipes[0]);
    int counter = eventfd(0, EFD_NONBLOCK);
    DO(watch(epoll, EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLET, 4));
    DO(add(counter, 1));
    told("counter", epoll, 0);
    DO(add(counter, 1));
    told("counter again", epoll, 0);
    DO(take(counter));
    told("counter taken", epoll, 0);
    close(counter);
    int pair[2];
    DO(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    DO(watch(epoll, EPOLL_CTL_ADD, pair[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 5));
    told("socket", epoll, 0);
    told("again", epoll, 0);
    DO(write(pair[1], "a", 1));
    told("socket readable", epoll, 0);
    DO(write(pair[1], "a", 1));
    told("socket, more", epoll, 0);
    DO(shutdown(pair[1], SHUT_WR));
    told("socket shut", epoll, 0);
    close(pair[1]);
    told("socket closed", epoll, 0);
    close(pair[0]);
    close(epoll);
}

static void one_shot(void) {
    printf("-- one shot\n");
    int epoll = epoll_create1(0), counter = eventfd(1, EFD_NONBLOCK);
    DO(watch(epoll, EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLONESHOT, 1));
    told("first", epoll, 0);
    told("second", epoll, 0);
    DO(add(counter, 1));
    told("after another write", epoll, 0);
    DO(watch(epoll, EPOLL_CTL_MOD, counter, EPOLLIN | EPOLLONESHOT, 2));
    told("armed again", epoll, 0);
    told("and off", epoll, 0);
    close(counter);
    SAY(watch(epoll, EPOLL_CTL_MOD, counter, EPOLLIN, 1));
    close(epoll);
}

// Takes events until there is one of number 99; each is worked on by one thread only.
static int at_work, most_at_work, handled;

static void *work(void *unused) {
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll_of_all, &event, 1, -1) != 1 || event.data.u64 == 99) {
            return unused;
        }
        int now = __atomic_add_fetch(&at_work, 1, __ATOMIC_SEQ_CST);
        if (now > most_at_work) {
            most_at_work = now;
        }
        if (take(shared_counter) == 1) {
            __atomic_fetch_add(&handled, 1, __ATOMIC_SEQ_CST);
        }
        __atomic_fetch_sub(&at_work, 1, __ATOMIC_SEQ_CST);
        DO(watch(epoll_of_all, EPOLL_CTL_MOD, shared_counter, EPOLLIN | EPOLLONESHOT, 1));
    }
}

static void one_shot_threads(void) {
    printf("-- one shot, threads\n");
    epoll_of_all = epoll_create1(0);
    shared_counter = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
    at_work = most_at_work = handled = 0;
    DO(watch(epoll_of_all, EPOLL_CTL_ADD, shared_counter, EPOLLIN | EPOLLONESHOT, 1));
    pthread_t threads[4];
    for (int index = 0; index < 4; index++) {
        pthread_create(&threads[index], NULL, work, NULL);
    }
    for (int index = 0; index < 1000; index++) {
        DO(add(shared_counter, 1));
    }
    while (__atomic_load_n(&handled, __ATOMIC_SEQ_CST) < 1000) {
        sleep_ms(1);
    }
    SAY(most_at_work);
    SAY(handled);
    int stop = eventfd(1, 0);
    DO(watch(epoll_of_all, EPOLL_CTL_ADD, stop, EPOLLIN, 99));
    for (int index = 0; index < 4; index++) {
        pthread_join(threads[index], NULL);
    }
    close(stop);
    close(shared_counter);
    close(epoll_of_all);
}

// Threads that each watch the same pipe by an epoll of their own, exclusively: nobody misses anything.
static void *wait_alone(void *unused) {
    int epoll = epoll_create1(0);
    struct epoll_event event;
    DO(watch(epoll, EPOLL_CTL_ADD, shared_counter, EPOLLIN | EPOLLEXCLUSIVE, 1));
    for (;;) {
        if (epoll_wait(epoll, &event, 1, -1) != 1) {
            printf("an exclusive wait fails\n");
        }
        long got = take(shared_counter);
        if (got == 1 && __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST) > 1000) {
            break;
        }
    }
    close(epoll);
    // Each that ends lets the next end.
    DO(add(shared_counter, 1));
    return unused;
}

static void exclusive(void) {
    printf("-- exclusive\n");
    shared_counter = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
    handled = 0;
    pthread_t threads[4];
    for (int index = 0; index < 4; index++) {
        pthread_create(&threads[index], NULL, wait_alone, NULL);
    }
    for (int index = 0; index < 1000; index++) {
        DO(add(shared_counter, 1));
    }
    while (__atomic_load_n(&handled, __ATOMIC_SEQ_CST) < 1000) {
        sleep_ms(1);
    }
    DO(add(shared_counter, 1));
    for (int index = 0; index < 4; index++) {
        pthread_join(threads[index], NULL);
    }
    printf("all woke\n");
    int epoll = epoll_create1(0), inner = epoll_create1(0);
    SAY(watch(epoll, EPOLL_CTL_ADD, shared_counter, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 1));
    SAY(watch(epoll, EPOLL_CTL_ADD, shared_counter, EPOLLIN | EPOLLRDHUP | EPOLLEXCLUSIVE, 1));
    SAY(watch(epoll, EPOLL_CTL_ADD, inner, EPOLLIN | EPOLLEXCLUSIVE, 1));
    SAY(watch(epoll, EPOLL_CTL_ADD, shared_counter, EPOLLIN | EPOLLOUT | EPOLLET | EPOLLEXCLUSIVE, 1));
    SAY(watch(epoll, EPOLL_CTL_MOD, shared_counter, EPOLLIN, 1));
    close(inner);
    close(epoll);
    close(shared_counter);
}

static void nested(void) {
    printf("-- nested\n");
    int outer = epoll_create1(0), inner = epoll_create1(0), counter = eventfd(0, EFD_NONBLOCK);
    DO(watch(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 1));
    DO(watch(inner, EPOLL_CTL_ADD, counter, EPOLLIN, 2));
    told("outer", outer, 0);
    DO(add(counter, 1));
    told("outer", outer, 0);
    told("outer again", outer, 0);
    struct pollfd entry = {outer, POLLIN | POLLOUT, 0};
    SAY(poll(&entry, 1, 0));
    SAY(entry.revents);
    told("inner", inner, 0);
    DO(take(counter));
    told("outer after it was taken", outer, 0);
    DO(watch(inner, EPOLL_CTL_MOD, counter, EPOLLIN | EPOLLET, 2));
    DO(watch(outer, EPOLL_CTL_MOD, inner, EPOLLIN | EPOLLET, 1));
    DO(add(counter, 1));
    told("outer by edges", outer, 0);
    told("outer again", outer, 0);
    told("inner by edges", inner, 0);
    told("inner again", inner, 0);
    DO(add(counter, 1));
    told("outer, another", outer, 0);
    SAY(watch(inner, EPOLL_CTL_ADD, outer, EPOLLIN, 3));
    SAY(watch(inner, EPOLL_CTL_ADD, inner, EPOLLIN, 3));
    int chain[8];
    for (int index = 0; index < 8; index++) {
        chain[index] = epoll_create1(0);
    }
    for (int index = 1; index < 8; index++) {
        SAY(watch(chain[index], EPOLL_CTL_ADD, chain[index - 1], EPOLLIN, index));
    }
    for (int index = 0; index < 8; index++) {
        close(chain[index]);
    }
    close(inner);
    told("inner closed", outer, 0);
    close(outer);
    close(counter);
}

static void *wait_long(void *epoll) {
    struct epoll_event event;
    __atomic_store_n(&sleeper, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    int count = epoll_wait((int)(intptr_t)epoll, &event, 1, -1);
    printf("the sleeper has %d: %d\n", count, count == 1 ? (int)event.data.u64 : 0);
    return NULL;
}

static pthread_t start_sleeper(int epoll) {
    pthread_t thread;
    sleeper = 0;
    pthread_create(&thread, NULL, wait_long, (void *)(intptr_t)epoll);
    while (__atomic_load_n(&sleeper, __ATOMIC_SEQ_CST) == 0) {
        sleep_ms(1);
    }
    until_it_sleeps(getpid(), sleeper);
    return thread;
}

static void closing(void) {
    printf("-- closing\n");
    int epoll = epoll_create1(0), counter = eventfd(0, EFD_NONBLOCK);
    int copy = dup(counter);
    DO(watch(epoll, EPOLL_CTL_ADD, counter, EPOLLIN, 1));
    DO(watch(epoll, EPOLL_CTL_ADD, copy, EPOLLIN, 2));
    DO(add(counter, 1));
    told("both", epoll, 0);
    close(counter);
    told("one closed", epoll, 0);
    SAY(epoll_ctl(epoll, EPOLL_CTL_DEL, counter, NULL));
    int other = eventfd(0, EFD_NONBLOCK);
    SAY(other == counter);
    SAY(watch(epoll, EPOLL_CTL_ADD, other, EPOLLIN, 3));
    told("number reused", epoll, 0);
    DO(add(other, 1));
    told("three", epoll, 0);
    close(copy);
    told("all copies closed", epoll, 0);
    // An epoll that is closed while somebody waits in it works until he is back.
    DO(take(other));
    pthread_t thread = start_sleeper(epoll);
    int second = eventfd(0, EFD_NONBLOCK);
    DO(watch(epoll, EPOLL_CTL_ADD, second, EPOLLIN, 4));
    close(epoll);
    DO(add(second, 1));
    pthread_join(thread, NULL);
    // A descriptor that is watched is closed while somebody waits.
    epoll = epoll_create1(0);
    DO(watch(epoll, EPOLL_CTL_ADD, other, EPOLLIN, 5));
    DO(watch(epoll, EPOLL_CTL_ADD, second, EPOLLIN, 6));
    DO(take(second));
    thread = start_sleeper(epoll);
    close(other);
    DO(add(second, 1));
    pthread_join(thread, NULL);
    close(second);
    told("nothing is left", epoll, 0);
    close(epoll);
}

int main(void) {
    begin();
    counters();
    readers(0);
    readers(EFD_SEMAPHORE);
    interest();
    edges();
    one_shot();
    one_shot_threads();
    exclusive();
    nested();
    closing();
    return 0;
}
