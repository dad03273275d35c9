// Signals that are still pending when threads and processes end: they count for RLIMIT_SIGPENDING no more.
#include "say.h"
#include <sys/resource.h>

enum { LIMIT = 200, EACH = 50, ROUNDS = 20 };

// Queues what nobody takes, for the thread or its process; how many were refused.
static int queue(pid_t thread) {
    int refused = 0;
    for (int i = 0; i < EACH; i++) {
        siginfo_t info = {.si_signo = SIGRTMIN, .si_code = SI_QUEUE};
        info.si_pid = getpid();
        long result = thread ? syscall(SYS_rt_tgsigqueueinfo, getpid(), thread, SIGRTMIN, &info)
                             : syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, &info);
        refused += result != 0;
    }
    return refused;
}

static void *queue_for_itself(void *refused) {
    *(int *)refused += queue(syscall(SYS_gettid));
    return NULL;
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGALRM, hangs);
    alarm(60);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN);
    DO(sigprocmask(SIG_BLOCK, &blocked, NULL));
    struct rlimit limit = {LIMIT, LIMIT};
    DO(setrlimit(RLIMIT_SIGPENDING, &limit));
    int refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        pthread_create(&thread, NULL, queue_for_itself, &refused);
        pthread_join(thread, NULL);
    }
    printf("of threads that have ended: %d refused\n", refused);
    refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t child = fork();
        if (child == 0) {
            _exit(queue(round % 2 ? getpid() : 0));
        }
        int status;
        DO(waitpid(child, &status, 0));
        refused += WEXITSTATUS(status);
    }
    printf("of processes that have ended: %d refused\n", refused);
    for (int round = 0; round < ROUNDS; round++) {
        refused += queue(0);
    }
    printf("of one that lives, some are: %d\n", refused > 0 && refused < ROUNDS * EACH);
    return 0;
}
