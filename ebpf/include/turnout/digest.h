/*
 * Digests: what packets tell the controller, in a ring that the device drains. One that is full takes nothing, and then
 * digests_lost counts. DIGESTS is how many digests there are.
 */
#ifndef TURNOUT_DIGEST_H
#define TURNOUT_DIGEST_H

#include "ring.h"

#define DIGEST_RING_BYTES (256u << 10)

struct {
	int (*type)[BPF_MAP_TYPE_RINGBUF];
	int (*max_entries)[DIGEST_RING_BYTES];
} digests SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[DIGESTS];
	u32 *key;
	u64 *value;
} digests_lost SEC(".maps");

static __always_inline void lost_digest(u32 number)
{
	u64 *lost = bpf_map_lookup_elem(&digests_lost, &number);

	if (lost)
		++*lost;
}

/* The function that sends a digest, by its place among them. */
#define DIGEST(name, place)                                                                                           \
	static __always_inline void digest_##name(const struct digest_of_##name *said)                                \
	{                                                                                                             \
		struct {                                                                                              \
			u64 number;                                                                                   \
			struct digest_of_##name said;                                                                 \
		} *record = bpf_ringbuf_reserve(&digests, sizeof(*record), 0);                                        \
                                                                                                                      \
		if (!record) {                                                                                        \
			lost_digest(place);                                                                        \
			return;                                                                                       \
		}                                                                                                     \
		record->number = place;                                                                               \
		record->said = *said;                                                                                 \
		bpf_ringbuf_submit(record, 0);                                                                        \
	}

#endif
