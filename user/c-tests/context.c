// A handler changes the registers with which the program goes on.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ucontext.h>
#include <unistd.h>

static volatile int handled;

static void skip(int signal, siginfo_t *info, void *context) {
    (void)info;
    ucontext_t *state = context;
    handled = signal;
    // ud2 has two bytes.
    state->uc_mcontext.gregs[REG_RIP] += 2;
    state->uc_mcontext.gregs[REG_RAX] = 1234;
    // The mask with which the program goes on.
    sigaddset(&state->uc_sigmask, SIGUSR2);
}

static void spoil(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    ucontext_t *state = context;
    // The sign of the number in XMM3.
    state->uc_mcontext.fpregs->_xmm[3].element[1] ^= 0x80000000u;
}

static void break_selectors(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    ucontext_t *state = context;
    // Flags that no program may set are left out.
    state->uc_mcontext.gregs[REG_EFL] |= 0x3000 | 0x20000 | 0x80000;
}

int main(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = skip;
    sigaction(SIGILL, &action, NULL);
    long value;
    __asm__ volatile("ud2" : "=a"(value) : "a"(1L) : "memory");
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    printf("handled %d, value %ld, blocked %d\n", handled == SIGILL, value, sigismember(&set, SIGUSR2));

    action.sa_sigaction = spoil;
    sigaction(SIGUSR1, &action, NULL);
    double number = 42.5, result = 0;
    long call = 39; // getpid, so that the register is not the compiler's between
    long process;
    __asm__ volatile("syscall" : "=a"(process) : "a"(call) : "rcx", "r11", "memory");
    __asm__ volatile("movsd %2, %%xmm3\n\tmov $62, %%eax\n\tsyscall\n\tmovsd %%xmm3, %0"
                     : "=m"(result)
                     : "D"(process), "m"(number), "S"((long)SIGUSR1)
                     : "rax", "rcx", "r11", "xmm3", "memory");
    printf("number %.1f\n", result);

    action.sa_sigaction = break_selectors;
    sigaction(SIGUSR1, &action, NULL);
    kill(getpid(), SIGUSR1);
    unsigned long flags;
    __asm__ volatile("pushfq\n\tpop %0" : "=r"(flags));
    printf("forbidden flags %lx\n", flags & (0x3000 | 0x20000 | 0x80000));
    return 0;
}
