#include "kernel.h"

ENTRIES(table, HASH, 16, u32, u64);

SEC("tc") int fine(struct skb *skb)
{
	return skb->len ? TC_OK : TC_SHOT;
}

SEC("tc") int careless(struct skb *skb)
{
	u32 key = skb->mark;
	u64 *value = map_lookup(&table, &key);

	return *value;
}

char LICENSE[] SEC("license") = "GPL";
