/* Packets of XDP: plain bytes in one piece; checksums are complete, tags are in the frame. */
#ifndef TURNOUT_PACKET_XDP_H
#define TURNOUT_PACKET_XDP_H

static __always_inline u32 packet_frame_bytes(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data;
}

/* All of a packet is in reach. */
static __always_inline void packet_reach(struct xdp_md *ctx, u32 headers)
{
	(void)ctx;
	(void)headers;
}

static __always_inline bool packet_has_hidden_tag(struct xdp_md *ctx)
{
	(void)ctx;
	return false;
}

static __always_inline void packet_begin(struct xdp_md *ctx, struct packet *packet)
{
	packet->length = packet_frame_bytes(ctx);
	packet->valid = 0;
	packet->start = PACKET_ORIGIN;
	packet->tag = 0;
}

static __always_inline struct cursor packet_cursor(struct xdp_md *ctx, const struct packet *packet)
{
	(void)packet;
	return (struct cursor){
		.data = (const u8 *)(unsigned long)ctx->data,
		.end = (const u8 *)(unsigned long)ctx->data_end,
	};
}

static __always_inline u32 packet_segment_bytes(struct xdp_md *ctx)
{
	(void)ctx;
	return 0;
}

static __always_inline void packet_sum_changed(struct xdp_md *ctx, u64 difference)
{
	(void)ctx;
	(void)difference;
}

/* The checksum at a position covers words that changed, `own` in the packet and `pseudo` in the pseudo header. */
static __always_inline void packet_fix_transport(struct xdp_md *ctx, const struct packet *packet, u32 position, u64 own,
						 u64 pseudo, u64 flags)
{
	u8 *checksum = packet_at(ctx, packet, position, 2);

	if (!checksum)
		return;
	u16 now = read_u16(checksum);
	if ((flags & CHECKSUM_MAY_BE_NONE) && !now)
		return;
	now = checksum_update(now, own + pseudo);
	write_u16(checksum, (flags & CHECKSUM_MAY_BE_NONE) && !now ? 0xffff : now);
}

/* Take `size` bytes off the front. False: the packet is too short. */
static __always_inline bool packet_pop(struct xdp_md *ctx, struct packet *packet, u32 size)
{
	if (bpf_xdp_adjust_head(ctx, size))
		return false;
	packet->start += size;
	return true;
}

/* Put the first `size` bytes of `words` in front. False: there is no room. */
static __always_inline bool packet_push(struct xdp_md *ctx, struct packet *packet, u64 *words, u32 size,
					u64 encapsulation)
{
	u8 *front;

	(void)encapsulation;
	if (bpf_xdp_adjust_head(ctx, -(s32)size))
		return false;
	packet->start -= size;
	front = packet_at(ctx, packet, packet->start, size);
	if (!front)
		return false;
	write_words(front, words, size);
	return true;
}

/*
 * Keep `keep` bytes from a position on and put `pushed` bytes in front of them, which `wire` holds. Returns how far the
 * headers before have moved besides, -1: there is no room.
 */
static __always_inline s32 packet_quote(struct xdp_md *ctx, struct packet *packet, u32 position, u32 pushed, u32 keep)
{
	u32 front = position - packet->start, length = packet_frame_bytes(ctx);
	u8 *ethernet = packet->wire + WIRE_BYTES - ETHERNET_BYTES - VLAN_BYTES;

	if (length < front + keep || !packet_copy(ctx, packet, packet->start, ethernet, ETHERNET_BYTES + VLAN_BYTES))
		return -1;
	if (length > front + keep && bpf_xdp_adjust_tail(ctx, (s32)(front + keep) - (s32)length))
		return -1;
	if (bpf_xdp_adjust_head(ctx, -(s32)pushed))
		return -1;
	packet->start -= pushed;
	u8 *at = packet_at(ctx, packet, packet->start, ETHERNET_BYTES + VLAN_BYTES);
	if (!at)
		return -1;
	copy_bytes(at, ethernet, ETHERNET_BYTES + VLAN_BYTES);
	at = packet_at(ctx, packet, position - pushed, pushed);
	if (!at)
		return -1;
	copy_bytes(at, packet->wire, pushed);
	return 0;
}

/* Take the tag out. Returns how far the headers before it have moved, -1: the packet is too short. */
static __always_inline s32 packet_pop_vlan(struct xdp_md *ctx, struct packet *packet, u32 position)
{
	/* The tag's EtherType takes the place of the Ethernet header's. */
	u32 before = position - packet->start - 2;

#pragma clang loop unroll(disable)
	for (u32 at = 2; at <= PACKET_OFFSET_MASK; at += 2) {
		if (at > before)
			break;
		u8 *word = packet_at(ctx, packet, packet->start + before - at, 2 + VLAN_BYTES);
		if (!word)
			return -1;
		copy_bytes(word + VLAN_BYTES, word, 2);
	}
	if (bpf_xdp_adjust_head(ctx, VLAN_BYTES))
		return -1;
	packet->start += VLAN_BYTES;
	return VLAN_BYTES;
}

/* Add a tag behind the Ethernet header. Returns how far that has moved to the front, -1: there is no room. */
static __always_inline s32 packet_push_vlan(struct xdp_md *ctx, struct packet *packet, u16 tci)
{
	u8 *ethernet;

	if (bpf_xdp_adjust_head(ctx, -VLAN_BYTES))
		return -1;
	packet->start -= VLAN_BYTES;
	ethernet = packet_at(ctx, packet, packet->start, ETHERNET_BYTES + VLAN_BYTES);
	if (!ethernet)
		return -1;
	copy_bytes(ethernet, ethernet + VLAN_BYTES, ETHERNET_MACS_BYTES);
	write_u16(ethernet + ETHERNET_MACS_BYTES, ETHERTYPE_VLAN);
	write_u16(ethernet + ETHERNET_BYTES, tci);
	return VLAN_BYTES;
}

#endif
