/*
 * Copies of packets: to the replicas of a multicast group, or of a clone session. Included behind the pipeline's scratch
 * memory and behind punt.h, whose ring takes the copies for the controller, and those that are to be cut, which the device
 * sends.
 */
#ifndef TURNOUT_REPLICATE_H
#define TURNOUT_REPLICATE_H

#include "punt.h"
#include "verdict.h"

#if defined(TURNOUT_XDP)
#error "a pipeline that makes copies of packets is for tc: XDP has no way to send one packet twice"
#endif

#define MAX_REPLICAS 128
#define CPU_PORT 509
#define NOT_BACK 0x10000u /* beside a group: no copy by the port that the packet came in by */

enum replication_kind { REPLICATION_GROUP, REPLICATION_SESSION };

struct replication_key {
	u16 id;
	u8 kind;
	u8 side;
};

struct replicas {
	u32 count;
	u32 keep_bytes; /* of the frame; 0: all of it */
	u16 ports[MAX_REPLICAS];
};
_Static_assert(sizeof(struct replicas) == 264, "struct replicas");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[REPLICATION_PLACES];
	struct replication_key *key;
	struct replicas *value;
} replication SEC(".maps");

/* Copies of the last packet, for who cannot see them leave; nothing of it is in a program without `tracing`. */
struct traced_copies {
	u32 count;
	u16 clones; /* the first ones of them */
	u16 ports[2 * MAX_REPLICAS + 1];
};

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct traced_copies *value;
} copies SEC(".maps");

static __always_inline void trace_copy(u32 port, u32 kind)
{
	u32 zero = 0;
	struct traced_copies *found = tracing ? bpf_map_lookup_elem(&copies, &zero) : 0;

	if (!found)
		return;
	u32 at = found->count;
	asm volatile("" : "+r"(at));
	if (at >= 2 * MAX_REPLICAS)
		return;
	found->ports[at] = port;
	found->count = at + 1;
	if (kind == REPLICATION_SESSION)
		found->clones = at + 1;
}

/* One copy. A frame that is to be cut goes to the device, since to cut it here would cut the packet itself. */
__noinline int copy_to(struct packet_context *ctx, u32 port, u32 keep_bytes)
{
	struct scratch *scratch = scratch_of_cpu();
	struct egress_port *to;

	if (!scratch)
		return 0;
	if (port == CPU_PORT || (keep_bytes && keep_bytes < ctx->len + (packet_has_hidden_tag(ctx) ? VLAN_BYTES : 0)))
		return punt_copy(ctx, port, keep_bytes, &scratch->packet_in);
	to = bpf_map_lookup_elem(&egress, &port);
	if (to && to->kind != EGRESS_NONE)
		bpf_clone_redirect(ctx, to->ifindex, 0);
	return 0;
}

/* Whether there are any replicas. A copy that its interface does not take is lost. */
__noinline int replicate(struct packet_context *ctx, u32 id, u32 kind)
{
	struct scratch *scratch = scratch_of_cpu();
	struct replication_key key = {.id = id, .kind = kind};
	struct replicas *found;
	u32 kept_out = 0;

	if (!scratch)
		return 0;
	key.side = scratch->side;
	if (id & NOT_BACK)
		kept_out = scratch->outcome.ingress_port;
	found = bpf_map_lookup_elem(&replication, &key);
	if (!found || !found->count)
		return 0;
	for (u32 at = 0; at < MAX_REPLICAS; at++) {
		if (at >= found->count)
			break;
		u32 port = found->ports[at];

		if (port == kept_out)
			continue;
		trace_copy(port, kind);
		copy_to(ctx, port, found->keep_bytes);
	}
	return 1;
}

static __always_inline enum next multicast_or_drop(struct outcome *outcome, u32 group, u32 unknown)
{
	outcome->verdict = VERDICT_MULTICAST;
	outcome->egress_port = group;
	outcome->drop_reason = unknown;
	return DONE;
}

static __always_inline void multicast(struct packet_context *ctx, struct outcome *outcome)
{
	if (outcome->verdict == VERDICT_MULTICAST && !replicate(ctx, outcome->egress_port, REPLICATION_GROUP))
		outcome->verdict = VERDICT_DROP;
}

#endif
