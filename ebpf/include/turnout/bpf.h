/*
 * What a BPF program needs of the kernel's interface (include/uapi/linux/bpf.h), and no more: types, maps, helpers by
 * number, the contexts of tc and XDP. Nothing else is included, so a compiler is all that a build takes.
 */
#ifndef TURNOUT_BPF_H
#define TURNOUT_BPF_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;

#define bool _Bool
#define true 1
#define false 0

/* A number of 128 bits, such as an IPv6 address: compared and copied, never computed with. */
struct u128 {
	u64 high;
	u64 low;
};

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PROG_ARRAY 3
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LPM_TRIE 11
#define BPF_MAP_TYPE_ARRAY_OF_MAPS 12
#define BPF_MAP_TYPE_DEVMAP 14

#define BPF_F_NO_PREALLOC (1u << 0)
#define BPF_F_MMAPABLE (1u << 10)
#define BPF_F_INNER_MAP (1u << 12)

/* Flags of helpers. */
#define BPF_F_RECOMPUTE_CSUM (1ull << 0)
#define BPF_F_PSEUDO_HDR (1ull << 4)
#define BPF_F_MARK_MANGLED_0 (1ull << 5)
#define BPF_F_ADJ_ROOM_FIXED_GSO (1ull << 0)
#define BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 (1ull << 1)
#define BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 (1ull << 2)
#define BPF_F_ADJ_ROOM_ENCAP_L4_UDP (1ull << 4)
#define BPF_F_ADJ_ROOM_ENCAP_L2_ETH (1ull << 6)
#define BPF_F_ADJ_ROOM_DECAP_L3_IPV6 (1ull << 8)
#define BPF_F_ADJ_ROOM_ENCAP_L2(bytes) (((u64)(bytes)&0xff) << 56)
#define BPF_ADJ_ROOM_MAC 1

#define TC_ACT_SHOT 2
#define TCX_NEXT -1 /* TC_ACT_UNSPEC to clsact: the next program, then the stack */
enum xdp_action { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX, XDP_REDIRECT };
#define PACKET_HOST 0

struct __sk_buff {
	u32 len;
	u32 pkt_type;
	u32 mark;
	u32 queue_mapping;
	u32 protocol;
	u32 vlan_present;
	u32 vlan_tci;
	u32 vlan_proto;
	u32 priority;
	u32 ingress_ifindex;
	u32 ifindex;
	u32 tc_index;
	u32 cb[5];
	u32 hash;
	u32 tc_classid;
	u32 data;
	u32 data_end;
	u32 napi_id;
	u32 family;
	u32 remote_ip4;
	u32 local_ip4;
	u32 remote_ip6[4];
	u32 local_ip6[4];
	u32 remote_port;
	u32 local_port;
	u32 data_meta;
	u64 flow_keys;
	u64 tstamp;
	u32 wire_len;
	u32 gso_segs;
	u64 sk;
	u32 gso_size;
	u8 tstamp_type;
	u8 padding[3];
	u64 hwtstamp;
};
_Static_assert(sizeof(struct __sk_buff) == 192, "struct __sk_buff");

struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
	u32 rx_queue_index;
	u32 egress_ifindex;
};
_Static_assert(sizeof(struct xdp_md) == 24, "struct xdp_md");

static void *(*const bpf_map_lookup_elem)(const void *map, const void *key) = (void *)1;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*const bpf_get_prandom_u32)(void) = (void *)7;
static long (*const bpf_skb_store_bytes)(struct __sk_buff *skb, u32 offset, const void *from, u32 len, u64 flags) =
	(void *)9;
static long (*const bpf_l4_csum_replace)(struct __sk_buff *skb, u32 offset, u64 from, u64 to, u64 flags) = (void *)11;
static long (*const bpf_tail_call)(void *ctx, const void *programs, u32 index) = (void *)12;
static long (*const bpf_skb_vlan_push)(struct __sk_buff *skb, u16 protocol, u16 tci) = (void *)18;
static long (*const bpf_skb_vlan_pop)(struct __sk_buff *skb) = (void *)19;
static long (*const bpf_clone_redirect)(struct __sk_buff *skb, u32 ifindex, u64 flags) = (void *)13;
static long (*const bpf_redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*const bpf_skb_change_proto)(struct __sk_buff *skb, u16 protocol, u64 flags) = (void *)31;
static long (*const bpf_skb_change_type)(struct __sk_buff *skb, u32 type) = (void *)32;
static long (*const bpf_skb_change_tail)(struct __sk_buff *skb, u32 len, u64 flags) = (void *)38;
static long (*const bpf_skb_pull_data)(struct __sk_buff *skb, u32 len) = (void *)39;
static long (*const bpf_skb_load_bytes)(struct __sk_buff *skb, u32 offset, void *to, u32 len) = (void *)26;
static s64 (*const bpf_csum_update)(struct __sk_buff *skb, u32 sum) = (void *)40;
static long (*const bpf_xdp_adjust_head)(struct xdp_md *xdp, int delta) = (void *)44;
static long (*const bpf_skb_adjust_room)(struct __sk_buff *skb, s32 difference, u32 mode, u64 flags) = (void *)50;
static long (*const bpf_redirect_map)(const void *map, u64 key, u64 flags) = (void *)51;
static long (*const bpf_xdp_adjust_tail)(struct xdp_md *xdp, int delta) = (void *)65;
static long (*const bpf_redirect_peer)(u32 ifindex, u64 flags) = (void *)155;
static u64 (*const bpf_jiffies64)(void) = (void *)118;
static u64 (*const bpf_ktime_get_coarse_ns)(void) = (void *)160;

/* A map of an array of maps, or 0. */
static __always_inline const void *map_in(const void *maps, u32 place)
{
	return bpf_map_lookup_elem(maps, &place);
}

/* An entry of such a map, or 0. Inlined: a call and its return cost as much as the look-up (docs/bench.md). */
static __always_inline void *entry_in(const void *maps, u32 place, const void *key)
{
	const void *map = map_in(maps, place);

	return map ? bpf_map_lookup_elem(map, key) : 0;
}

/* The hook that this object is for. The macro keeps the kernel's name in BTF, by which it knows a context. */
#if defined(TURNOUT_XDP)
#define packet_context xdp_md
#else
#define packet_context __sk_buff
#endif

#endif
