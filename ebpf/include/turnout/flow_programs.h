/*
 * The programs of a flow table that the device runs beside the packets: sweep and delete. Included by flow_table.h for
 * each store.
 */

/* The slot that find would give for this slot's key. */
static __always_inline u32 FLOW(first_of)(const struct FLOW(slot) *slot, u32 index)
{
	u64 key[FLOW_KEY_WORDS];

	for (u32 i = 0; i < FLOW_KEY_WORDS; i++)
		key[i] = FLOW_READ(slot->key[i]);
	u64 hash = FLOW(hash)(key);
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
	if (FLOW(has_expired)(slot, now_ms) && !FLOW(is_paired_with_live)(slot, index, now_ms))
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
	*tally = (struct flow_tally){};
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

/* In: the key's words. Out: entries removed with their pairs, or that somebody was changing one: try again. */
struct FLOW(delete) {
	u64 key[FLOW_KEY_WORDS];
	u32 removed;
	u32 busy;
};

/* Twice, for the key that two CPUs have learned at once. */
SEC("syscall") int FLOW(delete_key)(struct FLOW(delete) *context)
{
	u64 key[FLOW_KEY_WORDS];
	struct FLOW(hit) hit;
	u32 ignored, deleted = 0;
	int removed = 0;

	for (u32 i = 0; i < FLOW_KEY_WORDS; i++)
		key[i] = context->key[i];
#pragma clang loop unroll(disable)
	for (u32 attempt = 0; attempt < 2; attempt++) {
		if (!FLOW(find)(key, FLOW(hash)(key), &hit))
			break;
		removed = FLOW(remove)(hit.slot, hit.index, hit.version, &ignored);
		if (removed <= 0)
			break;
		deleted += removed;
	}
	context->busy = removed < 0;
	context->removed = deleted;
	if (deleted)
		FLOW(count)(FLOW_EVENT_DELETED, deleted);
	return 0;
}
