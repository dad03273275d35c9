// UNIX sockets (unix(7)): kinds, names, connections, what is passed along, ends.
#include "say.h"
#include <stddef.h>
#include <sys/un.h>

static char text[300000];

// What a message passes on: descriptors, and who sends it.
static long send_with(int socket, const char *what, const int *files, int count, const struct ucred *who) {
    char control[1200] = "";
    struct iovec part = {(void *)what, strlen(what)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *header = (struct cmsghdr *)control;
    if (count > 0) {
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(4 * count);
        memcpy(CMSG_DATA(header), files, 4 * count);
        message.msg_controllen += CMSG_SPACE(4 * count);
    }
    if (who) {
        header = (struct cmsghdr *)(control + message.msg_controllen);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_CREDENTIALS;
        header->cmsg_len = CMSG_LEN(sizeof *who);
        memcpy(CMSG_DATA(header), who, sizeof *who);
        message.msg_controllen += CMSG_SPACE(sizeof *who);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

// Receives with so much room, prints what came, and answers the first descriptor, having closed the others.
static int receive(int socket, int bytes, int room, int flags) {
    char control[1200] = "", got[100] = "";
    struct iovec part = {got, bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
    int first = -1;
    long count = recvmsg(socket, &message, flags);
    if (count < 0) {
        printf("  received: %s\n", strerrorname_np(errno));
        return -1;
    }
    printf("  received %ld '%s', flags %#x, control %d\n", count, got, message.msg_flags, (int)message.msg_controllen);
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        printf("  type %d, length %d", header->cmsg_type, (int)header->cmsg_len);
        if (header->cmsg_type == SCM_RIGHTS) {
            int *files = (int *)CMSG_DATA(header);
            for (size_t index = 0; index < (header->cmsg_len - CMSG_LEN(0)) / 4; index++) {
                printf(", %s", fcntl(files[index], F_GETFD) & FD_CLOEXEC ? "closed by exec" : "open");
                if (first < 0) {
                    first = files[index];
                } else {
                    close(files[index]);
                }
            }
        } else {
            struct ucred *who = (struct ucred *)CMSG_DATA(header);
            printf(", %s, user %s", who->pid == getpid() ? "itself" : who->pid ? "another" : "nobody",
                   who->uid == getuid() ? "the same" : "another");
        }
        printf("\n");
    }
    return first;
}

static void pairs(void) {
    printf("-- pairs\n");
    int pair[2];
    SAY(socket(AF_UNIX, 77, 0));
    SAY(socket(AF_UNIX, SOCK_STREAM, 99));
    SAY(socket(AF_UNIX, SOCK_STREAM | 0x40000000, 0));
    SAY(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
    SAY(fcntl(pair[0], F_GETFD));
    SAY(fcntl(pair[0], F_GETFL) & O_NONBLOCK ? 1 : 0);
    SAY(write(pair[0], "hello", 5));
    SAY(recv(pair[1], text, 2, MSG_PEEK));
    SAY(recv(pair[1], text, 2, MSG_TRUNC));
    SAY(read(pair[1], text, 0));
    SAY(recv(pair[1], text, 0, 0));
    SAY(recv(pair[1], text, 100, 0));
    SAY(recv(pair[1], text, 100, 0));
    SAY(recv(pair[1], text, 0, 0));
    SAY(read(pair[1], text, 0));
    SAY(recv(pair[1], text, 100, MSG_DONTWAIT | MSG_PEEK));
    SAY(send(pair[0], "", 0, 0));
    SAY(recv(pair[1], text, 100, 0));
    SAY(send(pair[0], nowhere, 1, 0));
    SAY(write(pair[0], nowhere, 1));
    SAY(lseek(pair[0], 0, SEEK_CUR));
    SAY(pread(pair[0], text, 1, 0));
    // Pieces that are read together, and apart.
    SAY(write(pair[0], "ab", 2));
    SAY(write(pair[0], "cd", 2));
    SAY(recv(pair[1], text, 3, 0));
    int waiting;
    SAY(ioctl(pair[1], FIONREAD, &waiting));
    SAY(waiting);
    SAY(recv(pair[1], text, 3, 0));
    SAY(sendto(pair[0], "x", 1, 0, (struct sockaddr *)&(struct sockaddr_un){AF_UNIX, "/none"}, 8));
    SAY(accept(pair[0], NULL, NULL));
    SAY(listen(pair[0], 1));
    SAY(recv(0, text, 1, 0));
    SAY(send(999, text, 1, 0));
    close(pair[0]);
    close(pair[1]);
}

static void descriptors(void) {
    printf("-- descriptors\n");
    int pair[2], pipes[2];
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    DO(pipe(pipes));
    SAY(send_with(pair[0], "one", pipes, 1, NULL));
    int file = receive(pair[1], 99, 200, MSG_CMSG_CLOEXEC);
    SAY(write(pipes[1], "pipe", 4));
    SAY(read(file, text, 100));
    close(file);
    SAY(send_with(pair[0], "two", pipes, 2, NULL));
    close(receive(pair[1], 99, 200, 0));
    printf("too little room\n");
    SAY(send_with(pair[0], "two", pipes, 2, NULL));
    close(receive(pair[1], 99, CMSG_LEN(4), 0));
    SAY(send_with(pair[0], "two", pipes, 2, NULL));
    close(receive(pair[1], 99, CMSG_LEN(3), 0));
    SAY(send_with(pair[0], "none", pipes, 1, NULL));
    receive(pair[1], 99, 0, 0);
    SAY(send_with(pair[0], "none", pipes, 1, NULL));
    receive(pair[1], 99, 15, 0);
    SAY(send_with(pair[0], "read", pipes, 1, NULL));
    SAY(read(pair[1], text, 100));
    printf("peeked\n");
    SAY(send_with(pair[0], "peek", pipes, 1, NULL));
    close(receive(pair[1], 2, 200, MSG_PEEK));
    close(receive(pair[1], 2, 200, 0));
    close(receive(pair[1], 99, 200, 0));
    printf("what passes descriptors ends a read\n");
    DO(write(pair[0], "a", 1));
    DO(send_with(pair[0], "b", pipes, 1, NULL));
    DO(write(pair[0], "c", 1));
    DO(send_with(pair[0], "d", pipes, 1, NULL));
    close(receive(pair[1], 99, 200, 0));
    close(receive(pair[1], 99, 200, 0));
    close(receive(pair[1], 99, 200, MSG_DONTWAIT));
    printf("wrong ones\n");
    SAY(send_with(pair[0], "x", (int[]){999}, 1, NULL));
    int many[254];
    for (int index = 0; index < 254; index++) {
        many[index] = pipes[0];
    }
    SAY(send_with(pair[0], "x", many, 253, NULL));
    SAY(send_with(pair[0], "x", many, 254, NULL));
    close(receive(pair[1], 99, 40, 0));
    SAY(send_with(pair[0], "", pipes, 1, NULL));
    SAY(recv(pair[1], text, 1, MSG_DONTWAIT));
    // A socket in itself, in the other, and in a ring of three: they all end.
    for (int round = 0; round < 500; round++) {
        int ring[3][2];
        for (int index = 0; index < 3; index++) {
            DO(socketpair(AF_UNIX, SOCK_DGRAM, 0, ring[index]));
        }
        DO(send_with(ring[0][0], "x", &ring[0][0], 1, NULL));
        DO(send_with(ring[0][1], "x", &ring[0][0], 1, NULL));
        for (int index = 0; index < 3; index++) {
            DO(send_with(ring[index][0], "x", &ring[(index + 1) % 3][1], 1, NULL));
        }
        for (int index = 0; index < 3; index++) {
            close(ring[index][0]);
            close(ring[index][1]);
        }
    }
    printf("rings are gone\n");
    // What is on its way is open: a pipe's reader, until its socket is closed.
    signal(SIGPIPE, SIG_IGN);
    DO(send_with(pair[0], "x", pipes, 1, NULL));
    close(pipes[0]);
    SAY(write(pipes[1], "x", 1));
    close(pair[1]);
    SAY(write(pipes[1], "x", 1));
    close(pair[0]);
    close(pipes[1]);
}

static void credentials(void) {
    printf("-- credentials\n");
    int pair[2], one = 1;
    struct ucred who = {getpid(), getuid(), getgid()};
    socklen_t length = sizeof who;
    DO(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    SAY(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &who, &length));
    SAY(length);
    SAY(who.pid == getpid() && who.uid == getuid() && who.gid == getgid());
    SAY(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    DO(write(pair[0], "after", 5));
    receive(pair[1], 99, 200, 0);
    SAY(send_with(pair[0], "said", NULL, 0, &who));
    receive(pair[1], 99, 200, 0);
    SAY(send_with(pair[0], "little room", NULL, 0, &who));
    receive(pair[1], 99, 20, 0);
    pid_t child = fork();
    if (child == 0) {
        DO(write(pair[0], "child", 5));
        _exit(0);
    }
    say_end("child", child);
    DO(write(pair[0], "parent", 6));
    receive(pair[1], 99, 200, 0);
    receive(pair[1], 99, 200, 0);
    who.uid = 12345;
    int may = geteuid() == 0;
    printf("another's: %s\n", (send_with(pair[0], "x", NULL, 0, &who) == 1) == may ? "as it may" : "not as it may");
    close(pair[0]);
    close(pair[1]);
}

static socklen_t address_of(struct sockaddr_un *address, const char *path) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
}

static void name_of(const char *what, int (*ask)(int, struct sockaddr *, socklen_t *), int socket) {
    struct sockaddr_un address = {0};
    socklen_t length = sizeof address;
    if (ask(socket, (struct sockaddr *)&address, &length) != 0) {
        printf("%s: %s\n", what, strerrorname_np(errno));
    } else {
        printf("%s: %d bytes '%s'\n", what, length, length > 2 ? address.sun_path : "");
    }
}

static int bind_to(int socket, struct sockaddr_un *address, socklen_t length) {
    return bind(socket, (struct sockaddr *)address, length);
}

static int connect_to(int socket, struct sockaddr_un *address, socklen_t length) {
    return connect(socket, (struct sockaddr *)address, length);
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

static void datagrams(void) {
    printf("-- datagrams\n");
    int pair[2], other = socket(AF_UNIX, SOCK_DGRAM, 0), size = 0;
    socklen_t length = sizeof size;
    DO(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair));
    SAY(send(pair[0], "", 0, 0));
    SAY(recv(pair[1], text, 10, 0));
    SAY(send(pair[0], "abcdef", 6, 0));
    receive(pair[1], 3, 100, MSG_PEEK);
    receive(pair[1], 3, 100, MSG_PEEK | MSG_TRUNC);
    SAY(recv(pair[1], text, 0, MSG_PEEK));
    SAY(recv(pair[1], text, 0, MSG_PEEK | MSG_TRUNC));
    receive(pair[1], 3, 100, 0);
    SAY(recv(pair[1], text, 10, 0));
    SAY(send(other, "x", 1, 0));
    SAY(recv(other, text, 1, MSG_DONTWAIT));
    SAY(getsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, &length));
    SAY(size);
    SAY(send(pair[0], text, 300000, 0));
    SAY(send(pair[0], text, 100000, 0));
    SAY(send(pair[0], text, 100000, 0));
    SAY(recv(pair[1], text, 300000, 0));
    SAY(shutdown(pair[0], SHUT_WR));
    SAY(send(pair[0], "x", 1, 0));
    SAY(recv(pair[1], text, 1, 0));
    SAY(shutdown(pair[1], SHUT_RD));
    SAY(listen(pair[0], 1));
    SAY(accept(pair[0], NULL, NULL));
    SAY(shutdown(other, SHUT_RDWR));
    close(pair[0]);
    SAY(send(pair[1], "x", 1, 0));
    close(pair[1]);
    close(other);
    // A receiver that does not receive: how many wait.
    struct sockaddr_un address;
    length = address_of(&address, "datagrams");
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0), sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    DO(bind_to(receiver, &address, length));
    DO(connect_to(sender, &address, length));
    int count = 0;
    while (send(sender, "x", 1, 0) == 1) {
        count++;
    }
    SAY(count);
    struct pollfd entry = {sender, POLLOUT, 0};
    SAY(poll(&entry, 1, 0));
    pid_t child = fork();
    if (child == 0) {
        DO(fcntl(sender, F_SETFL, 0));
        _exit(send(sender, "last", 4, 0) != 4);
    }
    until_it_sleeps(child, child);
    SAY(recv(receiver, text, 10, 0));
    say_end("sender", child);
    while (recv(receiver, text, 10, MSG_DONTWAIT) == 1) {
    }
    printf("%.4s\n", text);
    SAY(poll(&entry, 1, 0));
    // A receiver that is connected takes of its peer only.
    struct sockaddr_un third_address;
    socklen_t third_length = address_of(&third_address, "third");
    int third = socket(AF_UNIX, SOCK_DGRAM, 0);
    DO(bind_to(third, &third_address, third_length));
    SAY(connect_to(receiver, &third_address, third_length));
    SAY(send(sender, "x", 1, 0));
    SAY(connect_to(sender, &address, length));
    SAY(sendto(third, "y", 1, 0, (struct sockaddr *)&address, length));
    third_address.sun_family = AF_UNSPEC;
    SAY(connect_to(receiver, &third_address, 2));
    SAY(send(sender, "x", 1, 0));
    SAY(sendto(sender, "x", 1, 0, (struct sockaddr *)&address, 0));
    SAY(sendto(sender, "x", 1, 0, (struct sockaddr *)&address, 1));
    unlink("datagrams");
    SAY(sendto(third, "x", 1, 0, (struct sockaddr *)&address, length));
    unlink("third");
    close(receiver);
    close(sender);
    close(third);
}

static void packets(void) {
    printf("-- sequenced packets\n");
    int pair[2];
    DO(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair));
    SAY(send(pair[0], "one", 3, 0));
    SAY(send(pair[0], "second", 6, MSG_EOR));
    SAY(write(pair[0], "", 0));
    SAY(send(pair[0], "", 0, 0));
    receive(pair[1], 99, 100, 0);
    receive(pair[1], 3, 100, 0);
    SAY(recv(pair[1], text, 10, 0));
    SAY(recv(pair[1], text, 10, 0));
    SAY(recv(pair[1], text, 10, MSG_WAITALL));
    struct iovec parts[3] = {{text, 4}, {text + 10, 4}, {text + 20, 4}};
    struct mmsghdr messages[3];
    memset(messages, 0, sizeof messages);
    for (int index = 0; index < 3; index++) {
        messages[index].msg_hdr.msg_iov = &parts[index];
        messages[index].msg_hdr.msg_iovlen = 1;
    }
    SAY(sendmmsg(pair[0], messages, 2, 0));
    SAY(recvmmsg(pair[1], messages, 3, 0, NULL));
    SAY(messages[0].msg_len);
    SAY(messages[1].msg_len);
    SAY(recvmmsg(pair[1], messages, 3, 0, NULL));
    SAY(send(pair[0], "last", 4, 0));
    SAY(shutdown(pair[0], SHUT_WR));
    SAY(recv(pair[1], text, 10, 0));
    SAY(recv(pair[1], text, 10, 0));
    SAY(send(pair[1], "back", 4, 0));
    SAY(recv(pair[0], text, 10, 0));
    SAY(send(pair[1], "unread", 6, 0));
    close(pair[0]);
    SAY(recv(pair[1], text, 10, 0));
    SAY(recv(pair[1], text, 10, 0));
    signal(SIGPIPE, SIG_IGN);
    SAY(send(pair[1], "x", 1, 0));
    SAY(write(pair[1], "x", 1));
    close(pair[1]);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        DO(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
        close(pair[1]);
        SAY(write(pair[0], "x", 1));
        SAY(send(pair[0], "x", 1, 0));
        fflush(stdout);
        _exit(0);
    }
    say_end("sender", child);
    DO(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair));
    SAY(read(pair[0], text, 0));
    SAY(recv(pair[0], text, 0, 0));
    DO(send(pair[1], "x", 1, 0));
    SAY(read(pair[0], text, 0));
    SAY(recv(pair[0], text, 0, 0));
    SAY(recv(pair[0], text, 0, 0));
    close(pair[0]);
    close(pair[1]);
    int lonely = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    SAY(send(lonely, "x", 1, 0));
    SAY(recv(lonely, text, 1, 0));
    close(lonely);
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
    pairs();
    descriptors();
    credentials();
    names();
    abstract();
    datagrams();
    packets();
    ends();
    waiting();
    options();
    return 0;
}
