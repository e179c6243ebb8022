package sim

import (
	"cartwheel/store/node"
	"cartwheel/store/transport"
)

// Store returns an [Open] that makes nodes of the reference store. Configure, if any,
// sets what the world does not decide: N, R, W, intervals and limits.
func Store(configure func(*node.Config)) Open {
	return func(s Seams) (Process, error) {
		var c node.Config
		if configure != nil {
			configure(&c)
		}
		c.ID, c.Address, c.Members = s.ID, s.Address, s.Members
		for _, m := range s.Seeds {
			c.Seeds = append(c.Seeds, m.Address)
		}
		c.Dir, c.FS, c.Disk = s.Dir, s.FS, s.Disk
		c.Clock, c.Now, c.Rand = s.Clock, s.Now, s.Rand
		c.Peers = s.Peers
		c.Logger = s.Logger
		n, err := node.Open(c)
		if err != nil {
			return nil, err // a nil *node.Node must not become a Process
		}
		return n, nil
	}
}

// NewStore makes a cluster of the reference store's nodes with its connections' limits.
func NewStore(o Options, configure func(*node.Config)) (*Cluster, error) {
	o.Open = Store(configure)
	if o.Wire.MessageBytesMax == 0 {
		o.Wire.MessageBytesMax = transport.MessageSizeBytesMax
	}
	return New(o)
}
