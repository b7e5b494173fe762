/*
 * Packets for the whole program, one after the other without user space in between: look at what the program made of
 * the last one on this CPU, put the next frame in its place, and go on into the program by a tail call.
 *
 * Every address, port and MAC address of a place (a client, a backend, a service) is made of one number, see places.py.
 * A packet whose parts are of different places was sent by a mixture of two entries. Frames are drawn at random.
 */
#include "turnout/verdict.h"
#include "turnout/wire.h"

#define CLIENT 1
#define BACKEND 2
#define SERVICE 3
#define BACKEND_PORT 0x2300
#define SERVICE_PORT 80
#define FIRST_EGRESS 32
#define EGRESS_STEP 64
#define ETHERTYPE_IPV6 0x86dd
#define REASONS 16

/* What a place's number is found in: the low bits of its addresses, with its kind above. */
#define PLACE(kind, number) ((kind) << 16 | (number))

struct frame {
	u64 words[FRAME_BYTES / 8];
	u32 client;	/* its place */
	u32 backend;	/* of a reply: the place that it comes from; else 0 */
	u32 service;	/* number */
	u32 client_port;
};

/* What this CPU has seen, and the first packet that was wrong. */
struct tally {
	u64 runs;
	u64 translated;	/* to a backend */
	u64 answered;	/* from a service */
	u64 routed;	/* as it came */
	u64 untouched;
	u64 dropped[REASONS];
	u64 mixed;	/* sent by no entry that was ever there */
	u64 to_deleted;	/* to a backend whose deletion was over before the packet came */
	u64 strange;	/* another verdict or length than any entry gives */
	u64 wrong[FRAME_BYTES / 8];
	u32 wrong_frame;
	u32 wrong_egress;
	u32 frame;	/* the one that is under way + 1 */
	u32 deleted;	/* backends that were deleted when it came, a bit each */
};

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct tally *value;
} tallies SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*map_flags)[BPF_F_MMAPABLE];
	int (*max_entries)[FRAMES];
	u32 *key;
	struct frame *value;
} frames SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*map_flags)[BPF_F_MMAPABLE];
	int (*max_entries)[1];
	u32 *key;
	u32 *value;
} deleted SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PROG_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	u32 *value;
} programs SEC(".maps");

/* The program's own: its outcome stands first. */
struct scratch {
	struct outcome outcome;
	u8 rest[SCRATCH_BYTES - sizeof(struct outcome)];
};

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct scratch *value;
} scratch SEC(".maps");

/* The place that an address is of, 0 for one of none. `which`: 0 the source, 1 the destination. */
static __always_inline u32 place_at(const u8 *ip, bool is_ipv6, u32 which)
{
	if (!is_ipv6) {
		u32 address = read_u32(ip + 12 + 4 * which);

		return address >> 24 == 10 ? address & 0xffffff : 0;
	}
	u64 high = read_u64(ip + 8 + 16 * which), low = read_u64(ip + 16 + 16 * which);

	return high == (0xfd00ull << 48 | low) ? (u32)low : 0;
}

/* Which number Ethernet addresses and port lead to, -1 if not to the same. */
static __always_inline s32 hop_of(const u8 *ethernet, u32 egress)
{
	u64 dst = read_u48(ethernet), src = read_u48(ethernet + 6);
	u32 hop = dst & 0xffff, turn = (dst >> 16) & 0xffff;

	if (dst >> 32 != 0x0200 || src >> 32 != 0x0600 || (dst ^ src) << 32)
		return -1;
	return egress == FIRST_EGRESS + hop + EGRESS_STEP * turn ? (s32)hop : -1;
}

/*
 * A connection that is opened while its own entries come or go may get another source port; one that is another
 * connection's own would be of two entries. Those are all below the first one that may be drawn (places.py).
 */
static __always_inline bool is_port_of(const struct frame *frame, u16 port)
{
	return port == frame->client_port || port >= FIRST_PORT;
}

static __always_inline bool is_right(const struct frame *frame, const u8 *data, u32 egress, struct tally *tally)
{
	bool is_ipv6 = read_u16(data + 12) == ETHERTYPE_IPV6;
	const u8 *ip = data + 14, *tcp = ip + (is_ipv6 ? 40 : 20);
	u32 src = place_at(ip, is_ipv6, 0), dst = place_at(ip, is_ipv6, 1), number = dst & 0xffff;
	u16 src_port = read_u16(tcp), dst_port = read_u16(tcp + 2);
	s32 hop = hop_of(data, egress);

	if (!frame->backend) {
		tally->translated++;
		tally->to_deleted += tally->deleted >> (number & 31) & 1;
		return src == frame->client && is_port_of(frame, src_port) && dst >> 16 == BACKEND &&
		       dst_port == BACKEND_PORT + number && hop == (s32)number;
	}
	if (dst != frame->client || dst_port != frame->client_port || hop != CLIENT_HOP)
		return false;
	if (src == frame->backend) {
		tally->routed++;
		return src_port == BACKEND_PORT + (src & 0xffff);
	}
	tally->answered++;
	return src == PLACE(SERVICE, frame->service) && src_port == SERVICE_PORT + frame->service;
}

static __always_inline bool is_as_it_came(const struct frame *frame, const u8 *data)
{
	u64 differs = 0;

#pragma clang loop unroll(full)
	for (u32 i = 0; i < FRAME_BYTES / 8; i++)
		differs |= frame->words[i] ^ ((const wire_u64 *)data)[i];
	return !differs;
}

static __always_inline void keep_first(struct tally *tally, const u8 *data, u32 egress)
{
	if (tally->wrong_frame)
		return;
	tally->wrong_frame = tally->frame;
	tally->wrong_egress = egress;
#pragma clang loop unroll(full)
	for (u32 i = 0; i < FRAME_BYTES / 8; i++)
		tally->wrong[i] = ((const wire_u64 *)data)[i];
}

/* Whether what the program made of the last frame is what some entry says. */
static __always_inline void look(const u8 *data, struct tally *tally, const struct outcome *outcome)
{
	u32 number = tally->frame - 1;
	struct frame *frame = bpf_map_lookup_elem(&frames, &number);

	if (!frame)
		return;
	u64 wrong = tally->mixed + tally->to_deleted + tally->strange;

	tally->runs++;
	switch (outcome->verdict) {
	case VERDICT_FORWARD:
		if (!is_right(frame, data, outcome->egress_port, tally))
			tally->mixed++;
		break;
	case VERDICT_TO_KERNEL:
		tally->untouched++;
		if (!is_as_it_came(frame, data))
			tally->strange++;
		break;
	case VERDICT_DROP:
		tally->dropped[outcome->drop_reason % REASONS]++;
		break;
	default:
		tally->strange++;
	}
	if (tally->mixed + tally->to_deleted + tally->strange != wrong)
		keep_first(tally, data, outcome->egress_port);
}

#if defined(TURNOUT_XDP)
SEC("xdp") int hammer(struct xdp_md *ctx)
#else
SEC("tc") int hammer(struct __sk_buff *ctx)
#endif
{
	u32 zero = 0;
	struct tally *tally = bpf_map_lookup_elem(&tallies, &zero);
	struct scratch *left = bpf_map_lookup_elem(&scratch, &zero);
	u32 *gone = bpf_map_lookup_elem(&deleted, &zero);
	u8 *data = (void *)(unsigned long)ctx->data;

	if (!tally || !left || !gone)
		return 0;
	if (data + FRAME_BYTES > (u8 *)(unsigned long)ctx->data_end) {
		tally->strange++;
		return 0;
	}
	/* A new test run begins with nothing but zeros. */
	if (read_u64(data))
		look(data, tally, &left->outcome);
	u32 next = bpf_get_prandom_u32() % FRAMES;
	struct frame *from = bpf_map_lookup_elem(&frames, &next);

	if (!from)
		return 0;
#pragma clang loop unroll(full)
	for (u32 i = 0; i < FRAME_BYTES / 8; i++)
		((volatile u64 *)data)[i] = from->words[i];
	tally->frame = next + 1;
	tally->deleted = *(volatile u32 *)gone;
	bpf_tail_call(ctx, &programs, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
