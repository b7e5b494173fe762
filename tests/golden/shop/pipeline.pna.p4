// Services, tunnels and routes of the networks that a device serves.
// Printed by Turnout from the pipeline turnout, version 12, for the Portable NIC Architecture.
// docs/p4.md says where this target differs.
// SPDX-License-Identifier: Apache-2.0
#include <core.p4>
#include <pna.p4>

/// The service has no ready backend; the sender is told, where it can be.
const bit<32> DROP_NO_BACKEND = 1;

/// The network has no such destination.
const bit<32> DROP_NO_ROUTE = 2;

/// The next hop is not known.
const bit<32> DROP_NO_NEIGHBOR = 3;

/// Other connections have the source port and those that were tried.
const bit<32> DROP_FLOW_CLASH = 4;

/// Only established connections are left in the two sets.
const bit<32> DROP_FLOW_TABLE_FULL = 5;

/// A packet from a tunnel would go into a tunnel.
const bit<32> DROP_TUNNEL_LOOP = 6;

/// Too large for the way out, and may be fragmented; this is not.
const bit<32> DROP_FRAGMENTATION_NEEDED = 7;

/// Too large or too old, and no ICMP error can be sent.
const bit<32> DROP_ERROR_NOT_SENT = 8;

/// The flow's next hop has become one of another network.
const bit<32> DROP_OTHER_NETWORK = 9;

/// A connection of the mesh that is not to go on without a proxy.
const bit<32> DROP_NO_PROXY = 10;

/// A MeshRedirect denies the connection.
const bit<32> DROP_MESH_DENIED = 11;

/// Beyond the rate of the portal or registry, in this direction.
const bit<32> DROP_RATE_EXCEEDED = 12;

/// Beyond the connections a second that a MeshRedirect gives the workload.
const bit<32> DROP_MESH_LIMIT = 13;

/// The service does not let this client outside in.
const bit<32> DROP_SOURCE_DENIED = 14;

/// The host port: what the pipeline leaves to the kernel goes there as it came.
const PortIdUint_t KERNEL_PORT = 510;

/// An expiry profile that the control plane sets to 60000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV4_TCP_NEW = 1;

/// An expiry profile that the control plane sets to 60000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV4_TCP_HEARD = 6;

/// An expiry profile that the control plane sets to 7440000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV4_TCP_ESTABLISHED = 2;

/// An expiry profile that the control plane sets to 10000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV4_TCP_CLOSING = 3;

/// An expiry profile that the control plane sets to 10000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV4_TCP_CLOSED = 7;

/// An expiry profile that the control plane sets to 10000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV4_TCP_RESET = 8;

/// An expiry profile that the control plane sets to 30000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV4_UDP_NEW = 4;

/// An expiry profile that the control plane sets to 120000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV4_UDP_STREAM = 5;

/// An expiry profile that the control plane sets to 60000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV6_TCP_NEW = 1;

/// An expiry profile that the control plane sets to 60000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV6_TCP_HEARD = 6;

/// An expiry profile that the control plane sets to 7440000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV6_TCP_ESTABLISHED = 2;

/// An expiry profile that the control plane sets to 10000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV6_TCP_CLOSING = 3;

/// An expiry profile that the control plane sets to 10000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV6_TCP_CLOSED = 7;

/// An expiry profile that the control plane sets to 10000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV6_TCP_RESET = 8;

/// An expiry profile that the control plane sets to 30000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV6_UDP_NEW = 4;

/// An expiry profile that the control plane sets to 120000 ms.
const ExpireTimeProfileIdUint_t CONNECTIONS_IPV6_UDP_STREAM = 5;

/// IEEE 802.3
header ethernet_t {
    bit<48> dst;
    bit<48> src;
    bit<16> type;
}

/// IEEE 802.1Q tag
header vlan_t {
    bit<3> priority;
    bit<1> drop_eligible;
    bit<12> id;
    bit<16> type;
}

/// RFC 826, for Ethernet and IPv4
header arp_t {
    bit<16> hardware_type;
    bit<16> protocol_type;
    bit<8> hardware_length;
    bit<8> protocol_length;
    bit<16> operation;
    bit<48> sender_mac;
    bit<32> sender_address;
    bit<48> target_mac;
    bit<32> target_address;
}

/// RFC 791, without options
header ipv4_t {
    bit<4> version;
    bit<4> header_length;
    bit<8> traffic_class;
    bit<16> total_length;
    bit<16> identification;
    bit<3> flags;
    bit<13> fragment_offset;
    bit<8> ttl;
    bit<8> protocol;
    bit<16> checksum;
    bit<32> src;
    bit<32> dst;
}

/// RFC 8200, without extension headers
header ipv6_t {
    bit<4> version;
    bit<8> traffic_class;
    bit<20> flow_label;
    bit<16> payload_length;
    bit<8> next_header;
    bit<8> hop_limit;
    bit<128> src;
    bit<128> dst;
}

/// RFC 9293, without options
header tcp_t {
    bit<16> src_port;
    bit<16> dst_port;
    bit<32> sequence;
    bit<32> acknowledgement;
    bit<4> data_offset;
    bit<4> reserved;
    bit<8> flags;
    bit<16> window;
    bit<16> checksum;
    bit<16> urgent;
}

/// RFC 768
header udp_t {
    bit<16> src_port;
    bit<16> dst_port;
    bit<16> length;
    bit<16> checksum;
}

/// RFC 792; `rest` is the MTU in its low half for type 3 code 4 (RFC 1191)
header icmp_t {
    bit<8> type;
    bit<8> code;
    bit<16> checksum;
    bit<32> rest;
}

/// RFC 4443; `rest` is the MTU for type 2, flags for a neighbour advertisement
header icmpv6_t {
    bit<8> type;
    bit<8> code;
    bit<16> checksum;
    bit<32> rest;
}

/// RFC 4861: the rest of a neighbour solicitation or advertisement with one link-layer address option
header neighbor_t {
    bit<128> target;
    bit<8> option_type;
    bit<8> option_length;
    bit<48> option_mac;
}

/// RFC 7348
header vxlan_t {
    bit<8> flags;
    bit<24> reserved;
    bit<24> vni;
    bit<8> reserved2;
}

/// The headers in the order in which a packet holds them.
struct headers_t {
    ethernet_t outer_ethernet;
    ipv4_t outer_ipv4;
    udp_t outer_udp;
    vxlan_t vxlan;
    ethernet_t ethernet;
    vlan_t vlan;
    ipv4_t error_ipv4;
    icmp_t error_icmp;
    ipv6_t error_ipv6;
    icmpv6_t error_icmpv6;
    arp_t arp;
    ipv4_t ipv4;
    ipv6_t ipv6;
    tcp_t tcp;
    udp_t udp;
    icmp_t icmp;
    icmpv6_t icmpv6;
    neighbor_t neighbor;
}

/// What checksums are made from behind the pipeline: which to make, and one's complements of the packet as it came.
struct sums_t {
    bit<1> update_ipv4;
    bit<1> update_tcp;
    bit<1> update_udp;
    bit<1> compute_outer_ipv4;
    bit<16> not_ipv4_version_header_length_traffic_class;
    bit<16> not_ipv4_ttl_protocol;
    bit<16> not_ipv4_checksum;
    bit<32> not_ipv4_src;
    bit<32> not_ipv4_dst;
    bit<128> not_ipv6_src;
    bit<128> not_ipv6_dst;
    bit<16> not_tcp_src_port;
    bit<16> not_tcp_dst_port;
    bit<16> not_tcp_checksum;
    bit<16> not_udp_src_port;
    bit<16> not_udp_dst_port;
    bit<16> not_udp_checksum;
}

struct metadata_t {
    bit<16> ingress_port;
    bit<8> leg;
    bit<16> network;
    bit<12> vlan_id;
    bit<16> source_nexthop;
    bit<8> protocol;
    bit<16> src_port;
    bit<16> dst_port;
    bit<8> tcp_flags;
    bit<16> proxy_nexthop;
    bit<16> server_port;
    bit<1> redirect;
    bit<1> denied;
    bit<1> closed;
    bit<1> not_admitted;
    bit<12> limiter;
    bit<1> opens;
    bit<1> decided;
    bit<16> service_id;
    bit<16> spread;
    bit<1> is_reply;
    bit<2> rate_color;
    bit<1> storage_marked;
    bit<8> storage_class;
    bit<32> affinity_ms;
    bit<8> profile;
    bit<16> nexthop;
    bit<1> translate;
    bit<16> new_src_port;
    bit<16> new_dst_port;
    bit<8> reverse_leg;
    bit<16> reverse_network;
    bit<16> reverse_src_port;
    bit<16> reverse_dst_port;
    bit<32> route_ipv4;
    bit<32> hairpin_ipv4;
    bit<32> new_src_ipv4;
    bit<32> new_dst_ipv4;
    bit<32> reverse_src_ipv4;
    bit<32> reverse_dst_ipv4;
    bit<128> route_ipv6;
    bit<128> hairpin_ipv6;
    bit<128> new_src_ipv6;
    bit<128> new_dst_ipv6;
    bit<128> reverse_src_ipv6;
    bit<128> reverse_dst_ipv6;
    bit<16> egress_network;
    bit<16> egress_port;
    bit<12> egress_vlan;
    bit<16> mtu;
    bit<48> egress_dst_mac;
    bit<48> egress_src_mac;
    bit<1> encapsulate;
    bit<16> entropy;
    bit<16> inner_length;
    bit<8> traffic_class;
    bit<32> tunnel_src;
    bit<32> tunnel_dst;
    bit<24> tunnel_vni;
    bit<48> tunnel_dst_mac;
    bit<48> tunnel_src_mac;
    bit<48> signature;
    bit<1> error_;
    bit<8> error_type;
    bit<8> error_code;
    bit<16> error_mtu;
    bit<32> gateway_ipv4;
    bit<128> gateway_ipv6;
    bit<48> answer_mac;
    bit<48> swap_mac;
    bit<32> swap_ipv4;
    bit<1> refused_flow_ipv4;
    bit<1> refused_flow_reverse_ipv4;
    bit<1> refused_flow_ipv6;
    bit<1> refused_flow_reverse_ipv6;
    sums_t sums;
}

@id(0x12000001) @name(".drops")
@brief("Dropped packets, by reason.")
Counter<bit<64>, bit<32>>(32, PNA_CounterType_t.PACKETS_AND_BYTES) drops;

@id(0x12000002) @name(".service_requests")
@brief("Packets to a service, by service id.")
Counter<bit<64>, bit<32>>(65536, PNA_CounterType_t.PACKETS_AND_BYTES) service_requests;

@id(0x12000003) @name(".service_replies")
@brief("Packets from a service, by service id.")
Counter<bit<64>, bit<32>>(65536, PNA_CounterType_t.PACKETS_AND_BYTES) service_replies;

@id(0x01000001) @name(".miss")
@brief("Nothing is known: go on.")
action miss() { }

@id(0x01000005) @name(".answer")
@brief("The MAC address that an ARP request or a neighbour solicitation is answered with.")
action answer(inout metadata_t meta, @format(MAC_ADDRESS) bit<48> mac) {
    meta.answer_mac = mac;
}

@id(0x01000009) @name(".via")
@brief("Where the destination is: a key of table neighbor.")
action via(inout metadata_t meta, bit<16> nexthop) {
    meta.nexthop = nexthop;
}

@id(0x0100000c) @name(".came_in_by")
@brief("From outside, let in by another device; `nexthop` leads there.")
action came_in_by(inout metadata_t meta, bit<16> nexthop) {
    meta.source_nexthop = nexthop;
}

/// A packet that ends too early stops here, and the kernel gets it.
parser parse(packet_in packet, out headers_t hdr, inout metadata_t meta, in pna_main_parser_input_metadata_t input) {
    state start {
        meta.ingress_port = ((PortIdUint_t)input.input_port)[15:0];
        transition select(meta.ingress_port) {
            0 &&& 0xfff0: uplink;
            default: ethernet;
        }
    }

    /// Is it VXLAN over IPv4?
    state uplink {
        bit<304> ahead = packet.lookahead<bit<304>>();
        transition select(ahead[207:192], ahead[191:184], ahead[141:128], ahead[119:112], ahead[15:0]) {
            (0x0800, 69, 0, 17, 0x12b5): outer_ethernet;
            default: ethernet;
        }
    }

    state outer_ethernet {
        packet.extract(hdr.outer_ethernet);
        transition outer_ipv4;
    }

    state outer_ipv4 {
        packet.extract(hdr.outer_ipv4);
        transition outer_udp;
    }

    state outer_udp {
        packet.extract(hdr.outer_udp);
        transition vxlan;
    }

    state vxlan {
        packet.extract(hdr.vxlan);
        transition ethernet;
    }

    state ethernet {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.type) {
            0x8100: vlan;
            0x0806: arp;
            0x0800: ipv4;
            0x86dd: ipv6;
            default: accept;
        }
    }

    state vlan {
        packet.extract(hdr.vlan);
        transition select(hdr.vlan.type) {
            0x0806: arp;
            0x0800: ipv4;
            0x86dd: ipv6;
            default: accept;
        }
    }

    state arp {
        packet.extract(hdr.arp);
        transition accept;
    }

    state ipv4 {
        packet.extract(hdr.ipv4);
        transition select(hdr.ipv4.version, hdr.ipv4.header_length, hdr.ipv4.flags, hdr.ipv4.fragment_offset, hdr.ipv4.protocol) {
            (4, 5, 0 &&& 1, 0, 6): tcp;
            (4, 5, 0 &&& 1, 0, 17): udp;
            (4, 5, 0 &&& 1, 0, 1): icmp;
            default: accept;
        }
    }

    state ipv6 {
        packet.extract(hdr.ipv6);
        transition select(hdr.ipv6.version, hdr.ipv6.next_header) {
            (6, 6): tcp;
            (6, 17): udp;
            (6, 58): icmpv6;
            default: accept;
        }
    }

    state tcp {
        packet.extract(hdr.tcp);
        transition accept;
    }

    state udp {
        packet.extract(hdr.udp);
        transition accept;
    }

    state icmp {
        packet.extract(hdr.icmp);
        transition accept;
    }

    /// A solicitation of 32 bytes carries one link-layer address option.
    state icmpv6 {
        packet.extract(hdr.icmpv6);
        transition select(hdr.icmpv6.type, hdr.ipv6.payload_length) {
            (135, 32): neighbor;
            default: accept;
        }
    }

    state neighbor {
        packet.extract(hdr.neighbor);
        transition accept;
    }
}

control before_main(in headers_t hdr, inout metadata_t meta, in pna_pre_input_metadata_t input, inout pna_pre_output_metadata_t output) {
    apply { }
}

/// Remember what checksums cover of the packet as it came; rewrites may change it (RFC 1624).
control prepare(inout headers_t hdr, inout metadata_t meta) {
    apply {
        if (hdr.ipv4.isValid()) {
            meta.sums.not_ipv4_version_header_length_traffic_class = ~(hdr.ipv4.version ++ hdr.ipv4.header_length ++ hdr.ipv4.traffic_class);
            meta.sums.not_ipv4_ttl_protocol = ~(hdr.ipv4.ttl ++ hdr.ipv4.protocol);
            meta.sums.not_ipv4_checksum = ~hdr.ipv4.checksum;
            meta.sums.not_ipv4_src = ~hdr.ipv4.src;
            meta.sums.not_ipv4_dst = ~hdr.ipv4.dst;
        }
        if (hdr.ipv6.isValid()) {
            meta.sums.not_ipv6_src = ~hdr.ipv6.src;
            meta.sums.not_ipv6_dst = ~hdr.ipv6.dst;
        }
        if (hdr.tcp.isValid()) {
            meta.sums.not_tcp_src_port = ~hdr.tcp.src_port;
            meta.sums.not_tcp_dst_port = ~hdr.tcp.dst_port;
            meta.sums.not_tcp_checksum = ~hdr.tcp.checksum;
        }
        if (hdr.udp.isValid()) {
            meta.sums.not_udp_src_port = ~hdr.udp.src_port;
            meta.sums.not_udp_dst_port = ~hdr.udp.dst_port;
            meta.sums.not_udp_checksum = ~hdr.udp.checksum;
        }
    }
}

/// Which leg the packet is on, and in which network.
control classify(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x13000001) @name(".port_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) port_count;

    @id(0x13000002) @name(".tunnel_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) tunnel_count;

    @id(0x01000002) @name(".set_workload")
    @brief("The port of a workload; `nexthop` is the way back to it.")
    action set_workload(bit<16> network, bit<16> nexthop) {
        port_count.count();
        meta.leg = 2;
        meta.network = network;
        meta.source_nexthop = nexthop;
    }

    @id(0x01000003) @name(".set_uplink")
    @brief("A port of the underlay.")
    action set_uplink() {
        port_count.count();
        meta.leg = 1;
    }

    @id(0x01000004) @name(".enter_network")
    @brief("The packet in the tunnel belongs to a network. The outer headers come off on the way out.")
    action enter_network(bit<16> network) {
        tunnel_count.count();
        meta.leg = 2;
        meta.network = network;
    }

    @id(0x0100000a) @name(".set_proxy")
    @brief("The port of a network's proxy.")
    action set_proxy(bit<16> network, bit<16> nexthop) {
        port_count.count();
        meta.leg = 3;
        meta.network = network;
        meta.source_nexthop = nexthop;
    }

    @id(0x0100000b) @name(".enter_from_outside")
    @brief("The address of a service for clients outside; `nexthop` is the way back to them.")
    action enter_from_outside(bit<16> network, bit<16> nexthop, bit<48> signature) {
        meta.leg = 4;
        meta.network = network;
        meta.source_nexthop = nexthop;
        meta.signature = signature;
    }

    // examples/shop.yaml:44 Device dpu-a
    // examples/shop.yaml:45 Workload shop/client
    // examples/shop.yaml:46 Workload shop/web-1
    // examples/shop.yaml:47 Workload shop/web-2
    // examples/shop.yaml:48 Workload blue/blue-client
    @id(0x02000001) @name(".port")
    @brief("The ports of the device. `vlan` is 0 for untagged frames.")
    table port {
        key = {
            meta.ingress_port : exact @name("port");
            meta.vlan_id : exact @name("vlan");
        }
        actions = {
            @tableonly set_workload;
            @tableonly set_uplink;
            @tableonly set_proxy;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 1024;
        pna_direct_counter = port_count;
    }

    // examples/shop.yaml:9 Network shop
    // examples/shop.yaml:18 Network blue
    @id(0x02000002) @name(".tunnel")
    @brief("VXLAN tunnels that end here (RFC 7348).")
    table tunnel {
        key = {
            hdr.outer_ipv4.dst : exact @name("destination") @format(IPV4_ADDRESS);
            hdr.vxlan.vni : exact @name("vni");
        }
        actions = {
            @tableonly enter_network;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
        pna_direct_counter = tunnel_count;
    }

    @id(0x02000016) @name(".eip_ipv4")
    @brief("Addresses of services that clients outside call, and the network that each belongs to. `mac` is the device's own: a switch that does not know where it is sends frames everywhere, and one device may answer.")
    table eip_ipv4 {
        key = {
            hdr.ipv4.dst : exact @name("address") @format(IPV4_ADDRESS);
            hdr.ethernet.dst : exact @name("mac") @format(MAC_ADDRESS);
        }
        actions = {
            @tableonly enter_from_outside;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
    }

    @id(0x02000046) @name(".eip_ipv6")
    @brief("Addresses of services that clients outside call, and the network that each belongs to. `mac` is the device's own: a switch that does not know where it is sends frames everywhere, and one device may answer.")
    table eip_ipv6 {
        key = {
            hdr.ipv6.dst : exact @name("address") @format(IPV6_ADDRESS);
            hdr.ethernet.dst : exact @name("mac") @format(MAC_ADDRESS);
        }
        actions = {
            @tableonly enter_from_outside;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
    }

    apply {
        if (hdr.vlan.isValid() && !hdr.vxlan.isValid()) {
            meta.vlan_id = hdr.vlan.id;
        }
        port.apply();
        if (meta.leg == 1) {
            if (hdr.vxlan.isValid()) {
                tunnel.apply();
            } else if (hdr.ipv4.isValid()) {
                eip_ipv4.apply();
            } else if (hdr.ipv6.isValid() && !hdr.neighbor.isValid()) {
                eip_ipv6.apply();
            }
        }
    }
}

/// PNA cannot send a packet back where it came from: the kernel answers for these addresses.
control answer_arp(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    // examples/shop.yaml:9 Network shop
    // examples/shop.yaml:18 Network blue
    // examples/shop.yaml:67 Workload shop/client
    // examples/shop.yaml:78 Workload shop/web-1
    // examples/shop.yaml:91 Workload shop/web-2
    // and 3 more
    @id(0x02000003) @name(".arp")
    @brief("IPv4 addresses that ARP is answered for; network 0 is the underlay.")
    table arp {
        key = {
            meta.network : exact @name("network");
            hdr.arp.target_address : exact @name("address") @format(IPV4_ADDRESS);
        }
        actions = {
            @tableonly answer(meta);
            @defaultonly miss;
        }
        const default_action = miss();
        size = 65536;
    }

    apply {
        if (arp.apply().hit) {
            send_to_port((PortId_t)KERNEL_PORT);
            exit;
        }
    }
}

/// PNA cannot send a packet back where it came from: the kernel answers for these addresses.
control answer_nd(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    // examples/shop.yaml:9 Network shop
    // examples/shop.yaml:18 Network blue
    // examples/shop.yaml:67 Workload shop/client
    // examples/shop.yaml:78 Workload shop/web-1
    // examples/shop.yaml:91 Workload shop/web-2
    // and 1 more
    @id(0x02000004) @name(".nd")
    @brief("IPv6 addresses that neighbour solicitations are answered for; network 0 is the underlay.")
    table nd {
        key = {
            meta.network : exact @name("network");
            hdr.neighbor.target : exact @name("address") @format(IPV6_ADDRESS);
        }
        actions = {
            @tableonly answer(meta);
            @defaultonly miss;
        }
        const default_action = miss();
        size = 65536;
    }

    apply {
        if (nd.apply().hit) {
            send_to_port((PortId_t)KERNEL_PORT);
            exit;
        }
    }
}

/// A new connection: does whoever opens it go by the proxy?
control redirect_out_ipv4(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x13000030) @name(".outbound_ipv4_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) outbound_ipv4_count;

    @id(0x11000038) @name(".proxies_ipv4")
    @selector_size_semantics("sum_of_weights")
    @max_group_size(16)
    ActionSelector(PNA_HashAlgorithm_t.TARGET_DEFAULT, 4096, 32) proxies_ipv4;

    @id(0x01000030) @name(".redirect_outbound_ipv4")
    @brief("To the network's proxy. Without one the connection goes on without it, or, `closed`, ends.")
    action redirect_outbound_ipv4(bit<1> closed, bit<12> limiter) {
        outbound_ipv4_count.count();
        meta.redirect = 1;
        meta.closed = (bit<1>)(meta.closed == 1 || closed == 1);
        if (meta.limiter == 0) {
            meta.limiter = limiter;
        }
    }

    @id(0x01000031) @name(".bypass_outbound_ipv4")
    @brief("Not to the proxy.")
    action bypass_outbound_ipv4() {
        outbound_ipv4_count.count();
    }

    @id(0x01000032) @name(".deny_outbound_ipv4")
    @brief("Nowhere, whatever else is said about the connection.")
    action deny_outbound_ipv4() {
        outbound_ipv4_count.count();
        meta.denied = 1;
    }

    @id(0x01000038) @name(".to_proxy_ipv4")
    @brief("The way to a proxy.")
    action to_proxy_ipv4(bit<16> nexthop) {
        meta.proxy_nexthop = nexthop;
    }

    @id(0x02000038) @name(".proxy_ipv4")
    @brief("The proxies of a network on this device. A member watches its port, so one that is gone gets nothing.")
    table proxy_ipv4 {
        key = {
            meta.network : exact @name("network");
            hdr.ipv4.src : selector;
            hdr.ipv4.dst : selector;
            meta.src_port : selector;
            meta.dst_port : selector;
            meta.protocol : selector;
        }
        actions = {
            @tableonly to_proxy_ipv4;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
        pna_implementation = proxies_ipv4;
    }

    @id(0x02000030) @name(".outbound_ipv4")
    @brief("Connections that a workload opens, by where they go; its counter counts new connections.")
    table outbound_ipv4 {
        key = {
            meta.network : exact @name("network");
            hdr.ipv4.src : exact @name("workload") @format(IPV4_ADDRESS);
            hdr.ipv4.dst : ternary @name("peer") @format(IPV4_ADDRESS);
            meta.dst_port : range @name("port");
        }
        actions = {
            @tableonly redirect_outbound_ipv4;
            @tableonly bypass_outbound_ipv4;
            @tableonly deny_outbound_ipv4;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
        pna_direct_counter = outbound_ipv4_count;
    }

    apply {
        proxy_ipv4.apply();
        if (meta.leg != 4) {
            outbound_ipv4.apply();
            if (meta.denied == 1) {
                drops.count(DROP_MESH_DENIED);
                drop_packet();
                exit;
            }
            if (meta.redirect == 1) {
                if (meta.proxy_nexthop != 0) {
                    if (!(meta.decided == 1)) {
                        meta.decided = 1;
                        meta.new_src_ipv4 = hdr.ipv4.src;
                        meta.new_dst_ipv4 = hdr.ipv4.dst;
                        meta.new_dst_port = meta.dst_port;
                        meta.reverse_src_ipv4 = hdr.ipv4.dst;
                        meta.reverse_dst_ipv4 = hdr.ipv4.src;
                        meta.reverse_src_port = meta.dst_port;
                        meta.reverse_dst_port = meta.src_port;
                    }
                    meta.nexthop = meta.proxy_nexthop;
                    meta.reverse_leg = 3;
                } else if (meta.closed == 1) {
                    drops.count(DROP_NO_PROXY);
                    drop_packet();
                    exit;
                }
            }
        }
    }
}

/// A packet of no known connection, out of a tunnel: is it to be answered to the device that let it in?
control remember_entrance_ipv4(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x02000017) @name(".entrance_ipv4")
    @brief("Which device let a packet from outside into the network, by the source of the inner frame.")
    table entrance_ipv4 {
        key = {
            meta.network : exact @name("network");
            hdr.ethernet.src : exact @name("source") @format(MAC_ADDRESS);
        }
        actions = {
            @tableonly came_in_by(meta);
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
    }

    apply {
        if (entrance_ipv4.apply().hit) {
            meta.decided = 1;
            meta.new_src_ipv4 = hdr.ipv4.src;
            meta.new_dst_ipv4 = hdr.ipv4.dst;
            meta.new_dst_port = meta.dst_port;
            meta.reverse_src_ipv4 = hdr.ipv4.dst;
            meta.reverse_dst_ipv4 = hdr.ipv4.src;
            meta.reverse_src_port = meta.dst_port;
            meta.reverse_dst_port = meta.src_port;
            meta.reverse_leg = 2;
        }
    }
}

/// A packet of no known connection, and not the proxy's: does it open one to a service, and to which backend?
control decide_ipv4(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    Random<bit<16>>(16w0, 16w0xffff) drawn;

    @id(0x13000013) @name(".service_ipv4_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) service_ipv4_count;

    @id(0x13000018) @name(".source_range_ipv4_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) source_range_ipv4_count;

    @id(0x11000014) @name(".backends_ipv4")
    @selector_size_semantics("sum_of_weights")
    @max_group_size(1000)
    ActionSelector(PNA_HashAlgorithm_t.TARGET_DEFAULT, 65535, 32) backends_ipv4;

    @id(0x01000018) @name(".admit_source_ipv4")
    @brief("The client may connect to the service.")
    action admit_source_ipv4() {
        source_range_ipv4_count.count();
    }

    @id(0x01000019) @name(".deny_source_ipv4")
    @brief("The client may not connect to the service.")
    action deny_source_ipv4() {
        source_range_ipv4_count.count();
        meta.not_admitted = 1;
    }

    @id(0x01000013) @name(".to_service_ipv4")
    @brief("The packet opens a connection: each connection by itself. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not.")
    @action_restriction("affinity_ms == 0")
    action to_service_ipv4(bit<16> service_id, @format(IPV4_ADDRESS) bit<32> hairpin, bit<32> affinity_ms) {
        service_ipv4_count.count();
        meta.service_id = service_id;
        meta.hairpin_ipv4 = hairpin;
        meta.affinity_ms = affinity_ms;
        meta.spread = meta.src_port;
    }

    @id(0x01000015) @name(".to_service_by_source_ipv4")
    @brief("The packet opens a connection: all connections of one source to one backend. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not.")
    @action_restriction("affinity_ms == 0")
    action to_service_by_source_ipv4(
        bit<16> service_id,
        @format(IPV4_ADDRESS) bit<32> hairpin,
        bit<32> affinity_ms
    ) {
        service_ipv4_count.count();
        meta.service_id = service_id;
        meta.hairpin_ipv4 = hairpin;
        meta.affinity_ms = affinity_ms;
    }

    @id(0x01000016) @name(".to_service_by_chance_ipv4")
    @brief("The packet opens a connection: no connection as the one before. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not.")
    @action_restriction("affinity_ms == 0")
    action to_service_by_chance_ipv4(
        bit<16> service_id,
        @format(IPV4_ADDRESS) bit<32> hairpin,
        bit<32> affinity_ms
    ) {
        service_ipv4_count.count();
        meta.service_id = service_id;
        meta.hairpin_ipv4 = hairpin;
        meta.affinity_ms = affinity_ms;
        meta.spread = drawn.read();
    }

    @id(0x01000014) @name(".to_backend_ipv4")
    @brief("The backend that gets the connection.")
    action to_backend_ipv4(@format(IPV4_ADDRESS) bit<32> address, bit<16> port) {
        meta.decided = 1;
        meta.new_dst_ipv4 = address;
        meta.new_dst_port = port;
    }

    // examples/shop.yaml:149 DpuService shop/web:http
    // examples/shop.yaml:150 DpuService shop/web:echo
    // examples/shop.yaml:163 DpuService blue/web:http
    @id(0x02000013) @name(".service_ipv4")
    @brief("Addresses and ports of services; its counter counts new connections.")
    table service_ipv4 {
        key = {
            meta.network : exact @name("network");
            hdr.ipv4.dst : exact @name("address") @format(IPV4_ADDRESS);
            meta.protocol : exact @name("protocol");
            meta.dst_port : exact @name("port");
        }
        actions = {
            @tableonly to_service_ipv4;
            @tableonly to_service_by_source_ipv4;
            @tableonly to_service_by_chance_ipv4;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 10000;
        pna_direct_counter = service_ipv4_count;
    }

    @id(0x02000018) @name(".source_range_ipv4")
    @brief("Clients outside that a service lets in or does not, by the longest prefix; its counter counts new connections.")
    table source_range_ipv4 {
        key = {
            meta.service_id : exact @name("service_id");
            hdr.ipv4.src : lpm @name("source") @format(IPV4_ADDRESS);
        }
        actions = {
            @tableonly admit_source_ipv4;
            @tableonly deny_source_ipv4;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 10000;
        pna_direct_counter = source_range_ipv4_count;
    }

    // examples/shop.yaml:149 DpuService shop/web:http
    // examples/shop.yaml:150 DpuService shop/web:echo
    // examples/shop.yaml:163 DpuService blue/web:http
    @id(0x02000014) @name(".backend_ipv4")
    @brief("The backends of a service.")
    table backend_ipv4 {
        key = {
            meta.service_id : exact @name("service_id");
            hdr.ipv4.src : selector;
            hdr.ipv4.dst : selector;
            meta.spread : selector;
            meta.dst_port : selector;
            meta.protocol : selector;
        }
        actions = {
            @tableonly to_backend_ipv4;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 10000;
        pna_implementation = backends_ipv4;
    }

    apply {
        if (!(meta.decided == 1)) {
            meta.reverse_leg = meta.leg;
            meta.reverse_src_ipv4 = hdr.ipv4.src;
            meta.reverse_dst_ipv4 = hdr.ipv4.dst;
            meta.reverse_src_port = meta.src_port;
            meta.reverse_dst_port = meta.dst_port;
            meta.new_src_ipv4 = hdr.ipv4.src;
            if (service_ipv4.apply().hit) {
                if (meta.leg == 4) {
                    source_range_ipv4.apply();
                }
                if (!(meta.not_admitted == 1)) {
                    backend_ipv4.apply();
                }
                if (meta.new_dst_ipv4 == hdr.ipv4.src) {
                    meta.new_src_ipv4 = meta.hairpin_ipv4;
                }
                meta.route_ipv4 = meta.new_dst_ipv4;
                meta.reverse_leg = 2;
                meta.reverse_src_ipv4 = meta.new_dst_ipv4;
                meta.reverse_dst_ipv4 = meta.new_src_ipv4;
                meta.reverse_src_port = meta.new_dst_port;
                meta.reverse_dst_port = meta.src_port;
            }
        }
    }
}

/// A new connection: does whom it is opened to go by the proxy?
control redirect_in_ipv4(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x13000034) @name(".inbound_ipv4_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) inbound_ipv4_count;

    @id(0x1500003c) @name(".redirect_limit_ipv4_meter")
    @single_rate_two_color
    DirectMeter(PNA_MeterType_t.PACKETS) redirect_limit_ipv4_meter;

    @id(0x01000034) @name(".redirect_inbound_ipv4")
    @brief("To the network's proxy. Without one the connection goes on without it, or, `closed`, ends.")
    action redirect_inbound_ipv4(bit<1> closed, bit<12> limiter) {
        inbound_ipv4_count.count();
        meta.redirect = 1;
        meta.closed = (bit<1>)(meta.closed == 1 || closed == 1);
        if (meta.limiter == 0) {
            meta.limiter = limiter;
        }
    }

    @id(0x01000035) @name(".bypass_inbound_ipv4")
    @brief("Not to the proxy.")
    action bypass_inbound_ipv4() {
        inbound_ipv4_count.count();
    }

    @id(0x01000036) @name(".deny_inbound_ipv4")
    @brief("Nowhere, whatever else is said about the connection.")
    action deny_inbound_ipv4() {
        inbound_ipv4_count.count();
        meta.denied = 1;
    }

    @id(0x0100003c) @name(".limit_redirects_ipv4")
    @brief("Connections within the rate go to the proxy.")
    action limit_redirects_ipv4() {
        PNA_MeterColor_t color = redirect_limit_ipv4_meter.execute();
        meta.rate_color = color == PNA_MeterColor_t.RED ? 2w2 : (color == PNA_MeterColor_t.YELLOW ? 2w1 : 2w0);
    }

    @id(0x02000034) @name(".inbound_ipv4")
    @brief("Connections that are opened to a workload, by where they come from; its counter counts new connections.")
    table inbound_ipv4 {
        key = {
            meta.network : exact @name("network");
            meta.route_ipv4 : exact @name("workload") @format(IPV4_ADDRESS);
            hdr.ipv4.src : ternary @name("peer") @format(IPV4_ADDRESS);
            meta.server_port : range @name("port");
        }
        actions = {
            @tableonly redirect_inbound_ipv4;
            @tableonly bypass_inbound_ipv4;
            @tableonly deny_inbound_ipv4;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
        pna_direct_counter = inbound_ipv4_count;
    }

    @id(0x0200003c) @name(".redirect_limit_ipv4")
    @brief("New connections a second of a workload that the proxy gets; its meter counts these, and those beyond.")
    table redirect_limit_ipv4 {
        key = {
            meta.limiter : exact @name("limiter");
        }
        actions = {
            @tableonly limit_redirects_ipv4;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4095;
        pna_direct_meter = redirect_limit_ipv4_meter;
    }

    apply {
        meta.redirect = 0;
        meta.closed = 0;
        meta.server_port = meta.dst_port;
        if (meta.decided == 1) {
            meta.server_port = meta.new_dst_port;
        }
        inbound_ipv4.apply();
        if (meta.denied == 1) {
            drops.count(DROP_MESH_DENIED);
            drop_packet();
            exit;
        }
        if (meta.redirect == 1) {
            if (meta.proxy_nexthop != 0) {
                if (!(meta.decided == 1)) {
                    meta.decided = 1;
                    meta.new_src_ipv4 = hdr.ipv4.src;
                    meta.new_dst_ipv4 = hdr.ipv4.dst;
                    meta.new_dst_port = meta.dst_port;
                    meta.reverse_src_ipv4 = hdr.ipv4.dst;
                    meta.reverse_dst_ipv4 = hdr.ipv4.src;
                    meta.reverse_src_port = meta.dst_port;
                    meta.reverse_dst_port = meta.src_port;
                }
                meta.nexthop = meta.proxy_nexthop;
                meta.reverse_leg = 3;
            } else if (meta.closed == 1) {
                drops.count(DROP_NO_PROXY);
                drop_packet();
                exit;
            }
        }
        if (meta.limiter != 0 && meta.reverse_leg == 3) {
            redirect_limit_ipv4.apply();
            if (meta.rate_color == 2) {
                drops.count(DROP_MESH_LIMIT);
                drop_packet();
                exit;
            }
        }
    }
}

/// Decide for a packet of a network, as if it opened a connection; what a known flow says overrules that.
control connection_ipv4(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x13000011) @name(".flow_ipv4_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) flow_ipv4_count;

    @id(0x13000012) @name(".flow_reverse_ipv4_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) flow_reverse_ipv4_count;

    @id(0x01000011) @name(".translate_ipv4")
    @brief("A packet of a known connection to a service.")
    action translate_ipv4(
        @format(IPV4_ADDRESS) bit<32> src,
        @format(IPV4_ADDRESS) bit<32> dst,
        bit<16> src_port,
        bit<16> dst_port,
        bit<16> nexthop,
        bit<16> service_id
    ) {
        flow_ipv4_count.count();
        meta.translate = 1;
        meta.new_src_ipv4 = src;
        meta.new_dst_ipv4 = dst;
        meta.new_src_port = src_port;
        meta.new_dst_port = dst_port;
        meta.route_ipv4 = dst;
        meta.nexthop = nexthop;
        meta.service_id = service_id;
        service_requests.count((bit<32>)service_id);
        if (meta.protocol == 6) {
            if ((meta.tcp_flags & 5) != 0) {
                set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV4_TCP_CLOSING);
            } else if ((meta.tcp_flags & 10) == 8) {
                set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV4_TCP_ESTABLISHED);
            }
        } else {
            set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV4_UDP_STREAM);
        }
    }

    @id(0x01000012) @name(".translate_reply_ipv4")
    @brief("A reply: it comes from the service again.")
    action translate_reply_ipv4(
        @format(IPV4_ADDRESS) bit<32> src,
        @format(IPV4_ADDRESS) bit<32> dst,
        bit<16> src_port,
        bit<16> dst_port,
        bit<16> nexthop,
        bit<16> service_id
    ) {
        flow_reverse_ipv4_count.count();
        meta.translate = 1;
        meta.new_src_ipv4 = src;
        meta.new_dst_ipv4 = dst;
        meta.new_src_port = src_port;
        meta.new_dst_port = dst_port;
        meta.route_ipv4 = dst;
        meta.nexthop = nexthop;
        meta.service_id = service_id;
        meta.is_reply = 1;
        if (!(meta.decided == 1)) {
            service_replies.count((bit<32>)service_id);
            if (meta.protocol == 6) {
                if ((meta.tcp_flags & 5) != 0) {
                    set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV4_TCP_CLOSING);
                } else if ((meta.tcp_flags & 10) == 8) {
                    set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV4_TCP_ESTABLISHED);
                }
            } else {
                set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV4_UDP_STREAM);
            }
        }
    }

    @id(0x01800011) @name(".learn_flow_ipv4")
    @brief("Keep the key that flow_ipv4 missed.")
    action learn_flow_ipv4() {
        if (meta.decided == 1 && meta.nexthop != 0) {
            bool added = add_entry(
                action_name = "translate_ipv4",
                action_params = { meta.new_src_ipv4, meta.new_dst_ipv4, meta.reverse_dst_port, meta.new_dst_port,
                                  meta.nexthop, meta.service_id },
                expire_time_profile_id = (ExpireTimeProfileId_t)meta.profile);
            if (!added) { meta.refused_flow_ipv4 = 1; }
        }
    }

    @id(0x01800012) @name(".learn_flow_reverse_ipv4")
    @brief("Keep the key that flow_reverse_ipv4 missed.")
    action learn_flow_reverse_ipv4() {
        if (meta.decided == 1) {
            bool added = add_entry(
                action_name = "translate_reply_ipv4",
                action_params = { hdr.ipv4.dst, hdr.ipv4.src, meta.dst_port, meta.src_port, meta.source_nexthop,
                                  meta.service_id },
                expire_time_profile_id = (ExpireTimeProfileId_t)meta.profile);
            if (!added) { meta.refused_flow_reverse_ipv4 = 1; }
        }
    }

    // examples/shop.yaml:67 Workload shop/client
    // examples/shop.yaml:78 Workload shop/web-1
    // examples/shop.yaml:91 Workload shop/web-2
    // examples/shop.yaml:104 Workload shop/web-3
    // examples/shop.yaml:118 Workload blue/blue-client
    // and 1 more
    @id(0x02000015) @name(".route_ipv4")
    @brief("Where in a network an address is.")
    table route_ipv4 {
        key = {
            meta.network : exact @name("network");
            meta.route_ipv4 : lpm @name("dst") @format(IPV4_ADDRESS);
        }
        actions = {
            @tableonly via(meta);
            @defaultonly miss;
        }
        const default_action = miss();
        size = 65536;
    }

    @id(0x02000011) @name(".flow_ipv4")
    @brief("Known connections, by the tuple of the packet that opened them.")
    table flow_ipv4 {
        key = {
            meta.network : exact @name("network");
            meta.leg : exact @name("leg");
            meta.protocol : exact @name("protocol");
            hdr.ipv4.src : exact @name("src") @format(IPV4_ADDRESS);
            hdr.ipv4.dst : exact @name("dst") @format(IPV4_ADDRESS);
            meta.src_port : exact @name("src_port");
            meta.dst_port : exact @name("dst_port");
        }
        actions = {
            @tableonly translate_ipv4;
            @defaultonly learn_flow_ipv4;
        }
        const default_action = learn_flow_ipv4();
        size = 65536;
        pna_direct_counter = flow_ipv4_count;
        add_on_miss = true;
        idle_timeout_with_auto_delete = true;
    }

    @id(0x02000012) @name(".flow_reverse_ipv4")
    @brief("The same connections, by the tuple of their replies.")
    table flow_reverse_ipv4 {
        key = {
            meta.reverse_network : exact @name("network");
            meta.reverse_leg : exact @name("leg");
            meta.protocol : exact @name("protocol");
            meta.reverse_src_ipv4 : exact @name("src") @format(IPV4_ADDRESS);
            meta.reverse_dst_ipv4 : exact @name("dst") @format(IPV4_ADDRESS);
            meta.reverse_src_port : exact @name("src_port");
            meta.reverse_dst_port : exact @name("dst_port");
        }
        actions = {
            @tableonly translate_reply_ipv4;
            @defaultonly learn_flow_reverse_ipv4;
        }
        const default_action = learn_flow_reverse_ipv4();
        size = 65536;
        pna_direct_counter = flow_reverse_ipv4_count;
        add_on_miss = true;
        idle_timeout_with_auto_delete = true;
    }

    apply {
        meta.route_ipv4 = hdr.ipv4.dst;
        if (hdr.tcp.isValid()) {
            meta.protocol = 6;
            meta.src_port = hdr.tcp.src_port;
            meta.dst_port = hdr.tcp.dst_port;
            meta.tcp_flags = hdr.tcp.flags;
            meta.profile = 1;
        } else if (hdr.udp.isValid()) {
            meta.protocol = 17;
            meta.src_port = hdr.udp.src_port;
            meta.dst_port = hdr.udp.dst_port;
            meta.profile = 4;
        }
        meta.reverse_network = meta.network;
        if (meta.leg != 3 && meta.protocol == 6 && (meta.tcp_flags & 23) == 2) {
            redirect_out_ipv4.apply(hdr, meta, input);
        }
        if (meta.protocol != 0) {
            if (hdr.vxlan.isValid()) {
                remember_entrance_ipv4.apply(hdr, meta, input);
            }
            decide_ipv4.apply(hdr, meta, input);
        }
        if (meta.leg != 3 && meta.protocol == 6 && (meta.tcp_flags & 23) == 2) {
            redirect_in_ipv4.apply(hdr, meta, input);
        }
        if (meta.nexthop == 0) {
            route_ipv4.apply();
        }
        if (meta.protocol != 0) {
            if (flow_ipv4.apply().hit) {
                meta.decided = 0;
            } else {
                if (meta.refused_flow_ipv4 == 1) {
                    drops.count(DROP_FLOW_TABLE_FULL);
                    drop_packet();
                    exit;
                }
                if (meta.service_id != 0 && !(meta.decided == 1)) {
                    send_to_port((PortId_t)KERNEL_PORT);
                    exit;
                }
                if (meta.decided == 1 && meta.nexthop == 0) {
                    drops.count(DROP_NO_ROUTE);
                    drop_packet();
                    exit;
                }
                if (flow_reverse_ipv4.apply().hit) {
                    if (meta.decided == 1) {
                        drops.count(DROP_FLOW_CLASH);
                        drop_packet();
                        exit;
                    }
                } else {
                    if (meta.refused_flow_reverse_ipv4 == 1) {
                        drops.count(DROP_FLOW_TABLE_FULL);
                        drop_packet();
                        exit;
                    }
                }
            }
        }
        if (meta.decided == 1) {
            meta.translate = 1;
            meta.new_src_port = meta.reverse_dst_port;
            service_requests.count((bit<32>)meta.service_id);
        }
    }
}

/// A new connection: does whoever opens it go by the proxy?
control redirect_out_ipv6(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x13000060) @name(".outbound_ipv6_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) outbound_ipv6_count;

    @id(0x11000068) @name(".proxies_ipv6")
    @selector_size_semantics("sum_of_weights")
    @max_group_size(16)
    ActionSelector(PNA_HashAlgorithm_t.TARGET_DEFAULT, 4096, 32) proxies_ipv6;

    @id(0x01000060) @name(".redirect_outbound_ipv6")
    @brief("To the network's proxy. Without one the connection goes on without it, or, `closed`, ends.")
    action redirect_outbound_ipv6(bit<1> closed, bit<12> limiter) {
        outbound_ipv6_count.count();
        meta.redirect = 1;
        meta.closed = (bit<1>)(meta.closed == 1 || closed == 1);
        if (meta.limiter == 0) {
            meta.limiter = limiter;
        }
    }

    @id(0x01000061) @name(".bypass_outbound_ipv6")
    @brief("Not to the proxy.")
    action bypass_outbound_ipv6() {
        outbound_ipv6_count.count();
    }

    @id(0x01000062) @name(".deny_outbound_ipv6")
    @brief("Nowhere, whatever else is said about the connection.")
    action deny_outbound_ipv6() {
        outbound_ipv6_count.count();
        meta.denied = 1;
    }

    @id(0x01000068) @name(".to_proxy_ipv6")
    @brief("The way to a proxy.")
    action to_proxy_ipv6(bit<16> nexthop) {
        meta.proxy_nexthop = nexthop;
    }

    @id(0x02000068) @name(".proxy_ipv6")
    @brief("The proxies of a network on this device. A member watches its port, so one that is gone gets nothing.")
    table proxy_ipv6 {
        key = {
            meta.network : exact @name("network");
            hdr.ipv6.src : selector;
            hdr.ipv6.dst : selector;
            meta.src_port : selector;
            meta.dst_port : selector;
            meta.protocol : selector;
        }
        actions = {
            @tableonly to_proxy_ipv6;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
        pna_implementation = proxies_ipv6;
    }

    @id(0x02000060) @name(".outbound_ipv6")
    @brief("Connections that a workload opens, by where they go; its counter counts new connections.")
    table outbound_ipv6 {
        key = {
            meta.network : exact @name("network");
            hdr.ipv6.src : exact @name("workload") @format(IPV6_ADDRESS);
            hdr.ipv6.dst : ternary @name("peer") @format(IPV6_ADDRESS);
            meta.dst_port : range @name("port");
        }
        actions = {
            @tableonly redirect_outbound_ipv6;
            @tableonly bypass_outbound_ipv6;
            @tableonly deny_outbound_ipv6;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
        pna_direct_counter = outbound_ipv6_count;
    }

    apply {
        proxy_ipv6.apply();
        if (meta.leg != 4) {
            outbound_ipv6.apply();
            if (meta.denied == 1) {
                drops.count(DROP_MESH_DENIED);
                drop_packet();
                exit;
            }
            if (meta.redirect == 1) {
                if (meta.proxy_nexthop != 0) {
                    if (!(meta.decided == 1)) {
                        meta.decided = 1;
                        meta.new_src_ipv6 = hdr.ipv6.src;
                        meta.new_dst_ipv6 = hdr.ipv6.dst;
                        meta.new_dst_port = meta.dst_port;
                        meta.reverse_src_ipv6 = hdr.ipv6.dst;
                        meta.reverse_dst_ipv6 = hdr.ipv6.src;
                        meta.reverse_src_port = meta.dst_port;
                        meta.reverse_dst_port = meta.src_port;
                    }
                    meta.nexthop = meta.proxy_nexthop;
                    meta.reverse_leg = 3;
                } else if (meta.closed == 1) {
                    drops.count(DROP_NO_PROXY);
                    drop_packet();
                    exit;
                }
            }
        }
    }
}

/// A packet of no known connection, out of a tunnel: is it to be answered to the device that let it in?
control remember_entrance_ipv6(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x02000047) @name(".entrance_ipv6")
    @brief("Which device let a packet from outside into the network, by the source of the inner frame.")
    table entrance_ipv6 {
        key = {
            meta.network : exact @name("network");
            hdr.ethernet.src : exact @name("source") @format(MAC_ADDRESS);
        }
        actions = {
            @tableonly came_in_by(meta);
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
    }

    apply {
        if (entrance_ipv6.apply().hit) {
            meta.decided = 1;
            meta.new_src_ipv6 = hdr.ipv6.src;
            meta.new_dst_ipv6 = hdr.ipv6.dst;
            meta.new_dst_port = meta.dst_port;
            meta.reverse_src_ipv6 = hdr.ipv6.dst;
            meta.reverse_dst_ipv6 = hdr.ipv6.src;
            meta.reverse_src_port = meta.dst_port;
            meta.reverse_dst_port = meta.src_port;
            meta.reverse_leg = 2;
        }
    }
}

/// A packet of no known connection, and not the proxy's: does it open one to a service, and to which backend?
control decide_ipv6(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    Random<bit<16>>(16w0, 16w0xffff) drawn;

    @id(0x13000043) @name(".service_ipv6_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) service_ipv6_count;

    @id(0x13000048) @name(".source_range_ipv6_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) source_range_ipv6_count;

    @id(0x11000044) @name(".backends_ipv6")
    @selector_size_semantics("sum_of_weights")
    @max_group_size(1000)
    ActionSelector(PNA_HashAlgorithm_t.TARGET_DEFAULT, 65535, 32) backends_ipv6;

    @id(0x01000048) @name(".admit_source_ipv6")
    @brief("The client may connect to the service.")
    action admit_source_ipv6() {
        source_range_ipv6_count.count();
    }

    @id(0x01000049) @name(".deny_source_ipv6")
    @brief("The client may not connect to the service.")
    action deny_source_ipv6() {
        source_range_ipv6_count.count();
        meta.not_admitted = 1;
    }

    @id(0x01000043) @name(".to_service_ipv6")
    @brief("The packet opens a connection: each connection by itself. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not.")
    @action_restriction("affinity_ms == 0")
    action to_service_ipv6(bit<16> service_id, @format(IPV6_ADDRESS) bit<128> hairpin, bit<32> affinity_ms) {
        service_ipv6_count.count();
        meta.service_id = service_id;
        meta.hairpin_ipv6 = hairpin;
        meta.affinity_ms = affinity_ms;
        meta.spread = meta.src_port;
    }

    @id(0x01000045) @name(".to_service_by_source_ipv6")
    @brief("The packet opens a connection: all connections of one source to one backend. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not.")
    @action_restriction("affinity_ms == 0")
    action to_service_by_source_ipv6(
        bit<16> service_id,
        @format(IPV6_ADDRESS) bit<128> hairpin,
        bit<32> affinity_ms
    ) {
        service_ipv6_count.count();
        meta.service_id = service_id;
        meta.hairpin_ipv6 = hairpin;
        meta.affinity_ms = affinity_ms;
    }

    @id(0x01000046) @name(".to_service_by_chance_ipv6")
    @brief("The packet opens a connection: no connection as the one before. `hairpin` is the source that a backend sees of its own packet; so many ms after its last connection a client still goes to the same backend, 0: it need not.")
    @action_restriction("affinity_ms == 0")
    action to_service_by_chance_ipv6(
        bit<16> service_id,
        @format(IPV6_ADDRESS) bit<128> hairpin,
        bit<32> affinity_ms
    ) {
        service_ipv6_count.count();
        meta.service_id = service_id;
        meta.hairpin_ipv6 = hairpin;
        meta.affinity_ms = affinity_ms;
        meta.spread = drawn.read();
    }

    @id(0x01000044) @name(".to_backend_ipv6")
    @brief("The backend that gets the connection.")
    action to_backend_ipv6(@format(IPV6_ADDRESS) bit<128> address, bit<16> port) {
        meta.decided = 1;
        meta.new_dst_ipv6 = address;
        meta.new_dst_port = port;
    }

    // examples/shop.yaml:149 DpuService shop/web:http
    // examples/shop.yaml:150 DpuService shop/web:echo
    @id(0x02000043) @name(".service_ipv6")
    @brief("Addresses and ports of services; its counter counts new connections.")
    table service_ipv6 {
        key = {
            meta.network : exact @name("network");
            hdr.ipv6.dst : exact @name("address") @format(IPV6_ADDRESS);
            meta.protocol : exact @name("protocol");
            meta.dst_port : exact @name("port");
        }
        actions = {
            @tableonly to_service_ipv6;
            @tableonly to_service_by_source_ipv6;
            @tableonly to_service_by_chance_ipv6;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 10000;
        pna_direct_counter = service_ipv6_count;
    }

    @id(0x02000048) @name(".source_range_ipv6")
    @brief("Clients outside that a service lets in or does not, by the longest prefix; its counter counts new connections.")
    table source_range_ipv6 {
        key = {
            meta.service_id : exact @name("service_id");
            hdr.ipv6.src : lpm @name("source") @format(IPV6_ADDRESS);
        }
        actions = {
            @tableonly admit_source_ipv6;
            @tableonly deny_source_ipv6;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 10000;
        pna_direct_counter = source_range_ipv6_count;
    }

    // examples/shop.yaml:149 DpuService shop/web:http
    // examples/shop.yaml:150 DpuService shop/web:echo
    @id(0x02000044) @name(".backend_ipv6")
    @brief("The backends of a service.")
    table backend_ipv6 {
        key = {
            meta.service_id : exact @name("service_id");
            hdr.ipv6.src : selector;
            hdr.ipv6.dst : selector;
            meta.spread : selector;
            meta.dst_port : selector;
            meta.protocol : selector;
        }
        actions = {
            @tableonly to_backend_ipv6;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 10000;
        pna_implementation = backends_ipv6;
    }

    apply {
        if (!(meta.decided == 1)) {
            meta.reverse_leg = meta.leg;
            meta.reverse_src_ipv6 = hdr.ipv6.src;
            meta.reverse_dst_ipv6 = hdr.ipv6.dst;
            meta.reverse_src_port = meta.src_port;
            meta.reverse_dst_port = meta.dst_port;
            meta.new_src_ipv6 = hdr.ipv6.src;
            if (service_ipv6.apply().hit) {
                if (meta.leg == 4) {
                    source_range_ipv6.apply();
                }
                if (!(meta.not_admitted == 1)) {
                    backend_ipv6.apply();
                }
                if (meta.new_dst_ipv6 == hdr.ipv6.src) {
                    meta.new_src_ipv6 = meta.hairpin_ipv6;
                }
                meta.route_ipv6 = meta.new_dst_ipv6;
                meta.reverse_leg = 2;
                meta.reverse_src_ipv6 = meta.new_dst_ipv6;
                meta.reverse_dst_ipv6 = meta.new_src_ipv6;
                meta.reverse_src_port = meta.new_dst_port;
                meta.reverse_dst_port = meta.src_port;
            }
        }
    }
}

/// A new connection: does whom it is opened to go by the proxy?
control redirect_in_ipv6(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x13000064) @name(".inbound_ipv6_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) inbound_ipv6_count;

    @id(0x1500006c) @name(".redirect_limit_ipv6_meter")
    @single_rate_two_color
    DirectMeter(PNA_MeterType_t.PACKETS) redirect_limit_ipv6_meter;

    @id(0x01000064) @name(".redirect_inbound_ipv6")
    @brief("To the network's proxy. Without one the connection goes on without it, or, `closed`, ends.")
    action redirect_inbound_ipv6(bit<1> closed, bit<12> limiter) {
        inbound_ipv6_count.count();
        meta.redirect = 1;
        meta.closed = (bit<1>)(meta.closed == 1 || closed == 1);
        if (meta.limiter == 0) {
            meta.limiter = limiter;
        }
    }

    @id(0x01000065) @name(".bypass_inbound_ipv6")
    @brief("Not to the proxy.")
    action bypass_inbound_ipv6() {
        inbound_ipv6_count.count();
    }

    @id(0x01000066) @name(".deny_inbound_ipv6")
    @brief("Nowhere, whatever else is said about the connection.")
    action deny_inbound_ipv6() {
        inbound_ipv6_count.count();
        meta.denied = 1;
    }

    @id(0x0100006c) @name(".limit_redirects_ipv6")
    @brief("Connections within the rate go to the proxy.")
    action limit_redirects_ipv6() {
        PNA_MeterColor_t color = redirect_limit_ipv6_meter.execute();
        meta.rate_color = color == PNA_MeterColor_t.RED ? 2w2 : (color == PNA_MeterColor_t.YELLOW ? 2w1 : 2w0);
    }

    @id(0x02000064) @name(".inbound_ipv6")
    @brief("Connections that are opened to a workload, by where they come from; its counter counts new connections.")
    table inbound_ipv6 {
        key = {
            meta.network : exact @name("network");
            meta.route_ipv6 : exact @name("workload") @format(IPV6_ADDRESS);
            hdr.ipv6.src : ternary @name("peer") @format(IPV6_ADDRESS);
            meta.server_port : range @name("port");
        }
        actions = {
            @tableonly redirect_inbound_ipv6;
            @tableonly bypass_inbound_ipv6;
            @tableonly deny_inbound_ipv6;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
        pna_direct_counter = inbound_ipv6_count;
    }

    @id(0x0200006c) @name(".redirect_limit_ipv6")
    @brief("New connections a second of a workload that the proxy gets; its meter counts these, and those beyond.")
    table redirect_limit_ipv6 {
        key = {
            meta.limiter : exact @name("limiter");
        }
        actions = {
            @tableonly limit_redirects_ipv6;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4095;
        pna_direct_meter = redirect_limit_ipv6_meter;
    }

    apply {
        meta.redirect = 0;
        meta.closed = 0;
        meta.server_port = meta.dst_port;
        if (meta.decided == 1) {
            meta.server_port = meta.new_dst_port;
        }
        inbound_ipv6.apply();
        if (meta.denied == 1) {
            drops.count(DROP_MESH_DENIED);
            drop_packet();
            exit;
        }
        if (meta.redirect == 1) {
            if (meta.proxy_nexthop != 0) {
                if (!(meta.decided == 1)) {
                    meta.decided = 1;
                    meta.new_src_ipv6 = hdr.ipv6.src;
                    meta.new_dst_ipv6 = hdr.ipv6.dst;
                    meta.new_dst_port = meta.dst_port;
                    meta.reverse_src_ipv6 = hdr.ipv6.dst;
                    meta.reverse_dst_ipv6 = hdr.ipv6.src;
                    meta.reverse_src_port = meta.dst_port;
                    meta.reverse_dst_port = meta.src_port;
                }
                meta.nexthop = meta.proxy_nexthop;
                meta.reverse_leg = 3;
            } else if (meta.closed == 1) {
                drops.count(DROP_NO_PROXY);
                drop_packet();
                exit;
            }
        }
        if (meta.limiter != 0 && meta.reverse_leg == 3) {
            redirect_limit_ipv6.apply();
            if (meta.rate_color == 2) {
                drops.count(DROP_MESH_LIMIT);
                drop_packet();
                exit;
            }
        }
    }
}

/// Decide for a packet of a network, as if it opened a connection; what a known flow says overrules that.
control connection_ipv6(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x13000041) @name(".flow_ipv6_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) flow_ipv6_count;

    @id(0x13000042) @name(".flow_reverse_ipv6_count")
    DirectCounter<bit<64>>(PNA_CounterType_t.PACKETS_AND_BYTES) flow_reverse_ipv6_count;

    @id(0x01000041) @name(".translate_ipv6")
    @brief("A packet of a known connection to a service.")
    action translate_ipv6(
        @format(IPV6_ADDRESS) bit<128> src,
        @format(IPV6_ADDRESS) bit<128> dst,
        bit<16> src_port,
        bit<16> dst_port,
        bit<16> nexthop,
        bit<16> service_id
    ) {
        flow_ipv6_count.count();
        meta.translate = 1;
        meta.new_src_ipv6 = src;
        meta.new_dst_ipv6 = dst;
        meta.new_src_port = src_port;
        meta.new_dst_port = dst_port;
        meta.route_ipv6 = dst;
        meta.nexthop = nexthop;
        meta.service_id = service_id;
        service_requests.count((bit<32>)service_id);
        if (meta.protocol == 6) {
            if ((meta.tcp_flags & 5) != 0) {
                set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV6_TCP_CLOSING);
            } else if ((meta.tcp_flags & 10) == 8) {
                set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV6_TCP_ESTABLISHED);
            }
        } else {
            set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV6_UDP_STREAM);
        }
    }

    @id(0x01000042) @name(".translate_reply_ipv6")
    @brief("A reply: it comes from the service again.")
    action translate_reply_ipv6(
        @format(IPV6_ADDRESS) bit<128> src,
        @format(IPV6_ADDRESS) bit<128> dst,
        bit<16> src_port,
        bit<16> dst_port,
        bit<16> nexthop,
        bit<16> service_id
    ) {
        flow_reverse_ipv6_count.count();
        meta.translate = 1;
        meta.new_src_ipv6 = src;
        meta.new_dst_ipv6 = dst;
        meta.new_src_port = src_port;
        meta.new_dst_port = dst_port;
        meta.route_ipv6 = dst;
        meta.nexthop = nexthop;
        meta.service_id = service_id;
        meta.is_reply = 1;
        if (!(meta.decided == 1)) {
            service_replies.count((bit<32>)service_id);
            if (meta.protocol == 6) {
                if ((meta.tcp_flags & 5) != 0) {
                    set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV6_TCP_CLOSING);
                } else if ((meta.tcp_flags & 10) == 8) {
                    set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV6_TCP_ESTABLISHED);
                }
            } else {
                set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV6_UDP_STREAM);
            }
        }
    }

    @id(0x01800041) @name(".learn_flow_ipv6")
    @brief("Keep the key that flow_ipv6 missed.")
    action learn_flow_ipv6() {
        if (meta.decided == 1 && meta.nexthop != 0) {
            bool added = add_entry(
                action_name = "translate_ipv6",
                action_params = { meta.new_src_ipv6, meta.new_dst_ipv6, meta.reverse_dst_port, meta.new_dst_port,
                                  meta.nexthop, meta.service_id },
                expire_time_profile_id = (ExpireTimeProfileId_t)meta.profile);
            if (!added) { meta.refused_flow_ipv6 = 1; }
        }
    }

    @id(0x01800042) @name(".learn_flow_reverse_ipv6")
    @brief("Keep the key that flow_reverse_ipv6 missed.")
    action learn_flow_reverse_ipv6() {
        if (meta.decided == 1) {
            bool added = add_entry(
                action_name = "translate_reply_ipv6",
                action_params = { hdr.ipv6.dst, hdr.ipv6.src, meta.dst_port, meta.src_port, meta.source_nexthop,
                                  meta.service_id },
                expire_time_profile_id = (ExpireTimeProfileId_t)meta.profile);
            if (!added) { meta.refused_flow_reverse_ipv6 = 1; }
        }
    }

    // examples/shop.yaml:67 Workload shop/client
    // examples/shop.yaml:78 Workload shop/web-1
    // examples/shop.yaml:91 Workload shop/web-2
    // examples/shop.yaml:104 Workload shop/web-3
    @id(0x02000045) @name(".route_ipv6")
    @brief("Where in a network an address is.")
    table route_ipv6 {
        key = {
            meta.network : exact @name("network");
            meta.route_ipv6 : lpm @name("dst") @format(IPV6_ADDRESS);
        }
        actions = {
            @tableonly via(meta);
            @defaultonly miss;
        }
        const default_action = miss();
        size = 65536;
    }

    @id(0x02000041) @name(".flow_ipv6")
    @brief("Known connections, by the tuple of the packet that opened them.")
    table flow_ipv6 {
        key = {
            meta.network : exact @name("network");
            meta.leg : exact @name("leg");
            meta.protocol : exact @name("protocol");
            hdr.ipv6.src : exact @name("src") @format(IPV6_ADDRESS);
            hdr.ipv6.dst : exact @name("dst") @format(IPV6_ADDRESS);
            meta.src_port : exact @name("src_port");
            meta.dst_port : exact @name("dst_port");
        }
        actions = {
            @tableonly translate_ipv6;
            @defaultonly learn_flow_ipv6;
        }
        const default_action = learn_flow_ipv6();
        size = 65536;
        pna_direct_counter = flow_ipv6_count;
        add_on_miss = true;
        idle_timeout_with_auto_delete = true;
    }

    @id(0x02000042) @name(".flow_reverse_ipv6")
    @brief("The same connections, by the tuple of their replies.")
    table flow_reverse_ipv6 {
        key = {
            meta.reverse_network : exact @name("network");
            meta.reverse_leg : exact @name("leg");
            meta.protocol : exact @name("protocol");
            meta.reverse_src_ipv6 : exact @name("src") @format(IPV6_ADDRESS);
            meta.reverse_dst_ipv6 : exact @name("dst") @format(IPV6_ADDRESS);
            meta.reverse_src_port : exact @name("src_port");
            meta.reverse_dst_port : exact @name("dst_port");
        }
        actions = {
            @tableonly translate_reply_ipv6;
            @defaultonly learn_flow_reverse_ipv6;
        }
        const default_action = learn_flow_reverse_ipv6();
        size = 65536;
        pna_direct_counter = flow_reverse_ipv6_count;
        add_on_miss = true;
        idle_timeout_with_auto_delete = true;
    }

    apply {
        meta.route_ipv6 = hdr.ipv6.dst;
        if (hdr.tcp.isValid()) {
            meta.protocol = 6;
            meta.src_port = hdr.tcp.src_port;
            meta.dst_port = hdr.tcp.dst_port;
            meta.tcp_flags = hdr.tcp.flags;
            meta.profile = 1;
        } else if (hdr.udp.isValid()) {
            meta.protocol = 17;
            meta.src_port = hdr.udp.src_port;
            meta.dst_port = hdr.udp.dst_port;
            meta.profile = 4;
        }
        meta.reverse_network = meta.network;
        if (meta.leg != 3 && meta.protocol == 6 && (meta.tcp_flags & 23) == 2) {
            redirect_out_ipv6.apply(hdr, meta, input);
        }
        if (meta.protocol != 0) {
            if (hdr.vxlan.isValid()) {
                remember_entrance_ipv6.apply(hdr, meta, input);
            }
            decide_ipv6.apply(hdr, meta, input);
        }
        if (meta.leg != 3 && meta.protocol == 6 && (meta.tcp_flags & 23) == 2) {
            redirect_in_ipv6.apply(hdr, meta, input);
        }
        if (meta.nexthop == 0) {
            route_ipv6.apply();
        }
        if (meta.protocol != 0) {
            if (flow_ipv6.apply().hit) {
                meta.decided = 0;
            } else {
                if (meta.refused_flow_ipv6 == 1) {
                    drops.count(DROP_FLOW_TABLE_FULL);
                    drop_packet();
                    exit;
                }
                if (meta.service_id != 0 && !(meta.decided == 1)) {
                    send_to_port((PortId_t)KERNEL_PORT);
                    exit;
                }
                if (meta.decided == 1 && meta.nexthop == 0) {
                    drops.count(DROP_NO_ROUTE);
                    drop_packet();
                    exit;
                }
                if (flow_reverse_ipv6.apply().hit) {
                    if (meta.decided == 1) {
                        drops.count(DROP_FLOW_CLASH);
                        drop_packet();
                        exit;
                    }
                } else {
                    if (meta.refused_flow_reverse_ipv6 == 1) {
                        drops.count(DROP_FLOW_TABLE_FULL);
                        drop_packet();
                        exit;
                    }
                }
            }
        }
        if (meta.decided == 1) {
            meta.translate = 1;
            meta.new_src_port = meta.reverse_dst_port;
            service_requests.count((bit<32>)meta.service_id);
        }
    }
}

/// A packet to or from storage: within its rate? If from a host, that one is remembered for longer.
control steer_storage(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x15000078) @name(".storage_meter")
    @single_rate_two_color
    DirectMeter(PNA_MeterType_t.BYTES) storage_meter;

    @id(0x01000078) @name(".admit")
    @brief("Packets within the rate pass, with the class that they came with.")
    action admit() {
        PNA_MeterColor_t color = storage_meter.execute();
        meta.rate_color = color == PNA_MeterColor_t.RED ? 2w2 : (color == PNA_MeterColor_t.YELLOW ? 2w1 : 2w0);
    }

    @id(0x01000079) @name(".classify_storage")
    @brief("Packets within the rate pass, in this class: DSCP times 4 (RFC 2474). Their two bits of ECN stay.")
    action classify_storage(bit<8> traffic_class) {
        PNA_MeterColor_t color = storage_meter.execute();
        meta.rate_color = color == PNA_MeterColor_t.RED ? 2w2 : (color == PNA_MeterColor_t.YELLOW ? 2w1 : 2w0);
        meta.storage_marked = 1;
        meta.storage_class = traffic_class;
    }

    @id(0x02000078) @name(".storage")
    @brief("Class and rate of a portal's packets, from hosts and, `is_reply`, to them.")
    table storage {
        key = {
            meta.service_id : exact @name("service_id");
            meta.is_reply : exact @name("is_reply");
        }
        actions = {
            @tableonly admit;
            @tableonly classify_storage;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 32768;
        pna_direct_meter = storage_meter;
    }

    apply {
        storage.apply();
        if (meta.rate_color == 2) {
            drops.count(DROP_RATE_EXCEEDED);
            drop_packet();
            exit;
        }
    }
}

/// Time to live and size (RFC 1812, sections 5.3.1 and 4.2.2.7; RFC 1191).
control check_ipv4(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    apply {
        meta.inner_length = hdr.ipv4.total_length;
        meta.traffic_class = hdr.ipv4.traffic_class;
        if (hdr.ipv4.ttl < 2) {
            meta.error_ = 1;
            meta.error_type = 11;
            meta.error_code = 0;
            meta.error_mtu = 0;
        } else if ((hdr.ipv4.isValid() ? hdr.ipv4.total_length : hdr.ipv6.payload_length + 40) > meta.mtu) {
            if ((hdr.ipv4.flags & 2) == 0) {
                drops.count(DROP_FRAGMENTATION_NEEDED);
                drop_packet();
                exit;
            }
            meta.error_ = 1;
            meta.error_type = 3;
            meta.error_code = 4;
            meta.error_mtu = meta.mtu;
        }
    }
}

/// Hop limit and size (RFC 8200, sections 3 and 5; RFC 4443, sections 3.2 and 3.3).
control check_ipv6(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    apply {
        meta.inner_length = hdr.ipv6.payload_length + 40;
        meta.traffic_class = hdr.ipv6.traffic_class;
        if (hdr.ipv6.hop_limit < 2) {
            meta.error_ = 1;
            meta.error_type = 3;
            meta.error_code = 0;
            meta.error_mtu = 0;
        } else if ((hdr.ipv4.isValid() ? hdr.ipv4.total_length : hdr.ipv6.payload_length + 40) > meta.mtu) {
            meta.error_ = 1;
            meta.error_type = 2;
            meta.error_code = 0;
            meta.error_mtu = meta.mtu;
        }
    }
}

/// PNA cannot cut a packet to quote it in an ICMP error: the kernel gets it as it came, and answers.
control error_ipv4(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    apply {
        if (hdr.tcp.isValid() || hdr.udp.isValid()) {
            send_to_port((PortId_t)KERNEL_PORT);
            exit;
        }
        drops.count(DROP_ERROR_NOT_SENT);
        drop_packet();
        exit;
    }
}

/// PNA cannot cut a packet to quote it in an ICMP error: the kernel gets it as it came, and answers.
control error_ipv6(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    apply {
        if (hdr.tcp.isValid() || hdr.udp.isValid()) {
            send_to_port((PortId_t)KERNEL_PORT);
            exit;
        }
        drops.count(DROP_ERROR_NOT_SENT);
        drop_packet();
        exit;
    }
}

/// The class of a packet to or from storage, in its own header and in the one of its tunnel.
control mark_class(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    apply {
        meta.traffic_class = (meta.traffic_class & 3) | meta.storage_class;
        if (hdr.ipv4.isValid()) {
            hdr.ipv4.traffic_class = meta.traffic_class;
            meta.sums.update_ipv4 = 1;
        } else if (hdr.ipv6.isValid()) {
            hdr.ipv6.traffic_class = meta.traffic_class;
        }
    }
}

/// Translate as decided, and one hop less to live.
control send_ipv4(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    Hash<bit<14>>(PNA_HashAlgorithm_t.TARGET_DEFAULT) hashed;

    apply {
        if (meta.encapsulate == 1) {
            meta.entropy = (bit<16>)hashed.get_hash({ meta.network, meta.leg, meta.protocol, hdr.ipv4.src, hdr.ipv4.dst, meta.src_port, meta.dst_port });
            meta.entropy = meta.entropy | 0xc000;
        }
        if (meta.translate == 1 && hdr.tcp.isValid()) {
            hdr.ipv4.src = meta.new_src_ipv4;
            hdr.ipv4.dst = meta.new_dst_ipv4;
            hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
            hdr.tcp.src_port = meta.new_src_port;
            hdr.tcp.dst_port = meta.new_dst_port;
            meta.sums.update_ipv4 = 1;
            meta.sums.update_tcp = 1;
        } else if (meta.translate == 1 && hdr.udp.isValid()) {
            hdr.ipv4.src = meta.new_src_ipv4;
            hdr.ipv4.dst = meta.new_dst_ipv4;
            hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
            hdr.udp.src_port = meta.new_src_port;
            hdr.udp.dst_port = meta.new_dst_port;
            meta.sums.update_ipv4 = 1;
            meta.sums.update_udp = 1;
        } else {
            hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
            meta.sums.update_ipv4 = 1;
        }
    }
}

/// Translate as decided, and one hop less to live.
control send_ipv6(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    Hash<bit<14>>(PNA_HashAlgorithm_t.TARGET_DEFAULT) hashed;

    apply {
        if (meta.encapsulate == 1) {
            meta.entropy = (bit<16>)hashed.get_hash({ meta.network, meta.leg, meta.protocol, hdr.ipv6.src, hdr.ipv6.dst, meta.src_port, meta.dst_port });
            meta.entropy = meta.entropy | 0xc000;
        }
        if (meta.translate == 1 && hdr.tcp.isValid()) {
            hdr.ipv6.src = meta.new_src_ipv6;
            hdr.ipv6.dst = meta.new_dst_ipv6;
            hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
            hdr.tcp.src_port = meta.new_src_port;
            hdr.tcp.dst_port = meta.new_dst_port;
            meta.sums.update_tcp = 1;
        } else if (meta.translate == 1 && hdr.udp.isValid()) {
            hdr.ipv6.src = meta.new_src_ipv6;
            hdr.ipv6.dst = meta.new_dst_ipv6;
            hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
            hdr.udp.src_port = meta.new_src_port;
            hdr.udp.dst_port = meta.new_dst_port;
            meta.sums.update_udp = 1;
        } else {
            hdr.ipv6.hop_limit = hdr.ipv6.hop_limit - 1;
        }
    }
}

/// Send a packet whose next hop is known.
control forward(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    @id(0x01000006) @name(".deliver")
    @brief("To a port of this device; `vlan` 0 sends untagged. `mtu` counts the IP packet.")
    action deliver(
        bit<16> network,
        bit<16> port,
        bit<16> mtu,
        @format(MAC_ADDRESS) bit<48> dst_mac,
        @format(MAC_ADDRESS) bit<48> src_mac,
        bit<12> vlan
    ) {
        meta.egress_network = network;
        meta.egress_port = port;
        meta.mtu = mtu;
        meta.egress_dst_mac = dst_mac;
        meta.egress_src_mac = src_mac;
        meta.egress_vlan = vlan;
        send_to_port((PortId_t)(PortIdUint_t)port);
    }

    @id(0x01000007) @name(".encapsulate")
    @brief("Through a VXLAN tunnel to another device. `mtu` counts the inner IP packet.")
    action encapsulate(
        bit<16> network,
        bit<16> port,
        bit<16> mtu,
        @format(MAC_ADDRESS) bit<48> dst_mac,
        @format(MAC_ADDRESS) bit<48> src_mac,
        bit<24> vni,
        @format(IPV4_ADDRESS) bit<32> tunnel_src,
        @format(IPV4_ADDRESS) bit<32> tunnel_dst,
        @format(MAC_ADDRESS) bit<48> tunnel_src_mac,
        @format(MAC_ADDRESS) bit<48> tunnel_dst_mac
    ) {
        meta.egress_network = network;
        meta.egress_port = port;
        meta.mtu = mtu;
        meta.egress_dst_mac = dst_mac;
        meta.egress_src_mac = src_mac;
        meta.encapsulate = 1;
        meta.tunnel_vni = vni;
        meta.tunnel_src = tunnel_src;
        meta.tunnel_dst = tunnel_dst;
        meta.tunnel_src_mac = tunnel_src_mac;
        meta.tunnel_dst_mac = tunnel_dst_mac;
        send_to_port((PortId_t)(PortIdUint_t)port);
    }

    @id(0x01000008) @name(".set_gateway")
    @brief("The addresses that ICMP errors of a network come from.")
    action set_gateway(@format(IPV4_ADDRESS) bit<32> ipv4, @format(IPV6_ADDRESS) bit<128> ipv6) {
        meta.gateway_ipv4 = ipv4;
        meta.gateway_ipv6 = ipv6;
    }

    // examples/shop.yaml:53 Device dpu-b
    // examples/shop.yaml:67 Workload shop/client
    // examples/shop.yaml:78 Workload shop/web-1
    // examples/shop.yaml:91 Workload shop/web-2
    // examples/shop.yaml:118 Workload blue/blue-client
    @id(0x02000005) @name(".neighbor")
    @brief("How to reach a next hop.")
    table neighbor {
        key = {
            meta.nexthop : exact @name("nexthop");
        }
        actions = {
            @tableonly deliver;
            @tableonly encapsulate;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 16384;
    }

    // examples/shop.yaml:9 Network shop
    // examples/shop.yaml:18 Network blue
    @id(0x02000006) @name(".network")
    @brief("What is the same for a whole network.")
    table network {
        key = {
            meta.network : exact @name("network");
        }
        actions = {
            @tableonly set_gateway;
            @defaultonly miss;
        }
        const default_action = miss();
        size = 4096;
    }

    apply {
        if (neighbor.apply().miss) {
            drops.count(DROP_NO_NEIGHBOR);
            drop_packet();
            exit;
        }
        if (meta.egress_network != meta.network) {
            drops.count(DROP_OTHER_NETWORK);
            drop_packet();
            exit;
        }
        if (meta.encapsulate == 1 && hdr.vxlan.isValid()) {
            drops.count(DROP_TUNNEL_LOOP);
            drop_packet();
            exit;
        }
        if (hdr.ipv4.isValid()) {
            check_ipv4.apply(hdr, meta, input);
        } else if (hdr.ipv6.isValid()) {
            check_ipv6.apply(hdr, meta, input);
        }
        if (meta.error_ == 1) {
            if (hdr.vxlan.isValid()) {
                drops.count(DROP_ERROR_NOT_SENT);
                drop_packet();
                exit;
            }
            if (network.apply().miss) {
                drops.count(DROP_ERROR_NOT_SENT);
                drop_packet();
                exit;
            }
            if (hdr.ipv4.isValid()) {
                error_ipv4.apply(hdr, meta, input);
            } else if (hdr.ipv6.isValid()) {
                error_ipv6.apply(hdr, meta, input);
            }
        }
        if (meta.storage_marked == 1) {
            mark_class.apply(hdr, meta, input);
        }
        if (hdr.vlan.isValid()) {
            hdr.ethernet.type = hdr.vlan.type;
            hdr.vlan.setInvalid();
        }
        if (hdr.vxlan.isValid()) {
            hdr.outer_ethernet.setInvalid();
            hdr.outer_ipv4.setInvalid();
            hdr.outer_udp.setInvalid();
            hdr.vxlan.setInvalid();
        }
        if (hdr.ipv4.isValid()) {
            send_ipv4.apply(hdr, meta, input);
        } else if (hdr.ipv6.isValid()) {
            send_ipv6.apply(hdr, meta, input);
        }
        hdr.ethernet.dst = meta.egress_dst_mac;
        hdr.ethernet.src = meta.egress_src_mac + meta.signature;
        if (meta.encapsulate == 1) {
            hdr.outer_ethernet = {
                dst = meta.tunnel_dst_mac,
                src = meta.tunnel_src_mac,
                type = 0x0800
            };
            hdr.outer_ipv4 = {
                version = 4,
                header_length = 5,
                traffic_class = meta.traffic_class,
                total_length = meta.inner_length + 50,
                identification = 0,
                flags = 2,
                fragment_offset = 0,
                ttl = 64,
                protocol = 17,
                checksum = 0,
                src = meta.tunnel_src,
                dst = meta.tunnel_dst
            };
            meta.sums.compute_outer_ipv4 = 1;
            hdr.outer_udp = {
                src_port = meta.entropy,
                dst_port = 0x12b5,
                length = meta.inner_length + 30,
                checksum = 0
            };
            hdr.vxlan = {
                flags = 8,
                reserved = 0,
                vni = meta.tunnel_vni,
                reserved2 = 0
            };
        } else if (meta.egress_vlan != 0) {
            hdr.vlan = {
                priority = 0,
                drop_eligible = 0,
                id = meta.egress_vlan,
                type = hdr.ethernet.type
            };
            hdr.ethernet.type = 0x8100;
        }
        exit;
    }
}

/// What is in a network: its connection, its way out.
control serve(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    apply {
        if (hdr.ipv4.isValid()) {
            if (hdr.ipv4.version == 4 && hdr.ipv4.header_length > 4) {
                connection_ipv4.apply(hdr, meta, input);
            }
        } else if (hdr.ipv6.isValid()) {
            if (hdr.ipv6.version == 6) {
                connection_ipv6.apply(hdr, meta, input);
            }
        }
        if (meta.service_id > 0xbfff) {
            steer_storage.apply(hdr, meta, input);
        }
        if (meta.nexthop != 0) {
            forward.apply(hdr, meta, input);
        }
        if (hdr.vxlan.isValid()) {
            drops.count(DROP_NO_ROUTE);
            drop_packet();
            exit;
        }
    }
}

/// What no policy concerns runs off the end, untouched.
control ingress(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input) {
    apply {
        classify.apply(hdr, meta, input);
        if (hdr.arp.isValid() && meta.leg != 0 && !hdr.vxlan.isValid()) {
            answer_arp.apply(hdr, meta, input);
        } else if (hdr.neighbor.isValid() && meta.leg != 0 && !hdr.vxlan.isValid()) {
            answer_nd.apply(hdr, meta, input);
        } else if (meta.leg > 1) {
            serve.apply(hdr, meta, input);
        }
    }
}

control process(inout headers_t hdr, inout metadata_t meta, in pna_main_input_metadata_t input, inout pna_main_output_metadata_t output) {
    apply {
        send_to_port((PortId_t)KERNEL_PORT);
        if (input.parser_error != error.NoError) {
            exit;
        }
        prepare.apply(hdr, meta);
        ingress.apply(hdr, meta, input);
    }
}

/// Checksums are made here, of a copy: a deparser may not change headers.
control deparse(packet_out packet, in headers_t before, in metadata_t meta, in pna_main_output_metadata_t output) {
    InternetChecksum() sum;
    apply {
        headers_t hdr = before;
        // ipv4, where it was rewritten (RFC 1624)
        if (hdr.ipv4.isValid() && meta.sums.update_ipv4 == 1) {
            sum.clear();
            sum.add({ 16w0xffff, meta.sums.not_ipv4_checksum,
                      meta.sums.not_ipv4_version_header_length_traffic_class,
                      meta.sums.not_ipv4_ttl_protocol, meta.sums.not_ipv4_src, meta.sums.not_ipv4_dst,
                      hdr.ipv4.version, hdr.ipv4.header_length, hdr.ipv4.traffic_class, hdr.ipv4.ttl,
                      hdr.ipv4.protocol, hdr.ipv4.src, hdr.ipv4.dst });
            hdr.ipv4.checksum = sum.get();
        }
        // tcp, where it was rewritten (RFC 1624)
        if (hdr.tcp.isValid() && hdr.ipv4.isValid() && meta.sums.update_tcp == 1) {
            sum.clear();
            sum.add({ 16w0xffff, meta.sums.not_tcp_checksum, meta.sums.not_ipv4_src, meta.sums.not_ipv4_dst,
                      meta.sums.not_tcp_src_port, meta.sums.not_tcp_dst_port, hdr.ipv4.src, hdr.ipv4.dst,
                      hdr.tcp.src_port, hdr.tcp.dst_port });
            hdr.tcp.checksum = sum.get();
        }
        // tcp, where it was rewritten (RFC 1624)
        if (hdr.tcp.isValid() && hdr.ipv6.isValid() && meta.sums.update_tcp == 1) {
            sum.clear();
            sum.add({ 16w0xffff, meta.sums.not_tcp_checksum, meta.sums.not_ipv6_src, meta.sums.not_ipv6_dst,
                      meta.sums.not_tcp_src_port, meta.sums.not_tcp_dst_port, hdr.ipv6.src, hdr.ipv6.dst,
                      hdr.tcp.src_port, hdr.tcp.dst_port });
            hdr.tcp.checksum = sum.get();
        }
        // udp, where it was rewritten (RFC 1624)
        if (hdr.udp.isValid() && hdr.ipv4.isValid() && meta.sums.update_udp == 1 && hdr.udp.checksum != 0) {
            sum.clear();
            sum.add({ 16w0xffff, meta.sums.not_udp_checksum, meta.sums.not_ipv4_src, meta.sums.not_ipv4_dst,
                      meta.sums.not_udp_src_port, meta.sums.not_udp_dst_port, hdr.ipv4.src, hdr.ipv4.dst,
                      hdr.udp.src_port, hdr.udp.dst_port });
            hdr.udp.checksum = sum.get();
        }
        // udp, where it was rewritten (RFC 1624)
        if (hdr.udp.isValid() && hdr.ipv6.isValid() && meta.sums.update_udp == 1 && hdr.udp.checksum != 0) {
            sum.clear();
            sum.add({ 16w0xffff, meta.sums.not_udp_checksum, meta.sums.not_ipv6_src, meta.sums.not_ipv6_dst,
                      meta.sums.not_udp_src_port, meta.sums.not_udp_dst_port, hdr.ipv6.src, hdr.ipv6.dst,
                      hdr.udp.src_port, hdr.udp.dst_port });
            hdr.udp.checksum = sum.get();
        }
        // udp: 0 says that there is no checksum, so one that has become 0 is sent as 0xffff (RFC 768)
        if (hdr.udp.isValid() && meta.sums.update_udp == 1 && meta.sums.not_udp_checksum != 0xffff && hdr.udp.checksum == 0) {
            sum.clear();
            sum.add({ 16w0 });
            hdr.udp.checksum = sum.get();
        }
        // outer_ipv4, where it was pushed
        if (hdr.outer_ipv4.isValid() && meta.sums.compute_outer_ipv4 == 1) {
            sum.clear();
            sum.add({ hdr.outer_ipv4.version, hdr.outer_ipv4.header_length, hdr.outer_ipv4.traffic_class,
                      hdr.outer_ipv4.total_length, hdr.outer_ipv4.identification, hdr.outer_ipv4.flags,
                      hdr.outer_ipv4.fragment_offset, hdr.outer_ipv4.ttl, hdr.outer_ipv4.protocol,
                      hdr.outer_ipv4.src, hdr.outer_ipv4.dst });
            hdr.outer_ipv4.checksum = sum.get();
        }
        packet.emit(hdr);
    }
}

@pkginfo(name = "turnout", version = "12", organization = "turnout.dev")
@brief("Services, tunnels and routes of the networks that a device serves.")
PNA_NIC(parse(), before_main(), process(), deparse()) main;
