/* A known flow, looked up and touched, and the same program without the look-up. KEYS and SLOTS are powers of two. */
#include "turnout/flow_table.h"

static const volatile u32 bench_timeout_ms[] = {0, 60000, 432000000, 120000};
static const volatile u8 bench_rank[] = {0, 0, 2, 1};
static const volatile u32 bench_moves[] = {1 << 1, 1 << 1 | 1 << 2};
static const volatile struct flow_transition bench_transitions[] = {
	{.event = 0, .current = 1, .next = 2},
	{.event = 1, .current = 1, .next = 3},
	{.event = 1, .current = 2, .next = 3},
};

struct bench_arguments {
	u32 src, dst;
	u16 src_port, dst_port, nexthop, service_id;
};

#define FLOW_STORE bench
#define FLOW_KEY_WORDS 2
#define FLOW_ARGUMENTS struct bench_arguments
#define FLOW_SLOT_BYTES 64
#define FLOW_SLOTS SLOTS
#define FLOW_WAYS 4
#define FLOW_PROFILES 4
#define FLOW_EVENTS 2
#define FLOW_TRANSITIONS 3
#include "turnout/flow_table.h"

struct key {
	u64 words[2];
};

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*map_flags)[BPF_F_MMAPABLE];
	int (*max_entries)[KEYS];
	u32 *key;
	struct key *value;
} keys SEC(".maps");

u64 position = 0;
u64 found = 0;

static __always_inline struct key *next_key(void)
{
	u32 index = position++ & (KEYS - 1);

	return bpf_map_lookup_elem(&keys, &index);
}

SEC("xdp") int nothing(struct xdp_md *context)
{
	struct key *key = next_key();

	found += key && (key->words[0] ^ key->words[1]) != 0;
	return context->data ? 1 : 2;
}

SEC("xdp") int known(struct xdp_md *context)
{
	struct key *key = next_key();
	struct bench_hit hit;
	u64 free;

	if (!key || !bench_find_or_free(key->words, bench_hash(hash_seed, key->words), &hit, &free))
		return 2;
	bench_saw(&hit, 0);
	bench_use(&hit, clock_ms(), 100);
	found += (hit.arguments.dst ^ hit.arguments.service_id) != 0;
	return context->data ? 1 : 2;
}

struct fill {
	u32 first, learned, full;
};

/* Learn a pair for each of 256 keys; the reply's key is the same with its words swapped. */
SEC("syscall") int fill(struct fill *fill)
{
	u32 start = fill->first, learned = 0, full = 0;

	for (u32 i = 0; i < 256; i++) {
		u32 index = start + i;
		struct key *key = bpf_map_lookup_elem(&keys, &index);
		struct flow_half first = {};

		if (!key)
			break;
		struct bench_entry entry = {
			.key = {key->words[0], key->words[1]}, .table = 1, .profile = 1, .now_ms = clock_device_ms(),
			.arguments = {.dst = index + 1},
		};
		entry.hash = bench_hash(hash_seed, entry.key);
		if (bench_learn(&entry, &first) == FLOW_FULL) {
			full++;
			continue;
		}
		entry.key[0] = key->words[1];
		entry.key[1] = key->words[0];
		entry.table = 2;
		entry.hash = bench_hash(hash_seed, entry.key);
		if (bench_learn(&entry, &first) == FLOW_FULL)
			full++;
		else
			learned++;
	}
	fill->learned = learned;
	fill->full = full;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
