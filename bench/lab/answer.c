/*
 *   answer PORT...
 *
 * Answers what `ask` sends to these ports, by TCP and UDP, until it is ended. Says "ready" when it can.
 */
#include "messages.h"
#include <sys/epoll.h>

enum { MOST_EVENTS = 64, MOST_FILES = 4096 };

static char block[BLOCK];
static bool is_sink[MOST_FILES];

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

/* What a file is, beside its number: a listener, datagrams, or a connection. */
enum role { LISTENER, DATAGRAMS, CONNECTION };

static void watch(int epoll, int fd, enum role role)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)role << 32 | fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		fail("epoll_ctl");
}

static void accept_one(int epoll, int listener)
{
	int fd = accept4(listener, 0, 0, SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (fd >= MOST_FILES) {
		close(fd);
		return;
	}
	is_sink[fd] = false;
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	watch(epoll, fd, CONNECTION);
}

static void answer_datagrams(int fd)
{
	static uint64_t flooded;
	struct sockaddr_storage from;
	char message[MESSAGE];

	for (;;) {
		socklen_t size = sizeof(from);
		ssize_t length = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&from, &size);

		if (length <= 0)
			return;
		flooded++;
		if (message[0] == FLOOD)
			continue;
		if (message[0] == COUNT)
			memcpy(message + 8, &flooded, sizeof(flooded));
		sendto(fd, message, length, 0, (struct sockaddr *)&from, size);
	}
}

static void answer_stream(int fd)
{
	ssize_t length = recv(fd, block, is_sink[fd] ? BLOCK : MESSAGE, 0);

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length > 0 && !is_sink[fd]) {
		is_sink[fd] = block[0] == SINK;
		if (!is_sink[fd])
			send(fd, block, length, MSG_NOSIGNAL);
	}
	if (length <= 0 || (!is_sink[fd] && block[0] == LAST))
		close(fd);
}

static void serve(char **ports)
{
	int epoll = epoll_create1(0);
	struct epoll_event events[MOST_EVENTS];

	for (; *ports; ports++) {
		watch(epoll, bound(SOCK_STREAM, atoi(*ports)), LISTENER);
		watch(epoll, bound(SOCK_DGRAM, atoi(*ports)), DATAGRAMS);
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		int ready = epoll_wait(epoll, events, MOST_EVENTS, -1);

		for (int i = 0; i < ready; i++) {
			int fd = (int)events[i].data.u64;
			enum role role = events[i].data.u64 >> 32;

			if (role == DATAGRAMS)
				answer_datagrams(fd);
			else if (role == LISTENER)
				accept_one(epoll, fd);
			else
				answer_stream(fd);
		}
	}
}

int main(int count, char **words)
{
	if (count < 2) {
		fputs("usage: answer PORT...\n", stderr);
		return 2;
	}
	serve(words + 1);
	return 0;
}
