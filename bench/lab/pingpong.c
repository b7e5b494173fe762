/*
 * Small messages over TCP and UDP, and how long their answers take.
 *
 *   pingpong serve PORT                          answer everything; count datagrams that begin with F
 *   pingpong tcp|connect|udp|flood ADDRESS PORT SECONDS
 *
 * tcp: requests on one connection; connect: a connection each, ended by a reset so that no port stays in TIME_WAIT, and
 * not more than 400, since a flow table remembers all that ended in the last two minutes;
 * udp: one datagram at a time; flood: as many datagrams as go out, of which the server says how many came in.
 * Prints one JSON object: count, seconds, and nanoseconds p50 and p99 of what was answered.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 64, BATCH = 64, MOST_SAMPLES = 4 << 20, MOST_CONNECTIONS = 400, MOST_EVENTS = 64, PATIENCE_MS = 2000 };

static void fail(const char *what)
{
	fprintf(stderr, "pingpong: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ll + at.tv_nsec;
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		fail("setsockopt");
}

static void be_patient(int fd)
{
	struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		fail("setsockopt");
}

/* The server. */

static int bound(int type, int port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK, 0);

	if (fd < 0)
		fail("socket");
	set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (type == SOCK_DGRAM)
		set(fd, SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20);
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || (type == SOCK_STREAM && listen(fd, 1024)))
		fail("bind");
	return fd;
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		fail("epoll_ctl");
}

static void answer_datagrams(int fd, uint64_t *flooded)
{
	struct sockaddr_storage from;
	char message[MESSAGE];

	for (;;) {
		socklen_t size = sizeof(from);
		ssize_t length = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&from, &size);

		if (length <= 0)
			return;
		if (message[0] == 'F') {
			++*flooded;
			continue;
		}
		if (message[0] == 'Q')
			memcpy(message + 8, flooded, sizeof(*flooded));
		sendto(fd, message, length, 0, (struct sockaddr *)&from, size);
	}
}

static void answer_stream(int fd)
{
	char message[MESSAGE];
	ssize_t length = recv(fd, message, sizeof(message), 0);

	if (length > 0)
		send(fd, message, length, MSG_NOSIGNAL);
	else if (!length || (errno != EAGAIN && errno != EINTR))
		close(fd);
}

static void serve(int port)
{
	int listener = bound(SOCK_STREAM, port), datagrams = bound(SOCK_DGRAM, port), epoll = epoll_create1(0);
	struct epoll_event events[MOST_EVENTS];
	uint64_t flooded = 0;

	watch(epoll, listener);
	watch(epoll, datagrams);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int ready = epoll_wait(epoll, events, MOST_EVENTS, -1);

		for (int i = 0; i < ready; i++) {
			int fd = events[i].data.fd;

			if (fd == datagrams) {
				answer_datagrams(fd, &flooded);
			} else if (fd == listener) {
				int accepted = accept4(listener, 0, 0, SOCK_NONBLOCK);

				if (accepted >= 0) {
					set(accepted, IPPROTO_TCP, TCP_NODELAY, 1);
					watch(epoll, accepted);
				}
			} else {
				answer_stream(fd);
			}
		}
	}
}

/* The client. */

struct target {
	const char *address, *port;
	int type;
};

static int connected(const struct target *to)
{
	struct addrinfo hints = {.ai_socktype = to->type, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;

	if (getaddrinfo(to->address, to->port, &hints, &found))
		fail("address");
	int fd = socket(found->ai_family, to->type, 0);
	if (fd < 0)
		fail("socket");
	be_patient(fd);
	if (to->type == SOCK_STREAM) {
		set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		set(fd, IPPROTO_TCP, TCP_SYNCNT, 2);
	}
	if (connect(fd, found->ai_addr, found->ai_addrlen))
		fail("connect");
	freeaddrinfo(found);
	return fd;
}

static bool ask(int fd)
{
	char message[MESSAGE] = "P";

	if (send(fd, message, sizeof(message), MSG_NOSIGNAL) != MESSAGE)
		fail("send");
	for (ssize_t got = 0, more; got < MESSAGE; got += more) {
		more = recv(fd, message, sizeof(message) - got, 0);
		if (more <= 0)
			return false;
	}
	return true;
}

static uint64_t flooded_at(int fd)
{
	char message[MESSAGE] = "Q";
	uint64_t count;

	if (send(fd, message, sizeof(message), 0) != MESSAGE || recv(fd, message, sizeof(message), 0) != MESSAGE)
		fail("the server does not say what it has received");
	memcpy(&count, message + 8, sizeof(count));
	return count;
}

static int by_size(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static void tell(uint64_t count, int64_t elapsed, uint32_t *samples, size_t kept)
{
	if (kept)
		qsort(samples, kept, sizeof(*samples), by_size);
	printf("{\"count\": %llu, \"seconds\": %.6f, \"p50\": %u, \"p99\": %u}\n", (unsigned long long)count, elapsed / 1e9,
	       kept ? samples[kept / 2] : 0, kept ? samples[kept * 99 / 100] : 0);
}

static void requests(const struct target *to, bool each_connects, double seconds)
{
	uint32_t *samples = malloc(MOST_SAMPLES * sizeof(*samples));
	struct linger reset = {.l_onoff = 1};
	int fd = each_connects ? -1 : connected(to);
	int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9), before = start;
	size_t count = 0, most = each_connects ? MOST_CONNECTIONS : MOST_SAMPLES;

	if (!samples)
		fail("malloc");
	while (before < end && count < most) {
		if (each_connects)
			fd = connected(to);
		if (!ask(fd))
			fail("no answer");
		if (each_connects) {
			if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
				fail("setsockopt");
			close(fd);
		}
		int64_t after = now_ns();
		samples[count++] = after - before;
		before = after;
	}
	tell(count, before - start, samples, count);
}

static void flood(const struct target *to, double seconds)
{
	char message[MESSAGE] = "F";
	struct iovec part = {message, sizeof(message)};
	struct mmsghdr batch[BATCH];
	int fd = connected(to);
	uint64_t before = flooded_at(fd);

	for (int i = 0; i < BATCH; i++)
		batch[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
	int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9);
	while (now_ns() < end)
		if (sendmmsg(fd, batch, BATCH, 0) < 0 && errno != ENOBUFS && errno != EAGAIN)
			fail("sendmmsg");
	int64_t elapsed = now_ns() - start;
	usleep(50000);
	tell(flooded_at(fd) - before, elapsed, 0, 0);
}

int main(int count, char **words)
{
	if (count == 3 && !strcmp(words[1], "serve")) {
		serve(atoi(words[2]));
		return 0;
	}
	if (count != 5) {
		fputs("usage: pingpong serve PORT | tcp|connect|udp|flood ADDRESS PORT SECONDS\n", stderr);
		return 2;
	}
	bool is_stream = !strcmp(words[1], "tcp") || !strcmp(words[1], "connect");
	struct target to = {words[2], words[3], is_stream ? SOCK_STREAM : SOCK_DGRAM};

	if (!strcmp(words[1], "flood"))
		flood(&to, atof(words[4]));
	else
		requests(&to, !strcmp(words[1], "connect"), atof(words[4]));
	return 0;
}
