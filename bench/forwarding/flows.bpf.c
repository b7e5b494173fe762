/*
 * Datagrams of many flows out of nothing, and their count at the other end, so that hardly anything but the way between
 * costs time. `send` makes the frames of a test run with live frames, which then come in on the interface that the run
 * names; the kernel gives it each page again as the last frame on it was left. `count` takes the datagrams of these
 * flows off the interface that they have to reach, if they are translated as they have to be. Both look at the clock
 * once: a test run sleeps for some 40 ms before it returns.
 *
 * A flow is a port number of the client's; it counts up from `first_port`. FLOWS is a power of two.
 */
#include "turnout/bpf.h"
#include "turnout/checksum.h"

#define HEADER_WORDS 6
#define IP_OFFSET 14
#define ADDRESSES_OFFSET (IP_OFFSET + 12)
#define UDP_OFFSET (IP_OFFSET + 20)
#define SOURCE_OFFSET UDP_OFFSET
#define DESTINATION_OFFSET (UDP_OFFSET + 2)
#define CHECKSUM_OFFSET (UDP_OFFSET + 6)

/* What is sent: the front of a frame without the client's port, and the sum that its UDP checksum is made of. */
struct sending {
	u64 words[HEADER_WORDS];
	u32 sum;
	u32 flows;
	u32 position; /* a linear congruential sequence, whose low bits meet every flow once in a turn */
	u32 multiplier;
	u32 increment;
	u16 first_port;
	u8 is_answer; /* the client's port is the destination */
	u8 padding;
	u32 sent;
	u32 warm_up; /* so many do not count */
	u64 begun_ns;
};
_Static_assert(sizeof(struct sending) == 88, "struct sending");

/* What has to arrive. Addresses and ports as they are in memory, the server's port and the first of the client's. */
struct expected {
	u64 addresses;
	u32 flows;
	u16 first_port;
	u16 server_port;
	u32 last; /* the number of the one that ends it */
	u8 is_answer;
	u8 padding[3];
};
_Static_assert(sizeof(struct expected) == 24, "struct expected");

struct counted {
	u64 packets;
	u64 ended_ns;
};

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct sending *value;
} sending SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct expected *value;
} expected SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct counted *value;
} counted SEC(".maps");

struct front {
	u64 words[HEADER_WORDS];
};

static __always_inline u16 next_port(struct sending *from)
{
	u32 flow = from->position & (from->flows - 1);

	from->position = from->position * from->multiplier + from->increment;
	return from->first_port + flow;
}

SEC("xdp") int send(struct xdp_md *ctx)
{
	u32 zero = 0;
	struct sending *from = bpf_map_lookup_elem(&sending, &zero);
	struct front *front = (void *)(unsigned long)ctx->data;
	u8 *at = (void *)front;

	if (!from || (void *)(front + 1) > (void *)(unsigned long)ctx->data_end)
		return XDP_DROP;
	if (from->sent++ == from->warm_up)
		from->begun_ns = bpf_ktime_get_ns();
	/* One line for each word, so that the compiler does not call memcpy. */
#pragma clang loop unroll(full)
	for (u32 i = 0; i < HEADER_WORDS; i++)
		((volatile u64 *)front->words)[i] = from->words[i];
	u16 port = next_port(from), checksum = ~checksum_fold(from->sum + port);
	if (from->is_answer)
		write_u16(at + DESTINATION_OFFSET, port);
	else
		write_u16(at + SOURCE_OFFSET, port);
	write_u16(at + CHECKSUM_OFFSET, checksum ? checksum : 0xffff); /* 0 would say that there is none (RFC 768) */
	return XDP_PASS;
}

static __always_inline bool is_expected(const u8 *at, const struct expected *wanted)
{
	u16 source = read_u16(at + SOURCE_OFFSET), destination = read_u16(at + DESTINATION_OFFSET);
	u16 client_port = wanted->is_answer ? destination : source;
	u16 server_port = wanted->is_answer ? source : destination;

	return read_u16(at + 12) == 0x0800 && at[IP_OFFSET] == 0x45 && at[IP_OFFSET + 9] == 17 &&
	       read_u64(at + ADDRESSES_OFFSET) == wanted->addresses && server_port == wanted->server_port &&
	       (u16)(client_port - wanted->first_port) < wanted->flows;
}

SEC("tc") int count(struct __sk_buff *ctx)
{
	u32 zero = 0;
	const struct expected *wanted = bpf_map_lookup_elem(&expected, &zero);
	struct counted *counter = bpf_map_lookup_elem(&counted, &zero);
	struct front *front = (void *)(unsigned long)ctx->data;

	if (!wanted || !counter || (void *)(front + 1) > (void *)(unsigned long)ctx->data_end)
		return TCX_NEXT;
	if (!is_expected((void *)front, wanted))
		return TCX_NEXT;
	if (++counter->packets == wanted->last)
		counter->ended_ns = bpf_ktime_get_ns();
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "GPL";
