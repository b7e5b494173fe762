/*
 * Packets of tc: part of them may lie in pages, the 802.1Q tag is in metadata, checksums and segmentation may be left to
 * a network card that comes later. The kernel's helpers keep all of that right (net/core/filter.c).
 */
#ifndef TURNOUT_PACKET_TC_H
#define TURNOUT_PACKET_TC_H

/* `headers` bytes are brought into reach, as far as the packet has them. */
static __always_inline void packet_reach(struct __sk_buff *ctx, u32 headers)
{
	u32 length = ctx->len, linear = ctx->data_end - ctx->data;

	if (unlikely(linear < headers && linear < length))
		bpf_skb_pull_data(ctx, length < headers ? length : headers);
}

/* Whether the frame's 802.1Q tag is in metadata. */
static __always_inline bool packet_has_hidden_tag(struct __sk_buff *ctx)
{
	return ctx->vlan_present;
}

static __always_inline void packet_begin(struct __sk_buff *ctx, struct packet *packet)
{
	packet->tag = ctx->vlan_present ? TAG_PRESENT | (ctx->vlan_tci & 0xffff) : 0;
	packet->length = ctx->len + (packet->tag ? VLAN_BYTES : 0);
	packet->valid = 0;
	packet->start = PACKET_ORIGIN;
}

static __always_inline struct cursor packet_cursor(struct __sk_buff *ctx, const struct packet *packet)
{
	return (struct cursor){
		.data = (const u8 *)(unsigned long)ctx->data,
		.end = (const u8 *)(unsigned long)ctx->data_end,
		.tag = packet->tag,
		.tag_protocol = swap_u16(ctx->vlan_proto),
	};
}

/* Bytes of payload in each segment that this packet will become, 0 if it stays one. */
static __always_inline u32 packet_segment_bytes(struct __sk_buff *ctx)
{
	return ctx->gso_size;
}

/* A one's complement sum as the kernel holds it. */
static __always_inline u32 packet_kernel_sum(u64 difference)
{
	return swap_u16(checksum_fold(difference));
}

/* Bytes changed that no checksum makes up for, so the one over the whole packet (CHECKSUM_COMPLETE) has to follow. */
static __always_inline void packet_sum_changed(struct __sk_buff *ctx, u64 difference)
{
	bpf_csum_update(ctx, packet_kernel_sum(difference));
}

/*
 * The checksum at a position covers words that changed, `own` in the packet and `pseudo` in the pseudo header. Two calls,
 * because a checksum that is left to the network card (CHECKSUM_PARTIAL) holds the pseudo header's sum alone.
 */
static __always_inline void packet_fix_transport(struct __sk_buff *ctx, const struct packet *packet, u32 position,
						 u64 own, u64 pseudo, u64 flags)
{
	u32 offset = position - packet->start;

	if (flags & CHECKSUM_MAY_BE_NONE) {
		const u8 *checksum = packet_at(ctx, packet, position, 2);

		if (checksum && !read_u16(checksum)) {
			packet_sum_changed(ctx, own);
			return;
		}
	}
	if (!__builtin_constant_p(own))
		bpf_l4_csum_replace(ctx, offset, 0, packet_kernel_sum(own), flags & CHECKSUM_MAY_BE_NONE);
	if (__builtin_constant_p(pseudo))
		return;
	bpf_l4_csum_replace(ctx, offset, 0, packet_kernel_sum(pseudo), BPF_F_PSEUDO_HDR | (flags & CHECKSUM_MAY_BE_NONE));
	/* The helper thinks of IPv4, whose own checksum makes up for the addresses; here the transport's does. */
	if (flags & CHECKSUM_OF_IPV6)
		packet_sum_changed(ctx, pseudo);
}

/* Take `size` bytes off the front; an Ethernet header is next. False: the kernel will not. */
static __always_inline bool packet_pop(struct __sk_buff *ctx, struct packet *packet, u32 size)
{
	long failed = 1;
	u8 *ethernet;

	if (!packet_copy(ctx, packet, packet->start + size, packet->wire, ETHERNET_BYTES))
		return false;
	bool to_ipv6 = read_u16(packet->wire + ETHERNET_MACS_BYTES) == ETHERTYPE_IPV6;
	/* What goes is behind the first Ethernet header, which then takes the bytes of the other one. */
	if (!to_ipv6 || ctx->protocol == swap_u16(ETHERTYPE_IPV6)) {
		failed = bpf_skb_adjust_room(ctx, -(s32)size, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
	} else {
		failed = bpf_skb_adjust_room(ctx, -(s32)size, BPF_ADJ_ROOM_MAC,
					     BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_DECAP_L3_IPV6);
		/* Before 6.3: only this tells the packet that it is IPv6 now, and it adds 20 bytes. */
		if (failed && !bpf_skb_change_proto(ctx, swap_u16(ETHERTYPE_IPV6), 0))
			failed = bpf_skb_adjust_room(ctx, -(s32)(size + 20), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
	}
	if (failed)
		return false;
	packet->start += size;
	ethernet = packet_at(ctx, packet, packet->start, ETHERNET_BYTES);
	if (!ethernet)
		return false;
	copy_bytes(ethernet, packet->wire, ETHERNET_BYTES);
	return true;
}

/* Add an Ethernet header to words of which `size` bytes are in use; there is room for it. */
static __always_inline bool packet_append_ethernet(struct __sk_buff *ctx, const struct packet *packet, u64 *words,
						   u32 size)
{
	u32 last = size / 8, used_bits = 8 * (size % 8);
	const u8 *ethernet = packet_at(ctx, packet, packet->start, ETHERNET_BYTES);

	if (!ethernet)
		return false;
	u64 first = read_u64(ethernet), second = read_u48(ethernet + 8) << 16;
	words[last] = (used_bits ? words[last] : 0) | first >> used_bits;
	words[last + 1] = (used_bits ? first << (64 - used_bits) : 0) | second >> used_bits;
	if (used_bits > 16)
		words[last + 2] = second << (64 - used_bits);
	return true;
}

/*
 * Put the first `size` bytes of `words` in front, which begin with an Ethernet header; so does the packet. The kernel
 * makes room behind the packet's own Ethernet header, so that one moves, and the new one takes its place.
 */
static __always_inline bool packet_push(struct __sk_buff *ctx, struct packet *packet, u64 *words, u32 size,
					u64 encapsulation)
{
	u64 first = words[0], second = words[1];
	u8 *ethernet;

	_Static_assert(ETHERNET_BYTES == 14, "the first Ethernet header ends within the second word");
	if (!packet_append_ethernet(ctx, packet, words, size))
		return false;
#pragma clang loop unroll(full)
	for (u32 i = 0; i < (size + ETHERNET_BYTES + 7) / 8; i++)
		words[i] = __builtin_bswap64(words[i]);
	if (bpf_skb_adjust_room(ctx, size, BPF_ADJ_ROOM_MAC, encapsulation | BPF_F_ADJ_ROOM_FIXED_GSO) ||
	    bpf_skb_store_bytes(ctx, ETHERNET_BYTES, (u8 *)words + ETHERNET_BYTES, size, BPF_F_RECOMPUTE_CSUM))
		return false;
	packet->start -= size;
	ethernet = packet_at(ctx, packet, packet->start, ETHERNET_BYTES);
	if (!ethernet)
		return false;
	write_u64(ethernet, first);
	write_u48(ethernet + 8, second >> 16);
	return true;
}

/* Bring a tag that is in the frame (only in test runs) to where tc packets have it. Bytes that the front moved. */
static __always_inline s32 packet_tag_to_metadata(struct __sk_buff *ctx, struct packet *packet)
{
	const u8 *tag = packet_at(ctx, packet, packet->start + ETHERNET_BYTES, 2);
	u16 tci = tag ? read_u16(tag) : 0;

	if (!tag || bpf_skb_vlan_pop(ctx) || bpf_skb_vlan_push(ctx, swap_u16(ETHERTYPE_VLAN), tci))
		return -1;
	packet->tag = TAG_PRESENT | tci;
	packet->start += VLAN_BYTES;
	return VLAN_BYTES;
}

/*
 * Keep `keep` bytes from a position on and put `pushed` bytes in front of them; `wire` holds all that then follows the
 * Ethernet header. Returns how far the headers before have moved besides, -1: the kernel will not.
 */
static __always_inline s32 packet_quote(struct __sk_buff *ctx, struct packet *packet, u32 position, u32 pushed, u32 keep)
{
	/*
	 * The packet may await a TCP checksum that would be written into what is cut off, and the kernel refuses such a
	 * cut. The wait ends when the front is taken off past the place where the sum begins, in the transport header, of
	 * which something is kept; so the tail first gets as much as then goes.
	 */
	u32 gone = ETHERNET_BYTES + keep;
	s32 moved = 0;

	if (position - packet->start != ETHERNET_BYTES)
		moved = packet_tag_to_metadata(ctx, packet);
	if (moved < 0 || bpf_skb_change_tail(ctx, gone + ETHERNET_BYTES + pushed + keep, 0) ||
	    bpf_skb_adjust_room(ctx, -(s32)gone, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) ||
	    bpf_skb_store_bytes(ctx, ETHERNET_BYTES, packet->wire, pushed + keep, BPF_F_RECOMPUTE_CSUM))
		return -1;
	packet->start -= pushed;
	return moved;
}

/* Take the tag out. Returns how far the headers before it have moved, -1: the kernel will not. */
static __always_inline s32 packet_pop_vlan(struct __sk_buff *ctx, struct packet *packet, u32 position)
{
	u32 before = position - packet->start - ETHERNET_BYTES;

	if (packet->tag || !before) {
		bool in_metadata = packet->tag;

		if (bpf_skb_vlan_pop(ctx))
			return -1;
		packet->tag = 0;
		packet->start += in_metadata ? 0 : VLAN_BYTES;
		return in_metadata ? 0 : VLAN_BYTES;
	}
	/* Inside a tunnel: what lies between the first Ethernet header and the tag moves by the tag's length. */
	u32 last = before - 2 - 1;

	/* Before 6.8 the verifier learns nothing from `size != 0`: the size is made from a number that is checked. */
	asm volatile("" : "+r"(last));
	if (last > WIRE_BYTES - 2)
		return -1;
	u32 size = last + 1;

	if (bpf_skb_load_bytes(ctx, ETHERNET_BYTES, packet->wire, size) ||
	    bpf_skb_adjust_room(ctx, -VLAN_BYTES, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) ||
	    bpf_skb_store_bytes(ctx, ETHERNET_BYTES, packet->wire, size, BPF_F_RECOMPUTE_CSUM))
		return -1;
	packet->start += VLAN_BYTES;
	return VLAN_BYTES;
}

/* Add a tag behind the Ethernet header. Returns how far that has moved to the front, -1: the kernel will not. */
static __always_inline s32 packet_push_vlan(struct __sk_buff *ctx, struct packet *packet, u16 tci)
{
	if (bpf_skb_vlan_push(ctx, swap_u16(ETHERTYPE_VLAN), tci))
		return -1;
	packet->tag = TAG_PRESENT | tci;
	return 0;
}

#endif
