/* A tiny store, so that every rule is met soon, and one operation on it for each run. */
#include "turnout/flow_table.h"

enum { NEW = 1, ESTABLISHED, CLOSING, SHORT };
enum { DATA, CLOSE, REOPEN };

static const volatile u32 tiny_timeout_ms[] = {[NEW] = 60, [ESTABLISHED] = 1000, [CLOSING] = 120, [SHORT] = 30};
static const volatile u8 tiny_rank[] = {[NEW] = 0, [ESTABLISHED] = 2, [CLOSING] = 1, [SHORT] = 0};
static const volatile u32 tiny_moves[] = {
	[DATA] = 1 << NEW | 1 << SHORT,
	[CLOSE] = 1 << NEW | 1 << ESTABLISHED | 1 << SHORT,
	[REOPEN] = 1 << CLOSING,
};
static const volatile u32 tiny_over = 1 << CLOSING;
static const volatile struct flow_transition tiny_transitions[] = {
	{.event = DATA, .current = NEW, .other = SHORT, .next = SHORT, .other_next = ESTABLISHED},
	{.event = DATA, .current = NEW, .next = ESTABLISHED},
	{.event = DATA, .current = SHORT, .next = CLOSING},
	{.event = CLOSE, .current = NEW, .next = CLOSING},
	{.event = CLOSE, .current = ESTABLISHED, .other = CLOSING, .next = SHORT, .other_next = SHORT},
	{.event = CLOSE, .current = ESTABLISHED, .next = CLOSING},
	{.event = CLOSE, .current = SHORT, .next = SHORT, .other_next = CLOSING},
	{.event = REOPEN, .current = CLOSING, .next = NEW},
};

struct tiny_arguments {
	u32 address;
	u16 port;
	u16 nexthop;
	u64 mark;
};

#ifndef TINY_SLOTS
#define TINY_SLOTS 8
#endif

#define FLOW_STORE tiny
#define FLOW_KEY_WORDS 2
#define FLOW_ARGUMENTS struct tiny_arguments
#define FLOW_SLOT_BYTES 64
#define FLOW_SLOTS TINY_SLOTS
#define FLOW_WAYS 4
#define FLOW_PROFILES 5
#define FLOW_EVENTS 3
#define FLOW_TRANSITIONS 8
#define FLOW_COUNTS 16
#include "turnout/flow_table.h"

struct operation {
	u64 keys[2][2];
	struct tiny_arguments arguments[2];
	u32 halves;	/* how many entries the packet learns */
	u32 profile;
	u32 event;	/* what a hit tells its entry: 0 nothing, else the event + 1 */
	u32 bytes;
	u32 result[2];	/* of learn, as enum flow_learned; of find, hit or not and the entry's table */
	struct tiny_arguments found;
};

static __always_inline bool look_up(const u64 *key, struct tiny_hit *hit)
{
	u64 free;

	return tiny_find_or_free(key, tiny_hash(hash_seed, key), hit, &free);
}

SEC("syscall") int find(struct operation *operation)
{
	u64 key[2] = {operation->keys[0][0], operation->keys[0][1]};
	u32 event = operation->event - 1;
	struct tiny_hit hit;

	operation->result[0] = look_up(key, &hit);
	if (!operation->result[0])
		return 0;
	operation->result[1] = hit.table;
	operation->found = hit.arguments;
	if (event < 3)
		tiny_saw(&hit, event);
	tiny_use(&hit, clock_device_ms(), operation->bytes);
	return 0;
}

static __always_inline int learn_one(struct operation *operation, u32 half, struct flow_half *first)
{
	struct tiny_entry entry = {
		.key = {operation->keys[half][0], operation->keys[half][1]},
		.now_ms = clock_device_ms(),
		.table = half + 1,
		.profile = operation->profile,
		.counted = half ? 0 : 7,
		.arguments = operation->arguments[half],
	};

	entry.hash = tiny_hash(hash_seed, entry.key);
	return tiny_learn(&entry, first);
}

SEC("syscall") int learn(struct operation *operation)
{
	struct flow_half first = {};

	operation->result[0] = learn_one(operation, 0, &first);
	if (operation->halves == 2 && operation->result[0])
		operation->result[1] = learn_one(operation, 1, &first);
	return 0;
}

/* For races: all arguments follow from the key, so that a hit shows whether they were copied as one. */
const volatile u32 hammered_keys = 1;
u64 hits = 0, torn = 0, learned = 0, full = 0;

static __always_inline struct tiny_arguments arguments_of(const u64 *key)
{
	return (struct tiny_arguments){
		.address = (u32)(key[0] * 31), .port = (u16)(key[1] * 7), .nexthop = (u16)key[0], .mark = key[0] ^ ~key[1],
	};
}

static __always_inline int learn_pair(const u64 *key)
{
	struct flow_half first = {};
	struct tiny_entry entry = {.now_ms = clock_ms(), .profile = NEW};

#pragma clang loop unroll(disable)
	for (u32 half = 0; half < 2; half++) {
		entry.key[0] = key[half];
		entry.key[1] = key[!half];
		entry.table = half + 1;
		entry.counted = half ? 0 : 1 + key[0] % 7;
		entry.hash = tiny_hash(hash_seed, entry.key);
		entry.arguments = arguments_of(entry.key);
		if (tiny_learn(&entry, &first) == FLOW_FULL)
			return FLOW_FULL;
	}
	return FLOW_LEARNED;
}

SEC("xdp") int hammer(struct xdp_md *context)
{
	u32 chosen = bpf_get_prandom_u32() % hammered_keys, is_reply = bpf_get_prandom_u32() & 1;
	u64 both[2] = {1000 + chosen, 2000 + chosen};
	u64 key[2] = {is_reply ? both[1] : both[0], is_reply ? both[0] : both[1]};
	struct tiny_hit hit;

	if (look_up(key, &hit)) {
		struct tiny_arguments right = arguments_of(key);

		if (hit.arguments.address != right.address || hit.arguments.port != right.port ||
		    hit.arguments.nexthop != right.nexthop || hit.arguments.mark != right.mark)
			__sync_fetch_and_add(&torn, 1);
		__sync_fetch_and_add(&hits, 1);
		tiny_use(&hit, clock_ms(), context->data_end - context->data);
		tiny_advance(hit.index, hit.head, CLOSE);
	} else if (!is_reply) {
		__sync_fetch_and_add(learn_pair(key) == FLOW_FULL ? &full : &learned, 1);
	}
	return 2;
}

/*
 * Both halves of the pair (1, 2) are closed at the same instant by two CPUs, round after round; `half_closed` counts the
 * rounds after which they are not both SHORT. A CPU that waits in vain for the other one ends it all: `is_late`.
 */
u64 arrived = 0, rounds = 0, half_closed = 0, is_late = 0;

static long has_come(u32 attempt __attribute__((unused)), u64 *target)
{
	return FLOW_READ(arrived) >= *target;
}

static __always_inline void meet(void)
{
	u64 target = (__sync_fetch_and_add(&arrived, 1) | 1) + 1;

#pragma clang loop unroll(disable)
	for (u32 i = 0; i < 32 && !is_late && FLOW_READ(arrived) < target; i++)
		((long (*)(u32, void *, void *, u64))181)(1 << 23, has_come, &target, 0);	/* bpf_loop, of 5.17 */
	if (FLOW_READ(arrived) < target)
		is_late = 1;
}

static __always_inline u32 profile_now(const u64 *key)
{
	struct tiny_hit hit;

	return look_up(key, &hit) ? hit.profile : 0;
}

SEC("xdp") int close_together(struct xdp_md *context)
{
	u8 *first_byte = (void *)(long)context->data;
	struct tiny_hit hit;

	if (first_byte + 1 > (u8 *)(long)context->data_end)
		return 1;
	bool is_reply = *first_byte;
	u64 key[2] = {is_reply ? 2 : 1, is_reply ? 1 : 2}, other[2] = {key[1], key[0]};

	if (is_late || !look_up(key, &hit))
		return 1;
	meet();
	__sync_val_compare_and_swap(&hit.slot->head, hit.head, tiny_with_profile(hit.head, ESTABLISHED));
	meet();
	if (look_up(key, &hit)) {
		tiny_saw(&hit, CLOSE);
		tiny_use(&hit, clock_ms(), 0);
	}
	meet();
	if (!is_reply && !is_late) {
		rounds++;
		half_closed += profile_now(key) != SHORT || profile_now(other) != SHORT;
	}
	return 2;
}

char LICENSE[] SEC("license") = "GPL";
