// vfork(2), then exec or exit; posix_spawn(3); popen(3); system(3).
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count > 1) {
        printf("child says %s, %s\n", words[1], getenv("NOTE") ? getenv("NOTE") : "nothing");
        return 7;
    }
    setvbuf(stdout, NULL, _IONBF, 0);
    setenv("NOTE", "inherited", 1);
    volatile int shared = 1;
    pid_t child = vfork();
    if (child == 0) {
        shared = 2;
        _exit(3);
    }
    int status;
    waitpid(child, &status, 0);
    printf("vfork: exit %d, shared %d\n", WEXITSTATUS(status), shared);
    child = vfork();
    if (child == 0) {
        execl(words[0], words[0], "by vfork", NULL);
        _exit(99);
    }
    waitpid(child, &status, 0);
    printf("exit %d\n", WEXITSTATUS(status));
    child = vfork();
    if (child == 0) {
        execl("/no/such/program", "x", NULL);
        _exit(99);
    }
    waitpid(child, &status, 0);
    printf("exit %d\n", WEXITSTATUS(status));
    char *arguments[] = {words[0], "by spawn", NULL};
    int error = posix_spawn(&child, words[0], NULL, NULL, arguments, environ);
    waitpid(child, &status, 0);
    printf("spawn: %d, exit %d\n", error, WEXITSTATUS(status));
    error = posix_spawn(&child, "/no/such/program", NULL, NULL, arguments, environ);
    printf("spawn of nothing: %s\n", strerror(error));
    FILE *pipe = popen("echo through a pipe", "r");
    char line[100] = "";
    if (pipe && fgets(line, sizeof line, pipe)) {
        printf("popen: %s", line);
    }
    printf("pclose %d, system %d\n", pclose(pipe), WEXITSTATUS(system("exit 4")));
    return 0;
}
