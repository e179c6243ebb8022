package anomaly

import (
	"slices"
	"strings"
	"time"

	"cartwheel/harness"
)

// jepsen2013 is where the reference experiment was described.
const jepsen2013 = "Jepsen's partition tests of 2013"

// Catalogue lists all scenarios that this store can play, by id.
func Catalogue() []Scenario {
	all := slices.Concat(lastWrites(), partitioned(), skewed(), kept())
	slices.SortStableFunc(all, func(a, b Scenario) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// lastWrites are those in which the last write wins, by the times of writes and of nothing else.
func lastWrites() []Scenario {
	return []Scenario{
		{
			ID: "KA-01", Title: "the last write wins: acknowledged adds are lost without any fault",
			Published: "Riak, last write wins, healthy cluster: 2000 acknowledged, 566 survivors, 1434 lost, 71.7 % (" + jepsen2013 + ")",
			Workload:  "set-lww", Nemesis: "none", Verdict: harness.Invalid,
			Loss: 0.2,
		},
		{
			ID: "KA-02", Title: "the last write wins, under a perfect lock: a partition loses what one side has added",
			Published: "Riak, last write wins, perfect lock, R=W=quorum: 1985 acknowledged, 176 survivors, 1815 lost, 91.4 % (" + jepsen2013 + ")",
			Workload:  "set-lww-locked", Nemesis: "partition", Split: true, Verdict: harness.Invalid, Loss: 0.05,
		},
		{
			ID: "KA-03", Title: "the same with quorums of owners: a write after a read that failed throws away what it has not seen",
			Published: "Riak, last write wins, perfect lock, R=W=PR=PW=quorum: 1971 acknowledged, 170 survivors, 1807 lost, 91.7 % (" + jepsen2013 + ")",
			Workload:  "set-lww-locked", Nemesis: "partition", Quorum: "strict", R: 2, W: 2, Split: true, Verdict: harness.Invalid, Loss: 0.05,
		},
		{
			ID: "KA-04", Title: "the same with all replicas asked: writes that have failed win by their time",
			Published: "Cassandra, R=W=all, even with a lock: 30 to 70 % lost (Jepsen, 2013)",
			Workload:  "set-lww-locked", Nemesis: "partition", Quorum: "strict", R: 3, W: 3, Split: true, Verdict: harness.Invalid, Loss: 0.1,
		},
	}
}

// partitioned are those of siblings, registers and sloppy quorums.
func partitioned() []Scenario {
	return []Scenario{
		{
			ID: "KA-05", Title: "siblings and union: nothing acknowledged is lost",
			Published: "Riak with siblings, R=W=1: 2000 attempted, 1948 acknowledged, 2000 survivors, 0 lost (" + jepsen2013 + ")",
			Workload:  "set", Nemesis: "partition", Split: true, Verdict: harness.Valid,
			Want: []Band{exactly("elements", "lost", 0), atLeast("siblings", "siblings_max", 2)},
		},
		{
			ID: "KA-06", Title: "whoever reaches a quorum of any nodes is served, once it is known who is silent",
			Published: "Riak, sloppy quorum: requests time out at the start of a partition until fallbacks are set up (Jepsen, 2013)",
			Workload:  "cart", Nemesis: "partition", Split: true, Verdict: harness.Valid,
			Want: []Band{atLeast("availability", "owed", 100), exactly("availability", "unserved", 0)},
		},
		{
			ID: "KA-07", Title: "a side without the owners shows less than was acknowledged",
			Published: "Riak, sloppy quorum: reads say \"not found\" though the data exists (Jepsen, 2013)",
			Workload:  "cart", Nemesis: "partition", Split: true, Verdict: harness.Valid,
			Want: []Band{atLeast("recency", "measured/stale-read", 1)},
		},
		{
			ID: "KA-07", Title: "quorums of owners fail there and show nothing stale",
			Published: "the same",
			Workload:  "register", Nemesis: "partition", Split: true, Verdict: harness.Valid,
			Want: []Band{atLeast("availability", "fail/f1", 1)},
		},
		{
			ID: "KA-12", Title: "adds written to one replica, read from all: nothing is lost",
			Published: "Cassandra, set column, added with the weakest level and read at ALL: none lost (" + jepsen2013 + ")",
			Workload:  "set", Nemesis: "partition", Verdict: harness.Valid,
			Want: []Band{exactly("elements", "lost", 0)},
		},
		{
			ID: "KA-20", Title: "a write reported as failed never becomes visible",
			Published: "Aerospike 3.99: requests passed on and retried were reported as failed, and applied (Jepsen's report)",
			Workload:  "cart", Nemesis: "partition,pause", Verdict: harness.Valid,
			Want: []Band{exactly("elements", "lost", 0)},
		},
		{
			ID: "KA-20", Title: "a store that takes a missed quorum for a failure is found out",
			Published: "the same",
			Workload:  "cart", Nemesis: "partition", Mutant: "M19", Verdict: harness.Invalid,
		},
		{
			ID: "KA-23", Title: "dots keep siblings few",
			Published: "Riak from 2.0 on: as many siblings as there are concurrent writers",
			Workload:  "set", Nemesis: "none", Verdict: harness.Valid,
			Want: []Band{{"siblings", "siblings_max", 1, 10}, exactly("elements", "lost", 0)},
		},
		{
			ID: "KA-23", Title: "one clock for all siblings makes them explode",
			Published: "Riak before 2.0: dozens of siblings from a few interleaved writers, very easily",
			Workload:  "set", Nemesis: "none", Mutant: "M03", Verdict: harness.Invalid,
			Want: []Band{atLeast("siblings", "siblings_max", 20)},
		},
		{
			ID: "KA-28", Title: "R=W=1 is no register",
			Published: "a register emulated by clients has to be caught by a linearizability checker (DataStax's suite, expected to fail)",
			Workload:  "register-weak", Nemesis: "partition", Verdict: harness.Invalid,
		},
	}
}

// skewed are those in which clocks are wrong.
func skewed() []Scenario {
	return []Scenario{
		{
			ID: "KA-13", Title: "contexts decide before clocks do: a clock that is 10 s ahead loses nothing",
			Published: "Scylla 4.2, inserts into a set with skewed stamps: acknowledged ones lost, the more the greater the skew, some from one second on (Jepsen's report)",
			Workload:  "set-lww-locked", Nemesis: "clock", Quorum: "strict", R: 2, W: 2, Skew: 10 * time.Second, Verdict: harness.Valid,
			Want: []Band{exactly("elements", "lost", 0)},
		},
		{
			ID: "KA-13", Title: "where stamps alone decide, right clocks lose nothing",
			Published: "the same",
			Workload:  "set-lww-locked", Nemesis: "none", Quorum: "strict", R: 2, W: 2, Mutant: "M101", Verdict: harness.Valid,
			Want: []Band{exactly("elements", "lost", 0)},
		},
		{
			ID: "KA-13", Title: "there a clock that is 1 s ahead loses most: writes come more often than that",
			Published: "the same",
			Workload:  "set-lww-locked", Nemesis: "clock", Quorum: "strict", R: 2, W: 2, Skew: time.Second, Mutant: "M101", Verdict: harness.Invalid, Loss: 0.4,
		},
		{
			ID: "KA-13", Title: "and one that is 10 s ahead does as well",
			Published: "the same",
			Workload:  "set-lww-locked", Nemesis: "clock", Quorum: "strict", R: 2, W: 2, Skew: 10 * time.Second, Mutant: "M101", Verdict: harness.Invalid, Loss: 0.5,
		},
	}
}

// kept are those of what an acknowledgement is worth: on how many disks, and how it gets to owners that were away.
func kept() []Scenario {
	return []Scenario{
		{
			ID: "KA-25", Title: "acknowledged before it is on disk: a loss of power takes it back",
			Published: "NATS 2.12.1, flushed every two minutes: 49.7 % of what was acknowledged lost when the power fails (Jepsen's report)",
			Workload:  "cart", Nemesis: "kill=all", Durability: "none", FlushAfter: 2 * time.Minute, Verdict: harness.Invalid, Loss: 0.01,
		},
		{
			ID: "KA-25", Title: "one copy on disk is enough, however late the others are",
			Published: "the same: none lost where each write is synced",
			Workload:  "cart", Nemesis: "kill=all", Durability: "one", FlushAfter: 2 * time.Minute, Verdict: harness.Valid,
			Want: []Band{exactly("elements", "lost", 0), atLeast("elements", "acknowledged", 500)},
		},
		{
			ID: "KA-25", Title: "every copy on disk: nothing is lost",
			Published: "the same",
			Workload:  "cart", Nemesis: "kill=all", Durability: "all", Verdict: harness.Valid,
			Want: []Band{exactly("elements", "lost", 0), atLeast("elements", "acknowledged", 500)},
		},
		{
			ID: "KA-27", Title: "hints alone bring every write to its owners",
			Published: "none: suites of Scylla and Cassandra have a knob for hints and publish no figure",
			Workload:  "cart-hints", Nemesis: "partition", Split: true, Verdict: harness.Valid,
			Want: []Band{exactly("elements", "lost", 0)},
		},
		{
			ID: "KA-27", Title: "without hints, and without anti-entropy, owners stay behind",
			Published: "the same",
			Workload:  "cart-hints", Nemesis: "partition", HintBytes: 1, Split: true, Verdict: harness.Invalid,
		},
		{
			ID: "KA-27", Title: "anti-entropy alone brings every write to its owners, too",
			Published: "the same",
			// Unknown, because nothing was hinted: had a checker found something it would be invalid.
			Workload: "cart-full", Nemesis: "partition", HintBytes: 1, Split: true, Verdict: harness.Unknown,
			Want: []Band{exactly("elements", "lost", 0)},
		},
	}
}
