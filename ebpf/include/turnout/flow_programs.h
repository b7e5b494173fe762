/*
 * The programs of a flow table that the device runs beside the packets: sweep, end and delete. Included by flow_table.h for
 * each store.
 */

/* The slot that find would give for this slot's key. */
static __always_inline u32 FLOW(first_of)(const struct FLOW(slot) *slot, u32 index)
{
	u64 key[FLOW_KEY_WORDS];

	for (u32 i = 0; i < FLOW_KEY_WORDS; i++)
		key[i] = FLOW_READ(slot->key[i]);
	u64 hash = FLOW(hash)(hash_seed, key);
#pragma clang loop unroll(disable)
	for (u32 position = 0; position < 2 * FLOW_WAYS; position++) {
		u32 at = FLOW(index)(hash, position);
		struct FLOW(slot) *other = FLOW(at)(at);

		if (at == index)
			return index;
		if (other && other->table && FLOW(has_key)(other, key))
			return at;
	}
	return index;
}

static __always_inline bool FLOW(is_paired_with_live)(const struct FLOW(slot) *slot, u32 index, u32 now_ms)
{
	u32 pair = FLOW_READ(slot->pair);
	struct FLOW(slot) *other = pair ? FLOW(at)(pair - 1) : 0;

	return other && other->table && other->pair == index + 1 && !FLOW(has_expired)(other, now_ms);
}

/* Look at one slot, and remove what has had its time. Returns enum flow_swept | profile << 8 | other half's << 16. */
__noinline u32 FLOW(sweep_slot)(u32 index, u32 now_ms)
{
	struct FLOW(slot) *slot = FLOW(at)(index);
	u32 swept = FLOW_LIVE, other_profile = 0;

	if (!slot)
		return FLOW_FREE;
	u32 version = FLOW_READ(slot->version);
	u32 profile = slot->profile;
	if (version & 1)
		return FLOW_BUSY;
	if (!slot->table)
		return FLOW_FREE;
	/* One that has ended is removed by whoever ended it, or here if that device was killed. */
	if ((slot->table & FLOW_ENDED) ||
	    (FLOW(has_expired)(slot, now_ms) && !FLOW(is_paired_with_live)(slot, index, now_ms)))
		swept = FLOW_EXPIRED;
	else if (FLOW(first_of)(slot, index) != index)
		swept = FLOW_DUPLICATE;
	else
		return FLOW_LIVE | profile << 8;
	int removed = FLOW(remove)(slot, index, version, &other_profile);
	if (removed <= 0)
		return FLOW_BUSY;
	FLOW(count)(swept == FLOW_EXPIRED ? FLOW_EVENT_EXPIRED : FLOW_EVENT_DUPLICATE, removed);
	return swept | profile << 8 | other_profile << 16;
}

struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	struct flow_tally *value;
} FLOW(tally) SEC(".maps");

/*
 * Sweep up to FLOW_SWEEP_STRIDE slots; returns how many. A function of its own, with the tally in a map and not on the
 * stack, because the verifier walks through every round of a loop: two short ones take it a hundredth of one long one.
 */
__noinline u32 FLOW(sweep_some)(u32 first, u32 count, u32 now_ms)
{
	u32 zero = 0, done;
	struct flow_tally *tally = bpf_map_lookup_elem(&FLOW(tally), &zero);

	if (!tally)
		return 0;
#pragma clang loop unroll(disable)
	for (done = 0; done < FLOW_SWEEP_STRIDE; done++) {
		if (done >= count)
			break;
		u32 swept = FLOW(sweep_slot)(first + done, now_ms);

		tally->entries[swept % FLOW_OUTCOMES][(swept >> 8) % FLOW_MAX_PROFILES]++;
		tally->others[(swept >> 16) % FLOW_MAX_PROFILES]++;
	}
	return done;
}

/* Sweep a range of slots. One sweep of a store at a time: they share the tally. */
SEC("syscall") int FLOW(sweep)(struct flow_sweep *context)
{
	u32 now_ms = (u32)clock_device_ms(), first = context->first, count = context->count, done = 0, zero = 0;
	struct flow_tally *tally = bpf_map_lookup_elem(&FLOW(tally), &zero);

	if (!tally)
		return -1;
	/* One by one: it is too large for a memset that the compiler writes out, and there is no other. */
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < sizeof(*tally) / sizeof(u32); i++)
		((volatile u32 *)tally)[i] = 0;
	if (first >= FLOW_SLOTS || count > FLOW_SLOTS - first)
		count = first >= FLOW_SLOTS ? 0 : FLOW_SLOTS - first;
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < FLOW_SWEEP_SLOTS / FLOW_SWEEP_STRIDE; i++) {
		if (done >= count)
			break;
		done += FLOW(sweep_some)(first + done, count - done, now_ms);
	}
	context->next = first + done;
	context->busy = tally->entries[FLOW_BUSY][0];
#pragma clang loop unroll(full)
	for (u32 i = 0; i < FLOW_MAX_PROFILES; i++) {
		context->live[i] = tally->entries[FLOW_LIVE][i];
		context->removed[i] = tally->entries[FLOW_EXPIRED][i] + tally->entries[FLOW_DUPLICATE][i] +
				      (i ? tally->others[i] : 0);
	}
	return 0;
}

/* Remove what is in a slot and its pair, if the slot still has the version that was read. */
SEC("syscall") int FLOW(delete_slot)(struct flow_delete_slot *context)
{
	struct FLOW(slot) *slot = FLOW(at)(context->slot);
	u32 ignored;
	int removed = slot ? FLOW(remove)(slot, context->slot, context->version, &ignored) : 0;

	context->busy = removed < 0;
	context->removed = removed < 0 ? 0 : removed;
	if (removed > 0)
		FLOW(count)(FLOW_EVENT_DELETED, removed);
	return 0;
}

/* The mark in `table`, if the slot still is what `head` says. False: it has changed. */
static __always_inline bool FLOW(mark)(struct FLOW(slot) *slot, u64 head, u32 mark)
{
	struct FLOW(hit) changed = {.head = head};

	changed.table = (changed.table & FLOW_INDEX) | mark;
	return __sync_val_compare_and_swap(&slot->head, head, changed.head) == head;
}

/* The context of <store>_end_key. In: the key's words, then what to do. Out: entries removed; try again if busy. */
struct FLOW(end) {
	u64 key[FLOW_KEY_WORDS];
	u8 what;	/* enum flow_end */
	u8 mark;	/* FLOW_ENDED_ON; 0: go on after all */
	u8 table;	/* of this table alone */
	u8 unused[5];
	u32 removed;
	u32 busy;
};

/* Mark an entry of the key and its pair, or remove them if they are marked. Returns entries removed, or FLOW_HELD. */
__noinline int FLOW(end_slot)(const struct FLOW(end) *wanted, u32 index)
{
	struct FLOW(slot) *slot = FLOW(at)(index);
	u64 head, other_head = 0;
	u32 ignored;

	if (!wanted || !slot)
		return 0;
	head = FLOW_READ(slot->head);
	slot = (void *)slot + flow_after(head);
	if (head & 1)
		return FLOW_HELD;
	struct FLOW(hit) seen = {.head = head};
	if ((seen.table & FLOW_INDEX) != wanted->table || !FLOW(has_key)(slot, wanted->key))
		return 0;
	if (wanted->what == FLOW_END_REMOVE)
		return seen.table & FLOW_ENDED ? FLOW(remove)(slot, index, seen.version, &ignored) : 0;
	struct FLOW(slot) *other = FLOW(other_half)(slot, index, &other_head);
	if (!other && FLOW_READ(slot->pair))
		return FLOW_HELD;
	if (!FLOW(mark)(slot, head, wanted->mark))
		return FLOW_HELD;
	return !other || FLOW(mark)(other, other_head, wanted->mark) ? 0 : FLOW_HELD;
}

/* Wherever the key is: two CPUs may have learned it at once. */
SEC("syscall") int FLOW(end_key)(struct FLOW(end) *context)
{
	struct FLOW(end) wanted = *context;
	u64 hash = FLOW(hash)(hash_seed, wanted.key);
	u32 removed = 0, busy = 0;

#pragma clang loop unroll(disable)
	for (u32 position = 0; position < 2 * FLOW_WAYS; position++) {
		int done = FLOW(end_slot)(&wanted, FLOW(index)(hash, position));

		if (done < 0)
			busy = 1;
		else
			removed += done;
	}
	context->removed = removed;
	context->busy = busy;
	if (removed)
		FLOW(count)(FLOW_EVENT_DELETED, removed);
	return 0;
}
