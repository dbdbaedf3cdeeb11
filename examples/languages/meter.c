/* Sends ten readings a second to HOST PORT, "NUMBER UNIX_SECONDS LEVEL" each, and counts them for StatsD.

   cc -o meter meter.c && ./meter HOST PORT */

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A socket whose datagrams go to a host; -1 as long as its name is unknown. */
static int connected(const char *host, const char *port) {
    struct addrinfo wanted = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *found;
    if (getaddrinfo(host, port, &wanted, &found) != 0) return -1;
    int udp = socket(found->ai_family, found->ai_socktype, 0);
    if (udp >= 0 && connect(udp, found->ai_addr, found->ai_addrlen) != 0) {
        close(udp);
        udp = -1;
    }
    freeaddrinfo(found);
    return udp;
}

static void count(int statsd, const char *line) {
    if (statsd >= 0 && send(statsd, line, strlen(line), 0) < 0) perror("statsd");
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s HOST PORT\n", argv[0]);
        return 2;
    }
    const char *host = getenv("STATSD_HOST"), *port = getenv("STATSD_PORT");
    int statsd = host && port ? connected(host, port) : -1;
    int hub;
    while ((hub = connected(argv[1], argv[2])) < 0) sleep(1);
    for (unsigned number = 1;; number++) {
        char reading[80];
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        snprintf(reading, sizeof reading, "%u %lld.%06ld %.1f", number, (long long)now.tv_sec,
                 now.tv_nsec / 1000, 20 + number % 100 / 10.0);
        if (send(hub, reading, strlen(reading), 0) < 0) {
            perror("send");
            count(statsd, "failed:1|c");
        } else {
            count(statsd, "sent:1|c");
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
}
