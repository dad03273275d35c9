// The stack grows page by page and by leaps, within its limit and not beyond; on an alternate stack the overflow can be survived.
#define _GNU_SOURCE
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static sigjmp_buf place;

static void leave(int signal) {
    siglongjmp(place, signal);
}

static int __attribute__((noinline)) recurse(int depth) {
    volatile char filler[1000];
    filler[0] = (char)depth;
    return depth == 0 ? 0 : recurse(depth - 1) + (filler[0] == (char)depth);
}

int main(void) {
    for (size_t bytes = 1000; bytes < 6000000; bytes *= 3) {
        volatile char *memory = alloca(bytes);
        // The far end first: a leap over pages that are not there yet.
        memory[0] = 1;
        memory[bytes - 1] = 2;
        if (bytes * 3 >= 4000000) {
            break;
        }
    }
    printf("leapt\n");
    printf("recursed %d\n", recurse(3000));
    static char other[65536];
    stack_t stack = {.ss_sp = other, .ss_size = sizeof other};
    sigaltstack(&stack, NULL);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = leave;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGSEGV, &action, NULL);
    int overflows = 0;
    for (int round = 0; round < 3; round++) {
        if (sigsetjmp(place, 1) == 0) {
            recurse(100000);
        } else {
            overflows++;
        }
    }
    printf("overflows %d\n", overflows);
    return 0;
}
