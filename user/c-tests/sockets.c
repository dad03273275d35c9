// UNIX sockets (unix(7)): names, connections, ends, waits, options.
#include "sockets.h"

static char text[300000];

static void name_of(const char *what, int (*ask)(int, struct sockaddr *, socklen_t *), int socket) {
    struct sockaddr_un address = {0};
    socklen_t length = sizeof address;
    if (ask(socket, (struct sockaddr *)&address, &length) != 0) {
        printf("%s: %s\n", what, error_name(errno));
    } else {
        printf("%s: %d bytes '%s'\n", what, length, length > 2 ? address.sun_path : "");
    }
}

static void names(void) {
    printf("-- names\n");
    struct sockaddr_un address, other;
    socklen_t length = address_of(&address, "socket"), other_length;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct stat status;
    SAY(listen(listener, 1));
    SAY(connect_to(client, &address, length));
    SAY(bind_to(listener, &address, length));
    SAY(bind_to(listener, &address, length));
    SAY(bind_to(client, &address, length));
    SAY(connect_to(client, &address, length));
    SAY(stat("socket", &status));
    printf("%o\n", status.st_mode & S_IFMT);
    SAY(open("socket", O_RDWR));
    name_of("listener", getsockname, listener);
    name_of("client", getsockname, client);
    name_of("client's peer", getpeername, client);
    SAY(listen(listener, 0));
    SAY(connect_to(client, &address, length));
    // The backlog of none holds one.
    int second = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    SAY(connect_to(second, &address, length));
    other_length = address_of(&other, "second");
    SAY(bind_to(second, &other, other_length));
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        DO(fcntl(second, F_SETFL, 0));
        _exit(connect_to(second, &address, length) ? errno : 0);
    }
    until_it_sleeps(child, child);
    (void)parent;
    socklen_t room = sizeof other;
    memset(&other, 0, sizeof other);
    int accepted = accept4(listener, (struct sockaddr *)&other, &room, SOCK_CLOEXEC);
    SAY(room);
    SAY(fcntl(accepted, F_GETFD));
    say_end("second", child);
    room = sizeof other;
    int accepted_second = accept(listener, (struct sockaddr *)&other, &room);
    SAY(room);
    printf("%s\n", other.sun_path);
    SAY(connect_to(client, &address, length));
    name_of("accepted", getsockname, accepted);
    name_of("accepted's peer", getpeername, accepted);
    name_of("its peer", getpeername, client);
    room = 4;
    SAY(getsockname(listener, (struct sockaddr *)&other, &room));
    SAY(room);
    room = -1;
    SAY(getsockname(listener, (struct sockaddr *)&other, &room));
    DO(fcntl(listener, F_SETFL, O_NONBLOCK));
    SAY(accept(listener, NULL, NULL));
    SAY(accept4(listener, NULL, NULL, 1));
    SAY(connect_to(listener, &address, length));
    SAY(send(listener, "x", 1, MSG_NOSIGNAL));
    SAY(recv(listener, text, 1, 0));
    SAY(recv(second, text, 1, MSG_DONTWAIT));
    // A listener that is closed with somebody before its door.
    int third = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(connect_to(third, &address, length));
    SAY(send(third, "x", 1, 0));
    close(listener);
    SAY(recv(third, text, 1, 0));
    SAY(recv(third, text, 1, 0));
    SAY(send(third, "x", 1, MSG_NOSIGNAL));
    SAY(connect_to(third, &address, length));
    close(third);
    third = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(connect_to(third, &address, length));
    SAY(unlink("socket"));
    SAY(connect_to(third, &address, length));
    DO(close(open("plain", O_CREAT | O_RDWR, 0600)));
    length = address_of(&address, "plain");
    SAY(connect_to(third, &address, length));
    SAY(bind_to(third, &address, length));
    length = address_of(&address, "no/such/folder");
    SAY(bind_to(third, &address, length));
    SAY(bind_to(third, &address, 1));
    SAY(bind_to(third, &address, 200));
    address.sun_family = AF_INET;
    SAY(bind_to(third, &address, 10));
    SAY(connect_to(third, &address, 10));
    address.sun_family = AF_UNIX;
    SAY(connect_to(third, &address, 2));
    // Without a name, one is given.
    SAY(bind_to(third, &address, 2));
    room = sizeof other;
    memset(&other, 0, sizeof other);
    SAY(getsockname(third, (struct sockaddr *)&other, &room));
    SAY(room);
    SAY(other.sun_path[0]);
    int files[] = {client, second, third, accepted, accepted_second};
    for (int index = 0; index < 5; index++) {
        close(files[index]);
    }
    unlink("plain");
    unlink("second");
}

static void abstract(void) {
    printf("-- abstract names\n");
    struct sockaddr_un address = {AF_UNIX, "\0eres-test-of-sockets"};
    socklen_t length = 2 + 21;
    int one = socket(AF_UNIX, SOCK_DGRAM, 0), other = socket(AF_UNIX, SOCK_DGRAM, 0);
    SAY(bind_to(one, &address, length));
    SAY(bind_to(other, &address, length));
    SAY(bind_to(other, &address, length + 1));
    SAY(connect_to(other, &address, length + 2));
    SAY(connect_to(other, &address, length));
    SAY(send(other, "datagram", 8, 0));
    struct sockaddr_un from = {0};
    socklen_t room = sizeof from;
    SAY(recvfrom(one, text, 3, MSG_TRUNC, (struct sockaddr *)&from, &room));
    SAY(room);
    SAY(memcmp(&from, &address, length));
    int stream = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(connect_to(stream, &address, length));
    // Each kind of socket has names of its own.
    SAY(bind_to(stream, &address, length));
    SAY(listen(stream, 1));
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(connect_to(client, &address, length));
    close(client);
    close(stream);
    SAY(send(other, "datagram", 8, 0));
    // Paths have not: there is one file.
    socklen_t path_length = address_of(&from, "datagram");
    int third = socket(AF_UNIX, SOCK_DGRAM, 0);
    stream = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(bind_to(third, &from, path_length));
    SAY(bind_to(stream, &from, path_length));
    SAY(connect_to(stream, &from, path_length));
    unlink("datagram");
    close(third);
    close(stream);
    close(one);
    SAY(send(other, "x", 1, 0));
    SAY(send(other, "x", 1, 0));
    SAY(connect_to(other, &address, length));
    close(other);
    one = socket(AF_UNIX, SOCK_DGRAM, 0);
    SAY(bind_to(one, &address, length));
    close(one);
}

static void ends(void) {
    printf("-- ends\n");
    int pair[2], error = 0;
    socklen_t length = sizeof error;
    signal(SIGPIPE, SIG_IGN);
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SAY(write(pair[0], "rest", 4));
    SAY(shutdown(pair[0], SHUT_WR));
    SAY(write(pair[0], "x", 1));
    SAY(recv(pair[1], text, 10, 0));
    SAY(recv(pair[1], text, 10, 0));
    SAY(write(pair[1], "back", 4));
    SAY(recv(pair[0], text, 10, 0));
    SAY(shutdown(pair[1], SHUT_RD));
    SAY(shutdown(pair[1], 7));
    SAY(shutdown(pair[1], SHUT_WR));
    SAY(recv(pair[0], text, 10, 0));
    close(pair[0]);
    close(pair[1]);
    // Nobody receives.
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SAY(shutdown(pair[0], SHUT_RD));
    SAY(recv(pair[0], text, 10, 0));
    SAY(send(pair[1], "x", 1, 0));
    SAY(send(pair[0], "x", 1, 0));
    SAY(recv(pair[1], text, 1, 0));
    close(pair[0]);
    close(pair[1]);
    // Closed with something unread.
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    DO(write(pair[0], "unread", 6));
    DO(write(pair[1], "read", 4));
    close(pair[1]);
    SAY(getsockopt(pair[0], SOL_SOCKET, SO_ERROR, &error, &length));
    SAY(error == ECONNRESET);
    SAY(recv(pair[0], text, 10, 0));
    SAY(recv(pair[0], text, 10, 0));
    SAY(write(pair[0], "x", 1));
    close(pair[0]);
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    DO(write(pair[0], "unread", 6));
    close(pair[1]);
    SAY(recv(pair[0], text, 10, 0));
    SAY(recv(pair[0], text, 10, 0));
    SAY(send(pair[0], "x", 1, 0));
    close(pair[0]);
    // Signals.
    pid_t child = fork();
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
        close(pair[1]);
        SAY(send(pair[0], "x", 1, MSG_NOSIGNAL));
        fflush(stdout);
        send(pair[0], "x", 1, 0);
        _exit(0);
    }
    say_end("sender", child);
    int lonely = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(send(lonely, "x", 1, 0));
    SAY(recv(lonely, text, 1, 0));
    SAY(shutdown(lonely, SHUT_WR));
    struct pollfd entry = {lonely, POLLIN | POLLOUT, 0};
    SAY(poll(&entry, 1, 0));
    printf("%#x\n", entry.revents);
    close(lonely);
}

// A peer that closes, or shuts, while others wait.
static void *wait_to_read(void *socket) {
    char byte;
    long count = recv((int)(intptr_t)socket, &byte, 1, 0);
    return (void *)(count < 0 ? -(long)errno : count);
}

static void waiting(void) {
    printf("-- waiting\n");
    for (int how = 0; how < 4; how++) {
        int pair[2];
        DO(socketpair(AF_UNIX, how == 3 ? SOCK_DGRAM : SOCK_STREAM, 0, pair));
        pid_t child = fork();
        if (child == 0) {
            close(pair[1]);
            pthread_t thread;
            void *result;
            if (how == 0) {
                // The same process shuts its own end.
                pthread_create(&thread, NULL, wait_to_read, (void *)(intptr_t)pair[0]);
                sleep_ms(20);
                shutdown(pair[0], SHUT_RD);
                pthread_join(thread, &result);
            } else {
                result = wait_to_read((void *)(intptr_t)pair[0]);
            }
            printf("read answers %ld\n", (long)result);
            fflush(stdout);
            _exit(0);
        }
        close(pair[0]);
        if (how > 0) {
            until_it_sleeps(child, child);
            if (how == 2 || how == 3) {
                DO(send(pair[1], "x", 1, 0));
            }
            close(pair[1]);
        }
        say_end("reader", child);
        if (how == 0) {
            close(pair[1]);
        }
    }
    // MSG_WAITALL gathers what comes in pieces.
    int pair[2];
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        for (int index = 0; index < 5; index++) {
            until_it_sleeps(parent, parent);
            DO(write(pair[1], "12345", 5));
        }
        _exit(0);
    }
    SAY(recv(pair[0], text, 25, MSG_WAITALL));
    say_end("writer", child);
    DO(write(pair[1], "123", 3));
    close(pair[1]);
    SAY(recv(pair[0], text, 25, MSG_WAITALL));
    close(pair[0]);
    // Time-outs.
    struct timeval time = {0, 20000}, wrong = {0, 1000000};
    socklen_t length = sizeof time;
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SAY(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time));
    SAY(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time));
    SAY(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &wrong, sizeof wrong));
    SAY(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, 8));
    SAY(getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, &length));
    SAY(time.tv_sec * 1000000 + time.tv_usec);
    SAY(recv(pair[0], text, 1, 0));
    SAY(read(pair[0], text, 1));
    // As much as there is room for; the kernels count differently how much that is.
    SAY(send(pair[0], text, sizeof text, 0) > 100000);
    SAY(send(pair[0], text, sizeof text, 0));
    SAY(write(pair[0], text, sizeof text));
    DO(write(pair[1], "12", 2));
    SAY(recv(pair[0], text, 5, MSG_WAITALL));
    close(pair[0]);
    close(pair[1]);
    // More than there is room for, while somebody reads.
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    child = fork();
    if (child == 0) {
        close(pair[0]);
        _exit(send(pair[1], text, sizeof text, 0) != sizeof text);
    }
    close(pair[1]);
    long total = 0, count;
    while ((count = recv(pair[0], text, 7777, 0)) > 0) {
        total += count;
    }
    SAY(total);
    say_end("writer", child);
    close(pair[0]);
}

static void options(void) {
    printf("-- options\n");
    int one = socket(AF_UNIX, SOCK_SEQPACKET, 0), value = 0;
    socklen_t length = sizeof value;
    int asked[] = {SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ERROR, SO_ACCEPTCONN, SO_PASSCRED, SO_REUSEADDR};
    for (int index = 0; index < 7; index++) {
        SAY(getsockopt(one, SOL_SOCKET, asked[index], &value, &length));
        SAY(value);
    }
    SAY(getsockopt(one, SOL_SOCKET, 9999, &value, &length));
    SAY(setsockopt(one, SOL_SOCKET, 9999, &value, sizeof value));
    SAY(getsockopt(one, 6, 1, &value, &length));
    SAY(setsockopt(one, 6, 1, &value, sizeof value));
    SAY(getsockopt(0, SOL_SOCKET, SO_TYPE, &value, &length));
    SAY(setsockopt(one, SOL_SOCKET, SO_TYPE, &value, sizeof value));
    SAY(setsockopt(one, SOL_SOCKET, SO_PASSCRED, &value, 1));
    value = 10000;
    SAY(setsockopt(one, SOL_SOCKET, SO_SNDBUF, &value, sizeof value));
    SAY(getsockopt(one, SOL_SOCKET, SO_SNDBUF, &value, &length));
    SAY(value);
    length = 2;
    value = 0;
    SAY(getsockopt(one, SOL_SOCKET, SO_TYPE, &value, &length));
    SAY(length);
    SAY(value);
    length = -1;
    SAY(getsockopt(one, SOL_SOCKET, SO_TYPE, &value, &length));
    struct ucred who;
    length = sizeof who;
    SAY(getsockopt(one, SOL_SOCKET, SO_PEERCRED, &who, &length));
    SAY(who.pid == 0 && who.uid == (uid_t)-1 && who.gid == (gid_t)-1);
    close(one);
}

int main(void) {
    begin();
    names();
    abstract();
    ends();
    waiting();
    options();
    return 0;
}
