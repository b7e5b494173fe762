/*
 * The ring of a group as compiler.ir.maglev.build_ring makes it, filled here because that takes Python eight times as
 * long. The device puts the members into ring_seats, marks the slots of ring_slots as free, runs
 * fill_ring until `left` is 0, and copies the slots to where the group has its own. One ring at a time.
 */
#ifndef TURNOUT_RINGS_H
#define TURNOUT_RINGS_H

#include "bpf.h"

#define RING_SLOTS 131071	/* of the largest ring */
#define RING_WORDS 2048		/* a bit a slot */
#define RING_SEATS 4096		/* members of a group; larger ones are not filled here */
#define RING_STRIDE 128
#define RING_STRIDES 256

/* A member: what its slots hold, which slot of its permutation comes next and how far it is to the one behind. */
struct ring_seat {
	u32 place;
	u32 next;
	u32 step;	/* below the size of the ring */
	u32 weight;	/* slots in a row, at least 1 */
};

/* `taken` has a bit a slot, beside the slots, for it is what the program looks at most and fits the nearest cache. */
struct ring_space {
	u64 taken[RING_WORDS];
	u64 slots[RING_SLOTS];
};

/* The context of fill_ring: how far the ring is, at first that seat 0 has its turn. */
struct ring_filling {
	u32 size;	/* slots */
	u32 seats;
	u32 seat;	/* whose turn it is */
	u32 due;	/* slots that it still gets in this turn; 0: a turn begins */
	u32 left;	/* slots without a member */
};

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*map_flags)[BPF_F_MMAPABLE];
	int (*max_entries)[RING_SEATS];
	u32 *key;
	struct ring_seat *value;
} ring_seats SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*map_flags)[BPF_F_MMAPABLE];
	int (*max_entries)[1];
	u32 *key;
	struct ring_space *value;
} ring_space SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct ring_filling *value;
} ring_state SEC(".maps");

/*
 * Look at so many slots, each the next one of the member whose turn it is: a free one becomes its own. A function of its
 * own, with what it knows in a map, because the verifier walks through every round of a loop.
 */
__noinline u32 fill_some_of_ring(void)
{
	u32 zero = 0;
	struct ring_filling *state = bpf_map_lookup_elem(&ring_state, &zero);
	struct ring_space *space = bpf_map_lookup_elem(&ring_space, &zero);

	if (!state || !space || !state->left)
		return 0;
	u32 number = state->seat;
	struct ring_seat *seat = bpf_map_lookup_elem(&ring_seats, &number);
	if (!seat)
		return 0;
	u64 at = seat->next, step = seat->step, size = state->size;
#pragma clang loop unroll(disable)
	for (u64 i = 0; i < RING_STRIDE; i++) {	/* of 64 bits, or on the stack the verifier knows it no longer */
		u64 slot = at, bit = 1ULL << (at & 63);
		if (slot >= RING_SLOTS)
			break;
		at += step;
		at = at < size ? at : at - size;
		if (space->taken[slot >> 6] & bit)
			continue;
		space->taken[slot >> 6] |= bit;
		space->slots[slot] = seat->place;
		state->left--;
		state->due = (state->due ? state->due : seat->weight) - 1;
		if (state->due)
			continue;
		seat->next = at;
		state->seat = state->seat + 1 < state->seats ? state->seat + 1 : 0;
		number = state->seat;
		seat = bpf_map_lookup_elem(&ring_seats, &number);
		if (!seat || !state->left)
			return state->left;
		at = seat->next;
		step = seat->step;
	}
	seat->next = at;
	return state->left;
}

SEC("syscall") int fill_ring(struct ring_filling *context)
{
	u32 zero = 0;
	struct ring_filling *state = bpf_map_lookup_elem(&ring_state, &zero);

	if (!state)
		return -1;
	*state = *context;
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < RING_STRIDES; i++)
		if (!fill_some_of_ring())
			break;
	*context = *state;
	return 0;
}

#endif
