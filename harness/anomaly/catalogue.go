package anomaly

import "cartwheel/harness"

// jepsen2013 is where the reference experiment was described.
const jepsen2013 = "Jepsen's partition tests of 2013"

// Catalogue lists all scenarios that this store can play, by id.
func Catalogue() []Scenario {
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
			ID: "KA-04", Title: "the same with all replicas asked: writes that have failed win by their time",
			Published: "Cassandra, R=W=all, even with a lock: 30 to 70 % lost (Jepsen, 2013)",
			Workload:  "set-lww-locked", Nemesis: "partition", Quorum: "strict", R: 3, W: 3, Split: true, Verdict: harness.Invalid, Loss: 0.1,
		},
		{
			ID: "KA-05", Title: "siblings and union: nothing acknowledged is lost",
			Published: "Riak with siblings, R=W=1: 2000 attempted, 1948 acknowledged, 2000 survivors, 0 lost (" + jepsen2013 + ")",
			Workload:  "set", Nemesis: "partition", Split: true, Verdict: harness.Valid,
			Want: []Band{exactly("elements", "lost", 0), atLeast("siblings", "siblings_max", 2)},
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
