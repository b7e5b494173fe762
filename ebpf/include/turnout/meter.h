/*
 * Meters, as compiler.ir.metering computes them to the bit: RFC 2698 and RFC 2697, colour-blind.
 *
 * A cell has two words that packets change, one for each bucket, and a configuration that the device writes. A word is
 * the level at which its bucket would be full again; tokens come in by the level, which is a product of the time, so
 * nobody refills anything and nothing is lost between packets. Taking tokens is one compare-and-swap.
 *
 * What CPUs that share a cell can rely on. Of each bucket, what was taken is never more than its burst and what has come
 * in: each packet takes its tokens in one step, or none. With two rates a packet takes from the peak bucket first and
 * from the committed one after that, and gives nothing back: a red one has taken nothing, a yellow one of the peak bucket
 * alone. Two packets of one instant may come to the two buckets in different orders; each colour is still one that the
 * packets could have got one after the other. With one rate, what flows over into the excess bucket arrives there just
 * after it has left the committed one, so a packet of that very instant may be red instead of yellow.
 * A CPU that is beaten METER_ATTEMPTS times takes its tokens whether or not they are still there, as a debt.
 *
 * A configuration lies on each of the two sides, as entries of tables do, and packets of both sides share the words:
 * levels count on from one configuration to the next (compiler.ir.metering).
 */
#ifndef TURNOUT_METER_H
#define TURNOUT_METER_H

#include "bpf.h"
#include "clock.h"
#include "flow_table.h"
#include "verdict.h"

#define METER_ATTEMPTS 8
#define METER_LAG (1ull << 40)	/* see compiler.ir.metering.LAG */

enum meter_color { METER_GREEN, METER_YELLOW, METER_RED, METER_COLORS };

/* A level is base + (now - start) * multiplier / 2^shift. */
struct meter_bucket {
	u64 start_ns;
	u64 base;
	u64 floor;
	u64 burst;
	u32 multiplier;
	u32 shift;
};

/* `first` is the committed bucket; `second` the peak bucket, or in its burst the size of the excess bucket. */
struct meter_buckets {
	struct meter_bucket first;
	struct meter_bucket second;
	u64 is_set;
};

_Static_assert(sizeof(struct meter_buckets) == 88, "struct meter_buckets");

struct meter_words {
	u64 first;
	u64 second;
};

/* In test runs: nanoseconds beyond the milliseconds of test_clock. */
struct {
	int (*type)[BPF_MAP_TYPE_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	u64 *value;
} test_clock_ns SEC(".maps");

static __always_inline u64 meter_now_ns(void)
{
	u32 zero = 0;
	u64 *beyond;

	if (!test_mode)
		return bpf_ktime_get_ns();
	beyond = bpf_map_lookup_elem(&test_clock_ns, &zero);
	return clock_test_ms() * 1000000 + (beyond ? *beyond : 0);
}

static __always_inline u64 meter_level(const struct meter_bucket *bucket, u64 now)
{
	u64 past = (s64)(now - bucket->start_ns) > 0 ? now - bucket->start_ns : 0;
	u64 high = (past >> 32) * bucket->multiplier, low = (u64)(u32)past * bucket->multiplier;

	if (bucket->shift < 32)
		return bucket->base + (high << (32 - bucket->shift)) + (low >> bucket->shift);
	return bucket->base + ((high + (low >> 32)) >> ((bucket->shift - 32) & 63));
}

static __always_inline u64 meter_ahead(u64 word, u64 level, u64 burst)
{
	u64 ahead = word - level;

	return ahead <= burst + METER_LAG ? ahead : 0;
}

/* Tokens that the bucket lacks. */
static __always_inline u64 meter_missing(const struct meter_bucket *bucket, u64 word, u64 level)
{
	u64 missing = meter_ahead(word, level, bucket->burst), least = meter_ahead(bucket->floor, level, bucket->burst);

	return missing > least ? missing : least;
}

/* Take so many tokens, or none. */
static __always_inline bool meter_take(const struct meter_bucket *bucket, u64 *word, u64 now, u32 units)
{
	u64 level = meter_level(bucket, now), seen = FLOW_READ(*word);

	for (u32 attempt = 0; attempt < METER_ATTEMPTS; attempt++) {
		u64 missing = meter_missing(bucket, seen, level), found;

		if (missing + units > bucket->burst)
			return false;
		found = __sync_val_compare_and_swap(word, seen, level + missing + units);
		if (found == seen)
			return true;
		seen = found;
	}
	__sync_fetch_and_add(word, units);
	return true;
}

static __always_inline enum meter_color meter_two_rates(const struct meter_buckets *buckets, struct meter_words *words,
							u64 now, u32 units)
{
	if (!meter_take(&buckets->second, &words->second, now, units))
		return METER_RED;
	return meter_take(&buckets->first, &words->first, now, units) ? METER_GREEN : METER_YELLOW;
}

/* The excess bucket holds its tokens themselves: `overflow` more of them, then `units` less if there are so many. */
static __always_inline bool meter_excess(u64 most, u64 *word, u64 overflow, u32 units)
{
	u64 seen = FLOW_READ(*word);

	for (u32 attempt = 0; attempt < METER_ATTEMPTS; attempt++) {
		u64 tokens = seen < most ? seen : most, room = most - tokens, found;
		bool enough;

		tokens += overflow < room ? overflow : room;
		enough = tokens >= units;
		if (enough)
			tokens -= units;
		if (tokens == seen)
			return enough;
		found = __sync_val_compare_and_swap(word, seen, tokens);
		if (found == seen)
			return enough;
		seen = found;
	}
	return false;
}

static __always_inline enum meter_color meter_one_rate(const struct meter_buckets *buckets, struct meter_words *words,
						       u64 now, u32 units)
{
	u64 level = meter_level(&buckets->first, now), burst = buckets->first.burst, most = buckets->second.burst;
	u64 seen = FLOW_READ(words->first), overflow = 0;
	bool green = false;

	for (u32 attempt = 0; attempt < METER_ATTEMPTS; attempt++) {
		u64 missing = meter_missing(&buckets->first, seen, level), full_at = level + missing, next, found;

		green = missing + units <= burst;
		next = green ? full_at + units : full_at;
		found = next == seen ? seen : __sync_val_compare_and_swap(&words->first, seen, next);
		if (found == seen) {
			overflow = full_at - seen;
			break;
		}
		seen = found;
	}
	if (green) {
		if (overflow)
			meter_excess(most, &words->second, overflow, 0);
		return METER_GREEN;
	}
	return meter_excess(most, &words->second, overflow, units) ? METER_YELLOW : METER_RED;
}

/*
 * The colour of a packet of so many units, and of so many bytes for the counter of its colour. `on_side` is where the
 * configuration of the cell is, on the packet's side. Maps that lie in arrays of maps may be missing.
 */
static __always_inline u8 meter_execute(const void *configs, u32 on_side, const void *words, const void *colors,
					u32 index, u32 units, u32 bytes, bool two_rates)
{
	struct meter_words *cell = words ? bpf_map_lookup_elem(words, &index) : 0;
	enum meter_color color = METER_GREEN;
	const struct meter_buckets *buckets;
	u64 now;

	if (!cell)
		return METER_GREEN;
	buckets = configs ? bpf_map_lookup_elem(configs, &on_side) : 0;
	if (!buckets)
		return METER_GREEN;
	if (buckets->is_set) {
		now = meter_now_ns();
		color = two_rates ? meter_two_rates(buckets, cell, now, units) :
				    meter_one_rate(buckets, cell, now, units);
	}
	count_packet(colors, index * METER_COLORS + color, bytes);
	return color;
}

#endif
