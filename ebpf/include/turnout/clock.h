/*
 * The device's clock in milliseconds. Slots keep 32 bits of it, which wrap every 49 days, so they are compared by their
 * difference.
 */
#ifndef TURNOUT_CLOCK_H
#define TURNOUT_CLOCK_H

#include "bpf.h"

/* 1: the time is what user space wrote into test_clock, so that a run can be repeated. */
const volatile u32 test_mode;

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	u64 *value;
} test_clock SEC(".maps");

static __always_inline u64 clock_test_ms(void)
{
	u32 zero = 0;
	u64 *now = bpf_map_lookup_elem(&test_clock, &zero);

	return now ? *now : 0;
}

/*
 * Milliseconds in steps of 2^19 ns, by a product instead of a division, which would cost more than the rest of the
 * clock. 8796093 / 2^24 is 0.524288 but for 2.5e-9 of it, 80 ms a year; it wraps after 36 years.
 */
static __always_inline u64 clock_ns_to_ms(u64 ns)
{
	return (ns >> 19) * 8796093 >> 24;
}

/*
 * The kernel's count of timer ticks as a clock, which is read by a load and not by a call: what a tick takes, and what the
 * count was when CLOCK_MONOTONIC was 0. No such clock where `tick_ns` is 0.
 */
const volatile u64 tick_ns;
const volatile u64 tick_origin;

static __always_inline u64 clock_ticks_ms(void)
{
	return clock_ns_to_ms((bpf_jiffies64() - tick_origin) * tick_ns);
}

/* For packets: milliseconds of CLOCK_MONOTONIC as of the last timer tick. */
static __always_inline u64 clock_ms(void)
{
	if (test_mode)
		return clock_test_ms();
	return tick_ns ? clock_ticks_ms() : clock_ns_to_ms(bpf_ktime_get_coarse_ns());
}

/* For programs that the device runs, which the kernel does not let have the coarse clock: up to a tick ahead of it. */
static __always_inline u64 clock_device_ms(void)
{
	if (test_mode)
		return clock_test_ms();
	return tick_ns ? clock_ticks_ms() : clock_ns_to_ms(bpf_ktime_get_ns());
}

#endif
