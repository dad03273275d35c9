// What a program finds in /proc of itself and its children: lines that are the same on Linux and on Eres. With arguments it does
// one thing for tests/machine/procfs.rs instead: see `modes`.

#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "names.h"

static char text[1 << 20];

static void fail(const char *what) {
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

// Prints bytes with those that are not shown as escapes.
static void show(const char *what, const char *bytes, ssize_t count) {
    printf("%s: ", what);
    if (count < 0) {
        printf("%s\n", strerror(errno));
        return;
    }
    for (ssize_t index = 0; index < count; index++) {
        unsigned char byte = bytes[index];
        if (isprint(byte) && byte != '\\')
            putchar(byte);
        else
            printf("\\x%02x", byte);
    }
    putchar('\n');
}

// Reads on to the end; the bytes, or -1.
static ssize_t rest(int file, char *into, size_t piece) {
    ssize_t count, all = 0;
    while ((count = read(file, into + all, piece)) > 0)
        all += count;
    return count < 0 ? -1 : all;
}

static ssize_t whole(const char *path) {
    int file = open(path, O_RDONLY);
    if (file < 0)
        return -1;
    ssize_t count = rest(file, text, 4096);
    int error = errno;
    close(file);
    errno = error;
    text[count < 0 ? 0 : count] = 0;
    return count;
}

static const char *of_process(int process, const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "/proc/%d/%s", process, name);
    return path;
}

// Entries of a directory but `.` and `..`, or -1.
static int entries(const char *path) {
    DIR *directory = opendir(path);
    if (!directory)
        return -1;
    int count = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    int error = errno;
    closedir(directory);
    errno = error;
    return error ? -1 : count;
}

// The rest of the line of `text` that begins with `start`.
static void show_line(const char *start) {
    char *line = strstr(text, start);
    if (line)
        show("line", line, strcspn(line, "\n"));
    else
        printf("no line %s\n", start);
}

static void fields(void) {
    if (whole("/proc/self/stat") < 0)
        fail("stat");
    char *after = strrchr(text, ')');
    char state;
    int parent, group, session, count = 2;
    sscanf(after, ") %c %d %d %d", &state, &parent, &group, &session);
    for (char *at = after; (at = strchr(at, ' ')); at++)
        count++;
    printf("stat: %d fields, number %d, state %c, parent %d, group %d, session %d\n", count, atoi(text) == getpid(), state,
           parent == getppid(), group == getpgrp(), session == getsid(0));
}

static void names(void) {
    prctl(PR_SET_NAME, "a b) R\n\\c");
    show("comm", text, whole("/proc/self/comm"));
    whole("/proc/self/stat");
    char *start = strchr(text, '('), *end = strrchr(text, ')');
    show("in stat", start, end - start + 1);
    whole("/proc/self/status");
    show_line("Name:");
    int file = open("/proc/self/comm", O_WRONLY);
    printf("written: %zd\n", write(file, "longer than fifteen bytes\nno", 28));
    close(file);
    show("comm", text, whole("/proc/self/comm"));
}

// The same in a program that was started with odd arguments.
static void arguments(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char *arguments[] = {"pro c", "show", "x  y\n", "", "\\", NULL}, *environment[] = {"A=1 2", "B=\n", NULL};
        execve("/proc/self/exe", arguments, environment);
        fail("execve");
    }
    waitpid(child, NULL, 0);
}

static void show_itself(void) {
    show("cmdline", text, whole("/proc/self/cmdline"));
    show("environ", text, whole("/proc/self/environ"));
    show("comm", text, whole("/proc/self/comm"));
}

static void positions(void) {
    static char small[1 << 20];
    for (int index = 0; index < 3; index++) {
        const char *path = (const char *[]){"/proc/self/maps", "/proc/version", "/proc/self/limits"}[index];
        ssize_t count = whole(path);
        int file = open(path, O_RDONLY);
        ssize_t by_one = rest(file, small, 1);
        printf("by one: %d\n", by_one == count && !memcmp(small, text, count));
        printf("pread: %d\n", pread(file, small, 5, 7) == 5 && !memcmp(small, text + 7, 5));
        printf("lseek: %ld\n", (long)lseek(file, 3, SEEK_SET));
        printf("read there: %d\n", read(file, small, 4) == 4 && !memcmp(small, text + 3, 4));
        printf("and on: %ld\n", (long)lseek(file, 0, SEEK_CUR));
        printf("beyond: %zd %zd\n", pread(file, small, 5, count), pread(file, small, 5, count + 100000));
        printf("write: %zd", write(file, "x", 1));
        printf(" %s\n", strerror(errno));
        close(file);
    }
}

static void descriptors(void) {
    struct stat status;
    struct rlimit limit;
    int ends[2];
    char link[64], target[256], wanted[64];
    if (pipe(ends) || fstat(ends[0], &status))
        fail("pipe");
    snprintf(wanted, sizeof wanted, "pipe:[%lu]", (unsigned long)status.st_ino);
    for (int side = 0; side < 2; side++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", ends[side]);
        ssize_t count = readlink(link, target, sizeof target - 1);
        target[count] = 0;
        lstat(link, &status);
        printf("pipe: %d, mode %o, size %ld\n", !strcmp(target, wanted), status.st_mode, (long)status.st_size);
    }
    int again = open("/proc/self/fd/4", O_WRONLY | O_NONBLOCK);
    printf("opened again: %d\n", again >= 0 || ends[1] != 4);
    if (again >= 0)
        close(again);
    int file = open("/tmp/procfs gone", O_RDWR | O_CREAT, 0600);
    unlink("/tmp/procfs gone");
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    show("unlinked", target, readlink(link, target, sizeof target));
    printf("opened again: %d\n", open(link, O_RDONLY) >= 0);
    snprintf(link, sizeof link, "/proc/self/fdinfo/%d", file);
    lseek(file, 42, SEEK_SET);
    whole(link);
    show_line("pos:");
    show_line("flags:");
    int before = entries("/proc/self/fd");
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 5000 ? limit.rlim_max : 5000;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int index = 0; index < 900; index++)
        if (dup(ends[0]) < 0)
            fail("dup");
    printf("more: %d, as texts %d\n", entries("/proc/self/fd") - before, entries("/proc/self/fdinfo") - before);
    syscall(SYS_close_range, ends[0], ~0U, 0);
    printf("fewer: %d\n", entries("/proc/self/fd") < before);
}

static void *wait_long(void *barrier) {
    prctl(PR_SET_NAME, "thread");
    pthread_barrier_wait(barrier);
    pause();
    return NULL;
}

static void threads(void) {
    enum { COUNT = 7 };
    pthread_barrier_t barrier;
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, COUNT + 1);
    for (int index = 0; index < COUNT; index++)
        pthread_create(&thread, NULL, wait_long, &barrier);
    pthread_barrier_wait(&barrier);
    int named = 0, ids = 0, reachable = 0, count = 0;
    DIR *directory = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!isdigit(entry->d_name[0]))
            continue;
        count++;
        char path[300];
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        whole(path);
        named += !strcmp(text, "thread\n");
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        whole(path);
        ids += atoi(text) == atoi(entry->d_name);
        snprintf(path, sizeof path, "/proc/%s/status", entry->d_name);
        if (whole(path) > 0) {
            char *process = strstr(text, "\nTgid:\t");
            reachable += process && atoi(process + 7) == getpid();
        }
    }
    closedir(directory);
    printf("threads: %d, %d named, %d with their numbers, %d reachable\n", count, named, ids, reachable);
    whole("/proc/self/status");
    show_line("Threads:");
    char target[64], own[64];
    snprintf(own, sizeof own, "%d/task/%d", getpid(), (int)syscall(SYS_gettid));
    target[readlink("/proc/thread-self", target, 63)] = 0;
    printf("thread-self: %d\n", !strcmp(target, own));
}

static void memory(void) {
    char own[256], line[1024];
    own[readlink("/proc/self/exe", own, 255)] = 0;
    int file = open("/tmp/procfs\nmapped", O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, 4096))
        fail("file");
    void *place = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
    free(malloc(10));
    int code = 0, heap = 0, stack = 0, vdso = 0, mapped = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps)) {
        line[strcspn(line, "\n")] = 0;
        unsigned long start = strtoul(line, NULL, 16), end = strtoul(strchr(line, '-') + 1, NULL, 16);
        unsigned long there = (unsigned long)memory, local = (unsigned long)&line;
        code += strstr(line, " r-xp ") && strstr(line, own) && start <= there && there < end;
        heap += strstr(line, " rw-p ") && strstr(line, "[heap]") && end == (unsigned long)sbrk(0);
        stack += strstr(line, " rw-p ") && strstr(line, "[stack]") && start <= local && local < end;
        vdso += strstr(line, " r-xp ") && strstr(line, "[vdso]");
        mapped += strstr(line, " r--s ") && strstr(line, "/tmp/procfs\\012mapped") && start == (unsigned long)place;
    }
    fclose(maps);
    unlink("/tmp/procfs\nmapped");
    printf("maps: code %d, heap %d, stack %d, vdso %d, mapped %d\n", code, heap, stack, vdso, mapped);
    unsigned long words[64];
    int vector = open("/proc/self/auxv", O_RDONLY);
    ssize_t count = read(vector, words, sizeof words) / 16;
    for (ssize_t index = 0; index < count; index++)
        if (words[2 * index] == 6)
            printf("page size: %lu\n", words[2 * index + 1]);
}

static const char *const ABOUT[] = {"stat", "status", "statm", "cmdline", "comm", "maps", "limits", "oom_score_adj"};
enum { ABOUTS = sizeof ABOUT / sizeof *ABOUT };

static void endings(void) {
    int gate[2], files[ABOUTS], directory;
    char target[256], byte;
    if (pipe(gate))
        fail("pipe");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(gate[1]);
        _exit(read(gate[0], &byte, 1) + 7);
    }
    for (int index = 0; index < ABOUTS; index++)
        files[index] = open(of_process(child, ABOUT[index]), O_RDONLY);
    directory = open(of_process(child, ""), O_RDONLY | O_DIRECTORY);
    close(gate[1]);
    siginfo_t info;
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);

    whole(of_process(child, "stat"));
    printf("zombie: %.4s\n", strrchr(text, ')'));
    printf("code: %d\n", atoi(strrchr(text, ' ')));
    whole(of_process(child, "status"));
    show_line("State:");
    show_line("Threads:");
    printf("memory: %d\n", strstr(text, "VmSize") != NULL);
    show("statm", text, whole(of_process(child, "statm")));
    show("cmdline", text, whole(of_process(child, "cmdline")));
    show("comm", text, whole(of_process(child, "comm")));
    show("maps", text, whole(of_process(child, "maps")));
    show("oom_score", text, whole(of_process(child, "oom_score")));
    for (int index = 0; index < 3; index++) {
        const char *name = (const char *[]){"exe", "cwd", "root"}[index];
        show(name, target, readlink(of_process(child, name), target, sizeof target));
    }
    printf("descriptors: %d\n", entries(of_process(child, "fd")));
    printf("threads: %d\n", entries(of_process(child, "task")));

    waitpid(child, NULL, 0);
    for (int index = 0; index < ABOUTS; index++) {
        errno = 0;
        ssize_t count = read(files[index], text, 4096);
        printf("gone, %s: %zd %s\n", ABOUT[index], count, strerror(errno));
        close(files[index]);
    }
    openat(directory, "stat", O_RDONLY);
    printf("gone, by directory: %s\n", strerror(errno));
    open(of_process(child, "stat"), O_RDONLY);
    printf("gone, by name: %s\n", strerror(errno));
    fstatat(directory, "fd", &(struct stat){0}, 0);
    printf("gone, stat: %s\n", strerror(errno));
    printf("gone, entries: %zd", syscall(SYS_getdents64, directory, text, sizeof text));
    printf(" %s\n", strerror(errno));
}

// Processes end while they are read: nothing but what is there or that they are gone is told.
static void races(void) {
    int odd = 0;
    fflush(stdout);
    for (int round = 0; round < 200; round++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        for (int index = 0; index < ABOUTS; index++)
            odd += whole(of_process(child, ABOUT[index])) < 0 && errno != ENOENT && errno != ESRCH;
        odd += entries(of_process(child, "fd")) < 0 && errno != ENOENT && errno != ESRCH;
        if (round % 2)
            waitpid(child, NULL, 0);
    }
    while (waitpid(-1, NULL, 0) > 0)
        ;
    printf("races: %d odd\n", odd);
}

static int put(const char *path, const char *value) {
    int file = open(path, O_WRONLY);
    ssize_t count = write(file, value, strlen(value));
    int error = errno;
    close(file);
    return count < 0 ? -error : (int)count;
}

static void preferences(void) {
    const char *path = "/proc/self/oom_score_adj";
    printf("preference: %d %d %d %d\n", put(path, "900\n"), put(path, "x"), put(path, "1001"), put(path, ""));
    show("oom_score_adj", text, whole(path));
    fflush(stdout);
    if (fork() == 0) {
        show("inherited", text, whole(path));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    whole("/proc/self/oom_score");
    printf("score: %d\n", atoi(text) >= 900);
}

// Who may look: by prctl(2), which children inherit and execve(2) forgets.
static void privacy(void) {
    printf("dumpable: %d", prctl(PR_GET_DUMPABLE));
    printf(" %d", prctl(PR_SET_DUMPABLE, 2));
    printf(" %d", prctl(PR_SET_DUMPABLE, 0));
    printf(" %d", prctl(PR_GET_DUMPABLE));
    fflush(stdout);
    if (fork() == 0) {
        printf(" inherited %d", prctl(PR_GET_DUMPABLE));
        fflush(stdout);
        execl("/proc/self/exe", "procfs", "dumpable", NULL);
        _exit(1);
    }
    wait(NULL);
    printf(" again %d", prctl(PR_SET_DUMPABLE, 1));
    printf(" %d\n", prctl(PR_GET_DUMPABLE));
}

static void settings(void) {
    show("ostype", text, whole("/proc/sys/kernel/ostype"));
    for (int index = 0; index < 2; index++) {
        const char *path = index ? "/proc/sys/kernel/random/uuid" : "/proc/sys/kernel/random/boot_id";
        char first[64] = "";
        printf("uuid: %zd, ", whole(path));
        strncpy(first, text, 63);
        whole(path);
        printf("again %d, version %c\n", !strcmp(first, text), text[14]);
    }
    for (int index = 0; index < 6; index++) {
        const char *name = (const char *[]){"kernel/pid_max", "kernel/threads-max", "kernel/ngroups_max", "kernel/overflowuid",
                                            "fs/file-max", "net/core/somaxconn"}[index];
        char path[64];
        snprintf(path, sizeof path, "/proc/sys/%s", name);
        ssize_t count = whole(path);
        printf("%s: %d\n", name, count > 1 && strspn(text, "0123456789") + 1 == (size_t)count);
    }
}

static void *pause_thread(void *unused) {
    (void)unused;
    pause();
    return NULL;
}

static void show_answer(long answer) {
    printf("%ld%s%s\n", answer, answer < 0 ? " " : "", answer < 0 ? error_name(errno) : "");
}

// What tests/machine/procfs.rs asks for: `call NUMBER...`, calls without arguments; `flag COUNT`, pipe2 with a flag that there is
// not; `name NAME`, NAME and then an unknown call; `crowd COUNT`, the same by COUNT names; `wait THREADS`, threads that wait;
// `drop`, gives up root's rights, but executes nothing.
static void modes(int count, char **arguments) {
    const char *mode = arguments[1];
    if (!strcmp(mode, "show"))
        show_itself();
    for (int index = 2; !strcmp(mode, "call") && index < count; index++)
        show_answer(syscall(atoi(arguments[index])));
    for (int left = count > 2 ? atoi(arguments[2]) : 0; !strcmp(mode, "flag") && left > 0; left--) {
        int ends[2];
        show_answer(syscall(SYS_pipe2, ends, 0x40000000));
    }
    if (!strcmp(mode, "dumpable"))
        printf(" executed %d", prctl(PR_GET_DUMPABLE));
    if (!strcmp(mode, "name")) {
        prctl(PR_SET_NAME, arguments[2]);
        printf("%ld\n", syscall(500));
    }
    for (int index = 0; !strcmp(mode, "crowd") && index < atoi(arguments[2]); index++) {
        char name[16];
        snprintf(name, sizeof name, "crowd%d", index);
        prctl(PR_SET_NAME, name);
        syscall(501);
    }
    if (!strcmp(mode, "wait")) {
        pthread_t thread;
        for (int left = atoi(arguments[2]); left > 0; left--)
            pthread_create(&thread, NULL, pause_thread, NULL);
        puts("waits");
        fflush(stdout);
        pause();
    }
    if (!strcmp(mode, "drop")) {
        if (setgid(65534) || setuid(65534))
            fail("setuid");
        puts("dropped");
        fflush(stdout);
        pause();
    }
}

int main(int count, char **words) {
    if (count > 1) {
        modes(count, words);
        return 0;
    }
    fields();
    names();
    arguments();
    positions();
    descriptors();
    threads();
    memory();
    endings();
    races();
    preferences();
    privacy();
    settings();
    return 0;
}
