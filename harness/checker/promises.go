package checker

import "cartwheel/harness"

// A promise is a row of the table: what a store may be held to, in which modes.
type promise struct {
	says    string // the property, in a clause
	checker string // who looks
	kinds   []string
	keep    map[Mode]bool
	session bool   // clients with sessions see to it in every mode
	once    bool   // only where clients make every write once
	note    string // why not, or on what condition
}

var (
	everywhere = map[Mode]bool{WriteBack: true, Strict: true, Weak: true, Sloppy: true, LWW: true}
	branching  = map[Mode]bool{WriteBack: true, Strict: true, Weak: true, Sloppy: true} // all that keep concurrent writes
	quorate    = map[Mode]bool{WriteBack: true, Strict: true}
	writeBack  = map[Mode]bool{WriteBack: true}
)

// promises is the table from which docs/GUARANTEES.md is made and by which every checker
// decides what to assert. The reasons are those of section 4 of the paper, of Bailis and
// others (PBS, 2012) and of Attiya, Bar-Noy and Dolev (1995) for writing back.
var promises = []promise{
	{
		says: "a read shows only values that were written before it, none that certainly failed", checker: "sanity",
		kinds: []string{Phantom, FailedVisible, Future}, keep: everywhere,
	},
	{
		says: "a read shows each version once", checker: "sanity",
		kinds: []string{DuplicateSibling}, keep: branching,
		note: "without versions there are no siblings",
	},
	{
		says: "a read shows no version beside its successor", checker: "sanity",
		kinds: []string{FalseSibling, OwnWriteMissing}, keep: branching, once: true,
		note: "as above; a put that is repeated may be made on two nodes, and its successor has seen one of them",
	},
	{
		says: "the same context comes with the same siblings", checker: "sanity",
		kinds: []string{UnequalSiblings}, keep: branching,
	},
	{
		says: "a read shows no more siblings than there were concurrent writers since the last write that they cover", checker: "siblings",
		kinds: []string{TooManySiblings}, keep: branching,
	},
	{
		says: "when all is healed and quiet, the replicas of a key are equal", checker: "convergence",
		kinds: []string{Divergent, MissingReplica}, keep: everywhere,
		note: "where nodes do not compare what they hold, a write whose coordinator was killed, or of unknown outcome if nodes or disks failed, may stay on some of them",
	},
	{
		says: "an acknowledged write is at the end present or superseded by what is present", checker: "lost-writes",
		kinds: []string{LostWrite}, keep: branching,
		note: "while no more than W-1 disks are lost: a write is not judged if the disks of all copies that its acknowledgement counted were lost later; the last write wins by throwing others away",
	},
	{
		says: "what an acknowledged delete has removed does not come back, also when its tombstone has been collected", checker: "lost-writes",
		kinds: []string{Resurrected}, keep: branching,
		note: "as above",
	},
	{
		says: "an acknowledged addition to a cart is at the end in it, unless removed by who saw it", checker: "elements",
		kinds: []string{LostElement}, keep: branching,
		note: "as above",
	},
	{
		says: "what is in a cart was added by somebody", checker: "elements",
		kinds: []string{UnexplainedElement}, keep: everywhere,
	},
	{
		says: "at the end a counter counts every acknowledged increment", checker: "counter",
		kinds: []string{LostCount}, keep: branching,
		note: "as above",
	},
	{
		says: "a counter never shows more than was attempted, nor less", checker: "counter",
		kinds: []string{ImpossibleCount}, keep: everywhere,
	},
	{
		says: "a read counts every increment acknowledged before it began", checker: "counter",
		kinds: []string{CountBehind}, keep: quorate,
		note: "as recency",
	},
	{
		says: "a node's copy of a key never admits to less than it did before", checker: "copies",
		kinds: []string{CopyWentBack}, keep: branching,
		note: "while the node keeps its disk and its part of the ring",
	},
	{
		says: "what a node keeps up beside its records is right, and no record is damaged or forgotten", checker: "audits",
		kinds: []string{harness.TreeDrift, harness.DamagedRecord, harness.Amnesia, harness.TombstoneLeft}, keep: everywhere,
		note: "as far as the store can audit itself",
	},
	{
		says: "a difference between two copies that was mended stays so", checker: "audits",
		kinds: []string{harness.EndlessRepair}, keep: everywhere,
		note: "as a node's own counts tell since its last start; a tombstone that not all owners could drop is given back, so a few times are nothing",
	},
	{
		says: "every partition has N distinct owners, nodes of equal capacity own alike, all nodes go by one layout and know who has left", checker: "audits",
		kinds: []string{harness.TwiceOwner, harness.UnevenShares, harness.OtherLayout, harness.ForgottenMember, harness.ReturnedMember}, keep: everywhere,
		note: "after the last change of the members",
	},
	{
		says: "a node goes through all of its records, delivers its hints when all is well, to all whom they are for and no more at a time than it may, stops calling peers that do not answer, and slows background work down that makes requests late", checker: "audits",
		kinds: []string{harness.HintFlood, harness.WastedCalls, harness.Starved, harness.StuckHints, harness.AstrayHints, harness.Unchecked}, keep: everywhere,
		note: "as its own counts tell since its last start; calls and hints that wait are counted in simulation, where no busy machine keeps a node from running",
	},
	{
		says: "a request is served where each node that may come to coordinate it hears as many as it asks for", checker: "availability",
		kinds: []string{OutOfService, Unavailable}, keep: everywhere,
		note: "some seconds after the last change, and while no link or disk is merely bad; a session where its answer before came from the same side; strict quorums while all is well; in containers only a node that serves nothing counts",
	},
	{
		says: "a client that routes by itself learns of a change of members", checker: "availability",
		kinds: []string{Misrouted}, keep: everywhere,
		note: "where clients route: no write is forwarded that was sent twelve seconds or more after the last fault or change",
	},
	{
		says: "a strict request is acknowledged only where so many owners can be reached", checker: "availability",
		kinds: []string{AckedShort}, keep: everywhere,
		note: "where the members do not change",
	},
	{
		says: "a write with the context of another key is refused", checker: "contexts",
		kinds: []string{ForeignContext}, keep: everywhere,
		note: "where clients mix contexts up on purpose",
	},
	{
		says: "recency: a read sees every write acknowledged before it began", checker: "recency",
		kinds: []string{Stale}, keep: quorate,
		note: "only where every read quorum meets every write quorum",
	},
	{
		says: "read your writes: a session sees its own acknowledged writes", checker: "sessions",
		kinds: []string{OwnWriteUnread}, keep: quorate, session: true,
		note: "as recency",
	},
	{
		says: "monotonic reads: a session sees no less than it saw before", checker: "sessions",
		kinds: []string{ReadWentBack}, keep: writeBack, session: true,
		note: "a read may see a write that has reached one replica, and the next read miss that replica",
	},
	{
		says: "monotonic writes: who sees a session's write sees its acknowledged ones before", checker: "sessions",
		kinds: []string{WriteOvertaken},
		note:  "a blind write does not carry those before it",
	},
	{
		says: "writes follow reads: who sees a session's write sees what the session had read", checker: "sessions",
		kinds: []string{ReadOvertaken},
		note:  "only what the write's context covers follows it",
	},
	{
		says: "causal visibility: who sees a write sees all that its writer could know of, on every key", checker: "causal",
		kinds: []string{CausalityBroken},
		note:  "keys are replicated apart from each other",
	},
	{
		says: "siblings are linearizable: one order explains what all reads of a key showed", checker: "mvr",
		kinds: []string{IncomparableReads, Inversion},
		note:  "two concurrent reads may each see one of two concurrent writes, whatever the quorum",
	},
	{
		says: "a register is 2-atomic: a read shows the newest value or the one before", checker: "staleness",
		kinds: []string{NotTwoAtomic}, keep: quorate,
		note: "with one writer a key, who leaves a key alone after a put of unknown outcome",
	},
	{
		says: "a register is linearizable", checker: "linearizable",
		kinds: []string{NotLinearizable, SiblingsInRegister}, keep: writeBack,
		note: "with one writer a key, who leaves a key alone after a put of unknown outcome",
	},
}
