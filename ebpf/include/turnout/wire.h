/*
 * Numbers on the wire: big-endian, at any address. Aligned types although the address may not be: the kernels of x86
 * and arm64 allow it in packets and map values (not on the stack), and packed types would be read byte by byte.
 */
#ifndef TURNOUT_WIRE_H
#define TURNOUT_WIRE_H

#include "bpf.h"

typedef u16 __attribute__((may_alias)) wire_u16;
typedef u32 __attribute__((may_alias)) wire_u32;
typedef u64 __attribute__((may_alias)) wire_u64;

static __always_inline u16 swap_u16(u16 value)
{
	return __builtin_bswap16(value);
}

static __always_inline u8 read_u8(const u8 *at)
{
	return *at;
}

static __always_inline u16 read_u16(const u8 *at)
{
	return __builtin_bswap16(*(const wire_u16 *)at);
}

static __always_inline u32 read_u24(const u8 *at)
{
	return (u32)read_u16(at) << 8 | at[2];
}

static __always_inline u32 read_u32(const u8 *at)
{
	return __builtin_bswap32(*(const wire_u32 *)at);
}

static __always_inline u64 read_u48(const u8 *at)
{
	return (u64)read_u32(at) << 16 | read_u16(at + 4);
}

static __always_inline u64 read_u64(const u8 *at)
{
	return __builtin_bswap64(*(const wire_u64 *)at);
}

/* Wide numbers by pointer: passed by value, clang 14 takes them apart into single bytes. */
static __always_inline void read_u128(struct u128 *to, const u8 *at)
{
	to->high = read_u64(at);
	to->low = read_u64(at + 8);
}

static __always_inline void write_u8(u8 *at, u8 value)
{
	*at = value;
}

static __always_inline void write_u16(u8 *at, u16 value)
{
	*(wire_u16 *)at = __builtin_bswap16(value);
}

static __always_inline void write_u24(u8 *at, u32 value)
{
	write_u16(at, value >> 8);
	at[2] = value;
}

static __always_inline void write_u32(u8 *at, u32 value)
{
	*(wire_u32 *)at = __builtin_bswap32(value);
}

static __always_inline void write_u48(u8 *at, u64 value)
{
	write_u32(at, value >> 16);
	write_u16(at + 4, value);
}

static __always_inline void write_u64(u8 *at, u64 value)
{
	*(wire_u64 *)at = __builtin_bswap64(value);
}

static __always_inline void write_u128(u8 *at, const struct u128 *value)
{
	write_u64(at, value->high);
	write_u64(at + 8, value->low);
}

/* The first `size` bytes of words whose most significant byte is the first one; `size` is a constant. */
static __always_inline void write_words(u8 *at, const u64 *words, u32 size)
{
	u32 whole = size / 8 * 8, rest = size % 8;

#pragma clang loop unroll(full)
	for (u32 i = 0; i < size / 8; i++)
		write_u64(at + 8 * i, words[i]);
	if (rest == 6)
		write_u48(at + whole, words[size / 8] >> 16);
	else if (rest == 4)
		write_u32(at + whole, words[size / 8] >> 32);
	else if (rest == 2)
		write_u16(at + whole, words[size / 8] >> 48);
}

static __always_inline bool is_equal_u128(const struct u128 *left, const struct u128 *right)
{
	return !((left->high ^ right->high) | (left->low ^ right->low));
}

/* `size` is a constant where this is called. Not memcpy, which would move single bytes. */
static __always_inline void copy_bytes(u8 *to, const u8 *from, u32 size)
{
	u32 at = 0;

#pragma clang loop unroll(full)
	for (; at + 8 <= size; at += 8)
		*(wire_u64 *)(to + at) = *(const wire_u64 *)(from + at);
	if (at + 4 <= size) {
		*(wire_u32 *)(to + at) = *(const wire_u32 *)(from + at);
		at += 4;
	}
	if (at + 2 <= size) {
		*(wire_u16 *)(to + at) = *(const wire_u16 *)(from + at);
		at += 2;
	}
	if (at < size)
		to[at] = from[at];
}

#endif
