// What goes from file to file within the kernel, and pipes (sendfile(2), splice(2), tee(2), pipe(7)).
#include "say.h"
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static char text[200000];

static int file_of(const char *content) {
    int file = open(".", O_TMPFILE | O_RDWR, 0600);
    DO(write(file, content, strlen(content)));
    DO(lseek(file, 0, SEEK_SET));
    return file;
}

static void content(const char *what, int file) {
    char bytes[100] = "";
    long count = pread(file, bytes, sizeof bytes - 1, 0);
    printf("%s: '%.*s', at %ld\n", what, (int)count, bytes, (long)lseek(file, 0, SEEK_CUR));
}

static void sendfiles(void) {
    printf("-- sendfile\n");
    int source = file_of("0123456789"), target = file_of(""), pipes[2];
    off_t offset = 3;
    SAY(sendfile(target, source, NULL, 4));
    content("source", source);
    content("target", target);
    SAY(sendfile(target, source, &offset, 100));
    SAY(offset);
    content("source", source);
    content("target", target);
    SAY(sendfile(target, source, &offset, 100));
    offset = -1;
    SAY(sendfile(target, source, &offset, 1));
    SAY(sendfile(target, source, NULL, 0));
    // Source and target are one.
    int itself = file_of("abcdefgh");
    SAY(sendfile(itself, itself, NULL, 4));
    content("itself", itself);
    SAY(sendfile(itself, itself, NULL, 100));
    content("itself", itself);
    offset = 2;
    DO(lseek(itself, 1, SEEK_SET));
    SAY(sendfile(itself, itself, &offset, 3));
    SAY(offset);
    content("itself", itself);
    int copy = dup(itself);
    DO(lseek(itself, 0, SEEK_SET));
    SAY(sendfile(copy, itself, NULL, 5));
    content("a copy", copy);
    // Another open description of the same file.
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", itself);
    int again = open(path, O_RDWR);
    DO(lseek(itself, 4, SEEK_SET));
    SAY(sendfile(again, itself, NULL, 3));
    content("from", itself);
    content("to", again);
    // What cannot be.
    DO(pipe(pipes));
    SAY(sendfile(pipes[1], source, &(off_t){0}, 5));
    SAY(read(pipes[0], text, 100));
    SAY(sendfile(target, pipes[0], NULL, 1));
    SAY(sendfile(target, pipes[0], &offset, 1));
    SAY(sendfile(999, source, NULL, 1));
    SAY(sendfile(target, 999, NULL, 1));
    int read_only = open(path, O_RDONLY), write_only = open(path, O_WRONLY), appends = open(path, O_WRONLY | O_APPEND);
    SAY(sendfile(read_only, source, NULL, 1));
    SAY(sendfile(target, write_only, NULL, 1));
    SAY(sendfile(appends, source, NULL, 1));
    SAY(sendfile(appends, source, NULL, 0));
    SAY(sendfile(target, source, nowhere, 1));
    signal(SIGPIPE, SIG_IGN);
    close(pipes[0]);
    DO(lseek(source, 0, SEEK_SET));
    SAY(sendfile(pipes[1], source, NULL, 1));
    content("source", source);
    int files[] = {source, target, itself, copy, again, read_only, write_only, appends, pipes[1]};
    for (int index = 0; index < 9; index++) {
        close(files[index]);
    }
}

// Two threads send in opposite directions between the same two open descriptions.
static int both[2];

static void *send_rounds(void *reversed) {
    int from = both[reversed != NULL], to = both[reversed == NULL];
    for (int round = 0; round < 2000; round++) {
        if (sendfile(to, from, NULL, 1) < 0) {
            printf("sendfile fails\n");
        }
    }
    return NULL;
}

static void opposite(void) {
    printf("-- opposite\n");
    both[0] = file_of("a");
    both[1] = file_of("b");
    DO(ftruncate(both[0], 100000));
    DO(ftruncate(both[1], 100000));
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, send_rounds, NULL);
    pthread_create(&threads[1], NULL, send_rounds, &both);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    printf("both end\n");
    close(both[0]);
    close(both[1]);
}

static void pipe_sizes(void) {
    printf("-- pipe sizes\n");
    int pipes[2], waiting;
    DO(pipe2(pipes, O_NONBLOCK));
    SAY(fcntl(pipes[0], F_GETPIPE_SZ));
    SAY(fcntl(pipes[0], F_SETPIPE_SZ, 4096));
    SAY(fcntl(pipes[1], F_GETPIPE_SZ));
    SAY(write(pipes[1], text, 10000));
    SAY(write(pipes[1], text, 1));
    SAY(ioctl(pipes[0], FIONREAD, &waiting));
    SAY(waiting);
    SAY(fcntl(pipes[0], F_SETPIPE_SZ, 4097));
    SAY(write(pipes[1], text, 10000));
    SAY(fcntl(pipes[0], F_SETPIPE_SZ, 4096));
    SAY(fcntl(pipes[0], F_SETPIPE_SZ, 1 << 20));
    SAY(write(pipes[1], text, 20000));
    SAY(read(pipes[0], text, 200000));
    SAY(fcntl(pipes[0], F_SETPIPE_SZ, 0));
    SAY(fcntl(pipes[0], F_SETPIPE_SZ, -1));
    SAY(fcntl(1000, F_GETPIPE_SZ));
    int file = file_of("");
    SAY(fcntl(file, F_GETPIPE_SZ));
    SAY(fcntl(file, F_SETPIPE_SZ, 4096));
    close(file);
    SAY(lseek(pipes[0], 0, SEEK_CUR));
    SAY(pread(pipes[0], text, 1, 0));
    SAY(read(pipes[1], text, 1));
    SAY(write(pipes[0], text, 1));
    SAY(read(pipes[0], text, 0));
    SAY(write(pipes[1], text, 0));
    struct pollfd entry = {pipes[1], POLLOUT, 0};
    DO(fcntl(pipes[0], F_SETPIPE_SZ, 8192));
    DO(write(pipes[1], text, 4097));
    SAY(poll(&entry, 1, 0));
    SAY(write(pipes[1], text, 4096));
    SAY(write(pipes[1], text, 4095));
    SAY(poll(&entry, 1, 0));
    SAY(read(pipes[0], text, 1));
    SAY(poll(&entry, 1, 0));
    SAY(read(pipes[0], text, 4096));
    SAY(poll(&entry, 1, 0));
    close(pipes[1]);
    SAY(read(pipes[0], text, 10000));
    SAY(read(pipes[0], text, 1));
    close(pipes[0]);
    // A pipe that is made larger wakes a writer that waits.
    DO(pipe(pipes));
    DO(fcntl(pipes[0], F_SETPIPE_SZ, 4096));
    DO(write(pipes[1], text, 4096));
    pid_t child = fork();
    if (child == 0) {
        _exit(write(pipes[1], text, 4096) != 4096);
    }
    until_it_sleeps(child, child);
    DO(fcntl(pipes[0], F_SETPIPE_SZ, 8192));
    say_end("writer", child);
    close(pipes[0]);
    close(pipes[1]);
}

static void packets(void) {
    printf("-- packets\n");
    int pipes[2], other[2], waiting;
    if (SAY(pipe2(pipes, O_DIRECT | O_NONBLOCK)) < 0) {
        return;
    }
    SAY(fcntl(pipes[0], F_GETFL) & O_DIRECT ? 1 : 0);
    SAY(fcntl(pipes[1], F_GETFL) & O_DIRECT ? 1 : 0);
    SAY(write(pipes[1], "abc", 3));
    SAY(write(pipes[1], "defgh", 5));
    SAY(write(pipes[1], "i", 1));
    SAY(ioctl(pipes[0], FIONREAD, &waiting));
    SAY(waiting);
    SAY(read(pipes[0], text, 100));
    // The rest of a packet that is too long is lost.
    SAY(read(pipes[0], text, 2));
    SAY(read(pipes[0], text, 100));
    SAY(read(pipes[0], text, 100));
    SAY(write(pipes[1], text, 0));
    SAY(read(pipes[0], text, 100));
    // A long write is several packets.
    SAY(write(pipes[1], text, 5000));
    SAY(read(pipes[0], text, 100000));
    SAY(read(pipes[0], text, 100000));
    // Each takes a place.
    int count = 0;
    while (write(pipes[1], "x", 1) == 1) {
        count++;
    }
    SAY(count);
    SAY(read(pipes[0], text, 100));
    SAY(write(pipes[1], "y", 1));
    while (read(pipes[0], text, 100) > 0) {
    }
    // Switched off and on again.
    SAY(write(pipes[1], "one", 3));
    SAY(fcntl(pipes[1], F_SETFL, O_NONBLOCK));
    SAY(write(pipes[1], "two", 3));
    SAY(write(pipes[1], "three", 5));
    SAY(fcntl(pipes[1], F_SETFL, O_NONBLOCK | O_DIRECT));
    SAY(write(pipes[1], "four", 4));
    SAY(read(pipes[0], text, 100));
    SAY(read(pipes[0], text, 100));
    SAY(read(pipes[0], text, 100));
    SAY(read(pipes[0], text, 100));
    // A plain pipe becomes one of packets.
    DO(pipe2(other, O_NONBLOCK));
    SAY(fcntl(other[1], F_SETFL, O_NONBLOCK | O_DIRECT));
    SAY(write(other[1], "abc", 3));
    SAY(write(other[1], "def", 3));
    SAY(read(other[0], text, 100));
    SAY(read(other[0], text, 100));
    for (int index = 0; index < 2; index++) {
        close(pipes[index]);
        close(other[index]);
    }
}

static void splices(void) {
    printf("-- splice\n");
    int one[2], two[2], file = file_of("0123456789");
    DO(pipe2(one, O_NONBLOCK));
    DO(pipe2(two, O_NONBLOCK));
    loff_t offset = 2;
    SAY(splice(file, NULL, one[1], NULL, 4, 0));
    content("file", file);
    SAY(splice(file, &offset, one[1], NULL, 3, 0));
    SAY(offset);
    SAY(tee(one[0], two[1], 100, 0));
    SAY(splice(one[0], NULL, two[1], NULL, 5, 0));
    SAY(read(two[0], text, 100));
    printf("%.12s\n", text);
    SAY(read(one[0], text, 100));
    SAY(splice(one[0], NULL, two[1], NULL, 5, 0));
    SAY(splice(one[0], NULL, one[1], NULL, 5, 0));
    SAY(tee(one[0], one[1], 5, 0));
    SAY(splice(one[0], &offset, two[1], NULL, 5, 0));
    SAY(splice(file, NULL, file, NULL, 5, 0));
    SAY(splice(one[1], NULL, two[1], NULL, 5, 0));
    SAY(splice(one[0], NULL, two[0], NULL, 5, 0));
    SAY(splice(one[0], NULL, 999, NULL, 5, 0));
    SAY(splice(one[0], NULL, two[1], NULL, 5, 0x100));
    SAY(splice(one[0], NULL, two[1], NULL, 0, 0));
    DO(write(one[1], "spliced", 7));
    offset = 20;
    SAY(splice(one[0], NULL, file, &offset, 100, 0));
    SAY(offset);
    content("file", file);
    // Through a socket.
    int pair[2];
    DO(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    DO(write(one[1], "to a socket", 11));
    SAY(splice(one[0], NULL, pair[0], NULL, 100, 0));
    SAY(splice(pair[1], NULL, two[1], NULL, 100, 0));
    SAY(read(two[0], text, 100));
    SAY(splice(pair[1], NULL, two[1], NULL, 100, SPLICE_F_NONBLOCK));
    close(pair[0]);
    SAY(splice(pair[1], NULL, two[1], NULL, 100, 0));
    DO(write(one[1], "x", 1));
    SAY(splice(one[0], NULL, pair[1], NULL, 100, 0));
    close(pair[1]);
    // The end, and nobody who reads.
    DO(read(one[0], text, 100));
    close(one[1]);
    SAY(splice(one[0], NULL, two[1], NULL, 100, 0));
    SAY(splice(one[0], NULL, file, NULL, 100, 0));
    SAY(tee(one[0], two[1], 100, 0));
    close(two[0]);
    SAY(splice(file, &(loff_t){0}, two[1], NULL, 100, 0));
    close(one[0]);
    close(two[1]);
    close(file);
    // Much, between two pipes, with others at both ends.
    DO(pipe(one));
    DO(pipe(two));
    pid_t writer = fork();
    if (writer == 0) {
        long total = 0;
        while (total < 1000000) {
            total += write(one[1], text, 10000);
        }
        _exit(total != 1000000);
    }
    close(one[1]);
    pid_t reader = fork();
    if (reader == 0) {
        close(two[1]);
        long total = 0, count;
        while ((count = read(two[0], text, 7777)) > 0) {
            total += count;
        }
        _exit(total != 1000000);
    }
    close(two[0]);
    long total = 0, count;
    while ((count = splice(one[0], NULL, two[1], NULL, 50000, 0)) > 0) {
        total += count;
    }
    SAY(total);
    close(one[0]);
    close(two[1]);
    say_end("writer", writer);
    say_end("reader", reader);
}

// Several buffers are as one.
static void vectors(void) {
    printf("-- vectors\n");
    int pipes[2], waiting;
    char first[4] = "", second[100] = "";
    struct iovec out[] = {{"head", 4}, {"", 0}, {"body", 4}}, in[] = {{first, 4}, {second, 100}};
    struct iovec empty_first[] = {{"", 0}, {"abc", 3}}, none[] = {{"", 0}, {"", 0}};
    struct iovec faulty[] = {{"abc", 3}, {nowhere, 3}}, no_room[] = {{first, 0}, {second, 0}}, late[] = {{first, 0}, {second, 9}};
    struct iovec large[] = {{text, 4000}, {text, 1000}}, halves[] = {{text, 70000}, {text + 70000, 70000}};
    DO(pipe2(pipes, O_DIRECT | O_NONBLOCK));
    SAY(writev(pipes[1], out, 3));
    SAY(writev(pipes[1], out, 1));
    SAY(readv(pipes[0], in, 2));
    printf("%.4s, %.4s\n", first, second);
    SAY(readv(pipes[0], in, 2));
    SAY(readv(pipes[0], in, 2));
    DO(write(pipes[1], "abcdEFG", 7));
    DO(write(pipes[1], "next", 4));
    SAY(readv(pipes[0], in, 2));
    printf("%.4s, %.4s\n", first, second);
    SAY(readv(pipes[0], in, 1));
    SAY(writev(pipes[1], large, 2));
    SAY(read(pipes[0], text, 10000));
    SAY(read(pipes[0], text, 10000));
    SAY(writev(pipes[1], empty_first, 2));
    SAY(readv(pipes[0], no_room, 2));
    SAY(readv(pipes[0], late, 2));
    SAY(writev(pipes[1], none, 2));
    SAY(writev(pipes[1], none, 0));
    SAY(writev(pipes[1], faulty, 2));
    SAY(read(pipes[0], text, 10000));
    SAY(writev(pipes[0], none, 2));
    SAY(readv(pipes[1], no_room, 2));
    SAY(writev(999, none, 2));
    close(pipes[0]);
    close(pipes[1]);
    // What is no longer than PIPE_BUF goes whole, or not at all.
    struct iovec thirds[] = {{text, 1500}, {text, 1500}, {text, 1000}};
    DO(pipe2(pipes, O_NONBLOCK));
    DO(fcntl(pipes[0], F_SETPIPE_SZ, 8192));
    DO(write(pipes[1], text, 5000));
    SAY(writev(pipes[1], thirds, 3));
    SAY(ioctl(pipes[0], FIONREAD, &waiting));
    SAY(waiting);
    SAY(writev(pipes[1], thirds, 2));
    SAY(writev(pipes[1], faulty, 2));
    SAY(read(pipes[0], text, 10000));
    SAY(writev(pipes[1], empty_first, 2));
    SAY(read(pipes[0], text, 10000));
    SAY(fcntl(pipes[0], F_SETPIPE_SZ, 1 << 20));
    for (int index = 0; index < 140000; index++) {
        text[index] = index / 1000;
    }
    SAY(writev(pipes[1], halves, 2));
    memset(text, 0, sizeof text);
    SAY(readv(pipes[0], halves, 2));
    int wrong = 0;
    for (int index = 0; index < 140000; index++) {
        wrong += text[index] != (char)(index / 1000);
    }
    SAY(wrong);
    close(pipes[0]);
    signal(SIGPIPE, SIG_IGN);
    SAY(writev(pipes[1], out, 3));
    SAY(writev(pipes[1], none, 2));
    close(pipes[1]);
    // A file.
    int file = file_of("");
    SAY(writev(file, empty_first, 2));
    SAY(writev(file, out, 3));
    SAY(writev(file, faulty, 2));
    content("file", file);
    SAY(pwritev(file, out, 3, 1));
    content("file", file);
    SAY(preadv(file, in, 2, 2));
    printf("%.4s, %.8s\n", first, second);
    DO(lseek(file, 1, SEEK_SET));
    faulty[0].iov_base = first;
    SAY(readv(file, faulty, 2));
    SAY(readv(file, late, 2));
    content("file", file);
    close(file);
    // Events are counted once.
    uint64_t count = 3;
    struct iovec numbers[] = {{&count, 8}, {second, 8}}, split[] = {{&count, 4}, {(char *)&count + 4, 4}};
    int events = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
    SAY(write(events, &count, 8));
    SAY(readv(events, numbers, 2));
    SAY(readv(events, split, 2));
    SAY(count);
    close(events);
}

// A terminal's line is read once, into all buffers, and no more than one.
static void lines(void) {
    printf("-- lines\n");
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    DO(grantpt(master));
    DO(unlockpt(master));
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    char first[4] = "", second[100] = "";
    struct iovec in[] = {{first, 4}, {second, 100}}, out[] = {{"ab", 2}, {"cd\n", 3}};
    DO(write(master, "abc\n", 4));
    DO(write(master, "defghi\n", 7));
    SAY(readv(slave, in, 2));
    SAY(readv(slave, in, 2));
    printf("%.4s, %.2s\n", first, second);
    // The echo.
    SAY(read(master, text, 100));
    SAY(writev(slave, out, 2));
    SAY(read(master, text, 100));
    printf("%.4s\n", text);
    close(slave);
    close(master);
}

int main(void) {
    begin();
    sendfiles();
    opposite();
    pipe_sizes();
    packets();
    splices();
    vectors();
    lines();
    return 0;
}
