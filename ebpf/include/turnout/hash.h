/*
 * mix64, the hash of selectors, stores and Hash expressions: the same number as compiler/ir/hashing.py gives.
 */
#ifndef TURNOUT_HASH_H
#define TURNOUT_HASH_H

#include "bpf.h"

#define MIX64_WORD_MULTIPLIER 0x9E3779B97F4A7C15ull
#define MIX64_FINAL_MULTIPLIER 0xD6E8FEB86659FD93ull

/* Drawn at boot by the device, so that nobody outside can aim at one set or one backend. */
const volatile u64 hash_seed;

/* One more word; the state starts as the seed. */
static __always_inline u64 mix64_word(u64 state, u64 word)
{
	state = (state ^ word) * MIX64_WORD_MULTIPLIER;
	return state ^ state >> 32;
}

static __always_inline u64 mix64_final(u64 state)
{
	state *= MIX64_FINAL_MULTIPLIER;
	return state ^ state >> 32;
}

/* The hash of `count` words, a constant where it is called; first word first, as pack_words lays them out. */
static __always_inline u64 mix64(u64 seed, const u64 *words, u32 count)
{
	u64 state = seed;

	for (u32 i = 0; i < count; i++)
		state = mix64_word(state, words[i]);
	return mix64_final(state);
}

#endif
