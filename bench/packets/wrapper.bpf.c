/*
 * A fresh frame for each run, then a tail call into the program under test.
 *
 * BPF_PROG_TEST_RUN repeats a program on one buffer, so a program that changes its packet would meet its own output
 * from the second run on. Each run here first brings the buffer back to its length and copies the next frame of a list
 * over it. FRAMES and FRAME_BYTES (a multiple of 8) are given by the compiler's command line; with TURNOUT_XDP it is an
 * XDP program, else tc.
 */
#include "turnout/bpf.h"

#define TUNNEL_BYTES 50

enum slot { SLOT_TARGET, SLOT_NOTHING, SLOT_GROW, SLOT_SHRINK, SLOTS };

struct frame {
	u64 words[FRAME_BYTES / 8];
};

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*map_flags)[BPF_F_MMAPABLE];
	int (*max_entries)[FRAMES];
	u32 *key;
	struct frame *value;
} frames SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PROG_ARRAY];
	int (*max_entries)[SLOTS];
	u32 *key;
	u32 *value;
} programs SEC(".maps");

struct progress {
	u32 position;
	u32 lost; /* runs without a frame: harness and program do not fit */
	u64 restore_ns;
};

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct progress *value;
} progress SEC(".maps");

#if defined(TURNOUT_XDP)
#define PROGRAM SEC("xdp")
#define NOTHING 3 /* XDP_TX */
static __always_inline s32 packet_bytes(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data;
}

/* Bytes more (or less) at the front. */
static __always_inline long resize(struct xdp_md *ctx, s32 bytes)
{
	return bpf_xdp_adjust_head(ctx, -bytes);
}
#else
#define PROGRAM SEC("tc")
#define NOTHING 0
static __always_inline s32 packet_bytes(struct __sk_buff *ctx)
{
	return ctx->len;
}

static __always_inline long resize(struct __sk_buff *ctx, s32 bytes)
{
	return bpf_skb_adjust_room(ctx, bytes, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}
#endif

static __always_inline bool fresh_frame(struct packet_context *ctx, bool is_timed)
{
	u32 zero = 0;
	struct progress *at = bpf_map_lookup_elem(&progress, &zero);
	s32 missing = FRAME_BYTES - packet_bytes(ctx);

	if (!at)
		return false;
	u64 start = is_timed ? bpf_ktime_get_ns() : 0;
	if (missing && resize(ctx, missing))
		goto lost;
	if (is_timed)
		at->restore_ns += bpf_ktime_get_ns() - start;
	u32 position = at->position;
	at->position = position + 1 < FRAMES ? position + 1 : 0;
	struct frame *from = bpf_map_lookup_elem(&frames, &position);
	struct frame *to = (void *)(unsigned long)ctx->data;
	if (!from || (void *)(to + 1) > (void *)(unsigned long)ctx->data_end)
		goto lost;
	/* One line for each word, so that the compiler does not call memcpy. */
#pragma clang loop unroll(full)
	for (u32 i = 0; i < FRAME_BYTES / 8; i++)
		((volatile u64 *)to->words)[i] = from->words[i];
	return true;
lost:
	at->lost++;
	return false;
}

#define MEASURE(name, slot, is_timed)                         \
	PROGRAM int measure_##name(struct packet_context *ctx) \
	{                                                     \
		if (fresh_frame(ctx, is_timed))               \
			bpf_tail_call(ctx, &programs, slot);  \
		return 0;                                     \
	}

MEASURE(target, SLOT_TARGET, false)
MEASURE(nothing, SLOT_NOTHING, false)
MEASURE(clocked_grow, SLOT_GROW, true)
MEASURE(clocked_shrink, SLOT_SHRINK, true)
MEASURE(clocked_nothing, SLOT_NOTHING, true)

PROGRAM int nothing(struct packet_context *ctx)
{
	(void)ctx;
	return NOTHING;
}

/* Packets of another length, as tunnels leave them, so that what it takes to bring them back can be measured. */
PROGRAM int grow(struct packet_context *ctx)
{
	resize(ctx, TUNNEL_BYTES);
	return NOTHING;
}

PROGRAM int shrink(struct packet_context *ctx)
{
	resize(ctx, -TUNNEL_BYTES);
	return NOTHING;
}

char LICENSE[] SEC("license") = "GPL";
