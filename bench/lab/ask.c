/*
 * Takes turns at sending as standard input says, a line each, and tells the outcome of each in a line:
 *
 *   MODE ADDRESS PORT MILLISECONDS PID...
 *
 * Modes: `requests` on one connection; `connects`, a connection for each request, ended by the server, and not more than
 * 200, since a flow table remembers for ten seconds what has ended; `round_trips`, one datagram at a time; `bursts` of 64
 * datagrams, the last of which is answered; `stream`, as much as one connection takes. Connections of a mode are kept for
 * later turns, and each turn begins with a few milliseconds that do not count.
 *
 * The outcome is JSON: `count` (requests, datagrams both ways, or bytes acknowledged), `ns` that passed, `cpu_ns` that
 * this process and those of the PIDs ran meanwhile, and nanoseconds `p50` and `p99` of what was answered one by one.
 */
#include "messages.h"
#include <time.h>

enum { BURST = 64, MOST_SAMPLES = 1 << 20, MOST_CONNECTIONS = 200, MOST_PIDS = 8, MOST_KEPT = 64 };
enum { PATIENCE_S = 2, WARM_UP_NS = 3000000 };

static int64_t clock_ns(clockid_t clock)
{
	struct timespec at;

	if (clock_gettime(clock, &at))
		fail("clock");
	return at.tv_sec * 1000000000ll + at.tv_nsec;
}

static int64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

struct turn {
	char mode[16], address[64], port[8];
	int64_t wanted_ns;
	clockid_t clocks[MOST_PIDS + 1];
	int clock_count;
	int64_t start_ns, start_cpu_ns;
};

static uint32_t samples[MOST_SAMPLES];
static char block[BLOCK] = {SINK};

static int connected(const struct turn *turn, int type)
{
	struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
	struct timeval patience = {.tv_sec = PATIENCE_S};

	if (getaddrinfo(turn->address, turn->port, &hints, &found))
		fail(turn->address);
	int fd = socket(found->ai_family, type, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)))
		fail("socket");
	if (type == SOCK_STREAM) {
		set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		set(fd, IPPROTO_TCP, TCP_SYNCNT, 2);
	}
	if (connect(fd, found->ai_addr, found->ai_addrlen))
		fail("connect");
	freeaddrinfo(found);
	return fd;
}

/* The connection of this mode to this address, made when there is none. */
static int kept(const struct turn *turn, int type)
{
	static struct { struct turn to; int fd; } all[MOST_KEPT];
	static int count;

	for (int i = 0; i < count; i++)
		if (!strcmp(all[i].to.mode, turn->mode) && !strcmp(all[i].to.address, turn->address) &&
		    !strcmp(all[i].to.port, turn->port))
			return all[i].fd;
	if (count == MOST_KEPT)
		fail("too many places");
	all[count].to = *turn;
	return all[count++].fd = connected(turn, type);
}

static void ask(int fd, enum kind kind, char *message)
{
	message[0] = kind;
	if (send(fd, message, MESSAGE, MSG_NOSIGNAL) != MESSAGE)
		fail("send");
	for (ssize_t got = 0, more; got < MESSAGE; got += more) {
		more = recv(fd, message + got, MESSAGE - got, 0);
		if (more <= 0)
			fail("no answer");
	}
}

static int64_t cpu_ns(const struct turn *turn)
{
	int64_t sum = 0;

	for (int i = 0; i < turn->clock_count; i++)
		sum += clock_ns(turn->clocks[i]);
	return sum;
}

static int64_t start(struct turn *turn)
{
	turn->start_cpu_ns = cpu_ns(turn);
	return turn->start_ns = now_ns();
}

static int by_size(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* `sampled` of the samples are this turn's. */
static void tell(const struct turn *turn, uint64_t count, size_t sampled)
{
	int64_t elapsed = now_ns() - turn->start_ns, cpu = cpu_ns(turn) - turn->start_cpu_ns;

	qsort(samples, sampled, sizeof(*samples), by_size);
	printf("{\"count\": %llu, \"ns\": %lld, \"cpu_ns\": %lld, \"p50\": %u, \"p99\": %u}\n", (unsigned long long)count,
	       (long long)elapsed, (long long)cpu, sampled ? samples[sampled / 2] : 0, sampled ? samples[sampled * 99 / 100] : 0);
	fflush(stdout);
}

static void one_by_one(struct turn *turn, int fd)
{
	char message[MESSAGE] = {};
	size_t count = 0;

	for (int64_t end = now_ns() + WARM_UP_NS; now_ns() < end;)
		ask(fd, PING, message);
	int64_t before = start(turn), end = before + turn->wanted_ns;
	while (before < end && count < MOST_SAMPLES) {
		ask(fd, PING, message);
		int64_t after = now_ns();
		samples[count++] = after - before;
		before = after;
	}
	tell(turn, count, count);
}

static void connects(struct turn *turn)
{
	char message[MESSAGE] = {};
	size_t count = 0;
	int64_t before = start(turn), end = before + turn->wanted_ns;

	while (before < end && count < MOST_CONNECTIONS) {
		int fd = connected(turn, SOCK_STREAM);
		ask(fd, LAST, message);
		if (recv(fd, message, MESSAGE, 0))
			fail("the server does not end the connection");
		close(fd);
		int64_t after = now_ns();
		samples[count++] = after - before;
		before = after;
	}
	tell(turn, count, count);
}

/* Datagrams that the server has received. */
static uint64_t burst(int fd)
{
	char message[MESSAGE] = {FLOOD};
	struct iovec part = {message, sizeof(message)};
	struct mmsghdr parts[BURST - 1];
	uint64_t received;

	for (int i = 0; i < BURST - 1; i++)
		parts[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
	if (sendmmsg(fd, parts, BURST - 1, 0) != BURST - 1)
		fail("sendmmsg");
	ask(fd, COUNT, message);
	memcpy(&received, message + 8, sizeof(received));
	return received;
}

static void bursts(struct turn *turn, int fd)
{
	uint64_t sent = 0, first = 0, last;

	for (int64_t end = now_ns() + WARM_UP_NS; now_ns() < end;)
		first = burst(fd);
	last = first;
	for (int64_t end = start(turn) + turn->wanted_ns; now_ns() < end; sent += BURST)
		last = burst(fd);
	if (last - first != sent) {
		errno = EIO;
		fail("datagrams were lost");
	}
	tell(turn, sent + sent / BURST, 0);
}

static uint64_t acknowledged(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		fail("TCP_INFO");
	return info.tcpi_bytes_acked;
}

static void write_until(int fd, int64_t end)
{
	while (now_ns() < end)
		if (send(fd, block, BLOCK, MSG_NOSIGNAL) <= 0)
			fail("send");
}

static void stream(struct turn *turn, int fd)
{
	write_until(fd, now_ns() + WARM_UP_NS);
	uint64_t before = acknowledged(fd);
	write_until(fd, start(turn) + turn->wanted_ns);
	tell(turn, acknowledged(fd) - before, 0);
}

static void take_turn(struct turn *turn)
{
	if (!strcmp(turn->mode, "requests"))
		one_by_one(turn, kept(turn, SOCK_STREAM));
	else if (!strcmp(turn->mode, "round_trips"))
		one_by_one(turn, kept(turn, SOCK_DGRAM));
	else if (!strcmp(turn->mode, "connects"))
		connects(turn);
	else if (!strcmp(turn->mode, "bursts"))
		bursts(turn, kept(turn, SOCK_DGRAM));
	else if (!strcmp(turn->mode, "stream"))
		stream(turn, kept(turn, SOCK_STREAM));
	else
		fail(turn->mode);
}

static void take_turns(void)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin)) {
		struct turn turn = {.clocks = {CLOCK_PROCESS_CPUTIME_ID}, .clock_count = 1};
		int milliseconds, at, pid, length;

		if (sscanf(line, "%15s %63s %7s %d%n", turn.mode, turn.address, turn.port, &milliseconds, &at) != 4)
			fail(line);
		for (; turn.clock_count <= MOST_PIDS && sscanf(line + at, "%d%n", &pid, &length) == 1; at += length)
			if (clock_getcpuclockid(pid, &turn.clocks[turn.clock_count++]))
				fail("the clock of a process");
		turn.wanted_ns = milliseconds * 1000000ll;
		take_turn(&turn);
	}
}

int main(void)
{
	take_turns();
	return 0;
}
