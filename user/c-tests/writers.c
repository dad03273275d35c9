// Several processes write to one terminal at once: what one write(2) writes stays together, though it must wait for room. First at a
// pseudo-terminal, then at the standard output, which is the console on Eres.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { WRITERS = 6, LINES = 40, LONG = 5000, SHORT = 300 };

// Starts the writers, each of which writes lines of one letter that it alone has, or that all have.
static void start(int target, int length, int lines, int letters) {
    for (int writer = 0; writer < WRITERS; writer++) {
        if (fork() == 0) {
            char line[LONG];
            memset(line, 'a' + writer % letters, length - 1);
            line[0] = '<';
            line[length - 2] = '>';
            line[length - 1] = '\n';
            for (int count = 0; count < lines; count++) {
                if (write(target, line, length) != length) {
                    _exit(1);
                }
            }
            _exit(0);
        }
    }
}

static int ended_well(void) {
    int status, well = 0;
    while (wait(&status) > 0) {
        well += status == 0;
    }
    return well;
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master)) {
        perror("pseudo-terminal");
        return 1;
    }
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    struct termios settings;
    if (slave < 0 || tcgetattr(slave, &settings)) {
        perror("slave");
        return 1;
    }
    alarm(200);
    cfmakeraw(&settings);
    tcsetattr(slave, TCSANOW, &settings);
    start(slave, LONG, LINES, WRITERS);
    FILE *output = fdopen(master, "r");
    char *line = NULL;
    size_t room = 0;
    int whole = 0, mixed = 0;
    for (int count = 0; count < WRITERS * LINES; count++) {
        ssize_t length = getline(&line, &room, output);
        int is_whole = length == LONG && line[0] == '<' && line[LONG - 2] == '>';
        for (int at = 2; is_whole && at < LONG - 2; at++) {
            is_whole = line[at] == line[1];
        }
        whole += is_whole;
        mixed += !is_whole;
    }
    printf("pseudo-terminal: %d lines whole, %d mixed, %d writers ended well\n", whole, mixed, ended_well());
    start(STDOUT_FILENO, SHORT, 8, 1);
    printf("%d writers ended well\n", ended_well());
    return 0;
}
