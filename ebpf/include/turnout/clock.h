/*
 * The device's clock: milliseconds, 32 bits, compared by difference because they wrap every 49 days.
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
 * A division costs more than the rest of reading a clock, hence the multiplication: ns / 2^19 * (2^19 / 10^6), the
 * factor rounded to 24 bits. It loses 0.1 s in a year and never runs backwards, which is all that ageing needs. Good
 * for 19 years of uptime.
 */
static __always_inline u64 clock_ns_to_ms(u64 ns)
{
	return (ns >> 19) * 8796093 >> 24;
}

/* For packets: milliseconds of CLOCK_MONOTONIC as of the last timer tick. */
static __always_inline u64 clock_ms(void)
{
	return test_mode ? clock_test_ms() : clock_ns_to_ms(bpf_ktime_get_coarse_ns());
}

/* For programs that the device runs, which the kernel does not let have the cheap clock: up to a tick ahead of it. */
static __always_inline u64 clock_device_ms(void)
{
	return test_mode ? clock_test_ms() : clock_ns_to_ms(bpf_ktime_get_ns());
}

#endif
