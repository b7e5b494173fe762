/*
 * The store that was before this one: another array of slots, of equal keys, that a pipeline with other arguments, ways or
 * slots has left. While the device brings its entries over, a packet that misses here looks there, and takes what it
 * finds along with its other half. Included for each store by flow_table.h.
 *
 * The constants say how slots lie there; the device sets them from both layouts (runtime/device/kernel/translation.py).
 * With `before_slots` 0, as it is but for that while, all of this is dead code and costs nothing.
 *
 * No packet learns in the store before: the device begins once the last packet has left the program that did. An entry is
 * copied first, and then its old slot is freed: of two CPUs that copy one at once, Learn tells the second (FLOW_KNOWN).
 *
 * What the device has ended there for the packets that pass now (FLOW_ENDED_ON) is not brought; other marks are left behind.
 * Packets do not look there for entries that they renew: these may be asked for where a packet has no stack left for Learn,
 * and one that is missed is made anew. The device brings those that packets have not made until then.
 *
 * Behind bring_all nothing is there any more, so what a device ends from then on cannot come back from there.
 */

#define FLOW_ARGUMENT_BYTES (8 * FLOW_ARGUMENT_WORDS)

const volatile u32 FLOW(before_slots) = 0;
const volatile u32 FLOW(before_ways) = 1;
const volatile u32 FLOW(before_bytes) = 0;	/* of arguments, in a slot there */
const volatile u8 FLOW(before_ended) = 0;	/* the mark of those that have ended there */
const volatile u8 FLOW(before_tables)[FLOW_BEFORE_TABLES] = {};	/* table here of each table there; 0: has no place */
const volatile u8 FLOW(before_profiles)[FLOW_MAX_PROFILES] = {};
/* By table there and byte of the arguments here: the byte there, + 1; 0: zero. */
const volatile u8 FLOW(before_places)[FLOW_BEFORE_TABLES * FLOW_ARGUMENT_BYTES] = {};

/* The slots as they lie here up to the arguments. Another map is put in place of this one. */
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*map_flags)[BPF_F_MMAPABLE];
	int (*max_entries)[1];
	u32 *key;
	struct FLOW(slot) *value;
} FLOW(before) SEC(".maps");

static __always_inline struct FLOW(slot) *FLOW(before_at)(u32 index)
{
	return bpf_map_lookup_elem(&FLOW(before), &index);
}

/* Where the key of an entry is there: slot + 1, 0 for nowhere. */
__noinline u32 FLOW(before_of)(const struct FLOW(entry) *entry)
{
	u32 ways = FLOW(before_ways), slots = FLOW(before_slots);

	if (!slots || !entry || !ways || slots < ways)
		return 0;
#pragma clang loop unroll(disable)
	for (u32 position = 0; position < 2 * FLOW_BEFORE_WAYS; position++) {
		if (position >= 2 * ways)
			break;
		u64 set = entry->hash >> (position / ways * 32 & 63);
		u32 index = (u32)(set % (slots / ways)) * ways + position % ways;
		struct FLOW(slot) *slot = FLOW(before_at)(index);

		if (slot && slot->table && FLOW(has_key)(slot, entry->key))
			return index + 1;
	}
	return 0;
}

/*
 * Make an entry of this store of what a slot holds there. Returns the other half's slot + 1, 0 when it has none, and
 * FLOW_NO_HALF for nothing, or what has no place here.
 */
__noinline u32 FLOW(read_before)(u32 index, struct FLOW(entry) *entry)
{
	struct FLOW(slot) *slot = FLOW(before_at)(index);

	if (!FLOW(before_slots) || !entry || !slot)
		return FLOW_NO_HALF;
	u64 head = FLOW_READ(slot->head);
	u32 marked = ((struct FLOW(hit)){.head = head}).table, table = marked & (FLOW_BEFORE_TABLES - 1);
	u8 *arguments = (u8 *)entry->argument_words;
	for (u32 i = 0; i < FLOW_KEY_WORDS; i++)
		entry->key[i] = FLOW_READ(slot->key[i]);
	entry->hash = FLOW(hash)(hash_seed, entry->key);
	entry->free = 0;
	entry->now_ms = (u32)clock_device_ms();
	entry->table = FLOW(before_tables)[table];
	entry->profile = FLOW(before_profiles)[FLOW(profile_of)(head) & (FLOW_MAX_PROFILES - 1)];
#ifdef FLOW_COUNTS
	entry->counted = ((struct FLOW(hit)){.head = head}).counted;
#else
	entry->counted = 0;
#endif
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < FLOW_ARGUMENT_BYTES; i++) {
		u32 place = flow_one_register(FLOW(before_places)[table * FLOW_ARGUMENT_BYTES + i]);

		arguments[i] = place && place <= FLOW(before_bytes) ? ((u8 *)slot->argument_words)[place - 1] : 0;
	}
	u32 pair = FLOW_READ(slot->pair);
	struct FLOW(slot) *other = pair ? FLOW(before_at)(pair - 1) : 0;
	if ((head & 1) || (marked & FLOW(before_ended)) || !entry->table || !entry->profile || FLOW_READ(slot->head) != head)
		return FLOW_NO_HALF;
	return other && other->pair == index + 1 ? pair : 0;
}

/* What an entry has counted, and when it was seen, goes on in its new slot: the first half's, or that of its pair. */
__noinline int FLOW(go_on)(u32 from, const struct flow_half *first, u32 is_second)
{
	struct FLOW(slot) *old = FLOW(before_at)(from), *slot = first ? FLOW(at)(first->slot - 1) : 0;

	if (slot && is_second)
		slot = FLOW(at)(slot->pair - 1);
	if (!old || !slot)
		return 0;
	slot->seen_ms = old->seen_ms;
	slot->packets = old->packets;
	slot->bytes = old->bytes;
	return 0;
}

/* Free a slot there. */
__noinline int FLOW(clear_before)(u32 index)
{
	struct FLOW(slot) *slot = FLOW(before_at)(index);
	u32 version = slot ? FLOW_READ(slot->version) : 1;

	if (!slot || !FLOW(hold)(slot, version))
		return 0;
	slot->table = 0;
	slot->pair = 0;
	FLOW(let_go)(slot, version + 2);
	return 0;
}

/*
 * Bring the entry of a slot there, and its other half. True: they are here now, by this CPU or another one; what cannot be
 * had stays where it is. `entry` is room to work in, `half` is zero, and again afterwards. A part of its caller, because
 * Learn needs all the stack that the kernel leaves below a packet's program.
 */
static __always_inline bool FLOW(bring)(u32 index, struct FLOW(entry) *entry, struct flow_half *half)
{
	u32 pair = FLOW(read_before)(index, entry);
	int learned = pair == FLOW_NO_HALF ? FLOW_FULL : FLOW(learn)(entry, half);

	if (learned == FLOW_LEARNED) {
		FLOW(go_on)(index, half, 0);
		if (pair && FLOW(read_before)(pair - 1, entry) != FLOW_NO_HALF) {
			learned = FLOW(learn)(entry, half);
			if (learned == FLOW_LEARNED)
				FLOW(go_on)(pair - 1, half, 1);
		}
	}
	*half = (struct flow_half){};
	if (learned == FLOW_FULL)
		return false;
	FLOW(clear_before)(index);
	if (pair)
		FLOW(clear_before)(pair - 1);
	return true;
}

/*
 * The packet has missed a key. True: it is to look once more, since the key was there before, and what could be brought
 * is here now; the entry's key has to be written anew for that.
 */
static __always_inline bool FLOW(reach)(struct FLOW(entry) *entry, struct flow_half *half)
{
	u32 slot = FLOW(before_slots) ? FLOW(before_of)(entry) : 0;

	if (!slot)
		return false;
	FLOW(bring)(slot - 1, entry, half);
	/* Who learns it after all leaves these to be zero. */
	entry->counted = 0;
	for (u32 i = 0; i < FLOW_ARGUMENT_WORDS; i++)
		entry->argument_words[i] = 0;
	return true;
}

/* The same for who would only know whether it is to be had. */
static __always_inline bool FLOW(was_there)(struct FLOW(entry) *entry)
{
	return FLOW(before_slots) && FLOW(before_of)(entry);
}

/*
 * Bring a slot. What has no place here ends, and its other half with it; returns how many entries that are. A function by
 * itself: the verifier of Linux 6.1 keeps apart all numbers that it knows, and would follow every way through Learn again
 * for each count.
 */
__noinline u32 FLOW(bring_one)(u32 index)
{
	struct FLOW(entry) entry = {};
	struct flow_half half = {};
	struct FLOW(slot) *slot = FLOW(before_at)(index);

	if (!slot || !slot->table)
		return 0;
	u32 pair = FLOW_READ(slot->pair), has_ended = FLOW_READ(slot->table) & FLOW(before_ended);
	if (FLOW(bring)(index, &entry, &half))
		return 0;
	FLOW(clear_before)(index);
	if (pair)
		FLOW(clear_before)(pair - 1);
	return has_ended ? 0 : 1 + !!pair;
}

/* Bring up to FLOW_SWEEP_STRIDE slots; returns how many entries end. */
__noinline u32 FLOW(bring_some)(u32 first, u32 count)
{
	u32 left = 0;

#pragma clang loop unroll(disable)
	for (u32 done = 0; done < FLOW_SWEEP_STRIDE; done++) {
		if (done >= count)
			break;
		left += FLOW(bring_one)(first + done);
	}
	return left;
}

/* Bring what a range of slots there holds. */
SEC("syscall") int FLOW(bring_all)(struct flow_bring *context)
{
	u32 first = context->first, count = context->count, done = 0, left = 0;

	if (first >= FLOW(before_slots) || count > FLOW(before_slots) - first)
		count = first >= FLOW(before_slots) ? 0 : FLOW(before_slots) - first;
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < FLOW_SWEEP_SLOTS / FLOW_SWEEP_STRIDE; i++) {
		if (done >= count)
			break;
		u32 some = count - done < FLOW_SWEEP_STRIDE ? count - done : FLOW_SWEEP_STRIDE;

		left += FLOW(bring_some)(first + done, some);
		done += some;
	}
	context->next = first + done;
	context->left = left;
	return 0;
}
