/* What both ends agree upon. */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE = 64, BLOCK = 256 << 10 };

/*
 * The first byte of a message says what becomes of it: it is sent back; sent back and the connection ended; counted;
 * sent back with how many datagrams were counted; thrown away with all that comes after it.
 */
enum kind { PING = 'P', LAST = 'L', FLOOD = 'F', COUNT = 'Q', SINK = 'S' };

static void fail(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		fail("setsockopt");
}
