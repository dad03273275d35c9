// What goes through UNIX sockets (unix(7)): bytes, messages, open files, and who sends.
#include "sockets.h"
#include <sys/sendfile.h>
#include <sys/uio.h>

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
        printf("  received: %s\n", error_name(errno));
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

// Several buffers are one message (writev(2)).
static void vectors(int kind, const char *name) {
    printf("-- vectors, %s\n", name);
    int pair[2];
    char first[4] = "", second[100] = "";
    struct iovec out[] = {{"", 0}, {"head", 4}, {"body", 4}}, in[] = {{first, 4}, {second, 100}};
    struct iovec none[] = {{"", 0}, {"", 0}}, faulty[] = {{"abc", 3}, {nowhere, 3}}, large[] = {{text, 70000}, {text, 30000}};
    struct iovec larger[] = {{text, 150000}, {text, 150000}};
    DO(socketpair(AF_UNIX, kind | SOCK_NONBLOCK, 0, pair));
    SAY(writev(pair[0], out, 3));
    SAY(writev(pair[0], out + 1, 1));
    SAY(readv(pair[1], in, 2));
    printf("%.4s, %.4s\n", first, second);
    SAY(readv(pair[1], in, 2));
    SAY(readv(pair[1], in, 2));
    SAY(writev(pair[0], faulty, 2));
    SAY(readv(pair[1], in, 2));
    SAY(writev(pair[0], none, 2));
    SAY(readv(pair[1], in, 2));
    SAY(write(pair[0], "", 0));
    SAY(readv(pair[1], none, 2));
    SAY(readv(pair[1], in, 2));
    SAY(write(pair[0], text, 100000));
    SAY(read(pair[1], text, 200000));
    SAY(writev(pair[0], large, 2));
    SAY(readv(pair[1], larger, 2));
    SAY(write(pair[0], text, 100000));
    SAY(read(pair[1], text, 70000));
    SAY(read(pair[1], text, 70000));
    SAY(write(pair[0], text, 300000));
    SAY(writev(pair[0], larger, 2));
    SAY(read(pair[1], text, 1));
    DO(write(pair[0], "abcdef", 6));
    faulty[0].iov_base = first;
    SAY(readv(pair[1], faulty, 2));
    close(pair[1]);
    close(pair[0]);
}

// Nobody is there who receives: only streams have a signal for that.
static void nobody(int kind, const char *name) {
    printf("-- nobody, %s\n", name);
    for (int way = 0; way < 4; way++) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGPIPE, SIG_DFL);
            int pair[2], pipes[2], file = open("/proc/self/exe", O_RDONLY);
            struct iovec out[] = {{"head", 4}, {"body", 4}};
            DO(socketpair(AF_UNIX, kind, 0, pair));
            DO(pipe(pipes));
            DO(write(pipes[1], "x", 1));
            DO(shutdown(pair[0], SHUT_WR));
            switch (way) {
            case 0:
                SAY(write(pair[0], "x", 1));
                break;
            case 1:
                SAY(writev(pair[0], out, 2));
                break;
            case 2:
                SAY(sendfile(pair[0], file, NULL, 10));
                break;
            default:
                SAY(splice(pipes[0], NULL, pair[0], NULL, 10, 0));
            }
            _exit(0);
        }
        say_end("sender", child);
    }
}

int main(void) {
    begin();
    pairs();
    descriptors();
    credentials();
    datagrams();
    packets();
    vectors(SOCK_SEQPACKET, "sequenced packets");
    vectors(SOCK_DGRAM, "datagrams");
    nobody(SOCK_SEQPACKET, "sequenced packets");
    nobody(SOCK_DGRAM, "datagrams");
    nobody(SOCK_STREAM, "a stream");
    return 0;
}
