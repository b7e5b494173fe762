/* The little of the kernel's interface that the test programs need; no kernel headers. */
#ifndef KERNEL_H
#define KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;

#define SEC(name) __attribute__((section(name), used))
#define ALWAYS static inline __attribute__((always_inline))
#define ENTRIES(name, kind, count, K, V) \
	struct { int (*type)[kind]; int (*max_entries)[count]; K *key; V *value; } name SEC(".maps")

enum { HASH = 1, ARRAY = 2, PROG_ARRAY = 3, PERCPU_ARRAY = 6 };
enum { TC_NEXT = -1, TC_OK = 0, TC_SHOT = 2, XDP_DROP = 1, XDP_PASS = 2, XDP_TX = 3 };

struct skb {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority;
	u32 ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end;
};

struct xdp {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index;
};

static void *(*const map_lookup)(void *map, const void *key) = (void *)1;
static long (*const tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static long (*const skb_store_bytes)(void *skb, u32 offset, const void *from, u32 len, u64 flags) = (void *)9;
static long (*const xdp_adjust_meta)(void *ctx, int delta) = (void *)54;

#endif
