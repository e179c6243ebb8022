package transport

import (
	"time"

	"cartwheel/store"
	"cartwheel/store/storepb"
)

// number keeps a knob that no request can mean from wrapping round into one that it can.
func number(n int) uint32 {
	if n < 0 || n > 1<<30 {
		return 1 << 30
	}
	return uint32(n)
}

func readOptionsToProto(o store.ReadOptions) *storepb.ReadOptions {
	return &storepb.ReadOptions{
		N: number(o.N), R: number(o.R), Pr: number(o.PR), NodeConfirms: number(o.NodeConfirms),
		Mode: storepb.Mode(o.Mode), Repair: storepb.Repair(o.Repair), NotFound: storepb.NotFound(o.NotFound),
		TimeoutNanos: int64(o.Timeout), Floor: o.Floor,
	}
}

func readOptionsFromProto(o *storepb.ReadOptions) store.ReadOptions {
	return store.ReadOptions{
		N: int(o.GetN()), R: int(o.GetR()), PR: int(o.GetPr()), NodeConfirms: int(o.GetNodeConfirms()),
		Mode: enum[store.Mode](o.GetMode()), Repair: enum[store.RepairMode](o.GetRepair()), NotFound: enum[store.NotFoundMode](o.GetNotFound()),
		Timeout: time.Duration(o.GetTimeoutNanos()), Floor: o.GetFloor(),
	}
}

func writeOptionsToProto(o store.WriteOptions) *storepb.WriteOptions {
	return &storepb.WriteOptions{
		N: number(o.N), W: number(o.W), Pw: number(o.PW), Dw: number(o.DW), NodeConfirms: number(o.NodeConfirms),
		Mode: storepb.Mode(o.Mode), Durability: storepb.Durability(o.Durability), TimeoutNanos: int64(o.Timeout),
	}
}

func writeOptionsFromProto(o *storepb.WriteOptions) store.WriteOptions {
	return store.WriteOptions{
		N: int(o.GetN()), W: int(o.GetW()), PW: int(o.GetPw()), DW: int(o.GetDw()), NodeConfirms: int(o.GetNodeConfirms()),
		Mode: enum[store.Mode](o.GetMode()), Durability: enum[store.Durability](o.GetDurability()), Timeout: time.Duration(o.GetTimeoutNanos()),
	}
}
