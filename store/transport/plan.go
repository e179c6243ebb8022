package transport

import (
	"cartwheel/store"
	"cartwheel/store/membership"
	"cartwheel/store/ring"
	"cartwheel/store/storepb"
)

func roleToProto(r ring.Role) *storepb.Role {
	return &storepb.Role{Member: memberToProto(r.Member), Zone: r.Zone, Capacity: uint32(r.Capacity)}
}

func roleFromProto(r *storepb.Role) ring.Role {
	return ring.Role{Member: memberFromProto(r.GetMember()), Zone: r.GetZone(), Capacity: int(r.GetCapacity())}
}

// WishesToProto translates wishes. Capacities are in the ranges of package ring.
func WishesToProto(wishes []membership.Wish) (out []*storepb.Wish) {
	for _, w := range wishes {
		out = append(out, &storepb.Wish{
			Kind: storepb.Wish_Kind(w.Kind), Node: string(w.Node), Other: string(w.Other), Address: w.Address, Zone: w.Zone, Capacity: number(w.Capacity),
		})
	}
	return out
}

// WishesFromProto translates wishes.
func WishesFromProto(wishes []*storepb.Wish) (out []membership.Wish) {
	for _, w := range wishes {
		out = append(out, membership.Wish{
			Kind: enum[membership.Kind](w.GetKind()), Node: store.NodeID(w.GetNode()), Other: store.NodeID(w.GetOther()), Address: w.GetAddress(),
			Zone: w.Zone, Capacity: int(w.GetCapacity()), // nil: as before
		})
	}
	return out
}

func planToProto(p Plan) *storepb.PlanReply {
	reply := &storepb.PlanReply{Number: p.Number, Wishes: WishesToProto(p.Wishes), Replicas: uint32(p.Replicas), Bytes: p.Bytes}
	for _, s := range p.Shares {
		reply.Shares = append(reply.Shares, &storepb.PlanReply_Share{
			Role: roleToProto(s.Role), Before: uint32(s.Before), After: uint32(s.After), Gains: uint32(s.Gains), Drops: uint32(s.Drops),
		})
	}
	for _, m := range p.Moves {
		reply.Moves = append(reply.Moves, &storepb.PlanReply_Move{Partition: uint32(m.Partition), To: string(m.To), From: namesToProto(m.From)})
	}
	return reply
}

// PlanOf translates a reply of Stage or Plan.
func PlanOf(r *storepb.PlanReply) Plan {
	p := Plan{Number: r.GetNumber(), Wishes: WishesFromProto(r.GetWishes()), Replicas: int(r.GetReplicas()), Bytes: r.GetBytes()}
	for _, s := range r.GetShares() {
		p.Shares = append(p.Shares, ring.Share{
			Role: roleFromProto(s.GetRole()), Before: int(s.GetBefore()), After: int(s.GetAfter()), Gains: int(s.GetGains()), Drops: int(s.GetDrops()),
		})
	}
	for _, m := range r.GetMoves() {
		p.Moves = append(p.Moves, ring.Move{Partition: ring.Partition(m.GetPartition()), To: store.NodeID(m.GetTo()), From: namesFromProto(m.GetFrom())})
	}
	return p
}
