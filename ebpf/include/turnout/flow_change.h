/*
 * The part of a flow table that changes what slots are: victims, pairs, Learn. Included for each store by flow_table.h,
 * whose first comment says who may change a slot and when.
 */

/* Milliseconds since the entry was seen; 0 when another CPU's packet was later than `now_ms`. */
static __always_inline u32 FLOW(age_ms)(const struct FLOW(slot) *slot, u32 now_ms)
{
	u32 age = now_ms - FLOW_READ(slot->seen_ms);

	return age >> 31 ? 0 : age;
}

static __always_inline bool FLOW(has_expired)(const struct FLOW(slot) *slot, u32 now_ms)
{
	u32 profile = flow_one_register(FLOW_READ(slot->profile));

	return profile >= FLOW_PROFILES || FLOW(age_ms)(slot, now_ms) >= FLOW(timeout_ms)[profile];
}

/* Rank + 1, 0 for one that has expired. */
static __always_inline u32 FLOW(standing)(const struct FLOW(slot) *slot, u32 now_ms)
{
	u32 profile = flow_one_register(FLOW_READ(slot->profile));

	if (profile >= FLOW_PROFILES || FLOW(has_expired)(slot, now_ms))
		return 0;
	return FLOW(rank)[profile] + 1;
}

/* Make the version odd, if it is still the even one that was seen. */
static __always_inline bool FLOW(hold)(struct FLOW(slot) *slot, u32 version)
{
	return !(version & 1) && __sync_val_compare_and_swap(&slot->version, version, version + 1) == version;
}

/* Let a held slot go, at an even version; what was stored before is seen before it. */
static __always_inline void FLOW(let_go)(struct FLOW(slot) *slot, u32 version)
{
	if (memory_is_unordered) {
		__sync_lock_test_and_set(&slot->version, version);
		return;
	}
	/* Its stores are seen in their order, so this one behind all others; what is loaded later may be loaded before. */
	asm volatile("" : : : "memory");
	*(volatile u32 *)&slot->version = version;
}

/* What a held slot has leaves it, and counts no more. */
static __always_inline void FLOW(uncount)(const struct FLOW(slot) *slot)
{
	FLOW(count_for)(slot->counted, 0 - FLOW(counts_in)(slot->profile));
}

static __always_inline void FLOW(clear)(struct FLOW(slot) *slot, u32 index)
{
	FLOW(uncount)(slot);
	FLOW(set_tag)(index, 0);
	for (u32 i = 0; i < FLOW_KEY_WORDS; i++)
		slot->key[i] = 0;
	slot->table = 0;
	slot->pair = 0;
	slot->counted = 0;
}

/*
 * Remove the other half of a held slot, if it has one. Returns how many entries that were (0 or 1), and FLOW_HELD when
 * somebody is at that half now: then the pair is left as it was.
 */
static __always_inline int FLOW(remove_other)(struct FLOW(slot) *slot, u32 index, u32 *profile)
{
	u32 pair = slot->pair, version;
	struct FLOW(slot) *other;

	if (!pair || pair - 1 == index)
		return 0;
	other = FLOW(at)(pair - 1);
	if (!other)
		return 0;
	version = FLOW_READ(other->version);
	if (!FLOW(hold)(other, version))
		return FLOW_HELD;
	int removed = other->table && other->pair == index + 1;
	if (removed) {
		*profile = other->profile;
		FLOW(clear)(other, pair - 1);
	}
	FLOW(let_go)(other, version + 2);
	return removed;
}

/* Remove the entry that `slot` had at `version`, and its pair. Returns entries removed; 0: it is another one by now. */
static __always_inline int FLOW(remove)(struct FLOW(slot) *slot, u32 index, u32 version, u32 *other_profile)
{
	if (!FLOW(hold)(slot, version))
		return version & 1 ? FLOW_HELD : 0;
	int others = slot->table ? FLOW(remove_other)(slot, index, other_profile) : 0;
	int removed = 0;
	if (others >= 0 && slot->table) {
		FLOW(clear)(slot, index);
		removed = others + 1;
	}
	FLOW(let_go)(slot, version + 2);
	return others < 0 ? others : removed;
}

/*
 * How well a slot suits a new entry; the lowest score gets it, but of free ones `free_score` chooses. A free slot has its
 * position in the search, a victim (standing, last seen, position) above that. Below both is a key that is there already: OWN by this packet's doing,
 * KNOWN by another CPU's. The others are no place. A function of its own to the verifier, and the search a minimum
 * without branches, or it would follow every order of eight slots.
 */
#define FLOW_SCORE_OWN 0ull
#define FLOW_SCORE_KNOWN 1ull
#define FLOW_SCORE_FREE (1ull << 8)
#define FLOW_SCORE_NONE (1ull << 61)
#define FLOW_SCORE_CHANGING (1ull << 62)

__noinline u64 FLOW(score)(const struct FLOW(entry) *entry, u32 first, u32 index, u32 position)
{
	struct FLOW(slot) *slot = FLOW(at)(index);

	if (!entry || !slot)
		return FLOW_SCORE_NONE;
	if (FLOW_READ(slot->version) & 1)
		return FLOW_SCORE_CHANGING;
	if (!slot->table)
		return FLOW_SCORE_FREE | position;
	if (FLOW(has_key)(slot, entry->key))
		return index + 1 == first ? FLOW_SCORE_OWN : FLOW_SCORE_KNOWN;
	u32 profile = flow_one_register(entry->profile), standing = FLOW(standing)(slot, entry->now_ms);
	if (index + 1 == first || profile >= FLOW_PROFILES || standing > FLOW(rank)[profile] + 1u)
		return FLOW_SCORE_NONE;
	u64 youth = 0x80000001u - FLOW(age_ms)(slot, entry->now_ms);
	return (u64)standing << 40 | youth << 8 | position;
}

/* How many bits of the four lowest are set. */
static __always_inline u64 FLOW(ones_of_four)(u64 bits)
{
	bits = (bits & 5) + (bits >> 1 & 5);
	return (bits & 3) + (bits >> 2 & 3);
}

/*
 * The score of the free slot that a new entry gets, FLOW_SCORE_NONE without one: the first of the first set while that
 * has two, else of the set that has more. `free` has a bit for each position whose slot is free. Arithmetic again, for
 * the verifier's sake.
 */
static __always_inline u64 FLOW(free_score)(u64 free)
{
	u64 set = (1 << FLOW_WAYS) - 1;
	u64 of_first = FLOW(ones_of_four)(free & set), of_second = FLOW(ones_of_four)(free >> FLOW_WAYS & set);
	u64 is_second = ((of_first - of_second) & (of_first - 2)) >> 63;
	u64 chosen = free & set << FLOW_WAYS * is_second;
	u64 first = chosen & (0 - chosen);
	u64 position = (first >> 1 | first >> 3 | first >> 5 | first >> 7) & 1;

	if (!first)
		return FLOW_SCORE_NONE;
	position |= (first >> 2 | first >> 3 | first >> 6 | first >> 7) << 1 & 2;
	position |= (first >> 4 | first >> 5 | first >> 6 | first >> 7) << 2 & 4;
	return FLOW_SCORE_FREE | position;
}

/*
 * Ask for the cache line of the slot that Learn will take for this key, if it is free: what is decided meanwhile takes as
 * long as the line does. A store does it, which a CPU goes on behind, as it cannot behind a load; there is no other way for
 * a BPF program. In a free slot `seen_ms` means nothing; in one that another CPU has just taken, it is as late as that.
 */
static __always_inline void FLOW(make_ready)(const struct FLOW(entry) *entry, u32 now_ms)
{
	u64 score = FLOW(free_score)(entry->free);
	struct FLOW(slot) *slot = FLOW(at)(FLOW(index)(entry->hash, (u32)score & (2 * FLOW_WAYS - 1)));

	if (slot && score != FLOW_SCORE_NONE)
		*(volatile u32 *)&slot->seen_ms = now_ms;
}

/* The lowest score, with FLOW_SCORE_CHANGING set in `changing` if a slot was being changed. */
static __always_inline u64 FLOW(search)(const struct FLOW(entry) *entry, u32 first, u64 *changing)
{
	u32 positions = FLOW(index)(entry->hash, 0) == FLOW(index)(entry->hash, FLOW_WAYS) ? FLOW_WAYS : 2 * FLOW_WAYS;
	u64 best = FLOW_SCORE_NONE, free = 0;

	*changing = 0;
#pragma clang loop unroll(disable)
	for (u32 position = 0; position < 2 * FLOW_WAYS; position++) {
		if (position >= positions)
			break;
		u64 score = FLOW(score)(entry, first, FLOW(index)(entry->hash, position), position);
		u32 is_lower = flow_one_register((score - best) >> 63);

		best ^= (best ^ score) & (0 - (u64)is_lower);
		*changing |= score;
		/* One where the score is that of a free slot: 1 in its bits above the position. */
		free |= (((score >> 8) ^ 1) - 1) >> 63 << position;
	}
	return best >> 8 == FLOW_SCORE_FREE >> 8 ? FLOW(free_score)(free) : best;
}

/*
 * Take a free slot or a victim's, whose pair leaves with it. True: the slot is held. `head` is what the victim was
 * chosen for: if its profile has changed since, as when a connection is established just now, it is no victim.
 */
static __always_inline bool FLOW(take)(struct FLOW(slot) *slot, u32 index, u64 head, u32 now_ms)
{
	u32 ignored = 0;

	if ((head & 1) || __sync_val_compare_and_swap(&slot->head, head, head + 1) != head)
		return false;
	if (!slot->table)
		return true;
	int others = FLOW(remove_other)(slot, index, &ignored);
	if (others < 0) {
		FLOW(let_go)(slot, (u32)head);
		return false;
	}
	FLOW(uncount)(slot);
	u32 standing = FLOW(standing)(slot, now_ms);
	FLOW(count)(FLOW_EVENT_EVICTED_EXPIRED + (standing < FLOW_RANKS ? standing : FLOW_RANKS), others + 1);
	return true;
}

static __always_inline void FLOW(fill)(struct FLOW(slot) *slot, const struct FLOW(entry) *entry, u32 pair)
{
	for (u32 i = 0; i < FLOW_KEY_WORDS; i++)
		slot->key[i] = entry->key[i];
	slot->table = entry->table;
	slot->profile = entry->profile;
	slot->counted = entry->counted;
	FLOW(count_for)(entry->counted, FLOW(counts_in)(entry->profile));
	slot->seen_ms = entry->now_ms;
	slot->pair = pair;
	slot->packets = 0;
	slot->bytes = 0;
	for (u32 i = 0; i < FLOW_ARGUMENT_WORDS; i++)
		slot->argument_words[i] = entry->argument_words[i];
}

/* Link the first half to a second half that is held and filled. False: the first half is gone. One that ends takes both along. */
static __always_inline bool FLOW(link)(const struct flow_half *first, struct FLOW(slot) *second, u32 index)
{
	struct FLOW(slot) *slot = FLOW(at)(first->slot - 1);

	if (!slot || !FLOW(hold)(slot, first->version))
		return false;
	slot->pair = index + 1;
	second->table |= slot->table & FLOW_ENDED;
	FLOW(let_go)(slot, first->version + 2);
	return true;
}

/* Whether the first half is as it was learned; yes when there is none. */
static __always_inline bool FLOW(is_there)(const struct flow_half *first)
{
	struct FLOW(slot) *slot = first->slot ? FLOW(at)(first->slot - 1) : 0;

	return !slot || FLOW_READ(slot->version) == first->version;
}

/* Whether the slot at a position, whose head was read before, is worth `score`; of a free one the head alone tells. */
static __always_inline bool FLOW(is_worth)(const struct FLOW(entry) *entry, u32 first, u32 index, u32 position, u64 head,
					   u64 score)
{
	if (score >> 8 == FLOW_SCORE_FREE >> 8)
		return !((struct FLOW(hit)){.head = head}).table;
	return FLOW(score)(entry, first, index, position) == score;
}

/* Put the entry at the place found for it, if that is still worth `score`. False: somebody was faster. */
static __always_inline bool FLOW(settle)(const struct FLOW(entry) *entry, struct flow_half *first, u64 score)
{
	u32 position = (u32)score & (2 * FLOW_WAYS - 1), index = FLOW(index)(entry->hash, position);
	struct FLOW(slot) *slot = FLOW(at)(index);
	if (!slot)
		return false;
	u64 head = FLOW_READ(slot->head);
	u32 version = (u32)head;
	if (!FLOW(is_worth)(entry, first->slot, index, position, head, score) ||
	    !FLOW(take)(slot, index, head, entry->now_ms))
		return false;
	FLOW(fill)(slot, entry, first->slot);
	FLOW(set_tag)(index, FLOW(tag)(entry->hash));
	bool linked = !first->slot || FLOW(link)(first, slot, index);
	if (!linked)
		FLOW(clear)(slot, index);
	FLOW(let_go)(slot, version + 2);
	if (linked)
		FLOW(count)(FLOW_EVENT_LEARNED, 1);
	if (!first->slot)
		*first = (struct flow_half){.slot = index + 1, .version = version + 2};
	return linked;
}

/* The second half could not be had: the first one goes as well. */
static __always_inline void FLOW(withdraw)(struct flow_half *first)
{
	struct FLOW(slot) *slot = FLOW(at)(first->slot - 1);
	u32 ignored;

	if (slot && FLOW(remove)(slot, first->slot - 1, first->version, &ignored) > 0)
		FLOW(count)(FLOW_EVENT_WITHDRAWN, 1);
	*first = (struct flow_half){};
}

/* What `find_or_free` saw, less the slot that this packet has taken since. */
static __always_inline u64 FLOW(still_free)(const struct FLOW(entry) *entry, const struct flow_half *first)
{
	u64 free = entry->free;

	if (!first->slot)
		return free;
	u32 taken = first->slot - 1, of_first = FLOW(index)(entry->hash, 0), of_second = FLOW(index)(entry->hash, FLOW_WAYS);
	if (taken / FLOW_WAYS == of_first / FLOW_WAYS)
		free &= ~(1ull << (taken - of_first) % FLOW_WAYS);
	if (taken / FLOW_WAYS == of_second / FLOW_WAYS)
		free &= ~(1ull << (FLOW_WAYS + (taken - of_second) % FLOW_WAYS));
	return free;
}

/* Whether the first half has this very key, as of a packet that is its own answer: from an address and port to themselves. */
static __always_inline bool FLOW(is_own)(const struct FLOW(entry) *entry, const struct flow_half *first)
{
	struct FLOW(slot) *slot = FLOW(at)(first->slot - 1);

	return slot && FLOW(has_key)(slot, entry->key);
}

/*
 * Learn an entry for this packet; the second one becomes the pair of the first. Returns enum flow_learned. After
 * FLOW_FULL and FLOW_KNOWN the packet has left nothing behind, a first half neither. A function of its own to the
 * verifier, which wants every byte of `entry` written, so it has no padding.
 */
__noinline int FLOW(learn)(const struct FLOW(entry) *entry, struct flow_half *first)
{
	u64 changing;

	if (!entry || !first)
		return FLOW_FULL;
	if (first->slot == FLOW_NO_HALF)
		return FLOW_KNOWN;
	/*
	 * Mostly there is a free slot, known since the key was looked for. One that another CPU fills at this moment may look
	 * free, too: it cannot be had then, and `search` tells what became of it.
	 */
	u64 score = first->slot && (!first->took_free || FLOW(is_own)(entry, first))
			    ? FLOW_SCORE_NONE
			    : FLOW(free_score)(FLOW(still_free)(entry, first));
	bool is_seen = score != FLOW_SCORE_NONE, was_searched = false;
#pragma clang loop unroll(disable)
	for (u32 attempt = !is_seen; attempt <= FLOW_ATTEMPTS && FLOW(is_there)(first); attempt++) {
		if (!is_seen) {
			score = FLOW(search)(entry, first->slot, &changing);
			if (score == FLOW_SCORE_KNOWN) {
				if (first->slot)
					FLOW(withdraw)(first);
				first->slot = FLOW_NO_HALF;
				return FLOW_KNOWN;
			}
			bool looks_again = (changing & FLOW_SCORE_CHANGING) && !was_searched;
			was_searched = true;
			if (looks_again)
				continue;
			if (score == FLOW_SCORE_OWN || score == FLOW_SCORE_NONE)
				break;
		}
		if (FLOW(settle)(entry, first, score)) {
			if (is_seen)
				first->took_free = 1;
			return FLOW_LEARNED;
		}
		is_seen = false;
	}
	FLOW(count)(FLOW_EVENT_FULL, 1);
	if (first->slot)
		FLOW(withdraw)(first);
	return FLOW_FULL;
}

#ifdef FLOW_RENEWS
/*
 * Give the entry of this key other arguments and another profile, and those of another table where it is one's; it goes on
 * counting. True also when another packet is at it: what that one says is as new. False: there is no such entry, then
 * `free` is what `has_tag` says; or it is about to end, or has a pair. A packet that looks at the slot in this instant
 * misses, so who renews at every packet of many CPUs has misses.
 */
__noinline int FLOW(renew)(struct FLOW(entry) *entry)
{
	u32 index, version;

	if (!entry)
		return false;
	struct FLOW(slot) *slot = 0;
	if (FLOW(has_tag)(entry->hash, &entry->free))
		slot = FLOW(match)(entry->key, entry->hash, &index);
	if (!slot)
		return false;
	version = FLOW_READ(slot->version);
	if (!FLOW(hold)(slot, version))
		return true;
	bool is_own = !(slot->table & FLOW_ENDED) && slot->table && !slot->pair && FLOW(has_key)(slot, entry->key);
	if (is_own) {
		slot->table = entry->table;
		slot->profile = entry->profile;
		slot->seen_ms = entry->now_ms;
		for (u32 i = 0; i < FLOW_ARGUMENT_WORDS; i++)
			slot->argument_words[i] = entry->argument_words[i];
	}
	FLOW(let_go)(slot, version + 2);
	return is_own;
}

/*
 * What is made has no pair, whatever the packet has learned before; it learns none behind it. `half` is the packet's own:
 * the caller's stack is short.
 */
static __always_inline int FLOW(renew_or_learn)(struct FLOW(entry) *entry, struct flow_half *half)
{
	*half = (struct flow_half){};
	return FLOW(renew)(entry) ? FLOW_LEARNED : FLOW(learn)(entry, half);
}
#endif
