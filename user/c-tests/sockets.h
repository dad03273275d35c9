// What the programs about sockets share: addresses.
#ifndef SOCKETS_H
#define SOCKETS_H

#include "say.h"
#include <stddef.h>
#include <sys/un.h>

static inline socklen_t address_of(struct sockaddr_un *address, const char *path) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    return offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
}

static inline int bind_to(int socket, struct sockaddr_un *address, socklen_t length) {
    return bind(socket, (struct sockaddr *)address, length);
}

static inline int connect_to(int socket, struct sockaddr_un *address, socklen_t length) {
    return connect(socket, (struct sockaddr *)address, length);
}

#endif
