/* A store of IPv6 connections as the pipeline has it: five key words, 40 bytes of arguments. */
#include "turnout/flow_table.h"

static const volatile u32 connections_ipv6_timeout_ms[] = {0, 60000, 1000};
static const volatile u8 connections_ipv6_rank[] = {0, 0, 2};
static const volatile u32 connections_ipv6_moves[] = {1 << 1};
static const volatile struct flow_transition connections_ipv6_transitions[] = {{.event = 0, .current = 1, .next = 2}};

struct decision {
	struct u128 src, dst;
	u16 src_port, dst_port, nexthop, service_id;
};

#define FLOW_STORE connections_ipv6
#define FLOW_KEY_WORDS 5
#define FLOW_ARGUMENTS struct decision
#define FLOW_SLOT_BYTES 128
#define FLOW_SLOTS 64
#define FLOW_WAYS 4
#define FLOW_PROFILES 3
#define FLOW_EVENTS 1
#define FLOW_TRANSITIONS 1
#include "turnout/flow_table.h"

struct operation {
	u64 key[5];
	struct decision decision;
	u64 hash;
	u32 learned;
	u32 found;
};

static __always_inline bool is_same(const struct decision *one, const struct decision *two)
{
	return one->src.high == two->src.high && one->src.low == two->src.low && one->dst.high == two->dst.high &&
	       one->dst.low == two->dst.low && one->src_port == two->src_port && one->dst_port == two->dst_port &&
	       one->nexthop == two->nexthop && one->service_id == two->service_id;
}

/* Learn an entry, find it, touch it, tell it an event. */
SEC("syscall") int learn_and_find(struct operation *operation)
{
	struct flow_half first = {};
	struct connections_ipv6_hit hit;
	struct connections_ipv6_entry entry = {.table = 2, .profile = 1, .now_ms = clock_device_ms()};

	for (u32 i = 0; i < 5; i++)
		entry.key[i] = operation->key[i];
	entry.arguments = operation->decision;
	entry.hash = connections_ipv6_hash(hash_seed, entry.key);
	operation->hash = entry.hash;
	operation->learned = connections_ipv6_learn(&entry, &first);
	if (!connections_ipv6_find_or_free(entry.key, entry.hash, &hit, &entry.free))
		return 0;
	connections_ipv6_saw(&hit, 0);
	connections_ipv6_use(&hit, clock_device_ms(), 1500);
	operation->found = is_same(&hit.arguments, &entry.arguments) ? hit.table : 99;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
