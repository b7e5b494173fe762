/*
 * For comparison: a load balancer as one would write it by hand, for IPv4 and TCP alone. An LRU_HASH keeps the backend
 * of each connection; the packet is translated and leaves in VXLAN. No reply direction, TCP state, ageing, or networks.
 */
#include "turnout/bpf.h"
#include "turnout/checksum.h"
#include "turnout/clock.h"

#define FRAME_BYTES 54
#define TUNNEL_BYTES 50
#define BACKENDS 64

struct connection_key {
	u32 src;
	u32 dst;
	u32 ports;
	u32 protocol;
};

struct connection {
	u32 backend;
	u32 seen_ms;
	u64 packets;
	u64 bytes;
};

struct backend {
	u32 address;
	u32 port;
	u32 tunnel_src;
	u32 tunnel_dst;
};

struct {
	int (*type)[9]; /* BPF_MAP_TYPE_LRU_HASH */
	int (*max_entries)[CONNECTIONS];
	struct connection_key *key;
	struct connection *value;
} connections SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[BACKENDS];
	u32 *key;
	struct backend *value;
} backends SEC(".maps");

static long (*const bpf_map_update_elem)(const void *map, const void *key, const void *value, u64 flags) = (void *)2;

static __always_inline struct connection *connection_of(const struct connection_key *key)
{
	struct connection fresh = {.backend = (key->ports ^ key->src) % BACKENDS};
	struct connection *known = bpf_map_lookup_elem(&connections, key);

	if (known)
		return known;
	bpf_map_update_elem(&connections, key, &fresh, 0);
	return bpf_map_lookup_elem(&connections, key);
}

static __always_inline void translate(u8 *ip, u32 from, const struct backend *to)
{
	u8 *tcp = ip + 20;
	u64 difference = changed_u32(from, to->address);

	write_u16(ip + 10, checksum_update(read_u16(ip + 10), difference));
	difference += changed_u16(read_u16(tcp + 2), to->port);
	write_u16(tcp + 16, checksum_update(read_u16(tcp + 16), difference));
	write_u32(ip + 16, to->address);
	write_u16(tcp + 2, to->port);
}

static __always_inline void write_tunnel(u8 *front, u16 length, u16 entropy, const struct backend *to)
{
	u8 *ip = front + 14, *udp = ip + 20;
	u64 sum = 0x4500 + 0x4000 + 0x4011 + (u64)(length + TUNNEL_BYTES) + to->tunnel_src + (u64)to->tunnel_dst;

	write_u48(front, 0x020000000102);
	write_u48(front + 6, 0x020000000101);
	write_u16(front + 12, 0x0800);
	write_u32(ip, 0x45000000 | (length + TUNNEL_BYTES));
	write_u32(ip + 4, 0x4000);
	write_u32(ip + 8, 0x40110000 | (u16)~checksum_fold(sum));
	write_u32(ip + 12, to->tunnel_src);
	write_u32(ip + 16, to->tunnel_dst);
	write_u32(udp, (u32)entropy << 16 | 4789);
	write_u32(udp + 4, (u32)(length + 30) << 16);
	write_u64(udp + 8, 0x08ull << 56 | 1001 << 8);
}

SEC("xdp") int reference(struct xdp_md *ctx)
{
	u8 *frame = (u8 *)(unsigned long)ctx->data, *ip = frame + 14;

	if (frame + FRAME_BYTES > (u8 *)(unsigned long)ctx->data_end)
		return XDP_PASS;
	if (read_u16(frame + 12) != 0x0800 || read_u8(ip) != 0x45 || read_u8(ip + 9) != 6)
		return XDP_PASS;
	struct connection_key key = {read_u32(ip + 12), read_u32(ip + 16), read_u32(ip + 20), 6};
	struct connection *connection = connection_of(&key);
	if (!connection)
		return XDP_DROP;
	u32 index = connection->backend;
	struct backend *to = bpf_map_lookup_elem(&backends, &index);
	if (!to)
		return XDP_DROP;
	u16 length = read_u16(ip + 2);
	connection->seen_ms = clock_ms();
	connection->packets++;
	connection->bytes += length;
	translate(ip, key.dst, to);
	if (bpf_xdp_adjust_head(ctx, -TUNNEL_BYTES))
		return XDP_DROP;
	frame = (u8 *)(unsigned long)ctx->data;
	if (frame + TUNNEL_BYTES > (u8 *)(unsigned long)ctx->data_end)
		return XDP_DROP;
	write_tunnel(frame, length, 0xc000 | ((key.ports ^ key.src) & 0x3fff), to);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "GPL";
