#include "kernel.h"

const volatile u32 verdict = 0;
const volatile s32 offset = -1;
const volatile u8 tag[4] = {1, 2, 3, 4};
u64 runs = 5;

struct counted {
	u8 kind;
	u32 low : 3;
	u64 packets;
};

ENTRIES(table, HASH, 16, u32, u64);
ENTRIES(counters, PERCPU_ARRAY, 2, u32, struct counted);
ENTRIES(slots, PROG_ARRAY, 4, u32, u32);

/* Writes tag over the destination address, counts, leaves marks in cb. */
SEC("tc") int rewrite(struct skb *skb)
{
	u32 zero = 0;
	struct counted *counted = map_lookup(&counters, &zero);

	if (counted)
		counted->packets++;
	u8 bytes[4] = {tag[0], tag[1], tag[2], tag[3]};
	skb_store_bytes(skb, 0, bytes, sizeof(bytes), 0);
	skb->cb[0] += offset;
	skb->cb[4] = skb->ifindex;
	skb->mark = skb->ingress_ifindex;
	runs++;
	return verdict;
}

SEC("tc") int jump(struct skb *skb)
{
	tail_call(skb, &slots, 1);
	return TC_SHOT;
}

SEC("tc") int pass(struct skb *skb)
{
	return skb->len ? TC_NEXT : TC_SHOT;
}

SEC("tc") int drop(struct skb *skb)
{
	return skb->len ? TC_SHOT : TC_NEXT;
}

char LICENSE[] SEC("license") = "GPL";
