/*
 * A store of learned entries, as compiler.ir.tables.Store means it: a set-associative array in one BPF map, each key
 * in one of two sets, connections as pairs of slots.
 *
 * Included once for each store, with these defined, and undefined here at the end:
 *
 *   FLOW_STORE      name of the store: of its map, and the prefix of everything below
 *   FLOW_KEY_WORDS  64-bit words of a key, packed as compiler.ir.hashing.pack_words does
 *   FLOW_ARGUMENTS  type of an entry's arguments; what follows them in a slot is zero
 *   FLOW_SLOT_BYTES 64 or 128
 *   FLOW_SLOTS      how many, a power of two
 *   FLOW_WAYS       slots in a set, a power of two
 *   FLOW_PROFILES   the highest profile id + 1, at most 32
 *   FLOW_EVENTS     how many events transitions know
 *   FLOW_TRANSITIONS how many transitions there are
 *   FLOW_COUNTS     only where entries count for members of a selector: numbers of members, and 0
 *   FLOW_RENEWS     only where packets change entries, which have no pairs
 *   FLOW_ALONE      only where there are no pairs at all
 *   FLOW_SOUGHT     only where packets look for a key that no entry has
 *
 * and these tables before it:
 *
 *   static const volatile u32 <store>_timeout_ms[FLOW_PROFILES];           below 2^31
 *   static const volatile u8 <store>_rank[FLOW_PROFILES];                  below FLOW_RANKS
 *   static const volatile u32 <store>_moves[FLOW_EVENTS];                  a bit for each profile that the event may change
 *   static const volatile struct flow_transition <store>_transitions[FLOW_TRANSITIONS];   the first that fits counts
 *
 *   static const volatile u32 <store>_over;                                a bit for each profile that counts no more; with FLOW_COUNTS
 *
 * (volatile keeps them in .rodata under their names; the compiler would scatter them over sections of constants.)
 * It defines find_entry, goes_on, reach, saw, use, learn for packets and the programs sweep, end_key,
 * delete_slot and bring_all (flow_before.h) for the device.
 *
 * How packets share a slot. `version` is odd while somebody changes what the slot is: its table, key, arguments, pair.
 * Whoever makes it odd does so by compare-and-swap from the even number that was seen before, and is alone until the
 * next even number is stored. Nobody waits: what cannot be had is left. A reader takes the version, copies, and takes
 * the version again; if it is odd or another one, the slot is no hit. A pair is made and removed with both slots held:
 * but for the instant between the two Learns of a packet there is no half alone, and a slot that was used again is
 * never removed for its past.
 *
 * Counters, `seen_ms` and `profile` change without that. Two CPUs that count in one slot at the same instant may lose
 * one of two packets, and a packet that found its entry just before another one took the slot may count one packet to
 * the new entry; neither changes what happens to any packet. The profile changes by compare-and-swap together with the
 * version, so it is never that of another entry. An event that changes both halves of a pair changes one after the
 * other.
 *
 * With FLOW_COUNTS an entry may count for a member of a selector: `counted` is the member's number, 0 for none, and
 * `<store>_counts` has how many count for each number. One counts from when it is put into its slot until it leaves, but
 * for the time that it is in a profile of `<store>_over`. Since number and profile are in the word that is compared and
 * swapped when either changes, or the slot is held, who changes it knows what it was: each change is counted once.
 *
 * Entries that the device takes away end at one instant, together with what else a batch changes: it marks them in
 * `table` as ended for one side of the tables, by compare-and-swap as profiles change, while all packets are on the other
 * side; then packets are sent to that side, and when the last one has left the other, the entries are removed. Until then
 * nobody learns their keys anew (FLOW_KNOWN). An entry that nobody ends has no mark, so known flows pay nothing.
 *
 * Two CPUs that learn one key at once: the second one meets the slot while it is held, looks again, and finds the
 * first one's entry there (FLOW_KNOWN). Only when it has looked at that slot before it was held and then takes another
 * one, are there two entries. Each is whole and paired; find gives the first in the order of search, so from then on
 * all packets agree, and sweep removes the second with its pair.
 */
#ifndef TURNOUT_FLOW_TABLE_H
#define TURNOUT_FLOW_TABLE_H

#include "bpf.h"
#include "clock.h"
#include "hash.h"

#define FLOW_MAX_PROFILES 32
#define FLOW_RANKS 8
#define FLOW_SWEEP_SLOTS 4096
#define FLOW_SWEEP_STRIDE 64
#define FLOW_ATTEMPTS 3
#define FLOW_WAY_SHIFT 30	/* of a hash: the bits that tell at which way of its sets a search begins */
#define FLOW_BEFORE_TABLES 8	/* that a store before this one may have, and index 0 */
#define FLOW_BEFORE_WAYS 4

/* What happened to entries, counted in the map <store>_events. Learned ones are those there and all that left. */
enum flow_event {
	FLOW_EVENT_LEARNED,
	FLOW_EVENT_WITHDRAWN,		/* a first half whose second half could not be had */
	FLOW_EVENT_EXPIRED,		/* swept */
	FLOW_EVENT_DUPLICATE,		/* swept, because its key was there twice */
	FLOW_EVENT_DELETED,		/* by the device */
	FLOW_EVENT_FULL,		/* packets, not entries: Learn found no slot */
	FLOW_EVENT_EVICTED_EXPIRED,	/* victims and their pairs, which count with them */
	FLOW_EVENT_EVICTED,		/* + rank of the victim */
	FLOW_EVENT_COUNT = FLOW_EVENT_EVICTED + FLOW_RANKS,
};

/* What Learn came to. KNOWN: another CPU has learned the key in the meantime. */
enum flow_learned { FLOW_FULL, FLOW_LEARNED, FLOW_KNOWN };

/* An entry in profile `current` that sees `event`, its other half being in `other` (0: any, or none): new profiles, 0: stays. */
struct flow_transition {
	u8 event;
	u8 current;
	u8 other;
	u8 next;
	u8 other_next;
};

enum flow_swept { FLOW_FREE, FLOW_LIVE, FLOW_EXPIRED, FLOW_DUPLICATE, FLOW_BUSY, FLOW_OUTCOMES = 8 };

/* What this packet has learned so far, zero at its start: slot + 1 of the first half and its version. */
struct flow_half {
	u32 slot;
	u32 version;
	u32 took_free;	/* 1: nobody had to leave for it, so what was seen of other slots is still so */
};

/* How many slots, by enum flow_swept and profile; `others`: pairs that left with them, profile 0 where none did. */
struct flow_tally {
	u32 entries[FLOW_OUTCOMES][FLOW_MAX_PROFILES];
	u32 others[FLOW_MAX_PROFILES];
};

#define FLOW_NO_HALF 0xffffffff	/* as slot: another CPU's entry serves, so no second half is wanted */

/* The context of <store>_sweep. In: `first`, `count`. Out: the rest, entries by profile id. */
struct flow_sweep {
	u32 first;
	u32 count;	/* at most FLOW_SWEEP_SLOTS are looked at */
	u32 next;	/* where to go on; the number of slots when done */
	u32 busy;	/* slots left alone because a packet was changing them */
	u32 live[FLOW_MAX_PROFILES];
	u32 removed[FLOW_MAX_PROFILES];
};

/* The context of <store>_delete_slot. In: what was read of the slot. Out: entries removed, 0 if it has changed. */
struct flow_delete_slot {
	u32 slot;
	u32 version;
	u32 removed;
	u32 busy;
};

/* The context of <store>_bring_all. In: `first`, `count`. Out: the rest; `left` entries end, since they have no place. */
struct flow_bring {
	u32 first;
	u32 count;	/* at most FLOW_SWEEP_SLOTS are looked at */
	u32 next;	/* where to go on */
	u32 left;
};

/* In `table`, over the index: on which side of the tables the entry has ended. */
#define FLOW_ENDED_ON(side) (0x40u << (side))
#define FLOW_ENDED 0xc0u
#define FLOW_INDEX 0x3fu

/* What <store>_end_key is to do: mark entries, or remove those that are marked. */
enum flow_end { FLOW_END_MARK, FLOW_END_REMOVE };

#define FLOW_SEEN(event, profile) ((u32)(event) | (u32)(profile) << 8)

#define FLOW_HELD -1	/* instead of how many entries were removed: somebody else is changing one of them */

#define FLOW_READ(place) (*(const volatile __typeof__(place) *)&(place))

/* 0 on x86, whose loads are in order anyway, and so are its stores; what keeps them in order elsewhere then costs nothing. */
const volatile u8 memory_is_unordered = 1;

/*
 * Zero, but known only once `value` has been loaded: added to an address it keeps the loads in order on arm64 too,
 * which has no other read barrier that a BPF program of 5.15 can use.
 */
static __always_inline u64 flow_after(u64 value)
{
	if (!memory_is_unordered)
		return 0;
	asm volatile("%0 &= 0" : "+r"(value));
	return value;
}

/* The number as one value in one register, so that the bound that is checked is the one that the verifier sees used. */
static __always_inline u32 flow_one_register(u32 value)
{
	asm volatile("" : "+r"(value));
	return value;
}

#define FLOW_PASTE(store, name) store##_##name
#define FLOW_EXPAND(store, name) FLOW_PASTE(store, name)
#define FLOW(name) FLOW_EXPAND(FLOW_STORE, name)

#endif

#ifdef FLOW_STORE

#define FLOW_SETS (FLOW_SLOTS / FLOW_WAYS)
/*
 * One that is renewed is held for some ten nanoseconds, and that again and again: who looks at it then looks again. Beside
 * pairs, who misses one in that instant has missed it: what is renewed there is no more than a packet or two old.
 */
#ifdef FLOW_ALONE
#define FLOW_FIND_ATTEMPTS 16
#else
#define FLOW_FIND_ATTEMPTS 2
#endif
#define FLOW_ARGUMENT_WORDS ((sizeof(FLOW_ARGUMENTS) + 7) / 8)

struct FLOW(slot) {
	u64 key[FLOW_KEY_WORDS];
	union {
		struct {
			u32 version;
			u8 table;	/* index in the store, from 1, and where it has ended; 0: free */
			u8 profile;
			u16 counted;
		};
		u64 head;
	};
	u32 seen_ms;
	u32 pair;	/* the other half's index + 1; 0: none */
	u64 packets;
	u64 bytes;
	union {
		FLOW_ARGUMENTS arguments;
		u64 argument_words[FLOW_ARGUMENT_WORDS];
	};
} __attribute__((aligned(FLOW_SLOT_BYTES)));

_Static_assert(sizeof(struct FLOW(slot)) == FLOW_SLOT_BYTES, "an entry does not fit its slot");
_Static_assert((FLOW_SLOTS & (FLOW_SLOTS - 1)) == 0 && FLOW_SETS * FLOW_WAYS == FLOW_SLOTS, "slots and ways");
_Static_assert((FLOW_WAYS & (FLOW_WAYS - 1)) == 0 && FLOW_WAYS <= 4, "ways, of both sets at most 8: bits of `free`, and tags of a word");
_Static_assert(sizeof(FLOW(timeout_ms)) == 4 * FLOW_PROFILES && sizeof(FLOW(rank)) == FLOW_PROFILES, "profiles");
_Static_assert(sizeof(FLOW(moves)) == 4 * FLOW_EVENTS, "events");
_Static_assert(sizeof(FLOW(transitions)) == FLOW_TRANSITIONS * sizeof(struct flow_transition), "transitions");
_Static_assert(FLOW_PROFILES <= FLOW_MAX_PROFILES, "profiles");

/* Mappable, because only then a value starts on a page and a slot lies in as few cache lines as it fills. */
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*map_flags)[BPF_F_MMAPABLE];
	int (*max_entries)[FLOW_SLOTS];
	u32 *key;
	struct FLOW(slot) *value;
} FLOW_STORE SEC(".maps");

struct {
	int (*type)[BPF_MAP_TYPE_PERCPU_ARRAY];
	int (*max_entries)[FLOW_EVENT_COUNT];
	u32 *key;
	u64 *value;
} FLOW(events) SEC(".maps");

/*
 * A tag of 16 bits for each slot, 0 for a free one: a search looks at the two words of its sets, and at a slot only when
 * its tag is that of the key, so that it costs a cache line less for every slot that is another's. Whoever holds a slot
 * writes its tag. It is a hint: what is true is in the slot.
 */
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*map_flags)[BPF_F_MMAPABLE];
	int (*max_entries)[FLOW_SETS];
	u32 *key;
	u64 *value;
} FLOW(tags) SEC(".maps");

#ifdef FLOW_COUNTS
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*map_flags)[BPF_F_MMAPABLE];
	int (*max_entries)[FLOW_COUNTS];
	u32 *key;
	u32 *value;
} FLOW(counts) SEC(".maps");
#endif

/* A hit. The copies are of one moment; `slot` may be another entry's by the time it is used, see above. */
struct FLOW(hit) {
	struct FLOW(slot) *slot;
	u32 index;
	union {
		struct {
			u32 version;
			u8 table;
			u8 profile;
			u16 counted;
		};
		u64 head;
	};
	union {
		FLOW_ARGUMENTS arguments;
		u64 argument_words[FLOW_ARGUMENT_WORDS];
	};
	u32 event;	/* what the packet means to the entry, + 1; 0: nothing */
};

/* What to learn. All of it is written into the slot, so padding inside the arguments must be zero. */
struct FLOW(entry) {
	u64 key[FLOW_KEY_WORDS];
	u64 hash;
	u64 free;	/* what `find_or_free` said of this key; 0 where nobody asked */
	u32 now_ms;
	u8 table;
	u8 profile;
	u16 counted;
	union {
		FLOW_ARGUMENTS arguments;
		u64 argument_words[FLOW_ARGUMENT_WORDS];
	};
};

struct FLOW(key) {
	u64 words[FLOW_KEY_WORDS];
};

_Static_assert(sizeof(struct FLOW(entry)) == 8 * (FLOW_KEY_WORDS + 3 + FLOW_ARGUMENT_WORDS), "padding in an entry");

/* `seed` is the value of hash_seed, which a packet reads once. */
static __always_inline u64 FLOW(hash)(u64 seed, const u64 *key)
{
	return mix64(seed, key, FLOW_KEY_WORDS);
}

static __always_inline struct FLOW(slot) *FLOW(at)(u32 index)
{
	return bpf_map_lookup_elem(&FLOW_STORE, &index);
}

/* Atomic although it is this CPU's: the programs of the device can be interrupted by a packet. */
static __always_inline void FLOW(count)(u32 event, u64 entries)
{
	u64 *counter = bpf_map_lookup_elem(&FLOW(events), &event);

	if (counter)
		__sync_fetch_and_add(counter, entries);
}

static __always_inline bool FLOW(has_key)(const struct FLOW(slot) *slot, const u64 *key)
{
	u64 differs = 0;

	for (u32 i = 0; i < FLOW_KEY_WORDS; i++)
		differs |= FLOW_READ(slot->key[i]) ^ key[i];
	return !differs;
}

/* 1 for an entry in a profile, 0 where it counts no more. */
static __always_inline u32 FLOW(counts_in)(u32 profile)
{
#ifdef FLOW_COUNTS
	return ~(u32)FLOW(over) >> (profile & (FLOW_MAX_PROFILES - 1)) & 1;
#else
	return profile & 0;
#endif
}

/* So many more entries count for the member with this number. */
static __always_inline void FLOW(count_for)(u32 number, u32 more)
{
#ifdef FLOW_COUNTS
	u32 *count = number && more ? bpf_map_lookup_elem(&FLOW(counts), &number) : 0;

	if (count)
		__sync_fetch_and_add(count, more);
#else
	(void)number, (void)more;
#endif
}

/* Copy the slot as of one moment. False: it is being changed, or was meanwhile, or is another key's by now. */
static __always_inline bool FLOW(copy)(struct FLOW(slot) *slot, const u64 *key, struct FLOW(hit) *hit)
{
	u64 head = FLOW_READ(slot->head), differs = 0, all = 0;
	struct FLOW(slot) *from = (void *)slot + flow_after(head);

	for (u32 i = 0; i < FLOW_KEY_WORDS; i++)
		differs |= FLOW_READ(from->key[i]) ^ key[i];
	for (u32 i = 0; i < FLOW_ARGUMENT_WORDS; i++)
		all |= hit->argument_words[i] = FLOW_READ(from->argument_words[i]);
	from = (void *)slot + flow_after(all | differs);
	hit->slot = slot;
	hit->head = head;
	hit->event = 0;
	return !differs && !(head & 1) && FLOW_READ(from->version) == (u32)head;
}

/* The slot at a position of the search for a key: the first set's ways, then the second's, each from the key's own way on. */
static __always_inline u32 FLOW(index)(u64 hash, u32 position)
{
	u64 set = hash >> (position / FLOW_WAYS * 32);

	return (u32)(set % FLOW_SETS) * FLOW_WAYS + ((u32)(hash >> FLOW_WAY_SHIFT) + position) % FLOW_WAYS;
}

/* Of 16 bits of the hash that no set of a store of up to 2^18 slots is chosen by; never 0. */
static __always_inline u32 FLOW(tag)(u64 hash)
{
	/* Opaque, so that it is made anew for each slot and does not lie on the stack meanwhile. */
	asm volatile("" : "+r"(hash));
	return (u32)(hash >> 48) | 1;
}

/* Of the slot that the caller holds. */
static __always_inline void FLOW(set_tag)(u32 index, u32 tag)
{
	u32 set = index / FLOW_WAYS;
	u16 *tags = bpf_map_lookup_elem(&FLOW(tags), &set);

	if (tags)
		*(volatile u16 *)(tags + index % FLOW_WAYS) = tag;
}

/* Those of the set that the slot is in, from this slot's on. */
static __always_inline u64 FLOW(tags_from)(u32 index)
{
	u32 set = index / FLOW_WAYS, before = 16 * (index % FLOW_WAYS);
	u64 *place = bpf_map_lookup_elem(&FLOW(tags), &set), tags = place ? FLOW_READ(*place) : 0;

	return tags >> before | tags << 1 << (16 * FLOW_WAYS - 1 - before);
}

#define FLOW_LANES (0x0001000100010001ull >> 16 * (4 - FLOW_WAYS))	/* the lowest bit of each tag in a word */

/* A bit for each way, from the lowest on, whose tag says that the slot is free: of those that are not the lowest bit is 1. */
static __always_inline u64 FLOW(free_ways)(u64 tags)
{
	return (~tags & FLOW_LANES) * (1ull << 60 | 1ull << 45 | 1ull << 30 | 1ull << 15) >> 60;
}

/*
 * Whether a slot of the key's two sets has its tag, so that it is worth a search. `free` has a bit for each position whose
 * slot is free. Most keys that no entry has are known by this; it is arithmetic, so what it loads is loaded at once.
 */
static __always_inline bool FLOW(has_tag)(u64 hash, u64 *free)
{
	u64 first = FLOW(tags_from)(FLOW(index)(hash, 0)), second = FLOW(tags_from)(FLOW(index)(hash, FLOW_WAYS));
	u64 tag = FLOW(tag)(hash) * FLOW_LANES;

	*free = FLOW(free_ways)(first) | FLOW(free_ways)(second) << FLOW_WAYS;
	first ^= tag;
	second ^= tag;
	/* Of a lane that is zero the subtraction sets the highest bit, which was not set: the lowest such lane is told truly. */
	return (((first - FLOW_LANES) & ~first) | ((second - FLOW_LANES) & ~second)) & FLOW_LANES << 15;
}

/* The first slot that looks like the key's; what it holds is for `copy` to tell. */
static __always_inline struct FLOW(slot) *FLOW(match)(const u64 *key, u64 hash, u32 *index)
{
	u64 tags = 0;

#pragma clang loop unroll(disable)
	for (u32 position = 0; position < 2 * FLOW_WAYS; position++) {
		*index = FLOW(index)(hash, position);
		tags = position % FLOW_WAYS ? tags >> 16 : FLOW(tags_from)(*index);
		if ((tags & 0xffff) != FLOW(tag)(hash))
			continue;
		struct FLOW(slot) *slot = FLOW(at)(*index);
		if (slot && FLOW(has_key)(slot, key) && FLOW_READ(slot->table))
			return slot;
	}
	return 0;
}

/*
 * The slot + 1 that looks like the key's, 0 when there is none. A function of its own: few packets need it, so it takes no
 * registers from those that do not, and the verifier follows it once.
 */
__noinline u32 FLOW(place)(const struct FLOW(key) *key, u64 hash)
{
	u32 index;

	return key && FLOW(match)(key->words, hash, &index) ? index + 1 : 0;
}

/*
 * The entry of a key, and false if there is none; then `free` is what `has_tag` says. `hash` is that of FLOW(hash), which
 * the caller may have for more.
 */
static __always_inline bool FLOW(find_or_free)(const u64 *key, u64 hash, struct FLOW(hit) *hit, u64 *free)
{
	struct FLOW(slot) *first = FLOW(at)(hit->index = FLOW(index)(hash, 0));

	/* Most entries are in the first place, whose tag would be a cache line more. */
	if (first && FLOW(copy)(first, key, hit) && hit->table)
		return true;
	if (!FLOW(has_tag)(hash, free))
		return false;
	struct FLOW(key) sought;
	for (u32 i = 0; i < FLOW_KEY_WORDS; i++)
		sought.words[i] = key[i];
#pragma clang loop unroll(disable)
	for (u32 attempt = 0; attempt < FLOW_FIND_ATTEMPTS; attempt++) {
		u32 found = FLOW(place)(&sought, hash);
		struct FLOW(slot) *slot = found ? FLOW(at)(found - 1) : 0;

		if (!slot)
			return false;
		hit->index = found - 1;
		if (FLOW(copy)(slot, sought.words, hit) && hit->table)
			return true;
	}
	return false;
}

#ifdef FLOW_ALONE
/*
 * The slot + 1 of the key of `entry`, 0 when there is none. Its `head` and, as those of the entry, its arguments are of one
 * moment. A function of its own to the verifier, which would follow all the attempts again for every table that asks.
 */
__noinline u32 FLOW(look_up)(struct FLOW(entry) *entry, u64 *head)
{
	struct FLOW(hit) hit;

	if (!entry || !head || !FLOW(find_or_free)(entry->key, entry->hash, &hit, &entry->free))
		return 0;
	for (u32 i = 0; i < FLOW_ARGUMENT_WORDS; i++)
		entry->argument_words[i] = hit.argument_words[i];
	*head = hit.head;
	return hit.index + 1;
}
#endif

/*
 * The entry that `entry` has the key and the hash of, and false if there is none; then its `free` is what `has_tag` says.
 * Where most that ask have one (`is_likely`), the first place is looked at before the tags. Where they have none, the tags
 * tell it, which are in a cache rather than a slot that nobody has used.
 */
static __always_inline bool FLOW(find_entry)(struct FLOW(entry) *entry, struct FLOW(hit) *hit, const bool is_likely)
{
#ifdef FLOW_ALONE
	(void)is_likely;
	u64 head = 0;
	u32 found = FLOW(look_up)(entry, &head);

	hit->slot = found ? FLOW(at)(found - 1) : 0;
	if (!hit->slot)
		return false;
	hit->index = found - 1;
	hit->head = head;
	hit->event = 0;
	for (u32 i = 0; i < FLOW_ARGUMENT_WORDS; i++)
		hit->argument_words[i] = entry->argument_words[i];
	return true;
#else
	if (!is_likely && !FLOW(has_tag)(entry->hash, &entry->free))
		return false;
	return FLOW(find_or_free)(entry->key, entry->hash, hit, &entry->free);
#endif
}

/* Whether an entry that was found with a mark is still there for packets of a side; the mark is taken off the copy then. */
static __always_inline bool FLOW(goes_on)(struct FLOW(hit) *hit, u32 side)
{
	if (hit->table & FLOW_ENDED_ON(side & 1))
		return false;
	hit->table &= FLOW_INDEX;
	return true;
}

#ifdef FLOW_SOUGHT
/*
 * Whether an entry has the key of `entry` for packets of a side; nobody sees that. If not, `free` is what `has_tag` says, and
 * nothing of a slot that has the key and has ended.
 */
static __always_inline bool FLOW(holds)(struct FLOW(entry) *entry, u32 side)
{
	struct FLOW(hit) hit;

	if (!FLOW(find_entry)(entry, &hit, false))
		return false;
	if (FLOW(goes_on)(&hit, side))
		return true;
	entry->free = 0;
	return false;
}
#endif

/* The packet is an event to its entry, an index below FLOW_EVENTS; `use` does what follows from it. */
static __always_inline void FLOW(saw)(struct FLOW(hit) *hit, u32 event)
{
	hit->event = event + 1;
}

/* Whether an event may change an entry of a profile. */
static __always_inline bool FLOW(may_move)(u32 event, u32 profile)
{
	event = flow_one_register(event);
	return event < FLOW_EVENTS && FLOW(moves)[event] >> (profile & (FLOW_MAX_PROFILES - 1)) & 1;
}

/*
 * What follows from an event in a profile (FLOW_SEEN): the new profile of the entry, that of its other half << 8, and the
 * one that the other half must be in << 16; 0 where it stays, or any will do. Without branches, of which the verifier
 * would follow every combination. A part of its caller, whose stack must be small: the kernel counts 32 bytes a call.
 */
static __always_inline u32 FLOW(transition)(u32 seen, u32 other)
{
	u32 found = 0;

#pragma clang loop unroll(disable)
	for (u32 i = FLOW_TRANSITIONS; i > 0; i--) {
		const volatile struct flow_transition *row = &FLOW(transitions)[i - 1];
		u32 asks = row->other, differs = FLOW_SEEN(row->event, row->current) ^ seen;

		differs |= (asks ^ other) & (0 - ((0 - asks) >> 31));
		u32 fits = flow_one_register((u32)(((u64)differs - 1) >> 63));
		found ^= (found ^ (row->next | (u32)row->other_next << 8 | asks << 16)) & (0 - fits);
	}
	return found;
}

/* The other half of a slot, and what its `head` says; 0 when there is none, or it is being changed. */
static __always_inline struct FLOW(slot) *FLOW(other_half)(const struct FLOW(slot) *slot, u32 index, u64 *head)
{
	u32 pair = FLOW_READ(slot->pair);
	struct FLOW(slot) *other = pair ? FLOW(at)(pair - 1) : 0;

	if (!other)
		return 0;
	*head = FLOW_READ(other->head);
	other = (void *)other + flow_after(*head);
	return (*head & 1) || FLOW_READ(other->pair) != index + 1 ? 0 : other;
}

static __always_inline u32 FLOW(profile_of)(u64 head)
{
	return ((struct FLOW(hit)){.head = head}).profile;
}

/* An entry has gone from one profile to another. */
static __always_inline void FLOW(recount)(u64 head, u32 profile)
{
	u32 was = FLOW(counts_in)(FLOW(profile_of)(head));

	FLOW(count_for)(((struct FLOW(hit)){.head = head}).counted, FLOW(counts_in)(profile) - was);
}

static __always_inline u32 FLOW(counted_of)(u64 head)
{
	return ((struct FLOW(hit)){.head = head}).counted;
}

/* The same for two halves of a pair, of which one counts at most. */
static __always_inline void FLOW(recount_one)(u64 was, u64 is, u64 other_was, u64 other_is)
{
	u64 takes_other = 0 - (u64)!FLOW(counted_of)(was);

	was ^= (was ^ other_was) & takes_other;
	is ^= (is ^ other_is) & takes_other;
	FLOW(recount)(was, FLOW(profile_of)(is));
}

static __always_inline u64 FLOW(with_profile)(u64 head, u32 profile)
{
	struct FLOW(hit) changed = {.head = head};

	changed.profile = profile;
	return changed.head;
}

/*
 * The entry that was found with this `head` changes profile as <store>_transitions say, and its other half with it. Where
 * the other half changes at the same instant, what it is now decides: of two CPUs that change one half each, at least
 * one sees both changes.
 */
__noinline int FLOW(advance)(u32 index, u64 head, u32 event)
{
	struct FLOW(slot) *slot = FLOW(at)(index);
	u32 seen = FLOW_SEEN(event, FLOW(profile_of)(head)), has_moved = 0;

#pragma clang loop unroll(disable)
	for (u32 attempt = 0; slot && attempt < FLOW_ATTEMPTS; attempt++) {
		u64 other_head = 0;
		struct FLOW(slot) *other = FLOW(other_half)(slot, index, &other_head);
		u32 next = FLOW(transition)(seen, other ? FLOW(profile_of)(other_head) : 0);

		if (!next || (has_moved && !(next >> 16)))
			return 0;
		u64 was = __sync_val_compare_and_swap(&slot->head, head, FLOW(with_profile)(head, next & 0xff));
		if (was != head) {
			/* Another packet of the flow was first; or the other half's, that saw what has become of this one. */
			if (has_moved || (u32)was != (u32)head)
				return 0;
			head = was;
			seen = FLOW_SEEN(seen & 0xff, FLOW(profile_of)(head));
			continue;
		}
		head = FLOW(with_profile)(head, next & 0xff);
		u32 other_next = next >> 8 & 0xff;
		u64 after = other_next ? FLOW(with_profile)(other_head, other_next) : other_head;
		has_moved = 1 + (!other || __sync_val_compare_and_swap(&other->head, other_head, after) == other_head);
		FLOW(recount_one)(was, head, has_moved > 1 ? other_head : 0, after);
		if (has_moved > 1)
			return 0;
	}
	return 0;
}

/* A packet has used the entry. */
static __always_inline void FLOW(use)(struct FLOW(hit) *hit, u32 now_ms, u64 bytes)
{
	hit->slot->seen_ms = now_ms;
	hit->slot->packets++;
	hit->slot->bytes += bytes;
	if (unlikely(hit->event && FLOW(may_move)(hit->event - 1, hit->profile)))
		FLOW(advance)(hit->index, hit->head, hit->event - 1);
}

#include "flow_change.h"
#include "flow_programs.h"
#include "flow_before.h"

#undef FLOW_STORE
#undef FLOW_KEY_WORDS
#undef FLOW_ARGUMENTS
#undef FLOW_SLOT_BYTES
#undef FLOW_SLOTS
#undef FLOW_WAYS
#undef FLOW_PROFILES
#undef FLOW_EVENTS
#undef FLOW_TRANSITIONS
#undef FLOW_COUNTS
#undef FLOW_RENEWS
#undef FLOW_ALONE
#undef FLOW_SOUGHT
#undef FLOW_FIND_ATTEMPTS
#undef FLOW_SETS
#undef FLOW_LANES
#undef FLOW_ARGUMENT_WORDS
#undef FLOW_ARGUMENT_BYTES

#endif
