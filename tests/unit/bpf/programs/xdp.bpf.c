#include "kernel.h"

/* Swaps the frame's first byte and leaves four bytes of metadata; a frame that came with metadata is dropped. */
SEC("xdp") int edge(struct xdp *ctx)
{
	u8 *data = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;

	if (ctx->data_meta != ctx->data || data + 1 > end)
		return XDP_DROP;
	data[0] = 0xee;
	if (xdp_adjust_meta(ctx, -4))
		return XDP_DROP;
	u32 *meta = (u32 *)(long)ctx->data_meta;
	if ((u8 *)(meta + 1) > (u8 *)(long)ctx->data)
		return XDP_DROP;
	*meta = ctx->ingress_ifindex;
	return XDP_PASS;
}

SEC("xdp") int blackhole(struct xdp *ctx)
{
	return ctx->data ? XDP_DROP : XDP_PASS;
}

struct sweep {
	u32 from, to, found;
};

ENTRIES(slots, ARRAY, 64, u32, u64);

/* Counts slots that are not zero, in [from, to). */
SEC("syscall") int sweep(struct sweep *ctx)
{
	ctx->found = 0;
	for (u32 i = 0; i < 64; i++) {
		u32 key = i;
		u64 *slot = map_lookup(&slots, &key);

		if (slot && *slot && i >= ctx->from && i < ctx->to)
			ctx->found++;
	}
	return -7;
}

char LICENSE[] SEC("license") = "GPL";
