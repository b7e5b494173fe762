/* Rings: records that a program leaves for the device, in their order. A record's size is a constant. */
#ifndef TURNOUT_RING_H
#define TURNOUT_RING_H

#include "bpf.h"

#define BPF_MAP_TYPE_RINGBUF 27

static void *(*const bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *record, u64 flags) = (void *)132;
static void (*const bpf_ringbuf_discard)(void *record, u64 flags) = (void *)133;

#endif
