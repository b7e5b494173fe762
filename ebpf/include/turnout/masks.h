/*
 * The list of masks of a table whose entries have priorities. A packet looks at the slots that `order` names, 4 bits
 * each from the lowest up; behind the last one it names the first again, so that one word says which there are.
 */
#ifndef TURNOUT_MASKS_H
#define TURNOUT_MASKS_H

#include "bpf.h"
#include "flow_table.h"

#define MAX_MASKS 16

static __always_inline u32 mask_at(u64 order, u32 place)
{
	return order >> 4 * place & (MAX_MASKS - 1);
}

/*
 * An id is written after its mask and never given to another one. So a mask that is read after its id is whole, or there
 * are no entries under the id any more.
 */
#define mask_behind(mask, id) ((__typeof__(mask))((char *)(mask) + flow_after(id)))

#endif
