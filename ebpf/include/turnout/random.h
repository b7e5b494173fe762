/*
 * Random numbers. In test runs they follow from the time, so that a run can be repeated and the interpreter draws the same.
 */
#ifndef TURNOUT_RANDOM_H
#define TURNOUT_RANDOM_H

#include "bpf.h"
#include "clock.h"

static __always_inline u32 drawn(void)
{
	return test_mode ? (u32)clock_test_ms() * 2654435761u : bpf_get_prandom_u32();
}

#endif
