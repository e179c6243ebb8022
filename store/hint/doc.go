// Package hint delivers the hints that a node holds for others (hinted handoff; paper,
// section 4.6).
//
// A [Handoff] looks for hints when it starts, at intervals, and when it is told that an owner
// came up. It sends each to its owner, which merges it, and only after the owner has
// acknowledged does it drop the hint, and only if the hint is still what was sent: something may
// have been merged into it meanwhile. Delivery may happen twice, which does no harm to a merge.
// Hints never expire. One whose target owns the key no more goes to all who own it now.
//
// An owner that has come back is not flooded: deliveries to it begin one at a time and at a
// sixteenth of the rate, and double with each page that it took. The first that it does not answer ends the
// round and sets the pace back; the next round goes on behind that hint, so that one which
// cannot be sent in time does not hold up the others. A Handoff is safe
// for concurrent use.
package hint
