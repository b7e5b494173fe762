/*
 * The packet under a program: where its headers are, and changes of its length. What differs between tc and XDP is in
 * packet_tc.h and packet_xdp.h; both offer the same functions.
 *
 * A header's position does not change when bytes in front of it come or go: positions count from PACKET_ORIGIN, which
 * is where the frame began, and `start` says where it begins now.
 */
#ifndef TURNOUT_PACKET_H
#define TURNOUT_PACKET_H

#include "checksum.h"

#define PACKET_ORIGIN 256
#define PACKET_OFFSET_MASK 0xff
#define ETHERNET_BYTES 14
#define ETHERNET_MACS_BYTES 12
#define VLAN_BYTES 4
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define TAG_PRESENT 0x10000
#define WIRE_BYTES 160

struct packet {
	u32 length;		/* bytes as received, with the 802.1Q tag wherever it is */
	u32 valid;		/* bits of enum header */
	u32 start;		/* position of the frame's first byte */
	u32 tag;		/* tc: TAG_PRESENT and the tag that is in metadata; 0 without */
	u8 wire[WIRE_BYTES];	/* bytes on their way into or out of the packet */
};

/* Of the program's transport checksums: 0 says that there is none (UDP); the pseudo header is IPv6's. */
#define CHECKSUM_MAY_BE_NONE BPF_F_MARK_MANGLED_0
#define CHECKSUM_OF_IPV6 (1ull << 32)

/* `size` bytes at a position, to be read or written; null when the packet ends before. Lost with the next helper. */
static __always_inline u8 *packet_at(struct packet_context *ctx, const struct packet *packet, u32 position, u32 size)
{
	/* Opaque, or the compiler keeps addresses of its fields, through which the verifier lets nothing be read. */
	asm volatile("" : "+r"(ctx));
	u8 *at = (u8 *)(unsigned long)ctx->data + ((position - packet->start) & PACKET_OFFSET_MASK);
	u8 *end = (u8 *)(unsigned long)ctx->data_end;

	/* The pointer that is compared is the one that is used. */
	asm volatile("" : "+r"(at));
	return at + size > end ? 0 : at;
}

/* Copy bytes out of the packet. False: it ends before. */
static __always_inline bool packet_copy(struct packet_context *ctx, const struct packet *packet, u32 position, u8 *to,
					u32 size)
{
	const u8 *from = packet_at(ctx, packet, position, size);

	if (!from)
		return false;
	copy_bytes(to, from, size);
	return true;
}

/* Update a checksum that is never left to the network card, such as IPv4's. */
static __always_inline void packet_fix_header(u8 *checksum, u64 difference)
{
	write_u16(checksum, checksum_update(read_u16(checksum), difference));
}

/*
 * Update the checksum of a header that another checksum covers: what an ICMP error quotes. What that changes is for the
 * other one to follow. Where it `may_be_none`, 0 says that there is none (RFC 768).
 */
static __always_inline u64 packet_fix_inner(u8 *checksum, u64 difference, bool may_be_none)
{
	u16 old = read_u16(checksum);
	u16 now = checksum_update(old, difference);

	if (may_be_none && !old)
		return 0;
	if (may_be_none && !now)
		now = 0xffff;
	write_u16(checksum, now);
	return changed_u16(old, now);
}

/* The parser's way through the packet. `tag` is non-zero while the frame's 802.1Q tag is in metadata. */
struct cursor {
	const u8 *data;
	const u8 *end;
	u64 at;
	u32 tag;
	u16 tag_protocol;
};

/* The next `size` bytes, and go on behind them; null when the packet ends before. */
static __always_inline const u8 *cursor_take(struct cursor *cursor, u32 size)
{
	const u8 *header = cursor->data + cursor->at;

	if (header + size > cursor->end)
		return 0;
	cursor->at += size;
	return header;
}

/* The EtherType of the Ethernet header that was just taken: a tag in metadata stands behind the first one. */
static __always_inline u16 cursor_ethertype(const struct cursor *cursor, const u8 *header)
{
	if (unlikely(cursor->tag) && cursor->at == ETHERNET_BYTES)
		return cursor->tag_protocol;
	return read_u16(header + ETHERNET_MACS_BYTES);
}

/* The 802.1Q tag: the next bytes of the packet, or those of metadata as they would be in the frame. */
static __always_inline const u8 *cursor_take_vlan(struct cursor *cursor, u8 *wire)
{
	if (likely(!cursor->tag) || cursor->at != ETHERNET_BYTES)
		return cursor_take(cursor, VLAN_BYTES);
	write_u16(wire, cursor->tag);
	copy_bytes(wire + 2, cursor->data + ETHERNET_MACS_BYTES, 2);
	return wire;
}

/* `size` bytes ahead of the cursor, an even constant of 16 or more, as they are in a frame that holds its tag. */
static __always_inline const u8 *cursor_peek(const struct cursor *cursor, u8 *wire, u32 size)
{
	const u8 *ahead = cursor->data + cursor->at;

	if (likely(!cursor->tag) || cursor->at)
		return ahead + size > cursor->end ? 0 : ahead;
	if (ahead + size - VLAN_BYTES > cursor->end)
		return 0;
	copy_bytes(wire, ahead, ETHERNET_MACS_BYTES);
	write_u16(wire + ETHERNET_MACS_BYTES, cursor->tag_protocol);
	write_u16(wire + ETHERNET_BYTES, cursor->tag);
	copy_bytes(wire + ETHERNET_BYTES + 2, ahead + ETHERNET_MACS_BYTES, size - ETHERNET_BYTES - 2);
	return wire;
}

#if defined(TURNOUT_XDP)
#include "packet_xdp.h"
#else
#include "packet_tc.h"
#endif

#endif
