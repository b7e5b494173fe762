/*
 * Which tables a packet asked, for who wants to compare that with the interpreter's trace. Nothing of it is in a program
 * that is loaded without `tracing`.
 */
#ifndef TURNOUT_TRACE_H
#define TURNOUT_TRACE_H

#include "bpf.h"

#define TRACE_STEPS 63

/* 1: every Apply is written down. */
const volatile u32 tracing;

/* A table by its P4 id, and what it came to. */
struct trace_step {
	u32 table;
	u32 action; /* enum action; 0: a miss */
};

/* Of the last packet; more steps than fit are left out. */
struct trace {
	u32 count;
	struct trace_step steps[TRACE_STEPS];
};

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct trace *value;
} trace SEC(".maps");

static __always_inline struct trace *trace_of_packet(void)
{
	u32 zero = 0;

	return tracing ? bpf_map_lookup_elem(&trace, &zero) : 0;
}

/* A packet begins, or begins again. */
static __always_inline void trace_begin(void)
{
	struct trace *found = trace_of_packet();

	if (found)
		found->count = 0;
}

static __always_inline void asked(u32 table, u32 action)
{
	struct trace *found = trace_of_packet();

	if (!found)
		return;
	u32 at = found->count;
	asm volatile("" : "+r"(at));
	if (at >= TRACE_STEPS)
		return;
	found->steps[at] = (struct trace_step){.table = table, .action = action};
	found->count = at + 1;
}

/* A table has no entry for the packet. */
static __always_inline bool missed(u32 table)
{
	asked(table, 0);
	return false;
}

#endif
