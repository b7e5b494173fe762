/*
 * In front of a proxy, on the interface by which redirected packets come in: gives each to the proxy's socket, though it
 * is addressed to somebody else. A segment of a connection that the proxy has goes to that connection, one that opens
 * another to the proxy's listener. The segment itself stays as it is, so the proxy sees who opened the connection and
 * to where.
 *
 * What it does not know goes on to the stack, which answers a segment of no connection by a RST: that is what a client
 * meets when nothing listens. Needs Linux 5.7, for bpf_sk_assign.
 */
#include "turnout/bpf.h"

#define ETHERTYPE_IPV4 0x0008 /* as they are in the packet */
#define ETHERTYPE_IPV6 0xdd86
#define PROTOCOL_TCP 6
#define TCP_OPENS 0x02 /* of SYN, ACK, RST and FIN */
#define TCP_FLAGS 0x17
#define ETHERNET_BYTES 14
#define BPF_F_CURRENT_NETNS -1
#define TCP_LISTEN 10

struct bpf_sock {
	u32 bound_dev_if;
	u32 family;
	u32 type;
	u32 protocol;
	u32 mark;
	u32 priority;
	u32 src_ip4;
	u32 src_ip6[4];
	u32 src_port;
	u16 dst_port;
	u16 : 16;
	u32 dst_ip4;
	u32 dst_ip6[4];
	u32 state;
	s32 rx_queue_mapping;
};

struct ipv4_tuple {
	u32 src;
	u32 dst;
	u16 src_port;
	u16 dst_port;
};

struct ipv6_tuple {
	u32 src[4];
	u32 dst[4];
	u16 src_port;
	u16 dst_port;
};

static long (*const bpf_sk_release)(struct bpf_sock *sock) = (void *)86;
static struct bpf_sock *(*const bpf_skc_lookup_tcp)(struct __sk_buff *skb, void *tuple, u32 size, u64 netns,
						     u64 flags) = (void *)99;
static long (*const bpf_sk_assign)(struct __sk_buff *skb, struct bpf_sock *sock, u64 flags) = (void *)124;

/* The proxy's own addresses and the port that it listens on, in network byte order. */
const volatile u32 own_ipv4;
const volatile u32 own_ipv6[4];
const volatile u16 listen_port;

static __always_inline int give(struct __sk_buff *skb, struct bpf_sock *sock)
{
	long refused = bpf_sk_assign(skb, sock, 0);

	bpf_sk_release(sock);
	return refused ? TC_ACT_SHOT : TCX_NEXT;
}

/* `tuple` is the packet's, and then that of a connection to the proxy's own port. */
#define STEER(skb, tuple, is_own, set_own, opens)                                                                      \
	({                                                                                                             \
		int verdict = TCX_NEXT;                                                                                \
		struct bpf_sock *sock;                                                                                 \
                                                                                                                       \
		sock = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple), BPF_F_CURRENT_NETNS, 0);                         \
		if (sock && sock->state != TCP_LISTEN) {                                                               \
			verdict = give(skb, sock);                                                                     \
		} else {                                                                                               \
			if (sock)                                                                                      \
				bpf_sk_release(sock);                                                                  \
			if ((opens) && !(is_own)) {                                                                    \
				set_own;                                                                               \
				tuple.dst_port = listen_port;                                                          \
				sock = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple), BPF_F_CURRENT_NETNS, 0);         \
				if (sock && sock->state == TCP_LISTEN)                                                 \
					verdict = give(skb, sock);                                                     \
				else if (sock)                                                                         \
					bpf_sk_release(sock);                                                          \
			}                                                                                              \
		}                                                                                                      \
		verdict;                                                                                               \
	})

static __always_inline bool opens_connection(struct __sk_buff *skb, u32 tcp)
{
	u8 flags = 0;

	return !bpf_skb_load_bytes(skb, tcp + 13, &flags, 1) && (flags & TCP_FLAGS) == TCP_OPENS;
}

static __always_inline int steer_ipv4(struct __sk_buff *skb)
{
	struct ipv4_tuple tuple = {};
	u8 length = 0, protocol = 0;
	u16 fragment = 0;
	u32 tcp;

	if (bpf_skb_load_bytes(skb, ETHERNET_BYTES, &length, 1) ||
	    bpf_skb_load_bytes(skb, ETHERNET_BYTES + 6, &fragment, 2) ||
	    bpf_skb_load_bytes(skb, ETHERNET_BYTES + 9, &protocol, 1) ||
	    bpf_skb_load_bytes(skb, ETHERNET_BYTES + 12, &tuple, 8))
		return TCX_NEXT;
	tcp = ETHERNET_BYTES + 4 * (length & 0x0f);
	if (protocol != PROTOCOL_TCP || fragment & 0xff1f || bpf_skb_load_bytes(skb, tcp, &tuple.src_port, 4))
		return TCX_NEXT;
	return STEER(skb, tuple, tuple.dst == own_ipv4, tuple.dst = own_ipv4, opens_connection(skb, tcp));
}

static __always_inline bool is_own_ipv6(const struct ipv6_tuple *tuple)
{
	return tuple->dst[0] == own_ipv6[0] && tuple->dst[1] == own_ipv6[1] && tuple->dst[2] == own_ipv6[2] &&
	       tuple->dst[3] == own_ipv6[3];
}

static __always_inline void set_own_ipv6(struct ipv6_tuple *tuple)
{
	tuple->dst[0] = own_ipv6[0];
	tuple->dst[1] = own_ipv6[1];
	tuple->dst[2] = own_ipv6[2];
	tuple->dst[3] = own_ipv6[3];
}

static __always_inline int steer_ipv6(struct __sk_buff *skb)
{
	u32 tcp = ETHERNET_BYTES + 40;
	struct ipv6_tuple tuple = {};
	u8 next_header = 0;

	if (bpf_skb_load_bytes(skb, ETHERNET_BYTES + 6, &next_header, 1) || next_header != PROTOCOL_TCP ||
	    bpf_skb_load_bytes(skb, ETHERNET_BYTES + 8, &tuple, 32) ||
	    bpf_skb_load_bytes(skb, tcp, &tuple.src_port, 4))
		return TCX_NEXT;
	return STEER(skb, tuple, is_own_ipv6(&tuple), set_own_ipv6(&tuple), opens_connection(skb, tcp));
}

SEC("tc")
int turnout_steer(struct __sk_buff *skb)
{
	if (skb->protocol == ETHERTYPE_IPV4)
		return steer_ipv4(skb);
	if (skb->protocol == ETHERTYPE_IPV6)
		return steer_ipv6(skb);
	return TCX_NEXT;
}

char LICENSE[] SEC("license") = "GPL";
