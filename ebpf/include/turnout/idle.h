/*
 * When packets last met the entries of tables with an idle timeout. The device reads it as shared memory, once a second.
 */
#ifndef TURNOUT_IDLE_H
#define TURNOUT_IDLE_H

#include "bpf.h"

#define IDLE_GRANULARITY_MS 100 /* Row.see of the interpreter */

/* A cache line that all CPUs share is written ten times a second at most. A clock that was read early changes nothing. */
static __always_inline void see_entry(const void *seen, u32 index, u64 now_ms)
{
	u64 *last = bpf_map_lookup_elem(seen, &index);

	if (last && (s64)(now_ms - *last) >= IDLE_GRANULARITY_MS)
		*last = now_ms;
}

#endif
