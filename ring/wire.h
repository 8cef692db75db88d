/*
 * The bytes on a blkif ring, in the three layouts that exist, and nothing else.
 *
 * Any thread; declarations only. Constants come from Xen's public blkif.h; the structures are ours
 * because blkif.h can only describe the layout of the ABI it is compiled for, while a backend
 * serves guests of every ABI. Every size and offset below is asserted at compile time (rules R1-R3
 * of PROTOCOL.md). A structure named *_32 is what a 32-bit x86 guest uses (u64 aligned to 4), *_64
 * what a 64-bit one uses (u64 aligned to 8). "Native" is one of the two.
 */
#ifndef RING_WIRE_H
#define RING_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
/* blkif.h needs the types of xen.h first. */
#include <xen/io/blkif.h>

#define WIRE_PAGE_SIZE    4096u
#define WIRE_SECTOR_SIZE  512u /* the unit of every number on the wire (R5) */
#define WIRE_SECTOR_SHIFT 9
#define WIRE_PAGE_SECTORS (WIRE_PAGE_SIZE / WIRE_SECTOR_SIZE)
#define WIRE_SEGMENTS_MAX BLKIF_MAX_SEGMENTS_PER_REQUEST /* in the slot itself */

/* An indirect request names up to so many pages, each full of segments (R26). */
#define WIRE_INDIRECT_PAGES    BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST
#define WIRE_SEGMENTS_PER_PAGE (WIRE_PAGE_SIZE / 8u)

/*
 * Status of an empty flush or barrier that failed. blkif.h names only 0, -1 and -2, but Linux turns
 * -1 and -2 on an empty flush into success; every other negative value stays an error (R14).
 */
#define WIRE_RSP_FLUSH_FAILED (-5)

enum wire_abi {
	WIRE_ABI_64 = 0,
	WIRE_ABI_32 = 1,
#if defined(__i386__)
	WIRE_ABI_NATIVE = WIRE_ABI_32,
#else
	WIRE_ABI_NATIVE = WIRE_ABI_64,
#endif
};

struct wire_segment {
	uint32_t gref;
	uint8_t first_sect;
	uint8_t last_sect;
	uint16_t pad;
};

/* The header shared by both ends: producer indexes and the thresholds that ask for an event. */
struct wire_ring_header {
	uint32_t req_prod;
	uint32_t req_event;
	uint32_t rsp_prod;
	uint32_t rsp_event;
	uint8_t pad[48];
};

struct wire_request_64 {
	uint8_t operation;
	uint8_t nr_segments;
	uint16_t handle;
	uint32_t pad;
	uint64_t id;
	uint64_t sector_number;
	struct wire_segment seg[WIRE_SEGMENTS_MAX];
};

struct wire_request_32 {
	uint8_t operation;
	uint8_t nr_segments;
	uint16_t handle;
	uint64_t id;
	uint64_t sector_number;
	struct wire_segment seg[WIRE_SEGMENTS_MAX];
} __attribute__((packed, aligned(4)));

/* In the place of a request, when the operation is BLKIF_OP_INDIRECT. */
struct wire_indirect_64 {
	uint8_t operation;
	uint8_t indirect_op;
	uint16_t nr_segments;
	uint32_t pad;
	uint64_t id;
	uint64_t sector_number;
	uint16_t handle;
	uint16_t pad2;
	uint32_t gref[WIRE_INDIRECT_PAGES];
};

struct wire_indirect_32 {
	uint8_t operation;
	uint8_t indirect_op;
	uint16_t nr_segments;
	uint64_t id;
	uint64_t sector_number;
	uint16_t handle;
	uint16_t pad2;
	uint32_t gref[WIRE_INDIRECT_PAGES];
} __attribute__((packed, aligned(4)));

/* ... and when it is BLKIF_OP_DISCARD. */
struct wire_discard_64 {
	uint8_t operation;
	uint8_t flag;
	uint16_t handle;
	uint32_t pad;
	uint64_t id;
	uint64_t sector_number;
	uint64_t nr_sectors;
};

struct wire_discard_32 {
	uint8_t operation;
	uint8_t flag;
	uint16_t handle;
	uint64_t id;
	uint64_t sector_number;
	uint64_t nr_sectors;
} __attribute__((packed, aligned(4)));

struct wire_response_64 {
	uint64_t id;
	uint8_t operation;
	uint8_t pad0;
	int16_t status;
	uint8_t pad1[4];
};

struct wire_response_32 {
	uint64_t id;
	uint8_t operation;
	uint8_t pad0;
	int16_t status;
} __attribute__((packed, aligned(4)));

/* A slot is as large as the larger of request and response: the request. */
#define WIRE_SLOT_SIZE_64 112u
#define WIRE_SLOT_SIZE_32 108u
#define WIRE_SLOT_MAX     WIRE_SLOT_SIZE_64

/* One slot's bytes in private memory, whatever the ABI. */
struct wire_slot {
	union {
		uint8_t bytes[WIRE_SLOT_MAX];
		struct wire_request_64 r64;
		struct wire_request_32 r32;
		struct wire_indirect_64 i64;
		struct wire_indirect_32 i32;
		struct wire_discard_64 d64;
		struct wire_discard_32 d32;
	};
};

#define WIRE_AT(type, member, offset)                                                              \
	_Static_assert(offsetof(struct type, member) == (offset), #type "." #member)
#define WIRE_IS(type, size) _Static_assert(sizeof(struct type) == (size), #type)

WIRE_IS(wire_segment, 8);
WIRE_AT(wire_segment, gref, 0);
WIRE_AT(wire_segment, first_sect, 4);
WIRE_AT(wire_segment, last_sect, 5);

WIRE_IS(wire_ring_header, 64);
WIRE_AT(wire_ring_header, req_prod, 0);
WIRE_AT(wire_ring_header, req_event, 4);
WIRE_AT(wire_ring_header, rsp_prod, 8);
WIRE_AT(wire_ring_header, rsp_event, 12);

WIRE_IS(wire_request_64, WIRE_SLOT_SIZE_64);
WIRE_AT(wire_request_64, operation, 0);
WIRE_AT(wire_request_64, nr_segments, 1);
WIRE_AT(wire_request_64, handle, 2);
WIRE_AT(wire_request_64, id, 8);
WIRE_AT(wire_request_64, sector_number, 16);
WIRE_AT(wire_request_64, seg, 24);

WIRE_IS(wire_request_32, WIRE_SLOT_SIZE_32);
WIRE_AT(wire_request_32, operation, 0);
WIRE_AT(wire_request_32, nr_segments, 1);
WIRE_AT(wire_request_32, handle, 2);
WIRE_AT(wire_request_32, id, 4);
WIRE_AT(wire_request_32, sector_number, 12);
WIRE_AT(wire_request_32, seg, 20);

WIRE_IS(wire_indirect_64, 64);
WIRE_AT(wire_indirect_64, operation, 0);
WIRE_AT(wire_indirect_64, indirect_op, 1);
WIRE_AT(wire_indirect_64, nr_segments, 2);
WIRE_AT(wire_indirect_64, id, 8);
WIRE_AT(wire_indirect_64, sector_number, 16);
WIRE_AT(wire_indirect_64, handle, 24);
WIRE_AT(wire_indirect_64, gref, 28);

WIRE_IS(wire_indirect_32, 56);
WIRE_AT(wire_indirect_32, operation, 0);
WIRE_AT(wire_indirect_32, indirect_op, 1);
WIRE_AT(wire_indirect_32, nr_segments, 2);
WIRE_AT(wire_indirect_32, id, 4);
WIRE_AT(wire_indirect_32, sector_number, 12);
WIRE_AT(wire_indirect_32, handle, 20);
WIRE_AT(wire_indirect_32, gref, 24);

WIRE_IS(wire_discard_64, 32);
WIRE_AT(wire_discard_64, flag, 1);
WIRE_AT(wire_discard_64, handle, 2);
WIRE_AT(wire_discard_64, id, 8);
WIRE_AT(wire_discard_64, sector_number, 16);
WIRE_AT(wire_discard_64, nr_sectors, 24);

WIRE_IS(wire_discard_32, 28);
WIRE_AT(wire_discard_32, flag, 1);
WIRE_AT(wire_discard_32, handle, 2);
WIRE_AT(wire_discard_32, id, 4);
WIRE_AT(wire_discard_32, sector_number, 12);
WIRE_AT(wire_discard_32, nr_sectors, 20);

WIRE_IS(wire_response_64, 16);
WIRE_AT(wire_response_64, id, 0);
WIRE_AT(wire_response_64, operation, 8);
WIRE_AT(wire_response_64, status, 10);

WIRE_IS(wire_response_32, 12);
WIRE_AT(wire_response_32, id, 0);
WIRE_AT(wire_response_32, operation, 8);
WIRE_AT(wire_response_32, status, 10);

WIRE_IS(wire_slot, WIRE_SLOT_MAX);

/* Our 64-bit layout must be Xen's own when this file is compiled for a 64-bit Xen ABI. */
#if defined(__x86_64__) || defined(__aarch64__)
_Static_assert(sizeof(struct blkif_request) == WIRE_SLOT_SIZE_64, "blkif_request");
_Static_assert(offsetof(struct blkif_request, seg) == 24, "blkif_request.seg");
_Static_assert(offsetof(struct blkif_request_discard, flag) == 1, "discard flag");
_Static_assert(offsetof(struct blkif_request_discard, nr_sectors) == 24, "discard nr_sectors");
_Static_assert(offsetof(struct blkif_request_indirect, indirect_op) == 1, "indirect_op");
_Static_assert(offsetof(struct blkif_request_indirect, nr_segments) == 2, "indirect nr_segments");
_Static_assert(offsetof(struct blkif_request_indirect, id) == 8, "indirect id");
_Static_assert(offsetof(struct blkif_request_indirect, handle) == 24, "indirect handle");
_Static_assert(offsetof(struct blkif_request_indirect, indirect_grefs) == 28, "indirect_grefs");
_Static_assert(sizeof(struct blkif_response) == sizeof(struct wire_response_64), "blkif_response");
_Static_assert(offsetof(struct blkif_sring, ring) == sizeof(struct wire_ring_header), "sring");
#endif

_Static_assert(WIRE_SEGMENTS_PER_PAGE * sizeof(struct wire_segment) == WIRE_PAGE_SIZE, "no rest");

/* Bytes from one slot to the next. */
static inline size_t wire_slot_size(enum wire_abi abi)
{
	return abi == WIRE_ABI_32 ? WIRE_SLOT_SIZE_32 : WIRE_SLOT_SIZE_64;
}

/* Slots in a ring of @nr_pages pages: the largest power of two that fits behind the header (R4). */
static inline unsigned wire_nr_slots(enum wire_abi abi, unsigned nr_pages)
{
	size_t room = ((size_t)nr_pages * WIRE_PAGE_SIZE - sizeof(struct wire_ring_header)) /
		      wire_slot_size(abi);
	unsigned n = 1;

	while ((size_t)n * 2 <= room)
		n *= 2;
	return n;
}

#endif
