/*
 * turnout, version 12. Services, tunnels and routes of the networks that a device serves.
 *
 * Printed from the pipeline's IR; compiled with TURNOUT_TC and with TURNOUT_XDP. A packet is parsed into the scratch
 * memory of its CPU, runs through the controls, which look tables up, and leaves as the outcome says.
 */
#include "turnout/bpf.h"
#include "turnout/clock.h"
#include "turnout/crc32c.h"
#include "turnout/flow_table.h"
#include "turnout/hash.h"
#include "turnout/meter.h"
#include "turnout/packet.h"
#include "turnout/random.h"
#include "turnout/rings.h"
#include "turnout/trace.h"
#include "turnout/verdict.h"

/* Whether a table can have entries; where it is 0 the verifier takes the code out. */
const volatile u8 uses_port = 1;
const volatile u8 uses_tunnel = 1;
const volatile u8 uses_arp = 1;
const volatile u8 uses_nd = 1;
const volatile u8 uses_neighbor = 1;
const volatile u8 uses_network = 1;
const volatile u8 uses_eip_ipv4 = 1;
const volatile u8 uses_entrance_ipv4 = 1;
const volatile u8 uses_eip_ipv6 = 1;
const volatile u8 uses_entrance_ipv6 = 1;
const volatile u8 uses_source_range_ipv4 = 1;
const volatile u8 uses_source_range_ipv6 = 1;
const volatile u8 uses_service_ipv4 = 1;
const volatile u8 uses_backend_ipv4 = 1;
const volatile u8 uses_route_ipv4 = 1;
const volatile u8 uses_service_ipv6 = 1;
const volatile u8 uses_backend_ipv6 = 1;
const volatile u8 uses_route_ipv6 = 1;
const volatile u8 uses_outbound_ipv4 = 1;
const volatile u8 uses_inbound_ipv4 = 1;
const volatile u8 uses_proxy_ipv4 = 1;
const volatile u8 uses_outbound_ipv6 = 1;
const volatile u8 uses_inbound_ipv6 = 1;
const volatile u8 uses_proxy_ipv6 = 1;
const volatile u8 uses_redirect_limit_ipv4 = 1;
const volatile u8 uses_redirect_limit_ipv6 = 1;
const volatile u8 uses_storage = 1;
const volatile u8 uses_affinity_backend_ipv4 = 1;
const volatile u8 uses_affinity_backend_ipv6 = 1;
const volatile u8 uses_isolated_source_ipv4 = 1;
const volatile u8 uses_isolated_destination_ipv4 = 1;
const volatile u8 uses_egress_peer_ipv4 = 1;
const volatile u8 uses_ingress_peer_ipv4 = 1;
const volatile u8 uses_egress_port_ipv4 = 1;
const volatile u8 uses_ingress_port_ipv4 = 1;
const volatile u8 uses_isolated_source_ipv6 = 1;
const volatile u8 uses_isolated_destination_ipv6 = 1;
const volatile u8 uses_egress_peer_ipv6 = 1;
const volatile u8 uses_ingress_peer_ipv6 = 1;
const volatile u8 uses_egress_port_ipv6 = 1;
const volatile u8 uses_ingress_port_ipv6 = 1;
const volatile u8 uses_crossing_ipv4 = 1;
const volatile u8 uses_crossing_ipv6 = 1;
const volatile u8 uses_direct_backend_ipv4 = 1;
const volatile u8 uses_direct_backend_ipv6 = 1;
const volatile u8 uses_served_ipv4 = 1;
const volatile u8 uses_served_ipv6 = 1;
const volatile u8 uses_connections_ipv4 = 1;
const volatile u8 uses_connections_ipv6 = 1;
const volatile u8 uses_affinities = 1;

/* Bits of headers that a packet has. */
enum header {
	HEADER_OUTER_ETHERNET = 1 << 0,
	HEADER_OUTER_IPV4 = 1 << 1,
	HEADER_OUTER_UDP = 1 << 2,
	HEADER_VXLAN = 1 << 3,
	HEADER_ETHERNET = 1 << 4,
	HEADER_VLAN = 1 << 5,
	HEADER_ERROR_IPV4 = 1 << 6,
	HEADER_ERROR_ICMP = 1 << 7,
	HEADER_ERROR_IPV6 = 1 << 8,
	HEADER_ERROR_ICMPV6 = 1 << 9,
	HEADER_ARP = 1 << 10,
	HEADER_IPV4 = 1 << 11,
	HEADER_OPTIONS_32 = 1 << 12,
	HEADER_OPTIONS_16 = 1 << 13,
	HEADER_OPTIONS_8 = 1 << 14,
	HEADER_OPTIONS_4 = 1 << 15,
	HEADER_IPV6 = 1 << 16,
	HEADER_FRAGMENT = 1 << 17,
	HEADER_TCP = 1 << 18,
	HEADER_UDP = 1 << 19,
	HEADER_SCTP = 1 << 20,
	HEADER_ICMP = 1 << 21,
	HEADER_ICMPV6 = 1 << 22,
	HEADER_NEIGHBOR = 1 << 23,
	HEADER_QUOTED_IPV4 = 1 << 24,
	HEADER_QUOTED_IPV6 = 1 << 25,
	HEADER_QUOTED_PORTS = 1 << 26,
	HEADER_QUOTED_UDP = 1 << 27,
};

enum action {
	ACTION_MISS = 0x000001,
	ACTION_SET_WORKLOAD = 0x000002,
	ACTION_SET_UPLINK = 0x000003,
	ACTION_ENTER_NETWORK = 0x000004,
	ACTION_ANSWER = 0x000005,
	ACTION_SET_PROXY = 0x00000a,
	ACTION_DELIVER = 0x000006,
	ACTION_ENCAPSULATE = 0x000007,
	ACTION_SET_GATEWAY = 0x000008,
	ACTION_VIA = 0x000009,
	ACTION_ENTER_FROM_OUTSIDE = 0x00000b,
	ACTION_CAME_IN_BY = 0x00000c,
	ACTION_ADMIT_SOURCE_IPV4 = 0x000018,
	ACTION_DENY_SOURCE_IPV4 = 0x000019,
	ACTION_ADMIT_SOURCE_IPV6 = 0x000048,
	ACTION_DENY_SOURCE_IPV6 = 0x000049,
	ACTION_TRANSLATE_IPV4 = 0x000011,
	ACTION_TRANSLATE_REPLY_IPV4 = 0x000012,
	ACTION_TO_SERVICE_IPV4 = 0x000013,
	ACTION_TO_SERVICE_BY_SOURCE_IPV4 = 0x000015,
	ACTION_TO_SERVICE_BY_CHANCE_IPV4 = 0x000016,
	ACTION_TO_SERVICE_IN_TURN_IPV4 = 0x00001c,
	ACTION_TO_SERVICE_BY_COUNT_IPV4 = 0x00001d,
	ACTION_TO_BACKEND_IPV4 = 0x000014,
	ACTION_TO_BACKEND_ACROSS_IPV4 = 0x00001e,
	ACTION_TO_DIRECT_BACKEND_IPV4 = 0x00001f,
	ACTION_TRANSLATE_IPV6 = 0x000041,
	ACTION_TRANSLATE_REPLY_IPV6 = 0x000042,
	ACTION_TO_SERVICE_IPV6 = 0x000043,
	ACTION_TO_SERVICE_BY_SOURCE_IPV6 = 0x000045,
	ACTION_TO_SERVICE_BY_CHANCE_IPV6 = 0x000046,
	ACTION_TO_SERVICE_IN_TURN_IPV6 = 0x00004c,
	ACTION_TO_SERVICE_BY_COUNT_IPV6 = 0x00004d,
	ACTION_TO_BACKEND_IPV6 = 0x000044,
	ACTION_TO_BACKEND_ACROSS_IPV6 = 0x00004e,
	ACTION_TO_DIRECT_BACKEND_IPV6 = 0x00004f,
	ACTION_REDIRECT_OUTBOUND_IPV4 = 0x000030,
	ACTION_BYPASS_OUTBOUND_IPV4 = 0x000031,
	ACTION_DENY_OUTBOUND_IPV4 = 0x000032,
	ACTION_REDIRECT_INBOUND_IPV4 = 0x000034,
	ACTION_BYPASS_INBOUND_IPV4 = 0x000035,
	ACTION_DENY_INBOUND_IPV4 = 0x000036,
	ACTION_TO_PROXY_IPV4 = 0x000038,
	ACTION_REDIRECT_OUTBOUND_IPV6 = 0x000060,
	ACTION_BYPASS_OUTBOUND_IPV6 = 0x000061,
	ACTION_DENY_OUTBOUND_IPV6 = 0x000062,
	ACTION_REDIRECT_INBOUND_IPV6 = 0x000064,
	ACTION_BYPASS_INBOUND_IPV6 = 0x000065,
	ACTION_DENY_INBOUND_IPV6 = 0x000066,
	ACTION_TO_PROXY_IPV6 = 0x000068,
	ACTION_LIMIT_REDIRECTS_IPV4 = 0x00003c,
	ACTION_LIMIT_REDIRECTS_IPV6 = 0x00006c,
	ACTION_ADMIT = 0x000078,
	ACTION_CLASSIFY_STORAGE = 0x000079,
	ACTION_REMEMBERED = 0x000070,
	ACTION_MAY_STAY = 0x000071,
	ACTION_ISOLATE_SOURCE = 0x000100,
	ACTION_ISOLATE_DESTINATION = 0x000101,
	ACTION_HAS_PORTS = 0x000102,
	ACTION_CROSS = 0x000080,
	ACTION_HAS_BACKEND = 0x000081,
	ACTION_HAS_SERVICES = 0x000082,
	ACTION_ALLOW_EGRESS_IPV4 = 0x000110,
	ACTION_ALLOW_INGRESS_IPV4 = 0x000111,
	ACTION_ALLOW_EGRESS_IPV6 = 0x000140,
	ACTION_ALLOW_INGRESS_IPV6 = 0x000141,
};

enum drop_reason {
	DROP_UNABLE = 0, /* The kernel refused a change of the packet. */
	DROP_NO_BACKEND = 1, /* The service has no ready backend; the sender is told, where it can be. */
	DROP_NO_ROUTE = 2, /* The network has no such destination. */
	DROP_NO_NEIGHBOR = 3, /* The next hop is not known. */
	DROP_FLOW_CLASH = 4, /* Other connections have the source port and those that were tried. */
	DROP_FLOW_TABLE_FULL = 5, /* Only established connections are left in the two sets. */
	DROP_TUNNEL_LOOP = 6, /* A packet from a tunnel would go into a tunnel. */
	DROP_FRAGMENTATION_NEEDED = 7, /* Too large for the way out, and may be fragmented; this is not. */
	DROP_ERROR_NOT_SENT = 8, /* Too large or too old, and no ICMP error can be sent. */
	DROP_OTHER_NETWORK = 9, /* The flow's next hop has become one of another network. */
	DROP_NO_PROXY = 10, /* A connection of the mesh that is not to go on without a proxy. */
	DROP_MESH_DENIED = 11, /* A MeshRedirect denies the connection. */
	DROP_RATE_EXCEEDED = 12, /* Beyond the rate of the portal or registry, in this direction. */
	DROP_MESH_LIMIT = 13, /* Beyond the connections a second that a MeshRedirect gives the workload. */
	DROP_SOURCE_DENIED = 14, /* The service does not let this client outside in. */
	DROP_EGRESS_DENIED = 15, /* No NetworkPolicy of the sender allows the connection. */
	DROP_INGRESS_DENIED = 16, /* No NetworkPolicy of the receiver allows the connection. */
	DROP_NO_SOURCE_PORT = 17, /* A service gateway has found no free port for the backend. */
};

/* Arguments of actions, as entries hold them. */
struct set_workload {
	u16 network;
	u16 nexthop;
};
_Static_assert(sizeof(struct set_workload) == 4, "struct set_workload");
_Static_assert(__builtin_offsetof(struct set_workload, network) == 0, "struct set_workload");
_Static_assert(__builtin_offsetof(struct set_workload, nexthop) == 2, "struct set_workload");

struct enter_network {
	u16 network;
};
_Static_assert(sizeof(struct enter_network) == 2, "struct enter_network");
_Static_assert(__builtin_offsetof(struct enter_network, network) == 0, "struct enter_network");

struct answer {
	u64 mac;
};
_Static_assert(sizeof(struct answer) == 8, "struct answer");
_Static_assert(__builtin_offsetof(struct answer, mac) == 0, "struct answer");

struct set_proxy {
	u16 network;
	u16 nexthop;
};
_Static_assert(sizeof(struct set_proxy) == 4, "struct set_proxy");
_Static_assert(__builtin_offsetof(struct set_proxy, network) == 0, "struct set_proxy");
_Static_assert(__builtin_offsetof(struct set_proxy, nexthop) == 2, "struct set_proxy");

struct deliver {
	u16 network;
	u16 port;
	u16 mtu;
	u8 padding6[2];
	u64 dst_mac;
	u64 src_mac;
	u16 vlan;
	u8 padding26[6];
};
_Static_assert(sizeof(struct deliver) == 32, "struct deliver");
_Static_assert(__builtin_offsetof(struct deliver, network) == 0, "struct deliver");
_Static_assert(__builtin_offsetof(struct deliver, port) == 2, "struct deliver");
_Static_assert(__builtin_offsetof(struct deliver, mtu) == 4, "struct deliver");
_Static_assert(__builtin_offsetof(struct deliver, padding6) == 6, "struct deliver");
_Static_assert(__builtin_offsetof(struct deliver, dst_mac) == 8, "struct deliver");
_Static_assert(__builtin_offsetof(struct deliver, src_mac) == 16, "struct deliver");
_Static_assert(__builtin_offsetof(struct deliver, vlan) == 24, "struct deliver");
_Static_assert(__builtin_offsetof(struct deliver, padding26) == 26, "struct deliver");

struct encapsulate {
	u16 network;
	u16 port;
	u16 mtu;
	u8 padding6[2];
	u64 dst_mac;
	u64 src_mac;
	u32 vni;
	u32 tunnel_src;
	u32 tunnel_dst;
	u8 padding36[4];
	u64 tunnel_src_mac;
	u64 tunnel_dst_mac;
};
_Static_assert(sizeof(struct encapsulate) == 56, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, network) == 0, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, port) == 2, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, mtu) == 4, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, padding6) == 6, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, dst_mac) == 8, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, src_mac) == 16, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, vni) == 24, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, tunnel_src) == 28, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, tunnel_dst) == 32, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, padding36) == 36, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, tunnel_src_mac) == 40, "struct encapsulate");
_Static_assert(__builtin_offsetof(struct encapsulate, tunnel_dst_mac) == 48, "struct encapsulate");

struct set_gateway {
	u32 ipv4;
	u8 padding4[4];
	struct u128 ipv6;
};
_Static_assert(sizeof(struct set_gateway) == 24, "struct set_gateway");
_Static_assert(__builtin_offsetof(struct set_gateway, ipv4) == 0, "struct set_gateway");
_Static_assert(__builtin_offsetof(struct set_gateway, padding4) == 4, "struct set_gateway");
_Static_assert(__builtin_offsetof(struct set_gateway, ipv6) == 8, "struct set_gateway");

struct via {
	u16 nexthop;
};
_Static_assert(sizeof(struct via) == 2, "struct via");
_Static_assert(__builtin_offsetof(struct via, nexthop) == 0, "struct via");

struct enter_from_outside {
	u16 network;
	u16 nexthop;
	u8 padding4[4];
	u64 signature;
};
_Static_assert(sizeof(struct enter_from_outside) == 16, "struct enter_from_outside");
_Static_assert(__builtin_offsetof(struct enter_from_outside, network) == 0, "struct enter_from_outside");
_Static_assert(__builtin_offsetof(struct enter_from_outside, nexthop) == 2, "struct enter_from_outside");
_Static_assert(__builtin_offsetof(struct enter_from_outside, padding4) == 4, "struct enter_from_outside");
_Static_assert(__builtin_offsetof(struct enter_from_outside, signature) == 8, "struct enter_from_outside");

struct came_in_by {
	u16 nexthop;
};
_Static_assert(sizeof(struct came_in_by) == 2, "struct came_in_by");
_Static_assert(__builtin_offsetof(struct came_in_by, nexthop) == 0, "struct came_in_by");

struct translate_ipv4 {
	u32 src;
	u32 dst;
	u16 src_port;
	u16 dst_port;
	u16 nexthop;
	u16 service_id;
};
_Static_assert(sizeof(struct translate_ipv4) == 16, "struct translate_ipv4");
_Static_assert(__builtin_offsetof(struct translate_ipv4, src) == 0, "struct translate_ipv4");
_Static_assert(__builtin_offsetof(struct translate_ipv4, dst) == 4, "struct translate_ipv4");
_Static_assert(__builtin_offsetof(struct translate_ipv4, src_port) == 8, "struct translate_ipv4");
_Static_assert(__builtin_offsetof(struct translate_ipv4, dst_port) == 10, "struct translate_ipv4");
_Static_assert(__builtin_offsetof(struct translate_ipv4, nexthop) == 12, "struct translate_ipv4");
_Static_assert(__builtin_offsetof(struct translate_ipv4, service_id) == 14, "struct translate_ipv4");

struct translate_reply_ipv4 {
	u32 src;
	u32 dst;
	u16 src_port;
	u16 dst_port;
	u16 nexthop;
	u16 service_id;
};
_Static_assert(sizeof(struct translate_reply_ipv4) == 16, "struct translate_reply_ipv4");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv4, src) == 0, "struct translate_reply_ipv4");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv4, dst) == 4, "struct translate_reply_ipv4");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv4, src_port) == 8, "struct translate_reply_ipv4");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv4, dst_port) == 10, "struct translate_reply_ipv4");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv4, nexthop) == 12, "struct translate_reply_ipv4");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv4, service_id) == 14, "struct translate_reply_ipv4");

struct to_service_ipv4 {
	u16 service_id;
	u8 padding2[2];
	u32 hairpin;
	u32 affinity_ms;
};
_Static_assert(sizeof(struct to_service_ipv4) == 12, "struct to_service_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_ipv4, service_id) == 0, "struct to_service_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_ipv4, padding2) == 2, "struct to_service_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_ipv4, hairpin) == 4, "struct to_service_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_ipv4, affinity_ms) == 8, "struct to_service_ipv4");

struct to_service_by_source_ipv4 {
	u16 service_id;
	u8 padding2[2];
	u32 hairpin;
	u32 affinity_ms;
};
_Static_assert(sizeof(struct to_service_by_source_ipv4) == 12, "struct to_service_by_source_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_source_ipv4, service_id) == 0, "struct to_service_by_source_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_source_ipv4, padding2) == 2, "struct to_service_by_source_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_source_ipv4, hairpin) == 4, "struct to_service_by_source_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_source_ipv4, affinity_ms) == 8, "struct to_service_by_source_ipv4");

struct to_service_by_chance_ipv4 {
	u16 service_id;
	u8 padding2[2];
	u32 hairpin;
	u32 affinity_ms;
};
_Static_assert(sizeof(struct to_service_by_chance_ipv4) == 12, "struct to_service_by_chance_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_chance_ipv4, service_id) == 0, "struct to_service_by_chance_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_chance_ipv4, padding2) == 2, "struct to_service_by_chance_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_chance_ipv4, hairpin) == 4, "struct to_service_by_chance_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_chance_ipv4, affinity_ms) == 8, "struct to_service_by_chance_ipv4");

struct to_service_in_turn_ipv4 {
	u16 service_id;
	u8 padding2[2];
	u32 hairpin;
	u32 affinity_ms;
};
_Static_assert(sizeof(struct to_service_in_turn_ipv4) == 12, "struct to_service_in_turn_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_in_turn_ipv4, service_id) == 0, "struct to_service_in_turn_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_in_turn_ipv4, padding2) == 2, "struct to_service_in_turn_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_in_turn_ipv4, hairpin) == 4, "struct to_service_in_turn_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_in_turn_ipv4, affinity_ms) == 8, "struct to_service_in_turn_ipv4");

struct to_service_by_count_ipv4 {
	u16 service_id;
	u8 padding2[2];
	u32 hairpin;
	u32 affinity_ms;
};
_Static_assert(sizeof(struct to_service_by_count_ipv4) == 12, "struct to_service_by_count_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_count_ipv4, service_id) == 0, "struct to_service_by_count_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_count_ipv4, padding2) == 2, "struct to_service_by_count_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_count_ipv4, hairpin) == 4, "struct to_service_by_count_ipv4");
_Static_assert(__builtin_offsetof(struct to_service_by_count_ipv4, affinity_ms) == 8, "struct to_service_by_count_ipv4");

struct to_backend_ipv4 {
	u32 address;
	u16 port;
	u8 padding6[2];
};
_Static_assert(sizeof(struct to_backend_ipv4) == 8, "struct to_backend_ipv4");
_Static_assert(__builtin_offsetof(struct to_backend_ipv4, address) == 0, "struct to_backend_ipv4");
_Static_assert(__builtin_offsetof(struct to_backend_ipv4, port) == 4, "struct to_backend_ipv4");
_Static_assert(__builtin_offsetof(struct to_backend_ipv4, padding6) == 6, "struct to_backend_ipv4");

struct to_backend_across_ipv4 {
	u32 address;
	u16 port;
	u16 crossing;
};
_Static_assert(sizeof(struct to_backend_across_ipv4) == 8, "struct to_backend_across_ipv4");
_Static_assert(__builtin_offsetof(struct to_backend_across_ipv4, address) == 0, "struct to_backend_across_ipv4");
_Static_assert(__builtin_offsetof(struct to_backend_across_ipv4, port) == 4, "struct to_backend_across_ipv4");
_Static_assert(__builtin_offsetof(struct to_backend_across_ipv4, crossing) == 6, "struct to_backend_across_ipv4");

struct to_direct_backend_ipv4 {
	u32 address;
	u16 port;
	u16 nexthop;
};
_Static_assert(sizeof(struct to_direct_backend_ipv4) == 8, "struct to_direct_backend_ipv4");
_Static_assert(__builtin_offsetof(struct to_direct_backend_ipv4, address) == 0, "struct to_direct_backend_ipv4");
_Static_assert(__builtin_offsetof(struct to_direct_backend_ipv4, port) == 4, "struct to_direct_backend_ipv4");
_Static_assert(__builtin_offsetof(struct to_direct_backend_ipv4, nexthop) == 6, "struct to_direct_backend_ipv4");

struct translate_ipv6 {
	struct u128 src;
	struct u128 dst;
	u16 src_port;
	u16 dst_port;
	u16 nexthop;
	u16 service_id;
};
_Static_assert(sizeof(struct translate_ipv6) == 40, "struct translate_ipv6");
_Static_assert(__builtin_offsetof(struct translate_ipv6, src) == 0, "struct translate_ipv6");
_Static_assert(__builtin_offsetof(struct translate_ipv6, dst) == 16, "struct translate_ipv6");
_Static_assert(__builtin_offsetof(struct translate_ipv6, src_port) == 32, "struct translate_ipv6");
_Static_assert(__builtin_offsetof(struct translate_ipv6, dst_port) == 34, "struct translate_ipv6");
_Static_assert(__builtin_offsetof(struct translate_ipv6, nexthop) == 36, "struct translate_ipv6");
_Static_assert(__builtin_offsetof(struct translate_ipv6, service_id) == 38, "struct translate_ipv6");

struct translate_reply_ipv6 {
	struct u128 src;
	struct u128 dst;
	u16 src_port;
	u16 dst_port;
	u16 nexthop;
	u16 service_id;
};
_Static_assert(sizeof(struct translate_reply_ipv6) == 40, "struct translate_reply_ipv6");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv6, src) == 0, "struct translate_reply_ipv6");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv6, dst) == 16, "struct translate_reply_ipv6");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv6, src_port) == 32, "struct translate_reply_ipv6");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv6, dst_port) == 34, "struct translate_reply_ipv6");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv6, nexthop) == 36, "struct translate_reply_ipv6");
_Static_assert(__builtin_offsetof(struct translate_reply_ipv6, service_id) == 38, "struct translate_reply_ipv6");

struct to_service_ipv6 {
	u16 service_id;
	u8 padding2[6];
	struct u128 hairpin;
	u32 affinity_ms;
	u8 padding28[4];
};
_Static_assert(sizeof(struct to_service_ipv6) == 32, "struct to_service_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_ipv6, service_id) == 0, "struct to_service_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_ipv6, padding2) == 2, "struct to_service_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_ipv6, hairpin) == 8, "struct to_service_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_ipv6, affinity_ms) == 24, "struct to_service_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_ipv6, padding28) == 28, "struct to_service_ipv6");

struct to_service_by_source_ipv6 {
	u16 service_id;
	u8 padding2[6];
	struct u128 hairpin;
	u32 affinity_ms;
	u8 padding28[4];
};
_Static_assert(sizeof(struct to_service_by_source_ipv6) == 32, "struct to_service_by_source_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_source_ipv6, service_id) == 0, "struct to_service_by_source_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_source_ipv6, padding2) == 2, "struct to_service_by_source_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_source_ipv6, hairpin) == 8, "struct to_service_by_source_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_source_ipv6, affinity_ms) == 24, "struct to_service_by_source_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_source_ipv6, padding28) == 28, "struct to_service_by_source_ipv6");

struct to_service_by_chance_ipv6 {
	u16 service_id;
	u8 padding2[6];
	struct u128 hairpin;
	u32 affinity_ms;
	u8 padding28[4];
};
_Static_assert(sizeof(struct to_service_by_chance_ipv6) == 32, "struct to_service_by_chance_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_chance_ipv6, service_id) == 0, "struct to_service_by_chance_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_chance_ipv6, padding2) == 2, "struct to_service_by_chance_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_chance_ipv6, hairpin) == 8, "struct to_service_by_chance_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_chance_ipv6, affinity_ms) == 24, "struct to_service_by_chance_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_chance_ipv6, padding28) == 28, "struct to_service_by_chance_ipv6");

struct to_service_in_turn_ipv6 {
	u16 service_id;
	u8 padding2[6];
	struct u128 hairpin;
	u32 affinity_ms;
	u8 padding28[4];
};
_Static_assert(sizeof(struct to_service_in_turn_ipv6) == 32, "struct to_service_in_turn_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_in_turn_ipv6, service_id) == 0, "struct to_service_in_turn_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_in_turn_ipv6, padding2) == 2, "struct to_service_in_turn_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_in_turn_ipv6, hairpin) == 8, "struct to_service_in_turn_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_in_turn_ipv6, affinity_ms) == 24, "struct to_service_in_turn_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_in_turn_ipv6, padding28) == 28, "struct to_service_in_turn_ipv6");

struct to_service_by_count_ipv6 {
	u16 service_id;
	u8 padding2[6];
	struct u128 hairpin;
	u32 affinity_ms;
	u8 padding28[4];
};
_Static_assert(sizeof(struct to_service_by_count_ipv6) == 32, "struct to_service_by_count_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_count_ipv6, service_id) == 0, "struct to_service_by_count_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_count_ipv6, padding2) == 2, "struct to_service_by_count_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_count_ipv6, hairpin) == 8, "struct to_service_by_count_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_count_ipv6, affinity_ms) == 24, "struct to_service_by_count_ipv6");
_Static_assert(__builtin_offsetof(struct to_service_by_count_ipv6, padding28) == 28, "struct to_service_by_count_ipv6");

struct to_backend_ipv6 {
	struct u128 address;
	u16 port;
	u8 padding18[6];
};
_Static_assert(sizeof(struct to_backend_ipv6) == 24, "struct to_backend_ipv6");
_Static_assert(__builtin_offsetof(struct to_backend_ipv6, address) == 0, "struct to_backend_ipv6");
_Static_assert(__builtin_offsetof(struct to_backend_ipv6, port) == 16, "struct to_backend_ipv6");
_Static_assert(__builtin_offsetof(struct to_backend_ipv6, padding18) == 18, "struct to_backend_ipv6");

struct to_backend_across_ipv6 {
	struct u128 address;
	u16 port;
	u16 crossing;
	u8 padding20[4];
};
_Static_assert(sizeof(struct to_backend_across_ipv6) == 24, "struct to_backend_across_ipv6");
_Static_assert(__builtin_offsetof(struct to_backend_across_ipv6, address) == 0, "struct to_backend_across_ipv6");
_Static_assert(__builtin_offsetof(struct to_backend_across_ipv6, port) == 16, "struct to_backend_across_ipv6");
_Static_assert(__builtin_offsetof(struct to_backend_across_ipv6, crossing) == 18, "struct to_backend_across_ipv6");
_Static_assert(__builtin_offsetof(struct to_backend_across_ipv6, padding20) == 20, "struct to_backend_across_ipv6");

struct to_direct_backend_ipv6 {
	struct u128 address;
	u16 port;
	u16 nexthop;
	u8 padding20[4];
};
_Static_assert(sizeof(struct to_direct_backend_ipv6) == 24, "struct to_direct_backend_ipv6");
_Static_assert(__builtin_offsetof(struct to_direct_backend_ipv6, address) == 0, "struct to_direct_backend_ipv6");
_Static_assert(__builtin_offsetof(struct to_direct_backend_ipv6, port) == 16, "struct to_direct_backend_ipv6");
_Static_assert(__builtin_offsetof(struct to_direct_backend_ipv6, nexthop) == 18, "struct to_direct_backend_ipv6");
_Static_assert(__builtin_offsetof(struct to_direct_backend_ipv6, padding20) == 20, "struct to_direct_backend_ipv6");

struct redirect_outbound_ipv4 {
	u8 closed;
	u8 padding1[1];
	u16 limiter;
};
_Static_assert(sizeof(struct redirect_outbound_ipv4) == 4, "struct redirect_outbound_ipv4");
_Static_assert(__builtin_offsetof(struct redirect_outbound_ipv4, closed) == 0, "struct redirect_outbound_ipv4");
_Static_assert(__builtin_offsetof(struct redirect_outbound_ipv4, padding1) == 1, "struct redirect_outbound_ipv4");
_Static_assert(__builtin_offsetof(struct redirect_outbound_ipv4, limiter) == 2, "struct redirect_outbound_ipv4");

struct redirect_inbound_ipv4 {
	u8 closed;
	u8 padding1[1];
	u16 limiter;
};
_Static_assert(sizeof(struct redirect_inbound_ipv4) == 4, "struct redirect_inbound_ipv4");
_Static_assert(__builtin_offsetof(struct redirect_inbound_ipv4, closed) == 0, "struct redirect_inbound_ipv4");
_Static_assert(__builtin_offsetof(struct redirect_inbound_ipv4, padding1) == 1, "struct redirect_inbound_ipv4");
_Static_assert(__builtin_offsetof(struct redirect_inbound_ipv4, limiter) == 2, "struct redirect_inbound_ipv4");

struct to_proxy_ipv4 {
	u16 nexthop;
};
_Static_assert(sizeof(struct to_proxy_ipv4) == 2, "struct to_proxy_ipv4");
_Static_assert(__builtin_offsetof(struct to_proxy_ipv4, nexthop) == 0, "struct to_proxy_ipv4");

struct redirect_outbound_ipv6 {
	u8 closed;
	u8 padding1[1];
	u16 limiter;
};
_Static_assert(sizeof(struct redirect_outbound_ipv6) == 4, "struct redirect_outbound_ipv6");
_Static_assert(__builtin_offsetof(struct redirect_outbound_ipv6, closed) == 0, "struct redirect_outbound_ipv6");
_Static_assert(__builtin_offsetof(struct redirect_outbound_ipv6, padding1) == 1, "struct redirect_outbound_ipv6");
_Static_assert(__builtin_offsetof(struct redirect_outbound_ipv6, limiter) == 2, "struct redirect_outbound_ipv6");

struct redirect_inbound_ipv6 {
	u8 closed;
	u8 padding1[1];
	u16 limiter;
};
_Static_assert(sizeof(struct redirect_inbound_ipv6) == 4, "struct redirect_inbound_ipv6");
_Static_assert(__builtin_offsetof(struct redirect_inbound_ipv6, closed) == 0, "struct redirect_inbound_ipv6");
_Static_assert(__builtin_offsetof(struct redirect_inbound_ipv6, padding1) == 1, "struct redirect_inbound_ipv6");
_Static_assert(__builtin_offsetof(struct redirect_inbound_ipv6, limiter) == 2, "struct redirect_inbound_ipv6");

struct to_proxy_ipv6 {
	u16 nexthop;
};
_Static_assert(sizeof(struct to_proxy_ipv6) == 2, "struct to_proxy_ipv6");
_Static_assert(__builtin_offsetof(struct to_proxy_ipv6, nexthop) == 0, "struct to_proxy_ipv6");

struct classify_storage {
	u8 traffic_class;
};
_Static_assert(sizeof(struct classify_storage) == 1, "struct classify_storage");
_Static_assert(__builtin_offsetof(struct classify_storage, traffic_class) == 0, "struct classify_storage");

struct remembered {
	struct u128 address;
	u16 port;
	u8 padding18[2];
	u32 since_ms;
	u16 crossing;
	u8 padding26[6];
};
_Static_assert(sizeof(struct remembered) == 32, "struct remembered");
_Static_assert(__builtin_offsetof(struct remembered, address) == 0, "struct remembered");
_Static_assert(__builtin_offsetof(struct remembered, port) == 16, "struct remembered");
_Static_assert(__builtin_offsetof(struct remembered, padding18) == 18, "struct remembered");
_Static_assert(__builtin_offsetof(struct remembered, since_ms) == 20, "struct remembered");
_Static_assert(__builtin_offsetof(struct remembered, crossing) == 24, "struct remembered");
_Static_assert(__builtin_offsetof(struct remembered, padding26) == 26, "struct remembered");

struct isolate_source {
	u16 policy;
};
_Static_assert(sizeof(struct isolate_source) == 2, "struct isolate_source");
_Static_assert(__builtin_offsetof(struct isolate_source, policy) == 0, "struct isolate_source");

struct isolate_destination {
	u16 policy;
	u16 nexthop;
	u8 reply_leg;
	u8 padding5[1];
};
_Static_assert(sizeof(struct isolate_destination) == 6, "struct isolate_destination");
_Static_assert(__builtin_offsetof(struct isolate_destination, policy) == 0, "struct isolate_destination");
_Static_assert(__builtin_offsetof(struct isolate_destination, nexthop) == 2, "struct isolate_destination");
_Static_assert(__builtin_offsetof(struct isolate_destination, reply_leg) == 4, "struct isolate_destination");
_Static_assert(__builtin_offsetof(struct isolate_destination, padding5) == 5, "struct isolate_destination");

struct has_ports {
	u16 ports;
};
_Static_assert(sizeof(struct has_ports) == 2, "struct has_ports");
_Static_assert(__builtin_offsetof(struct has_ports, ports) == 0, "struct has_ports");

struct cross {
	u16 network;
	u16 nexthop;
	u16 way_back;
};
_Static_assert(sizeof(struct cross) == 6, "struct cross");
_Static_assert(__builtin_offsetof(struct cross, network) == 0, "struct cross");
_Static_assert(__builtin_offsetof(struct cross, nexthop) == 2, "struct cross");
_Static_assert(__builtin_offsetof(struct cross, way_back) == 4, "struct cross");

struct has_backend {
	u16 nexthop;
	u16 back;
};
_Static_assert(sizeof(struct has_backend) == 4, "struct has_backend");
_Static_assert(__builtin_offsetof(struct has_backend, nexthop) == 0, "struct has_backend");
_Static_assert(__builtin_offsetof(struct has_backend, back) == 2, "struct has_backend");

/* Keys and values of tables. */
struct port_key {
	u16 port;
	u16 vlan;
	u8 side;
	u8 padding5[1];
};
_Static_assert(sizeof(struct port_key) == 6, "struct port_key");
_Static_assert(__builtin_offsetof(struct port_key, port) == 0, "struct port_key");
_Static_assert(__builtin_offsetof(struct port_key, vlan) == 2, "struct port_key");
_Static_assert(__builtin_offsetof(struct port_key, side) == 4, "struct port_key");
_Static_assert(__builtin_offsetof(struct port_key, padding5) == 5, "struct port_key");

struct port_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct set_workload set_workload; struct set_proxy set_proxy; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct port_value) == 16, "struct port_value");
_Static_assert(__builtin_offsetof(struct port_value, action) == 0, "struct port_value");
_Static_assert(__builtin_offsetof(struct port_value, counter) == 4, "struct port_value");
_Static_assert(__builtin_offsetof(struct port_value, arguments) == 8, "struct port_value");

struct tunnel_key {
	u32 destination;
	u32 vni;
	u8 side;
	u8 padding9[3];
};
_Static_assert(sizeof(struct tunnel_key) == 12, "struct tunnel_key");
_Static_assert(__builtin_offsetof(struct tunnel_key, destination) == 0, "struct tunnel_key");
_Static_assert(__builtin_offsetof(struct tunnel_key, vni) == 4, "struct tunnel_key");
_Static_assert(__builtin_offsetof(struct tunnel_key, side) == 8, "struct tunnel_key");
_Static_assert(__builtin_offsetof(struct tunnel_key, padding9) == 9, "struct tunnel_key");

struct tunnel_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct enter_network enter_network; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct tunnel_value) == 16, "struct tunnel_value");
_Static_assert(__builtin_offsetof(struct tunnel_value, action) == 0, "struct tunnel_value");
_Static_assert(__builtin_offsetof(struct tunnel_value, counter) == 4, "struct tunnel_value");
_Static_assert(__builtin_offsetof(struct tunnel_value, arguments) == 8, "struct tunnel_value");

struct arp_key {
	u16 network;
	u8 side;
	u8 padding3[1];
	u32 address;
};
_Static_assert(sizeof(struct arp_key) == 8, "struct arp_key");
_Static_assert(__builtin_offsetof(struct arp_key, network) == 0, "struct arp_key");
_Static_assert(__builtin_offsetof(struct arp_key, side) == 2, "struct arp_key");
_Static_assert(__builtin_offsetof(struct arp_key, padding3) == 3, "struct arp_key");
_Static_assert(__builtin_offsetof(struct arp_key, address) == 4, "struct arp_key");

struct arp_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct answer answer; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct arp_value) == 16, "struct arp_value");
_Static_assert(__builtin_offsetof(struct arp_value, action) == 0, "struct arp_value");
_Static_assert(__builtin_offsetof(struct arp_value, counter) == 4, "struct arp_value");
_Static_assert(__builtin_offsetof(struct arp_value, arguments) == 8, "struct arp_value");

struct nd_key {
	u16 network;
	u8 side;
	u8 padding3[5];
	struct u128 address;
};
_Static_assert(sizeof(struct nd_key) == 24, "struct nd_key");
_Static_assert(__builtin_offsetof(struct nd_key, network) == 0, "struct nd_key");
_Static_assert(__builtin_offsetof(struct nd_key, side) == 2, "struct nd_key");
_Static_assert(__builtin_offsetof(struct nd_key, padding3) == 3, "struct nd_key");
_Static_assert(__builtin_offsetof(struct nd_key, address) == 8, "struct nd_key");

struct nd_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct answer answer; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct nd_value) == 16, "struct nd_value");
_Static_assert(__builtin_offsetof(struct nd_value, action) == 0, "struct nd_value");
_Static_assert(__builtin_offsetof(struct nd_value, counter) == 4, "struct nd_value");
_Static_assert(__builtin_offsetof(struct nd_value, arguments) == 8, "struct nd_value");

struct neighbor_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct deliver deliver; struct encapsulate encapsulate; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct neighbor_value) == 64, "struct neighbor_value");
_Static_assert(__builtin_offsetof(struct neighbor_value, action) == 0, "struct neighbor_value");
_Static_assert(__builtin_offsetof(struct neighbor_value, counter) == 4, "struct neighbor_value");
_Static_assert(__builtin_offsetof(struct neighbor_value, arguments) == 8, "struct neighbor_value");

struct network_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct set_gateway set_gateway; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct network_value) == 32, "struct network_value");
_Static_assert(__builtin_offsetof(struct network_value, action) == 0, "struct network_value");
_Static_assert(__builtin_offsetof(struct network_value, counter) == 4, "struct network_value");
_Static_assert(__builtin_offsetof(struct network_value, arguments) == 8, "struct network_value");

struct eip_ipv4_key {
	u32 address;
	u8 side;
	u8 padding5[3];
	u64 mac;
};
_Static_assert(sizeof(struct eip_ipv4_key) == 16, "struct eip_ipv4_key");
_Static_assert(__builtin_offsetof(struct eip_ipv4_key, address) == 0, "struct eip_ipv4_key");
_Static_assert(__builtin_offsetof(struct eip_ipv4_key, side) == 4, "struct eip_ipv4_key");
_Static_assert(__builtin_offsetof(struct eip_ipv4_key, padding5) == 5, "struct eip_ipv4_key");
_Static_assert(__builtin_offsetof(struct eip_ipv4_key, mac) == 8, "struct eip_ipv4_key");

struct eip_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct enter_from_outside enter_from_outside; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct eip_ipv4_value) == 24, "struct eip_ipv4_value");
_Static_assert(__builtin_offsetof(struct eip_ipv4_value, action) == 0, "struct eip_ipv4_value");
_Static_assert(__builtin_offsetof(struct eip_ipv4_value, counter) == 4, "struct eip_ipv4_value");
_Static_assert(__builtin_offsetof(struct eip_ipv4_value, arguments) == 8, "struct eip_ipv4_value");

struct entrance_ipv4_key {
	u16 network;
	u8 side;
	u8 padding3[5];
	u64 source;
};
_Static_assert(sizeof(struct entrance_ipv4_key) == 16, "struct entrance_ipv4_key");
_Static_assert(__builtin_offsetof(struct entrance_ipv4_key, network) == 0, "struct entrance_ipv4_key");
_Static_assert(__builtin_offsetof(struct entrance_ipv4_key, side) == 2, "struct entrance_ipv4_key");
_Static_assert(__builtin_offsetof(struct entrance_ipv4_key, padding3) == 3, "struct entrance_ipv4_key");
_Static_assert(__builtin_offsetof(struct entrance_ipv4_key, source) == 8, "struct entrance_ipv4_key");

struct entrance_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct came_in_by came_in_by; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct entrance_ipv4_value) == 16, "struct entrance_ipv4_value");
_Static_assert(__builtin_offsetof(struct entrance_ipv4_value, action) == 0, "struct entrance_ipv4_value");
_Static_assert(__builtin_offsetof(struct entrance_ipv4_value, counter) == 4, "struct entrance_ipv4_value");
_Static_assert(__builtin_offsetof(struct entrance_ipv4_value, arguments) == 8, "struct entrance_ipv4_value");

struct eip_ipv6_key {
	struct u128 address;
	u64 mac;
	u8 side;
	u8 padding25[7];
};
_Static_assert(sizeof(struct eip_ipv6_key) == 32, "struct eip_ipv6_key");
_Static_assert(__builtin_offsetof(struct eip_ipv6_key, address) == 0, "struct eip_ipv6_key");
_Static_assert(__builtin_offsetof(struct eip_ipv6_key, mac) == 16, "struct eip_ipv6_key");
_Static_assert(__builtin_offsetof(struct eip_ipv6_key, side) == 24, "struct eip_ipv6_key");
_Static_assert(__builtin_offsetof(struct eip_ipv6_key, padding25) == 25, "struct eip_ipv6_key");

struct eip_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct enter_from_outside enter_from_outside; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct eip_ipv6_value) == 24, "struct eip_ipv6_value");
_Static_assert(__builtin_offsetof(struct eip_ipv6_value, action) == 0, "struct eip_ipv6_value");
_Static_assert(__builtin_offsetof(struct eip_ipv6_value, counter) == 4, "struct eip_ipv6_value");
_Static_assert(__builtin_offsetof(struct eip_ipv6_value, arguments) == 8, "struct eip_ipv6_value");

struct entrance_ipv6_key {
	u16 network;
	u8 side;
	u8 padding3[5];
	u64 source;
};
_Static_assert(sizeof(struct entrance_ipv6_key) == 16, "struct entrance_ipv6_key");
_Static_assert(__builtin_offsetof(struct entrance_ipv6_key, network) == 0, "struct entrance_ipv6_key");
_Static_assert(__builtin_offsetof(struct entrance_ipv6_key, side) == 2, "struct entrance_ipv6_key");
_Static_assert(__builtin_offsetof(struct entrance_ipv6_key, padding3) == 3, "struct entrance_ipv6_key");
_Static_assert(__builtin_offsetof(struct entrance_ipv6_key, source) == 8, "struct entrance_ipv6_key");

struct entrance_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct came_in_by came_in_by; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct entrance_ipv6_value) == 16, "struct entrance_ipv6_value");
_Static_assert(__builtin_offsetof(struct entrance_ipv6_value, action) == 0, "struct entrance_ipv6_value");
_Static_assert(__builtin_offsetof(struct entrance_ipv6_value, counter) == 4, "struct entrance_ipv6_value");
_Static_assert(__builtin_offsetof(struct entrance_ipv6_value, arguments) == 8, "struct entrance_ipv6_value");

struct source_range_ipv4_key {
	u32 prefix_len;
	u8 side[1];
	u8 service_id[2];
	u8 source[4];
} __attribute__((packed));
_Static_assert(sizeof(struct source_range_ipv4_key) == 11, "struct source_range_ipv4_key");
_Static_assert(__builtin_offsetof(struct source_range_ipv4_key, prefix_len) == 0, "struct source_range_ipv4_key");
_Static_assert(__builtin_offsetof(struct source_range_ipv4_key, side) == 4, "struct source_range_ipv4_key");
_Static_assert(__builtin_offsetof(struct source_range_ipv4_key, service_id) == 5, "struct source_range_ipv4_key");
_Static_assert(__builtin_offsetof(struct source_range_ipv4_key, source) == 7, "struct source_range_ipv4_key");

struct source_range_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u8 padding8[8];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct source_range_ipv4_value) == 16, "struct source_range_ipv4_value");
_Static_assert(__builtin_offsetof(struct source_range_ipv4_value, action) == 0, "struct source_range_ipv4_value");
_Static_assert(__builtin_offsetof(struct source_range_ipv4_value, counter) == 4, "struct source_range_ipv4_value");
_Static_assert(__builtin_offsetof(struct source_range_ipv4_value, padding8) == 8, "struct source_range_ipv4_value");

struct source_range_ipv6_key {
	u32 prefix_len;
	u8 side[1];
	u8 service_id[2];
	u8 source[16];
} __attribute__((packed));
_Static_assert(sizeof(struct source_range_ipv6_key) == 23, "struct source_range_ipv6_key");
_Static_assert(__builtin_offsetof(struct source_range_ipv6_key, prefix_len) == 0, "struct source_range_ipv6_key");
_Static_assert(__builtin_offsetof(struct source_range_ipv6_key, side) == 4, "struct source_range_ipv6_key");
_Static_assert(__builtin_offsetof(struct source_range_ipv6_key, service_id) == 5, "struct source_range_ipv6_key");
_Static_assert(__builtin_offsetof(struct source_range_ipv6_key, source) == 7, "struct source_range_ipv6_key");

struct source_range_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u8 padding8[8];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct source_range_ipv6_value) == 16, "struct source_range_ipv6_value");
_Static_assert(__builtin_offsetof(struct source_range_ipv6_value, action) == 0, "struct source_range_ipv6_value");
_Static_assert(__builtin_offsetof(struct source_range_ipv6_value, counter) == 4, "struct source_range_ipv6_value");
_Static_assert(__builtin_offsetof(struct source_range_ipv6_value, padding8) == 8, "struct source_range_ipv6_value");

struct service_ipv4_key {
	u16 network;
	u8 side;
	u8 padding3[1];
	u32 address;
	u8 protocol;
	u8 padding9[1];
	u16 port;
};
_Static_assert(sizeof(struct service_ipv4_key) == 12, "struct service_ipv4_key");
_Static_assert(__builtin_offsetof(struct service_ipv4_key, network) == 0, "struct service_ipv4_key");
_Static_assert(__builtin_offsetof(struct service_ipv4_key, side) == 2, "struct service_ipv4_key");
_Static_assert(__builtin_offsetof(struct service_ipv4_key, padding3) == 3, "struct service_ipv4_key");
_Static_assert(__builtin_offsetof(struct service_ipv4_key, address) == 4, "struct service_ipv4_key");
_Static_assert(__builtin_offsetof(struct service_ipv4_key, protocol) == 8, "struct service_ipv4_key");
_Static_assert(__builtin_offsetof(struct service_ipv4_key, padding9) == 9, "struct service_ipv4_key");
_Static_assert(__builtin_offsetof(struct service_ipv4_key, port) == 10, "struct service_ipv4_key");

struct service_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct to_service_ipv4 to_service_ipv4; struct to_service_by_source_ipv4 to_service_by_source_ipv4; struct to_service_by_chance_ipv4 to_service_by_chance_ipv4; struct to_service_in_turn_ipv4 to_service_in_turn_ipv4; struct to_service_by_count_ipv4 to_service_by_count_ipv4; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct service_ipv4_value) == 24, "struct service_ipv4_value");
_Static_assert(__builtin_offsetof(struct service_ipv4_value, action) == 0, "struct service_ipv4_value");
_Static_assert(__builtin_offsetof(struct service_ipv4_value, counter) == 4, "struct service_ipv4_value");
_Static_assert(__builtin_offsetof(struct service_ipv4_value, arguments) == 8, "struct service_ipv4_value");

struct backend_ipv4_value {
	u32 group_offset;
	u32 ring_size;
	u32 cycle_size;
};
_Static_assert(sizeof(struct backend_ipv4_value) == 12, "struct backend_ipv4_value");
_Static_assert(__builtin_offsetof(struct backend_ipv4_value, group_offset) == 0, "struct backend_ipv4_value");
_Static_assert(__builtin_offsetof(struct backend_ipv4_value, ring_size) == 4, "struct backend_ipv4_value");
_Static_assert(__builtin_offsetof(struct backend_ipv4_value, cycle_size) == 8, "struct backend_ipv4_value");

struct backends_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct to_backend_ipv4 to_backend_ipv4; struct to_backend_across_ipv4 to_backend_across_ipv4; struct to_direct_backend_ipv4 to_direct_backend_ipv4; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct backends_ipv4_value) == 16, "struct backends_ipv4_value");
_Static_assert(__builtin_offsetof(struct backends_ipv4_value, action) == 0, "struct backends_ipv4_value");
_Static_assert(__builtin_offsetof(struct backends_ipv4_value, counter) == 4, "struct backends_ipv4_value");
_Static_assert(__builtin_offsetof(struct backends_ipv4_value, arguments) == 8, "struct backends_ipv4_value");

struct route_ipv4_key {
	u32 prefix_len;
	u8 side[1];
	u8 network[2];
	u8 dst[4];
} __attribute__((packed));
_Static_assert(sizeof(struct route_ipv4_key) == 11, "struct route_ipv4_key");
_Static_assert(__builtin_offsetof(struct route_ipv4_key, prefix_len) == 0, "struct route_ipv4_key");
_Static_assert(__builtin_offsetof(struct route_ipv4_key, side) == 4, "struct route_ipv4_key");
_Static_assert(__builtin_offsetof(struct route_ipv4_key, network) == 5, "struct route_ipv4_key");
_Static_assert(__builtin_offsetof(struct route_ipv4_key, dst) == 7, "struct route_ipv4_key");

struct route_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct via via; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct route_ipv4_value) == 16, "struct route_ipv4_value");
_Static_assert(__builtin_offsetof(struct route_ipv4_value, action) == 0, "struct route_ipv4_value");
_Static_assert(__builtin_offsetof(struct route_ipv4_value, counter) == 4, "struct route_ipv4_value");
_Static_assert(__builtin_offsetof(struct route_ipv4_value, arguments) == 8, "struct route_ipv4_value");

struct service_ipv6_key {
	u16 network;
	u8 side;
	u8 padding3[5];
	struct u128 address;
	u8 protocol;
	u8 padding25[1];
	u16 port;
	u8 padding28[4];
};
_Static_assert(sizeof(struct service_ipv6_key) == 32, "struct service_ipv6_key");
_Static_assert(__builtin_offsetof(struct service_ipv6_key, network) == 0, "struct service_ipv6_key");
_Static_assert(__builtin_offsetof(struct service_ipv6_key, side) == 2, "struct service_ipv6_key");
_Static_assert(__builtin_offsetof(struct service_ipv6_key, padding3) == 3, "struct service_ipv6_key");
_Static_assert(__builtin_offsetof(struct service_ipv6_key, address) == 8, "struct service_ipv6_key");
_Static_assert(__builtin_offsetof(struct service_ipv6_key, protocol) == 24, "struct service_ipv6_key");
_Static_assert(__builtin_offsetof(struct service_ipv6_key, padding25) == 25, "struct service_ipv6_key");
_Static_assert(__builtin_offsetof(struct service_ipv6_key, port) == 26, "struct service_ipv6_key");
_Static_assert(__builtin_offsetof(struct service_ipv6_key, padding28) == 28, "struct service_ipv6_key");

struct service_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct to_service_ipv6 to_service_ipv6; struct to_service_by_source_ipv6 to_service_by_source_ipv6; struct to_service_by_chance_ipv6 to_service_by_chance_ipv6; struct to_service_in_turn_ipv6 to_service_in_turn_ipv6; struct to_service_by_count_ipv6 to_service_by_count_ipv6; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct service_ipv6_value) == 40, "struct service_ipv6_value");
_Static_assert(__builtin_offsetof(struct service_ipv6_value, action) == 0, "struct service_ipv6_value");
_Static_assert(__builtin_offsetof(struct service_ipv6_value, counter) == 4, "struct service_ipv6_value");
_Static_assert(__builtin_offsetof(struct service_ipv6_value, arguments) == 8, "struct service_ipv6_value");

struct backend_ipv6_value {
	u32 group_offset;
	u32 ring_size;
	u32 cycle_size;
};
_Static_assert(sizeof(struct backend_ipv6_value) == 12, "struct backend_ipv6_value");
_Static_assert(__builtin_offsetof(struct backend_ipv6_value, group_offset) == 0, "struct backend_ipv6_value");
_Static_assert(__builtin_offsetof(struct backend_ipv6_value, ring_size) == 4, "struct backend_ipv6_value");
_Static_assert(__builtin_offsetof(struct backend_ipv6_value, cycle_size) == 8, "struct backend_ipv6_value");

struct backends_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct to_backend_ipv6 to_backend_ipv6; struct to_backend_across_ipv6 to_backend_across_ipv6; struct to_direct_backend_ipv6 to_direct_backend_ipv6; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct backends_ipv6_value) == 32, "struct backends_ipv6_value");
_Static_assert(__builtin_offsetof(struct backends_ipv6_value, action) == 0, "struct backends_ipv6_value");
_Static_assert(__builtin_offsetof(struct backends_ipv6_value, counter) == 4, "struct backends_ipv6_value");
_Static_assert(__builtin_offsetof(struct backends_ipv6_value, arguments) == 8, "struct backends_ipv6_value");

struct route_ipv6_key {
	u32 prefix_len;
	u8 side[1];
	u8 network[2];
	u8 dst[16];
} __attribute__((packed));
_Static_assert(sizeof(struct route_ipv6_key) == 23, "struct route_ipv6_key");
_Static_assert(__builtin_offsetof(struct route_ipv6_key, prefix_len) == 0, "struct route_ipv6_key");
_Static_assert(__builtin_offsetof(struct route_ipv6_key, side) == 4, "struct route_ipv6_key");
_Static_assert(__builtin_offsetof(struct route_ipv6_key, network) == 5, "struct route_ipv6_key");
_Static_assert(__builtin_offsetof(struct route_ipv6_key, dst) == 7, "struct route_ipv6_key");

struct route_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct via via; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct route_ipv6_value) == 16, "struct route_ipv6_value");
_Static_assert(__builtin_offsetof(struct route_ipv6_value, action) == 0, "struct route_ipv6_value");
_Static_assert(__builtin_offsetof(struct route_ipv6_value, counter) == 4, "struct route_ipv6_value");
_Static_assert(__builtin_offsetof(struct route_ipv6_value, arguments) == 8, "struct route_ipv6_value");

struct outbound_ipv4_key {
	u32 mask_id;
	u16 network;
	u8 side;
	u8 padding7[1];
	u32 workload;
	u32 peer;
	u16 port;
	u8 padding18[2];
};
_Static_assert(sizeof(struct outbound_ipv4_key) == 20, "struct outbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_key, mask_id) == 0, "struct outbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_key, network) == 4, "struct outbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_key, side) == 6, "struct outbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_key, padding7) == 7, "struct outbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_key, workload) == 8, "struct outbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_key, peer) == 12, "struct outbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_key, port) == 16, "struct outbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_key, padding18) == 18, "struct outbound_ipv4_key");

struct outbound_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u64 rank; /* priority, then a hash; the largest wins */
	union { struct redirect_outbound_ipv4 redirect_outbound_ipv4; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct outbound_ipv4_value) == 24, "struct outbound_ipv4_value");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_value, action) == 0, "struct outbound_ipv4_value");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_value, counter) == 4, "struct outbound_ipv4_value");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_value, rank) == 8, "struct outbound_ipv4_value");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_value, arguments) == 16, "struct outbound_ipv4_value");

struct outbound_ipv4_mask {
	u64 highest;
	u32 mask_id;
	u16 network;
	u8 padding14[2];
	u32 workload;
	u32 peer;
	u16 port;
	u8 padding26[6];
};
_Static_assert(sizeof(struct outbound_ipv4_mask) == 32, "struct outbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_mask, highest) == 0, "struct outbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_mask, mask_id) == 8, "struct outbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_mask, network) == 12, "struct outbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_mask, padding14) == 14, "struct outbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_mask, workload) == 16, "struct outbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_mask, peer) == 20, "struct outbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_mask, port) == 24, "struct outbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_mask, padding26) == 26, "struct outbound_ipv4_mask");

struct outbound_ipv4_masks {
	struct outbound_ipv4_mask slots[16];
};
_Static_assert(sizeof(struct outbound_ipv4_masks) == 512, "struct outbound_ipv4_masks");
_Static_assert(__builtin_offsetof(struct outbound_ipv4_masks, slots) == 0, "struct outbound_ipv4_masks");

struct inbound_ipv4_key {
	u32 mask_id;
	u16 network;
	u8 side;
	u8 padding7[1];
	u32 workload;
	u32 peer;
	u16 port;
	u8 padding18[2];
};
_Static_assert(sizeof(struct inbound_ipv4_key) == 20, "struct inbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_key, mask_id) == 0, "struct inbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_key, network) == 4, "struct inbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_key, side) == 6, "struct inbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_key, padding7) == 7, "struct inbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_key, workload) == 8, "struct inbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_key, peer) == 12, "struct inbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_key, port) == 16, "struct inbound_ipv4_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_key, padding18) == 18, "struct inbound_ipv4_key");

struct inbound_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u64 rank; /* priority, then a hash; the largest wins */
	union { struct redirect_inbound_ipv4 redirect_inbound_ipv4; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct inbound_ipv4_value) == 24, "struct inbound_ipv4_value");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_value, action) == 0, "struct inbound_ipv4_value");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_value, counter) == 4, "struct inbound_ipv4_value");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_value, rank) == 8, "struct inbound_ipv4_value");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_value, arguments) == 16, "struct inbound_ipv4_value");

struct inbound_ipv4_mask {
	u64 highest;
	u32 mask_id;
	u16 network;
	u8 padding14[2];
	u32 workload;
	u32 peer;
	u16 port;
	u8 padding26[6];
};
_Static_assert(sizeof(struct inbound_ipv4_mask) == 32, "struct inbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_mask, highest) == 0, "struct inbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_mask, mask_id) == 8, "struct inbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_mask, network) == 12, "struct inbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_mask, padding14) == 14, "struct inbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_mask, workload) == 16, "struct inbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_mask, peer) == 20, "struct inbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_mask, port) == 24, "struct inbound_ipv4_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_mask, padding26) == 26, "struct inbound_ipv4_mask");

struct inbound_ipv4_masks {
	struct inbound_ipv4_mask slots[16];
};
_Static_assert(sizeof(struct inbound_ipv4_masks) == 512, "struct inbound_ipv4_masks");
_Static_assert(__builtin_offsetof(struct inbound_ipv4_masks, slots) == 0, "struct inbound_ipv4_masks");

struct proxy_ipv4_value {
	u32 group_offset;
	u32 ring_size;
};
_Static_assert(sizeof(struct proxy_ipv4_value) == 8, "struct proxy_ipv4_value");
_Static_assert(__builtin_offsetof(struct proxy_ipv4_value, group_offset) == 0, "struct proxy_ipv4_value");
_Static_assert(__builtin_offsetof(struct proxy_ipv4_value, ring_size) == 4, "struct proxy_ipv4_value");

struct proxies_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct to_proxy_ipv4 to_proxy_ipv4; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct proxies_ipv4_value) == 16, "struct proxies_ipv4_value");
_Static_assert(__builtin_offsetof(struct proxies_ipv4_value, action) == 0, "struct proxies_ipv4_value");
_Static_assert(__builtin_offsetof(struct proxies_ipv4_value, counter) == 4, "struct proxies_ipv4_value");
_Static_assert(__builtin_offsetof(struct proxies_ipv4_value, arguments) == 8, "struct proxies_ipv4_value");

struct outbound_ipv6_key {
	u32 mask_id;
	u16 network;
	u8 side;
	u8 padding7[1];
	struct u128 workload;
	struct u128 peer;
	u16 port;
	u8 padding42[6];
};
_Static_assert(sizeof(struct outbound_ipv6_key) == 48, "struct outbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_key, mask_id) == 0, "struct outbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_key, network) == 4, "struct outbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_key, side) == 6, "struct outbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_key, padding7) == 7, "struct outbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_key, workload) == 8, "struct outbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_key, peer) == 24, "struct outbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_key, port) == 40, "struct outbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_key, padding42) == 42, "struct outbound_ipv6_key");

struct outbound_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u64 rank; /* priority, then a hash; the largest wins */
	union { struct redirect_outbound_ipv6 redirect_outbound_ipv6; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct outbound_ipv6_value) == 24, "struct outbound_ipv6_value");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_value, action) == 0, "struct outbound_ipv6_value");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_value, counter) == 4, "struct outbound_ipv6_value");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_value, rank) == 8, "struct outbound_ipv6_value");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_value, arguments) == 16, "struct outbound_ipv6_value");

struct outbound_ipv6_mask {
	u64 highest;
	u32 mask_id;
	u16 network;
	u8 padding14[2];
	struct u128 workload;
	struct u128 peer;
	u16 port;
	u8 padding50[6];
};
_Static_assert(sizeof(struct outbound_ipv6_mask) == 56, "struct outbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_mask, highest) == 0, "struct outbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_mask, mask_id) == 8, "struct outbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_mask, network) == 12, "struct outbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_mask, padding14) == 14, "struct outbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_mask, workload) == 16, "struct outbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_mask, peer) == 32, "struct outbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_mask, port) == 48, "struct outbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_mask, padding50) == 50, "struct outbound_ipv6_mask");

struct outbound_ipv6_masks {
	struct outbound_ipv6_mask slots[16];
};
_Static_assert(sizeof(struct outbound_ipv6_masks) == 896, "struct outbound_ipv6_masks");
_Static_assert(__builtin_offsetof(struct outbound_ipv6_masks, slots) == 0, "struct outbound_ipv6_masks");

struct inbound_ipv6_key {
	u32 mask_id;
	u16 network;
	u8 side;
	u8 padding7[1];
	struct u128 workload;
	struct u128 peer;
	u16 port;
	u8 padding42[6];
};
_Static_assert(sizeof(struct inbound_ipv6_key) == 48, "struct inbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_key, mask_id) == 0, "struct inbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_key, network) == 4, "struct inbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_key, side) == 6, "struct inbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_key, padding7) == 7, "struct inbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_key, workload) == 8, "struct inbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_key, peer) == 24, "struct inbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_key, port) == 40, "struct inbound_ipv6_key");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_key, padding42) == 42, "struct inbound_ipv6_key");

struct inbound_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u64 rank; /* priority, then a hash; the largest wins */
	union { struct redirect_inbound_ipv6 redirect_inbound_ipv6; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct inbound_ipv6_value) == 24, "struct inbound_ipv6_value");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_value, action) == 0, "struct inbound_ipv6_value");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_value, counter) == 4, "struct inbound_ipv6_value");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_value, rank) == 8, "struct inbound_ipv6_value");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_value, arguments) == 16, "struct inbound_ipv6_value");

struct inbound_ipv6_mask {
	u64 highest;
	u32 mask_id;
	u16 network;
	u8 padding14[2];
	struct u128 workload;
	struct u128 peer;
	u16 port;
	u8 padding50[6];
};
_Static_assert(sizeof(struct inbound_ipv6_mask) == 56, "struct inbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_mask, highest) == 0, "struct inbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_mask, mask_id) == 8, "struct inbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_mask, network) == 12, "struct inbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_mask, padding14) == 14, "struct inbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_mask, workload) == 16, "struct inbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_mask, peer) == 32, "struct inbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_mask, port) == 48, "struct inbound_ipv6_mask");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_mask, padding50) == 50, "struct inbound_ipv6_mask");

struct inbound_ipv6_masks {
	struct inbound_ipv6_mask slots[16];
};
_Static_assert(sizeof(struct inbound_ipv6_masks) == 896, "struct inbound_ipv6_masks");
_Static_assert(__builtin_offsetof(struct inbound_ipv6_masks, slots) == 0, "struct inbound_ipv6_masks");

struct proxy_ipv6_value {
	u32 group_offset;
	u32 ring_size;
};
_Static_assert(sizeof(struct proxy_ipv6_value) == 8, "struct proxy_ipv6_value");
_Static_assert(__builtin_offsetof(struct proxy_ipv6_value, group_offset) == 0, "struct proxy_ipv6_value");
_Static_assert(__builtin_offsetof(struct proxy_ipv6_value, ring_size) == 4, "struct proxy_ipv6_value");

struct proxies_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct to_proxy_ipv6 to_proxy_ipv6; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct proxies_ipv6_value) == 16, "struct proxies_ipv6_value");
_Static_assert(__builtin_offsetof(struct proxies_ipv6_value, action) == 0, "struct proxies_ipv6_value");
_Static_assert(__builtin_offsetof(struct proxies_ipv6_value, counter) == 4, "struct proxies_ipv6_value");
_Static_assert(__builtin_offsetof(struct proxies_ipv6_value, arguments) == 8, "struct proxies_ipv6_value");

struct redirect_limit_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct redirect_limit_ipv4_value) == 8, "struct redirect_limit_ipv4_value");
_Static_assert(__builtin_offsetof(struct redirect_limit_ipv4_value, action) == 0, "struct redirect_limit_ipv4_value");
_Static_assert(__builtin_offsetof(struct redirect_limit_ipv4_value, counter) == 4, "struct redirect_limit_ipv4_value");

struct redirect_limit_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct redirect_limit_ipv6_value) == 8, "struct redirect_limit_ipv6_value");
_Static_assert(__builtin_offsetof(struct redirect_limit_ipv6_value, action) == 0, "struct redirect_limit_ipv6_value");
_Static_assert(__builtin_offsetof(struct redirect_limit_ipv6_value, counter) == 4, "struct redirect_limit_ipv6_value");

struct storage_key {
	u16 service_id;
	u8 is_reply;
	u8 side;
};
_Static_assert(sizeof(struct storage_key) == 4, "struct storage_key");
_Static_assert(__builtin_offsetof(struct storage_key, service_id) == 0, "struct storage_key");
_Static_assert(__builtin_offsetof(struct storage_key, is_reply) == 2, "struct storage_key");
_Static_assert(__builtin_offsetof(struct storage_key, side) == 3, "struct storage_key");

struct storage_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct classify_storage classify_storage; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct storage_value) == 16, "struct storage_value");
_Static_assert(__builtin_offsetof(struct storage_value, action) == 0, "struct storage_value");
_Static_assert(__builtin_offsetof(struct storage_value, counter) == 4, "struct storage_value");
_Static_assert(__builtin_offsetof(struct storage_value, arguments) == 8, "struct storage_value");

struct affinity_backend_ipv4_key {
	u16 service_id;
	u8 side;
	u8 padding3[1];
	u32 address;
	u16 port;
	u16 crossing;
};
_Static_assert(sizeof(struct affinity_backend_ipv4_key) == 12, "struct affinity_backend_ipv4_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv4_key, service_id) == 0, "struct affinity_backend_ipv4_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv4_key, side) == 2, "struct affinity_backend_ipv4_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv4_key, padding3) == 3, "struct affinity_backend_ipv4_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv4_key, address) == 4, "struct affinity_backend_ipv4_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv4_key, port) == 8, "struct affinity_backend_ipv4_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv4_key, crossing) == 10, "struct affinity_backend_ipv4_key");

struct affinity_backend_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct affinity_backend_ipv4_value) == 8, "struct affinity_backend_ipv4_value");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv4_value, action) == 0, "struct affinity_backend_ipv4_value");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv4_value, counter) == 4, "struct affinity_backend_ipv4_value");

struct affinity_backend_ipv6_key {
	u16 service_id;
	u8 side;
	u8 padding3[5];
	struct u128 address;
	u16 port;
	u16 crossing;
	u8 padding28[4];
};
_Static_assert(sizeof(struct affinity_backend_ipv6_key) == 32, "struct affinity_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv6_key, service_id) == 0, "struct affinity_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv6_key, side) == 2, "struct affinity_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv6_key, padding3) == 3, "struct affinity_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv6_key, address) == 8, "struct affinity_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv6_key, port) == 24, "struct affinity_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv6_key, crossing) == 26, "struct affinity_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv6_key, padding28) == 28, "struct affinity_backend_ipv6_key");

struct affinity_backend_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct affinity_backend_ipv6_value) == 8, "struct affinity_backend_ipv6_value");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv6_value, action) == 0, "struct affinity_backend_ipv6_value");
_Static_assert(__builtin_offsetof(struct affinity_backend_ipv6_value, counter) == 4, "struct affinity_backend_ipv6_value");

struct isolated_source_ipv4_key {
	u16 network;
	u8 side;
	u8 padding3[5];
	u64 nexthop;
};
_Static_assert(sizeof(struct isolated_source_ipv4_key) == 16, "struct isolated_source_ipv4_key");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv4_key, network) == 0, "struct isolated_source_ipv4_key");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv4_key, side) == 2, "struct isolated_source_ipv4_key");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv4_key, padding3) == 3, "struct isolated_source_ipv4_key");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv4_key, nexthop) == 8, "struct isolated_source_ipv4_key");

struct isolated_source_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct isolate_source isolate_source; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct isolated_source_ipv4_value) == 16, "struct isolated_source_ipv4_value");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv4_value, action) == 0, "struct isolated_source_ipv4_value");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv4_value, counter) == 4, "struct isolated_source_ipv4_value");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv4_value, arguments) == 8, "struct isolated_source_ipv4_value");

struct isolated_destination_ipv4_key {
	u32 prefix_len;
	u8 side[1];
	u8 network[2];
	u8 address[4];
} __attribute__((packed));
_Static_assert(sizeof(struct isolated_destination_ipv4_key) == 11, "struct isolated_destination_ipv4_key");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv4_key, prefix_len) == 0, "struct isolated_destination_ipv4_key");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv4_key, side) == 4, "struct isolated_destination_ipv4_key");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv4_key, network) == 5, "struct isolated_destination_ipv4_key");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv4_key, address) == 7, "struct isolated_destination_ipv4_key");

struct isolated_destination_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct isolate_destination isolate_destination; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct isolated_destination_ipv4_value) == 16, "struct isolated_destination_ipv4_value");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv4_value, action) == 0, "struct isolated_destination_ipv4_value");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv4_value, counter) == 4, "struct isolated_destination_ipv4_value");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv4_value, arguments) == 8, "struct isolated_destination_ipv4_value");

struct egress_peer_ipv4_key {
	u32 prefix_len;
	u8 side[1];
	u8 policy[2];
	u8 peer[4];
} __attribute__((packed));
_Static_assert(sizeof(struct egress_peer_ipv4_key) == 11, "struct egress_peer_ipv4_key");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv4_key, prefix_len) == 0, "struct egress_peer_ipv4_key");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv4_key, side) == 4, "struct egress_peer_ipv4_key");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv4_key, policy) == 5, "struct egress_peer_ipv4_key");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv4_key, peer) == 7, "struct egress_peer_ipv4_key");

struct egress_peer_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct has_ports has_ports; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct egress_peer_ipv4_value) == 16, "struct egress_peer_ipv4_value");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv4_value, action) == 0, "struct egress_peer_ipv4_value");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv4_value, counter) == 4, "struct egress_peer_ipv4_value");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv4_value, arguments) == 8, "struct egress_peer_ipv4_value");

struct ingress_peer_ipv4_key {
	u32 prefix_len;
	u8 side[1];
	u8 policy[2];
	u8 peer[4];
} __attribute__((packed));
_Static_assert(sizeof(struct ingress_peer_ipv4_key) == 11, "struct ingress_peer_ipv4_key");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv4_key, prefix_len) == 0, "struct ingress_peer_ipv4_key");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv4_key, side) == 4, "struct ingress_peer_ipv4_key");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv4_key, policy) == 5, "struct ingress_peer_ipv4_key");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv4_key, peer) == 7, "struct ingress_peer_ipv4_key");

struct ingress_peer_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct has_ports has_ports; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct ingress_peer_ipv4_value) == 16, "struct ingress_peer_ipv4_value");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv4_value, action) == 0, "struct ingress_peer_ipv4_value");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv4_value, counter) == 4, "struct ingress_peer_ipv4_value");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv4_value, arguments) == 8, "struct ingress_peer_ipv4_value");

struct egress_port_ipv4_key {
	u32 prefix_len;
	u8 side[1];
	u8 ports[2];
	u8 port[4];
} __attribute__((packed));
_Static_assert(sizeof(struct egress_port_ipv4_key) == 11, "struct egress_port_ipv4_key");
_Static_assert(__builtin_offsetof(struct egress_port_ipv4_key, prefix_len) == 0, "struct egress_port_ipv4_key");
_Static_assert(__builtin_offsetof(struct egress_port_ipv4_key, side) == 4, "struct egress_port_ipv4_key");
_Static_assert(__builtin_offsetof(struct egress_port_ipv4_key, ports) == 5, "struct egress_port_ipv4_key");
_Static_assert(__builtin_offsetof(struct egress_port_ipv4_key, port) == 7, "struct egress_port_ipv4_key");

struct egress_port_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u8 padding8[8];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct egress_port_ipv4_value) == 16, "struct egress_port_ipv4_value");
_Static_assert(__builtin_offsetof(struct egress_port_ipv4_value, action) == 0, "struct egress_port_ipv4_value");
_Static_assert(__builtin_offsetof(struct egress_port_ipv4_value, counter) == 4, "struct egress_port_ipv4_value");
_Static_assert(__builtin_offsetof(struct egress_port_ipv4_value, padding8) == 8, "struct egress_port_ipv4_value");

struct ingress_port_ipv4_key {
	u32 prefix_len;
	u8 side[1];
	u8 ports[2];
	u8 port[4];
} __attribute__((packed));
_Static_assert(sizeof(struct ingress_port_ipv4_key) == 11, "struct ingress_port_ipv4_key");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv4_key, prefix_len) == 0, "struct ingress_port_ipv4_key");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv4_key, side) == 4, "struct ingress_port_ipv4_key");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv4_key, ports) == 5, "struct ingress_port_ipv4_key");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv4_key, port) == 7, "struct ingress_port_ipv4_key");

struct ingress_port_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u8 padding8[8];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct ingress_port_ipv4_value) == 16, "struct ingress_port_ipv4_value");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv4_value, action) == 0, "struct ingress_port_ipv4_value");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv4_value, counter) == 4, "struct ingress_port_ipv4_value");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv4_value, padding8) == 8, "struct ingress_port_ipv4_value");

struct isolated_source_ipv6_key {
	u16 network;
	u8 side;
	u8 padding3[5];
	u64 nexthop;
};
_Static_assert(sizeof(struct isolated_source_ipv6_key) == 16, "struct isolated_source_ipv6_key");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv6_key, network) == 0, "struct isolated_source_ipv6_key");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv6_key, side) == 2, "struct isolated_source_ipv6_key");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv6_key, padding3) == 3, "struct isolated_source_ipv6_key");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv6_key, nexthop) == 8, "struct isolated_source_ipv6_key");

struct isolated_source_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct isolate_source isolate_source; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct isolated_source_ipv6_value) == 16, "struct isolated_source_ipv6_value");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv6_value, action) == 0, "struct isolated_source_ipv6_value");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv6_value, counter) == 4, "struct isolated_source_ipv6_value");
_Static_assert(__builtin_offsetof(struct isolated_source_ipv6_value, arguments) == 8, "struct isolated_source_ipv6_value");

struct isolated_destination_ipv6_key {
	u32 prefix_len;
	u8 side[1];
	u8 network[2];
	u8 address[16];
} __attribute__((packed));
_Static_assert(sizeof(struct isolated_destination_ipv6_key) == 23, "struct isolated_destination_ipv6_key");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv6_key, prefix_len) == 0, "struct isolated_destination_ipv6_key");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv6_key, side) == 4, "struct isolated_destination_ipv6_key");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv6_key, network) == 5, "struct isolated_destination_ipv6_key");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv6_key, address) == 7, "struct isolated_destination_ipv6_key");

struct isolated_destination_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct isolate_destination isolate_destination; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct isolated_destination_ipv6_value) == 16, "struct isolated_destination_ipv6_value");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv6_value, action) == 0, "struct isolated_destination_ipv6_value");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv6_value, counter) == 4, "struct isolated_destination_ipv6_value");
_Static_assert(__builtin_offsetof(struct isolated_destination_ipv6_value, arguments) == 8, "struct isolated_destination_ipv6_value");

struct egress_peer_ipv6_key {
	u32 prefix_len;
	u8 side[1];
	u8 policy[2];
	u8 peer[16];
} __attribute__((packed));
_Static_assert(sizeof(struct egress_peer_ipv6_key) == 23, "struct egress_peer_ipv6_key");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv6_key, prefix_len) == 0, "struct egress_peer_ipv6_key");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv6_key, side) == 4, "struct egress_peer_ipv6_key");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv6_key, policy) == 5, "struct egress_peer_ipv6_key");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv6_key, peer) == 7, "struct egress_peer_ipv6_key");

struct egress_peer_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct has_ports has_ports; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct egress_peer_ipv6_value) == 16, "struct egress_peer_ipv6_value");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv6_value, action) == 0, "struct egress_peer_ipv6_value");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv6_value, counter) == 4, "struct egress_peer_ipv6_value");
_Static_assert(__builtin_offsetof(struct egress_peer_ipv6_value, arguments) == 8, "struct egress_peer_ipv6_value");

struct ingress_peer_ipv6_key {
	u32 prefix_len;
	u8 side[1];
	u8 policy[2];
	u8 peer[16];
} __attribute__((packed));
_Static_assert(sizeof(struct ingress_peer_ipv6_key) == 23, "struct ingress_peer_ipv6_key");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv6_key, prefix_len) == 0, "struct ingress_peer_ipv6_key");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv6_key, side) == 4, "struct ingress_peer_ipv6_key");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv6_key, policy) == 5, "struct ingress_peer_ipv6_key");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv6_key, peer) == 7, "struct ingress_peer_ipv6_key");

struct ingress_peer_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct has_ports has_ports; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct ingress_peer_ipv6_value) == 16, "struct ingress_peer_ipv6_value");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv6_value, action) == 0, "struct ingress_peer_ipv6_value");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv6_value, counter) == 4, "struct ingress_peer_ipv6_value");
_Static_assert(__builtin_offsetof(struct ingress_peer_ipv6_value, arguments) == 8, "struct ingress_peer_ipv6_value");

struct egress_port_ipv6_key {
	u32 prefix_len;
	u8 side[1];
	u8 ports[2];
	u8 port[4];
} __attribute__((packed));
_Static_assert(sizeof(struct egress_port_ipv6_key) == 11, "struct egress_port_ipv6_key");
_Static_assert(__builtin_offsetof(struct egress_port_ipv6_key, prefix_len) == 0, "struct egress_port_ipv6_key");
_Static_assert(__builtin_offsetof(struct egress_port_ipv6_key, side) == 4, "struct egress_port_ipv6_key");
_Static_assert(__builtin_offsetof(struct egress_port_ipv6_key, ports) == 5, "struct egress_port_ipv6_key");
_Static_assert(__builtin_offsetof(struct egress_port_ipv6_key, port) == 7, "struct egress_port_ipv6_key");

struct egress_port_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u8 padding8[8];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct egress_port_ipv6_value) == 16, "struct egress_port_ipv6_value");
_Static_assert(__builtin_offsetof(struct egress_port_ipv6_value, action) == 0, "struct egress_port_ipv6_value");
_Static_assert(__builtin_offsetof(struct egress_port_ipv6_value, counter) == 4, "struct egress_port_ipv6_value");
_Static_assert(__builtin_offsetof(struct egress_port_ipv6_value, padding8) == 8, "struct egress_port_ipv6_value");

struct ingress_port_ipv6_key {
	u32 prefix_len;
	u8 side[1];
	u8 ports[2];
	u8 port[4];
} __attribute__((packed));
_Static_assert(sizeof(struct ingress_port_ipv6_key) == 11, "struct ingress_port_ipv6_key");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv6_key, prefix_len) == 0, "struct ingress_port_ipv6_key");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv6_key, side) == 4, "struct ingress_port_ipv6_key");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv6_key, ports) == 5, "struct ingress_port_ipv6_key");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv6_key, port) == 7, "struct ingress_port_ipv6_key");

struct ingress_port_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u8 padding8[8];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct ingress_port_ipv6_value) == 16, "struct ingress_port_ipv6_value");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv6_value, action) == 0, "struct ingress_port_ipv6_value");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv6_value, counter) == 4, "struct ingress_port_ipv6_value");
_Static_assert(__builtin_offsetof(struct ingress_port_ipv6_value, padding8) == 8, "struct ingress_port_ipv6_value");

struct crossing_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct cross cross; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct crossing_ipv4_value) == 16, "struct crossing_ipv4_value");
_Static_assert(__builtin_offsetof(struct crossing_ipv4_value, action) == 0, "struct crossing_ipv4_value");
_Static_assert(__builtin_offsetof(struct crossing_ipv4_value, counter) == 4, "struct crossing_ipv4_value");
_Static_assert(__builtin_offsetof(struct crossing_ipv4_value, arguments) == 8, "struct crossing_ipv4_value");

struct crossing_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct cross cross; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct crossing_ipv6_value) == 16, "struct crossing_ipv6_value");
_Static_assert(__builtin_offsetof(struct crossing_ipv6_value, action) == 0, "struct crossing_ipv6_value");
_Static_assert(__builtin_offsetof(struct crossing_ipv6_value, counter) == 4, "struct crossing_ipv6_value");
_Static_assert(__builtin_offsetof(struct crossing_ipv6_value, arguments) == 8, "struct crossing_ipv6_value");

struct direct_backend_ipv4_key {
	u16 network;
	u8 side;
	u8 padding3[5];
	u64 mac;
};
_Static_assert(sizeof(struct direct_backend_ipv4_key) == 16, "struct direct_backend_ipv4_key");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv4_key, network) == 0, "struct direct_backend_ipv4_key");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv4_key, side) == 2, "struct direct_backend_ipv4_key");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv4_key, padding3) == 3, "struct direct_backend_ipv4_key");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv4_key, mac) == 8, "struct direct_backend_ipv4_key");

struct direct_backend_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct has_backend has_backend; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct direct_backend_ipv4_value) == 16, "struct direct_backend_ipv4_value");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv4_value, action) == 0, "struct direct_backend_ipv4_value");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv4_value, counter) == 4, "struct direct_backend_ipv4_value");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv4_value, arguments) == 8, "struct direct_backend_ipv4_value");

struct direct_backend_ipv6_key {
	u16 network;
	u8 side;
	u8 padding3[5];
	u64 mac;
};
_Static_assert(sizeof(struct direct_backend_ipv6_key) == 16, "struct direct_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv6_key, network) == 0, "struct direct_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv6_key, side) == 2, "struct direct_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv6_key, padding3) == 3, "struct direct_backend_ipv6_key");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv6_key, mac) == 8, "struct direct_backend_ipv6_key");

struct direct_backend_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	union { struct has_backend has_backend; } arguments;
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct direct_backend_ipv6_value) == 16, "struct direct_backend_ipv6_value");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv6_value, action) == 0, "struct direct_backend_ipv6_value");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv6_value, counter) == 4, "struct direct_backend_ipv6_value");
_Static_assert(__builtin_offsetof(struct direct_backend_ipv6_value, arguments) == 8, "struct direct_backend_ipv6_value");

struct served_ipv4_key {
	u32 prefix_len;
	u8 side[1];
	u8 network[2];
	u8 address[4];
} __attribute__((packed));
_Static_assert(sizeof(struct served_ipv4_key) == 11, "struct served_ipv4_key");
_Static_assert(__builtin_offsetof(struct served_ipv4_key, prefix_len) == 0, "struct served_ipv4_key");
_Static_assert(__builtin_offsetof(struct served_ipv4_key, side) == 4, "struct served_ipv4_key");
_Static_assert(__builtin_offsetof(struct served_ipv4_key, network) == 5, "struct served_ipv4_key");
_Static_assert(__builtin_offsetof(struct served_ipv4_key, address) == 7, "struct served_ipv4_key");

struct served_ipv4_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u8 padding8[8];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct served_ipv4_value) == 16, "struct served_ipv4_value");
_Static_assert(__builtin_offsetof(struct served_ipv4_value, action) == 0, "struct served_ipv4_value");
_Static_assert(__builtin_offsetof(struct served_ipv4_value, counter) == 4, "struct served_ipv4_value");
_Static_assert(__builtin_offsetof(struct served_ipv4_value, padding8) == 8, "struct served_ipv4_value");

struct served_ipv6_key {
	u32 prefix_len;
	u8 side[1];
	u8 network[2];
	u8 address[16];
} __attribute__((packed));
_Static_assert(sizeof(struct served_ipv6_key) == 23, "struct served_ipv6_key");
_Static_assert(__builtin_offsetof(struct served_ipv6_key, prefix_len) == 0, "struct served_ipv6_key");
_Static_assert(__builtin_offsetof(struct served_ipv6_key, side) == 4, "struct served_ipv6_key");
_Static_assert(__builtin_offsetof(struct served_ipv6_key, network) == 5, "struct served_ipv6_key");
_Static_assert(__builtin_offsetof(struct served_ipv6_key, address) == 7, "struct served_ipv6_key");

struct served_ipv6_value {
	u32 action; /* enum action; 0: no entry */
	u32 counter; /* index of the direct counter, from 1 */
	u8 padding8[8];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct served_ipv6_value) == 16, "struct served_ipv6_value");
_Static_assert(__builtin_offsetof(struct served_ipv6_value, action) == 0, "struct served_ipv6_value");
_Static_assert(__builtin_offsetof(struct served_ipv6_value, counter) == 4, "struct served_ipv6_value");
_Static_assert(__builtin_offsetof(struct served_ipv6_value, padding8) == 8, "struct served_ipv6_value");


/* Both directions of every connection to a service. */
enum {
	CONNECTIONS_IPV4_TCP_NEW = 1,
	CONNECTIONS_IPV4_TCP_HEARD = 6,
	CONNECTIONS_IPV4_TCP_ESTABLISHED = 2,
	CONNECTIONS_IPV4_TCP_CLOSING = 3,
	CONNECTIONS_IPV4_TCP_CLOSED = 7,
	CONNECTIONS_IPV4_TCP_RESET = 8,
	CONNECTIONS_IPV4_SCTP_NEW = 9,
	CONNECTIONS_IPV4_SCTP_HEARD = 10,
	CONNECTIONS_IPV4_SCTP_ESTABLISHED = 11,
	CONNECTIONS_IPV4_SCTP_CLOSING = 12,
	CONNECTIONS_IPV4_SCTP_CLOSED = 13,
	CONNECTIONS_IPV4_SCTP_RESET = 14,
	CONNECTIONS_IPV4_UDP_NEW = 4,
	CONNECTIONS_IPV4_UDP_STREAM = 5,
	CONNECTIONS_IPV4_DIRECT_NEW = 15,
	CONNECTIONS_IPV4_DIRECT_OPEN = 16,
	CONNECTIONS_IPV4_DIRECT_CLOSING = 17,
};
enum {
	CONNECTIONS_IPV4_OPEN,
	CONNECTIONS_IPV4_DATA,
	CONNECTIONS_IPV4_CLOSE,
	CONNECTIONS_IPV4_RESET,
};
enum {
	TABLE_FLOW_IPV4 = 1,
	TABLE_FLOW_REVERSE_IPV4 = 2,
	TABLE_FLOW_QUOTED_IPV4 = 3,
	TABLE_FRAGMENT_IPV4 = 4,
	TABLE_FRAGMENT_REPLY_IPV4 = 5,
};

static const volatile u32 connections_ipv4_timeout_ms[18] = {
	[CONNECTIONS_IPV4_TCP_NEW] = 60000,
	[CONNECTIONS_IPV4_TCP_HEARD] = 60000,
	[CONNECTIONS_IPV4_TCP_ESTABLISHED] = 7440000,
	[CONNECTIONS_IPV4_TCP_CLOSING] = 10000,
	[CONNECTIONS_IPV4_TCP_CLOSED] = 10000,
	[CONNECTIONS_IPV4_TCP_RESET] = 10000,
	[CONNECTIONS_IPV4_SCTP_NEW] = 3000,
	[CONNECTIONS_IPV4_SCTP_HEARD] = 3000,
	[CONNECTIONS_IPV4_SCTP_ESTABLISHED] = 210000,
	[CONNECTIONS_IPV4_SCTP_CLOSING] = 3000,
	[CONNECTIONS_IPV4_SCTP_CLOSED] = 10000,
	[CONNECTIONS_IPV4_SCTP_RESET] = 10000,
	[CONNECTIONS_IPV4_UDP_NEW] = 30000,
	[CONNECTIONS_IPV4_UDP_STREAM] = 120000,
	[CONNECTIONS_IPV4_DIRECT_NEW] = 60000,
	[CONNECTIONS_IPV4_DIRECT_OPEN] = 900000,
	[CONNECTIONS_IPV4_DIRECT_CLOSING] = 120000,
};
static const volatile u8 connections_ipv4_rank[18] = {
	[CONNECTIONS_IPV4_TCP_NEW] = 0,
	[CONNECTIONS_IPV4_TCP_HEARD] = 0,
	[CONNECTIONS_IPV4_TCP_ESTABLISHED] = 2,
	[CONNECTIONS_IPV4_TCP_CLOSING] = 1,
	[CONNECTIONS_IPV4_TCP_CLOSED] = 0,
	[CONNECTIONS_IPV4_TCP_RESET] = 1,
	[CONNECTIONS_IPV4_SCTP_NEW] = 0,
	[CONNECTIONS_IPV4_SCTP_HEARD] = 0,
	[CONNECTIONS_IPV4_SCTP_ESTABLISHED] = 2,
	[CONNECTIONS_IPV4_SCTP_CLOSING] = 1,
	[CONNECTIONS_IPV4_SCTP_CLOSED] = 0,
	[CONNECTIONS_IPV4_SCTP_RESET] = 1,
	[CONNECTIONS_IPV4_UDP_NEW] = 0,
	[CONNECTIONS_IPV4_UDP_STREAM] = 1,
	[CONNECTIONS_IPV4_DIRECT_NEW] = 0,
	[CONNECTIONS_IPV4_DIRECT_OPEN] = 1,
	[CONNECTIONS_IPV4_DIRECT_CLOSING] = 1,
};
static const volatile u32 connections_ipv4_moves[4] = {
	[CONNECTIONS_IPV4_OPEN] = 1 << CONNECTIONS_IPV4_TCP_CLOSING | 1 << CONNECTIONS_IPV4_TCP_CLOSED | 1 << CONNECTIONS_IPV4_TCP_RESET | 1 << CONNECTIONS_IPV4_SCTP_CLOSING | 1 << CONNECTIONS_IPV4_SCTP_CLOSED | 1 << CONNECTIONS_IPV4_SCTP_RESET | 1 << CONNECTIONS_IPV4_DIRECT_CLOSING,
	[CONNECTIONS_IPV4_DATA] = 1 << CONNECTIONS_IPV4_TCP_NEW | 1 << CONNECTIONS_IPV4_UDP_NEW | 1 << CONNECTIONS_IPV4_SCTP_NEW | 1 << CONNECTIONS_IPV4_DIRECT_NEW,
	[CONNECTIONS_IPV4_CLOSE] = 1 << CONNECTIONS_IPV4_TCP_NEW | 1 << CONNECTIONS_IPV4_TCP_HEARD | 1 << CONNECTIONS_IPV4_TCP_ESTABLISHED | 1 << CONNECTIONS_IPV4_TCP_CLOSING | 1 << CONNECTIONS_IPV4_SCTP_NEW | 1 << CONNECTIONS_IPV4_SCTP_HEARD | 1 << CONNECTIONS_IPV4_SCTP_ESTABLISHED | 1 << CONNECTIONS_IPV4_SCTP_CLOSING | 1 << CONNECTIONS_IPV4_DIRECT_OPEN,
	[CONNECTIONS_IPV4_RESET] = 1 << CONNECTIONS_IPV4_TCP_NEW | 1 << CONNECTIONS_IPV4_TCP_HEARD | 1 << CONNECTIONS_IPV4_TCP_ESTABLISHED | 1 << CONNECTIONS_IPV4_TCP_CLOSING | 1 << CONNECTIONS_IPV4_SCTP_NEW | 1 << CONNECTIONS_IPV4_SCTP_HEARD | 1 << CONNECTIONS_IPV4_SCTP_ESTABLISHED | 1 << CONNECTIONS_IPV4_SCTP_CLOSING | 1 << CONNECTIONS_IPV4_DIRECT_OPEN,
};
static const volatile struct flow_transition connections_ipv4_transitions[37] = {
	{.event = CONNECTIONS_IPV4_DATA, .current = CONNECTIONS_IPV4_TCP_NEW, .other = CONNECTIONS_IPV4_TCP_HEARD, .next = CONNECTIONS_IPV4_TCP_ESTABLISHED, .other_next = CONNECTIONS_IPV4_TCP_ESTABLISHED},
	{.event = CONNECTIONS_IPV4_DATA, .current = CONNECTIONS_IPV4_TCP_NEW, .next = CONNECTIONS_IPV4_TCP_HEARD},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_TCP_NEW, .other = CONNECTIONS_IPV4_TCP_CLOSING, .next = CONNECTIONS_IPV4_TCP_CLOSED, .other_next = CONNECTIONS_IPV4_TCP_CLOSED},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_TCP_HEARD, .other = CONNECTIONS_IPV4_TCP_CLOSING, .next = CONNECTIONS_IPV4_TCP_CLOSED, .other_next = CONNECTIONS_IPV4_TCP_CLOSED},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_TCP_ESTABLISHED, .other = CONNECTIONS_IPV4_TCP_CLOSING, .next = CONNECTIONS_IPV4_TCP_CLOSED, .other_next = CONNECTIONS_IPV4_TCP_CLOSED},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_TCP_CLOSING, .other = CONNECTIONS_IPV4_TCP_CLOSING, .next = CONNECTIONS_IPV4_TCP_CLOSED, .other_next = CONNECTIONS_IPV4_TCP_CLOSED},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_TCP_NEW, .next = CONNECTIONS_IPV4_TCP_CLOSING},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_TCP_HEARD, .next = CONNECTIONS_IPV4_TCP_CLOSING},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_TCP_ESTABLISHED, .next = CONNECTIONS_IPV4_TCP_CLOSING},
	{.event = CONNECTIONS_IPV4_RESET, .current = CONNECTIONS_IPV4_TCP_NEW, .next = CONNECTIONS_IPV4_TCP_CLOSED, .other_next = CONNECTIONS_IPV4_TCP_CLOSED},
	{.event = CONNECTIONS_IPV4_RESET, .current = CONNECTIONS_IPV4_TCP_HEARD, .next = CONNECTIONS_IPV4_TCP_CLOSED, .other_next = CONNECTIONS_IPV4_TCP_CLOSED},
	{.event = CONNECTIONS_IPV4_RESET, .current = CONNECTIONS_IPV4_TCP_ESTABLISHED, .next = CONNECTIONS_IPV4_TCP_RESET, .other_next = CONNECTIONS_IPV4_TCP_RESET},
	{.event = CONNECTIONS_IPV4_RESET, .current = CONNECTIONS_IPV4_TCP_CLOSING, .next = CONNECTIONS_IPV4_TCP_RESET, .other_next = CONNECTIONS_IPV4_TCP_RESET},
	{.event = CONNECTIONS_IPV4_OPEN, .current = CONNECTIONS_IPV4_TCP_CLOSING, .next = CONNECTIONS_IPV4_TCP_NEW, .other_next = CONNECTIONS_IPV4_TCP_NEW},
	{.event = CONNECTIONS_IPV4_OPEN, .current = CONNECTIONS_IPV4_TCP_CLOSED, .next = CONNECTIONS_IPV4_TCP_NEW, .other_next = CONNECTIONS_IPV4_TCP_NEW},
	{.event = CONNECTIONS_IPV4_OPEN, .current = CONNECTIONS_IPV4_TCP_RESET, .next = CONNECTIONS_IPV4_TCP_NEW, .other_next = CONNECTIONS_IPV4_TCP_NEW},
	{.event = CONNECTIONS_IPV4_DATA, .current = CONNECTIONS_IPV4_UDP_NEW, .next = CONNECTIONS_IPV4_UDP_STREAM},
	{.event = CONNECTIONS_IPV4_DATA, .current = CONNECTIONS_IPV4_SCTP_NEW, .other = CONNECTIONS_IPV4_SCTP_HEARD, .next = CONNECTIONS_IPV4_SCTP_ESTABLISHED, .other_next = CONNECTIONS_IPV4_SCTP_ESTABLISHED},
	{.event = CONNECTIONS_IPV4_DATA, .current = CONNECTIONS_IPV4_SCTP_NEW, .next = CONNECTIONS_IPV4_SCTP_HEARD},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_SCTP_NEW, .other = CONNECTIONS_IPV4_SCTP_CLOSING, .next = CONNECTIONS_IPV4_SCTP_CLOSED, .other_next = CONNECTIONS_IPV4_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_SCTP_HEARD, .other = CONNECTIONS_IPV4_SCTP_CLOSING, .next = CONNECTIONS_IPV4_SCTP_CLOSED, .other_next = CONNECTIONS_IPV4_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_SCTP_ESTABLISHED, .other = CONNECTIONS_IPV4_SCTP_CLOSING, .next = CONNECTIONS_IPV4_SCTP_CLOSED, .other_next = CONNECTIONS_IPV4_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_SCTP_CLOSING, .other = CONNECTIONS_IPV4_SCTP_CLOSING, .next = CONNECTIONS_IPV4_SCTP_CLOSED, .other_next = CONNECTIONS_IPV4_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_SCTP_NEW, .next = CONNECTIONS_IPV4_SCTP_CLOSING},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_SCTP_HEARD, .next = CONNECTIONS_IPV4_SCTP_CLOSING},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_SCTP_ESTABLISHED, .next = CONNECTIONS_IPV4_SCTP_CLOSING},
	{.event = CONNECTIONS_IPV4_RESET, .current = CONNECTIONS_IPV4_SCTP_NEW, .next = CONNECTIONS_IPV4_SCTP_CLOSED, .other_next = CONNECTIONS_IPV4_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV4_RESET, .current = CONNECTIONS_IPV4_SCTP_HEARD, .next = CONNECTIONS_IPV4_SCTP_CLOSED, .other_next = CONNECTIONS_IPV4_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV4_RESET, .current = CONNECTIONS_IPV4_SCTP_ESTABLISHED, .next = CONNECTIONS_IPV4_SCTP_RESET, .other_next = CONNECTIONS_IPV4_SCTP_RESET},
	{.event = CONNECTIONS_IPV4_RESET, .current = CONNECTIONS_IPV4_SCTP_CLOSING, .next = CONNECTIONS_IPV4_SCTP_RESET, .other_next = CONNECTIONS_IPV4_SCTP_RESET},
	{.event = CONNECTIONS_IPV4_OPEN, .current = CONNECTIONS_IPV4_SCTP_CLOSING, .next = CONNECTIONS_IPV4_SCTP_NEW, .other_next = CONNECTIONS_IPV4_SCTP_NEW},
	{.event = CONNECTIONS_IPV4_OPEN, .current = CONNECTIONS_IPV4_SCTP_CLOSED, .next = CONNECTIONS_IPV4_SCTP_NEW, .other_next = CONNECTIONS_IPV4_SCTP_NEW},
	{.event = CONNECTIONS_IPV4_OPEN, .current = CONNECTIONS_IPV4_SCTP_RESET, .next = CONNECTIONS_IPV4_SCTP_NEW, .other_next = CONNECTIONS_IPV4_SCTP_NEW},
	{.event = CONNECTIONS_IPV4_DATA, .current = CONNECTIONS_IPV4_DIRECT_NEW, .next = CONNECTIONS_IPV4_DIRECT_OPEN},
	{.event = CONNECTIONS_IPV4_CLOSE, .current = CONNECTIONS_IPV4_DIRECT_OPEN, .next = CONNECTIONS_IPV4_DIRECT_CLOSING},
	{.event = CONNECTIONS_IPV4_RESET, .current = CONNECTIONS_IPV4_DIRECT_OPEN, .next = CONNECTIONS_IPV4_DIRECT_CLOSING, .other_next = CONNECTIONS_IPV4_DIRECT_CLOSING},
	{.event = CONNECTIONS_IPV4_OPEN, .current = CONNECTIONS_IPV4_DIRECT_CLOSING, .next = CONNECTIONS_IPV4_DIRECT_NEW},
};

static const volatile u32 connections_ipv4_over = 1 << CONNECTIONS_IPV4_TCP_CLOSED | 1 << CONNECTIONS_IPV4_TCP_RESET | 1 << CONNECTIONS_IPV4_SCTP_CLOSED | 1 << CONNECTIONS_IPV4_SCTP_RESET;

union connections_ipv4_arguments {
	struct translate_ipv4 translate_ipv4;
	struct translate_reply_ipv4 translate_reply_ipv4;
};
_Static_assert(sizeof(union connections_ipv4_arguments) == 16, "union connections_ipv4_arguments");

#define FLOW_STORE connections_ipv4
#define FLOW_KEY_WORDS 2
#define FLOW_ARGUMENTS union connections_ipv4_arguments
#define FLOW_SLOT_BYTES 64
#ifndef CONNECTIONS_IPV4_SLOTS
#define CONNECTIONS_IPV4_SLOTS 131072
#endif
#define FLOW_SLOTS CONNECTIONS_IPV4_SLOTS
#define FLOW_WAYS 4
#define FLOW_PROFILES 18
#define FLOW_EVENTS 4
#define FLOW_TRANSITIONS 37
#define FLOW_COUNTS 65536
#define FLOW_RENEWS
#define FLOW_SOUGHT
#include "turnout/flow_table.h"

/* Both directions of every connection to a service. */
enum {
	CONNECTIONS_IPV6_TCP_NEW = 1,
	CONNECTIONS_IPV6_TCP_HEARD = 6,
	CONNECTIONS_IPV6_TCP_ESTABLISHED = 2,
	CONNECTIONS_IPV6_TCP_CLOSING = 3,
	CONNECTIONS_IPV6_TCP_CLOSED = 7,
	CONNECTIONS_IPV6_TCP_RESET = 8,
	CONNECTIONS_IPV6_SCTP_NEW = 9,
	CONNECTIONS_IPV6_SCTP_HEARD = 10,
	CONNECTIONS_IPV6_SCTP_ESTABLISHED = 11,
	CONNECTIONS_IPV6_SCTP_CLOSING = 12,
	CONNECTIONS_IPV6_SCTP_CLOSED = 13,
	CONNECTIONS_IPV6_SCTP_RESET = 14,
	CONNECTIONS_IPV6_UDP_NEW = 4,
	CONNECTIONS_IPV6_UDP_STREAM = 5,
	CONNECTIONS_IPV6_DIRECT_NEW = 15,
	CONNECTIONS_IPV6_DIRECT_OPEN = 16,
	CONNECTIONS_IPV6_DIRECT_CLOSING = 17,
};
enum {
	CONNECTIONS_IPV6_OPEN,
	CONNECTIONS_IPV6_DATA,
	CONNECTIONS_IPV6_CLOSE,
	CONNECTIONS_IPV6_RESET,
};
enum {
	TABLE_FLOW_IPV6 = 1,
	TABLE_FLOW_REVERSE_IPV6 = 2,
	TABLE_FLOW_QUOTED_IPV6 = 3,
	TABLE_FRAGMENT_IPV6 = 4,
	TABLE_FRAGMENT_REPLY_IPV6 = 5,
};

static const volatile u32 connections_ipv6_timeout_ms[18] = {
	[CONNECTIONS_IPV6_TCP_NEW] = 60000,
	[CONNECTIONS_IPV6_TCP_HEARD] = 60000,
	[CONNECTIONS_IPV6_TCP_ESTABLISHED] = 7440000,
	[CONNECTIONS_IPV6_TCP_CLOSING] = 10000,
	[CONNECTIONS_IPV6_TCP_CLOSED] = 10000,
	[CONNECTIONS_IPV6_TCP_RESET] = 10000,
	[CONNECTIONS_IPV6_SCTP_NEW] = 3000,
	[CONNECTIONS_IPV6_SCTP_HEARD] = 3000,
	[CONNECTIONS_IPV6_SCTP_ESTABLISHED] = 210000,
	[CONNECTIONS_IPV6_SCTP_CLOSING] = 3000,
	[CONNECTIONS_IPV6_SCTP_CLOSED] = 10000,
	[CONNECTIONS_IPV6_SCTP_RESET] = 10000,
	[CONNECTIONS_IPV6_UDP_NEW] = 30000,
	[CONNECTIONS_IPV6_UDP_STREAM] = 120000,
	[CONNECTIONS_IPV6_DIRECT_NEW] = 60000,
	[CONNECTIONS_IPV6_DIRECT_OPEN] = 900000,
	[CONNECTIONS_IPV6_DIRECT_CLOSING] = 120000,
};
static const volatile u8 connections_ipv6_rank[18] = {
	[CONNECTIONS_IPV6_TCP_NEW] = 0,
	[CONNECTIONS_IPV6_TCP_HEARD] = 0,
	[CONNECTIONS_IPV6_TCP_ESTABLISHED] = 2,
	[CONNECTIONS_IPV6_TCP_CLOSING] = 1,
	[CONNECTIONS_IPV6_TCP_CLOSED] = 0,
	[CONNECTIONS_IPV6_TCP_RESET] = 1,
	[CONNECTIONS_IPV6_SCTP_NEW] = 0,
	[CONNECTIONS_IPV6_SCTP_HEARD] = 0,
	[CONNECTIONS_IPV6_SCTP_ESTABLISHED] = 2,
	[CONNECTIONS_IPV6_SCTP_CLOSING] = 1,
	[CONNECTIONS_IPV6_SCTP_CLOSED] = 0,
	[CONNECTIONS_IPV6_SCTP_RESET] = 1,
	[CONNECTIONS_IPV6_UDP_NEW] = 0,
	[CONNECTIONS_IPV6_UDP_STREAM] = 1,
	[CONNECTIONS_IPV6_DIRECT_NEW] = 0,
	[CONNECTIONS_IPV6_DIRECT_OPEN] = 1,
	[CONNECTIONS_IPV6_DIRECT_CLOSING] = 1,
};
static const volatile u32 connections_ipv6_moves[4] = {
	[CONNECTIONS_IPV6_OPEN] = 1 << CONNECTIONS_IPV6_TCP_CLOSING | 1 << CONNECTIONS_IPV6_TCP_CLOSED | 1 << CONNECTIONS_IPV6_TCP_RESET | 1 << CONNECTIONS_IPV6_SCTP_CLOSING | 1 << CONNECTIONS_IPV6_SCTP_CLOSED | 1 << CONNECTIONS_IPV6_SCTP_RESET | 1 << CONNECTIONS_IPV6_DIRECT_CLOSING,
	[CONNECTIONS_IPV6_DATA] = 1 << CONNECTIONS_IPV6_TCP_NEW | 1 << CONNECTIONS_IPV6_UDP_NEW | 1 << CONNECTIONS_IPV6_SCTP_NEW | 1 << CONNECTIONS_IPV6_DIRECT_NEW,
	[CONNECTIONS_IPV6_CLOSE] = 1 << CONNECTIONS_IPV6_TCP_NEW | 1 << CONNECTIONS_IPV6_TCP_HEARD | 1 << CONNECTIONS_IPV6_TCP_ESTABLISHED | 1 << CONNECTIONS_IPV6_TCP_CLOSING | 1 << CONNECTIONS_IPV6_SCTP_NEW | 1 << CONNECTIONS_IPV6_SCTP_HEARD | 1 << CONNECTIONS_IPV6_SCTP_ESTABLISHED | 1 << CONNECTIONS_IPV6_SCTP_CLOSING | 1 << CONNECTIONS_IPV6_DIRECT_OPEN,
	[CONNECTIONS_IPV6_RESET] = 1 << CONNECTIONS_IPV6_TCP_NEW | 1 << CONNECTIONS_IPV6_TCP_HEARD | 1 << CONNECTIONS_IPV6_TCP_ESTABLISHED | 1 << CONNECTIONS_IPV6_TCP_CLOSING | 1 << CONNECTIONS_IPV6_SCTP_NEW | 1 << CONNECTIONS_IPV6_SCTP_HEARD | 1 << CONNECTIONS_IPV6_SCTP_ESTABLISHED | 1 << CONNECTIONS_IPV6_SCTP_CLOSING | 1 << CONNECTIONS_IPV6_DIRECT_OPEN,
};
static const volatile struct flow_transition connections_ipv6_transitions[37] = {
	{.event = CONNECTIONS_IPV6_DATA, .current = CONNECTIONS_IPV6_TCP_NEW, .other = CONNECTIONS_IPV6_TCP_HEARD, .next = CONNECTIONS_IPV6_TCP_ESTABLISHED, .other_next = CONNECTIONS_IPV6_TCP_ESTABLISHED},
	{.event = CONNECTIONS_IPV6_DATA, .current = CONNECTIONS_IPV6_TCP_NEW, .next = CONNECTIONS_IPV6_TCP_HEARD},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_TCP_NEW, .other = CONNECTIONS_IPV6_TCP_CLOSING, .next = CONNECTIONS_IPV6_TCP_CLOSED, .other_next = CONNECTIONS_IPV6_TCP_CLOSED},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_TCP_HEARD, .other = CONNECTIONS_IPV6_TCP_CLOSING, .next = CONNECTIONS_IPV6_TCP_CLOSED, .other_next = CONNECTIONS_IPV6_TCP_CLOSED},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_TCP_ESTABLISHED, .other = CONNECTIONS_IPV6_TCP_CLOSING, .next = CONNECTIONS_IPV6_TCP_CLOSED, .other_next = CONNECTIONS_IPV6_TCP_CLOSED},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_TCP_CLOSING, .other = CONNECTIONS_IPV6_TCP_CLOSING, .next = CONNECTIONS_IPV6_TCP_CLOSED, .other_next = CONNECTIONS_IPV6_TCP_CLOSED},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_TCP_NEW, .next = CONNECTIONS_IPV6_TCP_CLOSING},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_TCP_HEARD, .next = CONNECTIONS_IPV6_TCP_CLOSING},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_TCP_ESTABLISHED, .next = CONNECTIONS_IPV6_TCP_CLOSING},
	{.event = CONNECTIONS_IPV6_RESET, .current = CONNECTIONS_IPV6_TCP_NEW, .next = CONNECTIONS_IPV6_TCP_CLOSED, .other_next = CONNECTIONS_IPV6_TCP_CLOSED},
	{.event = CONNECTIONS_IPV6_RESET, .current = CONNECTIONS_IPV6_TCP_HEARD, .next = CONNECTIONS_IPV6_TCP_CLOSED, .other_next = CONNECTIONS_IPV6_TCP_CLOSED},
	{.event = CONNECTIONS_IPV6_RESET, .current = CONNECTIONS_IPV6_TCP_ESTABLISHED, .next = CONNECTIONS_IPV6_TCP_RESET, .other_next = CONNECTIONS_IPV6_TCP_RESET},
	{.event = CONNECTIONS_IPV6_RESET, .current = CONNECTIONS_IPV6_TCP_CLOSING, .next = CONNECTIONS_IPV6_TCP_RESET, .other_next = CONNECTIONS_IPV6_TCP_RESET},
	{.event = CONNECTIONS_IPV6_OPEN, .current = CONNECTIONS_IPV6_TCP_CLOSING, .next = CONNECTIONS_IPV6_TCP_NEW, .other_next = CONNECTIONS_IPV6_TCP_NEW},
	{.event = CONNECTIONS_IPV6_OPEN, .current = CONNECTIONS_IPV6_TCP_CLOSED, .next = CONNECTIONS_IPV6_TCP_NEW, .other_next = CONNECTIONS_IPV6_TCP_NEW},
	{.event = CONNECTIONS_IPV6_OPEN, .current = CONNECTIONS_IPV6_TCP_RESET, .next = CONNECTIONS_IPV6_TCP_NEW, .other_next = CONNECTIONS_IPV6_TCP_NEW},
	{.event = CONNECTIONS_IPV6_DATA, .current = CONNECTIONS_IPV6_UDP_NEW, .next = CONNECTIONS_IPV6_UDP_STREAM},
	{.event = CONNECTIONS_IPV6_DATA, .current = CONNECTIONS_IPV6_SCTP_NEW, .other = CONNECTIONS_IPV6_SCTP_HEARD, .next = CONNECTIONS_IPV6_SCTP_ESTABLISHED, .other_next = CONNECTIONS_IPV6_SCTP_ESTABLISHED},
	{.event = CONNECTIONS_IPV6_DATA, .current = CONNECTIONS_IPV6_SCTP_NEW, .next = CONNECTIONS_IPV6_SCTP_HEARD},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_SCTP_NEW, .other = CONNECTIONS_IPV6_SCTP_CLOSING, .next = CONNECTIONS_IPV6_SCTP_CLOSED, .other_next = CONNECTIONS_IPV6_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_SCTP_HEARD, .other = CONNECTIONS_IPV6_SCTP_CLOSING, .next = CONNECTIONS_IPV6_SCTP_CLOSED, .other_next = CONNECTIONS_IPV6_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_SCTP_ESTABLISHED, .other = CONNECTIONS_IPV6_SCTP_CLOSING, .next = CONNECTIONS_IPV6_SCTP_CLOSED, .other_next = CONNECTIONS_IPV6_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_SCTP_CLOSING, .other = CONNECTIONS_IPV6_SCTP_CLOSING, .next = CONNECTIONS_IPV6_SCTP_CLOSED, .other_next = CONNECTIONS_IPV6_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_SCTP_NEW, .next = CONNECTIONS_IPV6_SCTP_CLOSING},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_SCTP_HEARD, .next = CONNECTIONS_IPV6_SCTP_CLOSING},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_SCTP_ESTABLISHED, .next = CONNECTIONS_IPV6_SCTP_CLOSING},
	{.event = CONNECTIONS_IPV6_RESET, .current = CONNECTIONS_IPV6_SCTP_NEW, .next = CONNECTIONS_IPV6_SCTP_CLOSED, .other_next = CONNECTIONS_IPV6_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV6_RESET, .current = CONNECTIONS_IPV6_SCTP_HEARD, .next = CONNECTIONS_IPV6_SCTP_CLOSED, .other_next = CONNECTIONS_IPV6_SCTP_CLOSED},
	{.event = CONNECTIONS_IPV6_RESET, .current = CONNECTIONS_IPV6_SCTP_ESTABLISHED, .next = CONNECTIONS_IPV6_SCTP_RESET, .other_next = CONNECTIONS_IPV6_SCTP_RESET},
	{.event = CONNECTIONS_IPV6_RESET, .current = CONNECTIONS_IPV6_SCTP_CLOSING, .next = CONNECTIONS_IPV6_SCTP_RESET, .other_next = CONNECTIONS_IPV6_SCTP_RESET},
	{.event = CONNECTIONS_IPV6_OPEN, .current = CONNECTIONS_IPV6_SCTP_CLOSING, .next = CONNECTIONS_IPV6_SCTP_NEW, .other_next = CONNECTIONS_IPV6_SCTP_NEW},
	{.event = CONNECTIONS_IPV6_OPEN, .current = CONNECTIONS_IPV6_SCTP_CLOSED, .next = CONNECTIONS_IPV6_SCTP_NEW, .other_next = CONNECTIONS_IPV6_SCTP_NEW},
	{.event = CONNECTIONS_IPV6_OPEN, .current = CONNECTIONS_IPV6_SCTP_RESET, .next = CONNECTIONS_IPV6_SCTP_NEW, .other_next = CONNECTIONS_IPV6_SCTP_NEW},
	{.event = CONNECTIONS_IPV6_DATA, .current = CONNECTIONS_IPV6_DIRECT_NEW, .next = CONNECTIONS_IPV6_DIRECT_OPEN},
	{.event = CONNECTIONS_IPV6_CLOSE, .current = CONNECTIONS_IPV6_DIRECT_OPEN, .next = CONNECTIONS_IPV6_DIRECT_CLOSING},
	{.event = CONNECTIONS_IPV6_RESET, .current = CONNECTIONS_IPV6_DIRECT_OPEN, .next = CONNECTIONS_IPV6_DIRECT_CLOSING, .other_next = CONNECTIONS_IPV6_DIRECT_CLOSING},
	{.event = CONNECTIONS_IPV6_OPEN, .current = CONNECTIONS_IPV6_DIRECT_CLOSING, .next = CONNECTIONS_IPV6_DIRECT_NEW},
};

static const volatile u32 connections_ipv6_over = 1 << CONNECTIONS_IPV6_TCP_CLOSED | 1 << CONNECTIONS_IPV6_TCP_RESET | 1 << CONNECTIONS_IPV6_SCTP_CLOSED | 1 << CONNECTIONS_IPV6_SCTP_RESET;

union connections_ipv6_arguments {
	struct translate_ipv6 translate_ipv6;
	struct translate_reply_ipv6 translate_reply_ipv6;
};
_Static_assert(sizeof(union connections_ipv6_arguments) == 40, "union connections_ipv6_arguments");

#define FLOW_STORE connections_ipv6
#define FLOW_KEY_WORDS 5
#define FLOW_ARGUMENTS union connections_ipv6_arguments
#define FLOW_SLOT_BYTES 128
#ifndef CONNECTIONS_IPV6_SLOTS
#define CONNECTIONS_IPV6_SLOTS 131072
#endif
#define FLOW_SLOTS CONNECTIONS_IPV6_SLOTS
#define FLOW_WAYS 4
#define FLOW_PROFILES 18
#define FLOW_EVENTS 4
#define FLOW_TRANSITIONS 37
#define FLOW_COUNTS 65536
#define FLOW_RENEWS
#define FLOW_SOUGHT
#include "turnout/flow_table.h"

/* The backend that a client's last connection to a service got. How long that counts is the service's to say; a profile only says when its place is free. */
enum {
	AFFINITIES_MINUTE = 1,
	AFFINITIES_TEN_MINUTES = 2,
	AFFINITIES_THREE_HOURS = 3,
	AFFINITIES_DAY = 4,
	AFFINITIES_HOST = 5,
};
enum {
	TABLE_STORAGE_HOST_IPV4 = 1,
	TABLE_STORAGE_HOST_IPV6 = 2,
	TABLE_AFFINITY_IPV4 = 3,
	TABLE_AFFINITY_IPV6 = 4,
};

static const volatile u32 affinities_timeout_ms[6] = {
	[AFFINITIES_MINUTE] = 60000,
	[AFFINITIES_TEN_MINUTES] = 600000,
	[AFFINITIES_THREE_HOURS] = 10800000,
	[AFFINITIES_DAY] = 86400000,
	[AFFINITIES_HOST] = 7440000,
};
static const volatile u8 affinities_rank[6] = {
	[AFFINITIES_MINUTE] = 0,
	[AFFINITIES_TEN_MINUTES] = 0,
	[AFFINITIES_THREE_HOURS] = 0,
	[AFFINITIES_DAY] = 0,
	[AFFINITIES_HOST] = 1,
};
static const volatile u32 affinities_moves[0] = {
};
static const volatile struct flow_transition affinities_transitions[0] = {
};


union affinities_arguments {
	struct remembered remembered;
};
_Static_assert(sizeof(union affinities_arguments) == 32, "union affinities_arguments");

#define FLOW_STORE affinities
#define FLOW_KEY_WORDS 3
#define FLOW_ARGUMENTS union affinities_arguments
#define FLOW_SLOT_BYTES 128
#ifndef AFFINITIES_SLOTS
#define AFFINITIES_SLOTS 65536
#endif
#define FLOW_SLOTS AFFINITIES_SLOTS
#define FLOW_WAYS 4
#define FLOW_PROFILES 6
#define FLOW_EVENTS 0
#define FLOW_TRANSITIONS 0
#define FLOW_RENEWS
#define FLOW_ALONE
#include "turnout/flow_table.h"


struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[2048];
	struct port_key *key;
	struct port_value *value;
} port SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[131072];
	u32 *key;
	struct port_value *value;
} port_direct SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[1025];
	u32 *key;
	struct counter *value;
} port_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[8192];
	struct tunnel_key *key;
	struct tunnel_value *value;
} tunnel SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[4097];
	u32 *key;
	struct counter *value;
} tunnel_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[131072];
	struct arp_key *key;
	struct arp_value *value;
} arp SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[131072];
	struct nd_key *key;
	struct nd_value *value;
} nd SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[131072];
	u32 *key;
	struct neighbor_value *value;
} neighbor SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[131072];
	u32 *key;
	struct network_value *value;
} network SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[8192];
	struct eip_ipv4_key *key;
	struct eip_ipv4_value *value;
} eip_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[8192];
	struct entrance_ipv4_key *key;
	struct entrance_ipv4_value *value;
} entrance_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[8192];
	struct eip_ipv6_key *key;
	struct eip_ipv6_value *value;
} eip_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[8192];
	struct entrance_ipv6_key *key;
	struct entrance_ipv6_value *value;
} entrance_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[20000];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct source_range_ipv4_key *key;
	struct source_range_ipv4_value *value;
} source_range_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[10001];
	u32 *key;
	struct counter *value;
} source_range_ipv4_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[20000];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct source_range_ipv6_key *key;
	struct source_range_ipv6_value *value;
} source_range_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[10001];
	u32 *key;
	struct counter *value;
} source_range_ipv6_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[20000];
	struct service_ipv4_key *key;
	struct service_ipv4_value *value;
} service_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[10001];
	u32 *key;
	struct counter *value;
} service_ipv4_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct backend_ipv4_value *value;
} backend_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[8388608];
	int (*map_flags)[BPF_F_MMAPABLE | BPF_F_INNER_MAP];
	u32 *key;
	u32 *value;
} backends_ipv4_ring SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[65535];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct backends_ipv4_value *value;
} backends_ipv4_member SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[65536];
	int (*map_flags)[BPF_F_MMAPABLE | BPF_F_INNER_MAP];
	u32 *key;
	u32 *value;
} backends_ipv4_turns SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct route_ipv4_key *key;
	struct route_ipv4_value *value;
} route_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[20000];
	struct service_ipv6_key *key;
	struct service_ipv6_value *value;
} service_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[10001];
	u32 *key;
	struct counter *value;
} service_ipv6_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct backend_ipv6_value *value;
} backend_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[8388608];
	int (*map_flags)[BPF_F_MMAPABLE | BPF_F_INNER_MAP];
	u32 *key;
	u32 *value;
} backends_ipv6_ring SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[65535];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct backends_ipv6_value *value;
} backends_ipv6_member SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[65536];
	int (*map_flags)[BPF_F_MMAPABLE | BPF_F_INNER_MAP];
	u32 *key;
	u32 *value;
} backends_ipv6_turns SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct route_ipv6_key *key;
	struct route_ipv6_value *value;
} route_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct outbound_ipv4_key *key;
	struct outbound_ipv4_value *value;
} outbound_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[2];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct outbound_ipv4_masks *value;
} outbound_ipv4_masks SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[4097];
	u32 *key;
	struct counter *value;
} outbound_ipv4_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct inbound_ipv4_key *key;
	struct inbound_ipv4_value *value;
} inbound_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[2];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct inbound_ipv4_masks *value;
} inbound_ipv4_masks SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[4097];
	u32 *key;
	struct counter *value;
} inbound_ipv4_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct proxy_ipv4_value *value;
} proxy_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[524288];
	int (*map_flags)[BPF_F_MMAPABLE | BPF_F_INNER_MAP];
	u32 *key;
	u32 *value;
} proxies_ipv4_ring SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[4096];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct proxies_ipv4_value *value;
} proxies_ipv4_member SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct outbound_ipv6_key *key;
	struct outbound_ipv6_value *value;
} outbound_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[2];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct outbound_ipv6_masks *value;
} outbound_ipv6_masks SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[4097];
	u32 *key;
	struct counter *value;
} outbound_ipv6_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct inbound_ipv6_key *key;
	struct inbound_ipv6_value *value;
} inbound_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[2];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct inbound_ipv6_masks *value;
} inbound_ipv6_masks SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[4097];
	u32 *key;
	struct counter *value;
} inbound_ipv6_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct proxy_ipv6_value *value;
} proxy_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[524288];
	int (*map_flags)[BPF_F_MMAPABLE | BPF_F_INNER_MAP];
	u32 *key;
	u32 *value;
} proxies_ipv6_ring SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[4096];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct proxies_ipv6_value *value;
} proxies_ipv6_member SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[8192];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct redirect_limit_ipv4_value *value;
} redirect_limit_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[8192];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct redirect_limit_ipv6_value *value;
} redirect_limit_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[65536];
	struct storage_key *key;
	struct storage_value *value;
} storage SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[131072];
	u32 *key;
	struct storage_value *value;
} storage_direct SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[65536];
	struct affinity_backend_ipv4_key *key;
	struct affinity_backend_ipv4_value *value;
} affinity_backend_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[65536];
	struct affinity_backend_ipv6_key *key;
	struct affinity_backend_ipv6_value *value;
} affinity_backend_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[8192];
	struct isolated_source_ipv4_key *key;
	struct isolated_source_ipv4_value *value;
} isolated_source_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[8192];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct isolated_destination_ipv4_key *key;
	struct isolated_destination_ipv4_value *value;
} isolated_destination_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct egress_peer_ipv4_key *key;
	struct egress_peer_ipv4_value *value;
} egress_peer_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct ingress_peer_ipv4_key *key;
	struct ingress_peer_ipv4_value *value;
} ingress_peer_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[20000];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct egress_port_ipv4_key *key;
	struct egress_port_ipv4_value *value;
} egress_port_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[10001];
	u32 *key;
	struct counter *value;
} egress_port_ipv4_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[20000];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct ingress_port_ipv4_key *key;
	struct ingress_port_ipv4_value *value;
} ingress_port_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[10001];
	u32 *key;
	struct counter *value;
} ingress_port_ipv4_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[8192];
	struct isolated_source_ipv6_key *key;
	struct isolated_source_ipv6_value *value;
} isolated_source_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[8192];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct isolated_destination_ipv6_key *key;
	struct isolated_destination_ipv6_value *value;
} isolated_destination_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct egress_peer_ipv6_key *key;
	struct egress_peer_ipv6_value *value;
} egress_peer_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct ingress_peer_ipv6_key *key;
	struct ingress_peer_ipv6_value *value;
} ingress_peer_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[20000];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct egress_port_ipv6_key *key;
	struct egress_port_ipv6_value *value;
} egress_port_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[10001];
	u32 *key;
	struct counter *value;
} egress_port_ipv6_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[20000];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct ingress_port_ipv6_key *key;
	struct ingress_port_ipv6_value *value;
} ingress_port_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[10001];
	u32 *key;
	struct counter *value;
} ingress_port_ipv6_count SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[32768];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct crossing_ipv4_value *value;
} crossing_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[32768];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct crossing_ipv6_value *value;
} crossing_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[8192];
	struct direct_backend_ipv4_key *key;
	struct direct_backend_ipv4_value *value;
} direct_backend_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[8192];
	struct direct_backend_ipv6_key *key;
	struct direct_backend_ipv6_value *value;
} direct_backend_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct served_ipv4_key *key;
	struct served_ipv4_value *value;
} served_ipv4 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[131072];
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct served_ipv6_key *key;
	struct served_ipv6_value *value;
} served_ipv6 SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[32];
	u32 *key;
	struct counter *value;
} drops SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[65536];
	u32 *key;
	struct counter *value;
} service_requests SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[65536];
	u32 *key;
	struct counter *value;
} service_replies SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[8192];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct meter_buckets *value;
} redirect_limit_ipv4_meter_config SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[4096];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct meter_words *value;
} redirect_limit_ipv4_meter_words SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[12288];
	u32 *key;
	struct counter *value;
} redirect_limit_ipv4_meter_colors SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[8192];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct meter_buckets *value;
} redirect_limit_ipv6_meter_config SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[4096];
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key;
	struct meter_words *value;
} redirect_limit_ipv6_meter_words SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[12288];
	u32 *key;
	struct counter *value;
} redirect_limit_ipv6_meter_colors SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[65538];
	u32 *key;
	struct meter_buckets *value;
} storage_meter_config SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[32769];
	u32 *key;
	struct meter_words *value;
} storage_meter_words SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[98307];
	u32 *key;
	struct counter *value;
} storage_meter_colors SEC(".maps");

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct hash_maps_16_16_map {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[1]; /* each has its own */
	struct entrance_ipv4_key *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct entrance_ipv4_value *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[6];
	int (*key_size)[4];
	struct hash_maps_16_16_map *values[];
} hash_maps_16_16 SEC(".maps") = {
	.values = {
		(void *)&entrance_ipv4,
		(void *)&entrance_ipv6,
		(void *)&isolated_source_ipv4,
		(void *)&isolated_source_ipv6,
		(void *)&direct_backend_ipv4,
		(void *)&direct_backend_ipv6,
	},
};
enum {
	AT_ENTRANCE_IPV4,
	AT_ENTRANCE_IPV6,
	AT_ISOLATED_SOURCE_IPV4,
	AT_ISOLATED_SOURCE_IPV6,
	AT_DIRECT_BACKEND_IPV4,
	AT_DIRECT_BACKEND_IPV6,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct lpm_trie_maps_11_16_sparse_map {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct source_range_ipv4_key *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct source_range_ipv4_value *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[9];
	int (*key_size)[4];
	struct lpm_trie_maps_11_16_sparse_map *values[];
} lpm_trie_maps_11_16_sparse SEC(".maps") = {
	.values = {
		(void *)&source_range_ipv4,
		(void *)&isolated_destination_ipv4,
		(void *)&egress_peer_ipv4,
		(void *)&ingress_peer_ipv4,
		(void *)&egress_port_ipv4,
		(void *)&ingress_port_ipv4,
		(void *)&egress_port_ipv6,
		(void *)&ingress_port_ipv6,
		(void *)&served_ipv4,
	},
};
enum {
	AT_SOURCE_RANGE_IPV4,
	AT_ISOLATED_DESTINATION_IPV4,
	AT_EGRESS_PEER_IPV4,
	AT_INGRESS_PEER_IPV4,
	AT_EGRESS_PORT_IPV4,
	AT_INGRESS_PORT_IPV4,
	AT_EGRESS_PORT_IPV6,
	AT_INGRESS_PORT_IPV6,
	AT_SERVED_IPV4,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct percpu_array_maps_4_16_of_10001_map {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[10001];
	u32 *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct counter *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[8];
	int (*key_size)[4];
	struct percpu_array_maps_4_16_of_10001_map *values[];
} percpu_array_maps_4_16_of_10001 SEC(".maps") = {
	.values = {
		(void *)&source_range_ipv4_count,
		(void *)&source_range_ipv6_count,
		(void *)&service_ipv4_count,
		(void *)&service_ipv6_count,
		(void *)&egress_port_ipv4_count,
		(void *)&ingress_port_ipv4_count,
		(void *)&egress_port_ipv6_count,
		(void *)&ingress_port_ipv6_count,
	},
};
enum {
	AT_SOURCE_RANGE_IPV4_COUNT,
	AT_SOURCE_RANGE_IPV6_COUNT,
	AT_SERVICE_IPV4_COUNT,
	AT_SERVICE_IPV6_COUNT,
	AT_EGRESS_PORT_IPV4_COUNT,
	AT_INGRESS_PORT_IPV4_COUNT,
	AT_EGRESS_PORT_IPV6_COUNT,
	AT_INGRESS_PORT_IPV6_COUNT,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct lpm_trie_maps_23_16_sparse_map {
	int (*type)[BPF_MAP_TYPE_LPM_TRIE];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct source_range_ipv6_key *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct source_range_ipv6_value *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[5];
	int (*key_size)[4];
	struct lpm_trie_maps_23_16_sparse_map *values[];
} lpm_trie_maps_23_16_sparse SEC(".maps") = {
	.values = {
		(void *)&source_range_ipv6,
		(void *)&isolated_destination_ipv6,
		(void *)&egress_peer_ipv6,
		(void *)&ingress_peer_ipv6,
		(void *)&served_ipv6,
	},
};
enum {
	AT_SOURCE_RANGE_IPV6,
	AT_ISOLATED_DESTINATION_IPV6,
	AT_EGRESS_PEER_IPV6,
	AT_INGRESS_PEER_IPV6,
	AT_SERVED_IPV6,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct array_maps_4_12_map {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct backend_ipv4_value *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[2];
	int (*key_size)[4];
	struct array_maps_4_12_map *values[];
} array_maps_4_12 SEC(".maps") = {
	.values = {
		(void *)&backend_ipv4,
		(void *)&backend_ipv6,
	},
};
enum {
	AT_BACKEND_IPV4,
	AT_BACKEND_IPV6,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct array_maps_4_4_mmapable_map {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_MMAPABLE | BPF_F_INNER_MAP];
	u32 *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	u32 *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[6];
	int (*key_size)[4];
	struct array_maps_4_4_mmapable_map *values[];
} array_maps_4_4_mmapable SEC(".maps") = {
	.values = {
		(void *)&backends_ipv4_ring,
		(void *)&backends_ipv4_turns,
		(void *)&backends_ipv6_ring,
		(void *)&backends_ipv6_turns,
		(void *)&proxies_ipv4_ring,
		(void *)&proxies_ipv6_ring,
	},
};
enum {
	AT_BACKENDS_IPV4_RING,
	AT_BACKENDS_IPV4_TURNS,
	AT_BACKENDS_IPV6_RING,
	AT_BACKENDS_IPV6_TURNS,
	AT_PROXIES_IPV4_RING,
	AT_PROXIES_IPV6_RING,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct array_maps_4_16_map {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct backends_ipv4_value *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[7];
	int (*key_size)[4];
	struct array_maps_4_16_map *values[];
} array_maps_4_16 SEC(".maps") = {
	.values = {
		(void *)&backends_ipv4_member,
		(void *)&proxies_ipv4_member,
		(void *)&proxies_ipv6_member,
		(void *)&redirect_limit_ipv4_meter_words,
		(void *)&redirect_limit_ipv6_meter_words,
		(void *)&crossing_ipv4,
		(void *)&crossing_ipv6,
	},
};
enum {
	AT_BACKENDS_IPV4_MEMBER,
	AT_PROXIES_IPV4_MEMBER,
	AT_PROXIES_IPV6_MEMBER,
	AT_REDIRECT_LIMIT_IPV4_METER_WORDS,
	AT_REDIRECT_LIMIT_IPV6_METER_WORDS,
	AT_CROSSING_IPV4,
	AT_CROSSING_IPV6,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct hash_maps_20_24_sparse_map {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct outbound_ipv4_key *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct outbound_ipv4_value *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[2];
	int (*key_size)[4];
	struct hash_maps_20_24_sparse_map *values[];
} hash_maps_20_24_sparse SEC(".maps") = {
	.values = {
		(void *)&outbound_ipv4,
		(void *)&inbound_ipv4,
	},
};
enum {
	AT_OUTBOUND_IPV4,
	AT_INBOUND_IPV4,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct array_maps_4_512_map {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct outbound_ipv4_masks *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[2];
	int (*key_size)[4];
	struct array_maps_4_512_map *values[];
} array_maps_4_512 SEC(".maps") = {
	.values = {
		(void *)&outbound_ipv4_masks,
		(void *)&inbound_ipv4_masks,
	},
};
enum {
	AT_OUTBOUND_IPV4_MASKS,
	AT_INBOUND_IPV4_MASKS,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct percpu_array_maps_4_16_of_4097_map {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[4097];
	u32 *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct counter *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[4];
	int (*key_size)[4];
	struct percpu_array_maps_4_16_of_4097_map *values[];
} percpu_array_maps_4_16_of_4097 SEC(".maps") = {
	.values = {
		(void *)&outbound_ipv4_count,
		(void *)&inbound_ipv4_count,
		(void *)&outbound_ipv6_count,
		(void *)&inbound_ipv6_count,
	},
};
enum {
	AT_OUTBOUND_IPV4_COUNT,
	AT_INBOUND_IPV4_COUNT,
	AT_OUTBOUND_IPV6_COUNT,
	AT_INBOUND_IPV6_COUNT,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct array_maps_4_8_map {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct proxy_ipv4_value *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[4];
	int (*key_size)[4];
	struct array_maps_4_8_map *values[];
} array_maps_4_8 SEC(".maps") = {
	.values = {
		(void *)&proxy_ipv4,
		(void *)&proxy_ipv6,
		(void *)&redirect_limit_ipv4,
		(void *)&redirect_limit_ipv6,
	},
};
enum {
	AT_PROXY_IPV4,
	AT_PROXY_IPV6,
	AT_REDIRECT_LIMIT_IPV4,
	AT_REDIRECT_LIMIT_IPV6,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct hash_maps_48_24_sparse_map {
	int (*type)[BPF_MAP_TYPE_HASH];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_NO_PREALLOC];
	struct outbound_ipv6_key *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct outbound_ipv6_value *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[2];
	int (*key_size)[4];
	struct hash_maps_48_24_sparse_map *values[];
} hash_maps_48_24_sparse SEC(".maps") = {
	.values = {
		(void *)&outbound_ipv6,
		(void *)&inbound_ipv6,
	},
};
enum {
	AT_OUTBOUND_IPV6,
	AT_INBOUND_IPV6,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct array_maps_4_896_map {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct outbound_ipv6_masks *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[2];
	int (*key_size)[4];
	struct array_maps_4_896_map *values[];
} array_maps_4_896 SEC(".maps") = {
	.values = {
		(void *)&outbound_ipv6_masks,
		(void *)&inbound_ipv6_masks,
	},
};
enum {
	AT_OUTBOUND_IPV6_MASKS,
	AT_INBOUND_IPV6_MASKS,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct array_maps_4_88_map {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1]; /* each has its own */
	int (*map_flags)[BPF_F_INNER_MAP];
	u32 *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct meter_buckets *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[2];
	int (*key_size)[4];
	struct array_maps_4_88_map *values[];
} array_maps_4_88 SEC(".maps") = {
	.values = {
		(void *)&redirect_limit_ipv4_meter_config,
		(void *)&redirect_limit_ipv6_meter_config,
	},
};
enum {
	AT_REDIRECT_LIMIT_IPV4_METER_CONFIG,
	AT_REDIRECT_LIMIT_IPV6_METER_CONFIG,
};

/* Maps of one shape that only the first packets of connections ask: the program names this one for all of them. */
struct percpu_array_maps_4_16_of_12288_map {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[12288];
	u32 *key; /* types, not sizes: before 6.2 maps with and without BTF are no equals */
	struct counter *value;
};
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY_OF_MAPS];
	int (*max_entries)[2];
	int (*key_size)[4];
	struct percpu_array_maps_4_16_of_12288_map *values[];
} percpu_array_maps_4_16_of_12288 SEC(".maps") = {
	.values = {
		(void *)&redirect_limit_ipv4_meter_colors,
		(void *)&redirect_limit_ipv6_meter_colors,
	},
};
enum {
	AT_REDIRECT_LIMIT_IPV4_METER_COLORS,
	AT_REDIRECT_LIMIT_IPV6_METER_COLORS,
};


/* Fields of headers that something reads, in host byte order; written by the parser and by every change. */
struct headers {
	/* RFC 791, without options */
	struct {
		u32 dst;
	} outer_ipv4;
	/* RFC 7348 */
	struct {
		u32 vni;
	} vxlan;
	/* IEEE 802.3 */
	struct {
		u64 dst;
		u64 src;
	} ethernet;
	/* IEEE 802.1Q tag */
	struct {
		u16 id;
	} vlan;
	/* RFC 826, for Ethernet and IPv4 */
	struct {
		u16 hardware_type;
		u16 protocol_type;
		u8 hardware_length;
		u8 protocol_length;
		u16 operation;
		u64 sender_mac;
		u32 sender_address;
		u32 target_address;
	} arp;
	/* RFC 791, without options */
	struct {
		u8 version;
		u8 header_length;
		u8 traffic_class;
		u16 total_length;
		u16 identification;
		u8 flags;
		u16 fragment_offset;
		u8 ttl;
		u8 protocol;
		u32 src;
		u32 dst;
	} ipv4;
	/* RFC 8200, without extension headers */
	struct {
		u8 version;
		u8 traffic_class;
		u16 payload_length;
		u8 hop_limit;
		struct u128 src;
		struct u128 dst;
	} ipv6;
	/* RFC 8200, section 4.5: the extension header of a fragment; `flags` is the one that more fragments follow */
	struct {
		u8 next_header;
		u16 offset;
		u8 flags;
		u32 identification;
	} fragment;
	/* RFC 9293, without options */
	struct {
		u16 src_port;
		u16 dst_port;
		u32 sequence;
		u32 acknowledgement;
		u8 data_offset;
		u8 flags;
		u16 window;
	} tcp;
	/* RFC 768 */
	struct {
		u16 src_port;
		u16 dst_port;
	} udp;
	/* RFC 9260: the common header and that of the first chunk */
	struct {
		u16 src_port;
		u16 dst_port;
		u8 chunk_type;
	} sctp;
	/* RFC 4443; `rest` is the MTU for type 2, flags for a neighbour advertisement */
	struct {
		u8 type;
		u8 code;
		u32 rest;
	} icmpv6;
	/* RFC 4861: the rest of a neighbour solicitation or advertisement with one link-layer address option */
	struct {
		struct u128 target;
		u8 option_type;
		u8 option_length;
		u64 option_mac;
	} neighbor;
	/* RFC 791, without options */
	struct {
		u8 protocol;
		u32 src;
		u32 dst;
	} quoted_ipv4;
	/* RFC 8200, without extension headers */
	struct {
		u8 next_header;
		struct u128 src;
		struct u128 dst;
	} quoted_ipv6;
	/* The first 8 bytes of a TCP or SCTP header, which is what an ICMP error quotes at least (RFC 792) */
	struct {
		u16 src_port;
		u16 dst_port;
	} quoted_ports;
	/* RFC 768 */
	struct {
		u16 src_port;
		u16 dst_port;
	} quoted_udp;
};

/* Where headers are, see turnout/packet.h. */
struct position {
	u32 ethernet;
	u32 vlan;
	u32 arp;
	u32 ipv4;
	u32 ipv6;
	u32 tcp;
	u32 udp;
	u32 sctp;
	u32 icmp;
	u32 icmpv6;
	u32 neighbor;
	u32 quoted_ipv4;
	u32 quoted_ipv6;
	u32 quoted_ports;
	u32 quoted_udp;
};

struct metadata {
	struct u128 affine_address;
	struct u128 route_ipv6;
	struct u128 hairpin_ipv6;
	struct u128 new_src_ipv6;
	struct u128 new_dst_ipv6;
	struct u128 reverse_src_ipv6;
	struct u128 reverse_dst_ipv6;
	struct u128 related_src_ipv6;
	u64 egress_dst_mac; /* 48 bits */
	u64 egress_src_mac; /* 48 bits */
	u64 tunnel_dst_mac; /* 48 bits */
	u64 tunnel_src_mac; /* 48 bits */
	u64 signature; /* 48 bits */
	struct u128 gateway_ipv6;
	u64 answer_mac; /* 48 bits */
	u64 swap_mac; /* 48 bits */
	u32 affinity_ms;
	u32 affine_since_ms;
	u32 route_ipv4;
	u32 hairpin_ipv4;
	u32 new_src_ipv4;
	u32 new_dst_ipv4;
	u32 reverse_src_ipv4;
	u32 reverse_dst_ipv4;
	u32 related_src_ipv4;
	u32 tunnel_src;
	u32 tunnel_dst;
	u32 tunnel_vni; /* 24 bits */
	u32 gateway_ipv4;
	u32 swap_ipv4;
	u16 ingress_port;
	u16 network;
	u16 vlan_id; /* 12 bits */
	u16 source_nexthop;
	u16 src_port;
	u16 dst_port;
	u16 proxy_nexthop;
	u16 server_port;
	u16 limiter; /* 12 bits */
	u16 egress_policy;
	u16 ingress_policy;
	u16 receiver_nexthop;
	u16 policy_ports;
	u16 service_id;
	u16 spread;
	u16 affine_port;
	u16 affine_across; /* 14 bits */
	u16 across; /* 14 bits */
	u16 way_back;
	u16 nexthop;
	u16 new_src_port;
	u16 new_dst_port;
	u16 reverse_network;
	u16 reverse_src_port;
	u16 reverse_dst_port;
	u16 egress_network;
	u16 egress_port;
	u16 egress_vlan; /* 12 bits */
	u16 mtu;
	u16 entropy;
	u16 inner_length;
	u16 error_mtu;
	u8 leg;
	u8 protocol;
	u8 tcp_flags;
	u8 redirect; /* 1 bit */
	u8 denied; /* 1 bit */
	u8 closed; /* 1 bit */
	u8 not_admitted; /* 1 bit */
	u8 opens; /* 1 bit */
	u8 direct; /* 1 bit */
	u8 policed; /* 1 bit */
	u8 kept; /* 1 bit */
	u8 reply_leg;
	u8 decided; /* 1 bit */
	u8 in_turn; /* 1 bit */
	u8 by_count; /* 1 bit */
	u8 is_reply; /* 1 bit */
	u8 rate_color; /* 2 bits */
	u8 storage_marked; /* 1 bit */
	u8 storage_class;
	u8 affine_profile;
	u8 profile;
	u8 answers_itself; /* 1 bit */
	u8 translate; /* 1 bit */
	u8 reverse_leg;
	u8 encapsulate; /* 1 bit */
	u8 traffic_class;
	u8 error; /* 1 bit */
	u8 error_type;
	u8 error_code;
};

/* What is to be counted when the packet's fate is known; 0 is nothing. */
struct later {
	u32 port;
	u32 tunnel;
	u32 source_range_ipv4;
	u32 source_range_ipv6;
	u32 service_ipv4;
	u32 service_ipv6;
	u32 outbound_ipv4;
	u32 inbound_ipv4;
	u32 outbound_ipv6;
	u32 inbound_ipv6;
	u32 egress_port_ipv4;
	u32 ingress_port_ipv4;
	u32 egress_port_ipv6;
	u32 ingress_port_ipv6;
	u32 translate_ipv4_service_requests; /* the index + 1 */
	u32 translate_reply_ipv4_service_replies; /* the index + 1 */
	u32 translate_ipv6_service_requests; /* the index + 1 */
	u32 translate_reply_ipv6_service_replies; /* the index + 1 */
};

/* A packet on its way. */
struct scratch {
	struct outcome outcome;
	struct packet packet;
	struct position position;
	u64 now_ms;
	u32 side; /* of the tables, see tables_side */
	u64 hash_seed; /* read once, so that what two ask the hash of is hashed once */
	struct metadata meta;
	struct later later;
	u32 metered; /* the index of the entry whose action runs */
	struct headers headers;
	struct nd_key nd;
	struct source_range_ipv4_key source_range_ipv4;
	struct source_range_ipv6_key source_range_ipv6;
	struct route_ipv4_key route_ipv4;
	struct service_ipv6_key service_ipv6;
	struct route_ipv6_key route_ipv6;
	struct outbound_ipv4_key outbound_ipv4;
	struct inbound_ipv4_key inbound_ipv4;
	struct outbound_ipv6_key outbound_ipv6;
	struct inbound_ipv6_key inbound_ipv6;
	struct affinity_backend_ipv6_key affinity_backend_ipv6;
	struct isolated_destination_ipv4_key isolated_destination_ipv4;
	struct egress_peer_ipv4_key egress_peer_ipv4;
	struct ingress_peer_ipv4_key ingress_peer_ipv4;
	struct egress_port_ipv4_key egress_port_ipv4;
	struct ingress_port_ipv4_key ingress_port_ipv4;
	struct isolated_destination_ipv6_key isolated_destination_ipv6;
	struct egress_peer_ipv6_key egress_peer_ipv6;
	struct ingress_peer_ipv6_key ingress_peer_ipv6;
	struct egress_port_ipv6_key egress_port_ipv6;
	struct ingress_port_ipv6_key ingress_port_ipv6;
	struct served_ipv4_key served_ipv4;
	struct served_ipv6_key served_ipv6;
	struct flow_half connections_ipv4_half;
	u16 connections_ipv4_counted; /* the number of the member that what is learned counts for */
	struct flow_half connections_ipv6_half;
	u16 connections_ipv6_counted; /* the number of the member that what is learned counts for */
	struct flow_half affinities_half;
	struct connections_ipv4_entry flow_ipv4; /* the key that was looked up, then what is learned under it */
	struct connections_ipv4_entry flow_reverse_ipv4; /* the key that was looked up, then what is learned under it */
	struct connections_ipv4_entry flow_quoted_ipv4; /* the key that was looked up, then what is learned under it */
	struct connections_ipv4_entry fragment_ipv4; /* the key that was looked up, then what is learned under it */
	struct connections_ipv4_entry fragment_reply_ipv4; /* the key that was looked up, then what is learned under it */
	struct connections_ipv6_entry flow_ipv6; /* the key that was looked up, then what is learned under it */
	struct connections_ipv6_entry flow_reverse_ipv6; /* the key that was looked up, then what is learned under it */
	struct connections_ipv6_entry flow_quoted_ipv6; /* the key that was looked up, then what is learned under it */
	struct connections_ipv6_entry fragment_ipv6; /* the key that was looked up, then what is learned under it */
	struct connections_ipv6_entry fragment_reply_ipv6; /* the key that was looked up, then what is learned under it */
	struct affinities_entry storage_host_ipv4; /* the key that was looked up, then what is learned under it */
	struct affinities_entry storage_host_ipv6; /* the key that was looked up, then what is learned under it */
	struct affinities_entry affinity_ipv4; /* the key that was looked up, then what is learned under it */
	struct affinities_entry affinity_ipv6; /* the key that was looked up, then what is learned under it */
};

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct scratch *value;
} scratch SEC(".maps");

static __always_inline struct scratch *scratch_of_cpu(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

/*
 * Every table is there twice, on sides 0 and 1. Packets read the side that this word tells at their start; the device
 * writes the other one, then turns the word. So a packet sees all changes of a batch, or none.
 */
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	u32 *value;
} tables_side SEC(".maps");

static __always_inline u32 side_of_tables(void)
{
	u32 zero = 0;
	volatile u32 *side = bpf_map_lookup_elem(&tables_side, &zero);

	return side ? *side & 1 : 0;
}

static __always_inline void count_later(const struct scratch *scratch)
{
	if (scratch->later.port)
		count_packet(&port_count, scratch->later.port, scratch->packet.length);
	if (scratch->later.tunnel)
		count_packet(&tunnel_count, scratch->later.tunnel, scratch->packet.length);
	if (scratch->later.source_range_ipv4)
		count_packet(map_in(&percpu_array_maps_4_16_of_10001, AT_SOURCE_RANGE_IPV4_COUNT), scratch->later.source_range_ipv4, scratch->packet.length);
	if (scratch->later.source_range_ipv6)
		count_packet(map_in(&percpu_array_maps_4_16_of_10001, AT_SOURCE_RANGE_IPV6_COUNT), scratch->later.source_range_ipv6, scratch->packet.length);
	if (scratch->later.service_ipv4)
		count_packet(map_in(&percpu_array_maps_4_16_of_10001, AT_SERVICE_IPV4_COUNT), scratch->later.service_ipv4, scratch->packet.length);
	if (scratch->later.service_ipv6)
		count_packet(map_in(&percpu_array_maps_4_16_of_10001, AT_SERVICE_IPV6_COUNT), scratch->later.service_ipv6, scratch->packet.length);
	if (scratch->later.outbound_ipv4)
		count_packet(map_in(&percpu_array_maps_4_16_of_4097, AT_OUTBOUND_IPV4_COUNT), scratch->later.outbound_ipv4, scratch->packet.length);
	if (scratch->later.inbound_ipv4)
		count_packet(map_in(&percpu_array_maps_4_16_of_4097, AT_INBOUND_IPV4_COUNT), scratch->later.inbound_ipv4, scratch->packet.length);
	if (scratch->later.outbound_ipv6)
		count_packet(map_in(&percpu_array_maps_4_16_of_4097, AT_OUTBOUND_IPV6_COUNT), scratch->later.outbound_ipv6, scratch->packet.length);
	if (scratch->later.inbound_ipv6)
		count_packet(map_in(&percpu_array_maps_4_16_of_4097, AT_INBOUND_IPV6_COUNT), scratch->later.inbound_ipv6, scratch->packet.length);
	if (scratch->later.egress_port_ipv4)
		count_packet(map_in(&percpu_array_maps_4_16_of_10001, AT_EGRESS_PORT_IPV4_COUNT), scratch->later.egress_port_ipv4, scratch->packet.length);
	if (scratch->later.ingress_port_ipv4)
		count_packet(map_in(&percpu_array_maps_4_16_of_10001, AT_INGRESS_PORT_IPV4_COUNT), scratch->later.ingress_port_ipv4, scratch->packet.length);
	if (scratch->later.egress_port_ipv6)
		count_packet(map_in(&percpu_array_maps_4_16_of_10001, AT_EGRESS_PORT_IPV6_COUNT), scratch->later.egress_port_ipv6, scratch->packet.length);
	if (scratch->later.ingress_port_ipv6)
		count_packet(map_in(&percpu_array_maps_4_16_of_10001, AT_INGRESS_PORT_IPV6_COUNT), scratch->later.ingress_port_ipv6, scratch->packet.length);
	if (scratch->later.translate_ipv4_service_requests)
		count_packet(&service_requests, scratch->later.translate_ipv4_service_requests - 1, scratch->packet.length);
	if (scratch->later.translate_reply_ipv4_service_replies)
		count_packet(&service_replies, scratch->later.translate_reply_ipv4_service_replies - 1, scratch->packet.length);
	if (scratch->later.translate_ipv6_service_requests)
		count_packet(&service_requests, scratch->later.translate_ipv6_service_requests - 1, scratch->packet.length);
	if (scratch->later.translate_reply_ipv6_service_replies)
		count_packet(&service_replies, scratch->later.translate_reply_ipv6_service_replies - 1, scratch->packet.length);
	if (scratch->outcome.verdict == VERDICT_DROP)
		count_packet(&drops, scratch->outcome.drop_reason, scratch->packet.length);
}

static __always_inline bool has(const struct scratch *scratch, enum header header)
{
	return scratch->packet.valid & header;
}

/* The kernel refused to change the packet, which is half changed by now. */
static __always_inline enum next unable(struct scratch *scratch)
{
	return drop_for(&scratch->outcome, DROP_UNABLE);
}

/* Bytes of the IP packet as the wire will carry it: of one that awaits segmentation, those of a full segment. */
static __always_inline u16 network_length(struct packet_context *ctx, const struct scratch *scratch)
{
	bool is_ipv4 = has(scratch, HEADER_IPV4);
	u32 segment = packet_segment_bytes(ctx);

	if (segment && has(scratch, HEADER_TCP))
		return (is_ipv4 ? 20 : 40) + 4 * scratch->headers.tcp.data_offset + segment;
	if (segment && has(scratch, HEADER_UDP))
		return (is_ipv4 ? 20 : 40) + 8 + segment;
	if (segment && has(scratch, HEADER_SCTP))
		return 0;
	return is_ipv4 ? scratch->headers.ipv4.total_length : scratch->headers.ipv6.payload_length + 40;
}

/* Bytes behind the IP header. */
static __always_inline u16 network_payload(const struct scratch *scratch)
{
	return has(scratch, HEADER_IPV4) ? scratch->headers.ipv4.total_length - 20 : scratch->headers.ipv6.payload_length;
}

/* The parser: each state takes its header and names the next one. */
enum state {
	STATE_ACCEPT,
	STATE_TOO_SHORT, /* The packet ends inside a header: it is left as it is. */
	STATE_START,
	STATE_UPLINK,
	STATE_OUTER_ETHERNET,
	STATE_OUTER_IPV4,
	STATE_OUTER_UDP,
	STATE_VXLAN,
	STATE_ETHERNET,
	STATE_VLAN,
	STATE_IPV6,
	STATE_FRAGMENT,
	STATE_ICMPV6,
	STATE_QUOTED_IPV6,
	STATE_NEIGHBOR,
	STATE_IPV4,
	STATE_OPTIONS_32,
	STATE_OPTIONS_16,
	STATE_OPTIONS_8,
	STATE_OPTIONS_4,
	STATE_BEHIND_OPTIONS,
	STATE_ICMP,
	STATE_QUOTED_IPV4,
	STATE_QUOTED_UDP,
	STATE_QUOTED_PORTS,
	STATE_SCTP,
	STATE_UDP,
	STATE_TCP,
	STATE_ARP,
};

static __always_inline enum state parse_start(struct scratch *scratch)
{
	if (!(scratch->meta.ingress_port & 0xfff0))
		return STATE_UPLINK;
	return STATE_ETHERNET;
}

/* Is it VXLAN over IPv4? */
static __always_inline enum state parse_uplink(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *ahead = cursor_peek(cursor, scratch->packet.wire, 38);

	if (!ahead)
		return STATE_TOO_SHORT;
	if (read_u16(ahead + 12) == 0x800 && read_u8(ahead + 14) == 69 && !(read_u16(ahead + 20) & 0x3fff) && read_u8(ahead + 23) == 17 && read_u16(ahead + 36) == 0x12b5)
		return STATE_OUTER_ETHERNET;
	return STATE_ETHERNET;
}

static __always_inline enum state parse_outer_ethernet(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 14);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->packet.valid |= HEADER_OUTER_ETHERNET;
	return STATE_OUTER_IPV4;
}

static __always_inline enum state parse_outer_ipv4(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 20);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->packet.valid |= HEADER_OUTER_IPV4;
	scratch->headers.outer_ipv4.dst = read_u32(header + 16);
	return STATE_OUTER_UDP;
}

static __always_inline enum state parse_outer_udp(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 8);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->packet.valid |= HEADER_OUTER_UDP;
	return STATE_VXLAN;
}

static __always_inline enum state parse_vxlan(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 8);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->packet.valid |= HEADER_VXLAN;
	scratch->headers.vxlan.vni = read_u24(header + 4);
	return STATE_ETHERNET;
}

static __always_inline enum state parse_ethernet(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 14);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.ethernet = PACKET_ORIGIN + cursor->at - 14;
	scratch->packet.valid |= HEADER_ETHERNET;
	scratch->headers.ethernet.dst = read_u48(header);
	scratch->headers.ethernet.src = read_u48(header + 6);
	u16 type = cursor_ethertype(cursor, header);
	if (type == 0x8100)
		return STATE_VLAN;
	if (type == 0x806)
		return STATE_ARP;
	if (type == 0x800)
		return STATE_IPV4;
	if (type == 0x86dd)
		return STATE_IPV6;
	return STATE_ACCEPT;
}

static __always_inline enum state parse_vlan(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take_vlan(cursor, scratch->packet.wire);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.vlan = PACKET_ORIGIN + cursor->at - 4;
	scratch->packet.valid |= HEADER_VLAN;
	scratch->headers.vlan.id = read_u16(header) & 0xfff;
	u16 type = read_u16(header + 2);
	if (type == 0x806)
		return STATE_ARP;
	if (type == 0x800)
		return STATE_IPV4;
	if (type == 0x86dd)
		return STATE_IPV6;
	return STATE_ACCEPT;
}

static __always_inline enum state parse_ipv6(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 40);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.ipv6 = PACKET_ORIGIN + cursor->at - 40;
	scratch->packet.valid |= HEADER_IPV6;
	u8 version = read_u8(header) >> 4;
	scratch->headers.ipv6.version = version;
	scratch->headers.ipv6.traffic_class = (read_u16(header) >> 4) & 255;
	scratch->headers.ipv6.payload_length = read_u16(header + 4);
	u8 next_header = read_u8(header + 6);
	scratch->headers.ipv6.hop_limit = read_u8(header + 7);
	read_u128(&scratch->headers.ipv6.src, header + 8);
	read_u128(&scratch->headers.ipv6.dst, header + 24);
	if (version == 6 && next_header == 6)
		return STATE_TCP;
	if (version == 6 && next_header == 17)
		return STATE_UDP;
	if (version == 6 && next_header == 132)
		return STATE_SCTP;
	if (version == 6 && next_header == 58)
		return STATE_ICMPV6;
	if (version == 6 && next_header == 44)
		return STATE_FRAGMENT;
	return STATE_ACCEPT;
}

/* Of the fragments of a packet the first has the transport header. */
static __always_inline enum state parse_fragment(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 8);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->packet.valid |= HEADER_FRAGMENT;
	u8 next_header = read_u8(header);
	scratch->headers.fragment.next_header = next_header;
	u16 offset = read_u16(header + 2) >> 3;
	scratch->headers.fragment.offset = offset;
	scratch->headers.fragment.flags = read_u8(header + 3) & 1;
	scratch->headers.fragment.identification = read_u32(header + 4);
	if (next_header == 6 && !offset)
		return STATE_TCP;
	if (next_header == 17 && !offset)
		return STATE_UDP;
	return STATE_ACCEPT;
}

/* A solicitation of 32 bytes carries one link-layer address option. */
static __always_inline enum state parse_icmpv6(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 8);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.icmpv6 = PACKET_ORIGIN + cursor->at - 8;
	scratch->packet.valid |= HEADER_ICMPV6;
	u8 type = read_u8(header);
	scratch->headers.icmpv6.type = type;
	scratch->headers.icmpv6.code = read_u8(header + 1);
	scratch->headers.icmpv6.rest = read_u32(header + 4);
	if (type == 135 && scratch->headers.ipv6.payload_length == 32)
		return STATE_NEIGHBOR;
	if (!(scratch->headers.ipv6.payload_length & 0xffe0))
		return STATE_ACCEPT;
	if ((scratch->headers.ipv6.payload_length & 0xfff0) == 32)
		return STATE_ACCEPT;
	if ((scratch->headers.ipv6.payload_length & 0xfff8) == 48)
		return STATE_ACCEPT;
	if (type == 1)
		return STATE_QUOTED_IPV6;
	if (type == 2)
		return STATE_QUOTED_IPV6;
	if (type == 3)
		return STATE_QUOTED_IPV6;
	if (type == 4)
		return STATE_QUOTED_IPV6;
	return STATE_ACCEPT;
}

/* As quoted_ipv4. */
static __always_inline enum state parse_quoted_ipv6(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 40);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.quoted_ipv6 = PACKET_ORIGIN + cursor->at - 40;
	scratch->packet.valid |= HEADER_QUOTED_IPV6;
	u8 version = read_u8(header) >> 4;
	u8 next_header = read_u8(header + 6);
	scratch->headers.quoted_ipv6.next_header = next_header;
	read_u128(&scratch->headers.quoted_ipv6.src, header + 8);
	read_u128(&scratch->headers.quoted_ipv6.dst, header + 24);
	if (version == 6 && next_header == 6)
		return STATE_QUOTED_PORTS;
	if (version == 6 && next_header == 17)
		return STATE_QUOTED_UDP;
	if (version == 6 && next_header == 132)
		return STATE_QUOTED_PORTS;
	return STATE_ACCEPT;
}

static __always_inline enum state parse_neighbor(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 24);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.neighbor = PACKET_ORIGIN + cursor->at - 24;
	scratch->packet.valid |= HEADER_NEIGHBOR;
	read_u128(&scratch->headers.neighbor.target, header);
	scratch->headers.neighbor.option_type = read_u8(header + 16);
	scratch->headers.neighbor.option_length = read_u8(header + 17);
	scratch->headers.neighbor.option_mac = read_u48(header + 18);
	return STATE_ACCEPT;
}

static __always_inline enum state parse_ipv4(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 20);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.ipv4 = PACKET_ORIGIN + cursor->at - 20;
	scratch->packet.valid |= HEADER_IPV4;
	u8 version = read_u8(header) >> 4;
	scratch->headers.ipv4.version = version;
	u8 header_length = read_u8(header) & 15;
	scratch->headers.ipv4.header_length = header_length;
	scratch->headers.ipv4.traffic_class = read_u8(header + 1);
	scratch->headers.ipv4.total_length = read_u16(header + 2);
	scratch->headers.ipv4.identification = read_u16(header + 4);
	u8 flags = read_u8(header + 6) >> 5;
	scratch->headers.ipv4.flags = flags;
	u16 fragment_offset = read_u16(header + 6) & 0x1fff;
	scratch->headers.ipv4.fragment_offset = fragment_offset;
	scratch->headers.ipv4.ttl = read_u8(header + 8);
	u8 protocol = read_u8(header + 9);
	scratch->headers.ipv4.protocol = protocol;
	scratch->headers.ipv4.src = read_u32(header + 12);
	scratch->headers.ipv4.dst = read_u32(header + 16);
	if (version == 4 && header_length == 5 && !fragment_offset && protocol == 6)
		return STATE_TCP;
	if (version == 4 && header_length == 5 && !fragment_offset && protocol == 17)
		return STATE_UDP;
	if (version == 4 && header_length == 5 && !(flags & 1) && !fragment_offset && protocol == 132)
		return STATE_SCTP;
	if (version == 4 && header_length == 5 && !(flags & 1) && !fragment_offset && protocol == 1)
		return STATE_ICMP;
	if (version == 4 && header_length == 6)
		return STATE_OPTIONS_4;
	if (version == 4 && header_length == 7)
		return STATE_OPTIONS_8;
	if (version == 4 && header_length == 8)
		return STATE_OPTIONS_8;
	if (version == 4 && header_length == 9)
		return STATE_OPTIONS_16;
	if (version == 4 && header_length == 10)
		return STATE_OPTIONS_16;
	if (version == 4 && header_length == 11)
		return STATE_OPTIONS_16;
	if (version == 4 && header_length == 12)
		return STATE_OPTIONS_16;
	if (version == 4 && header_length == 13)
		return STATE_OPTIONS_32;
	if (version == 4 && header_length == 14)
		return STATE_OPTIONS_32;
	if (version == 4 && header_length == 15)
		return STATE_OPTIONS_32;
	return STATE_ACCEPT;
}

static __always_inline enum state parse_options_32(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 32);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->packet.valid |= HEADER_OPTIONS_32;
	if (scratch->headers.ipv4.header_length == 14)
		return STATE_OPTIONS_4;
	if (scratch->headers.ipv4.header_length == 15)
		return STATE_OPTIONS_8;
	return STATE_BEHIND_OPTIONS;
}

static __always_inline enum state parse_options_16(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 16);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->packet.valid |= HEADER_OPTIONS_16;
	if (scratch->headers.ipv4.header_length == 10)
		return STATE_OPTIONS_4;
	if (scratch->headers.ipv4.header_length == 11)
		return STATE_OPTIONS_8;
	if (scratch->headers.ipv4.header_length == 12)
		return STATE_OPTIONS_8;
	return STATE_BEHIND_OPTIONS;
}

static __always_inline enum state parse_options_8(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 8);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->packet.valid |= HEADER_OPTIONS_8;
	if (scratch->headers.ipv4.header_length == 8)
		return STATE_OPTIONS_4;
	if (scratch->headers.ipv4.header_length == 12)
		return STATE_OPTIONS_4;
	return STATE_BEHIND_OPTIONS;
}

static __always_inline enum state parse_options_4(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 4);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->packet.valid |= HEADER_OPTIONS_4;
	return STATE_BEHIND_OPTIONS;
}

/* The ports are there all the same. */
static __always_inline enum state parse_behind_options(struct scratch *scratch)
{
	if (!scratch->headers.ipv4.fragment_offset && scratch->headers.ipv4.protocol == 6)
		return STATE_TCP;
	if (!scratch->headers.ipv4.fragment_offset && scratch->headers.ipv4.protocol == 17)
		return STATE_UDP;
	return STATE_ACCEPT;
}

static __always_inline enum state parse_icmp(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 8);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.icmp = PACKET_ORIGIN + cursor->at - 8;
	scratch->packet.valid |= HEADER_ICMP;
	u8 type = read_u8(header);
	if (!(scratch->headers.ipv4.total_length & 0xffe0))
		return STATE_ACCEPT;
	if ((scratch->headers.ipv4.total_length & 0xfff0) == 32)
		return STATE_ACCEPT;
	if ((scratch->headers.ipv4.total_length & 0xfff8) == 48)
		return STATE_ACCEPT;
	if (type == 3)
		return STATE_QUOTED_IPV4;
	if (type == 11)
		return STATE_QUOTED_IPV4;
	if (type == 12)
		return STATE_QUOTED_IPV4;
	return STATE_ACCEPT;
}

/* By an ICMP error that is long enough to name a connection. */
static __always_inline enum state parse_quoted_ipv4(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 20);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.quoted_ipv4 = PACKET_ORIGIN + cursor->at - 20;
	scratch->packet.valid |= HEADER_QUOTED_IPV4;
	u8 version = read_u8(header) >> 4;
	u8 header_length = read_u8(header) & 15;
	u16 fragment_offset = read_u16(header + 6) & 0x1fff;
	u8 protocol = read_u8(header + 9);
	scratch->headers.quoted_ipv4.protocol = protocol;
	scratch->headers.quoted_ipv4.src = read_u32(header + 12);
	scratch->headers.quoted_ipv4.dst = read_u32(header + 16);
	if (version == 4 && header_length == 5 && !fragment_offset && protocol == 6)
		return STATE_QUOTED_PORTS;
	if (version == 4 && header_length == 5 && !fragment_offset && protocol == 17)
		return STATE_QUOTED_UDP;
	if (version == 4 && header_length == 5 && !fragment_offset && protocol == 132)
		return STATE_QUOTED_PORTS;
	return STATE_ACCEPT;
}

static __always_inline enum state parse_quoted_udp(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 8);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.quoted_udp = PACKET_ORIGIN + cursor->at - 8;
	scratch->packet.valid |= HEADER_QUOTED_UDP;
	scratch->headers.quoted_udp.src_port = read_u16(header);
	scratch->headers.quoted_udp.dst_port = read_u16(header + 2);
	return STATE_ACCEPT;
}

static __always_inline enum state parse_quoted_ports(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 8);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.quoted_ports = PACKET_ORIGIN + cursor->at - 8;
	scratch->packet.valid |= HEADER_QUOTED_PORTS;
	scratch->headers.quoted_ports.src_port = read_u16(header);
	scratch->headers.quoted_ports.dst_port = read_u16(header + 2);
	return STATE_ACCEPT;
}

static __always_inline enum state parse_sctp(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 16);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.sctp = PACKET_ORIGIN + cursor->at - 16;
	scratch->packet.valid |= HEADER_SCTP;
	scratch->headers.sctp.src_port = read_u16(header);
	scratch->headers.sctp.dst_port = read_u16(header + 2);
	scratch->headers.sctp.chunk_type = read_u8(header + 12);
	return STATE_ACCEPT;
}

static __always_inline enum state parse_udp(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 8);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.udp = PACKET_ORIGIN + cursor->at - 8;
	scratch->packet.valid |= HEADER_UDP;
	scratch->headers.udp.src_port = read_u16(header);
	scratch->headers.udp.dst_port = read_u16(header + 2);
	return STATE_ACCEPT;
}

static __always_inline enum state parse_tcp(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 20);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.tcp = PACKET_ORIGIN + cursor->at - 20;
	scratch->packet.valid |= HEADER_TCP;
	scratch->headers.tcp.src_port = read_u16(header);
	scratch->headers.tcp.dst_port = read_u16(header + 2);
	scratch->headers.tcp.sequence = read_u32(header + 4);
	scratch->headers.tcp.acknowledgement = read_u32(header + 8);
	scratch->headers.tcp.data_offset = read_u8(header + 12) >> 4;
	scratch->headers.tcp.flags = read_u8(header + 13);
	scratch->headers.tcp.window = read_u16(header + 14);
	return STATE_ACCEPT;
}

static __always_inline enum state parse_arp(struct cursor *cursor, struct scratch *scratch)
{
	const u8 *header = cursor_take(cursor, 28);

	if (!header)
		return STATE_TOO_SHORT;
	scratch->position.arp = PACKET_ORIGIN + cursor->at - 28;
	scratch->packet.valid |= HEADER_ARP;
	scratch->headers.arp.hardware_type = read_u16(header);
	scratch->headers.arp.protocol_type = read_u16(header + 2);
	scratch->headers.arp.hardware_length = read_u8(header + 4);
	scratch->headers.arp.protocol_length = read_u8(header + 5);
	scratch->headers.arp.operation = read_u16(header + 6);
	scratch->headers.arp.sender_mac = read_u48(header + 8);
	scratch->headers.arp.sender_address = read_u32(header + 14);
	scratch->headers.arp.target_address = read_u32(header + 24);
	return STATE_ACCEPT;
}

static __always_inline bool parse(struct packet_context *ctx, struct scratch *scratch)
{
	struct cursor cursor = packet_cursor(ctx, &scratch->packet);
	enum state next = parse_start(scratch);

	if (next == STATE_UPLINK)
		next = parse_uplink(&cursor, scratch);
	if (next == STATE_OUTER_ETHERNET)
		next = parse_outer_ethernet(&cursor, scratch);
	if (next == STATE_OUTER_IPV4)
		next = parse_outer_ipv4(&cursor, scratch);
	if (next == STATE_OUTER_UDP)
		next = parse_outer_udp(&cursor, scratch);
	if (next == STATE_VXLAN)
		next = parse_vxlan(&cursor, scratch);
	if (next == STATE_ETHERNET)
		next = parse_ethernet(&cursor, scratch);
	if (next == STATE_VLAN)
		next = parse_vlan(&cursor, scratch);
	if (next == STATE_IPV6)
		next = parse_ipv6(&cursor, scratch);
	if (next == STATE_FRAGMENT)
		next = parse_fragment(&cursor, scratch);
	if (next == STATE_ICMPV6)
		next = parse_icmpv6(&cursor, scratch);
	if (next == STATE_QUOTED_IPV6)
		next = parse_quoted_ipv6(&cursor, scratch);
	if (next == STATE_NEIGHBOR)
		next = parse_neighbor(&cursor, scratch);
	if (next == STATE_IPV4)
		next = parse_ipv4(&cursor, scratch);
	if (next == STATE_OPTIONS_32)
		next = parse_options_32(&cursor, scratch);
	if (next == STATE_OPTIONS_16)
		next = parse_options_16(&cursor, scratch);
	if (next == STATE_OPTIONS_8)
		next = parse_options_8(&cursor, scratch);
	if (next == STATE_OPTIONS_4)
		next = parse_options_4(&cursor, scratch);
	if (next == STATE_BEHIND_OPTIONS)
		next = parse_behind_options(scratch);
	if (next == STATE_ICMP)
		next = parse_icmp(&cursor, scratch);
	if (next == STATE_QUOTED_IPV4)
		next = parse_quoted_ipv4(&cursor, scratch);
	if (next == STATE_QUOTED_UDP)
		next = parse_quoted_udp(&cursor, scratch);
	if (next == STATE_QUOTED_PORTS)
		next = parse_quoted_ports(&cursor, scratch);
	if (next == STATE_SCTP)
		next = parse_sctp(&cursor, scratch);
	if (next == STATE_UDP)
		next = parse_udp(&cursor, scratch);
	if (next == STATE_TCP)
		next = parse_tcp(&cursor, scratch);
	if (next == STATE_ARP)
		next = parse_arp(&cursor, scratch);
	return next == STATE_ACCEPT;
}

/* The meter of table redirect_limit_ipv4. */
static __always_inline u8 execute_redirect_limit_ipv4_meter(const struct scratch *scratch, u32 index)
{
	return meter_execute(map_in(&array_maps_4_88, AT_REDIRECT_LIMIT_IPV4_METER_CONFIG), index + 4096 * scratch->side,
			     map_in(&array_maps_4_16, AT_REDIRECT_LIMIT_IPV4_METER_WORDS),
			     map_in(&percpu_array_maps_4_16_of_12288, AT_REDIRECT_LIMIT_IPV4_METER_COLORS), index, 1,
			     scratch->packet.length, true);
}

/* The meter of table redirect_limit_ipv6. */
static __always_inline u8 execute_redirect_limit_ipv6_meter(const struct scratch *scratch, u32 index)
{
	return meter_execute(map_in(&array_maps_4_88, AT_REDIRECT_LIMIT_IPV6_METER_CONFIG), index + 4096 * scratch->side,
			     map_in(&array_maps_4_16, AT_REDIRECT_LIMIT_IPV6_METER_WORDS),
			     map_in(&percpu_array_maps_4_16_of_12288, AT_REDIRECT_LIMIT_IPV6_METER_COLORS), index, 1,
			     scratch->packet.length, true);
}

/* The meter of table storage. */
static __always_inline u8 execute_storage_meter(const struct scratch *scratch, u32 index)
{
	return meter_execute(&storage_meter_config, index + 32769 * scratch->side,
			     &storage_meter_words,
			     &storage_meter_colors, index, scratch->packet.length,
			     scratch->packet.length, true);
}

/* Actions. */

/* The port of a workload; `nexthop` is the way back to it. */
static __always_inline void set_workload(const struct set_workload *arguments, struct scratch *scratch)
{
	scratch->meta.leg = 2;
	scratch->meta.network = arguments->network;
	scratch->meta.source_nexthop = arguments->nexthop;
}

/* A port of the underlay. */
static __always_inline void set_uplink(struct scratch *scratch)
{
	scratch->meta.leg = 1;
}

/* The packet in the tunnel belongs to a network. The outer headers come off on the way out. */
static __always_inline void enter_network(const struct enter_network *arguments, struct scratch *scratch)
{
	scratch->meta.leg = 2;
	scratch->meta.network = arguments->network;
}

/* The MAC address that an ARP request or a neighbour solicitation is answered with. */
static __always_inline void answer(const struct answer *arguments, struct scratch *scratch)
{
	scratch->meta.answer_mac = arguments->mac;
}

/* The port of a network's proxy. */
static __always_inline void set_proxy(const struct set_proxy *arguments, struct scratch *scratch)
{
	scratch->meta.leg = 3;
	scratch->meta.network = arguments->network;
	scratch->meta.source_nexthop = arguments->nexthop;
}

/* To a port of this device; `vlan` 0 sends untagged. `mtu` counts the IP packet. */
static __always_inline void deliver(const struct deliver *arguments, struct scratch *scratch)
{
	scratch->meta.egress_network = arguments->network;
	scratch->meta.egress_port = arguments->port;
	scratch->meta.mtu = arguments->mtu;
	scratch->meta.egress_dst_mac = arguments->dst_mac;
	scratch->meta.egress_src_mac = arguments->src_mac;
	scratch->meta.egress_vlan = arguments->vlan;
}

/* Through a VXLAN tunnel to another device. `mtu` counts the inner IP packet. */
static __always_inline void encapsulate(const struct encapsulate *arguments, struct scratch *scratch)
{
	scratch->meta.egress_network = arguments->network;
	scratch->meta.egress_port = arguments->port;
	scratch->meta.mtu = arguments->mtu;
	scratch->meta.egress_dst_mac = arguments->dst_mac;
	scratch->meta.egress_src_mac = arguments->src_mac;
	scratch->meta.encapsulate = 1;
	scratch->meta.tunnel_vni = arguments->vni;
	scratch->meta.tunnel_src = arguments->tunnel_src;
	scratch->meta.tunnel_dst = arguments->tunnel_dst;
	scratch->meta.tunnel_src_mac = arguments->tunnel_src_mac;
	scratch->meta.tunnel_dst_mac = arguments->tunnel_dst_mac;
}

/* The addresses that ICMP errors of a network come from. */
static __always_inline void set_gateway(const struct set_gateway *arguments, struct scratch *scratch)
{
	scratch->meta.gateway_ipv4 = arguments->ipv4;
	scratch->meta.gateway_ipv6 = arguments->ipv6;
}

/* Where the destination is: a key of table neighbor. */
static __always_inline void via(const struct via *arguments, struct scratch *scratch)
{
	scratch->meta.nexthop = arguments->nexthop;
}

/* The address of a service for clients outside; `nexthop` is the way back to them. */
static __always_inline void enter_from_outside(const struct enter_from_outside *arguments, struct scratch *scratch)
{
	scratch->meta.leg = 4;
	scratch->meta.network = arguments->network;
	scratch->meta.source_nexthop = arguments->nexthop;
	scratch->meta.signature = arguments->signature;
}

/* From outside, let in by another device; `nexthop` leads there. */
static __always_inline void came_in_by(const struct came_in_by *arguments, struct scratch *scratch)
{
	scratch->meta.source_nexthop = arguments->nexthop;
}

/* The client may not connect to the service. */
static __always_inline void deny_source_ipv4(struct scratch *scratch)
{
	scratch->meta.not_admitted = 1;
}

/* The client may not connect to the service. */
static __always_inline void deny_source_ipv6(struct scratch *scratch)
{
	scratch->meta.not_admitted = 1;
}

/* A packet of a known connection to a service. */
static __always_inline void translate_ipv4(const struct translate_ipv4 *arguments, struct connections_ipv4_hit *hit, struct scratch *scratch)
{
	scratch->meta.translate = 1;
	scratch->meta.new_src_ipv4 = arguments->src;
	scratch->meta.new_dst_ipv4 = arguments->dst;
	scratch->meta.new_src_port = arguments->src_port;
	scratch->meta.new_dst_port = arguments->dst_port;
	scratch->meta.route_ipv4 = arguments->dst;
	scratch->meta.nexthop = arguments->nexthop;
	scratch->meta.service_id = arguments->service_id;
	if (!scratch->meta.decided) {
		scratch->later.translate_ipv4_service_requests = arguments->service_id + 1;
		if (scratch->meta.protocol != 17) {
			if (scratch->meta.tcp_flags & 5) {
				if (scratch->meta.tcp_flags & 4) {
					connections_ipv4_saw(hit, CONNECTIONS_IPV4_RESET);
				} else {
					connections_ipv4_saw(hit, CONNECTIONS_IPV4_CLOSE);
				}
			} else if ((scratch->meta.tcp_flags & 18) == 2) {
				connections_ipv4_saw(hit, CONNECTIONS_IPV4_OPEN);
			} else {
				connections_ipv4_saw(hit, CONNECTIONS_IPV4_DATA);
			}
		} else {
			connections_ipv4_saw(hit, CONNECTIONS_IPV4_DATA);
		}
	}
}

/* A reply: it comes from the service again. */
static __always_inline void translate_reply_ipv4(const struct translate_reply_ipv4 *arguments, struct connections_ipv4_hit *hit, struct scratch *scratch)
{
	scratch->meta.translate = 1;
	scratch->meta.new_src_ipv4 = arguments->src;
	scratch->meta.new_dst_ipv4 = arguments->dst;
	scratch->meta.new_src_port = arguments->src_port;
	scratch->meta.new_dst_port = arguments->dst_port;
	scratch->meta.route_ipv4 = arguments->dst;
	scratch->meta.nexthop = arguments->nexthop;
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.is_reply = 1;
	if (!scratch->meta.decided) {
		scratch->later.translate_reply_ipv4_service_replies = arguments->service_id + 1;
		if (scratch->meta.protocol != 17) {
			if (scratch->meta.tcp_flags & 5) {
				if (scratch->meta.tcp_flags & 4) {
					connections_ipv4_saw(hit, CONNECTIONS_IPV4_RESET);
				} else {
					connections_ipv4_saw(hit, CONNECTIONS_IPV4_CLOSE);
				}
			} else if ((scratch->meta.tcp_flags & 18) == 2) {
				connections_ipv4_saw(hit, CONNECTIONS_IPV4_OPEN);
			} else {
				connections_ipv4_saw(hit, CONNECTIONS_IPV4_DATA);
			}
		} else {
			connections_ipv4_saw(hit, CONNECTIONS_IPV4_DATA);
		}
	}
}

/* The packet opens a connection: each connection by itself. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not. */
static __always_inline void to_service_ipv4(const struct to_service_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.hairpin_ipv4 = arguments->hairpin;
	scratch->meta.affinity_ms = arguments->affinity_ms;
	scratch->meta.spread = scratch->meta.src_port;
}

/* The packet opens a connection: all connections of one source to one backend. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not. */
static __always_inline void to_service_by_source_ipv4(const struct to_service_by_source_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.hairpin_ipv4 = arguments->hairpin;
	scratch->meta.affinity_ms = arguments->affinity_ms;
}

/* The packet opens a connection: no connection as the one before. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not. */
static __always_inline void to_service_by_chance_ipv4(const struct to_service_by_chance_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.hairpin_ipv4 = arguments->hairpin;
	scratch->meta.affinity_ms = arguments->affinity_ms;
	scratch->meta.spread = (u16)drawn();
}

/* The packet opens a connection: each to the next backend. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not. */
static __always_inline void to_service_in_turn_ipv4(const struct to_service_in_turn_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.hairpin_ipv4 = arguments->hairpin;
	scratch->meta.affinity_ms = arguments->affinity_ms;
	scratch->meta.in_turn = 1;
}

/* The packet opens a connection: to the one with fewer connections of two. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not. */
static __always_inline void to_service_by_count_ipv4(const struct to_service_by_count_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.hairpin_ipv4 = arguments->hairpin;
	scratch->meta.affinity_ms = arguments->affinity_ms;
	scratch->meta.by_count = 1;
}

/* The backend that gets the connection. */
static __always_inline void to_backend_ipv4(const struct to_backend_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.decided = 1;
	scratch->meta.new_dst_ipv4 = arguments->address;
	scratch->meta.new_dst_port = arguments->port;
}

/* The backend that gets the connection, of another network; it sees the service's `hairpin` as source. */
static __always_inline void to_backend_across_ipv4(const struct to_backend_across_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.decided = 1;
	scratch->meta.new_dst_ipv4 = arguments->address;
	scratch->meta.new_dst_port = arguments->port;
	scratch->meta.across = arguments->crossing;
}

/* The backend that gets the connection as it is, by a next hop that leads to it alone, and answers itself. `port` is the one that was called. */
static __always_inline void to_direct_backend_ipv4(const struct to_direct_backend_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.decided = 1;
	scratch->meta.new_dst_ipv4 = arguments->address;
	scratch->meta.nexthop = arguments->nexthop;
	scratch->meta.answers_itself = 1;
}

/* A packet of a known connection to a service. */
static __always_inline void translate_ipv6(const struct translate_ipv6 *arguments, struct connections_ipv6_hit *hit, struct scratch *scratch)
{
	scratch->meta.translate = 1;
	scratch->meta.new_src_ipv6 = arguments->src;
	scratch->meta.new_dst_ipv6 = arguments->dst;
	scratch->meta.new_src_port = arguments->src_port;
	scratch->meta.new_dst_port = arguments->dst_port;
	scratch->meta.route_ipv6 = arguments->dst;
	scratch->meta.nexthop = arguments->nexthop;
	scratch->meta.service_id = arguments->service_id;
	if (!scratch->meta.decided) {
		scratch->later.translate_ipv6_service_requests = arguments->service_id + 1;
		if (scratch->meta.protocol != 17) {
			if (scratch->meta.tcp_flags & 5) {
				if (scratch->meta.tcp_flags & 4) {
					connections_ipv6_saw(hit, CONNECTIONS_IPV6_RESET);
				} else {
					connections_ipv6_saw(hit, CONNECTIONS_IPV6_CLOSE);
				}
			} else if ((scratch->meta.tcp_flags & 18) == 2) {
				connections_ipv6_saw(hit, CONNECTIONS_IPV6_OPEN);
			} else {
				connections_ipv6_saw(hit, CONNECTIONS_IPV6_DATA);
			}
		} else {
			connections_ipv6_saw(hit, CONNECTIONS_IPV6_DATA);
		}
	}
}

/* A reply: it comes from the service again. */
static __always_inline void translate_reply_ipv6(const struct translate_reply_ipv6 *arguments, struct connections_ipv6_hit *hit, struct scratch *scratch)
{
	scratch->meta.translate = 1;
	scratch->meta.new_src_ipv6 = arguments->src;
	scratch->meta.new_dst_ipv6 = arguments->dst;
	scratch->meta.new_src_port = arguments->src_port;
	scratch->meta.new_dst_port = arguments->dst_port;
	scratch->meta.route_ipv6 = arguments->dst;
	scratch->meta.nexthop = arguments->nexthop;
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.is_reply = 1;
	if (!scratch->meta.decided) {
		scratch->later.translate_reply_ipv6_service_replies = arguments->service_id + 1;
		if (scratch->meta.protocol != 17) {
			if (scratch->meta.tcp_flags & 5) {
				if (scratch->meta.tcp_flags & 4) {
					connections_ipv6_saw(hit, CONNECTIONS_IPV6_RESET);
				} else {
					connections_ipv6_saw(hit, CONNECTIONS_IPV6_CLOSE);
				}
			} else if ((scratch->meta.tcp_flags & 18) == 2) {
				connections_ipv6_saw(hit, CONNECTIONS_IPV6_OPEN);
			} else {
				connections_ipv6_saw(hit, CONNECTIONS_IPV6_DATA);
			}
		} else {
			connections_ipv6_saw(hit, CONNECTIONS_IPV6_DATA);
		}
	}
}

/* The packet opens a connection: each connection by itself. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not. */
static __always_inline void to_service_ipv6(const struct to_service_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.hairpin_ipv6 = arguments->hairpin;
	scratch->meta.affinity_ms = arguments->affinity_ms;
	scratch->meta.spread = scratch->meta.src_port;
}

/* The packet opens a connection: all connections of one source to one backend. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not. */
static __always_inline void to_service_by_source_ipv6(const struct to_service_by_source_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.hairpin_ipv6 = arguments->hairpin;
	scratch->meta.affinity_ms = arguments->affinity_ms;
}

/* The packet opens a connection: no connection as the one before. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not. */
static __always_inline void to_service_by_chance_ipv6(const struct to_service_by_chance_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.hairpin_ipv6 = arguments->hairpin;
	scratch->meta.affinity_ms = arguments->affinity_ms;
	scratch->meta.spread = (u16)drawn();
}

/* The packet opens a connection: each to the next backend. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not. */
static __always_inline void to_service_in_turn_ipv6(const struct to_service_in_turn_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.hairpin_ipv6 = arguments->hairpin;
	scratch->meta.affinity_ms = arguments->affinity_ms;
	scratch->meta.in_turn = 1;
}

/* The packet opens a connection: to the one with fewer connections of two. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not. */
static __always_inline void to_service_by_count_ipv6(const struct to_service_by_count_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.service_id = arguments->service_id;
	scratch->meta.hairpin_ipv6 = arguments->hairpin;
	scratch->meta.affinity_ms = arguments->affinity_ms;
	scratch->meta.by_count = 1;
}

/* The backend that gets the connection. */
static __always_inline void to_backend_ipv6(const struct to_backend_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.decided = 1;
	scratch->meta.new_dst_ipv6 = arguments->address;
	scratch->meta.new_dst_port = arguments->port;
}

/* The backend that gets the connection, of another network; it sees the service's `hairpin` as source. */
static __always_inline void to_backend_across_ipv6(const struct to_backend_across_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.decided = 1;
	scratch->meta.new_dst_ipv6 = arguments->address;
	scratch->meta.new_dst_port = arguments->port;
	scratch->meta.across = arguments->crossing;
}

/* The backend that gets the connection as it is, by a next hop that leads to it alone, and answers itself. `port` is the one that was called. */
static __always_inline void to_direct_backend_ipv6(const struct to_direct_backend_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.decided = 1;
	scratch->meta.new_dst_ipv6 = arguments->address;
	scratch->meta.nexthop = arguments->nexthop;
	scratch->meta.answers_itself = 1;
}

/* To the network's proxy. Without one the connection goes on without it, or, `closed`, ends. */
static __always_inline void redirect_outbound_ipv4(const struct redirect_outbound_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.redirect = 1;
	scratch->meta.closed = scratch->meta.closed || arguments->closed;
	if (scratch->meta.limiter == 0) {
		scratch->meta.limiter = arguments->limiter;
	}
}

/* Nowhere, whatever else is said about the connection. */
static __always_inline void deny_outbound_ipv4(struct scratch *scratch)
{
	scratch->meta.denied = 1;
}

/* To the network's proxy. Without one the connection goes on without it, or, `closed`, ends. */
static __always_inline void redirect_inbound_ipv4(const struct redirect_inbound_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.redirect = 1;
	scratch->meta.closed = scratch->meta.closed || arguments->closed;
	if (scratch->meta.limiter == 0) {
		scratch->meta.limiter = arguments->limiter;
	}
}

/* Nowhere, whatever else is said about the connection. */
static __always_inline void deny_inbound_ipv4(struct scratch *scratch)
{
	scratch->meta.denied = 1;
}

/* The way to a proxy. */
static __always_inline void to_proxy_ipv4(const struct to_proxy_ipv4 *arguments, struct scratch *scratch)
{
	scratch->meta.proxy_nexthop = arguments->nexthop;
}

/* To the network's proxy. Without one the connection goes on without it, or, `closed`, ends. */
static __always_inline void redirect_outbound_ipv6(const struct redirect_outbound_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.redirect = 1;
	scratch->meta.closed = scratch->meta.closed || arguments->closed;
	if (scratch->meta.limiter == 0) {
		scratch->meta.limiter = arguments->limiter;
	}
}

/* Nowhere, whatever else is said about the connection. */
static __always_inline void deny_outbound_ipv6(struct scratch *scratch)
{
	scratch->meta.denied = 1;
}

/* To the network's proxy. Without one the connection goes on without it, or, `closed`, ends. */
static __always_inline void redirect_inbound_ipv6(const struct redirect_inbound_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.redirect = 1;
	scratch->meta.closed = scratch->meta.closed || arguments->closed;
	if (scratch->meta.limiter == 0) {
		scratch->meta.limiter = arguments->limiter;
	}
}

/* Nowhere, whatever else is said about the connection. */
static __always_inline void deny_inbound_ipv6(struct scratch *scratch)
{
	scratch->meta.denied = 1;
}

/* The way to a proxy. */
static __always_inline void to_proxy_ipv6(const struct to_proxy_ipv6 *arguments, struct scratch *scratch)
{
	scratch->meta.proxy_nexthop = arguments->nexthop;
}

/* Connections within the rate go to the proxy. */
static __always_inline void limit_redirects_ipv4(struct scratch *scratch)
{
	scratch->meta.rate_color = execute_redirect_limit_ipv4_meter(scratch, scratch->metered);
}

/* Connections within the rate go to the proxy. */
static __always_inline void limit_redirects_ipv6(struct scratch *scratch)
{
	scratch->meta.rate_color = execute_redirect_limit_ipv6_meter(scratch, scratch->metered);
}

/* Packets within the rate pass, with the class that they came with. */
static __always_inline void admit(struct scratch *scratch)
{
	scratch->meta.rate_color = execute_storage_meter(scratch, scratch->metered);
}

/* Packets within the rate pass, in this class: DSCP times 4 (RFC 2474). Their two bits of ECN stay. */
static __always_inline void classify_storage(const struct classify_storage *arguments, struct scratch *scratch)
{
	scratch->meta.rate_color = execute_storage_meter(scratch, scratch->metered);
	scratch->meta.storage_marked = 1;
	scratch->meta.storage_class = arguments->traffic_class;
}

/* The client's last connection went to this backend, at this time: the low 32 bits of the device's clock. `crossing` leads to a backend in a network of its own; 0: it is in the service's. */
static __always_inline void remembered(const struct remembered *arguments, struct scratch *scratch)
{
	scratch->meta.affine_address = arguments->address;
	scratch->meta.affine_port = arguments->port;
	scratch->meta.affine_since_ms = arguments->since_ms;
	scratch->meta.affine_across = arguments->crossing;
}

/* A client that is remembered with this backend stays with it. */
static __always_inline void may_stay(struct scratch *scratch)
{
	scratch->meta.decided = 1;
}

/* Who sends has NetworkPolicies; `policy` is the one that connections from it are held against, 0 for none. */
static __always_inline void isolate_source(const struct isolate_source *arguments, struct scratch *scratch)
{
	scratch->meta.policed = 1;
	scratch->meta.egress_policy = arguments->policy;
}

/* Who is to get the packet has NetworkPolicies; `nexthop` is its own, `reply_leg` that of its answers. */
static __always_inline void isolate_destination(const struct isolate_destination *arguments, struct scratch *scratch)
{
	scratch->meta.policed = 1;
	scratch->meta.ingress_policy = arguments->policy;
	scratch->meta.receiver_nexthop = arguments->nexthop;
	scratch->meta.reply_leg = arguments->reply_leg;
}

/* A peer that a policy allows something with; 0: nothing. */
static __always_inline void has_ports(const struct has_ports *arguments, struct scratch *scratch)
{
	scratch->meta.policy_ports = arguments->ports;
}

/* The backend is in this network; `nexthop` leads there, `way_back` from there to clients outside. */
static __always_inline void cross(const struct cross *arguments, struct scratch *scratch)
{
	scratch->meta.reverse_network = arguments->network;
	scratch->meta.nexthop = arguments->nexthop;
	scratch->meta.source_nexthop = arguments->way_back;
}

/* The workload's own next hop, and the one that leads from here to clients outside. */
static __always_inline void has_backend(const struct has_backend *arguments, struct scratch *scratch)
{
	scratch->meta.nexthop = arguments->nexthop;
	scratch->meta.way_back = arguments->back;
}

/* Whether flow_reverse_ipv4 has an entry for the packet; if not, it may be learned. */
__noinline u32 taken_flow_reverse_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch || !uses_connections_ipv4)
		return 0;
	struct connections_ipv4_entry *entry = &scratch->flow_reverse_ipv4;

	entry->key[0] = (u64)scratch->meta.reverse_network << 48 | (u64)scratch->meta.reverse_leg << 40 | (u64)scratch->meta.protocol << 32 | scratch->meta.reverse_src_ipv4;
	entry->key[1] = (u64)scratch->meta.reverse_dst_ipv4 << 32 | (u64)scratch->meta.reverse_src_port << 16 | scratch->meta.reverse_dst_port;
	entry->hash = connections_ipv4_hash(scratch->hash_seed, entry->key);
	if (connections_ipv4_holds(entry, scratch->side) || connections_ipv4_was_there(entry)) {
		return 1;
	}
	connections_ipv4_make_ready(&scratch->flow_ipv4, (u32)scratch->now_ms);
	connections_ipv4_make_ready(entry, (u32)scratch->now_ms);
	return 0;
}

/* How many entries of connections_ipv4 count for the member in a slot of the ring. */
__noinline u32 busy_backends_ipv4(u32 slot)
{
	u32 *index = entry_in(&array_maps_4_4_mmapable, AT_BACKENDS_IPV4_RING, &slot);
	struct backends_ipv4_value *member = index ? entry_in(&array_maps_4_16, AT_BACKENDS_IPV4_MEMBER, index) : 0;
	u32 number = member ? member->counter : 0;
	u32 *count = number ? bpf_map_lookup_elem(&connections_ipv4_counts, &number) : 0;

	return count ? *(volatile u32 *)count : 0;
}

/* Of two slots of a cycle, drawn by chance, the one whose member is less busy. Functions of their own, as first packets alone of few services ask for it. */
__noinline u32 fewest_of_backends_ipv4(u32 cycle, u32 length)
{
	u32 number = drawn();

	if (!length)
		return cycle;
	u32 first = (number & 0xffff) % length, second = first;

	if (length > 1)
		second = (first + (number >> 16) % (length - 1) + 1) % length;
	return cycle + (busy_backends_ipv4(cycle + second) < busy_backends_ipv4(cycle + first) ? second : first);
}

/* Whether flow_reverse_ipv6 has an entry for the packet; if not, it may be learned. */
__noinline u32 taken_flow_reverse_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch || !uses_connections_ipv6)
		return 0;
	struct connections_ipv6_entry *entry = &scratch->flow_reverse_ipv6;

	entry->key[0] = (u64)scratch->meta.reverse_network << 48 | (u64)scratch->meta.reverse_leg << 40 | (u64)scratch->meta.protocol << 32 | (scratch->meta.reverse_src_ipv6.high >> 32);
	entry->key[1] = (scratch->meta.reverse_src_ipv6.high << 32 | scratch->meta.reverse_src_ipv6.low >> 32);
	entry->key[2] = (scratch->meta.reverse_src_ipv6.low & 0xffffffffu) << 32 | (scratch->meta.reverse_dst_ipv6.high >> 32);
	entry->key[3] = (scratch->meta.reverse_dst_ipv6.high << 32 | scratch->meta.reverse_dst_ipv6.low >> 32);
	entry->key[4] = (scratch->meta.reverse_dst_ipv6.low & 0xffffffffu) << 32 | (u64)scratch->meta.reverse_src_port << 16 | scratch->meta.reverse_dst_port;
	entry->hash = connections_ipv6_hash(scratch->hash_seed, entry->key);
	if (connections_ipv6_holds(entry, scratch->side) || connections_ipv6_was_there(entry)) {
		return 1;
	}
	connections_ipv6_make_ready(&scratch->flow_ipv6, (u32)scratch->now_ms);
	connections_ipv6_make_ready(entry, (u32)scratch->now_ms);
	return 0;
}

/* How many entries of connections_ipv6 count for the member in a slot of the ring. */
__noinline u32 busy_backends_ipv6(u32 slot)
{
	u32 *index = entry_in(&array_maps_4_4_mmapable, AT_BACKENDS_IPV6_RING, &slot);
	struct backends_ipv6_value *member = index ? bpf_map_lookup_elem(&backends_ipv6_member, index) : 0;
	u32 number = member ? member->counter : 0;
	u32 *count = number ? bpf_map_lookup_elem(&connections_ipv6_counts, &number) : 0;

	return count ? *(volatile u32 *)count : 0;
}

/* Of two slots of a cycle, drawn by chance, the one whose member is less busy. Functions of their own, as first packets alone of few services ask for it. */
__noinline u32 fewest_of_backends_ipv6(u32 cycle, u32 length)
{
	u32 number = drawn();

	if (!length)
		return cycle;
	u32 first = (number & 0xffff) % length, second = first;

	if (length > 1)
		second = (first + (number >> 16) % (length - 1) + 1) % length;
	return cycle + (busy_backends_ipv6(cycle + second) < busy_backends_ipv6(cycle + first) ? second : first);
}

/* Tables: each function is one lookup, and tells whether there was an entry. */

/*
 * The ports of the device. `vlan` is 0 for untagged frames.
 * examples/shop.yaml:44 Device dpu-a
 * examples/shop.yaml:45 Workload shop/client
 * examples/shop.yaml:46 Workload shop/web-1
 * examples/shop.yaml:47 Workload shop/web-2
 * examples/shop.yaml:48 Workload blue/blue-client
 */
static __always_inline bool apply_port(struct scratch *scratch)
{
	struct port_value *value;
	struct port_key key = {
		.port = scratch->meta.ingress_port,
		.vlan = scratch->meta.vlan_id,
		.side = scratch->side,
	};

	if (!uses_port)
		return missed(0x02000001);
	if (key.vlan) {
		value = bpf_map_lookup_elem(&port, &key);
	} else {
		u32 index = key.port + 65536 * scratch->side;

		value = bpf_map_lookup_elem(&port_direct, &index);
	}
	if (!value || !value->action)
		return missed(0x02000001);
	scratch->later.port = value->counter;
	asked(0x02000001, value->action);
	switch (value->action) {
	case ACTION_SET_WORKLOAD:
		set_workload(&value->arguments.set_workload, scratch);
		return true;
	case ACTION_SET_UPLINK:
		set_uplink(scratch);
		return true;
	case ACTION_SET_PROXY:
		set_proxy(&value->arguments.set_proxy, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * VXLAN tunnels that end here (RFC 7348).
 * examples/shop.yaml:9 Network shop
 * examples/shop.yaml:18 Network blue
 */
static __always_inline bool apply_tunnel(struct scratch *scratch)
{
	struct tunnel_value *value;
	struct tunnel_key key = {
		.destination = scratch->headers.outer_ipv4.dst,
		.vni = scratch->headers.vxlan.vni,
		.side = scratch->side,
	};

	if (!uses_tunnel)
		return missed(0x02000002);
	value = bpf_map_lookup_elem(&tunnel, &key);
	if (!value)
		return missed(0x02000002);
	scratch->later.tunnel = value->counter;
	asked(0x02000002, value->action);
	switch (value->action) {
	case ACTION_ENTER_NETWORK:
		enter_network(&value->arguments.enter_network, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * IPv4 addresses that ARP is answered for; network 0 is the underlay.
 * examples/shop.yaml:9 Network shop
 * examples/shop.yaml:18 Network blue
 * examples/shop.yaml:67 Workload shop/client
 * examples/shop.yaml:78 Workload shop/web-1
 * examples/shop.yaml:91 Workload shop/web-2
 * examples/shop.yaml:104 Workload shop/web-3
 * examples/shop.yaml:118 Workload blue/blue-client
 * examples/shop.yaml:130 Workload blue/blue-web
 */
static __always_inline bool apply_arp(struct scratch *scratch)
{
	struct arp_value *value;
	struct arp_key key = {
		.network = scratch->meta.network,
		.address = scratch->headers.arp.target_address,
		.side = scratch->side,
	};

	if (!uses_arp)
		return missed(0x02000003);
	value = bpf_map_lookup_elem(&arp, &key);
	if (!value)
		return missed(0x02000003);
	asked(0x02000003, value->action);
	switch (value->action) {
	case ACTION_ANSWER:
		answer(&value->arguments.answer, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * IPv6 addresses that neighbour solicitations are answered for; network 0 is the underlay.
 * examples/shop.yaml:9 Network shop
 * examples/shop.yaml:18 Network blue
 * examples/shop.yaml:67 Workload shop/client
 * examples/shop.yaml:78 Workload shop/web-1
 * examples/shop.yaml:91 Workload shop/web-2
 * examples/shop.yaml:104 Workload shop/web-3
 */
static __always_inline bool apply_nd(struct scratch *scratch)
{
	struct nd_value *value;
	struct nd_key *key = &scratch->nd;

	__builtin_memset(key, 0, sizeof(*key));
	key->network = scratch->meta.network;
	key->address = scratch->headers.neighbor.target;
	key->side = scratch->side;

	if (!uses_nd)
		return missed(0x02000004);
	value = bpf_map_lookup_elem(&nd, key);
	if (!value)
		return missed(0x02000004);
	asked(0x02000004, value->action);
	switch (value->action) {
	case ACTION_ANSWER:
		answer(&value->arguments.answer, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * How to reach a next hop.
 * examples/shop.yaml:53 Device dpu-b
 * examples/shop.yaml:67 Workload shop/client
 * examples/shop.yaml:78 Workload shop/web-1
 * examples/shop.yaml:91 Workload shop/web-2
 * examples/shop.yaml:118 Workload blue/blue-client
 */
static __always_inline bool apply_neighbor(struct scratch *scratch)
{
	struct neighbor_value *value;
	u32 key = scratch->meta.nexthop + 65536 * scratch->side;

	if (!uses_neighbor)
		return missed(0x02000005);
	value = bpf_map_lookup_elem(&neighbor, &key);
	if (!value || !value->action)
		return missed(0x02000005);
	asked(0x02000005, value->action);
	switch (value->action) {
	case ACTION_DELIVER:
		deliver(&value->arguments.deliver, scratch);
		return true;
	case ACTION_ENCAPSULATE:
		encapsulate(&value->arguments.encapsulate, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * What is the same for a whole network.
 * examples/shop.yaml:9 Network shop
 * examples/shop.yaml:18 Network blue
 */
static __always_inline bool apply_network(struct scratch *scratch)
{
	struct network_value *value;
	u32 key = scratch->meta.network + 65536 * scratch->side;

	if (!uses_network)
		return missed(0x02000006);
	value = bpf_map_lookup_elem(&network, &key);
	if (!value || !value->action)
		return missed(0x02000006);
	asked(0x02000006, value->action);
	switch (value->action) {
	case ACTION_SET_GATEWAY:
		set_gateway(&value->arguments.set_gateway, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Addresses of services that clients outside call, and the network that each belongs to. `mac` is the device's own: a switch that does not know where it is sends frames everywhere, and one device may answer.
 */
static __always_inline bool apply_eip_ipv4(struct scratch *scratch)
{
	struct eip_ipv4_value *value;
	struct eip_ipv4_key key = {
		.address = scratch->headers.ipv4.dst,
		.mac = scratch->headers.ethernet.dst,
		.side = scratch->side,
	};

	if (!uses_eip_ipv4)
		return missed(0x02000016);
	value = bpf_map_lookup_elem(&eip_ipv4, &key);
	if (!value)
		return missed(0x02000016);
	asked(0x02000016, value->action);
	switch (value->action) {
	case ACTION_ENTER_FROM_OUTSIDE:
		enter_from_outside(&value->arguments.enter_from_outside, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Which device let a packet from outside into the network, by the source of the inner frame.
 */
static __always_inline bool apply_entrance_ipv4(struct scratch *scratch)
{
	struct entrance_ipv4_value *value;
	struct entrance_ipv4_key key = {
		.network = scratch->meta.network,
		.source = scratch->headers.ethernet.src,
		.side = scratch->side,
	};

	if (!uses_entrance_ipv4)
		return missed(0x02000017);
	value = entry_in(&hash_maps_16_16, AT_ENTRANCE_IPV4, &key);
	if (!value)
		return missed(0x02000017);
	asked(0x02000017, value->action);
	switch (value->action) {
	case ACTION_CAME_IN_BY:
		came_in_by(&value->arguments.came_in_by, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Addresses of services that clients outside call, and the network that each belongs to. `mac` is the device's own: a switch that does not know where it is sends frames everywhere, and one device may answer.
 */
static __always_inline bool apply_eip_ipv6(struct scratch *scratch)
{
	struct eip_ipv6_value *value;
	struct eip_ipv6_key key = {
		.address = scratch->headers.ipv6.dst,
		.mac = scratch->headers.ethernet.dst,
		.side = scratch->side,
	};

	if (!uses_eip_ipv6)
		return missed(0x02000046);
	value = bpf_map_lookup_elem(&eip_ipv6, &key);
	if (!value)
		return missed(0x02000046);
	asked(0x02000046, value->action);
	switch (value->action) {
	case ACTION_ENTER_FROM_OUTSIDE:
		enter_from_outside(&value->arguments.enter_from_outside, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Which device let a packet from outside into the network, by the source of the inner frame.
 */
static __always_inline bool apply_entrance_ipv6(struct scratch *scratch)
{
	struct entrance_ipv6_value *value;
	struct entrance_ipv6_key key = {
		.network = scratch->meta.network,
		.source = scratch->headers.ethernet.src,
		.side = scratch->side,
	};

	if (!uses_entrance_ipv6)
		return missed(0x02000047);
	value = entry_in(&hash_maps_16_16, AT_ENTRANCE_IPV6, &key);
	if (!value)
		return missed(0x02000047);
	asked(0x02000047, value->action);
	switch (value->action) {
	case ACTION_CAME_IN_BY:
		came_in_by(&value->arguments.came_in_by, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Clients outside that a service lets in or does not, by the longest prefix; its counter counts new connections.
 */
static __always_inline bool apply_source_range_ipv4(struct scratch *scratch)
{
	struct source_range_ipv4_value *value;
	struct source_range_ipv4_key *key = &scratch->source_range_ipv4;

	key->prefix_len = 56;
	key->side[0] = scratch->side;
	write_u16(key->service_id, scratch->meta.service_id);
	write_u32(key->source, scratch->headers.ipv4.src);

	if (!uses_source_range_ipv4)
		return missed(0x02000018);
	value = entry_in(&lpm_trie_maps_11_16_sparse, AT_SOURCE_RANGE_IPV4, key);
	if (!value)
		return missed(0x02000018);
	scratch->later.source_range_ipv4 = value->counter;
	asked(0x02000018, value->action);
	switch (value->action) {
	case ACTION_ADMIT_SOURCE_IPV4:
		return true;
	case ACTION_DENY_SOURCE_IPV4:
		deny_source_ipv4(scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Clients outside that a service lets in or does not, by the longest prefix; its counter counts new connections.
 */
static __always_inline bool apply_source_range_ipv6(struct scratch *scratch)
{
	struct source_range_ipv6_value *value;
	struct source_range_ipv6_key *key = &scratch->source_range_ipv6;

	key->prefix_len = 152;
	key->side[0] = scratch->side;
	write_u16(key->service_id, scratch->meta.service_id);
	write_u128(key->source, &scratch->headers.ipv6.src);

	if (!uses_source_range_ipv6)
		return missed(0x02000048);
	value = entry_in(&lpm_trie_maps_23_16_sparse, AT_SOURCE_RANGE_IPV6, key);
	if (!value)
		return missed(0x02000048);
	scratch->later.source_range_ipv6 = value->counter;
	asked(0x02000048, value->action);
	switch (value->action) {
	case ACTION_ADMIT_SOURCE_IPV6:
		return true;
	case ACTION_DENY_SOURCE_IPV6:
		deny_source_ipv6(scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Known connections, by the tuple of the packet that opened them.
 */
static __always_inline bool find_flow_ipv4(struct scratch *scratch, struct connections_ipv4_hit *hit, const bool is_likely)
{
	struct connections_ipv4_entry *entry = &scratch->flow_ipv4;

	if (!uses_connections_ipv4)
		return missed(0x02000011);
	entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.leg << 40 | (u64)scratch->meta.protocol << 32 | scratch->headers.ipv4.src;
	entry->key[1] = (u64)scratch->headers.ipv4.dst << 32 | (u64)scratch->meta.src_port << 16 | scratch->meta.dst_port;
	entry->hash = connections_ipv4_hash(scratch->hash_seed, entry->key);
	if (!connections_ipv4_find_entry(entry, hit, is_likely))
		return missed(0x02000011);
	if (unlikely(hit->table > 5) && !connections_ipv4_goes_on(hit, scratch->side)) {
		entry->free = 0;
		return missed(0x02000011);
	}
	switch (hit->table) {
	case TABLE_FLOW_IPV4:
	case TABLE_FRAGMENT_IPV4:
		asked(0x02000011, ACTION_TRANSLATE_IPV4);
		translate_ipv4(&hit->arguments.translate_ipv4, hit, scratch);
		return true;
	case TABLE_FLOW_REVERSE_IPV4:
	case TABLE_FLOW_QUOTED_IPV4:
	case TABLE_FRAGMENT_REPLY_IPV4:
		asked(0x02000011, ACTION_TRANSLATE_REPLY_IPV4);
		translate_reply_ipv4(&hit->arguments.translate_reply_ipv4, hit, scratch);
		return true;
	default:
		return missed(0x02000011);
	}
}

static __always_inline bool apply_flow_ipv4(struct scratch *scratch)
{
	struct connections_ipv4_hit hit;

	if (!find_flow_ipv4(scratch, &hit, false) &&
	    !(connections_ipv4_reach(&scratch->flow_ipv4, &scratch->connections_ipv4_half) && find_flow_ipv4(scratch, &hit, true)))
		return false;
	connections_ipv4_use(&hit, (u32)scratch->now_ms, scratch->packet.length);
	return true;
}

/*
 * The same connections, by what their packets without ports have: the tuple of answers to the packet that an ICMP error quotes, the identification of a fragment.
 */
static __always_inline bool find_flow_quoted_ipv4(struct scratch *scratch, struct connections_ipv4_hit *hit, const bool is_likely)
{
	struct connections_ipv4_entry *entry = &scratch->flow_quoted_ipv4;

	if (!uses_connections_ipv4)
		return missed(0x0200001e);
	entry->key[0] = (u64)scratch->meta.reverse_network << 48 | (u64)scratch->meta.reverse_leg << 40 | (u64)scratch->meta.protocol << 32 | scratch->meta.reverse_src_ipv4;
	entry->key[1] = (u64)scratch->meta.reverse_dst_ipv4 << 32 | (u64)scratch->meta.reverse_src_port << 16 | scratch->meta.reverse_dst_port;
	entry->hash = connections_ipv4_hash(scratch->hash_seed, entry->key);
	if (!connections_ipv4_find_entry(entry, hit, is_likely))
		return missed(0x0200001e);
	if (unlikely(hit->table > 5) && !connections_ipv4_goes_on(hit, scratch->side)) {
		entry->free = 0;
		return missed(0x0200001e);
	}
	switch (hit->table) {
	case TABLE_FLOW_IPV4:
	case TABLE_FRAGMENT_IPV4:
		asked(0x0200001e, ACTION_TRANSLATE_IPV4);
		translate_ipv4(&hit->arguments.translate_ipv4, hit, scratch);
		return true;
	case TABLE_FLOW_REVERSE_IPV4:
	case TABLE_FLOW_QUOTED_IPV4:
	case TABLE_FRAGMENT_REPLY_IPV4:
		asked(0x0200001e, ACTION_TRANSLATE_REPLY_IPV4);
		translate_reply_ipv4(&hit->arguments.translate_reply_ipv4, hit, scratch);
		return true;
	default:
		return missed(0x0200001e);
	}
}

static __always_inline bool apply_flow_quoted_ipv4(struct scratch *scratch)
{
	struct connections_ipv4_hit hit;

	if (!find_flow_quoted_ipv4(scratch, &hit, false))
		return false;
	connections_ipv4_use(&hit, (u32)scratch->now_ms, scratch->packet.length);
	return true;
}

/*
 * Addresses and ports of services; its counter counts new connections.
 * examples/shop.yaml:149 DpuService shop/web:http
 * examples/shop.yaml:150 DpuService shop/web:echo
 * examples/shop.yaml:163 DpuService blue/web:http
 */
static __always_inline bool apply_service_ipv4(struct scratch *scratch)
{
	struct service_ipv4_value *value;
	struct service_ipv4_key key = {
		.network = scratch->meta.network,
		.address = scratch->headers.ipv4.dst,
		.protocol = scratch->meta.protocol,
		.port = scratch->meta.dst_port,
		.side = scratch->side,
	};

	if (!uses_service_ipv4)
		return missed(0x02000013);
	value = bpf_map_lookup_elem(&service_ipv4, &key);
	if (!value)
		return missed(0x02000013);
	scratch->later.service_ipv4 = value->counter;
	asked(0x02000013, value->action);
	switch (value->action) {
	case ACTION_TO_SERVICE_IPV4:
		to_service_ipv4(&value->arguments.to_service_ipv4, scratch);
		return true;
	case ACTION_TO_SERVICE_BY_SOURCE_IPV4:
		to_service_by_source_ipv4(&value->arguments.to_service_by_source_ipv4, scratch);
		return true;
	case ACTION_TO_SERVICE_BY_CHANCE_IPV4:
		to_service_by_chance_ipv4(&value->arguments.to_service_by_chance_ipv4, scratch);
		return true;
	case ACTION_TO_SERVICE_IN_TURN_IPV4:
		to_service_in_turn_ipv4(&value->arguments.to_service_in_turn_ipv4, scratch);
		return true;
	case ACTION_TO_SERVICE_BY_COUNT_IPV4:
		to_service_by_count_ipv4(&value->arguments.to_service_by_count_ipv4, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * The backends of a service.
 * examples/shop.yaml:149 DpuService shop/web:http
 * examples/shop.yaml:150 DpuService shop/web:echo
 * examples/shop.yaml:163 DpuService blue/web:http
 */
static __always_inline bool apply_backend_ipv4(struct scratch *scratch)
{
	struct backend_ipv4_value *value;
	u32 key = scratch->meta.service_id + 65536 * scratch->side;

	if (!uses_backend_ipv4)
		return missed(0x02000014);
	value = entry_in(&array_maps_4_12, AT_BACKEND_IPV4, &key);
	if (!value || !value->ring_size)
		return missed(0x02000014);
	u32 slot = value->group_offset;

	if (scratch->meta.by_count) {
		slot = fewest_of_backends_ipv4(slot + value->ring_size, value->cycle_size);
	} else if (scratch->meta.in_turn) {
		u32 cell = scratch->meta.service_id;
		u32 *number = entry_in(&array_maps_4_4_mmapable, AT_BACKENDS_IPV4_TURNS, &cell);

		if (!number || !value->cycle_size)
			return missed(0x02000014);
		slot += value->ring_size + __sync_fetch_and_add(number, 1) % value->cycle_size;
	} else {
		u64 hash = mix64_final(mix64_word(mix64_word(scratch->hash_seed, (u64)scratch->headers.ipv4.src << 32 | scratch->headers.ipv4.dst), (u64)scratch->meta.spread << 48 | (u64)scratch->meta.dst_port << 32 | (u64)scratch->meta.protocol << 24));

		slot += (u32)(hash >> 32) % value->ring_size;
	}
	u32 *index = entry_in(&array_maps_4_4_mmapable, AT_BACKENDS_IPV4_RING, &slot);
	if (!index)
		return missed(0x02000014);
	struct backends_ipv4_value *member = entry_in(&array_maps_4_16, AT_BACKENDS_IPV4_MEMBER, index);
	if (!member)
		return missed(0x02000014);
	scratch->connections_ipv4_counted = member->counter;
	asked(0x02000014, member->action);
	switch (member->action) {
	case ACTION_TO_BACKEND_IPV4:
		to_backend_ipv4(&member->arguments.to_backend_ipv4, scratch);
		return true;
	case ACTION_TO_BACKEND_ACROSS_IPV4:
		to_backend_across_ipv4(&member->arguments.to_backend_across_ipv4, scratch);
		return true;
	case ACTION_TO_DIRECT_BACKEND_IPV4:
		to_direct_backend_ipv4(&member->arguments.to_direct_backend_ipv4, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Where in a network an address is.
 * examples/shop.yaml:67 Workload shop/client
 * examples/shop.yaml:78 Workload shop/web-1
 * examples/shop.yaml:91 Workload shop/web-2
 * examples/shop.yaml:104 Workload shop/web-3
 * examples/shop.yaml:118 Workload blue/blue-client
 * examples/shop.yaml:130 Workload blue/blue-web
 */
static __always_inline bool apply_route_ipv4(struct scratch *scratch)
{
	struct route_ipv4_value *value;
	struct route_ipv4_key *key = &scratch->route_ipv4;

	key->prefix_len = 56;
	key->side[0] = scratch->side;
	write_u16(key->network, scratch->meta.network);
	write_u32(key->dst, scratch->meta.route_ipv4);

	if (!uses_route_ipv4)
		return missed(0x02000015);
	value = bpf_map_lookup_elem(&route_ipv4, key);
	if (!value)
		return missed(0x02000015);
	asked(0x02000015, value->action);
	switch (value->action) {
	case ACTION_VIA:
		via(&value->arguments.via, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Known connections, by the tuple of the packet that opened them.
 */
static __always_inline bool find_flow_ipv6(struct scratch *scratch, struct connections_ipv6_hit *hit, const bool is_likely)
{
	struct connections_ipv6_entry *entry = &scratch->flow_ipv6;

	if (!uses_connections_ipv6)
		return missed(0x02000041);
	entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.leg << 40 | (u64)scratch->meta.protocol << 32 | (scratch->headers.ipv6.src.high >> 32);
	entry->key[1] = (scratch->headers.ipv6.src.high << 32 | scratch->headers.ipv6.src.low >> 32);
	entry->key[2] = (scratch->headers.ipv6.src.low & 0xffffffffu) << 32 | (scratch->headers.ipv6.dst.high >> 32);
	entry->key[3] = (scratch->headers.ipv6.dst.high << 32 | scratch->headers.ipv6.dst.low >> 32);
	entry->key[4] = (scratch->headers.ipv6.dst.low & 0xffffffffu) << 32 | (u64)scratch->meta.src_port << 16 | scratch->meta.dst_port;
	entry->hash = connections_ipv6_hash(scratch->hash_seed, entry->key);
	if (!connections_ipv6_find_entry(entry, hit, is_likely))
		return missed(0x02000041);
	if (unlikely(hit->table > 5) && !connections_ipv6_goes_on(hit, scratch->side)) {
		entry->free = 0;
		return missed(0x02000041);
	}
	switch (hit->table) {
	case TABLE_FLOW_IPV6:
	case TABLE_FRAGMENT_IPV6:
		asked(0x02000041, ACTION_TRANSLATE_IPV6);
		translate_ipv6(&hit->arguments.translate_ipv6, hit, scratch);
		return true;
	case TABLE_FLOW_REVERSE_IPV6:
	case TABLE_FLOW_QUOTED_IPV6:
	case TABLE_FRAGMENT_REPLY_IPV6:
		asked(0x02000041, ACTION_TRANSLATE_REPLY_IPV6);
		translate_reply_ipv6(&hit->arguments.translate_reply_ipv6, hit, scratch);
		return true;
	default:
		return missed(0x02000041);
	}
}

static __always_inline bool apply_flow_ipv6(struct scratch *scratch)
{
	struct connections_ipv6_hit hit;

	if (!find_flow_ipv6(scratch, &hit, false) &&
	    !(connections_ipv6_reach(&scratch->flow_ipv6, &scratch->connections_ipv6_half) && find_flow_ipv6(scratch, &hit, true)))
		return false;
	connections_ipv6_use(&hit, (u32)scratch->now_ms, scratch->packet.length);
	return true;
}

/*
 * The same connections, by what their packets without ports have: the tuple of answers to the packet that an ICMP error quotes, the identification of a fragment.
 */
static __always_inline bool find_flow_quoted_ipv6(struct scratch *scratch, struct connections_ipv6_hit *hit, const bool is_likely)
{
	struct connections_ipv6_entry *entry = &scratch->flow_quoted_ipv6;

	if (!uses_connections_ipv6)
		return missed(0x0200004e);
	entry->key[0] = (u64)scratch->meta.reverse_network << 48 | (u64)scratch->meta.reverse_leg << 40 | (u64)scratch->meta.protocol << 32 | (scratch->meta.reverse_src_ipv6.high >> 32);
	entry->key[1] = (scratch->meta.reverse_src_ipv6.high << 32 | scratch->meta.reverse_src_ipv6.low >> 32);
	entry->key[2] = (scratch->meta.reverse_src_ipv6.low & 0xffffffffu) << 32 | (scratch->meta.reverse_dst_ipv6.high >> 32);
	entry->key[3] = (scratch->meta.reverse_dst_ipv6.high << 32 | scratch->meta.reverse_dst_ipv6.low >> 32);
	entry->key[4] = (scratch->meta.reverse_dst_ipv6.low & 0xffffffffu) << 32 | (u64)scratch->meta.reverse_src_port << 16 | scratch->meta.reverse_dst_port;
	entry->hash = connections_ipv6_hash(scratch->hash_seed, entry->key);
	if (!connections_ipv6_find_entry(entry, hit, is_likely))
		return missed(0x0200004e);
	if (unlikely(hit->table > 5) && !connections_ipv6_goes_on(hit, scratch->side)) {
		entry->free = 0;
		return missed(0x0200004e);
	}
	switch (hit->table) {
	case TABLE_FLOW_IPV6:
	case TABLE_FRAGMENT_IPV6:
		asked(0x0200004e, ACTION_TRANSLATE_IPV6);
		translate_ipv6(&hit->arguments.translate_ipv6, hit, scratch);
		return true;
	case TABLE_FLOW_REVERSE_IPV6:
	case TABLE_FLOW_QUOTED_IPV6:
	case TABLE_FRAGMENT_REPLY_IPV6:
		asked(0x0200004e, ACTION_TRANSLATE_REPLY_IPV6);
		translate_reply_ipv6(&hit->arguments.translate_reply_ipv6, hit, scratch);
		return true;
	default:
		return missed(0x0200004e);
	}
}

static __always_inline bool apply_flow_quoted_ipv6(struct scratch *scratch)
{
	struct connections_ipv6_hit hit;

	if (!find_flow_quoted_ipv6(scratch, &hit, false))
		return false;
	connections_ipv6_use(&hit, (u32)scratch->now_ms, scratch->packet.length);
	return true;
}

/*
 * Addresses and ports of services; its counter counts new connections.
 * examples/shop.yaml:149 DpuService shop/web:http
 * examples/shop.yaml:150 DpuService shop/web:echo
 */
static __always_inline bool apply_service_ipv6(struct scratch *scratch)
{
	struct service_ipv6_value *value;
	struct service_ipv6_key *key = &scratch->service_ipv6;

	__builtin_memset(key, 0, sizeof(*key));
	key->network = scratch->meta.network;
	key->address = scratch->headers.ipv6.dst;
	key->protocol = scratch->meta.protocol;
	key->port = scratch->meta.dst_port;
	key->side = scratch->side;

	if (!uses_service_ipv6)
		return missed(0x02000043);
	value = bpf_map_lookup_elem(&service_ipv6, key);
	if (!value)
		return missed(0x02000043);
	scratch->later.service_ipv6 = value->counter;
	asked(0x02000043, value->action);
	switch (value->action) {
	case ACTION_TO_SERVICE_IPV6:
		to_service_ipv6(&value->arguments.to_service_ipv6, scratch);
		return true;
	case ACTION_TO_SERVICE_BY_SOURCE_IPV6:
		to_service_by_source_ipv6(&value->arguments.to_service_by_source_ipv6, scratch);
		return true;
	case ACTION_TO_SERVICE_BY_CHANCE_IPV6:
		to_service_by_chance_ipv6(&value->arguments.to_service_by_chance_ipv6, scratch);
		return true;
	case ACTION_TO_SERVICE_IN_TURN_IPV6:
		to_service_in_turn_ipv6(&value->arguments.to_service_in_turn_ipv6, scratch);
		return true;
	case ACTION_TO_SERVICE_BY_COUNT_IPV6:
		to_service_by_count_ipv6(&value->arguments.to_service_by_count_ipv6, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * The backends of a service.
 * examples/shop.yaml:149 DpuService shop/web:http
 * examples/shop.yaml:150 DpuService shop/web:echo
 */
static __always_inline bool apply_backend_ipv6(struct scratch *scratch)
{
	struct backend_ipv6_value *value;
	u32 key = scratch->meta.service_id + 65536 * scratch->side;

	if (!uses_backend_ipv6)
		return missed(0x02000044);
	value = entry_in(&array_maps_4_12, AT_BACKEND_IPV6, &key);
	if (!value || !value->ring_size)
		return missed(0x02000044);
	u32 slot = value->group_offset;

	if (scratch->meta.by_count) {
		slot = fewest_of_backends_ipv6(slot + value->ring_size, value->cycle_size);
	} else if (scratch->meta.in_turn) {
		u32 cell = scratch->meta.service_id;
		u32 *number = entry_in(&array_maps_4_4_mmapable, AT_BACKENDS_IPV6_TURNS, &cell);

		if (!number || !value->cycle_size)
			return missed(0x02000044);
		slot += value->ring_size + __sync_fetch_and_add(number, 1) % value->cycle_size;
	} else {
		u64 hash = mix64_final(mix64_word(mix64_word(mix64_word(mix64_word(mix64_word(scratch->hash_seed, scratch->headers.ipv6.src.high), scratch->headers.ipv6.src.low), scratch->headers.ipv6.dst.high), scratch->headers.ipv6.dst.low), (u64)scratch->meta.spread << 48 | (u64)scratch->meta.dst_port << 32 | (u64)scratch->meta.protocol << 24));

		slot += (u32)(hash >> 32) % value->ring_size;
	}
	u32 *index = entry_in(&array_maps_4_4_mmapable, AT_BACKENDS_IPV6_RING, &slot);
	if (!index)
		return missed(0x02000044);
	struct backends_ipv6_value *member = bpf_map_lookup_elem(&backends_ipv6_member, index);
	if (!member)
		return missed(0x02000044);
	scratch->connections_ipv6_counted = member->counter;
	asked(0x02000044, member->action);
	switch (member->action) {
	case ACTION_TO_BACKEND_IPV6:
		to_backend_ipv6(&member->arguments.to_backend_ipv6, scratch);
		return true;
	case ACTION_TO_BACKEND_ACROSS_IPV6:
		to_backend_across_ipv6(&member->arguments.to_backend_across_ipv6, scratch);
		return true;
	case ACTION_TO_DIRECT_BACKEND_IPV6:
		to_direct_backend_ipv6(&member->arguments.to_direct_backend_ipv6, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Where in a network an address is.
 * examples/shop.yaml:67 Workload shop/client
 * examples/shop.yaml:78 Workload shop/web-1
 * examples/shop.yaml:91 Workload shop/web-2
 * examples/shop.yaml:104 Workload shop/web-3
 */
static __always_inline bool apply_route_ipv6(struct scratch *scratch)
{
	struct route_ipv6_value *value;
	struct route_ipv6_key *key = &scratch->route_ipv6;

	key->prefix_len = 152;
	key->side[0] = scratch->side;
	write_u16(key->network, scratch->meta.network);
	write_u128(key->dst, &scratch->meta.route_ipv6);

	if (!uses_route_ipv6)
		return missed(0x02000045);
	value = bpf_map_lookup_elem(&route_ipv6, key);
	if (!value)
		return missed(0x02000045);
	asked(0x02000045, value->action);
	switch (value->action) {
	case ACTION_VIA:
		via(&value->arguments.via, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Connections that a workload opens, by where they go; its counter counts new connections.
 */
static __always_inline bool apply_outbound_ipv4(struct scratch *scratch)
{
	struct outbound_ipv4_value *value;
	struct outbound_ipv4_key *key = &scratch->outbound_ipv4;
	struct outbound_ipv4_key packet = {
		.network = scratch->meta.network,
		.workload = scratch->headers.ipv4.src,
		.peer = scratch->headers.ipv4.dst,
		.port = scratch->meta.dst_port,
	};
	struct outbound_ipv4_value *found;
	struct outbound_ipv4_masks *masks;
	const void *entries;
	u32 side = scratch->side;
	u64 rank = 0;

	if (!uses_outbound_ipv4)
		return missed(0x02000030);
	masks = entry_in(&array_maps_4_512, AT_OUTBOUND_IPV4_MASKS, &side);
	entries = map_in(&hash_maps_20_24_sparse, AT_OUTBOUND_IPV4);
	if (!masks || !entries)
		return missed(0x02000030);
	value = 0;
	key->side = side;
	for (u32 at = 0; at < 16; at++) {
		const struct outbound_ipv4_mask *mask = &masks->slots[at];

		if (mask->highest <= rank)
			break;
		key->mask_id = mask->mask_id;
		key->network = packet.network & mask->network;
		key->workload = packet.workload & mask->workload;
		key->peer = packet.peer & mask->peer;
		key->port = packet.port & mask->port;
		found = bpf_map_lookup_elem(entries, key);
		if (found && found->rank > rank) {
			value = found;
			rank = found->rank;
		}
	}
	if (!value)
		return missed(0x02000030);
	scratch->later.outbound_ipv4 = value->counter;
	asked(0x02000030, value->action);
	switch (value->action) {
	case ACTION_REDIRECT_OUTBOUND_IPV4:
		redirect_outbound_ipv4(&value->arguments.redirect_outbound_ipv4, scratch);
		return true;
	case ACTION_BYPASS_OUTBOUND_IPV4:
		return true;
	case ACTION_DENY_OUTBOUND_IPV4:
		deny_outbound_ipv4(scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Connections that are opened to a workload, by where they come from; its counter counts new connections.
 */
static __always_inline bool apply_inbound_ipv4(struct scratch *scratch)
{
	struct inbound_ipv4_value *value;
	struct inbound_ipv4_key *key = &scratch->inbound_ipv4;
	struct inbound_ipv4_key packet = {
		.network = scratch->meta.network,
		.workload = scratch->meta.route_ipv4,
		.peer = scratch->headers.ipv4.src,
		.port = scratch->meta.server_port,
	};
	struct inbound_ipv4_value *found;
	struct inbound_ipv4_masks *masks;
	const void *entries;
	u32 side = scratch->side;
	u64 rank = 0;

	if (!uses_inbound_ipv4)
		return missed(0x02000034);
	masks = entry_in(&array_maps_4_512, AT_INBOUND_IPV4_MASKS, &side);
	entries = map_in(&hash_maps_20_24_sparse, AT_INBOUND_IPV4);
	if (!masks || !entries)
		return missed(0x02000034);
	value = 0;
	key->side = side;
	for (u32 at = 0; at < 16; at++) {
		const struct inbound_ipv4_mask *mask = &masks->slots[at];

		if (mask->highest <= rank)
			break;
		key->mask_id = mask->mask_id;
		key->network = packet.network & mask->network;
		key->workload = packet.workload & mask->workload;
		key->peer = packet.peer & mask->peer;
		key->port = packet.port & mask->port;
		found = bpf_map_lookup_elem(entries, key);
		if (found && found->rank > rank) {
			value = found;
			rank = found->rank;
		}
	}
	if (!value)
		return missed(0x02000034);
	scratch->later.inbound_ipv4 = value->counter;
	asked(0x02000034, value->action);
	switch (value->action) {
	case ACTION_REDIRECT_INBOUND_IPV4:
		redirect_inbound_ipv4(&value->arguments.redirect_inbound_ipv4, scratch);
		return true;
	case ACTION_BYPASS_INBOUND_IPV4:
		return true;
	case ACTION_DENY_INBOUND_IPV4:
		deny_inbound_ipv4(scratch);
		return true;
	default:
		return false;
	}
}

/*
 * The proxies of a network on this device. A member watches its port, so one that is gone gets nothing.
 */
static __always_inline bool apply_proxy_ipv4(struct scratch *scratch)
{
	struct proxy_ipv4_value *value;
	u32 key = scratch->meta.network + 65536 * scratch->side;

	if (!uses_proxy_ipv4)
		return missed(0x02000038);
	value = entry_in(&array_maps_4_8, AT_PROXY_IPV4, &key);
	if (!value || !value->ring_size)
		return missed(0x02000038);
	u64 hash = mix64_final(mix64_word(mix64_word(scratch->hash_seed, (u64)scratch->headers.ipv4.src << 32 | scratch->headers.ipv4.dst), (u64)scratch->meta.src_port << 48 | (u64)scratch->meta.dst_port << 32 | (u64)scratch->meta.protocol << 24));
	u32 slot = value->group_offset + (u32)(hash >> 32) % value->ring_size;
	u32 *index = entry_in(&array_maps_4_4_mmapable, AT_PROXIES_IPV4_RING, &slot);
	if (!index)
		return missed(0x02000038);
	struct proxies_ipv4_value *member = entry_in(&array_maps_4_16, AT_PROXIES_IPV4_MEMBER, index);
	if (!member)
		return missed(0x02000038);
	asked(0x02000038, member->action);
	switch (member->action) {
	case ACTION_TO_PROXY_IPV4:
		to_proxy_ipv4(&member->arguments.to_proxy_ipv4, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Connections that a workload opens, by where they go; its counter counts new connections.
 */
static __always_inline bool apply_outbound_ipv6(struct scratch *scratch)
{
	struct outbound_ipv6_value *value;
	struct outbound_ipv6_key *key = &scratch->outbound_ipv6;
	struct outbound_ipv6_key packet = {
		.network = scratch->meta.network,
		.workload = scratch->headers.ipv6.src,
		.peer = scratch->headers.ipv6.dst,
		.port = scratch->meta.dst_port,
	};
	struct outbound_ipv6_value *found;
	struct outbound_ipv6_masks *masks;
	const void *entries;
	u32 side = scratch->side;
	u64 rank = 0;

	if (!uses_outbound_ipv6)
		return missed(0x02000060);
	masks = entry_in(&array_maps_4_896, AT_OUTBOUND_IPV6_MASKS, &side);
	entries = map_in(&hash_maps_48_24_sparse, AT_OUTBOUND_IPV6);
	if (!masks || !entries)
		return missed(0x02000060);
	value = 0;
	key->side = side;
	for (u32 at = 0; at < 16; at++) {
		const struct outbound_ipv6_mask *mask = &masks->slots[at];

		if (mask->highest <= rank)
			break;
		key->mask_id = mask->mask_id;
		key->network = packet.network & mask->network;
		key->workload.high = packet.workload.high & mask->workload.high;
		key->workload.low = packet.workload.low & mask->workload.low;
		key->peer.high = packet.peer.high & mask->peer.high;
		key->peer.low = packet.peer.low & mask->peer.low;
		key->port = packet.port & mask->port;
		found = bpf_map_lookup_elem(entries, key);
		if (found && found->rank > rank) {
			value = found;
			rank = found->rank;
		}
	}
	if (!value)
		return missed(0x02000060);
	scratch->later.outbound_ipv6 = value->counter;
	asked(0x02000060, value->action);
	switch (value->action) {
	case ACTION_REDIRECT_OUTBOUND_IPV6:
		redirect_outbound_ipv6(&value->arguments.redirect_outbound_ipv6, scratch);
		return true;
	case ACTION_BYPASS_OUTBOUND_IPV6:
		return true;
	case ACTION_DENY_OUTBOUND_IPV6:
		deny_outbound_ipv6(scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Connections that are opened to a workload, by where they come from; its counter counts new connections.
 */
static __always_inline bool apply_inbound_ipv6(struct scratch *scratch)
{
	struct inbound_ipv6_value *value;
	struct inbound_ipv6_key *key = &scratch->inbound_ipv6;
	struct inbound_ipv6_key packet = {
		.network = scratch->meta.network,
		.workload = scratch->meta.route_ipv6,
		.peer = scratch->headers.ipv6.src,
		.port = scratch->meta.server_port,
	};
	struct inbound_ipv6_value *found;
	struct inbound_ipv6_masks *masks;
	const void *entries;
	u32 side = scratch->side;
	u64 rank = 0;

	if (!uses_inbound_ipv6)
		return missed(0x02000064);
	masks = entry_in(&array_maps_4_896, AT_INBOUND_IPV6_MASKS, &side);
	entries = map_in(&hash_maps_48_24_sparse, AT_INBOUND_IPV6);
	if (!masks || !entries)
		return missed(0x02000064);
	value = 0;
	key->side = side;
	for (u32 at = 0; at < 16; at++) {
		const struct inbound_ipv6_mask *mask = &masks->slots[at];

		if (mask->highest <= rank)
			break;
		key->mask_id = mask->mask_id;
		key->network = packet.network & mask->network;
		key->workload.high = packet.workload.high & mask->workload.high;
		key->workload.low = packet.workload.low & mask->workload.low;
		key->peer.high = packet.peer.high & mask->peer.high;
		key->peer.low = packet.peer.low & mask->peer.low;
		key->port = packet.port & mask->port;
		found = bpf_map_lookup_elem(entries, key);
		if (found && found->rank > rank) {
			value = found;
			rank = found->rank;
		}
	}
	if (!value)
		return missed(0x02000064);
	scratch->later.inbound_ipv6 = value->counter;
	asked(0x02000064, value->action);
	switch (value->action) {
	case ACTION_REDIRECT_INBOUND_IPV6:
		redirect_inbound_ipv6(&value->arguments.redirect_inbound_ipv6, scratch);
		return true;
	case ACTION_BYPASS_INBOUND_IPV6:
		return true;
	case ACTION_DENY_INBOUND_IPV6:
		deny_inbound_ipv6(scratch);
		return true;
	default:
		return false;
	}
}

/*
 * The proxies of a network on this device. A member watches its port, so one that is gone gets nothing.
 */
static __always_inline bool apply_proxy_ipv6(struct scratch *scratch)
{
	struct proxy_ipv6_value *value;
	u32 key = scratch->meta.network + 65536 * scratch->side;

	if (!uses_proxy_ipv6)
		return missed(0x02000068);
	value = entry_in(&array_maps_4_8, AT_PROXY_IPV6, &key);
	if (!value || !value->ring_size)
		return missed(0x02000068);
	u64 hash = mix64_final(mix64_word(mix64_word(mix64_word(mix64_word(mix64_word(scratch->hash_seed, scratch->headers.ipv6.src.high), scratch->headers.ipv6.src.low), scratch->headers.ipv6.dst.high), scratch->headers.ipv6.dst.low), (u64)scratch->meta.src_port << 48 | (u64)scratch->meta.dst_port << 32 | (u64)scratch->meta.protocol << 24));
	u32 slot = value->group_offset + (u32)(hash >> 32) % value->ring_size;
	u32 *index = entry_in(&array_maps_4_4_mmapable, AT_PROXIES_IPV6_RING, &slot);
	if (!index)
		return missed(0x02000068);
	struct proxies_ipv6_value *member = entry_in(&array_maps_4_16, AT_PROXIES_IPV6_MEMBER, index);
	if (!member)
		return missed(0x02000068);
	asked(0x02000068, member->action);
	switch (member->action) {
	case ACTION_TO_PROXY_IPV6:
		to_proxy_ipv6(&member->arguments.to_proxy_ipv6, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * New connections a second of a workload that the proxy gets; its meter counts these, and those beyond.
 */
static __always_inline bool apply_redirect_limit_ipv4(struct scratch *scratch)
{
	struct redirect_limit_ipv4_value *value;
	u32 key = scratch->meta.limiter + 4096 * scratch->side;

	if (!uses_redirect_limit_ipv4)
		return missed(0x0200003c);
	value = entry_in(&array_maps_4_8, AT_REDIRECT_LIMIT_IPV4, &key);
	if (!value || !value->action)
		return missed(0x0200003c);
	scratch->metered = value->counter;
	asked(0x0200003c, value->action);
	switch (value->action) {
	case ACTION_LIMIT_REDIRECTS_IPV4:
		limit_redirects_ipv4(scratch);
		return true;
	default:
		return false;
	}
}

/*
 * New connections a second of a workload that the proxy gets; its meter counts these, and those beyond.
 */
static __always_inline bool apply_redirect_limit_ipv6(struct scratch *scratch)
{
	struct redirect_limit_ipv6_value *value;
	u32 key = scratch->meta.limiter + 4096 * scratch->side;

	if (!uses_redirect_limit_ipv6)
		return missed(0x0200006c);
	value = entry_in(&array_maps_4_8, AT_REDIRECT_LIMIT_IPV6, &key);
	if (!value || !value->action)
		return missed(0x0200006c);
	scratch->metered = value->counter;
	asked(0x0200006c, value->action);
	switch (value->action) {
	case ACTION_LIMIT_REDIRECTS_IPV6:
		limit_redirects_ipv6(scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Class and rate of a portal's packets, from hosts and, `is_reply`, to them.
 */
static __always_inline bool apply_storage(struct scratch *scratch)
{
	struct storage_value *value;
	struct storage_key key = {
		.service_id = scratch->meta.service_id,
		.is_reply = scratch->meta.is_reply,
		.side = scratch->side,
	};

	if (!uses_storage)
		return missed(0x02000078);
	if (key.is_reply) {
		value = bpf_map_lookup_elem(&storage, &key);
	} else {
		u32 index = key.service_id + 65536 * scratch->side;

		value = bpf_map_lookup_elem(&storage_direct, &index);
	}
	if (!value || !value->action)
		return missed(0x02000078);
	scratch->metered = value->counter;
	asked(0x02000078, value->action);
	switch (value->action) {
	case ACTION_ADMIT:
		admit(scratch);
		return true;
	case ACTION_CLASSIFY_STORAGE:
		classify_storage(&value->arguments.classify_storage, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Hosts of portals, by any packet that they send: a host keeps its target while it has connections.
 */
static __always_inline bool find_storage_host_ipv4(struct scratch *scratch, struct affinities_hit *hit, const bool is_likely)
{
	struct affinities_entry *entry = &scratch->storage_host_ipv4;

	if (!uses_affinities)
		return missed(0x0200001c);
	entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.service_id << 32 | ((struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.high >> 32);
	entry->key[1] = ((struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.high << 32 | (struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.low >> 32);
	entry->key[2] = (((struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.low) & 0xffffffffu) << 32;
	entry->hash = affinities_hash(scratch->hash_seed, entry->key);
	if (!affinities_find_entry(entry, hit, is_likely))
		return missed(0x0200001c);
	if (unlikely(hit->table > 4) && !affinities_goes_on(hit, scratch->side)) {
		entry->free = 0;
		return missed(0x0200001c);
	}
	switch (hit->table) {
	case TABLE_STORAGE_HOST_IPV4:
	case TABLE_STORAGE_HOST_IPV6:
	case TABLE_AFFINITY_IPV4:
	case TABLE_AFFINITY_IPV6:
		asked(0x0200001c, ACTION_REMEMBERED);
		remembered(&hit->arguments.remembered, scratch);
		return true;
	default:
		return missed(0x0200001c);
	}
}

static __always_inline bool apply_storage_host_ipv4(struct scratch *scratch)
{
	struct affinities_hit hit;

	if (!find_storage_host_ipv4(scratch, &hit, false))
		return false;
	affinities_use(&hit, (u32)scratch->now_ms, scratch->packet.length);
	return true;
}

/*
 * Hosts of portals, by any packet that they send: a host keeps its target while it has connections.
 */
static __always_inline bool find_storage_host_ipv6(struct scratch *scratch, struct affinities_hit *hit, const bool is_likely)
{
	struct affinities_entry *entry = &scratch->storage_host_ipv6;

	if (!uses_affinities)
		return missed(0x0200004c);
	entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.service_id << 32 | (scratch->headers.ipv6.src.high >> 32);
	entry->key[1] = (scratch->headers.ipv6.src.high << 32 | scratch->headers.ipv6.src.low >> 32);
	entry->key[2] = (scratch->headers.ipv6.src.low & 0xffffffffu) << 32;
	entry->hash = affinities_hash(scratch->hash_seed, entry->key);
	if (!affinities_find_entry(entry, hit, is_likely))
		return missed(0x0200004c);
	if (unlikely(hit->table > 4) && !affinities_goes_on(hit, scratch->side)) {
		entry->free = 0;
		return missed(0x0200004c);
	}
	switch (hit->table) {
	case TABLE_STORAGE_HOST_IPV4:
	case TABLE_STORAGE_HOST_IPV6:
	case TABLE_AFFINITY_IPV4:
	case TABLE_AFFINITY_IPV6:
		asked(0x0200004c, ACTION_REMEMBERED);
		remembered(&hit->arguments.remembered, scratch);
		return true;
	default:
		return missed(0x0200004c);
	}
}

static __always_inline bool apply_storage_host_ipv6(struct scratch *scratch)
{
	struct affinities_hit hit;

	if (!find_storage_host_ipv6(scratch, &hit, false))
		return false;
	affinities_use(&hit, (u32)scratch->now_ms, scratch->packet.length);
	return true;
}

/*
 * Clients of services with affinity, and the backends of their last connections.
 */
static __always_inline bool find_affinity_ipv4(struct scratch *scratch, struct affinities_hit *hit, const bool is_likely)
{
	struct affinities_entry *entry = &scratch->affinity_ipv4;

	if (!uses_affinities)
		return missed(0x0200001a);
	entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.service_id << 32 | ((struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.high >> 32);
	entry->key[1] = ((struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.high << 32 | (struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.low >> 32);
	entry->key[2] = (((struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.low) & 0xffffffffu) << 32;
	entry->hash = affinities_hash(scratch->hash_seed, entry->key);
	if (!affinities_find_entry(entry, hit, is_likely))
		return missed(0x0200001a);
	if (unlikely(hit->table > 4) && !affinities_goes_on(hit, scratch->side)) {
		entry->free = 0;
		return missed(0x0200001a);
	}
	switch (hit->table) {
	case TABLE_STORAGE_HOST_IPV4:
	case TABLE_STORAGE_HOST_IPV6:
	case TABLE_AFFINITY_IPV4:
	case TABLE_AFFINITY_IPV6:
		asked(0x0200001a, ACTION_REMEMBERED);
		remembered(&hit->arguments.remembered, scratch);
		return true;
	default:
		return missed(0x0200001a);
	}
}

static __always_inline bool apply_affinity_ipv4(struct scratch *scratch)
{
	struct affinities_hit hit;

	if (!find_affinity_ipv4(scratch, &hit, false))
		return false;
	affinities_use(&hit, (u32)scratch->now_ms, scratch->packet.length);
	return true;
}

/*
 * Backends of services with affinity: those that clients may stay with.
 */
static __always_inline bool apply_affinity_backend_ipv4(struct scratch *scratch)
{
	struct affinity_backend_ipv4_value *value;
	struct affinity_backend_ipv4_key key = {
		.service_id = scratch->meta.service_id,
		.address = scratch->meta.affine_address.low & 0xffffffffu,
		.port = scratch->meta.affine_port,
		.crossing = scratch->meta.affine_across,
		.side = scratch->side,
	};

	if (!uses_affinity_backend_ipv4)
		return missed(0x0200001b);
	value = bpf_map_lookup_elem(&affinity_backend_ipv4, &key);
	if (!value)
		return missed(0x0200001b);
	asked(0x0200001b, value->action);
	switch (value->action) {
	case ACTION_MAY_STAY:
		may_stay(scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Clients of services with affinity, and the backends of their last connections.
 */
static __always_inline bool find_affinity_ipv6(struct scratch *scratch, struct affinities_hit *hit, const bool is_likely)
{
	struct affinities_entry *entry = &scratch->affinity_ipv6;

	if (!uses_affinities)
		return missed(0x0200004a);
	entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.service_id << 32 | (scratch->headers.ipv6.src.high >> 32);
	entry->key[1] = (scratch->headers.ipv6.src.high << 32 | scratch->headers.ipv6.src.low >> 32);
	entry->key[2] = (scratch->headers.ipv6.src.low & 0xffffffffu) << 32;
	entry->hash = affinities_hash(scratch->hash_seed, entry->key);
	if (!affinities_find_entry(entry, hit, is_likely))
		return missed(0x0200004a);
	if (unlikely(hit->table > 4) && !affinities_goes_on(hit, scratch->side)) {
		entry->free = 0;
		return missed(0x0200004a);
	}
	switch (hit->table) {
	case TABLE_STORAGE_HOST_IPV4:
	case TABLE_STORAGE_HOST_IPV6:
	case TABLE_AFFINITY_IPV4:
	case TABLE_AFFINITY_IPV6:
		asked(0x0200004a, ACTION_REMEMBERED);
		remembered(&hit->arguments.remembered, scratch);
		return true;
	default:
		return missed(0x0200004a);
	}
}

static __always_inline bool apply_affinity_ipv6(struct scratch *scratch)
{
	struct affinities_hit hit;

	if (!find_affinity_ipv6(scratch, &hit, false))
		return false;
	affinities_use(&hit, (u32)scratch->now_ms, scratch->packet.length);
	return true;
}

/*
 * Backends of services with affinity: those that clients may stay with.
 */
static __always_inline bool apply_affinity_backend_ipv6(struct scratch *scratch)
{
	struct affinity_backend_ipv6_value *value;
	struct affinity_backend_ipv6_key *key = &scratch->affinity_backend_ipv6;

	__builtin_memset(key, 0, sizeof(*key));
	key->service_id = scratch->meta.service_id;
	key->address = scratch->meta.affine_address;
	key->port = scratch->meta.affine_port;
	key->crossing = scratch->meta.affine_across;
	key->side = scratch->side;

	if (!uses_affinity_backend_ipv6)
		return missed(0x0200004b);
	value = bpf_map_lookup_elem(&affinity_backend_ipv6, key);
	if (!value)
		return missed(0x0200004b);
	asked(0x0200004b, value->action);
	switch (value->action) {
	case ACTION_MAY_STAY:
		may_stay(scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Workloads of this device that NetworkPolicies concern, by their own next hop.
 */
static __always_inline bool apply_isolated_source_ipv4(struct scratch *scratch)
{
	struct isolated_source_ipv4_value *value;
	struct isolated_source_ipv4_key key = {
		.network = scratch->meta.network,
		.nexthop = scratch->meta.source_nexthop,
		.side = scratch->side,
	};

	if (!uses_isolated_source_ipv4)
		return missed(0x02000110);
	value = entry_in(&hash_maps_16_16, AT_ISOLATED_SOURCE_IPV4, &key);
	if (!value)
		return missed(0x02000110);
	asked(0x02000110, value->action);
	switch (value->action) {
	case ACTION_ISOLATE_SOURCE:
		isolate_source(&value->arguments.isolate_source, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * The same workloads by their addresses, whole ones.
 */
static __always_inline bool apply_isolated_destination_ipv4(struct scratch *scratch)
{
	struct isolated_destination_ipv4_value *value;
	struct isolated_destination_ipv4_key *key = &scratch->isolated_destination_ipv4;

	key->prefix_len = 56;
	key->side[0] = scratch->side;
	write_u16(key->network, scratch->meta.reverse_network);
	write_u32(key->address, scratch->meta.route_ipv4);

	if (!uses_isolated_destination_ipv4)
		return missed(0x02000111);
	value = entry_in(&lpm_trie_maps_11_16_sparse, AT_ISOLATED_DESTINATION_IPV4, key);
	if (!value)
		return missed(0x02000111);
	asked(0x02000111, value->action);
	switch (value->action) {
	case ACTION_ISOLATE_DESTINATION:
		isolate_destination(&value->arguments.isolate_destination, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Which ports a policy allows, by the longest prefix that holds the peer; a peer in none has none.
 */
static __always_inline bool apply_egress_peer_ipv4(struct scratch *scratch)
{
	struct egress_peer_ipv4_value *value;
	struct egress_peer_ipv4_key *key = &scratch->egress_peer_ipv4;

	key->prefix_len = 56;
	key->side[0] = scratch->side;
	write_u16(key->policy, scratch->meta.egress_policy);
	write_u32(key->peer, scratch->meta.route_ipv4);

	if (!uses_egress_peer_ipv4)
		return missed(0x02000112);
	value = entry_in(&lpm_trie_maps_11_16_sparse, AT_EGRESS_PEER_IPV4, key);
	if (!value)
		return missed(0x02000112);
	asked(0x02000112, value->action);
	switch (value->action) {
	case ACTION_HAS_PORTS:
		has_ports(&value->arguments.has_ports, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Which ports a policy allows, by the longest prefix that holds the peer; a peer in none has none.
 */
static __always_inline bool apply_ingress_peer_ipv4(struct scratch *scratch)
{
	struct ingress_peer_ipv4_value *value;
	struct ingress_peer_ipv4_key *key = &scratch->ingress_peer_ipv4;

	key->prefix_len = 56;
	key->side[0] = scratch->side;
	write_u16(key->policy, scratch->meta.ingress_policy);
	write_u32(key->peer, scratch->meta.new_src_ipv4);

	if (!uses_ingress_peer_ipv4)
		return missed(0x02000113);
	value = entry_in(&lpm_trie_maps_11_16_sparse, AT_INGRESS_PEER_IPV4, key);
	if (!value)
		return missed(0x02000113);
	asked(0x02000113, value->action);
	switch (value->action) {
	case ACTION_HAS_PORTS:
		has_ports(&value->arguments.has_ports, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Protocols and ports that peers are allowed, by prefixes of 8 bits of protocol and 16 of port; its counter counts new connections.
 */
static __always_inline bool apply_egress_port_ipv4(struct scratch *scratch)
{
	struct egress_port_ipv4_value *value;
	struct egress_port_ipv4_key *key = &scratch->egress_port_ipv4;

	key->prefix_len = 56;
	key->side[0] = scratch->side;
	write_u16(key->ports, scratch->meta.policy_ports);
	write_u32(key->port, (u32)scratch->meta.protocol << 24 | (u32)scratch->meta.server_port << 8);

	if (!uses_egress_port_ipv4)
		return missed(0x02000114);
	value = entry_in(&lpm_trie_maps_11_16_sparse, AT_EGRESS_PORT_IPV4, key);
	if (!value)
		return missed(0x02000114);
	scratch->later.egress_port_ipv4 = value->counter;
	asked(0x02000114, value->action);
	switch (value->action) {
	case ACTION_ALLOW_EGRESS_IPV4:
		return true;
	default:
		return false;
	}
}

/*
 * Protocols and ports that peers are allowed, by prefixes of 8 bits of protocol and 16 of port; its counter counts new connections.
 */
static __always_inline bool apply_ingress_port_ipv4(struct scratch *scratch)
{
	struct ingress_port_ipv4_value *value;
	struct ingress_port_ipv4_key *key = &scratch->ingress_port_ipv4;

	key->prefix_len = 56;
	key->side[0] = scratch->side;
	write_u16(key->ports, scratch->meta.policy_ports);
	write_u32(key->port, (u32)scratch->meta.protocol << 24 | (u32)scratch->meta.server_port << 8);

	if (!uses_ingress_port_ipv4)
		return missed(0x02000115);
	value = entry_in(&lpm_trie_maps_11_16_sparse, AT_INGRESS_PORT_IPV4, key);
	if (!value)
		return missed(0x02000115);
	scratch->later.ingress_port_ipv4 = value->counter;
	asked(0x02000115, value->action);
	switch (value->action) {
	case ACTION_ALLOW_INGRESS_IPV4:
		return true;
	default:
		return false;
	}
}

/*
 * Workloads of this device that NetworkPolicies concern, by their own next hop.
 */
static __always_inline bool apply_isolated_source_ipv6(struct scratch *scratch)
{
	struct isolated_source_ipv6_value *value;
	struct isolated_source_ipv6_key key = {
		.network = scratch->meta.network,
		.nexthop = scratch->meta.source_nexthop,
		.side = scratch->side,
	};

	if (!uses_isolated_source_ipv6)
		return missed(0x02000140);
	value = entry_in(&hash_maps_16_16, AT_ISOLATED_SOURCE_IPV6, &key);
	if (!value)
		return missed(0x02000140);
	asked(0x02000140, value->action);
	switch (value->action) {
	case ACTION_ISOLATE_SOURCE:
		isolate_source(&value->arguments.isolate_source, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * The same workloads by their addresses, whole ones.
 */
static __always_inline bool apply_isolated_destination_ipv6(struct scratch *scratch)
{
	struct isolated_destination_ipv6_value *value;
	struct isolated_destination_ipv6_key *key = &scratch->isolated_destination_ipv6;

	key->prefix_len = 152;
	key->side[0] = scratch->side;
	write_u16(key->network, scratch->meta.reverse_network);
	write_u128(key->address, &scratch->meta.route_ipv6);

	if (!uses_isolated_destination_ipv6)
		return missed(0x02000141);
	value = entry_in(&lpm_trie_maps_23_16_sparse, AT_ISOLATED_DESTINATION_IPV6, key);
	if (!value)
		return missed(0x02000141);
	asked(0x02000141, value->action);
	switch (value->action) {
	case ACTION_ISOLATE_DESTINATION:
		isolate_destination(&value->arguments.isolate_destination, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Which ports a policy allows, by the longest prefix that holds the peer; a peer in none has none.
 */
static __always_inline bool apply_egress_peer_ipv6(struct scratch *scratch)
{
	struct egress_peer_ipv6_value *value;
	struct egress_peer_ipv6_key *key = &scratch->egress_peer_ipv6;

	key->prefix_len = 152;
	key->side[0] = scratch->side;
	write_u16(key->policy, scratch->meta.egress_policy);
	write_u128(key->peer, &scratch->meta.route_ipv6);

	if (!uses_egress_peer_ipv6)
		return missed(0x02000142);
	value = entry_in(&lpm_trie_maps_23_16_sparse, AT_EGRESS_PEER_IPV6, key);
	if (!value)
		return missed(0x02000142);
	asked(0x02000142, value->action);
	switch (value->action) {
	case ACTION_HAS_PORTS:
		has_ports(&value->arguments.has_ports, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Which ports a policy allows, by the longest prefix that holds the peer; a peer in none has none.
 */
static __always_inline bool apply_ingress_peer_ipv6(struct scratch *scratch)
{
	struct ingress_peer_ipv6_value *value;
	struct ingress_peer_ipv6_key *key = &scratch->ingress_peer_ipv6;

	key->prefix_len = 152;
	key->side[0] = scratch->side;
	write_u16(key->policy, scratch->meta.ingress_policy);
	write_u128(key->peer, &scratch->meta.new_src_ipv6);

	if (!uses_ingress_peer_ipv6)
		return missed(0x02000143);
	value = entry_in(&lpm_trie_maps_23_16_sparse, AT_INGRESS_PEER_IPV6, key);
	if (!value)
		return missed(0x02000143);
	asked(0x02000143, value->action);
	switch (value->action) {
	case ACTION_HAS_PORTS:
		has_ports(&value->arguments.has_ports, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Protocols and ports that peers are allowed, by prefixes of 8 bits of protocol and 16 of port; its counter counts new connections.
 */
static __always_inline bool apply_egress_port_ipv6(struct scratch *scratch)
{
	struct egress_port_ipv6_value *value;
	struct egress_port_ipv6_key *key = &scratch->egress_port_ipv6;

	key->prefix_len = 56;
	key->side[0] = scratch->side;
	write_u16(key->ports, scratch->meta.policy_ports);
	write_u32(key->port, (u32)scratch->meta.protocol << 24 | (u32)scratch->meta.server_port << 8);

	if (!uses_egress_port_ipv6)
		return missed(0x02000144);
	value = entry_in(&lpm_trie_maps_11_16_sparse, AT_EGRESS_PORT_IPV6, key);
	if (!value)
		return missed(0x02000144);
	scratch->later.egress_port_ipv6 = value->counter;
	asked(0x02000144, value->action);
	switch (value->action) {
	case ACTION_ALLOW_EGRESS_IPV6:
		return true;
	default:
		return false;
	}
}

/*
 * Protocols and ports that peers are allowed, by prefixes of 8 bits of protocol and 16 of port; its counter counts new connections.
 */
static __always_inline bool apply_ingress_port_ipv6(struct scratch *scratch)
{
	struct ingress_port_ipv6_value *value;
	struct ingress_port_ipv6_key *key = &scratch->ingress_port_ipv6;

	key->prefix_len = 56;
	key->side[0] = scratch->side;
	write_u16(key->ports, scratch->meta.policy_ports);
	write_u32(key->port, (u32)scratch->meta.protocol << 24 | (u32)scratch->meta.server_port << 8);

	if (!uses_ingress_port_ipv6)
		return missed(0x02000145);
	value = entry_in(&lpm_trie_maps_11_16_sparse, AT_INGRESS_PORT_IPV6, key);
	if (!value)
		return missed(0x02000145);
	scratch->later.ingress_port_ipv6 = value->counter;
	asked(0x02000145, value->action);
	switch (value->action) {
	case ACTION_ALLOW_INGRESS_IPV6:
		return true;
	default:
		return false;
	}
}

/*
 * How backends of other networks are reached by clients outside, and the other way round.
 */
static __always_inline bool apply_crossing_ipv4(struct scratch *scratch)
{
	struct crossing_ipv4_value *value;
	u32 key = scratch->meta.across + 16384 * scratch->side;

	if (!uses_crossing_ipv4)
		return missed(0x0200001d);
	value = entry_in(&array_maps_4_16, AT_CROSSING_IPV4, &key);
	if (!value || !value->action)
		return missed(0x0200001d);
	asked(0x0200001d, value->action);
	switch (value->action) {
	case ACTION_CROSS:
		cross(&value->arguments.cross, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * How backends of other networks are reached by clients outside, and the other way round.
 */
static __always_inline bool apply_crossing_ipv6(struct scratch *scratch)
{
	struct crossing_ipv6_value *value;
	u32 key = scratch->meta.across + 16384 * scratch->side;

	if (!uses_crossing_ipv6)
		return missed(0x0200004d);
	value = entry_in(&array_maps_4_16, AT_CROSSING_IPV6, &key);
	if (!value || !value->action)
		return missed(0x0200004d);
	asked(0x0200004d, value->action);
	switch (value->action) {
	case ACTION_CROSS:
		cross(&value->arguments.cross, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Workloads of this device that other devices may choose as backends which answer by themselves.
 */
static __always_inline bool apply_direct_backend_ipv4(struct scratch *scratch)
{
	struct direct_backend_ipv4_value *value;
	struct direct_backend_ipv4_key key = {
		.network = scratch->meta.network,
		.mac = scratch->headers.ethernet.dst,
		.side = scratch->side,
	};

	if (!uses_direct_backend_ipv4)
		return missed(0x02000021);
	value = entry_in(&hash_maps_16_16, AT_DIRECT_BACKEND_IPV4, &key);
	if (!value)
		return missed(0x02000021);
	asked(0x02000021, value->action);
	switch (value->action) {
	case ACTION_HAS_BACKEND:
		has_backend(&value->arguments.has_backend, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Workloads of this device that other devices may choose as backends which answer by themselves.
 */
static __always_inline bool apply_direct_backend_ipv6(struct scratch *scratch)
{
	struct direct_backend_ipv6_value *value;
	struct direct_backend_ipv6_key key = {
		.network = scratch->meta.network,
		.mac = scratch->headers.ethernet.dst,
		.side = scratch->side,
	};

	if (!uses_direct_backend_ipv6)
		return missed(0x02000051);
	value = entry_in(&hash_maps_16_16, AT_DIRECT_BACKEND_IPV6, &key);
	if (!value)
		return missed(0x02000051);
	asked(0x02000051, value->action);
	switch (value->action) {
	case ACTION_HAS_BACKEND:
		has_backend(&value->arguments.has_backend, scratch);
		return true;
	default:
		return false;
	}
}

/*
 * Workloads that services have as backends, whole addresses: what is opened to them directly is learned.
 * examples/shop.yaml:78 Workload shop/web-1
 * examples/shop.yaml:91 Workload shop/web-2
 * examples/shop.yaml:104 Workload shop/web-3
 * examples/shop.yaml:130 Workload blue/blue-web
 */
static __always_inline bool apply_served_ipv4(struct scratch *scratch)
{
	struct served_ipv4_value *value;
	struct served_ipv4_key *key = &scratch->served_ipv4;

	key->prefix_len = 56;
	key->side[0] = scratch->side;
	write_u16(key->network, scratch->meta.network);
	write_u32(key->address, scratch->meta.route_ipv4);

	if (!uses_served_ipv4)
		return missed(0x02000022);
	value = entry_in(&lpm_trie_maps_11_16_sparse, AT_SERVED_IPV4, key);
	if (!value)
		return missed(0x02000022);
	asked(0x02000022, value->action);
	switch (value->action) {
	case ACTION_HAS_SERVICES:
		return true;
	default:
		return false;
	}
}

/*
 * Workloads that services have as backends, whole addresses: what is opened to them directly is learned.
 * examples/shop.yaml:78 Workload shop/web-1
 * examples/shop.yaml:91 Workload shop/web-2
 * examples/shop.yaml:104 Workload shop/web-3
 */
static __always_inline bool apply_served_ipv6(struct scratch *scratch)
{
	struct served_ipv6_value *value;
	struct served_ipv6_key *key = &scratch->served_ipv6;

	key->prefix_len = 152;
	key->side[0] = scratch->side;
	write_u16(key->network, scratch->meta.network);
	write_u128(key->address, &scratch->meta.route_ipv6);

	if (!uses_served_ipv6)
		return missed(0x02000052);
	value = entry_in(&lpm_trie_maps_23_16_sparse, AT_SERVED_IPV6, key);
	if (!value)
		return missed(0x02000052);
	asked(0x02000052, value->action);
	switch (value->action) {
	case ACTION_HAS_SERVICES:
		return true;
	default:
		return false;
	}
}

/* Controls: what is to be done with a packet, in which order. */

/* Which leg the packet is on, and in which network. */
static __always_inline enum next classify(struct scratch *scratch)
{
	if (has(scratch, HEADER_VLAN) && !has(scratch, HEADER_VXLAN)) {
		scratch->meta.vlan_id = scratch->headers.vlan.id;
	}
	apply_port(scratch);
	if (scratch->meta.leg == 1) {
		if (has(scratch, HEADER_VXLAN)) {
			apply_tunnel(scratch);
		} else if (has(scratch, HEADER_IPV4)) {
			apply_eip_ipv4(scratch);
		} else if (has(scratch, HEADER_IPV6) && !has(scratch, HEADER_NEIGHBOR)) {
			apply_eip_ipv6(scratch);
		}
	}
	return GO_ON;
}

/* Answer an ARP request (RFC 826), but neither a probe nor an announcement (RFC 5227). */
__noinline enum next answer_arp(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (scratch->headers.arp.operation == 1 && scratch->headers.arp.hardware_type == 1 && scratch->headers.arp.protocol_type == 0x800 && scratch->headers.arp.hardware_length == 6 && scratch->headers.arp.protocol_length == 4 && scratch->headers.arp.sender_address != 0 && scratch->headers.arp.sender_address != scratch->headers.arp.target_address) {
		if (apply_arp(scratch)) {
			{
				u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);
				u8 *arp = packet_at(ctx, &scratch->packet, scratch->position.arp, 28);

				if (!ethernet || !arp)
					return unable(scratch);
				write_u48(ethernet, scratch->headers.ethernet.src);
				scratch->headers.ethernet.dst = scratch->headers.ethernet.src;
				write_u48(ethernet + 6, scratch->meta.answer_mac);
				scratch->headers.ethernet.src = scratch->meta.answer_mac;
				scratch->meta.swap_ipv4 = scratch->headers.arp.target_address;
				write_u16(arp + 6, 2);
				scratch->headers.arp.operation = 2;
				write_u48(arp + 18, scratch->headers.arp.sender_mac);
				write_u32(arp + 24, scratch->headers.arp.sender_address);
				scratch->headers.arp.target_address = scratch->headers.arp.sender_address;
				write_u48(arp + 8, scratch->meta.answer_mac);
				scratch->headers.arp.sender_mac = scratch->meta.answer_mac;
				write_u32(arp + 14, scratch->meta.swap_ipv4);
				scratch->headers.arp.sender_address = scratch->meta.swap_ipv4;
			}
			return reply_to(&scratch->outcome);
		}
	}
	return GO_ON;
}

/* Answer a neighbour solicitation (RFC 4861, section 7.2.4), but not one of duplicate address detection. */
__noinline enum next answer_nd(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (scratch->headers.ipv6.hop_limit == 255 && scratch->headers.icmpv6.code == 0 && scratch->headers.neighbor.option_type == 1 && scratch->headers.neighbor.option_length == 1 && !is_equal_u128(&scratch->headers.ipv6.src, &(struct u128){.high = 0, .low = 0}) && !is_equal_u128(&scratch->headers.ipv6.src, &scratch->headers.neighbor.target)) {
		if (apply_nd(scratch)) {
			{
				u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);

				if (!ethernet)
					return unable(scratch);
				write_u48(ethernet, scratch->headers.ethernet.src);
				scratch->headers.ethernet.dst = scratch->headers.ethernet.src;
				write_u48(ethernet + 6, scratch->meta.answer_mac);
				scratch->headers.ethernet.src = scratch->meta.answer_mac;
			}
			{
				u8 icmpv6_type = 136;
				u32 icmpv6_rest = 0x60000000;
				u8 neighbor_option_type = 2;
				u64 neighbor_option_mac = scratch->meta.answer_mac;
				u64 ipv6_addresses = changed_u128(&scratch->headers.ipv6.dst, &scratch->headers.ipv6.src) + changed_u128(&scratch->headers.ipv6.src, &scratch->headers.neighbor.target);
				u64 icmpv6_changed = changed_u16(scratch->headers.icmpv6.type << 8, icmpv6_type << 8) + changed_u32(scratch->headers.icmpv6.rest, icmpv6_rest);
				u64 neighbor_changed = changed_u16(scratch->headers.neighbor.option_type << 8, neighbor_option_type << 8) + changed_u48(scratch->headers.neighbor.option_mac, neighbor_option_mac);
				u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);
				u8 *icmpv6 = packet_at(ctx, &scratch->packet, scratch->position.icmpv6, 8);
				u8 *neighbor = packet_at(ctx, &scratch->packet, scratch->position.neighbor, 24);

				if (!ipv6 || !icmpv6 || !neighbor)
					return unable(scratch);
				write_u128(ipv6 + 24, &scratch->headers.ipv6.src);
				scratch->headers.ipv6.dst = scratch->headers.ipv6.src;
				write_u128(ipv6 + 8, &scratch->headers.neighbor.target);
				scratch->headers.ipv6.src = scratch->headers.neighbor.target;
				write_u8(icmpv6, icmpv6_type);
				scratch->headers.icmpv6.type = icmpv6_type;
				write_u32(icmpv6 + 4, icmpv6_rest);
				scratch->headers.icmpv6.rest = icmpv6_rest;
				write_u8(neighbor + 16, neighbor_option_type);
				scratch->headers.neighbor.option_type = neighbor_option_type;
				write_u48(neighbor + 18, neighbor_option_mac);
				scratch->headers.neighbor.option_mac = neighbor_option_mac;
				packet_fix_transport(ctx, &scratch->packet, scratch->position.icmpv6 + 2, icmpv6_changed + neighbor_changed, ipv6_addresses, CHECKSUM_OF_IPV6);
			}
			return reply_to(&scratch->outcome);
		}
	}
	return GO_ON;
}

/* What a packet with IPv4 options says of its connection. */
__noinline enum next read_behind_options(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (has(scratch, HEADER_TCP)) {
		scratch->meta.protocol = 6;
		scratch->meta.src_port = scratch->headers.tcp.src_port;
		scratch->meta.dst_port = scratch->headers.tcp.dst_port;
		scratch->meta.tcp_flags = scratch->headers.tcp.flags;
		scratch->meta.profile = 1;
	} else if (has(scratch, HEADER_UDP)) {
		scratch->meta.protocol = 17;
		scratch->meta.src_port = scratch->headers.udp.src_port;
		scratch->meta.dst_port = scratch->headers.udp.dst_port;
		scratch->meta.profile = 4;
	}
	return GO_ON;
}

/* What a packet of SCTP says of its association. */
__noinline enum next read_sctp_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	scratch->meta.protocol = 132;
	scratch->meta.src_port = scratch->headers.sctp.src_port;
	scratch->meta.dst_port = scratch->headers.sctp.dst_port;
	scratch->meta.profile = 9;
	scratch->meta.tcp_flags = 16;
	if (scratch->headers.sctp.chunk_type == 1) {
		scratch->meta.tcp_flags = 2;
	}
	if (scratch->headers.sctp.chunk_type == 7 || scratch->headers.sctp.chunk_type == 8) {
		scratch->meta.tcp_flags = 17;
	}
	if (scratch->headers.sctp.chunk_type == 6 || scratch->headers.sctp.chunk_type == 14) {
		scratch->meta.tcp_flags = 4;
	}
	return GO_ON;
}

/* A new connection: does whoever opens it go by the proxy? */
__noinline enum next redirect_out_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	apply_proxy_ipv4(scratch);
	if (scratch->meta.leg != 4) {
		apply_outbound_ipv4(scratch);
		if (scratch->meta.denied) {
			return drop_for(&scratch->outcome, DROP_MESH_DENIED);
		}
		if (scratch->meta.redirect) {
			if (scratch->meta.proxy_nexthop != 0) {
				if (!scratch->meta.decided) {
					scratch->meta.decided = 1;
					scratch->meta.new_src_ipv4 = scratch->headers.ipv4.src;
					scratch->meta.new_dst_ipv4 = scratch->headers.ipv4.dst;
					scratch->meta.new_dst_port = scratch->meta.dst_port;
					scratch->meta.reverse_src_ipv4 = scratch->headers.ipv4.dst;
					scratch->meta.reverse_dst_ipv4 = scratch->headers.ipv4.src;
					scratch->meta.reverse_src_port = scratch->meta.dst_port;
					scratch->meta.reverse_dst_port = scratch->meta.src_port;
				}
				scratch->meta.nexthop = scratch->meta.proxy_nexthop;
				scratch->meta.reverse_leg = 3;
			} else if (scratch->meta.closed) {
				return drop_for(&scratch->outcome, DROP_NO_PROXY);
			}
		}
	}
	return GO_ON;
}

/* A packet of no known connection, out of a tunnel: is it to be answered to the device that let it in? */
__noinline enum next remember_entrance_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (apply_entrance_ipv4(scratch)) {
		scratch->meta.decided = 1;
		scratch->meta.new_src_ipv4 = scratch->headers.ipv4.src;
		scratch->meta.new_dst_ipv4 = scratch->headers.ipv4.dst;
		scratch->meta.new_dst_port = scratch->meta.dst_port;
		scratch->meta.reverse_src_ipv4 = scratch->headers.ipv4.dst;
		scratch->meta.reverse_dst_ipv4 = scratch->headers.ipv4.src;
		scratch->meta.reverse_src_port = scratch->meta.dst_port;
		scratch->meta.reverse_dst_port = scratch->meta.src_port;
		scratch->meta.reverse_leg = 2;
	}
	return GO_ON;
}

/* A packet of no known connection, out of a tunnel: is it for a backend that answers by itself? */
__noinline enum next meet_direct_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (apply_direct_backend_ipv4(scratch)) {
		if (scratch->meta.decided) {
			scratch->meta.source_nexthop = scratch->meta.way_back;
		}
		scratch->meta.decided = 1;
		scratch->meta.new_src_ipv4 = scratch->headers.ipv4.src;
		scratch->meta.new_dst_ipv4 = scratch->headers.ipv4.dst;
		scratch->meta.new_dst_port = scratch->meta.dst_port;
		scratch->meta.reverse_src_ipv4 = scratch->headers.ipv4.dst;
		scratch->meta.reverse_dst_ipv4 = scratch->headers.ipv4.src;
		scratch->meta.reverse_src_port = scratch->meta.dst_port;
		scratch->meta.reverse_dst_port = scratch->meta.src_port;
		scratch->meta.reverse_leg = 2;
		scratch->meta.route_ipv4 = scratch->meta.nexthop;
	}
	return GO_ON;
}

/* A client of a service with affinity goes where it went, if not too long ago, and to a backend still. */
__noinline enum next recall_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (apply_affinity_ipv4(scratch)) {
		if (scratch->meta.affinity_ms > 0x5265c00 || ((u32)((scratch->now_ms & 0xffffffffu) - scratch->meta.affine_since_ms)) < scratch->meta.affinity_ms) {
			if (apply_affinity_backend_ipv4(scratch)) {
				scratch->meta.new_dst_ipv4 = scratch->meta.affine_address.low & 0xffffffffu;
				scratch->meta.new_dst_port = scratch->meta.affine_port;
				scratch->meta.across = scratch->meta.affine_across;
			}
		}
	}
	return GO_ON;
}

/* Refuse a connection: TCP by a reset, UDP and SCTP by ICMP "port unreachable" from the service's own address. */
__noinline enum next refuse_ipv4(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (has(scratch, HEADER_VXLAN) || scratch->meta.tcp_flags & 4 || (has(scratch, HEADER_TCP) && scratch->headers.ipv4.flags & 1) || has(scratch, HEADER_OPTIONS_32) || has(scratch, HEADER_OPTIONS_16) || has(scratch, HEADER_OPTIONS_8) || has(scratch, HEADER_OPTIONS_4)) {
		return drop_for(&scratch->outcome, DROP_NO_BACKEND);
	}
	if (has(scratch, HEADER_TCP)) {
		count_packet(&drops, 1, scratch->packet.length);
		if (scratch->meta.tcp_flags & 16) {
			u32 tcp_sequence = scratch->headers.tcp.acknowledgement;
			u32 tcp_acknowledgement = 0;
			u8 tcp_flags = 4;
			u16 tcp_window = 0;
			u64 tcp_changed = changed_u32(scratch->headers.tcp.sequence, tcp_sequence) + changed_u32(scratch->headers.tcp.acknowledgement, tcp_acknowledgement) + changed_u16(scratch->headers.tcp.flags, tcp_flags) + changed_u16(scratch->headers.tcp.window, tcp_window);
			u8 *tcp = packet_at(ctx, &scratch->packet, scratch->position.tcp, 20);

			if (!tcp)
				return unable(scratch);
			write_u32(tcp + 4, tcp_sequence);
			scratch->headers.tcp.sequence = tcp_sequence;
			write_u32(tcp + 8, tcp_acknowledgement);
			scratch->headers.tcp.acknowledgement = tcp_acknowledgement;
			write_u8(tcp + 13, tcp_flags);
			scratch->headers.tcp.flags = tcp_flags;
			write_u16(tcp + 14, tcp_window);
			scratch->headers.tcp.window = tcp_window;
			packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, tcp_changed, 0, 0);
		} else {
			u32 tcp_acknowledgement = (u32)(scratch->headers.tcp.sequence + ((u16)(((u16)(((u16)(((u16)(scratch->headers.ipv4.total_length - 20)) - ((u8)scratch->headers.tcp.data_offset << 2))) + ((scratch->headers.tcp.flags >> 1) & 1))) + (scratch->headers.tcp.flags & 1))));
			u32 tcp_sequence = 0;
			u8 tcp_flags = 20;
			u16 tcp_window = 0;
			u64 tcp_changed = changed_u32(scratch->headers.tcp.acknowledgement, tcp_acknowledgement) + changed_u32(scratch->headers.tcp.sequence, tcp_sequence) + changed_u16(scratch->headers.tcp.flags, tcp_flags) + changed_u16(scratch->headers.tcp.window, tcp_window);
			u8 *tcp = packet_at(ctx, &scratch->packet, scratch->position.tcp, 20);

			if (!tcp)
				return unable(scratch);
			write_u32(tcp + 8, tcp_acknowledgement);
			scratch->headers.tcp.acknowledgement = tcp_acknowledgement;
			write_u32(tcp + 4, tcp_sequence);
			scratch->headers.tcp.sequence = tcp_sequence;
			write_u8(tcp + 13, tcp_flags);
			scratch->headers.tcp.flags = tcp_flags;
			write_u16(tcp + 14, tcp_window);
			scratch->headers.tcp.window = tcp_window;
			packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, tcp_changed, 0, 0);
		}
		{
			u32 ipv4_src = scratch->headers.ipv4.dst;
			u32 ipv4_dst = scratch->headers.ipv4.src;
			u8 ipv4_ttl = 64;
			u16 tcp_src_port = scratch->headers.tcp.dst_port;
			u16 tcp_dst_port = scratch->headers.tcp.src_port;
			u64 ipv4_addresses = changed_u32(scratch->headers.ipv4.src, ipv4_src) + changed_u32(scratch->headers.ipv4.dst, ipv4_dst);
			u64 ipv4_changed = ipv4_addresses + changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
			u64 tcp_changed = changed_u16(scratch->headers.tcp.src_port, tcp_src_port) + changed_u16(scratch->headers.tcp.dst_port, tcp_dst_port);
			u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);
			u8 *tcp = packet_at(ctx, &scratch->packet, scratch->position.tcp, 20);

			if (!ipv4 || !tcp)
				return unable(scratch);
			write_u32(ipv4 + 12, ipv4_src);
			scratch->headers.ipv4.src = ipv4_src;
			write_u32(ipv4 + 16, ipv4_dst);
			scratch->headers.ipv4.dst = ipv4_dst;
			write_u8(ipv4 + 8, ipv4_ttl);
			scratch->headers.ipv4.ttl = ipv4_ttl;
			write_u16(tcp, tcp_src_port);
			scratch->headers.tcp.src_port = tcp_src_port;
			write_u16(tcp + 2, tcp_dst_port);
			scratch->headers.tcp.dst_port = tcp_dst_port;
			packet_fix_header(ipv4 + 10, ipv4_changed);
			packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, tcp_changed, ipv4_addresses, 0);
		}
		{
			u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);

			if (!ethernet)
				return unable(scratch);
			scratch->meta.swap_mac = scratch->headers.ethernet.dst;
			write_u48(ethernet, scratch->headers.ethernet.src);
			scratch->headers.ethernet.dst = scratch->headers.ethernet.src;
			write_u48(ethernet + 6, scratch->meta.swap_mac);
			scratch->headers.ethernet.src = scratch->meta.swap_mac;
		}
		return reply_to(&scratch->outcome);
	}
	if (has(scratch, HEADER_UDP) || has(scratch, HEADER_SCTP)) {
		count_packet(&drops, 1, scratch->packet.length);
		scratch->meta.error = 1;
		scratch->meta.error_type = 3;
		scratch->meta.error_code = 3;
		scratch->meta.error_mtu = 0;
		{
			u8 *wire = scratch->packet.wire;

			/* error_ipv4 */
			write_u8(wire, 69);
			write_u8(wire + 1, 192);
			write_u16(wire + 2, 56);
			write_u16(wire + 4, 0);
			write_u16(wire + 6, 0);
			write_u8(wire + 8, 64);
			write_u8(wire + 9, 1);
			write_u16(wire + 10, 0);
			write_u32(wire + 12, scratch->headers.ipv4.dst);
			write_u32(wire + 16, scratch->headers.ipv4.src);
			/* error_icmp */
			write_u8(wire + 20, scratch->meta.error_type);
			write_u8(wire + 21, scratch->meta.error_code);
			write_u16(wire + 22, 0);
			write_u32(wire + 24, scratch->meta.error_mtu);
			/* what is quoted: the first 28 bytes from ipv4 on */
			if (!packet_copy(ctx, &scratch->packet, scratch->position.ipv4, wire + 28, 28))
				return unable(scratch);
			write_u16(wire + 10, ~checksum_fold(checksum_sum(wire + 0, 20)));
			write_u16(wire + 22, ~checksum_fold(checksum_sum(wire + 20, 36)));
			s32 moved = packet_quote(ctx, &scratch->packet, scratch->position.ipv4, 28, 28);

			if (moved < 0)
				return unable(scratch);
			scratch->position.ethernet += moved - 28;
			scratch->position.vlan += moved - 28;
			scratch->packet.valid |= HEADER_ERROR_IPV4 | HEADER_ERROR_ICMP;
		}
		{
			u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);

			if (!ethernet)
				return unable(scratch);
			scratch->meta.swap_mac = scratch->headers.ethernet.dst;
			write_u48(ethernet, scratch->headers.ethernet.src);
			scratch->headers.ethernet.dst = scratch->headers.ethernet.src;
			write_u48(ethernet + 6, scratch->meta.swap_mac);
			scratch->headers.ethernet.src = scratch->meta.swap_mac;
		}
		return reply_to(&scratch->outcome);
	}
	return drop_for(&scratch->outcome, DROP_NO_BACKEND);
}

/* A packet of no known connection, and not the proxy's: does it open one to a service, and to which backend? */
static __always_inline enum next decide_ipv4(struct packet_context *ctx, struct scratch *scratch)
{
	if (!scratch->meta.decided) {
		scratch->meta.reverse_leg = scratch->meta.leg;
		scratch->meta.reverse_src_ipv4 = scratch->headers.ipv4.src;
		scratch->meta.reverse_dst_ipv4 = scratch->headers.ipv4.dst;
		scratch->meta.reverse_src_port = scratch->meta.src_port;
		scratch->meta.reverse_dst_port = scratch->meta.dst_port;
		scratch->meta.new_src_ipv4 = scratch->headers.ipv4.src;
		if (apply_service_ipv4(scratch)) {
			if (scratch->meta.leg == 4) {
				apply_source_range_ipv4(scratch);
			}
			if (scratch->meta.not_admitted) {
				return drop_for(&scratch->outcome, DROP_SOURCE_DENIED);
			}
			if (scratch->meta.affinity_ms != 0) {
				if (recall_ipv4() == DONE)
					return DONE;
			}
			if (!scratch->meta.decided) {
				if (!apply_backend_ipv4(scratch)) {
					if (refuse_ipv4(ctx) == DONE)
						return DONE;
				}
			}
			if (scratch->meta.new_dst_ipv4 == scratch->headers.ipv4.src) {
				scratch->meta.new_src_ipv4 = scratch->meta.hairpin_ipv4;
			}
			scratch->meta.route_ipv4 = scratch->meta.new_dst_ipv4;
			scratch->meta.reverse_leg = 2;
			scratch->meta.reverse_src_ipv4 = scratch->meta.new_dst_ipv4;
			scratch->meta.reverse_dst_ipv4 = scratch->meta.new_src_ipv4;
			scratch->meta.reverse_src_port = scratch->meta.new_dst_port;
			scratch->meta.reverse_dst_port = scratch->meta.src_port;
			if (scratch->meta.across != 0) {
				scratch->meta.new_src_ipv4 = scratch->meta.hairpin_ipv4;
				scratch->meta.reverse_dst_ipv4 = scratch->meta.hairpin_ipv4;
				if (scratch->meta.reverse_dst_port < 0x400) {
					scratch->meta.reverse_dst_port = ((u16)drawn()) | 0x8000;
				}
				apply_crossing_ipv4(scratch);
			}
			if (scratch->meta.answers_itself) {
				scratch->meta.new_src_ipv4 = scratch->headers.ipv4.src;
				scratch->meta.new_dst_ipv4 = scratch->headers.ipv4.dst;
				scratch->meta.new_dst_port = scratch->meta.dst_port;
				scratch->meta.reverse_src_ipv4 = scratch->headers.ipv4.dst;
				scratch->meta.reverse_dst_ipv4 = scratch->headers.ipv4.src;
				scratch->meta.reverse_src_port = scratch->meta.dst_port;
				scratch->meta.reverse_dst_port = scratch->meta.src_port;
				if (scratch->meta.protocol != 17) {
					scratch->meta.profile = 15;
				}
			}
		}
	}
	return GO_ON;
}

/* A new connection: does whom it is opened to go by the proxy? */
__noinline enum next redirect_in_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	scratch->meta.redirect = 0;
	scratch->meta.closed = 0;
	scratch->meta.server_port = scratch->meta.dst_port;
	if (scratch->meta.decided) {
		scratch->meta.server_port = scratch->meta.new_dst_port;
	}
	apply_inbound_ipv4(scratch);
	if (scratch->meta.denied) {
		return drop_for(&scratch->outcome, DROP_MESH_DENIED);
	}
	if (scratch->meta.redirect) {
		if (scratch->meta.proxy_nexthop != 0) {
			if (!scratch->meta.decided) {
				scratch->meta.decided = 1;
				scratch->meta.new_src_ipv4 = scratch->headers.ipv4.src;
				scratch->meta.new_dst_ipv4 = scratch->headers.ipv4.dst;
				scratch->meta.new_dst_port = scratch->meta.dst_port;
				scratch->meta.reverse_src_ipv4 = scratch->headers.ipv4.dst;
				scratch->meta.reverse_dst_ipv4 = scratch->headers.ipv4.src;
				scratch->meta.reverse_src_port = scratch->meta.dst_port;
				scratch->meta.reverse_dst_port = scratch->meta.src_port;
			}
			scratch->meta.nexthop = scratch->meta.proxy_nexthop;
			scratch->meta.reverse_leg = 3;
		} else if (scratch->meta.closed) {
			return drop_for(&scratch->outcome, DROP_NO_PROXY);
		}
	}
	if (scratch->meta.limiter != 0 && scratch->meta.reverse_leg == 3) {
		apply_redirect_limit_ipv4(scratch);
		if (scratch->meta.rate_color == 2) {
			return drop_for(&scratch->outcome, DROP_MESH_LIMIT);
		}
	}
	return GO_ON;
}

/* What becomes of answers to the packet that an ICMP error quotes, or what became of a fragment's first? */
__noinline enum next relate_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	scratch->meta.reverse_network = scratch->meta.network;
	scratch->meta.reverse_leg = scratch->meta.leg;
	if (has(scratch, HEADER_QUOTED_IPV4) && (has(scratch, HEADER_QUOTED_PORTS) || has(scratch, HEADER_QUOTED_UDP))) {
		if (scratch->headers.quoted_ipv4.src == scratch->headers.ipv4.dst) {
			scratch->meta.protocol = scratch->headers.quoted_ipv4.protocol;
			scratch->meta.reverse_src_ipv4 = scratch->headers.quoted_ipv4.dst;
			scratch->meta.reverse_dst_ipv4 = scratch->headers.quoted_ipv4.src;
			if (has(scratch, HEADER_QUOTED_PORTS)) {
				scratch->meta.reverse_src_port = scratch->headers.quoted_ports.dst_port;
				scratch->meta.reverse_dst_port = scratch->headers.quoted_ports.src_port;
			} else if (has(scratch, HEADER_QUOTED_UDP)) {
				scratch->meta.reverse_src_port = scratch->headers.quoted_udp.dst_port;
				scratch->meta.reverse_dst_port = scratch->headers.quoted_udp.src_port;
			}
		}
	} else if (scratch->headers.ipv4.fragment_offset != 0 && (scratch->headers.ipv4.protocol == 17 || (scratch->headers.ipv4.protocol == 6 && scratch->headers.ipv4.fragment_offset != 1))) {
		scratch->meta.protocol = 44;
		scratch->meta.reverse_src_ipv4 = scratch->headers.ipv4.src;
		scratch->meta.reverse_dst_ipv4 = scratch->headers.ipv4.dst;
		scratch->meta.reverse_src_port = scratch->headers.ipv4.identification;
		scratch->meta.reverse_dst_port = scratch->headers.ipv4.protocol;
	}
	if (scratch->meta.protocol != 0) {
		scratch->meta.decided = 1;
		if (apply_flow_quoted_ipv4(scratch)) {
			if (has(scratch, HEADER_QUOTED_IPV4) && (has(scratch, HEADER_QUOTED_PORTS) || has(scratch, HEADER_QUOTED_UDP))) {
				scratch->meta.related_src_ipv4 = scratch->headers.ipv4.src;
				if (scratch->meta.new_src_ipv4 != scratch->headers.quoted_ipv4.dst) {
					scratch->meta.related_src_ipv4 = scratch->meta.new_src_ipv4;
				}
			} else if (scratch->meta.is_reply) {
				count_packet(&service_replies, scratch->meta.service_id, scratch->packet.length);
			} else {
				count_packet(&service_requests, scratch->meta.service_id, scratch->packet.length);
			}
		}
		scratch->meta.decided = 0;
		scratch->meta.protocol = 0;
	}
	return GO_ON;
}

/* A packet of no known connection: do the NetworkPolicies of both its ends allow it? */
__noinline enum next police_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	apply_isolated_source_ipv4(scratch);
	apply_isolated_destination_ipv4(scratch);
	if (scratch->meta.receiver_nexthop != scratch->meta.source_nexthop) {
		scratch->meta.server_port = scratch->meta.dst_port;
		if (scratch->meta.decided) {
			scratch->meta.server_port = scratch->meta.new_dst_port;
		}
		if (scratch->meta.egress_policy != 0 && (scratch->meta.route_ipv4 >> 8) != 0xe00000) {
			if (apply_egress_peer_ipv4(scratch)) {
				if (!apply_egress_port_ipv4(scratch)) {
					return drop_for(&scratch->outcome, DROP_EGRESS_DENIED);
				}
			} else {
				return drop_for(&scratch->outcome, DROP_EGRESS_DENIED);
			}
		}
		if (scratch->meta.ingress_policy != 0) {
			if (apply_ingress_peer_ipv4(scratch)) {
				if (!apply_ingress_port_ipv4(scratch)) {
					return drop_for(&scratch->outcome, DROP_INGRESS_DENIED);
				}
			} else {
				return drop_for(&scratch->outcome, DROP_INGRESS_DENIED);
			}
		}
		if (scratch->meta.policed && !scratch->meta.decided && scratch->meta.protocol != 0) {
			scratch->meta.decided = 1;
			scratch->meta.new_src_ipv4 = scratch->headers.ipv4.src;
			scratch->meta.new_dst_ipv4 = scratch->headers.ipv4.dst;
			scratch->meta.new_dst_port = scratch->meta.dst_port;
			scratch->meta.reverse_src_ipv4 = scratch->headers.ipv4.dst;
			scratch->meta.reverse_dst_ipv4 = scratch->headers.ipv4.src;
			scratch->meta.reverse_src_port = scratch->meta.dst_port;
			scratch->meta.reverse_dst_port = scratch->meta.src_port;
			scratch->meta.kept = 1;
			scratch->meta.reverse_leg = 2;
			if (scratch->meta.reply_leg != 0) {
				scratch->meta.reverse_leg = scratch->meta.reply_leg;
			}
		}
	}
	return GO_ON;
}

/* A connection that is opened without a service: is it to a workload that services have as a backend? */
__noinline enum next share_backend_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (apply_served_ipv4(scratch)) {
		scratch->meta.decided = 1;
	}
	return GO_ON;
}

/* What becomes of the first fragment of a packet is kept for the others. */
__noinline enum next keep_fragment_reply_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (scratch->meta.translate && (has(scratch, HEADER_TCP) || has(scratch, HEADER_UDP)) && scratch->headers.ipv4.flags & 1) {
		struct connections_ipv4_entry *entry = &scratch->fragment_reply_ipv4;

		entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.leg << 40 | 0x2c00000000ull | scratch->headers.ipv4.src;
		entry->key[1] = (u64)scratch->headers.ipv4.dst << 32 | (u64)scratch->headers.ipv4.identification << 16 | scratch->headers.ipv4.protocol;
		entry->hash = connections_ipv4_hash(scratch->hash_seed, entry->key);
		scratch->fragment_reply_ipv4.now_ms = (u32)scratch->now_ms;
		scratch->fragment_reply_ipv4.table = TABLE_FRAGMENT_REPLY_IPV4;
		scratch->fragment_reply_ipv4.profile = 4;
		scratch->fragment_reply_ipv4.counted = 0;
		scratch->fragment_reply_ipv4.arguments.translate_reply_ipv4 = (struct translate_reply_ipv4){
			.src = scratch->meta.new_src_ipv4,
			.dst = scratch->meta.new_dst_ipv4,
			.src_port = scratch->meta.new_src_port,
			.dst_port = scratch->meta.new_dst_port,
			.nexthop = scratch->meta.nexthop,
			.service_id = scratch->meta.service_id,
		};
		if (uses_connections_ipv4 && connections_ipv4_renew_or_learn(&scratch->fragment_reply_ipv4, &scratch->connections_ipv4_half) == FLOW_FULL) {
		}
	}
	return GO_ON;
}

/* What becomes of the first fragment of a packet is kept for the others. */
__noinline enum next keep_fragment_ipv4(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (scratch->meta.translate && (has(scratch, HEADER_TCP) || has(scratch, HEADER_UDP)) && scratch->headers.ipv4.flags & 1) {
		struct connections_ipv4_entry *entry = &scratch->fragment_ipv4;

		entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.leg << 40 | 0x2c00000000ull | scratch->headers.ipv4.src;
		entry->key[1] = (u64)scratch->headers.ipv4.dst << 32 | (u64)scratch->headers.ipv4.identification << 16 | scratch->headers.ipv4.protocol;
		entry->hash = connections_ipv4_hash(scratch->hash_seed, entry->key);
		scratch->fragment_ipv4.now_ms = (u32)scratch->now_ms;
		scratch->fragment_ipv4.table = TABLE_FRAGMENT_IPV4;
		scratch->fragment_ipv4.profile = 4;
		scratch->fragment_ipv4.counted = 0;
		scratch->fragment_ipv4.arguments.translate_ipv4 = (struct translate_ipv4){
			.src = scratch->meta.new_src_ipv4,
			.dst = scratch->meta.new_dst_ipv4,
			.src_port = scratch->meta.new_src_port,
			.dst_port = scratch->meta.new_dst_port,
			.nexthop = scratch->meta.nexthop,
			.service_id = scratch->meta.service_id,
		};
		if (uses_connections_ipv4 && connections_ipv4_renew_or_learn(&scratch->fragment_ipv4, &scratch->connections_ipv4_half) == FLOW_FULL) {
		}
	}
	return GO_ON;
}

/* Find the decision for a packet of a network: a known flow's, or a new one. */
static __always_inline enum next connection_ipv4(struct packet_context *ctx, struct scratch *scratch)
{
	scratch->meta.route_ipv4 = scratch->headers.ipv4.dst;
	if (has(scratch, HEADER_OPTIONS_32) || has(scratch, HEADER_OPTIONS_16) || has(scratch, HEADER_OPTIONS_8) || has(scratch, HEADER_OPTIONS_4)) {
		if (read_behind_options() == DONE)
			return DONE;
	} else if (has(scratch, HEADER_TCP)) {
		scratch->meta.protocol = 6;
		scratch->meta.src_port = scratch->headers.tcp.src_port;
		scratch->meta.dst_port = scratch->headers.tcp.dst_port;
		scratch->meta.tcp_flags = scratch->headers.tcp.flags;
		scratch->meta.profile = 1;
	} else if (has(scratch, HEADER_UDP)) {
		scratch->meta.protocol = 17;
		scratch->meta.src_port = scratch->headers.udp.src_port;
		scratch->meta.dst_port = scratch->headers.udp.dst_port;
		scratch->meta.profile = 4;
	} else if (has(scratch, HEADER_SCTP)) {
		if (read_sctp_ipv4() == DONE)
			return DONE;
	}
	if (scratch->meta.protocol != 0) {
		if (!apply_flow_ipv4(scratch)) {
			scratch->meta.opens = 1;
			scratch->meta.reverse_network = scratch->meta.network;
			if (scratch->meta.leg != 3 && scratch->meta.protocol == 6 && (scratch->meta.tcp_flags & 23) == 2) {
				if ((uses_proxy_ipv4 || uses_outbound_ipv4) && redirect_out_ipv4() == DONE)
					return DONE;
			}
			if (has(scratch, HEADER_VXLAN)) {
				if (remember_entrance_ipv4() == DONE)
					return DONE;
			}
			if (has(scratch, HEADER_VXLAN)) {
				if (meet_direct_ipv4() == DONE)
					return DONE;
			}
			if (decide_ipv4(ctx, scratch) == DONE)
				return DONE;
			if (scratch->meta.leg != 3 && scratch->meta.protocol == 6 && (scratch->meta.tcp_flags & 23) == 2) {
				if ((uses_outbound_ipv4 || uses_inbound_ipv4) && redirect_in_ipv4() == DONE)
					return DONE;
			}
		}
	} else {
		if ((has(scratch, HEADER_QUOTED_IPV4) && (has(scratch, HEADER_QUOTED_PORTS) || has(scratch, HEADER_QUOTED_UDP))) || scratch->headers.ipv4.fragment_offset != 0) {
			if (relate_ipv4() == DONE)
				return DONE;
		}
		if (!scratch->meta.translate) {
			scratch->meta.opens = 1;
			scratch->meta.reverse_network = scratch->meta.network;
			scratch->meta.new_src_ipv4 = scratch->headers.ipv4.src;
		}
	}
	if (scratch->meta.opens) {
		if ((uses_isolated_source_ipv4 || uses_isolated_destination_ipv4) && police_ipv4() == DONE)
			return DONE;
		if (scratch->meta.protocol != 0) {
			if (!scratch->meta.decided && (scratch->meta.protocol == 17 || (scratch->meta.tcp_flags & 23) == 2) && scratch->meta.leg != 4 && !has(scratch, HEADER_VXLAN)) {
				scratch->meta.new_src_ipv4 = scratch->headers.ipv4.src;
				scratch->meta.new_dst_ipv4 = scratch->headers.ipv4.dst;
				scratch->meta.new_dst_port = scratch->meta.dst_port;
				scratch->meta.reverse_src_ipv4 = scratch->headers.ipv4.dst;
				scratch->meta.reverse_dst_ipv4 = scratch->headers.ipv4.src;
				scratch->meta.reverse_src_port = scratch->meta.dst_port;
				scratch->meta.reverse_dst_port = scratch->meta.src_port;
				scratch->meta.reverse_leg = 2;
				scratch->meta.direct = 1;
				if ((uses_served_ipv4) && share_backend_ipv4() == DONE)
					return DONE;
			}
			if (scratch->meta.decided || scratch->meta.direct) {
				u32 tried = 0, number = 0, next = 0;
				bool found = false;

				for (; tried <= 16 && !found; tried++) {
					if (tried) {
						if (tried == 1)
							number = next = drawn();
						scratch->meta.reverse_dst_port = next & 0xffff;
						next += number >> 16 | 1;
						if (scratch->meta.reverse_dst_port < 1024)
							scratch->meta.reverse_dst_port += 64512;
					}
					found = !taken_flow_reverse_ipv4();
				}
				if (found && tried > 1) {
					if (!(scratch->meta.protocol == 17 || (scratch->meta.tcp_flags & 23) == 2) || scratch->meta.answers_itself) {
						return drop_for(&scratch->outcome, DROP_FLOW_CLASH);
					}
					if (scratch->meta.direct) {
						scratch->meta.decided = 1;
					}
				}
				if (!found) {
					if (scratch->meta.across != 0) {
						return drop_for(&scratch->outcome, DROP_NO_SOURCE_PORT);
					}
					return drop_for(&scratch->outcome, DROP_FLOW_CLASH);
				}
			}
		}
	}
	if (scratch->meta.nexthop == 0) {
		if (!apply_route_ipv4(scratch)) {
			if (scratch->meta.kept) {
				scratch->meta.decided = 0;
			}
			if (scratch->meta.direct) {
				scratch->meta.decided = 0;
			}
			if (scratch->meta.decided) {
				return drop_for(&scratch->outcome, DROP_NO_ROUTE);
			}
		}
	}
	if (scratch->meta.decided) {
		scratch->flow_ipv4.now_ms = (u32)scratch->now_ms;
		scratch->flow_ipv4.table = TABLE_FLOW_IPV4;
		scratch->flow_ipv4.profile = scratch->meta.profile;
		scratch->flow_ipv4.counted = scratch->connections_ipv4_counted;
		scratch->flow_ipv4.arguments.translate_ipv4 = (struct translate_ipv4){
			.src = scratch->meta.new_src_ipv4,
			.dst = scratch->meta.new_dst_ipv4,
			.src_port = scratch->meta.reverse_dst_port,
			.dst_port = scratch->meta.new_dst_port,
			.nexthop = scratch->meta.nexthop,
			.service_id = scratch->meta.service_id,
		};
		if (uses_connections_ipv4 && connections_ipv4_learn(&scratch->flow_ipv4, &scratch->connections_ipv4_half) == FLOW_FULL) {
			if (scratch->meta.direct && scratch->meta.reverse_dst_port == scratch->meta.src_port) {
				scratch->meta.decided = 0;
			}
			if (scratch->meta.decided) {
				return drop_for(&scratch->outcome, DROP_FLOW_TABLE_FULL);
			}
		}
		if (scratch->meta.decided) {
			scratch->flow_reverse_ipv4.now_ms = (u32)scratch->now_ms;
			scratch->flow_reverse_ipv4.table = TABLE_FLOW_REVERSE_IPV4;
			scratch->flow_reverse_ipv4.profile = scratch->meta.profile;
			scratch->flow_reverse_ipv4.counted = 0;
			scratch->flow_reverse_ipv4.arguments.translate_reply_ipv4 = (struct translate_reply_ipv4){
				.src = scratch->headers.ipv4.dst,
				.dst = scratch->headers.ipv4.src,
				.src_port = scratch->meta.dst_port,
				.dst_port = scratch->meta.src_port,
				.nexthop = scratch->meta.source_nexthop,
				.service_id = scratch->meta.service_id,
			};
			if (uses_connections_ipv4 && connections_ipv4_learn(&scratch->flow_reverse_ipv4, &scratch->connections_ipv4_half) == FLOW_FULL) {
				if (scratch->meta.direct && scratch->meta.reverse_dst_port == scratch->meta.src_port) {
					scratch->meta.decided = 0;
				}
				if (scratch->meta.decided) {
					return drop_for(&scratch->outcome, DROP_FLOW_TABLE_FULL);
				}
			}
		}
		if (scratch->meta.affinity_ms != 0) {
			scratch->meta.affine_profile = 4;
			if (scratch->meta.affinity_ms <= 0xa4cb80) {
				scratch->meta.affine_profile = 3;
			}
			if (scratch->meta.affinity_ms <= 0x927c0) {
				scratch->meta.affine_profile = 2;
			}
			if (scratch->meta.affinity_ms <= 0xea60) {
				scratch->meta.affine_profile = 1;
			}
			if (scratch->meta.affinity_ms > 0x5265c00) {
				scratch->meta.affine_profile = 5;
			}
			{
				struct affinities_entry *entry = &scratch->affinity_ipv4;

				entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.service_id << 32 | ((struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.high >> 32);
				entry->key[1] = ((struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.high << 32 | (struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.low >> 32);
				entry->key[2] = (((struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->headers.ipv4.src}.low) & 0xffffffffu) << 32;
				entry->hash = affinities_hash(scratch->hash_seed, entry->key);
			}
			scratch->affinity_ipv4.now_ms = (u32)scratch->now_ms;
			scratch->affinity_ipv4.table = TABLE_AFFINITY_IPV4;
			scratch->affinity_ipv4.profile = scratch->meta.affine_profile;
			scratch->affinity_ipv4.arguments.remembered = (struct remembered){
				.address = (struct u128){.high = 0, .low = (u64)0xffff << 32 | scratch->meta.new_dst_ipv4},
				.port = scratch->meta.new_dst_port,
				.since_ms = scratch->now_ms & 0xffffffffu,
				.crossing = scratch->meta.across,
			};
			if (uses_affinities && affinities_renew_or_learn(&scratch->affinity_ipv4, &scratch->affinities_half) == FLOW_FULL) {
			}
		}
		scratch->meta.translate = 1;
		scratch->meta.new_src_port = scratch->meta.reverse_dst_port;
		count_packet(&service_requests, scratch->meta.service_id, scratch->packet.length);
	}
	if (scratch->headers.ipv4.flags & 1) {
		if (scratch->meta.is_reply) {
			if (keep_fragment_reply_ipv4() == DONE)
				return DONE;
		} else {
			if (keep_fragment_ipv4() == DONE)
				return DONE;
		}
	}
	return GO_ON;
}

/* What a packet of SCTP says of its association. */
__noinline enum next read_sctp_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	scratch->meta.protocol = 132;
	scratch->meta.src_port = scratch->headers.sctp.src_port;
	scratch->meta.dst_port = scratch->headers.sctp.dst_port;
	scratch->meta.profile = 9;
	scratch->meta.tcp_flags = 16;
	if (scratch->headers.sctp.chunk_type == 1) {
		scratch->meta.tcp_flags = 2;
	}
	if (scratch->headers.sctp.chunk_type == 7 || scratch->headers.sctp.chunk_type == 8) {
		scratch->meta.tcp_flags = 17;
	}
	if (scratch->headers.sctp.chunk_type == 6 || scratch->headers.sctp.chunk_type == 14) {
		scratch->meta.tcp_flags = 4;
	}
	return GO_ON;
}

/* A new connection: does whoever opens it go by the proxy? */
__noinline enum next redirect_out_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	apply_proxy_ipv6(scratch);
	if (scratch->meta.leg != 4) {
		apply_outbound_ipv6(scratch);
		if (scratch->meta.denied) {
			return drop_for(&scratch->outcome, DROP_MESH_DENIED);
		}
		if (scratch->meta.redirect) {
			if (scratch->meta.proxy_nexthop != 0) {
				if (!scratch->meta.decided) {
					scratch->meta.decided = 1;
					scratch->meta.new_src_ipv6 = scratch->headers.ipv6.src;
					scratch->meta.new_dst_ipv6 = scratch->headers.ipv6.dst;
					scratch->meta.new_dst_port = scratch->meta.dst_port;
					scratch->meta.reverse_src_ipv6 = scratch->headers.ipv6.dst;
					scratch->meta.reverse_dst_ipv6 = scratch->headers.ipv6.src;
					scratch->meta.reverse_src_port = scratch->meta.dst_port;
					scratch->meta.reverse_dst_port = scratch->meta.src_port;
				}
				scratch->meta.nexthop = scratch->meta.proxy_nexthop;
				scratch->meta.reverse_leg = 3;
			} else if (scratch->meta.closed) {
				return drop_for(&scratch->outcome, DROP_NO_PROXY);
			}
		}
	}
	return GO_ON;
}

/* A packet of no known connection, out of a tunnel: is it to be answered to the device that let it in? */
__noinline enum next remember_entrance_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (apply_entrance_ipv6(scratch)) {
		scratch->meta.decided = 1;
		scratch->meta.new_src_ipv6 = scratch->headers.ipv6.src;
		scratch->meta.new_dst_ipv6 = scratch->headers.ipv6.dst;
		scratch->meta.new_dst_port = scratch->meta.dst_port;
		scratch->meta.reverse_src_ipv6 = scratch->headers.ipv6.dst;
		scratch->meta.reverse_dst_ipv6 = scratch->headers.ipv6.src;
		scratch->meta.reverse_src_port = scratch->meta.dst_port;
		scratch->meta.reverse_dst_port = scratch->meta.src_port;
		scratch->meta.reverse_leg = 2;
	}
	return GO_ON;
}

/* A packet of no known connection, out of a tunnel: is it for a backend that answers by itself? */
__noinline enum next meet_direct_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (apply_direct_backend_ipv6(scratch)) {
		if (scratch->meta.decided) {
			scratch->meta.source_nexthop = scratch->meta.way_back;
		}
		scratch->meta.decided = 1;
		scratch->meta.new_src_ipv6 = scratch->headers.ipv6.src;
		scratch->meta.new_dst_ipv6 = scratch->headers.ipv6.dst;
		scratch->meta.new_dst_port = scratch->meta.dst_port;
		scratch->meta.reverse_src_ipv6 = scratch->headers.ipv6.dst;
		scratch->meta.reverse_dst_ipv6 = scratch->headers.ipv6.src;
		scratch->meta.reverse_src_port = scratch->meta.dst_port;
		scratch->meta.reverse_dst_port = scratch->meta.src_port;
		scratch->meta.reverse_leg = 2;
		scratch->meta.route_ipv6 = (struct u128){.high = 0, .low = scratch->meta.nexthop};
	}
	return GO_ON;
}

/* A client of a service with affinity goes where it went, if not too long ago, and to a backend still. */
__noinline enum next recall_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (apply_affinity_ipv6(scratch)) {
		if (scratch->meta.affinity_ms > 0x5265c00 || ((u32)((scratch->now_ms & 0xffffffffu) - scratch->meta.affine_since_ms)) < scratch->meta.affinity_ms) {
			if (apply_affinity_backend_ipv6(scratch)) {
				scratch->meta.new_dst_ipv6 = scratch->meta.affine_address;
				scratch->meta.new_dst_port = scratch->meta.affine_port;
				scratch->meta.across = scratch->meta.affine_across;
			}
		}
	}
	return GO_ON;
}

/* Refuse a connection: TCP by a reset, UDP and SCTP by ICMP "port unreachable" from the service's own address. */
__noinline enum next refuse_ipv6(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (has(scratch, HEADER_VXLAN) || scratch->meta.tcp_flags & 4 || has(scratch, HEADER_FRAGMENT)) {
		return drop_for(&scratch->outcome, DROP_NO_BACKEND);
	}
	if (has(scratch, HEADER_TCP)) {
		count_packet(&drops, 1, scratch->packet.length);
		if (scratch->meta.tcp_flags & 16) {
			u32 tcp_sequence = scratch->headers.tcp.acknowledgement;
			u32 tcp_acknowledgement = 0;
			u8 tcp_flags = 4;
			u16 tcp_window = 0;
			u64 tcp_changed = changed_u32(scratch->headers.tcp.sequence, tcp_sequence) + changed_u32(scratch->headers.tcp.acknowledgement, tcp_acknowledgement) + changed_u16(scratch->headers.tcp.flags, tcp_flags) + changed_u16(scratch->headers.tcp.window, tcp_window);
			u8 *tcp = packet_at(ctx, &scratch->packet, scratch->position.tcp, 20);

			if (!tcp)
				return unable(scratch);
			write_u32(tcp + 4, tcp_sequence);
			scratch->headers.tcp.sequence = tcp_sequence;
			write_u32(tcp + 8, tcp_acknowledgement);
			scratch->headers.tcp.acknowledgement = tcp_acknowledgement;
			write_u8(tcp + 13, tcp_flags);
			scratch->headers.tcp.flags = tcp_flags;
			write_u16(tcp + 14, tcp_window);
			scratch->headers.tcp.window = tcp_window;
			packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, tcp_changed, 0, 0);
		} else {
			u32 tcp_acknowledgement = (u32)(scratch->headers.tcp.sequence + ((u16)(((u16)(((u16)(scratch->headers.ipv6.payload_length - ((u8)scratch->headers.tcp.data_offset << 2))) + ((scratch->headers.tcp.flags >> 1) & 1))) + (scratch->headers.tcp.flags & 1))));
			u32 tcp_sequence = 0;
			u8 tcp_flags = 20;
			u16 tcp_window = 0;
			u64 tcp_changed = changed_u32(scratch->headers.tcp.acknowledgement, tcp_acknowledgement) + changed_u32(scratch->headers.tcp.sequence, tcp_sequence) + changed_u16(scratch->headers.tcp.flags, tcp_flags) + changed_u16(scratch->headers.tcp.window, tcp_window);
			u8 *tcp = packet_at(ctx, &scratch->packet, scratch->position.tcp, 20);

			if (!tcp)
				return unable(scratch);
			write_u32(tcp + 8, tcp_acknowledgement);
			scratch->headers.tcp.acknowledgement = tcp_acknowledgement;
			write_u32(tcp + 4, tcp_sequence);
			scratch->headers.tcp.sequence = tcp_sequence;
			write_u8(tcp + 13, tcp_flags);
			scratch->headers.tcp.flags = tcp_flags;
			write_u16(tcp + 14, tcp_window);
			scratch->headers.tcp.window = tcp_window;
			packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, tcp_changed, 0, 0);
		}
		{
			struct u128 ipv6_dst = scratch->headers.ipv6.src;
			u8 ipv6_hop_limit = 64;
			u16 tcp_src_port = scratch->headers.tcp.dst_port;
			u16 tcp_dst_port = scratch->headers.tcp.src_port;
			u64 ipv6_addresses = changed_u128(&scratch->headers.ipv6.src, &scratch->headers.ipv6.dst) + changed_u128(&scratch->headers.ipv6.dst, &ipv6_dst);
			u64 ipv6_changed = ipv6_addresses + changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
			u64 tcp_changed = changed_u16(scratch->headers.tcp.src_port, tcp_src_port) + changed_u16(scratch->headers.tcp.dst_port, tcp_dst_port);
			u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);
			u8 *tcp = packet_at(ctx, &scratch->packet, scratch->position.tcp, 20);

			if (!ipv6 || !tcp)
				return unable(scratch);
			write_u128(ipv6 + 8, &scratch->headers.ipv6.dst);
			scratch->headers.ipv6.src = scratch->headers.ipv6.dst;
			write_u128(ipv6 + 24, &ipv6_dst);
			scratch->headers.ipv6.dst = ipv6_dst;
			write_u8(ipv6 + 7, ipv6_hop_limit);
			scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
			write_u16(tcp, tcp_src_port);
			scratch->headers.tcp.src_port = tcp_src_port;
			write_u16(tcp + 2, tcp_dst_port);
			scratch->headers.tcp.dst_port = tcp_dst_port;
			packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, tcp_changed, ipv6_addresses, CHECKSUM_OF_IPV6);
			packet_sum_changed(ctx, ipv6_changed - ipv6_addresses);
		}
		{
			u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);

			if (!ethernet)
				return unable(scratch);
			scratch->meta.swap_mac = scratch->headers.ethernet.dst;
			write_u48(ethernet, scratch->headers.ethernet.src);
			scratch->headers.ethernet.dst = scratch->headers.ethernet.src;
			write_u48(ethernet + 6, scratch->meta.swap_mac);
			scratch->headers.ethernet.src = scratch->meta.swap_mac;
		}
		return reply_to(&scratch->outcome);
	}
	if (has(scratch, HEADER_UDP) || has(scratch, HEADER_SCTP)) {
		count_packet(&drops, 1, scratch->packet.length);
		scratch->meta.error = 1;
		scratch->meta.error_type = 1;
		scratch->meta.error_code = 4;
		scratch->meta.error_mtu = 0;
		{
			u8 *wire = scratch->packet.wire;

			/* error_ipv6 */
			write_u32(wire, 0x60000000);
			write_u16(wire + 4, 56);
			write_u8(wire + 6, 58);
			write_u8(wire + 7, 64);
			write_u128(wire + 8, &scratch->headers.ipv6.dst);
			write_u128(wire + 24, &scratch->headers.ipv6.src);
			/* error_icmpv6 */
			write_u8(wire + 40, scratch->meta.error_type);
			write_u8(wire + 41, scratch->meta.error_code);
			write_u16(wire + 42, 0);
			write_u32(wire + 44, scratch->meta.error_mtu);
			/* what is quoted: the first 48 bytes from ipv6 on */
			if (!packet_copy(ctx, &scratch->packet, scratch->position.ipv6, wire + 48, 48))
				return unable(scratch);
			write_u16(wire + 42, ~checksum_fold(checksum_sum(wire + 40, 56) + checksum_sum(wire + 8, 16) + checksum_sum(wire + 24, 16) + 56 + 58));
			s32 moved = packet_quote(ctx, &scratch->packet, scratch->position.ipv6, 48, 48);

			if (moved < 0)
				return unable(scratch);
			scratch->position.ethernet += moved - 48;
			scratch->position.vlan += moved - 48;
			scratch->packet.valid |= HEADER_ERROR_IPV6 | HEADER_ERROR_ICMPV6;
		}
		{
			u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);

			if (!ethernet)
				return unable(scratch);
			scratch->meta.swap_mac = scratch->headers.ethernet.dst;
			write_u48(ethernet, scratch->headers.ethernet.src);
			scratch->headers.ethernet.dst = scratch->headers.ethernet.src;
			write_u48(ethernet + 6, scratch->meta.swap_mac);
			scratch->headers.ethernet.src = scratch->meta.swap_mac;
		}
		return reply_to(&scratch->outcome);
	}
	return drop_for(&scratch->outcome, DROP_NO_BACKEND);
}

/* A packet of no known connection, and not the proxy's: does it open one to a service, and to which backend? */
static __always_inline enum next decide_ipv6(struct packet_context *ctx, struct scratch *scratch)
{
	if (!scratch->meta.decided) {
		scratch->meta.reverse_leg = scratch->meta.leg;
		scratch->meta.reverse_src_ipv6 = scratch->headers.ipv6.src;
		scratch->meta.reverse_dst_ipv6 = scratch->headers.ipv6.dst;
		scratch->meta.reverse_src_port = scratch->meta.src_port;
		scratch->meta.reverse_dst_port = scratch->meta.dst_port;
		scratch->meta.new_src_ipv6 = scratch->headers.ipv6.src;
		if (apply_service_ipv6(scratch)) {
			if (scratch->meta.leg == 4) {
				apply_source_range_ipv6(scratch);
			}
			if (scratch->meta.not_admitted) {
				return drop_for(&scratch->outcome, DROP_SOURCE_DENIED);
			}
			if (scratch->meta.affinity_ms != 0) {
				if (recall_ipv6() == DONE)
					return DONE;
			}
			if (!scratch->meta.decided) {
				if (!apply_backend_ipv6(scratch)) {
					if (refuse_ipv6(ctx) == DONE)
						return DONE;
				}
			}
			if (is_equal_u128(&scratch->meta.new_dst_ipv6, &scratch->headers.ipv6.src)) {
				scratch->meta.new_src_ipv6 = scratch->meta.hairpin_ipv6;
			}
			scratch->meta.route_ipv6 = scratch->meta.new_dst_ipv6;
			scratch->meta.reverse_leg = 2;
			scratch->meta.reverse_src_ipv6 = scratch->meta.new_dst_ipv6;
			scratch->meta.reverse_dst_ipv6 = scratch->meta.new_src_ipv6;
			scratch->meta.reverse_src_port = scratch->meta.new_dst_port;
			scratch->meta.reverse_dst_port = scratch->meta.src_port;
			if (scratch->meta.across != 0) {
				scratch->meta.new_src_ipv6 = scratch->meta.hairpin_ipv6;
				scratch->meta.reverse_dst_ipv6 = scratch->meta.hairpin_ipv6;
				if (scratch->meta.reverse_dst_port < 0x400) {
					scratch->meta.reverse_dst_port = ((u16)drawn()) | 0x8000;
				}
				apply_crossing_ipv6(scratch);
			}
			if (scratch->meta.answers_itself) {
				scratch->meta.new_src_ipv6 = scratch->headers.ipv6.src;
				scratch->meta.new_dst_ipv6 = scratch->headers.ipv6.dst;
				scratch->meta.new_dst_port = scratch->meta.dst_port;
				scratch->meta.reverse_src_ipv6 = scratch->headers.ipv6.dst;
				scratch->meta.reverse_dst_ipv6 = scratch->headers.ipv6.src;
				scratch->meta.reverse_src_port = scratch->meta.dst_port;
				scratch->meta.reverse_dst_port = scratch->meta.src_port;
				if (scratch->meta.protocol != 17) {
					scratch->meta.profile = 15;
				}
			}
		}
	}
	return GO_ON;
}

/* A new connection: does whom it is opened to go by the proxy? */
__noinline enum next redirect_in_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	scratch->meta.redirect = 0;
	scratch->meta.closed = 0;
	scratch->meta.server_port = scratch->meta.dst_port;
	if (scratch->meta.decided) {
		scratch->meta.server_port = scratch->meta.new_dst_port;
	}
	apply_inbound_ipv6(scratch);
	if (scratch->meta.denied) {
		return drop_for(&scratch->outcome, DROP_MESH_DENIED);
	}
	if (scratch->meta.redirect) {
		if (scratch->meta.proxy_nexthop != 0) {
			if (!scratch->meta.decided) {
				scratch->meta.decided = 1;
				scratch->meta.new_src_ipv6 = scratch->headers.ipv6.src;
				scratch->meta.new_dst_ipv6 = scratch->headers.ipv6.dst;
				scratch->meta.new_dst_port = scratch->meta.dst_port;
				scratch->meta.reverse_src_ipv6 = scratch->headers.ipv6.dst;
				scratch->meta.reverse_dst_ipv6 = scratch->headers.ipv6.src;
				scratch->meta.reverse_src_port = scratch->meta.dst_port;
				scratch->meta.reverse_dst_port = scratch->meta.src_port;
			}
			scratch->meta.nexthop = scratch->meta.proxy_nexthop;
			scratch->meta.reverse_leg = 3;
		} else if (scratch->meta.closed) {
			return drop_for(&scratch->outcome, DROP_NO_PROXY);
		}
	}
	if (scratch->meta.limiter != 0 && scratch->meta.reverse_leg == 3) {
		apply_redirect_limit_ipv6(scratch);
		if (scratch->meta.rate_color == 2) {
			return drop_for(&scratch->outcome, DROP_MESH_LIMIT);
		}
	}
	return GO_ON;
}

/* What becomes of answers to the packet that an ICMP error quotes, or what became of a fragment's first? */
__noinline enum next relate_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	scratch->meta.reverse_network = scratch->meta.network;
	scratch->meta.reverse_leg = scratch->meta.leg;
	if (has(scratch, HEADER_QUOTED_IPV6) && (has(scratch, HEADER_QUOTED_PORTS) || has(scratch, HEADER_QUOTED_UDP))) {
		if (is_equal_u128(&scratch->headers.quoted_ipv6.src, &scratch->headers.ipv6.dst)) {
			scratch->meta.protocol = scratch->headers.quoted_ipv6.next_header;
			scratch->meta.reverse_src_ipv6 = scratch->headers.quoted_ipv6.dst;
			scratch->meta.reverse_dst_ipv6 = scratch->headers.quoted_ipv6.src;
			if (has(scratch, HEADER_QUOTED_PORTS)) {
				scratch->meta.reverse_src_port = scratch->headers.quoted_ports.dst_port;
				scratch->meta.reverse_dst_port = scratch->headers.quoted_ports.src_port;
			} else if (has(scratch, HEADER_QUOTED_UDP)) {
				scratch->meta.reverse_src_port = scratch->headers.quoted_udp.dst_port;
				scratch->meta.reverse_dst_port = scratch->headers.quoted_udp.src_port;
			}
		}
	} else if (scratch->headers.fragment.offset != 0 && (scratch->headers.fragment.next_header == 17 || (scratch->headers.fragment.next_header == 6 && scratch->headers.fragment.offset != 1))) {
		scratch->meta.protocol = 44;
		scratch->meta.reverse_src_ipv6 = scratch->headers.ipv6.src;
		scratch->meta.reverse_dst_ipv6 = scratch->headers.ipv6.dst;
		scratch->meta.reverse_src_port = scratch->headers.fragment.identification >> 16;
		scratch->meta.reverse_dst_port = scratch->headers.fragment.identification & 0xffff;
	}
	if (scratch->meta.protocol != 0) {
		scratch->meta.decided = 1;
		if (apply_flow_quoted_ipv6(scratch)) {
			if (has(scratch, HEADER_QUOTED_IPV6) && (has(scratch, HEADER_QUOTED_PORTS) || has(scratch, HEADER_QUOTED_UDP))) {
				scratch->meta.related_src_ipv6 = scratch->headers.ipv6.src;
				if (!is_equal_u128(&scratch->meta.new_src_ipv6, &scratch->headers.quoted_ipv6.dst)) {
					scratch->meta.related_src_ipv6 = scratch->meta.new_src_ipv6;
				}
			} else if (scratch->meta.is_reply) {
				count_packet(&service_replies, scratch->meta.service_id, scratch->packet.length);
			} else {
				count_packet(&service_requests, scratch->meta.service_id, scratch->packet.length);
			}
		}
		scratch->meta.decided = 0;
		scratch->meta.protocol = 0;
	}
	return GO_ON;
}

/* A packet of no known connection: do the NetworkPolicies of both its ends allow it? */
__noinline enum next police_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	apply_isolated_source_ipv6(scratch);
	apply_isolated_destination_ipv6(scratch);
	if (scratch->meta.receiver_nexthop != scratch->meta.source_nexthop) {
		scratch->meta.server_port = scratch->meta.dst_port;
		if (scratch->meta.decided) {
			scratch->meta.server_port = scratch->meta.new_dst_port;
		}
		if (scratch->meta.egress_policy != 0 && (scratch->meta.route_ipv6.high >> 48) != 0xff02) {
			if (apply_egress_peer_ipv6(scratch)) {
				if (!apply_egress_port_ipv6(scratch)) {
					return drop_for(&scratch->outcome, DROP_EGRESS_DENIED);
				}
			} else {
				return drop_for(&scratch->outcome, DROP_EGRESS_DENIED);
			}
		}
		if (scratch->meta.ingress_policy != 0) {
			if (apply_ingress_peer_ipv6(scratch)) {
				if (!apply_ingress_port_ipv6(scratch)) {
					return drop_for(&scratch->outcome, DROP_INGRESS_DENIED);
				}
			} else {
				return drop_for(&scratch->outcome, DROP_INGRESS_DENIED);
			}
		}
		if (scratch->meta.policed && !scratch->meta.decided && scratch->meta.protocol != 0) {
			scratch->meta.decided = 1;
			scratch->meta.new_src_ipv6 = scratch->headers.ipv6.src;
			scratch->meta.new_dst_ipv6 = scratch->headers.ipv6.dst;
			scratch->meta.new_dst_port = scratch->meta.dst_port;
			scratch->meta.reverse_src_ipv6 = scratch->headers.ipv6.dst;
			scratch->meta.reverse_dst_ipv6 = scratch->headers.ipv6.src;
			scratch->meta.reverse_src_port = scratch->meta.dst_port;
			scratch->meta.reverse_dst_port = scratch->meta.src_port;
			scratch->meta.kept = 1;
			scratch->meta.reverse_leg = 2;
			if (scratch->meta.reply_leg != 0) {
				scratch->meta.reverse_leg = scratch->meta.reply_leg;
			}
		}
	}
	return GO_ON;
}

/* A connection that is opened without a service: is it to a workload that services have as a backend? */
__noinline enum next share_backend_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (apply_served_ipv6(scratch)) {
		scratch->meta.decided = 1;
	}
	return GO_ON;
}

/* What becomes of the first fragment of a packet is kept for the others. */
__noinline enum next keep_fragment_reply_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (scratch->meta.translate && (has(scratch, HEADER_TCP) || has(scratch, HEADER_UDP)) && has(scratch, HEADER_FRAGMENT) && scratch->headers.fragment.flags && 1) {
		struct connections_ipv6_entry *entry = &scratch->fragment_reply_ipv6;

		entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.leg << 40 | 0x2c00000000ull | (scratch->headers.ipv6.src.high >> 32);
		entry->key[1] = (scratch->headers.ipv6.src.high << 32 | scratch->headers.ipv6.src.low >> 32);
		entry->key[2] = (scratch->headers.ipv6.src.low & 0xffffffffu) << 32 | (scratch->headers.ipv6.dst.high >> 32);
		entry->key[3] = (scratch->headers.ipv6.dst.high << 32 | scratch->headers.ipv6.dst.low >> 32);
		entry->key[4] = (scratch->headers.ipv6.dst.low & 0xffffffffu) << 32 | (u64)(scratch->headers.fragment.identification >> 16) << 16 | (scratch->headers.fragment.identification & 0xffff);
		entry->hash = connections_ipv6_hash(scratch->hash_seed, entry->key);
		scratch->fragment_reply_ipv6.now_ms = (u32)scratch->now_ms;
		scratch->fragment_reply_ipv6.table = TABLE_FRAGMENT_REPLY_IPV6;
		scratch->fragment_reply_ipv6.profile = 4;
		scratch->fragment_reply_ipv6.counted = 0;
		scratch->fragment_reply_ipv6.arguments.translate_reply_ipv6 = (struct translate_reply_ipv6){
			.src = scratch->meta.new_src_ipv6,
			.dst = scratch->meta.new_dst_ipv6,
			.src_port = scratch->meta.new_src_port,
			.dst_port = scratch->meta.new_dst_port,
			.nexthop = scratch->meta.nexthop,
			.service_id = scratch->meta.service_id,
		};
		if (uses_connections_ipv6 && connections_ipv6_renew_or_learn(&scratch->fragment_reply_ipv6, &scratch->connections_ipv6_half) == FLOW_FULL) {
		}
	}
	return GO_ON;
}

/* What becomes of the first fragment of a packet is kept for the others. */
__noinline enum next keep_fragment_ipv6(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (scratch->meta.translate && (has(scratch, HEADER_TCP) || has(scratch, HEADER_UDP)) && has(scratch, HEADER_FRAGMENT) && scratch->headers.fragment.flags && 1) {
		struct connections_ipv6_entry *entry = &scratch->fragment_ipv6;

		entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.leg << 40 | 0x2c00000000ull | (scratch->headers.ipv6.src.high >> 32);
		entry->key[1] = (scratch->headers.ipv6.src.high << 32 | scratch->headers.ipv6.src.low >> 32);
		entry->key[2] = (scratch->headers.ipv6.src.low & 0xffffffffu) << 32 | (scratch->headers.ipv6.dst.high >> 32);
		entry->key[3] = (scratch->headers.ipv6.dst.high << 32 | scratch->headers.ipv6.dst.low >> 32);
		entry->key[4] = (scratch->headers.ipv6.dst.low & 0xffffffffu) << 32 | (u64)(scratch->headers.fragment.identification >> 16) << 16 | (scratch->headers.fragment.identification & 0xffff);
		entry->hash = connections_ipv6_hash(scratch->hash_seed, entry->key);
		scratch->fragment_ipv6.now_ms = (u32)scratch->now_ms;
		scratch->fragment_ipv6.table = TABLE_FRAGMENT_IPV6;
		scratch->fragment_ipv6.profile = 4;
		scratch->fragment_ipv6.counted = 0;
		scratch->fragment_ipv6.arguments.translate_ipv6 = (struct translate_ipv6){
			.src = scratch->meta.new_src_ipv6,
			.dst = scratch->meta.new_dst_ipv6,
			.src_port = scratch->meta.new_src_port,
			.dst_port = scratch->meta.new_dst_port,
			.nexthop = scratch->meta.nexthop,
			.service_id = scratch->meta.service_id,
		};
		if (uses_connections_ipv6 && connections_ipv6_renew_or_learn(&scratch->fragment_ipv6, &scratch->connections_ipv6_half) == FLOW_FULL) {
		}
	}
	return GO_ON;
}

/* Find the decision for a packet of a network: a known flow's, or a new one. */
static __always_inline enum next connection_ipv6(struct packet_context *ctx, struct scratch *scratch)
{
	scratch->meta.route_ipv6 = scratch->headers.ipv6.dst;
	if (has(scratch, HEADER_TCP)) {
		scratch->meta.protocol = 6;
		scratch->meta.src_port = scratch->headers.tcp.src_port;
		scratch->meta.dst_port = scratch->headers.tcp.dst_port;
		scratch->meta.tcp_flags = scratch->headers.tcp.flags;
		scratch->meta.profile = 1;
	} else if (has(scratch, HEADER_UDP)) {
		scratch->meta.protocol = 17;
		scratch->meta.src_port = scratch->headers.udp.src_port;
		scratch->meta.dst_port = scratch->headers.udp.dst_port;
		scratch->meta.profile = 4;
	} else if (has(scratch, HEADER_SCTP)) {
		if (read_sctp_ipv6() == DONE)
			return DONE;
	}
	if (scratch->meta.protocol != 0) {
		if (!apply_flow_ipv6(scratch)) {
			scratch->meta.opens = 1;
			scratch->meta.reverse_network = scratch->meta.network;
			if (scratch->meta.leg != 3 && scratch->meta.protocol == 6 && (scratch->meta.tcp_flags & 23) == 2) {
				if ((uses_proxy_ipv6 || uses_outbound_ipv6) && redirect_out_ipv6() == DONE)
					return DONE;
			}
			if (has(scratch, HEADER_VXLAN)) {
				if (remember_entrance_ipv6() == DONE)
					return DONE;
			}
			if (has(scratch, HEADER_VXLAN)) {
				if (meet_direct_ipv6() == DONE)
					return DONE;
			}
			if (decide_ipv6(ctx, scratch) == DONE)
				return DONE;
			if (scratch->meta.leg != 3 && scratch->meta.protocol == 6 && (scratch->meta.tcp_flags & 23) == 2) {
				if ((uses_outbound_ipv6 || uses_inbound_ipv6) && redirect_in_ipv6() == DONE)
					return DONE;
			}
		}
	} else {
		if ((has(scratch, HEADER_QUOTED_IPV6) && (has(scratch, HEADER_QUOTED_PORTS) || has(scratch, HEADER_QUOTED_UDP))) || has(scratch, HEADER_FRAGMENT)) {
			if (relate_ipv6() == DONE)
				return DONE;
		}
		if (!scratch->meta.translate) {
			scratch->meta.opens = 1;
			scratch->meta.reverse_network = scratch->meta.network;
			scratch->meta.new_src_ipv6 = scratch->headers.ipv6.src;
		}
	}
	if (scratch->meta.opens) {
		if ((uses_isolated_source_ipv6 || uses_isolated_destination_ipv6) && police_ipv6() == DONE)
			return DONE;
		if (scratch->meta.protocol != 0) {
			if (!scratch->meta.decided && (scratch->meta.protocol == 17 || (scratch->meta.tcp_flags & 23) == 2) && scratch->meta.leg != 4 && !has(scratch, HEADER_VXLAN)) {
				scratch->meta.new_src_ipv6 = scratch->headers.ipv6.src;
				scratch->meta.new_dst_ipv6 = scratch->headers.ipv6.dst;
				scratch->meta.new_dst_port = scratch->meta.dst_port;
				scratch->meta.reverse_src_ipv6 = scratch->headers.ipv6.dst;
				scratch->meta.reverse_dst_ipv6 = scratch->headers.ipv6.src;
				scratch->meta.reverse_src_port = scratch->meta.dst_port;
				scratch->meta.reverse_dst_port = scratch->meta.src_port;
				scratch->meta.reverse_leg = 2;
				scratch->meta.direct = 1;
				if ((uses_served_ipv6) && share_backend_ipv6() == DONE)
					return DONE;
			}
			if (scratch->meta.decided || scratch->meta.direct) {
				u32 tried = 0, number = 0, next = 0;
				bool found = false;

				for (; tried <= 16 && !found; tried++) {
					if (tried) {
						if (tried == 1)
							number = next = drawn();
						scratch->meta.reverse_dst_port = next & 0xffff;
						next += number >> 16 | 1;
						if (scratch->meta.reverse_dst_port < 1024)
							scratch->meta.reverse_dst_port += 64512;
					}
					found = !taken_flow_reverse_ipv6();
				}
				if (found && tried > 1) {
					if (!(scratch->meta.protocol == 17 || (scratch->meta.tcp_flags & 23) == 2) || scratch->meta.answers_itself) {
						return drop_for(&scratch->outcome, DROP_FLOW_CLASH);
					}
					if (scratch->meta.direct) {
						scratch->meta.decided = 1;
					}
				}
				if (!found) {
					if (scratch->meta.across != 0) {
						return drop_for(&scratch->outcome, DROP_NO_SOURCE_PORT);
					}
					return drop_for(&scratch->outcome, DROP_FLOW_CLASH);
				}
			}
		}
	}
	if (scratch->meta.nexthop == 0) {
		if (!apply_route_ipv6(scratch)) {
			if (scratch->meta.kept) {
				scratch->meta.decided = 0;
			}
			if (scratch->meta.direct) {
				scratch->meta.decided = 0;
			}
			if (scratch->meta.decided) {
				return drop_for(&scratch->outcome, DROP_NO_ROUTE);
			}
		}
	}
	if (scratch->meta.decided) {
		scratch->flow_ipv6.now_ms = (u32)scratch->now_ms;
		scratch->flow_ipv6.table = TABLE_FLOW_IPV6;
		scratch->flow_ipv6.profile = scratch->meta.profile;
		scratch->flow_ipv6.counted = scratch->connections_ipv6_counted;
		scratch->flow_ipv6.arguments.translate_ipv6 = (struct translate_ipv6){
			.src = scratch->meta.new_src_ipv6,
			.dst = scratch->meta.new_dst_ipv6,
			.src_port = scratch->meta.reverse_dst_port,
			.dst_port = scratch->meta.new_dst_port,
			.nexthop = scratch->meta.nexthop,
			.service_id = scratch->meta.service_id,
		};
		if (uses_connections_ipv6 && connections_ipv6_learn(&scratch->flow_ipv6, &scratch->connections_ipv6_half) == FLOW_FULL) {
			if (scratch->meta.direct && scratch->meta.reverse_dst_port == scratch->meta.src_port) {
				scratch->meta.decided = 0;
			}
			if (scratch->meta.decided) {
				return drop_for(&scratch->outcome, DROP_FLOW_TABLE_FULL);
			}
		}
		if (scratch->meta.decided) {
			scratch->flow_reverse_ipv6.now_ms = (u32)scratch->now_ms;
			scratch->flow_reverse_ipv6.table = TABLE_FLOW_REVERSE_IPV6;
			scratch->flow_reverse_ipv6.profile = scratch->meta.profile;
			scratch->flow_reverse_ipv6.counted = 0;
			scratch->flow_reverse_ipv6.arguments.translate_reply_ipv6 = (struct translate_reply_ipv6){
				.src = scratch->headers.ipv6.dst,
				.dst = scratch->headers.ipv6.src,
				.src_port = scratch->meta.dst_port,
				.dst_port = scratch->meta.src_port,
				.nexthop = scratch->meta.source_nexthop,
				.service_id = scratch->meta.service_id,
			};
			if (uses_connections_ipv6 && connections_ipv6_learn(&scratch->flow_reverse_ipv6, &scratch->connections_ipv6_half) == FLOW_FULL) {
				if (scratch->meta.direct && scratch->meta.reverse_dst_port == scratch->meta.src_port) {
					scratch->meta.decided = 0;
				}
				if (scratch->meta.decided) {
					return drop_for(&scratch->outcome, DROP_FLOW_TABLE_FULL);
				}
			}
		}
		if (scratch->meta.affinity_ms != 0) {
			scratch->meta.affine_profile = 4;
			if (scratch->meta.affinity_ms <= 0xa4cb80) {
				scratch->meta.affine_profile = 3;
			}
			if (scratch->meta.affinity_ms <= 0x927c0) {
				scratch->meta.affine_profile = 2;
			}
			if (scratch->meta.affinity_ms <= 0xea60) {
				scratch->meta.affine_profile = 1;
			}
			if (scratch->meta.affinity_ms > 0x5265c00) {
				scratch->meta.affine_profile = 5;
			}
			{
				struct affinities_entry *entry = &scratch->affinity_ipv6;

				entry->key[0] = (u64)scratch->meta.network << 48 | (u64)scratch->meta.service_id << 32 | (scratch->headers.ipv6.src.high >> 32);
				entry->key[1] = (scratch->headers.ipv6.src.high << 32 | scratch->headers.ipv6.src.low >> 32);
				entry->key[2] = (scratch->headers.ipv6.src.low & 0xffffffffu) << 32;
				entry->hash = affinities_hash(scratch->hash_seed, entry->key);
			}
			scratch->affinity_ipv6.now_ms = (u32)scratch->now_ms;
			scratch->affinity_ipv6.table = TABLE_AFFINITY_IPV6;
			scratch->affinity_ipv6.profile = scratch->meta.affine_profile;
			scratch->affinity_ipv6.arguments.remembered = (struct remembered){
				.address = scratch->meta.new_dst_ipv6,
				.port = scratch->meta.new_dst_port,
				.since_ms = scratch->now_ms & 0xffffffffu,
				.crossing = scratch->meta.across,
			};
			if (uses_affinities && affinities_renew_or_learn(&scratch->affinity_ipv6, &scratch->affinities_half) == FLOW_FULL) {
			}
		}
		scratch->meta.translate = 1;
		scratch->meta.new_src_port = scratch->meta.reverse_dst_port;
		count_packet(&service_requests, scratch->meta.service_id, scratch->packet.length);
	}
	if (has(scratch, HEADER_FRAGMENT)) {
		if (scratch->meta.is_reply) {
			if (keep_fragment_reply_ipv6() == DONE)
				return DONE;
		} else {
			if (keep_fragment_ipv6() == DONE)
				return DONE;
		}
	}
	return GO_ON;
}

/* A packet to or from storage: within its rate? If from a host, that one is remembered for longer. */
__noinline enum next steer_storage(void)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	apply_storage(scratch);
	if (scratch->meta.rate_color == 2) {
		return drop_for(&scratch->outcome, DROP_RATE_EXCEEDED);
	}
	if (!(scratch->meta.decided || scratch->meta.is_reply)) {
		if (has(scratch, HEADER_IPV4)) {
			apply_storage_host_ipv4(scratch);
		} else if (has(scratch, HEADER_IPV6)) {
			apply_storage_host_ipv6(scratch);
		}
	}
	return GO_ON;
}

/* Time to live and size (RFC 1812, sections 5.3.1 and 4.2.2.7; RFC 1191). */
static __always_inline enum next check_ipv4(struct packet_context *ctx, struct scratch *scratch)
{
	scratch->meta.inner_length = scratch->headers.ipv4.total_length;
	scratch->meta.traffic_class = scratch->headers.ipv4.traffic_class;
	if (scratch->headers.ipv4.ttl < 2) {
		scratch->meta.error = 1;
		scratch->meta.error_type = 11;
		scratch->meta.error_code = 0;
		scratch->meta.error_mtu = 0;
	} else if (network_length(ctx, scratch) > scratch->meta.mtu) {
		if (!(scratch->headers.ipv4.flags & 2)) {
			return drop_for(&scratch->outcome, DROP_FRAGMENTATION_NEEDED);
		}
		scratch->meta.error = 1;
		scratch->meta.error_type = 3;
		scratch->meta.error_code = 4;
		scratch->meta.error_mtu = scratch->meta.mtu;
	}
	return GO_ON;
}

/* Hop limit and size (RFC 8200, sections 3 and 5; RFC 4443, sections 3.2 and 3.3). */
static __always_inline enum next check_ipv6(struct packet_context *ctx, struct scratch *scratch)
{
	scratch->meta.inner_length = (u16)(scratch->headers.ipv6.payload_length + 40);
	scratch->meta.traffic_class = scratch->headers.ipv6.traffic_class;
	if (scratch->headers.ipv6.hop_limit < 2) {
		scratch->meta.error = 1;
		scratch->meta.error_type = 3;
		scratch->meta.error_code = 0;
		scratch->meta.error_mtu = 0;
	} else if (network_length(ctx, scratch) > scratch->meta.mtu) {
		scratch->meta.error = 1;
		scratch->meta.error_type = 2;
		scratch->meta.error_code = 0;
		scratch->meta.error_mtu = scratch->meta.mtu;
	}
	return GO_ON;
}

/* Tell the sender by ICMP (RFC 792), of TCP, UDP, SCTP only: never of an ICMP error (RFC 1122, section 3.2.2). */
__noinline enum next error_ipv4(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (has(scratch, HEADER_OPTIONS_32) || has(scratch, HEADER_OPTIONS_16) || has(scratch, HEADER_OPTIONS_8) || has(scratch, HEADER_OPTIONS_4)) {
		return drop_for(&scratch->outcome, DROP_ERROR_NOT_SENT);
	}
	if (has(scratch, HEADER_TCP) || has(scratch, HEADER_UDP) || has(scratch, HEADER_SCTP)) {
		{
			u8 *wire = scratch->packet.wire;

			/* error_ipv4 */
			write_u8(wire, 69);
			write_u8(wire + 1, 192);
			write_u16(wire + 2, 56);
			write_u16(wire + 4, 0);
			write_u16(wire + 6, 0);
			write_u8(wire + 8, 64);
			write_u8(wire + 9, 1);
			write_u16(wire + 10, 0);
			write_u32(wire + 12, scratch->meta.gateway_ipv4);
			write_u32(wire + 16, scratch->headers.ipv4.src);
			/* error_icmp */
			write_u8(wire + 20, scratch->meta.error_type);
			write_u8(wire + 21, scratch->meta.error_code);
			write_u16(wire + 22, 0);
			write_u32(wire + 24, scratch->meta.error_mtu);
			/* what is quoted: the first 28 bytes from ipv4 on */
			if (!packet_copy(ctx, &scratch->packet, scratch->position.ipv4, wire + 28, 28))
				return unable(scratch);
			write_u16(wire + 10, ~checksum_fold(checksum_sum(wire + 0, 20)));
			write_u16(wire + 22, ~checksum_fold(checksum_sum(wire + 20, 36)));
			s32 moved = packet_quote(ctx, &scratch->packet, scratch->position.ipv4, 28, 28);

			if (moved < 0)
				return unable(scratch);
			scratch->position.ethernet += moved - 28;
			scratch->position.vlan += moved - 28;
			scratch->packet.valid |= HEADER_ERROR_IPV4 | HEADER_ERROR_ICMP;
		}
		{
			u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);

			if (!ethernet)
				return unable(scratch);
			scratch->meta.swap_mac = scratch->headers.ethernet.dst;
			write_u48(ethernet, scratch->headers.ethernet.src);
			scratch->headers.ethernet.dst = scratch->headers.ethernet.src;
			write_u48(ethernet + 6, scratch->meta.swap_mac);
			scratch->headers.ethernet.src = scratch->meta.swap_mac;
		}
		return reply_to(&scratch->outcome);
	}
	return drop_for(&scratch->outcome, DROP_ERROR_NOT_SENT);
}

/* Tell the sender by ICMPv6 (RFC 4443), of TCP, UDP, SCTP only, and of the first fragment of these. */
__noinline enum next error_ipv6(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (has(scratch, HEADER_TCP) || has(scratch, HEADER_UDP) || has(scratch, HEADER_SCTP)) {
		if (has(scratch, HEADER_FRAGMENT)) {
			{
				u8 *wire = scratch->packet.wire;

				/* error_ipv6 */
				write_u32(wire, 0x60000000);
				write_u16(wire + 4, 64);
				write_u8(wire + 6, 58);
				write_u8(wire + 7, 64);
				write_u128(wire + 8, &scratch->meta.gateway_ipv6);
				write_u128(wire + 24, &scratch->headers.ipv6.src);
				/* error_icmpv6 */
				write_u8(wire + 40, scratch->meta.error_type);
				write_u8(wire + 41, scratch->meta.error_code);
				write_u16(wire + 42, 0);
				write_u32(wire + 44, scratch->meta.error_mtu);
				/* what is quoted: the first 56 bytes from ipv6 on */
				if (!packet_copy(ctx, &scratch->packet, scratch->position.ipv6, wire + 48, 56))
					return unable(scratch);
				write_u16(wire + 42, ~checksum_fold(checksum_sum(wire + 40, 64) + checksum_sum(wire + 8, 16) + checksum_sum(wire + 24, 16) + 64 + 58));
				s32 moved = packet_quote(ctx, &scratch->packet, scratch->position.ipv6, 48, 56);

				if (moved < 0)
					return unable(scratch);
				scratch->position.ethernet += moved - 48;
				scratch->position.vlan += moved - 48;
				scratch->packet.valid |= HEADER_ERROR_IPV6 | HEADER_ERROR_ICMPV6;
			}
			{
				u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);

				if (!ethernet)
					return unable(scratch);
				scratch->meta.swap_mac = scratch->headers.ethernet.dst;
				write_u48(ethernet, scratch->headers.ethernet.src);
				scratch->headers.ethernet.dst = scratch->headers.ethernet.src;
				write_u48(ethernet + 6, scratch->meta.swap_mac);
				scratch->headers.ethernet.src = scratch->meta.swap_mac;
			}
			return reply_to(&scratch->outcome);
		}
		{
			u8 *wire = scratch->packet.wire;

			/* error_ipv6 */
			write_u32(wire, 0x60000000);
			write_u16(wire + 4, 56);
			write_u8(wire + 6, 58);
			write_u8(wire + 7, 64);
			write_u128(wire + 8, &scratch->meta.gateway_ipv6);
			write_u128(wire + 24, &scratch->headers.ipv6.src);
			/* error_icmpv6 */
			write_u8(wire + 40, scratch->meta.error_type);
			write_u8(wire + 41, scratch->meta.error_code);
			write_u16(wire + 42, 0);
			write_u32(wire + 44, scratch->meta.error_mtu);
			/* what is quoted: the first 48 bytes from ipv6 on */
			if (!packet_copy(ctx, &scratch->packet, scratch->position.ipv6, wire + 48, 48))
				return unable(scratch);
			write_u16(wire + 42, ~checksum_fold(checksum_sum(wire + 40, 56) + checksum_sum(wire + 8, 16) + checksum_sum(wire + 24, 16) + 56 + 58));
			s32 moved = packet_quote(ctx, &scratch->packet, scratch->position.ipv6, 48, 48);

			if (moved < 0)
				return unable(scratch);
			scratch->position.ethernet += moved - 48;
			scratch->position.vlan += moved - 48;
			scratch->packet.valid |= HEADER_ERROR_IPV6 | HEADER_ERROR_ICMPV6;
		}
		{
			u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);

			if (!ethernet)
				return unable(scratch);
			scratch->meta.swap_mac = scratch->headers.ethernet.dst;
			write_u48(ethernet, scratch->headers.ethernet.src);
			scratch->headers.ethernet.dst = scratch->headers.ethernet.src;
			write_u48(ethernet + 6, scratch->meta.swap_mac);
			scratch->headers.ethernet.src = scratch->meta.swap_mac;
		}
		return reply_to(&scratch->outcome);
	}
	return drop_for(&scratch->outcome, DROP_ERROR_NOT_SENT);
}

/* The class of a packet to or from storage, in its own header and in the one of its tunnel. */
__noinline enum next mark_class(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	scratch->meta.traffic_class = (scratch->meta.traffic_class & 3) | scratch->meta.storage_class;
	if (has(scratch, HEADER_IPV4)) {
		u8 ipv4_traffic_class = scratch->meta.traffic_class;
		u64 ipv4_changed = changed_u16(scratch->headers.ipv4.traffic_class, ipv4_traffic_class);
		u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);

		if (!ipv4)
			return unable(scratch);
		write_u8(ipv4 + 1, ipv4_traffic_class);
		scratch->headers.ipv4.traffic_class = ipv4_traffic_class;
		packet_fix_header(ipv4 + 10, ipv4_changed);
	} else if (has(scratch, HEADER_IPV6)) {
		u8 ipv6_traffic_class = scratch->meta.traffic_class;
		u64 ipv6_changed = changed_u16(scratch->headers.ipv6.traffic_class << 4, ipv6_traffic_class << 4);
		u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);

		if (!ipv6)
			return unable(scratch);
		write_u16(ipv6, (read_u16(ipv6) & 0xf00f) | ipv6_traffic_class << 4);
		scratch->headers.ipv6.traffic_class = ipv6_traffic_class;
		packet_sum_changed(ctx, ipv6_changed);
	}
	return GO_ON;
}

/* Translate a packet of SCTP as decided, and one hop less to live. */
__noinline enum next send_sctp_ipv4(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	u32 ipv4_src = scratch->meta.new_src_ipv4;
	u32 ipv4_dst = scratch->meta.new_dst_ipv4;
	u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
	u16 sctp_src_port = scratch->meta.new_src_port;
	u16 sctp_dst_port = scratch->meta.new_dst_port;
	u64 ipv4_addresses = changed_u32(scratch->headers.ipv4.src, ipv4_src) + changed_u32(scratch->headers.ipv4.dst, ipv4_dst);
	u64 ipv4_changed = ipv4_addresses + changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
	u64 sctp_changed = changed_u16(scratch->headers.sctp.src_port, sctp_src_port) + changed_u16(scratch->headers.sctp.dst_port, sctp_dst_port);
	u32 sctp_flipped = (u32)(scratch->headers.sctp.src_port ^ sctp_src_port) << 16 | (u32)(scratch->headers.sctp.dst_port ^ sctp_dst_port);
	u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);
	u8 *sctp = packet_at(ctx, &scratch->packet, scratch->position.sctp, 16);

	if (!ipv4 || !sctp)
		return unable(scratch);
	write_u32(ipv4 + 12, ipv4_src);
	scratch->headers.ipv4.src = ipv4_src;
	write_u32(ipv4 + 16, ipv4_dst);
	scratch->headers.ipv4.dst = ipv4_dst;
	write_u8(ipv4 + 8, ipv4_ttl);
	scratch->headers.ipv4.ttl = ipv4_ttl;
	write_u16(sctp, sctp_src_port);
	scratch->headers.sctp.src_port = sctp_src_port;
	write_u16(sctp + 2, sctp_dst_port);
	scratch->headers.sctp.dst_port = sctp_dst_port;
	packet_fix_header(ipv4 + 10, ipv4_changed);
	packet_fix_crc32c(ctx, &scratch->packet, scratch->position.sctp + 8, sctp_changed, sctp_flipped, network_payload(scratch));
	return GO_ON;
}

/* Translate an ICMP error as decided, and what it quotes the other way round; one hop less to live. */
__noinline enum next send_related_ipv4(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (has(scratch, HEADER_QUOTED_PORTS)) {
		u32 ipv4_src = scratch->meta.related_src_ipv4;
		u32 ipv4_dst = scratch->meta.new_dst_ipv4;
		u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
		u32 quoted_ipv4_src = scratch->meta.new_dst_ipv4;
		u32 quoted_ipv4_dst = scratch->meta.new_src_ipv4;
		u16 quoted_ports_src_port = scratch->meta.new_dst_port;
		u16 quoted_ports_dst_port = scratch->meta.new_src_port;
		u64 ipv4_addresses = changed_u32(scratch->headers.ipv4.src, ipv4_src) + changed_u32(scratch->headers.ipv4.dst, ipv4_dst);
		u64 ipv4_changed = ipv4_addresses + changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
		u64 quoted_ipv4_addresses = changed_u32(scratch->headers.quoted_ipv4.src, quoted_ipv4_src) + changed_u32(scratch->headers.quoted_ipv4.dst, quoted_ipv4_dst);
		u64 quoted_ports_changed = changed_u16(scratch->headers.quoted_ports.src_port, quoted_ports_src_port) + changed_u16(scratch->headers.quoted_ports.dst_port, quoted_ports_dst_port);
		u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);
		u8 *quoted_ipv4 = packet_at(ctx, &scratch->packet, scratch->position.quoted_ipv4, 20);
		u8 *quoted_ports = packet_at(ctx, &scratch->packet, scratch->position.quoted_ports, 8);

		if (!ipv4 || !quoted_ipv4 || !quoted_ports)
			return unable(scratch);
		write_u32(ipv4 + 12, ipv4_src);
		scratch->headers.ipv4.src = ipv4_src;
		write_u32(ipv4 + 16, ipv4_dst);
		scratch->headers.ipv4.dst = ipv4_dst;
		write_u8(ipv4 + 8, ipv4_ttl);
		scratch->headers.ipv4.ttl = ipv4_ttl;
		write_u32(quoted_ipv4 + 12, quoted_ipv4_src);
		scratch->headers.quoted_ipv4.src = quoted_ipv4_src;
		write_u32(quoted_ipv4 + 16, quoted_ipv4_dst);
		scratch->headers.quoted_ipv4.dst = quoted_ipv4_dst;
		write_u16(quoted_ports, quoted_ports_src_port);
		scratch->headers.quoted_ports.src_port = quoted_ports_src_port;
		write_u16(quoted_ports + 2, quoted_ports_dst_port);
		scratch->headers.quoted_ports.dst_port = quoted_ports_dst_port;
		packet_fix_header(ipv4 + 10, ipv4_changed);
		packet_fix_header(quoted_ipv4 + 10, quoted_ipv4_addresses);
		if (has(scratch, HEADER_ICMP))
			packet_fix_transport(ctx, &scratch->packet, scratch->position.icmp + 2, quoted_ports_changed, 0, 0);
	} else if (has(scratch, HEADER_QUOTED_UDP)) {
		u32 ipv4_src = scratch->meta.related_src_ipv4;
		u32 ipv4_dst = scratch->meta.new_dst_ipv4;
		u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
		u32 quoted_ipv4_src = scratch->meta.new_dst_ipv4;
		u32 quoted_ipv4_dst = scratch->meta.new_src_ipv4;
		u16 quoted_udp_src_port = scratch->meta.new_dst_port;
		u16 quoted_udp_dst_port = scratch->meta.new_src_port;
		u64 ipv4_addresses = changed_u32(scratch->headers.ipv4.src, ipv4_src) + changed_u32(scratch->headers.ipv4.dst, ipv4_dst);
		u64 ipv4_changed = ipv4_addresses + changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
		u64 quoted_ipv4_addresses = changed_u32(scratch->headers.quoted_ipv4.src, quoted_ipv4_src) + changed_u32(scratch->headers.quoted_ipv4.dst, quoted_ipv4_dst);
		u64 quoted_udp_changed = changed_u16(scratch->headers.quoted_udp.src_port, quoted_udp_src_port) + changed_u16(scratch->headers.quoted_udp.dst_port, quoted_udp_dst_port);
		u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);
		u8 *quoted_ipv4 = packet_at(ctx, &scratch->packet, scratch->position.quoted_ipv4, 20);
		u8 *quoted_udp = packet_at(ctx, &scratch->packet, scratch->position.quoted_udp, 8);

		if (!ipv4 || !quoted_ipv4 || !quoted_udp)
			return unable(scratch);
		write_u32(ipv4 + 12, ipv4_src);
		scratch->headers.ipv4.src = ipv4_src;
		write_u32(ipv4 + 16, ipv4_dst);
		scratch->headers.ipv4.dst = ipv4_dst;
		write_u8(ipv4 + 8, ipv4_ttl);
		scratch->headers.ipv4.ttl = ipv4_ttl;
		write_u32(quoted_ipv4 + 12, quoted_ipv4_src);
		scratch->headers.quoted_ipv4.src = quoted_ipv4_src;
		write_u32(quoted_ipv4 + 16, quoted_ipv4_dst);
		scratch->headers.quoted_ipv4.dst = quoted_ipv4_dst;
		write_u16(quoted_udp, quoted_udp_src_port);
		scratch->headers.quoted_udp.src_port = quoted_udp_src_port;
		write_u16(quoted_udp + 2, quoted_udp_dst_port);
		scratch->headers.quoted_udp.dst_port = quoted_udp_dst_port;
		packet_fix_header(ipv4 + 10, ipv4_changed);
		packet_fix_header(quoted_ipv4 + 10, quoted_ipv4_addresses);
		u64 quoted_udp_checksum_changed = packet_fix_inner(quoted_udp + 6, quoted_udp_changed + quoted_ipv4_addresses, true);
		if (has(scratch, HEADER_ICMP))
			packet_fix_transport(ctx, &scratch->packet, scratch->position.icmp + 2, quoted_udp_changed + quoted_udp_checksum_changed, 0, 0);
	}
	return GO_ON;
}

/* Translate as decided, and one hop less to live. */
static __always_inline enum next send_ipv4(struct packet_context *ctx, struct scratch *scratch)
{
	if (scratch->meta.encapsulate) {
		scratch->meta.entropy = (mix64_final(mix64_word(mix64_word(scratch->hash_seed, (u64)scratch->meta.network << 48 | (u64)scratch->meta.leg << 40 | (u64)scratch->meta.protocol << 32 | scratch->headers.ipv4.src), (u64)scratch->headers.ipv4.dst << 32 | (u64)scratch->meta.src_port << 16 | scratch->meta.dst_port))) & 0x3fff;
		scratch->meta.entropy = scratch->meta.entropy | 0xc000;
	}
	if (scratch->meta.translate && has(scratch, HEADER_TCP)) {
		u32 ipv4_src = scratch->meta.new_src_ipv4;
		u32 ipv4_dst = scratch->meta.new_dst_ipv4;
		u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
		u16 tcp_src_port = scratch->meta.new_src_port;
		u16 tcp_dst_port = scratch->meta.new_dst_port;
		u64 ipv4_addresses = changed_u32(scratch->headers.ipv4.src, ipv4_src) + changed_u32(scratch->headers.ipv4.dst, ipv4_dst);
		u64 ipv4_changed = ipv4_addresses + changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
		u64 tcp_changed = changed_u16(scratch->headers.tcp.src_port, tcp_src_port) + changed_u16(scratch->headers.tcp.dst_port, tcp_dst_port);
		u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);
		u8 *tcp = packet_at(ctx, &scratch->packet, scratch->position.tcp, 20);

		if (!ipv4 || !tcp)
			return unable(scratch);
		write_u32(ipv4 + 12, ipv4_src);
		scratch->headers.ipv4.src = ipv4_src;
		write_u32(ipv4 + 16, ipv4_dst);
		scratch->headers.ipv4.dst = ipv4_dst;
		write_u8(ipv4 + 8, ipv4_ttl);
		scratch->headers.ipv4.ttl = ipv4_ttl;
		write_u16(tcp, tcp_src_port);
		scratch->headers.tcp.src_port = tcp_src_port;
		write_u16(tcp + 2, tcp_dst_port);
		scratch->headers.tcp.dst_port = tcp_dst_port;
		packet_fix_header(ipv4 + 10, ipv4_changed);
		packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, tcp_changed, ipv4_addresses, 0);
	} else if (scratch->meta.translate && has(scratch, HEADER_UDP)) {
		u32 ipv4_src = scratch->meta.new_src_ipv4;
		u32 ipv4_dst = scratch->meta.new_dst_ipv4;
		u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
		u16 udp_src_port = scratch->meta.new_src_port;
		u16 udp_dst_port = scratch->meta.new_dst_port;
		u64 ipv4_addresses = changed_u32(scratch->headers.ipv4.src, ipv4_src) + changed_u32(scratch->headers.ipv4.dst, ipv4_dst);
		u64 ipv4_changed = ipv4_addresses + changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
		u64 udp_changed = changed_u16(scratch->headers.udp.src_port, udp_src_port) + changed_u16(scratch->headers.udp.dst_port, udp_dst_port);
		u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);
		u8 *udp = packet_at(ctx, &scratch->packet, scratch->position.udp, 8);

		if (!ipv4 || !udp)
			return unable(scratch);
		write_u32(ipv4 + 12, ipv4_src);
		scratch->headers.ipv4.src = ipv4_src;
		write_u32(ipv4 + 16, ipv4_dst);
		scratch->headers.ipv4.dst = ipv4_dst;
		write_u8(ipv4 + 8, ipv4_ttl);
		scratch->headers.ipv4.ttl = ipv4_ttl;
		write_u16(udp, udp_src_port);
		scratch->headers.udp.src_port = udp_src_port;
		write_u16(udp + 2, udp_dst_port);
		scratch->headers.udp.dst_port = udp_dst_port;
		packet_fix_header(ipv4 + 10, ipv4_changed);
		packet_fix_transport(ctx, &scratch->packet, scratch->position.udp + 6, udp_changed, ipv4_addresses, CHECKSUM_MAY_BE_NONE);
	} else if (scratch->meta.translate && has(scratch, HEADER_SCTP)) {
		if (send_sctp_ipv4(ctx) == DONE)
			return DONE;
	} else if (scratch->meta.translate && has(scratch, HEADER_QUOTED_IPV4)) {
		if (send_related_ipv4(ctx) == DONE)
			return DONE;
	} else if (scratch->meta.translate) {
		u32 ipv4_src = scratch->meta.new_src_ipv4;
		u32 ipv4_dst = scratch->meta.new_dst_ipv4;
		u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
		u64 ipv4_addresses = changed_u32(scratch->headers.ipv4.src, ipv4_src) + changed_u32(scratch->headers.ipv4.dst, ipv4_dst);
		u64 ipv4_changed = ipv4_addresses + changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
		u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);

		if (!ipv4)
			return unable(scratch);
		write_u32(ipv4 + 12, ipv4_src);
		scratch->headers.ipv4.src = ipv4_src;
		write_u32(ipv4 + 16, ipv4_dst);
		scratch->headers.ipv4.dst = ipv4_dst;
		write_u8(ipv4 + 8, ipv4_ttl);
		scratch->headers.ipv4.ttl = ipv4_ttl;
		packet_fix_header(ipv4 + 10, ipv4_changed);
		if (has(scratch, HEADER_TCP))
			packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, 0, ipv4_addresses, 0);
		if (has(scratch, HEADER_UDP))
			packet_fix_transport(ctx, &scratch->packet, scratch->position.udp + 6, 0, ipv4_addresses, CHECKSUM_MAY_BE_NONE);
	} else {
		u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
		u64 ipv4_changed = changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
		u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);

		if (!ipv4)
			return unable(scratch);
		write_u8(ipv4 + 8, ipv4_ttl);
		scratch->headers.ipv4.ttl = ipv4_ttl;
		packet_fix_header(ipv4 + 10, ipv4_changed);
	}
	return GO_ON;
}

/* Translate a packet of SCTP as decided, and one hop less to live. */
__noinline enum next send_sctp_ipv6(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	u8 ipv6_hop_limit = (u8)(scratch->headers.ipv6.hop_limit - 1);
	u16 sctp_src_port = scratch->meta.new_src_port;
	u16 sctp_dst_port = scratch->meta.new_dst_port;
	u64 ipv6_addresses = changed_u128(&scratch->headers.ipv6.src, &scratch->meta.new_src_ipv6) + changed_u128(&scratch->headers.ipv6.dst, &scratch->meta.new_dst_ipv6);
	u64 ipv6_changed = ipv6_addresses + changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
	u64 sctp_changed = changed_u16(scratch->headers.sctp.src_port, sctp_src_port) + changed_u16(scratch->headers.sctp.dst_port, sctp_dst_port);
	u32 sctp_flipped = (u32)(scratch->headers.sctp.src_port ^ sctp_src_port) << 16 | (u32)(scratch->headers.sctp.dst_port ^ sctp_dst_port);
	u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);
	u8 *sctp = packet_at(ctx, &scratch->packet, scratch->position.sctp, 16);

	if (!ipv6 || !sctp)
		return unable(scratch);
	write_u128(ipv6 + 8, &scratch->meta.new_src_ipv6);
	scratch->headers.ipv6.src = scratch->meta.new_src_ipv6;
	write_u128(ipv6 + 24, &scratch->meta.new_dst_ipv6);
	scratch->headers.ipv6.dst = scratch->meta.new_dst_ipv6;
	write_u8(ipv6 + 7, ipv6_hop_limit);
	scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
	write_u16(sctp, sctp_src_port);
	scratch->headers.sctp.src_port = sctp_src_port;
	write_u16(sctp + 2, sctp_dst_port);
	scratch->headers.sctp.dst_port = sctp_dst_port;
	packet_fix_crc32c(ctx, &scratch->packet, scratch->position.sctp + 8, sctp_changed, sctp_flipped, network_payload(scratch));
	packet_sum_changed(ctx, ipv6_changed);
	return GO_ON;
}

/* Translate an ICMP error as decided, and what it quotes the other way round; one hop less to live. */
__noinline enum next send_related_ipv6(struct packet_context *ctx)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return DONE;
	if (has(scratch, HEADER_QUOTED_PORTS)) {
		u8 ipv6_hop_limit = (u8)(scratch->headers.ipv6.hop_limit - 1);
		u16 quoted_ports_src_port = scratch->meta.new_dst_port;
		u16 quoted_ports_dst_port = scratch->meta.new_src_port;
		u64 ipv6_addresses = changed_u128(&scratch->headers.ipv6.src, &scratch->meta.related_src_ipv6) + changed_u128(&scratch->headers.ipv6.dst, &scratch->meta.new_dst_ipv6);
		u64 ipv6_changed = ipv6_addresses + changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
		u64 quoted_ipv6_addresses = changed_u128(&scratch->headers.quoted_ipv6.src, &scratch->meta.new_dst_ipv6) + changed_u128(&scratch->headers.quoted_ipv6.dst, &scratch->meta.new_src_ipv6);
		u64 quoted_ports_changed = changed_u16(scratch->headers.quoted_ports.src_port, quoted_ports_src_port) + changed_u16(scratch->headers.quoted_ports.dst_port, quoted_ports_dst_port);
		u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);
		u8 *quoted_ipv6 = packet_at(ctx, &scratch->packet, scratch->position.quoted_ipv6, 40);
		u8 *quoted_ports = packet_at(ctx, &scratch->packet, scratch->position.quoted_ports, 8);

		if (!ipv6 || !quoted_ipv6 || !quoted_ports)
			return unable(scratch);
		write_u128(ipv6 + 8, &scratch->meta.related_src_ipv6);
		scratch->headers.ipv6.src = scratch->meta.related_src_ipv6;
		write_u128(ipv6 + 24, &scratch->meta.new_dst_ipv6);
		scratch->headers.ipv6.dst = scratch->meta.new_dst_ipv6;
		write_u8(ipv6 + 7, ipv6_hop_limit);
		scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
		write_u128(quoted_ipv6 + 8, &scratch->meta.new_dst_ipv6);
		scratch->headers.quoted_ipv6.src = scratch->meta.new_dst_ipv6;
		write_u128(quoted_ipv6 + 24, &scratch->meta.new_src_ipv6);
		scratch->headers.quoted_ipv6.dst = scratch->meta.new_src_ipv6;
		write_u16(quoted_ports, quoted_ports_src_port);
		scratch->headers.quoted_ports.src_port = quoted_ports_src_port;
		write_u16(quoted_ports + 2, quoted_ports_dst_port);
		scratch->headers.quoted_ports.dst_port = quoted_ports_dst_port;
		if (has(scratch, HEADER_ICMPV6))
			packet_fix_transport(ctx, &scratch->packet, scratch->position.icmpv6 + 2, quoted_ipv6_addresses + quoted_ports_changed, ipv6_addresses, CHECKSUM_OF_IPV6);
		packet_sum_changed(ctx, ipv6_changed - ipv6_addresses);
	} else if (has(scratch, HEADER_QUOTED_UDP)) {
		u8 ipv6_hop_limit = (u8)(scratch->headers.ipv6.hop_limit - 1);
		u16 quoted_udp_src_port = scratch->meta.new_dst_port;
		u16 quoted_udp_dst_port = scratch->meta.new_src_port;
		u64 ipv6_addresses = changed_u128(&scratch->headers.ipv6.src, &scratch->meta.related_src_ipv6) + changed_u128(&scratch->headers.ipv6.dst, &scratch->meta.new_dst_ipv6);
		u64 ipv6_changed = ipv6_addresses + changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
		u64 quoted_ipv6_addresses = changed_u128(&scratch->headers.quoted_ipv6.src, &scratch->meta.new_dst_ipv6) + changed_u128(&scratch->headers.quoted_ipv6.dst, &scratch->meta.new_src_ipv6);
		u64 quoted_udp_changed = changed_u16(scratch->headers.quoted_udp.src_port, quoted_udp_src_port) + changed_u16(scratch->headers.quoted_udp.dst_port, quoted_udp_dst_port);
		u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);
		u8 *quoted_ipv6 = packet_at(ctx, &scratch->packet, scratch->position.quoted_ipv6, 40);
		u8 *quoted_udp = packet_at(ctx, &scratch->packet, scratch->position.quoted_udp, 8);

		if (!ipv6 || !quoted_ipv6 || !quoted_udp)
			return unable(scratch);
		write_u128(ipv6 + 8, &scratch->meta.related_src_ipv6);
		scratch->headers.ipv6.src = scratch->meta.related_src_ipv6;
		write_u128(ipv6 + 24, &scratch->meta.new_dst_ipv6);
		scratch->headers.ipv6.dst = scratch->meta.new_dst_ipv6;
		write_u8(ipv6 + 7, ipv6_hop_limit);
		scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
		write_u128(quoted_ipv6 + 8, &scratch->meta.new_dst_ipv6);
		scratch->headers.quoted_ipv6.src = scratch->meta.new_dst_ipv6;
		write_u128(quoted_ipv6 + 24, &scratch->meta.new_src_ipv6);
		scratch->headers.quoted_ipv6.dst = scratch->meta.new_src_ipv6;
		write_u16(quoted_udp, quoted_udp_src_port);
		scratch->headers.quoted_udp.src_port = quoted_udp_src_port;
		write_u16(quoted_udp + 2, quoted_udp_dst_port);
		scratch->headers.quoted_udp.dst_port = quoted_udp_dst_port;
		u64 quoted_udp_checksum_changed = packet_fix_inner(quoted_udp + 6, quoted_udp_changed + quoted_ipv6_addresses, true);
		if (has(scratch, HEADER_ICMPV6))
			packet_fix_transport(ctx, &scratch->packet, scratch->position.icmpv6 + 2, quoted_ipv6_addresses + quoted_udp_changed + quoted_udp_checksum_changed, ipv6_addresses, CHECKSUM_OF_IPV6);
		packet_sum_changed(ctx, ipv6_changed - ipv6_addresses);
	}
	return GO_ON;
}

/* Translate as decided, and one hop less to live. */
static __always_inline enum next send_ipv6(struct packet_context *ctx, struct scratch *scratch)
{
	if (scratch->meta.encapsulate) {
		scratch->meta.entropy = (mix64_final(mix64_word(mix64_word(mix64_word(mix64_word(mix64_word(scratch->hash_seed, (u64)scratch->meta.network << 48 | (u64)scratch->meta.leg << 40 | (u64)scratch->meta.protocol << 32 | (scratch->headers.ipv6.src.high >> 32)), (scratch->headers.ipv6.src.high << 32 | scratch->headers.ipv6.src.low >> 32)), (scratch->headers.ipv6.src.low & 0xffffffffu) << 32 | (scratch->headers.ipv6.dst.high >> 32)), (scratch->headers.ipv6.dst.high << 32 | scratch->headers.ipv6.dst.low >> 32)), (scratch->headers.ipv6.dst.low & 0xffffffffu) << 32 | (u64)scratch->meta.src_port << 16 | scratch->meta.dst_port))) & 0x3fff;
		scratch->meta.entropy = scratch->meta.entropy | 0xc000;
	}
	if (scratch->meta.translate && has(scratch, HEADER_TCP)) {
		u8 ipv6_hop_limit = (u8)(scratch->headers.ipv6.hop_limit - 1);
		u16 tcp_src_port = scratch->meta.new_src_port;
		u16 tcp_dst_port = scratch->meta.new_dst_port;
		u64 ipv6_addresses = changed_u128(&scratch->headers.ipv6.src, &scratch->meta.new_src_ipv6) + changed_u128(&scratch->headers.ipv6.dst, &scratch->meta.new_dst_ipv6);
		u64 ipv6_changed = ipv6_addresses + changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
		u64 tcp_changed = changed_u16(scratch->headers.tcp.src_port, tcp_src_port) + changed_u16(scratch->headers.tcp.dst_port, tcp_dst_port);
		u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);
		u8 *tcp = packet_at(ctx, &scratch->packet, scratch->position.tcp, 20);

		if (!ipv6 || !tcp)
			return unable(scratch);
		write_u128(ipv6 + 8, &scratch->meta.new_src_ipv6);
		scratch->headers.ipv6.src = scratch->meta.new_src_ipv6;
		write_u128(ipv6 + 24, &scratch->meta.new_dst_ipv6);
		scratch->headers.ipv6.dst = scratch->meta.new_dst_ipv6;
		write_u8(ipv6 + 7, ipv6_hop_limit);
		scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
		write_u16(tcp, tcp_src_port);
		scratch->headers.tcp.src_port = tcp_src_port;
		write_u16(tcp + 2, tcp_dst_port);
		scratch->headers.tcp.dst_port = tcp_dst_port;
		packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, tcp_changed, ipv6_addresses, CHECKSUM_OF_IPV6);
		packet_sum_changed(ctx, ipv6_changed - ipv6_addresses);
	} else if (scratch->meta.translate && has(scratch, HEADER_UDP)) {
		u8 ipv6_hop_limit = (u8)(scratch->headers.ipv6.hop_limit - 1);
		u16 udp_src_port = scratch->meta.new_src_port;
		u16 udp_dst_port = scratch->meta.new_dst_port;
		u64 ipv6_addresses = changed_u128(&scratch->headers.ipv6.src, &scratch->meta.new_src_ipv6) + changed_u128(&scratch->headers.ipv6.dst, &scratch->meta.new_dst_ipv6);
		u64 ipv6_changed = ipv6_addresses + changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
		u64 udp_changed = changed_u16(scratch->headers.udp.src_port, udp_src_port) + changed_u16(scratch->headers.udp.dst_port, udp_dst_port);
		u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);
		u8 *udp = packet_at(ctx, &scratch->packet, scratch->position.udp, 8);

		if (!ipv6 || !udp)
			return unable(scratch);
		write_u128(ipv6 + 8, &scratch->meta.new_src_ipv6);
		scratch->headers.ipv6.src = scratch->meta.new_src_ipv6;
		write_u128(ipv6 + 24, &scratch->meta.new_dst_ipv6);
		scratch->headers.ipv6.dst = scratch->meta.new_dst_ipv6;
		write_u8(ipv6 + 7, ipv6_hop_limit);
		scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
		write_u16(udp, udp_src_port);
		scratch->headers.udp.src_port = udp_src_port;
		write_u16(udp + 2, udp_dst_port);
		scratch->headers.udp.dst_port = udp_dst_port;
		packet_fix_transport(ctx, &scratch->packet, scratch->position.udp + 6, udp_changed, ipv6_addresses, CHECKSUM_OF_IPV6 | CHECKSUM_MAY_BE_NONE);
		packet_sum_changed(ctx, ipv6_changed - ipv6_addresses);
	} else if (scratch->meta.translate && has(scratch, HEADER_SCTP)) {
		if (send_sctp_ipv6(ctx) == DONE)
			return DONE;
	} else if (scratch->meta.translate && has(scratch, HEADER_QUOTED_IPV6)) {
		if (send_related_ipv6(ctx) == DONE)
			return DONE;
	} else if (scratch->meta.translate && has(scratch, HEADER_FRAGMENT)) {
		u8 ipv6_hop_limit = (u8)(scratch->headers.ipv6.hop_limit - 1);
		u64 ipv6_addresses = changed_u128(&scratch->headers.ipv6.src, &scratch->meta.new_src_ipv6) + changed_u128(&scratch->headers.ipv6.dst, &scratch->meta.new_dst_ipv6);
		u64 ipv6_changed = ipv6_addresses + changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
		u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);

		if (!ipv6)
			return unable(scratch);
		write_u128(ipv6 + 8, &scratch->meta.new_src_ipv6);
		scratch->headers.ipv6.src = scratch->meta.new_src_ipv6;
		write_u128(ipv6 + 24, &scratch->meta.new_dst_ipv6);
		scratch->headers.ipv6.dst = scratch->meta.new_dst_ipv6;
		write_u8(ipv6 + 7, ipv6_hop_limit);
		scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
		if (has(scratch, HEADER_TCP))
			packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, 0, ipv6_addresses, CHECKSUM_OF_IPV6);
		if (has(scratch, HEADER_UDP))
			packet_fix_transport(ctx, &scratch->packet, scratch->position.udp + 6, 0, ipv6_addresses, CHECKSUM_OF_IPV6 | CHECKSUM_MAY_BE_NONE);
		packet_sum_changed(ctx, ipv6_changed - ipv6_addresses);
	} else {
		u8 ipv6_hop_limit = (u8)(scratch->headers.ipv6.hop_limit - 1);
		u64 ipv6_changed = changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
		u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);

		if (!ipv6)
			return unable(scratch);
		write_u8(ipv6 + 7, ipv6_hop_limit);
		scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
		packet_sum_changed(ctx, ipv6_changed);
	}
	return GO_ON;
}

/* Send a packet whose next hop is known. */
static __always_inline enum next forward(struct packet_context *ctx, struct scratch *scratch)
{
	if (!apply_neighbor(scratch)) {
		return drop_for(&scratch->outcome, DROP_NO_NEIGHBOR);
	}
	if (scratch->meta.egress_network != scratch->meta.network) {
		return drop_for(&scratch->outcome, DROP_OTHER_NETWORK);
	}
	if (scratch->meta.encapsulate && has(scratch, HEADER_VXLAN)) {
		return drop_for(&scratch->outcome, DROP_TUNNEL_LOOP);
	}
	if (has(scratch, HEADER_IPV4)) {
		if (check_ipv4(ctx, scratch) == DONE)
			return DONE;
	} else if (has(scratch, HEADER_IPV6)) {
		if (check_ipv6(ctx, scratch) == DONE)
			return DONE;
	}
	if (scratch->meta.error) {
		if (has(scratch, HEADER_VXLAN)) {
			return drop_for(&scratch->outcome, DROP_ERROR_NOT_SENT);
		}
		if (!apply_network(scratch)) {
			return drop_for(&scratch->outcome, DROP_ERROR_NOT_SENT);
		}
		if (has(scratch, HEADER_IPV4)) {
			if (error_ipv4(ctx) == DONE)
				return DONE;
		} else if (has(scratch, HEADER_IPV6)) {
			if (error_ipv6(ctx) == DONE)
				return DONE;
		}
	}
	if (scratch->meta.storage_marked) {
		if (mark_class(ctx) == DONE)
			return DONE;
	}
	if (has(scratch, HEADER_VLAN)) {
		s32 moved = packet_pop_vlan(ctx, &scratch->packet, scratch->position.vlan);

		if (moved < 0)
			return unable(scratch);
		scratch->position.ethernet += moved;
		scratch->packet.valid &= ~HEADER_VLAN;
	}
	if (has(scratch, HEADER_VXLAN)) {
		if (!packet_pop(ctx, &scratch->packet, 50))
			return unable(scratch);
		scratch->packet.valid &= ~(HEADER_OUTER_ETHERNET | HEADER_OUTER_IPV4 | HEADER_OUTER_UDP | HEADER_VXLAN);
	}
	if (has(scratch, HEADER_IPV4)) {
		if (send_ipv4(ctx, scratch) == DONE)
			return DONE;
	} else if (has(scratch, HEADER_IPV6)) {
		if (send_ipv6(ctx, scratch) == DONE)
			return DONE;
	}
	{
		u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);

		if (!ethernet)
			return unable(scratch);
		write_u48(ethernet, scratch->meta.egress_dst_mac);
		scratch->headers.ethernet.dst = scratch->meta.egress_dst_mac;
		write_u48(ethernet + 6, (scratch->meta.egress_src_mac + scratch->meta.signature) & 0xffffffffffffull);
		scratch->headers.ethernet.src = (scratch->meta.egress_src_mac + scratch->meta.signature) & 0xffffffffffffull;
	}
	if (scratch->meta.encapsulate) {
		u16 outer_ipv4_checksum = ~checksum_fold(0xc511ull + scratch->meta.traffic_class + (u16)(scratch->meta.inner_length + 50) + scratch->meta.tunnel_src + scratch->meta.tunnel_dst);
		u64 words[8] = {
			(u64)scratch->meta.tunnel_dst_mac << 16 | ((u64)scratch->meta.tunnel_src_mac >> 32),
			(u64)scratch->meta.tunnel_src_mac << 32 | (u64)scratch->meta.traffic_class | 0x8004500,
			(u64)((u16)(scratch->meta.inner_length + 50)) << 48 | 0x40004011,
			(u64)outer_ipv4_checksum << 48 | (u64)scratch->meta.tunnel_src << 16 | ((u64)scratch->meta.tunnel_dst >> 16),
			(u64)scratch->meta.tunnel_dst << 48 | (u64)scratch->meta.entropy << 32 | (u64)((u16)(scratch->meta.inner_length + 30)) | 0x12b50000,
			((u64)scratch->meta.tunnel_vni >> 8) | 0x80000000000ull,
			(u64)scratch->meta.tunnel_vni << 56,
		};

		if (!packet_push(ctx, &scratch->packet, words, 50,
				 BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_ENCAP_L2(ETHERNET_BYTES)))
			return unable(scratch);
		scratch->packet.valid |= HEADER_OUTER_ETHERNET | HEADER_OUTER_IPV4 | HEADER_OUTER_UDP | HEADER_VXLAN;
		scratch->headers.outer_ipv4.dst = scratch->meta.tunnel_dst;
		scratch->headers.vxlan.vni = scratch->meta.tunnel_vni;
	} else if (scratch->meta.egress_vlan != 0) {
		s32 moved = packet_push_vlan(ctx, &scratch->packet, scratch->meta.egress_vlan);

		if (moved < 0)
			return unable(scratch);
		scratch->position.ethernet -= moved;
		scratch->position.vlan = scratch->position.ethernet + ETHERNET_BYTES;
		scratch->packet.valid |= HEADER_VLAN;
		scratch->headers.vlan.id = scratch->meta.egress_vlan;
	}
	return forward_to(&scratch->outcome, scratch->meta.egress_port);
}

/* What is in a network: its connection, its way out. */
static __always_inline enum next serve(struct packet_context *ctx, struct scratch *scratch)
{
	if (has(scratch, HEADER_IPV4)) {
		if (scratch->headers.ipv4.version == 4 && scratch->headers.ipv4.header_length > 4) {
			if (connection_ipv4(ctx, scratch) == DONE)
				return DONE;
		}
	} else if (has(scratch, HEADER_IPV6)) {
		if (scratch->headers.ipv6.version == 6) {
			if (connection_ipv6(ctx, scratch) == DONE)
				return DONE;
		}
	}
	if (scratch->meta.service_id > 0xbfff) {
		if (steer_storage() == DONE)
			return DONE;
	}
	if (scratch->meta.nexthop != 0) {
		if (forward(ctx, scratch) == DONE)
			return DONE;
	}
	if (has(scratch, HEADER_VXLAN)) {
		return drop_for(&scratch->outcome, DROP_NO_ROUTE);
	}
	return GO_ON;
}

/* What no policy concerns runs off the end, untouched. */
static __always_inline enum next ingress(struct packet_context *ctx, struct scratch *scratch)
{
	if (classify(scratch) == DONE)
		return DONE;
	if (has(scratch, HEADER_ARP) && scratch->meta.leg != 0 && !has(scratch, HEADER_VXLAN)) {
		if (answer_arp(ctx) == DONE)
			return DONE;
	} else if (has(scratch, HEADER_NEIGHBOR) && scratch->meta.leg != 0 && !has(scratch, HEADER_VXLAN)) {
		if (answer_nd(ctx) == DONE)
			return DONE;
	} else if (scratch->meta.leg > 1) {
		if (serve(ctx, scratch) == DONE)
			return DONE;
	}
	return GO_ON;
}

/* A packet at its start. */
static __always_inline void begin(struct packet_context *ctx, struct scratch *scratch, u32 port)
{
	packet_begin(ctx, &scratch->packet);
	scratch->outcome = (struct outcome){.verdict = VERDICT_TO_KERNEL, .ingress_port = port};
	scratch->now_ms = clock_ms();
	scratch->side = side_of_tables();
	scratch->hash_seed = hash_seed;
	__builtin_memset(&scratch->meta, 0, sizeof(scratch->meta));
	__builtin_memset(&scratch->later, 0, sizeof(scratch->later));
	scratch->meta.ingress_port = port;
	trace_begin();
}

/*
 * The fast path: packets of known connections, and those that concern nobody. For each kind of packet a way in which
 * the scratch memory is a variable of its own, so that the compiler keeps in registers what that kind needs. It changes
 * nothing before take_over; until then a packet may be undecided, and the whole program begins with it anew.
 */
const volatile u8 uses_fast_path = 1;

#define PACKET_UNDECIDED -2

/* Entries that were found, to be used when the packet is taken over. */
struct known {
	struct connections_ipv4_hit flow_ipv4;
	struct connections_ipv6_hit flow_ipv6;
};

/* From here on the packet is the fast path's: counters and entries know of it. */
static __always_inline void take_over(struct scratch *scratch, struct known *known)
{
	if (known->flow_ipv4.slot)
		connections_ipv4_use(&known->flow_ipv4, (u32)scratch->now_ms, scratch->packet.length);
	if (known->flow_ipv6.slot)
		connections_ipv6_use(&known->flow_ipv6, (u32)scratch->now_ms, scratch->packet.length);
	count_later(scratch);
}

/* Which leg the packet is on, and in which network. */
static __always_inline enum next fast_classify(struct scratch *scratch)
{
	apply_port(scratch);
	if (scratch->meta.leg == 1) {
		if (has(scratch, HEADER_VXLAN)) {
			apply_tunnel(scratch);
		} else if (has(scratch, HEADER_IPV4)) {
			apply_eip_ipv4(scratch);
		} else if (has(scratch, HEADER_IPV6) && !has(scratch, HEADER_NEIGHBOR)) {
			apply_eip_ipv6(scratch);
		}
	}
	return GO_ON;
}

/* Find the decision for a packet of a network: a known flow's, or a new one. */
static __always_inline enum next fast_connection_ipv4(struct scratch *scratch, struct known *known)
{
	scratch->meta.route_ipv4 = scratch->headers.ipv4.dst;
	if (has(scratch, HEADER_TCP)) {
		scratch->meta.protocol = 6;
		scratch->meta.src_port = scratch->headers.tcp.src_port;
		scratch->meta.dst_port = scratch->headers.tcp.dst_port;
		scratch->meta.tcp_flags = scratch->headers.tcp.flags;
		scratch->meta.profile = 1;
	} else if (has(scratch, HEADER_UDP)) {
		scratch->meta.protocol = 17;
		scratch->meta.src_port = scratch->headers.udp.src_port;
		scratch->meta.dst_port = scratch->headers.udp.dst_port;
		scratch->meta.profile = 4;
	} else {
	}
	if (scratch->meta.protocol != 0) {
		if (!find_flow_ipv4(scratch, &known->flow_ipv4, true)) {
			scratch->meta.opens = 1;
			scratch->meta.reverse_network = scratch->meta.network;
			if (scratch->meta.leg != 3 && scratch->meta.protocol == 6 && (scratch->meta.tcp_flags & 23) == 2) {
				return UNDECIDED;
			}
			if (has(scratch, HEADER_VXLAN)) {
				return UNDECIDED;
			}
			if (has(scratch, HEADER_VXLAN)) {
				return UNDECIDED;
			}
			return UNDECIDED;
		}
	} else {
		if ((has(scratch, HEADER_QUOTED_IPV4) && (has(scratch, HEADER_QUOTED_PORTS) || has(scratch, HEADER_QUOTED_UDP))) || scratch->headers.ipv4.fragment_offset != 0) {
			return UNDECIDED;
		}
		if (!scratch->meta.translate) {
			scratch->meta.opens = 1;
			scratch->meta.reverse_network = scratch->meta.network;
			scratch->meta.new_src_ipv4 = scratch->headers.ipv4.src;
		}
	}
	if (scratch->meta.opens) {
		return UNDECIDED;
	}
	if (scratch->meta.nexthop == 0) {
		return UNDECIDED;
	}
	if (scratch->meta.decided) {
		return UNDECIDED;
	}
	if (scratch->headers.ipv4.flags & 1) {
		if (scratch->meta.is_reply) {
			return UNDECIDED;
		} else {
			return UNDECIDED;
		}
	}
	return GO_ON;
}

/* Find the decision for a packet of a network: a known flow's, or a new one. */
static __always_inline enum next fast_connection_ipv6(struct scratch *scratch, struct known *known)
{
	scratch->meta.route_ipv6 = scratch->headers.ipv6.dst;
	if (has(scratch, HEADER_TCP)) {
		scratch->meta.protocol = 6;
		scratch->meta.src_port = scratch->headers.tcp.src_port;
		scratch->meta.dst_port = scratch->headers.tcp.dst_port;
		scratch->meta.tcp_flags = scratch->headers.tcp.flags;
		scratch->meta.profile = 1;
	} else if (has(scratch, HEADER_UDP)) {
		scratch->meta.protocol = 17;
		scratch->meta.src_port = scratch->headers.udp.src_port;
		scratch->meta.dst_port = scratch->headers.udp.dst_port;
		scratch->meta.profile = 4;
	} else {
	}
	if (scratch->meta.protocol != 0) {
		if (!find_flow_ipv6(scratch, &known->flow_ipv6, true)) {
			scratch->meta.opens = 1;
			scratch->meta.reverse_network = scratch->meta.network;
			if (scratch->meta.leg != 3 && scratch->meta.protocol == 6 && (scratch->meta.tcp_flags & 23) == 2) {
				return UNDECIDED;
			}
			if (has(scratch, HEADER_VXLAN)) {
				return UNDECIDED;
			}
			if (has(scratch, HEADER_VXLAN)) {
				return UNDECIDED;
			}
			return UNDECIDED;
		}
	} else {
		if (!scratch->meta.translate) {
			scratch->meta.opens = 1;
			scratch->meta.reverse_network = scratch->meta.network;
			scratch->meta.new_src_ipv6 = scratch->headers.ipv6.src;
		}
	}
	if (scratch->meta.opens) {
		return UNDECIDED;
	}
	if (scratch->meta.nexthop == 0) {
		return UNDECIDED;
	}
	if (scratch->meta.decided) {
		return UNDECIDED;
	}
	return GO_ON;
}

/* Time to live and size (RFC 1812, sections 5.3.1 and 4.2.2.7; RFC 1191). */
static __always_inline enum next fast_check_ipv4(struct packet_context *ctx, struct scratch *scratch)
{
	scratch->meta.inner_length = scratch->headers.ipv4.total_length;
	scratch->meta.traffic_class = scratch->headers.ipv4.traffic_class;
	if (scratch->headers.ipv4.ttl < 2) {
		scratch->meta.error = 1;
		scratch->meta.error_type = 11;
		scratch->meta.error_code = 0;
		scratch->meta.error_mtu = 0;
	} else if (network_length(ctx, scratch) > scratch->meta.mtu) {
		if (!(scratch->headers.ipv4.flags & 2)) {
			return UNDECIDED;
		}
		scratch->meta.error = 1;
		scratch->meta.error_type = 3;
		scratch->meta.error_code = 4;
		scratch->meta.error_mtu = scratch->meta.mtu;
	}
	return GO_ON;
}

/* Hop limit and size (RFC 8200, sections 3 and 5; RFC 4443, sections 3.2 and 3.3). */
static __always_inline enum next fast_check_ipv6(struct packet_context *ctx, struct scratch *scratch)
{
	scratch->meta.inner_length = (u16)(scratch->headers.ipv6.payload_length + 40);
	scratch->meta.traffic_class = scratch->headers.ipv6.traffic_class;
	if (scratch->headers.ipv6.hop_limit < 2) {
		scratch->meta.error = 1;
		scratch->meta.error_type = 3;
		scratch->meta.error_code = 0;
		scratch->meta.error_mtu = 0;
	} else if (network_length(ctx, scratch) > scratch->meta.mtu) {
		scratch->meta.error = 1;
		scratch->meta.error_type = 2;
		scratch->meta.error_code = 0;
		scratch->meta.error_mtu = scratch->meta.mtu;
	}
	return GO_ON;
}

/* Translate as decided, and one hop less to live. */
static __always_inline enum next fast_send_ipv4(struct packet_context *ctx, struct scratch *scratch)
{
	if (scratch->meta.encapsulate) {
		scratch->meta.entropy = (mix64_final(mix64_word(mix64_word(scratch->hash_seed, (u64)scratch->meta.network << 48 | (u64)scratch->meta.leg << 40 | (u64)scratch->meta.protocol << 32 | scratch->headers.ipv4.src), (u64)scratch->headers.ipv4.dst << 32 | (u64)scratch->meta.src_port << 16 | scratch->meta.dst_port))) & 0x3fff;
		scratch->meta.entropy = scratch->meta.entropy | 0xc000;
	}
	if (scratch->meta.translate && has(scratch, HEADER_TCP)) {
		u32 ipv4_src = scratch->meta.new_src_ipv4;
		u32 ipv4_dst = scratch->meta.new_dst_ipv4;
		u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
		u16 tcp_src_port = scratch->meta.new_src_port;
		u16 tcp_dst_port = scratch->meta.new_dst_port;
		u64 ipv4_addresses = changed_u32(scratch->headers.ipv4.src, ipv4_src) + changed_u32(scratch->headers.ipv4.dst, ipv4_dst);
		u64 ipv4_changed = ipv4_addresses + changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
		u64 tcp_changed = changed_u16(scratch->headers.tcp.src_port, tcp_src_port) + changed_u16(scratch->headers.tcp.dst_port, tcp_dst_port);
		u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);
		u8 *tcp = packet_at(ctx, &scratch->packet, scratch->position.tcp, 20);

		if (!ipv4 || !tcp)
			return unable(scratch);
		write_u32(ipv4 + 12, ipv4_src);
		scratch->headers.ipv4.src = ipv4_src;
		write_u32(ipv4 + 16, ipv4_dst);
		scratch->headers.ipv4.dst = ipv4_dst;
		write_u8(ipv4 + 8, ipv4_ttl);
		scratch->headers.ipv4.ttl = ipv4_ttl;
		write_u16(tcp, tcp_src_port);
		scratch->headers.tcp.src_port = tcp_src_port;
		write_u16(tcp + 2, tcp_dst_port);
		scratch->headers.tcp.dst_port = tcp_dst_port;
		packet_fix_header(ipv4 + 10, ipv4_changed);
		packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, tcp_changed, ipv4_addresses, 0);
	} else if (scratch->meta.translate && has(scratch, HEADER_UDP)) {
		u32 ipv4_src = scratch->meta.new_src_ipv4;
		u32 ipv4_dst = scratch->meta.new_dst_ipv4;
		u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
		u16 udp_src_port = scratch->meta.new_src_port;
		u16 udp_dst_port = scratch->meta.new_dst_port;
		u64 ipv4_addresses = changed_u32(scratch->headers.ipv4.src, ipv4_src) + changed_u32(scratch->headers.ipv4.dst, ipv4_dst);
		u64 ipv4_changed = ipv4_addresses + changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
		u64 udp_changed = changed_u16(scratch->headers.udp.src_port, udp_src_port) + changed_u16(scratch->headers.udp.dst_port, udp_dst_port);
		u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);
		u8 *udp = packet_at(ctx, &scratch->packet, scratch->position.udp, 8);

		if (!ipv4 || !udp)
			return unable(scratch);
		write_u32(ipv4 + 12, ipv4_src);
		scratch->headers.ipv4.src = ipv4_src;
		write_u32(ipv4 + 16, ipv4_dst);
		scratch->headers.ipv4.dst = ipv4_dst;
		write_u8(ipv4 + 8, ipv4_ttl);
		scratch->headers.ipv4.ttl = ipv4_ttl;
		write_u16(udp, udp_src_port);
		scratch->headers.udp.src_port = udp_src_port;
		write_u16(udp + 2, udp_dst_port);
		scratch->headers.udp.dst_port = udp_dst_port;
		packet_fix_header(ipv4 + 10, ipv4_changed);
		packet_fix_transport(ctx, &scratch->packet, scratch->position.udp + 6, udp_changed, ipv4_addresses, CHECKSUM_MAY_BE_NONE);
	} else {
		if (scratch->meta.translate) {
			u32 ipv4_src = scratch->meta.new_src_ipv4;
			u32 ipv4_dst = scratch->meta.new_dst_ipv4;
			u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
			u64 ipv4_addresses = changed_u32(scratch->headers.ipv4.src, ipv4_src) + changed_u32(scratch->headers.ipv4.dst, ipv4_dst);
			u64 ipv4_changed = ipv4_addresses + changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
			u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);

			if (!ipv4)
				return unable(scratch);
			write_u32(ipv4 + 12, ipv4_src);
			scratch->headers.ipv4.src = ipv4_src;
			write_u32(ipv4 + 16, ipv4_dst);
			scratch->headers.ipv4.dst = ipv4_dst;
			write_u8(ipv4 + 8, ipv4_ttl);
			scratch->headers.ipv4.ttl = ipv4_ttl;
			packet_fix_header(ipv4 + 10, ipv4_changed);
			if (has(scratch, HEADER_TCP))
				packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, 0, ipv4_addresses, 0);
			if (has(scratch, HEADER_UDP))
				packet_fix_transport(ctx, &scratch->packet, scratch->position.udp + 6, 0, ipv4_addresses, CHECKSUM_MAY_BE_NONE);
		} else {
			u8 ipv4_ttl = (u8)(scratch->headers.ipv4.ttl - 1);
			u64 ipv4_changed = changed_u16(scratch->headers.ipv4.ttl << 8, ipv4_ttl << 8);
			u8 *ipv4 = packet_at(ctx, &scratch->packet, scratch->position.ipv4, 20);

			if (!ipv4)
				return unable(scratch);
			write_u8(ipv4 + 8, ipv4_ttl);
			scratch->headers.ipv4.ttl = ipv4_ttl;
			packet_fix_header(ipv4 + 10, ipv4_changed);
		}
	}
	return GO_ON;
}

/* Translate as decided, and one hop less to live. */
static __always_inline enum next fast_send_ipv6(struct packet_context *ctx, struct scratch *scratch)
{
	if (scratch->meta.encapsulate) {
		scratch->meta.entropy = (mix64_final(mix64_word(mix64_word(mix64_word(mix64_word(mix64_word(scratch->hash_seed, (u64)scratch->meta.network << 48 | (u64)scratch->meta.leg << 40 | (u64)scratch->meta.protocol << 32 | (scratch->headers.ipv6.src.high >> 32)), (scratch->headers.ipv6.src.high << 32 | scratch->headers.ipv6.src.low >> 32)), (scratch->headers.ipv6.src.low & 0xffffffffu) << 32 | (scratch->headers.ipv6.dst.high >> 32)), (scratch->headers.ipv6.dst.high << 32 | scratch->headers.ipv6.dst.low >> 32)), (scratch->headers.ipv6.dst.low & 0xffffffffu) << 32 | (u64)scratch->meta.src_port << 16 | scratch->meta.dst_port))) & 0x3fff;
		scratch->meta.entropy = scratch->meta.entropy | 0xc000;
	}
	if (scratch->meta.translate && has(scratch, HEADER_TCP)) {
		u8 ipv6_hop_limit = (u8)(scratch->headers.ipv6.hop_limit - 1);
		u16 tcp_src_port = scratch->meta.new_src_port;
		u16 tcp_dst_port = scratch->meta.new_dst_port;
		u64 ipv6_addresses = changed_u128(&scratch->headers.ipv6.src, &scratch->meta.new_src_ipv6) + changed_u128(&scratch->headers.ipv6.dst, &scratch->meta.new_dst_ipv6);
		u64 ipv6_changed = ipv6_addresses + changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
		u64 tcp_changed = changed_u16(scratch->headers.tcp.src_port, tcp_src_port) + changed_u16(scratch->headers.tcp.dst_port, tcp_dst_port);
		u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);
		u8 *tcp = packet_at(ctx, &scratch->packet, scratch->position.tcp, 20);

		if (!ipv6 || !tcp)
			return unable(scratch);
		write_u128(ipv6 + 8, &scratch->meta.new_src_ipv6);
		scratch->headers.ipv6.src = scratch->meta.new_src_ipv6;
		write_u128(ipv6 + 24, &scratch->meta.new_dst_ipv6);
		scratch->headers.ipv6.dst = scratch->meta.new_dst_ipv6;
		write_u8(ipv6 + 7, ipv6_hop_limit);
		scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
		write_u16(tcp, tcp_src_port);
		scratch->headers.tcp.src_port = tcp_src_port;
		write_u16(tcp + 2, tcp_dst_port);
		scratch->headers.tcp.dst_port = tcp_dst_port;
		packet_fix_transport(ctx, &scratch->packet, scratch->position.tcp + 16, tcp_changed, ipv6_addresses, CHECKSUM_OF_IPV6);
		packet_sum_changed(ctx, ipv6_changed - ipv6_addresses);
	} else if (scratch->meta.translate && has(scratch, HEADER_UDP)) {
		u8 ipv6_hop_limit = (u8)(scratch->headers.ipv6.hop_limit - 1);
		u16 udp_src_port = scratch->meta.new_src_port;
		u16 udp_dst_port = scratch->meta.new_dst_port;
		u64 ipv6_addresses = changed_u128(&scratch->headers.ipv6.src, &scratch->meta.new_src_ipv6) + changed_u128(&scratch->headers.ipv6.dst, &scratch->meta.new_dst_ipv6);
		u64 ipv6_changed = ipv6_addresses + changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
		u64 udp_changed = changed_u16(scratch->headers.udp.src_port, udp_src_port) + changed_u16(scratch->headers.udp.dst_port, udp_dst_port);
		u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);
		u8 *udp = packet_at(ctx, &scratch->packet, scratch->position.udp, 8);

		if (!ipv6 || !udp)
			return unable(scratch);
		write_u128(ipv6 + 8, &scratch->meta.new_src_ipv6);
		scratch->headers.ipv6.src = scratch->meta.new_src_ipv6;
		write_u128(ipv6 + 24, &scratch->meta.new_dst_ipv6);
		scratch->headers.ipv6.dst = scratch->meta.new_dst_ipv6;
		write_u8(ipv6 + 7, ipv6_hop_limit);
		scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
		write_u16(udp, udp_src_port);
		scratch->headers.udp.src_port = udp_src_port;
		write_u16(udp + 2, udp_dst_port);
		scratch->headers.udp.dst_port = udp_dst_port;
		packet_fix_transport(ctx, &scratch->packet, scratch->position.udp + 6, udp_changed, ipv6_addresses, CHECKSUM_OF_IPV6 | CHECKSUM_MAY_BE_NONE);
		packet_sum_changed(ctx, ipv6_changed - ipv6_addresses);
	} else {
		u8 ipv6_hop_limit = (u8)(scratch->headers.ipv6.hop_limit - 1);
		u64 ipv6_changed = changed_u16(scratch->headers.ipv6.hop_limit, ipv6_hop_limit);
		u8 *ipv6 = packet_at(ctx, &scratch->packet, scratch->position.ipv6, 40);

		if (!ipv6)
			return unable(scratch);
		write_u8(ipv6 + 7, ipv6_hop_limit);
		scratch->headers.ipv6.hop_limit = ipv6_hop_limit;
		packet_sum_changed(ctx, ipv6_changed);
	}
	return GO_ON;
}

/* Send a packet whose next hop is known. */
static __always_inline enum next fast_forward(struct packet_context *ctx, struct scratch *scratch, struct known *known)
{
	if (!apply_neighbor(scratch)) {
		return UNDECIDED;
	}
	if (scratch->meta.egress_network != scratch->meta.network) {
		return UNDECIDED;
	}
	if (scratch->meta.encapsulate && has(scratch, HEADER_VXLAN)) {
		return UNDECIDED;
	}
	if (has(scratch, HEADER_IPV4)) {
		enum next behind_check_ipv4 = fast_check_ipv4(ctx, scratch);

		if (behind_check_ipv4 != GO_ON)
			return behind_check_ipv4;
	} else if (has(scratch, HEADER_IPV6)) {
		enum next behind_check_ipv6 = fast_check_ipv6(ctx, scratch);

		if (behind_check_ipv6 != GO_ON)
			return behind_check_ipv6;
	}
	if (scratch->meta.error) {
		if (has(scratch, HEADER_VXLAN)) {
			return UNDECIDED;
		}
		if (!apply_network(scratch)) {
			return UNDECIDED;
		}
		if (has(scratch, HEADER_IPV4)) {
			return UNDECIDED;
		} else if (has(scratch, HEADER_IPV6)) {
			return UNDECIDED;
		}
	}
	if (scratch->meta.storage_marked) {
		return UNDECIDED;
	}
	take_over(scratch, known);
	if (has(scratch, HEADER_VXLAN)) {
		if (!packet_pop(ctx, &scratch->packet, 50))
			return unable(scratch);
		scratch->packet.valid &= ~(HEADER_OUTER_ETHERNET | HEADER_OUTER_IPV4 | HEADER_OUTER_UDP | HEADER_VXLAN);
	}
	if (has(scratch, HEADER_IPV4)) {
		enum next behind_send_ipv4 = fast_send_ipv4(ctx, scratch);

		if (behind_send_ipv4 != GO_ON)
			return behind_send_ipv4;
	} else if (has(scratch, HEADER_IPV6)) {
		enum next behind_send_ipv6 = fast_send_ipv6(ctx, scratch);

		if (behind_send_ipv6 != GO_ON)
			return behind_send_ipv6;
	}
	{
		u8 *ethernet = packet_at(ctx, &scratch->packet, scratch->position.ethernet, 14);

		if (!ethernet)
			return unable(scratch);
		write_u48(ethernet, scratch->meta.egress_dst_mac);
		scratch->headers.ethernet.dst = scratch->meta.egress_dst_mac;
		write_u48(ethernet + 6, (scratch->meta.egress_src_mac + scratch->meta.signature) & 0xffffffffffffull);
		scratch->headers.ethernet.src = (scratch->meta.egress_src_mac + scratch->meta.signature) & 0xffffffffffffull;
	}
	if (scratch->meta.encapsulate) {
		u16 outer_ipv4_checksum = ~checksum_fold(0xc511ull + scratch->meta.traffic_class + (u16)(scratch->meta.inner_length + 50) + scratch->meta.tunnel_src + scratch->meta.tunnel_dst);
		u64 words[8] = {
			(u64)scratch->meta.tunnel_dst_mac << 16 | ((u64)scratch->meta.tunnel_src_mac >> 32),
			(u64)scratch->meta.tunnel_src_mac << 32 | (u64)scratch->meta.traffic_class | 0x8004500,
			(u64)((u16)(scratch->meta.inner_length + 50)) << 48 | 0x40004011,
			(u64)outer_ipv4_checksum << 48 | (u64)scratch->meta.tunnel_src << 16 | ((u64)scratch->meta.tunnel_dst >> 16),
			(u64)scratch->meta.tunnel_dst << 48 | (u64)scratch->meta.entropy << 32 | (u64)((u16)(scratch->meta.inner_length + 30)) | 0x12b50000,
			((u64)scratch->meta.tunnel_vni >> 8) | 0x80000000000ull,
			(u64)scratch->meta.tunnel_vni << 56,
		};

		if (!packet_push(ctx, &scratch->packet, words, 50,
				 BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_ENCAP_L2(ETHERNET_BYTES)))
			return unable(scratch);
		scratch->packet.valid |= HEADER_OUTER_ETHERNET | HEADER_OUTER_IPV4 | HEADER_OUTER_UDP | HEADER_VXLAN;
		scratch->headers.outer_ipv4.dst = scratch->meta.tunnel_dst;
		scratch->headers.vxlan.vni = scratch->meta.tunnel_vni;
	} else if (scratch->meta.egress_vlan != 0) {
		s32 moved = packet_push_vlan(ctx, &scratch->packet, scratch->meta.egress_vlan);

		if (moved < 0)
			return unable(scratch);
		scratch->position.ethernet -= moved;
		scratch->position.vlan = scratch->position.ethernet + ETHERNET_BYTES;
		scratch->packet.valid |= HEADER_VLAN;
		scratch->headers.vlan.id = scratch->meta.egress_vlan;
	}
	return forward_to(&scratch->outcome, scratch->meta.egress_port);
}

/* What is in a network: its connection, its way out. */
static __always_inline enum next fast_serve(struct packet_context *ctx, struct scratch *scratch, struct known *known)
{
	if (has(scratch, HEADER_IPV4)) {
		if (scratch->headers.ipv4.version == 4 && scratch->headers.ipv4.header_length > 4) {
			enum next behind_connection_ipv4 = fast_connection_ipv4(scratch, known);

			if (behind_connection_ipv4 != GO_ON)
				return behind_connection_ipv4;
		}
	} else if (has(scratch, HEADER_IPV6)) {
		if (scratch->headers.ipv6.version == 6) {
			enum next behind_connection_ipv6 = fast_connection_ipv6(scratch, known);

			if (behind_connection_ipv6 != GO_ON)
				return behind_connection_ipv6;
		}
	}
	if (scratch->meta.service_id > 0xbfff) {
		return UNDECIDED;
	}
	if (scratch->meta.nexthop != 0) {
		enum next behind_forward = fast_forward(ctx, scratch, known);

		if (behind_forward != GO_ON)
			return behind_forward;
	}
	if (has(scratch, HEADER_VXLAN)) {
		return UNDECIDED;
	}
	return GO_ON;
}

/* What no policy concerns runs off the end, untouched. */
static __always_inline enum next fast_ingress(struct packet_context *ctx, struct scratch *scratch, struct known *known)
{
	{
		enum next behind_classify = fast_classify(scratch);

		if (behind_classify != GO_ON)
			return behind_classify;
	}
	if (scratch->meta.leg > 1) {
		enum next behind_serve = fast_serve(ctx, scratch, known);

		if (behind_serve != GO_ON)
			return behind_serve;
	}
	return GO_ON;
}

/* Test runs read the outcome from the scratch memory of the CPU. */
static __always_inline void show_outcome(const struct scratch *scratch)
{
	struct scratch *shown = test_mode ? scratch_of_cpu() : 0;

	if (!shown)
		return;
	shown->outcome = scratch->outcome;
	shown->packet.tag = scratch->packet.tag;
}

static __always_inline int fast_done(struct packet_context *ctx, struct scratch *scratch, struct known *known,
				     enum next next)
{
	if (next == UNDECIDED)
		return PACKET_UNDECIDED;
	if (next == GO_ON)
		take_over(scratch, known);
	else if (unlikely(scratch->outcome.verdict == VERDICT_DROP))
		count_packet(&drops, scratch->outcome.drop_reason, scratch->packet.length);
	show_outcome(scratch);
	return verdict_done(ctx, &scratch->outcome);
}

/* outer_ethernet, outer_ipv4, outer_udp, vxlan, ethernet, ipv4, tcp */
static __always_inline int fast_vxlan_ethernet_ipv4_tcp(struct packet_context *ctx, u32 port)
{
	const u8 *data = (const u8 *)(unsigned long)ctx->data;
	struct scratch own, *scratch = &own;
	struct known known = {};

	if (data + 104 > (const u8 *)(unsigned long)ctx->data_end)
		return PACKET_UNDECIDED;
	begin(ctx, scratch, port);
	scratch->packet.valid = HEADER_OUTER_ETHERNET | HEADER_OUTER_IPV4 | HEADER_OUTER_UDP | HEADER_VXLAN | HEADER_ETHERNET | HEADER_IPV4 | HEADER_TCP;
	scratch->headers.outer_ipv4.dst = read_u32(data + 14 + 16);
	scratch->headers.vxlan.vni = read_u24(data + 42 + 4);
	scratch->position.ethernet = PACKET_ORIGIN + 50;
	scratch->headers.ethernet.dst = read_u48(data + 50);
	scratch->headers.ethernet.src = read_u48(data + 50 + 6);
	scratch->position.ipv4 = PACKET_ORIGIN + 64;
	scratch->headers.ipv4.version = read_u8(data + 64) >> 4;
	scratch->headers.ipv4.header_length = read_u8(data + 64) & 15;
	scratch->headers.ipv4.traffic_class = read_u8(data + 64 + 1);
	scratch->headers.ipv4.total_length = read_u16(data + 64 + 2);
	scratch->headers.ipv4.identification = read_u16(data + 64 + 4);
	scratch->headers.ipv4.flags = read_u8(data + 64 + 6) >> 5;
	scratch->headers.ipv4.fragment_offset = read_u16(data + 64 + 6) & 0x1fff;
	scratch->headers.ipv4.ttl = read_u8(data + 64 + 8);
	scratch->headers.ipv4.protocol = read_u8(data + 64 + 9);
	scratch->headers.ipv4.src = read_u32(data + 64 + 12);
	scratch->headers.ipv4.dst = read_u32(data + 64 + 16);
	scratch->position.tcp = PACKET_ORIGIN + 84;
	scratch->headers.tcp.src_port = read_u16(data + 84);
	scratch->headers.tcp.dst_port = read_u16(data + 84 + 2);
	scratch->headers.tcp.sequence = read_u32(data + 84 + 4);
	scratch->headers.tcp.acknowledgement = read_u32(data + 84 + 8);
	scratch->headers.tcp.data_offset = read_u8(data + 84 + 12) >> 4;
	scratch->headers.tcp.flags = read_u8(data + 84 + 13);
	scratch->headers.tcp.window = read_u16(data + 84 + 14);
	return fast_done(ctx, scratch, &known, fast_ingress(ctx, scratch, &known));
}

/* outer_ethernet, outer_ipv4, outer_udp, vxlan, ethernet, ipv4, udp */
static __always_inline int fast_vxlan_ethernet_ipv4_udp(struct packet_context *ctx, u32 port)
{
	const u8 *data = (const u8 *)(unsigned long)ctx->data;
	struct scratch own, *scratch = &own;
	struct known known = {};

	if (data + 92 > (const u8 *)(unsigned long)ctx->data_end)
		return PACKET_UNDECIDED;
	begin(ctx, scratch, port);
	scratch->packet.valid = HEADER_OUTER_ETHERNET | HEADER_OUTER_IPV4 | HEADER_OUTER_UDP | HEADER_VXLAN | HEADER_ETHERNET | HEADER_IPV4 | HEADER_UDP;
	scratch->headers.outer_ipv4.dst = read_u32(data + 14 + 16);
	scratch->headers.vxlan.vni = read_u24(data + 42 + 4);
	scratch->position.ethernet = PACKET_ORIGIN + 50;
	scratch->headers.ethernet.dst = read_u48(data + 50);
	scratch->headers.ethernet.src = read_u48(data + 50 + 6);
	scratch->position.ipv4 = PACKET_ORIGIN + 64;
	scratch->headers.ipv4.version = read_u8(data + 64) >> 4;
	scratch->headers.ipv4.header_length = read_u8(data + 64) & 15;
	scratch->headers.ipv4.traffic_class = read_u8(data + 64 + 1);
	scratch->headers.ipv4.total_length = read_u16(data + 64 + 2);
	scratch->headers.ipv4.identification = read_u16(data + 64 + 4);
	scratch->headers.ipv4.flags = read_u8(data + 64 + 6) >> 5;
	scratch->headers.ipv4.fragment_offset = read_u16(data + 64 + 6) & 0x1fff;
	scratch->headers.ipv4.ttl = read_u8(data + 64 + 8);
	scratch->headers.ipv4.protocol = read_u8(data + 64 + 9);
	scratch->headers.ipv4.src = read_u32(data + 64 + 12);
	scratch->headers.ipv4.dst = read_u32(data + 64 + 16);
	scratch->position.udp = PACKET_ORIGIN + 84;
	scratch->headers.udp.src_port = read_u16(data + 84);
	scratch->headers.udp.dst_port = read_u16(data + 84 + 2);
	return fast_done(ctx, scratch, &known, fast_ingress(ctx, scratch, &known));
}

/* outer_ethernet, outer_ipv4, outer_udp, vxlan, ethernet, ipv6, tcp */
static __always_inline int fast_vxlan_ethernet_ipv6_tcp(struct packet_context *ctx, u32 port)
{
	const u8 *data = (const u8 *)(unsigned long)ctx->data;
	struct scratch own, *scratch = &own;
	struct known known = {};

	if (data + 124 > (const u8 *)(unsigned long)ctx->data_end)
		return PACKET_UNDECIDED;
	begin(ctx, scratch, port);
	scratch->packet.valid = HEADER_OUTER_ETHERNET | HEADER_OUTER_IPV4 | HEADER_OUTER_UDP | HEADER_VXLAN | HEADER_ETHERNET | HEADER_IPV6 | HEADER_TCP;
	scratch->headers.outer_ipv4.dst = read_u32(data + 14 + 16);
	scratch->headers.vxlan.vni = read_u24(data + 42 + 4);
	scratch->position.ethernet = PACKET_ORIGIN + 50;
	scratch->headers.ethernet.dst = read_u48(data + 50);
	scratch->headers.ethernet.src = read_u48(data + 50 + 6);
	scratch->position.ipv6 = PACKET_ORIGIN + 64;
	scratch->headers.ipv6.version = read_u8(data + 64) >> 4;
	scratch->headers.ipv6.traffic_class = (read_u16(data + 64) >> 4) & 255;
	scratch->headers.ipv6.payload_length = read_u16(data + 64 + 4);
	scratch->headers.ipv6.hop_limit = read_u8(data + 64 + 7);
	read_u128(&scratch->headers.ipv6.src, data + 64 + 8);
	read_u128(&scratch->headers.ipv6.dst, data + 64 + 24);
	scratch->position.tcp = PACKET_ORIGIN + 104;
	scratch->headers.tcp.src_port = read_u16(data + 104);
	scratch->headers.tcp.dst_port = read_u16(data + 104 + 2);
	scratch->headers.tcp.sequence = read_u32(data + 104 + 4);
	scratch->headers.tcp.acknowledgement = read_u32(data + 104 + 8);
	scratch->headers.tcp.data_offset = read_u8(data + 104 + 12) >> 4;
	scratch->headers.tcp.flags = read_u8(data + 104 + 13);
	scratch->headers.tcp.window = read_u16(data + 104 + 14);
	return fast_done(ctx, scratch, &known, fast_ingress(ctx, scratch, &known));
}

/* outer_ethernet, outer_ipv4, outer_udp, vxlan, ethernet, ipv6, udp */
static __always_inline int fast_vxlan_ethernet_ipv6_udp(struct packet_context *ctx, u32 port)
{
	const u8 *data = (const u8 *)(unsigned long)ctx->data;
	struct scratch own, *scratch = &own;
	struct known known = {};

	if (data + 112 > (const u8 *)(unsigned long)ctx->data_end)
		return PACKET_UNDECIDED;
	begin(ctx, scratch, port);
	scratch->packet.valid = HEADER_OUTER_ETHERNET | HEADER_OUTER_IPV4 | HEADER_OUTER_UDP | HEADER_VXLAN | HEADER_ETHERNET | HEADER_IPV6 | HEADER_UDP;
	scratch->headers.outer_ipv4.dst = read_u32(data + 14 + 16);
	scratch->headers.vxlan.vni = read_u24(data + 42 + 4);
	scratch->position.ethernet = PACKET_ORIGIN + 50;
	scratch->headers.ethernet.dst = read_u48(data + 50);
	scratch->headers.ethernet.src = read_u48(data + 50 + 6);
	scratch->position.ipv6 = PACKET_ORIGIN + 64;
	scratch->headers.ipv6.version = read_u8(data + 64) >> 4;
	scratch->headers.ipv6.traffic_class = (read_u16(data + 64) >> 4) & 255;
	scratch->headers.ipv6.payload_length = read_u16(data + 64 + 4);
	scratch->headers.ipv6.hop_limit = read_u8(data + 64 + 7);
	read_u128(&scratch->headers.ipv6.src, data + 64 + 8);
	read_u128(&scratch->headers.ipv6.dst, data + 64 + 24);
	scratch->position.udp = PACKET_ORIGIN + 104;
	scratch->headers.udp.src_port = read_u16(data + 104);
	scratch->headers.udp.dst_port = read_u16(data + 104 + 2);
	return fast_done(ctx, scratch, &known, fast_ingress(ctx, scratch, &known));
}

/* ethernet, ipv4, tcp */
static __always_inline int fast_ethernet_ipv4_tcp(struct packet_context *ctx, u32 port)
{
	const u8 *data = (const u8 *)(unsigned long)ctx->data;
	struct scratch own, *scratch = &own;
	struct known known = {};

	if (data + 54 > (const u8 *)(unsigned long)ctx->data_end)
		return PACKET_UNDECIDED;
	begin(ctx, scratch, port);
	scratch->packet.valid = HEADER_ETHERNET | HEADER_IPV4 | HEADER_TCP;
	scratch->position.ethernet = PACKET_ORIGIN;
	scratch->headers.ethernet.dst = read_u48(data);
	scratch->headers.ethernet.src = read_u48(data + 6);
	scratch->position.ipv4 = PACKET_ORIGIN + 14;
	scratch->headers.ipv4.version = read_u8(data + 14) >> 4;
	scratch->headers.ipv4.header_length = read_u8(data + 14) & 15;
	scratch->headers.ipv4.traffic_class = read_u8(data + 14 + 1);
	scratch->headers.ipv4.total_length = read_u16(data + 14 + 2);
	scratch->headers.ipv4.identification = read_u16(data + 14 + 4);
	scratch->headers.ipv4.flags = read_u8(data + 14 + 6) >> 5;
	scratch->headers.ipv4.fragment_offset = read_u16(data + 14 + 6) & 0x1fff;
	scratch->headers.ipv4.ttl = read_u8(data + 14 + 8);
	scratch->headers.ipv4.protocol = read_u8(data + 14 + 9);
	scratch->headers.ipv4.src = read_u32(data + 14 + 12);
	scratch->headers.ipv4.dst = read_u32(data + 14 + 16);
	scratch->position.tcp = PACKET_ORIGIN + 34;
	scratch->headers.tcp.src_port = read_u16(data + 34);
	scratch->headers.tcp.dst_port = read_u16(data + 34 + 2);
	scratch->headers.tcp.sequence = read_u32(data + 34 + 4);
	scratch->headers.tcp.acknowledgement = read_u32(data + 34 + 8);
	scratch->headers.tcp.data_offset = read_u8(data + 34 + 12) >> 4;
	scratch->headers.tcp.flags = read_u8(data + 34 + 13);
	scratch->headers.tcp.window = read_u16(data + 34 + 14);
	return fast_done(ctx, scratch, &known, fast_ingress(ctx, scratch, &known));
}

/* ethernet, ipv4, udp */
static __always_inline int fast_ethernet_ipv4_udp(struct packet_context *ctx, u32 port)
{
	const u8 *data = (const u8 *)(unsigned long)ctx->data;
	struct scratch own, *scratch = &own;
	struct known known = {};

	if (data + 42 > (const u8 *)(unsigned long)ctx->data_end)
		return PACKET_UNDECIDED;
	begin(ctx, scratch, port);
	scratch->packet.valid = HEADER_ETHERNET | HEADER_IPV4 | HEADER_UDP;
	scratch->position.ethernet = PACKET_ORIGIN;
	scratch->headers.ethernet.dst = read_u48(data);
	scratch->headers.ethernet.src = read_u48(data + 6);
	scratch->position.ipv4 = PACKET_ORIGIN + 14;
	scratch->headers.ipv4.version = read_u8(data + 14) >> 4;
	scratch->headers.ipv4.header_length = read_u8(data + 14) & 15;
	scratch->headers.ipv4.traffic_class = read_u8(data + 14 + 1);
	scratch->headers.ipv4.total_length = read_u16(data + 14 + 2);
	scratch->headers.ipv4.identification = read_u16(data + 14 + 4);
	scratch->headers.ipv4.flags = read_u8(data + 14 + 6) >> 5;
	scratch->headers.ipv4.fragment_offset = read_u16(data + 14 + 6) & 0x1fff;
	scratch->headers.ipv4.ttl = read_u8(data + 14 + 8);
	scratch->headers.ipv4.protocol = read_u8(data + 14 + 9);
	scratch->headers.ipv4.src = read_u32(data + 14 + 12);
	scratch->headers.ipv4.dst = read_u32(data + 14 + 16);
	scratch->position.udp = PACKET_ORIGIN + 34;
	scratch->headers.udp.src_port = read_u16(data + 34);
	scratch->headers.udp.dst_port = read_u16(data + 34 + 2);
	return fast_done(ctx, scratch, &known, fast_ingress(ctx, scratch, &known));
}

/* ethernet, ipv6, tcp */
static __always_inline int fast_ethernet_ipv6_tcp(struct packet_context *ctx, u32 port)
{
	const u8 *data = (const u8 *)(unsigned long)ctx->data;
	struct scratch own, *scratch = &own;
	struct known known = {};

	if (data + 74 > (const u8 *)(unsigned long)ctx->data_end)
		return PACKET_UNDECIDED;
	begin(ctx, scratch, port);
	scratch->packet.valid = HEADER_ETHERNET | HEADER_IPV6 | HEADER_TCP;
	scratch->position.ethernet = PACKET_ORIGIN;
	scratch->headers.ethernet.dst = read_u48(data);
	scratch->headers.ethernet.src = read_u48(data + 6);
	scratch->position.ipv6 = PACKET_ORIGIN + 14;
	scratch->headers.ipv6.version = read_u8(data + 14) >> 4;
	scratch->headers.ipv6.traffic_class = (read_u16(data + 14) >> 4) & 255;
	scratch->headers.ipv6.payload_length = read_u16(data + 14 + 4);
	scratch->headers.ipv6.hop_limit = read_u8(data + 14 + 7);
	read_u128(&scratch->headers.ipv6.src, data + 14 + 8);
	read_u128(&scratch->headers.ipv6.dst, data + 14 + 24);
	scratch->position.tcp = PACKET_ORIGIN + 54;
	scratch->headers.tcp.src_port = read_u16(data + 54);
	scratch->headers.tcp.dst_port = read_u16(data + 54 + 2);
	scratch->headers.tcp.sequence = read_u32(data + 54 + 4);
	scratch->headers.tcp.acknowledgement = read_u32(data + 54 + 8);
	scratch->headers.tcp.data_offset = read_u8(data + 54 + 12) >> 4;
	scratch->headers.tcp.flags = read_u8(data + 54 + 13);
	scratch->headers.tcp.window = read_u16(data + 54 + 14);
	return fast_done(ctx, scratch, &known, fast_ingress(ctx, scratch, &known));
}

/* ethernet, ipv6, udp */
static __always_inline int fast_ethernet_ipv6_udp(struct packet_context *ctx, u32 port)
{
	const u8 *data = (const u8 *)(unsigned long)ctx->data;
	struct scratch own, *scratch = &own;
	struct known known = {};

	if (data + 62 > (const u8 *)(unsigned long)ctx->data_end)
		return PACKET_UNDECIDED;
	begin(ctx, scratch, port);
	scratch->packet.valid = HEADER_ETHERNET | HEADER_IPV6 | HEADER_UDP;
	scratch->position.ethernet = PACKET_ORIGIN;
	scratch->headers.ethernet.dst = read_u48(data);
	scratch->headers.ethernet.src = read_u48(data + 6);
	scratch->position.ipv6 = PACKET_ORIGIN + 14;
	scratch->headers.ipv6.version = read_u8(data + 14) >> 4;
	scratch->headers.ipv6.traffic_class = (read_u16(data + 14) >> 4) & 255;
	scratch->headers.ipv6.payload_length = read_u16(data + 14 + 4);
	scratch->headers.ipv6.hop_limit = read_u8(data + 14 + 7);
	read_u128(&scratch->headers.ipv6.src, data + 14 + 8);
	read_u128(&scratch->headers.ipv6.dst, data + 14 + 24);
	scratch->position.udp = PACKET_ORIGIN + 54;
	scratch->headers.udp.src_port = read_u16(data + 54);
	scratch->headers.udp.dst_port = read_u16(data + 54 + 2);
	return fast_done(ctx, scratch, &known, fast_ingress(ctx, scratch, &known));
}

/* The kind of a packet, told from its first bytes. */
static __always_inline int fast_process(struct packet_context *ctx, u32 port)
{
	const u8 *data = (const u8 *)(unsigned long)ctx->data;
	const u8 *end = (const u8 *)(unsigned long)ctx->data_end;

	if (!uses_fast_path || packet_has_hidden_tag(ctx))
		return PACKET_UNDECIDED;
	if (!(port & 0xfff0)) {
		if (data + 38 > end)
			return PACKET_UNDECIDED;
		if (read_u16(data + 12) == 0x800 && read_u8(data + 14) == 69 && !(read_u16(data + 20) & 0x3fff) && read_u8(data + 23) == 17 && read_u16(data + 36) == 0x12b5) {
			if (data + 64 > end)
				return PACKET_UNDECIDED;
			u16 ethernet_type = read_u16(data + 50 + 12);
			if (ethernet_type == 0x800) {
				if (data + 84 > end)
					return PACKET_UNDECIDED;
				u8 ipv4_version = read_u8(data + 64) >> 4;
				u8 ipv4_header_length = read_u8(data + 64) & 15;
				u16 ipv4_fragment_offset = read_u16(data + 64 + 6) & 0x1fff;
				u8 ipv4_protocol = read_u8(data + 64 + 9);
				if (ipv4_version == 4 && ipv4_header_length == 5 && !ipv4_fragment_offset && ipv4_protocol == 6) {
					if (data + 104 > end)
						return PACKET_UNDECIDED;
					if ((read_u8(data + 84 + 13) & 23) == 2)
						return PACKET_UNDECIDED;
					return fast_vxlan_ethernet_ipv4_tcp(ctx, port);
				}
				if (ipv4_version == 4 && ipv4_header_length == 5 && !ipv4_fragment_offset && ipv4_protocol == 17) {
					return fast_vxlan_ethernet_ipv4_udp(ctx, port);
				}
				return PACKET_UNDECIDED;
			}
			if (ethernet_type == 0x86dd) {
				if (data + 104 > end)
					return PACKET_UNDECIDED;
				u8 ipv6_version = read_u8(data + 64) >> 4;
				u8 ipv6_next_header = read_u8(data + 64 + 6);
				if (ipv6_version == 6 && ipv6_next_header == 6) {
					if (data + 124 > end)
						return PACKET_UNDECIDED;
					if ((read_u8(data + 104 + 13) & 23) == 2)
						return PACKET_UNDECIDED;
					return fast_vxlan_ethernet_ipv6_tcp(ctx, port);
				}
				if (ipv6_version == 6 && ipv6_next_header == 17) {
					return fast_vxlan_ethernet_ipv6_udp(ctx, port);
				}
				return PACKET_UNDECIDED;
			}
			return PACKET_UNDECIDED;
		}
		u16 ethernet_type = read_u16(data + 12);
		if (ethernet_type == 0x800) {
			u8 ipv4_version = read_u8(data + 14) >> 4;
			u8 ipv4_header_length = read_u8(data + 14) & 15;
			u16 ipv4_fragment_offset = read_u16(data + 14 + 6) & 0x1fff;
			u8 ipv4_protocol = read_u8(data + 14 + 9);
			if (ipv4_version == 4 && ipv4_header_length == 5 && !ipv4_fragment_offset && ipv4_protocol == 6) {
				if (data + 54 > end)
					return PACKET_UNDECIDED;
				if ((read_u8(data + 34 + 13) & 23) == 2)
					return PACKET_UNDECIDED;
				return fast_ethernet_ipv4_tcp(ctx, port);
			}
			if (ipv4_version == 4 && ipv4_header_length == 5 && !ipv4_fragment_offset && ipv4_protocol == 17) {
				return fast_ethernet_ipv4_udp(ctx, port);
			}
			return PACKET_UNDECIDED;
		}
		if (ethernet_type == 0x86dd) {
			if (data + 54 > end)
				return PACKET_UNDECIDED;
			u8 ipv6_version = read_u8(data + 14) >> 4;
			u8 ipv6_next_header = read_u8(data + 14 + 6);
			if (ipv6_version == 6 && ipv6_next_header == 6) {
				if (data + 74 > end)
					return PACKET_UNDECIDED;
				if ((read_u8(data + 54 + 13) & 23) == 2)
					return PACKET_UNDECIDED;
				return fast_ethernet_ipv6_tcp(ctx, port);
			}
			if (ipv6_version == 6 && ipv6_next_header == 17) {
				return fast_ethernet_ipv6_udp(ctx, port);
			}
			return PACKET_UNDECIDED;
		}
		return PACKET_UNDECIDED;
	}
	if (data + 14 > end)
		return PACKET_UNDECIDED;
	u16 ethernet_type = read_u16(data + 12);
	if (ethernet_type == 0x800) {
		if (data + 34 > end)
			return PACKET_UNDECIDED;
		u8 ipv4_version = read_u8(data + 14) >> 4;
		u8 ipv4_header_length = read_u8(data + 14) & 15;
		u16 ipv4_fragment_offset = read_u16(data + 14 + 6) & 0x1fff;
		u8 ipv4_protocol = read_u8(data + 14 + 9);
		if (ipv4_version == 4 && ipv4_header_length == 5 && !ipv4_fragment_offset && ipv4_protocol == 6) {
			if (data + 54 > end)
				return PACKET_UNDECIDED;
			if ((read_u8(data + 34 + 13) & 23) == 2)
				return PACKET_UNDECIDED;
			return fast_ethernet_ipv4_tcp(ctx, port);
		}
		if (ipv4_version == 4 && ipv4_header_length == 5 && !ipv4_fragment_offset && ipv4_protocol == 17) {
			return fast_ethernet_ipv4_udp(ctx, port);
		}
		return PACKET_UNDECIDED;
	}
	if (ethernet_type == 0x86dd) {
		if (data + 54 > end)
			return PACKET_UNDECIDED;
		u8 ipv6_version = read_u8(data + 14) >> 4;
		u8 ipv6_next_header = read_u8(data + 14 + 6);
		if (ipv6_version == 6 && ipv6_next_header == 6) {
			if (data + 74 > end)
				return PACKET_UNDECIDED;
			if ((read_u8(data + 54 + 13) & 23) == 2)
				return PACKET_UNDECIDED;
			return fast_ethernet_ipv6_tcp(ctx, port);
		}
		if (ipv6_version == 6 && ipv6_next_header == 17) {
			return fast_ethernet_ipv6_udp(ctx, port);
		}
		return PACKET_UNDECIDED;
	}
	return PACKET_UNDECIDED;
}

/* The way of any packet through the pipeline. */
static __always_inline int process(struct packet_context *ctx, u32 port)
{
	struct scratch *scratch = scratch_of_cpu();

	if (!scratch)
		return VERDICT_NONE;
	packet_reach(ctx, 164);
	begin(ctx, scratch, port);
	scratch->connections_ipv4_half = (struct flow_half){};
	scratch->connections_ipv4_counted = 0;
	scratch->connections_ipv6_half = (struct flow_half){};
	scratch->connections_ipv6_counted = 0;
	scratch->affinities_half = (struct flow_half){};
	if (port && parse(ctx, scratch)) {
		ingress(ctx, scratch);
		count_later(scratch);
	}
	return verdict_done(ctx, &scratch->outcome);
}

/*
 * The way of any packet is a program of its own, which the first one goes on to by a tail call: a packet on the fast path
 * returns from one function only, and neither program saves registers for the other.
 */
#if defined(TURNOUT_XDP)
SEC("xdp") int whole_xdp(struct xdp_md *ctx)
#else
SEC("tc") int whole_tc(struct __sk_buff *ctx)
#endif
{
	return process(ctx, port_of(ctx->ingress_ifindex));
}

#if defined(TURNOUT_TC)
/* A device's, which outlives it: the program that goes with the one in the dispatcher. */
struct {
	int (*type)[BPF_MAP_TYPE_PROG_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	u32 *value;
} dispatch_whole SEC(".maps");
#endif

/* Of whoever loads this file alone: the kernel empties it with the last descriptor or pin of this map. */
struct {
	int (*type)[BPF_MAP_TYPE_PROG_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	int (*values[])(struct packet_context *ctx);
} own_whole SEC(".maps") = {
#if defined(TURNOUT_XDP)
	.values = {whole_xdp},
#else
	.values = {whole_tc},
#endif
};

/* Never comes back, unless nobody says what the whole program is: then the packet is lost. */
static __always_inline int whole(struct packet_context *ctx)
{
#if defined(TURNOUT_TC)
	bpf_tail_call(ctx, &dispatch_whole, 0);
#endif
	bpf_tail_call(ctx, &own_whole, 0);
	return VERDICT_LOST;
}

#if defined(TURNOUT_XDP)
SEC("xdp") int turnout_xdp(struct xdp_md *ctx)
#else
SEC("tc") int turnout_tc(struct __sk_buff *ctx)
#endif
{
	u32 port = port_of(ctx->ingress_ifindex);
	int verdict = fast_process(ctx, port);

	return verdict == PACKET_UNDECIDED ? whole(ctx) : verdict;
}

char LICENSE[] SEC("license") = "GPL";
