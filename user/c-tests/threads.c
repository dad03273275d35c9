// POSIX threads beyond Rust's: cancellation, robust and shared mutexes, conditions with a deadline, keys with destructors, atfork.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int cleaned;

static void clean(void *unused) {
    (void)unused;
    cleaned++;
}

static void *sleep_for_ever(void *unused) {
    (void)unused;
    pthread_cleanup_push(clean, NULL);
    for (;;) {
        pause();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void *compute_for_ever(void *unused) {
    (void)unused;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    for (;;) {
    }
    return NULL;
}

static void *take_and_die(void *lock) {
    pthread_mutex_lock(lock);
    return NULL;
}

static void *do_nothing(void *unused) {
    return unused;
}

struct shared {
    pthread_mutex_t lock;
    pthread_mutex_t robust;
    pthread_barrier_t barrier;
    sem_t semaphore;
    int count;
};

int main(void) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, sleep_for_ever, NULL);
    usleep(20000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("cancelled asleep %d, cleaned %d\n", result == PTHREAD_CANCELED, cleaned);
    pthread_create(&thread, NULL, compute_for_ever, NULL);
    usleep(20000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("cancelled at work %d\n", result == PTHREAD_CANCELED);

    // Some end before who makes them has gone on.
    int joined = 0;
    for (int count = 0; count < 500; count++) {
        pthread_create(&thread, NULL, do_nothing, NULL);
        joined += pthread_join(thread, NULL) == 0;
    }
    printf("joined %d\n", joined);

    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->lock, &attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&shared->robust, &attributes);
    sem_init(&shared->semaphore, 1, 0);
    pthread_create(&thread, NULL, take_and_die, &shared->robust);
    pthread_join(thread, NULL);
    printf("lock of a dead thread: %s\n", strerror(pthread_mutex_lock(&shared->robust)));
    pthread_mutex_consistent(&shared->robust);
    pthread_mutex_unlock(&shared->robust);
    if (fork() == 0) {
        pthread_mutex_lock(&shared->robust);
        _exit(0);
    }
    wait(NULL);
    printf("lock of a dead process: %s\n", strerror(pthread_mutex_lock(&shared->robust)));
    pthread_mutex_unlock(&shared->robust);
    printf("never made consistent: %s\n", strerror(pthread_mutex_lock(&shared->robust)));

    for (int child = 0; child < 4; child++) {
        if (fork() == 0) {
            for (int round = 0; round < 2000; round++) {
                pthread_mutex_lock(&shared->lock);
                shared->count++;
                pthread_mutex_unlock(&shared->lock);
            }
            sem_post(&shared->semaphore);
            _exit(0);
        }
    }
    for (int child = 0; child < 4; child++) {
        sem_wait(&shared->semaphore);
        wait(NULL);
    }
    printf("counted %d\n", shared->count);

    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000) {
        soon.tv_nsec -= 1000000000;
        soon.tv_sec++;
    }
    pthread_mutex_lock(&lock);
    printf("condition: %s\n", strerror(pthread_cond_timedwait(&condition, &lock, &soon)));
    printf("again: %s\n", strerror(pthread_mutex_trylock(&lock)));
    pthread_mutex_unlock(&lock);
    return 0;
}
