/*
 * CRC32c, the checksum of SCTP (RFC 9260, appendix A), follows what changes in the first 4 bytes that it covers. A CRC is
 * linear: how its register differs at the end is the change at the front, as a polynomial, times x^8 for each byte.
 */
#ifndef TURNOUT_CRC32C_H
#define TURNOUT_CRC32C_H

#include "packet.h"

#define CRC32C_POLYNOMIAL 0x82f63b78 /* reflected, as the registers are: the highest bit is the factor of x^0 */
#define CRC32C_POWERS 16

/* x^8, x^16, x^32, ...: what 1, 2, 4, ... bytes multiply by. */
static const volatile u32 crc32c_powers[CRC32C_POWERS] = {
	0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
	0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
};

/* How the register differs behind `length` bytes of which the first four, read little-endian, differ by `change`. */
__noinline u32 crc32c_behind(u32 change, u32 length)
{
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < CRC32C_POWERS; i++) {
		u32 factor = crc32c_powers[i], product = 0;

		if (!(length >> i & 1))
			continue;
#pragma clang loop unroll(disable)
		for (u32 bit = 0; bit < 32; bit++) {
			product ^= factor & -(change >> 31);
			change <<= 1;
			factor = factor >> 1 ^ (CRC32C_POLYNOMIAL & -(factor & 1));
		}
		change = product;
	}
	return change;
}

/*
 * The checksum at a position covers `length` bytes, and of these the first four have flipped bits; `own` is what that
 * adds to an Internet checksum. One of 0 is still to be written, by a network card or the kernel (CHECKSUM_PARTIAL).
 */
static __always_inline void packet_fix_crc32c(struct packet_context *ctx, const struct packet *packet, u32 position,
					      u64 own, u32 flipped, u32 length)
{
	u8 *checksum = packet_at(ctx, packet, position, 4);

	if (!checksum || !flipped)
		return;
	u32 old = read_u32(checksum), now = 0;
	if (old) {
		now = old ^ __builtin_bswap32(crc32c_behind(__builtin_bswap32(flipped), length));
		write_u32(checksum, now);
	}
	packet_sum_changed(ctx, own + changed_u32(old, now));
}

#endif
