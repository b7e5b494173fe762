/*
 * Packet-ins: a packet as it is now, with what the pipeline says of it, in a ring that the device drains. PACKET_IN is the
 * structure of what is said. A ring that is full takes nothing: then the packet is dropped and counted, and no other
 * packet waits for it.
 */
#ifndef TURNOUT_PUNT_H
#define TURNOUT_PUNT_H

#include "packet.h"
#include "ring.h"
#include "verdict.h"

#define PUNT_RING_BYTES (2u << 20)

#if defined(TURNOUT_XDP)
/* From 5.18 on. */
static long (*const bpf_xdp_load_bytes)(struct xdp_md *xdp, u32 offset, void *to, u32 len) = (void *)189;
#endif

struct {
	int (*type)[BPF_MAP_TYPE_RINGBUF];
	int (*max_entries)[PUNT_RING_BYTES];
} packet_ins SEC(".maps");

/* In front of what is said and of the frame. */
struct punt {
	u32 length;	   /* bytes of the frame, without a tag that is in metadata */
	u32 tag;	   /* TAG_PRESENT and that tag; 0 without */
	u16 tag_protocol;  /* the EtherType that stands in front of it */
	u16 segment_bytes; /* of payload in each segment that the packet will become, 0 if it stays one */
	u32 full;	   /* the reason for which it is dropped where nobody has room */
	u32 port;	   /* it is a copy that leaves by this port, the controller's too; 0: it is the packet itself */
	u32 keep_bytes;	   /* of the frame, of a copy; 0: all of it */
};
_Static_assert(sizeof(struct punt) == 24, "struct punt");

static __always_inline struct punt punt_of(struct packet_context *ctx, u32 full)
{
#if defined(TURNOUT_XDP)
	return (struct punt){.length = ctx->data_end - ctx->data, .full = full};
#else
	return (struct punt){
		.length = ctx->len,
		.tag = ctx->vlan_present ? TAG_PRESENT | (ctx->vlan_tci & 0xffff) : 0,
		.tag_protocol = swap_u16(ctx->vlan_proto),
		.segment_bytes = packet_segment_bytes(ctx),
		.full = full,
	};
#endif
}

static __always_inline long punt_load(struct packet_context *ctx, void *to, u32 length)
{
#if defined(TURNOUT_XDP)
	return bpf_xdp_load_bytes(ctx, 0, to, length);
#else
	return bpf_skb_load_bytes(ctx, 0, to, length);
#endif
}

/* The kernel wants a record's size to be a constant, so there are some: small frames, Ethernet, jumbo, to be cut. */
#define PUNT_OF_SIZE(bytes)                                                                                           \
	struct punt_##bytes {                                                                                         \
		struct punt head;                                                                                     \
		PACKET_IN said;                                                                                       \
		u8 frame[bytes];                                                                                      \
	};                                                                                                            \
	static __always_inline bool punt_up_to_##bytes(struct packet_context *ctx, const struct punt *head,           \
						       const PACKET_IN *said)                                         \
	{                                                                                                             \
		u32 last = head->length - 1;                                                                          \
		struct punt_##bytes *record = bpf_ringbuf_reserve(&packet_ins, sizeof(struct punt_##bytes), 0);       \
                                                                                                                      \
		if (!record)                                                                                          \
			return false;                                                                                 \
		record->head = *head;                                                                                 \
		record->said = *said;                                                                                 \
		asm volatile("" : "+r"(last));                                                                        \
		if (last >= bytes || punt_load(ctx, record->frame, last + 1)) {                                       \
			bpf_ringbuf_discard(record, 0);                                                               \
			return false;                                                                                 \
		}                                                                                                     \
		bpf_ringbuf_submit(record, 0);                                                                        \
		return true;                                                                                          \
	}

PUNT_OF_SIZE(256)
PUNT_OF_SIZE(1600)
PUNT_OF_SIZE(9600)
PUNT_OF_SIZE(65536)

static __always_inline bool punt_taken(struct packet_context *ctx, const struct punt *head, const PACKET_IN *said)
{
	if (head->length <= 256)
		return punt_up_to_256(ctx, head, said);
	if (head->length <= 1600)
		return punt_up_to_1600(ctx, head, said);
	if (head->length <= 9600)
		return punt_up_to_9600(ctx, head, said);
	return punt_up_to_65536(ctx, head, said);
}

/* A copy of the packet, by way of the device. Lost where there is no room. */
static __always_inline bool punt_copy(struct packet_context *ctx, u32 port, u32 keep_bytes, const PACKET_IN *said)
{
	struct punt head = punt_of(ctx, 0);

	head.port = port;
	head.keep_bytes = keep_bytes;
	return punt_taken(ctx, &head, said);
}

/* The packet is the controller's; `full` is the reason for which it is dropped when there is no room. */
static __always_inline enum next punt_or_drop(struct outcome *outcome, u32 full)
{
	outcome->verdict = VERDICT_PUNT;
	outcome->drop_reason = full;
	return DONE;
}

static __always_inline void punt(struct packet_context *ctx, struct outcome *outcome, const PACKET_IN *said)
{
	struct punt head;

	if (outcome->verdict != VERDICT_PUNT)
		return;
	head = punt_of(ctx, outcome->drop_reason);
	if (!punt_taken(ctx, &head, said))
		outcome->verdict = VERDICT_DROP;
}

#endif
