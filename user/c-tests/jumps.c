// Jumps out of handlers: siglongjmp(3) restores the mask, longjmp(3) does not, and a fault can be left that way again and again.
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static sigjmp_buf place;
static volatile int count;

static void leave(int signal) {
    siglongjmp(place, signal);
}

static int is_blocked(int signal) {
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    return sigismember(&set, signal);
}

int main(void) {
    signal(SIGSEGV, leave);
    signal(SIGUSR1, leave);
    signal(SIGFPE, leave);
    for (count = 0; count < 100;) {
        if (sigsetjmp(place, 1) == 0) {
            *(volatile char *)8 = 1;
        } else {
            count++;
        }
    }
    printf("left %d faults, blocked %d\n", count, is_blocked(SIGSEGV));
    int signal = sigsetjmp(place, 1);
    if (signal == 0) {
        kill(getpid(), SIGUSR1);
    }
    printf("came by %d, blocked %d\n", signal == SIGUSR1, is_blocked(SIGUSR1));
    if (sigsetjmp(place, 0) == 0) {
        kill(getpid(), SIGUSR1);
    }
    printf("without the mask, blocked %d\n", is_blocked(SIGUSR1));
    volatile int zero = 0;
    volatile int result = 5;
    if (sigsetjmp(place, 1) == 0) {
        result = 100 / zero;
    }
    printf("after a division %d\n", result);
    return 0;
}
