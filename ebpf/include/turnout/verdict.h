/*
 * How a packet leaves: what the pipeline decided, done in the way of the hook. Ports of P4 are numbers of the device;
 * which interface stands behind one is in maps that the device fills.
 */
#ifndef TURNOUT_VERDICT_H
#define TURNOUT_VERDICT_H

#include "bpf.h"

#define MAX_PORTS 512

/* A packet that nothing was decided about, and one that there is no program for. */
#if defined(TURNOUT_XDP)
#define VERDICT_NONE XDP_PASS
#define VERDICT_LOST XDP_ABORTED
#else
#define VERDICT_NONE TCX_NEXT
#define VERDICT_LOST TC_ACT_SHOT
#endif

enum verdict { VERDICT_TO_KERNEL, VERDICT_FORWARD, VERDICT_REPLY, VERDICT_DROP, VERDICT_PUNT, VERDICT_MULTICAST };

/* What a control ends with: go on with what follows it, the verdict is given, or (fast path) it is for process(). */
enum next { GO_ON, DONE, UNDECIDED };

/* What became of the packet; test runs read it, since they cannot see where a packet went. */
struct outcome {
	u32 verdict;
	u32 egress_port;
	u32 drop_reason;
	u32 ingress_port;
};

struct counter {
	u64 packets;
	u64 bytes;
};

enum egress_kind { EGRESS_NONE, EGRESS_REDIRECT, EGRESS_PEER };

/* EGRESS_PEER: the interface is one end of a veth pair and the packet appears at the other end. */
struct egress_port {
	u32 ifindex;
	u32 kind;
};

/*
 * The port behind an interface: at the place that the index's low bits name, or, where two interfaces share one, in the
 * map of those that had to move on.
 */
#define INTERFACE_PLACES 65536

struct interface_place {
	u32 ifindex;
	u32 port;
};

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[INTERFACE_PLACES];
	u32 *key;
	struct interface_place *value;
} port_of_ifindex SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[MAX_PORTS];
	u32 *key;
	u32 *value;
} port_of_other_ifindex SEC(".maps");

/* 0: none of the device's. */
static __always_inline u32 port_of(u32 ifindex)
{
	u32 at = ifindex % INTERFACE_PLACES, *other;
	struct interface_place *place = bpf_map_lookup_elem(&port_of_ifindex, &at);

	if (likely(place && place->ifindex == ifindex))
		return place->port;
	other = bpf_map_lookup_elem(&port_of_other_ifindex, &ifindex);
	return other ? *other : 0;
}

#if defined(TURNOUT_XDP)
struct {
	int (*type)[BPF_MAP_TYPE_DEVMAP];
	int (*max_entries)[MAX_PORTS];
	u32 *key;
	u32 *value;
} egress_xdp SEC(".maps");
#else
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[MAX_PORTS];
	u32 *key;
	struct egress_port *value;
} egress SEC(".maps");
#endif

static __always_inline void count_packet(const void *counters, u32 index, u32 bytes)
{
	struct counter *counter = counters ? bpf_map_lookup_elem(counters, &index) : 0;

	if (counter) {
		counter->packets++;
		counter->bytes += bytes;
	}
}

static __always_inline enum next forward_to(struct outcome *outcome, u32 port)
{
	outcome->verdict = VERDICT_FORWARD;
	outcome->egress_port = port;
	return DONE;
}

static __always_inline enum next reply_to(struct outcome *outcome)
{
	outcome->verdict = VERDICT_REPLY;
	outcome->egress_port = outcome->ingress_port;
	return DONE;
}

static __always_inline enum next drop_for(struct outcome *outcome, u32 reason)
{
	outcome->verdict = VERDICT_DROP;
	outcome->drop_reason = reason;
	return DONE;
}

static __always_inline enum next leave_to_kernel(struct outcome *outcome)
{
	outcome->verdict = VERDICT_TO_KERNEL;
	return DONE;
}

#if defined(TURNOUT_XDP)

static __always_inline int verdict_done(struct xdp_md *ctx, const struct outcome *outcome)
{
	(void)ctx;
	switch (outcome->verdict) {
	case VERDICT_TO_KERNEL:
		return XDP_PASS;
	case VERDICT_FORWARD:
		return bpf_redirect_map(&egress_xdp, outcome->egress_port, XDP_DROP);
	case VERDICT_REPLY:
		return XDP_TX;
	default:
		return XDP_DROP;
	}
}

#else

static __always_inline int verdict_forward(struct __sk_buff *ctx, u32 port)
{
	struct egress_port *to = bpf_map_lookup_elem(&egress, &port);

	if (!to || to->kind == EGRESS_NONE)
		return TC_ACT_SHOT;
	if (to->kind == EGRESS_REDIRECT)
		return bpf_redirect(to->ifindex, 0);
	/* It may have been addressed to another MAC before; the receiver would pass over it. */
	bpf_skb_change_type(ctx, PACKET_HOST);
	return bpf_redirect_peer(to->ifindex, 0);
}

static __always_inline int verdict_done(struct __sk_buff *ctx, const struct outcome *outcome)
{
	switch (outcome->verdict) {
	case VERDICT_TO_KERNEL:
		return TCX_NEXT;
	case VERDICT_FORWARD:
		return verdict_forward(ctx, outcome->egress_port);
	case VERDICT_REPLY:
		return bpf_redirect(ctx->ingress_ifindex, 0);
	default:
		return TC_ACT_SHOT;
	}
}

#endif

#endif
