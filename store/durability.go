package store

// A Durability says what of a write is on disk when it is acknowledged (paper, section 6.1). The
// rest follows within the time that each node's flush takes, 100 ms unless set otherwise.
type Durability uint8

// Durabilities of a write. A DW of 1 raises none to one, and a higher DW either of them to all.
const (
	DurabilityDefault Durability = iota // the bucket's, or else the node's, which is all unless it says otherwise
	// DurabilityAll puts it on disk wherever it is acknowledged.
	DurabilityAll
	// DurabilityOne puts it on the coordinator's disk; the others acknowledge from memory. It is lost only if
	// the coordinator's disk is lost and all others lose power within the time of a flush.
	DurabilityOne
	// DurabilityNone acknowledges from memory everywhere, as the paper's object buffer does. An experiment: the nodes
	// refuse it unless their object buffer was switched on.
	DurabilityNone
)

// String returns "default", "all", "one" or "none".
func (d Durability) String() string {
	return [...]string{"default", "all", "one", "none"}[d]
}

// ParseDurability reads "all", "one" or "none"; empty is the default.
func ParseDurability(s string) (Durability, error) {
	return optional(s, DurabilityAll, DurabilityOne, DurabilityNone)
}
