/*
 * Internet checksums (RFC 1071) and their update (RFC 1624, equation 3), in host byte order. A sum is of big-endian
 * words of 16 or 32 bits (2^32 is 1 to one's complement of 16 bits, too); its carries wait until the fold.
 */
#ifndef TURNOUT_CHECKSUM_H
#define TURNOUT_CHECKSUM_H

#include "wire.h"

static __always_inline u16 checksum_fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/*
 * The checksum after its words changed by `difference`. The 0xffff is a zero of one's complement: with it the result
 * is never 0xffff, as in the kernel's csum_replace and the interpreter's.
 */
static __always_inline u16 checksum_update(u16 checksum, u64 difference)
{
	return ~checksum_fold(0xffff + (u16)~checksum + difference);
}

/* What the change of a number adds to a sum. */
static __always_inline u64 changed_u16(u16 from, u16 to)
{
	return (u64)(u16)~from + to;
}

static __always_inline u64 changed_u32(u32 from, u32 to)
{
	return (u64)~from + to;
}

static __always_inline u64 changed_u48(u64 from, u64 to)
{
	return changed_u16(from >> 32, to >> 32) + changed_u32(from, to);
}

static __always_inline u64 changed_u64(u64 from, u64 to)
{
	return changed_u32(from >> 32, to >> 32) + changed_u32(from, to);
}

static __always_inline u64 changed_u128(const struct u128 *from, const struct u128 *to)
{
	return changed_u64(from->high, to->high) + changed_u64(from->low, to->low);
}

/* The sum of the words of `size` bytes, an even constant. */
static __always_inline u64 checksum_sum(const u8 *at, u32 size)
{
	u64 sum = 0;

#pragma clang loop unroll(full)
	for (u32 i = 0; i < size; i += 2)
		sum += read_u16(at + i);
	return sum;
}

#endif
