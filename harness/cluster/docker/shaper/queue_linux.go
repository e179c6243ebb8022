package shaper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/mdlayher/netlink"
)

// The kernel's packet queue speaks netlink: linux/netfilter/nfnetlink_queue.h.
const (
	subsystem  = 3 << 8 // NFNL_SUBSYS_QUEUE
	msgPacket  = subsystem
	msgVerdict = subsystem | 1
	msgConfig  = subsystem | 2

	attrConfigCmd    = 1
	attrConfigParams = 2
	attrConfigMaxLen = 3
	attrPacketHeader = 1
	attrVerdict      = 2
	attrPayload      = 10

	cmdBind    = 1
	copyPacket = 2

	verdictDrop   = 0
	verdictAccept = 1

	heldMax    = 8192    // packets that the kernel keeps for us; more are discarded
	bufferSize = 8 << 20 // of the socket; the kernel grants it to CAP_NET_ADMIN
)

// A queue hands out packets and takes verdicts. Verdicts may come in any order and from
// any goroutine; receive is for one.
type queue struct {
	conn *netlink.Conn
	out  int // raw socket for copies
}

// openQueue binds the number. Packets that come before that pass.
func openQueue(number uint16) (*queue, error) {
	conn, err := netlink.Dial(syscall.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("packet queue: %w", err)
	}
	q := &queue{conn: conn, out: -1}
	if err := q.setUp(number); err != nil {
		return nil, errors.Join(fmt.Errorf("packet queue %d: %w", number, err), q.close())
	}
	return q, nil
}

func (q *queue) setUp(number uint16) (err error) {
	if err := errors.Join(q.conn.SetReadBuffer(bufferSize), q.conn.SetOption(netlink.NoENOBUFS, true)); err != nil {
		return err
	}
	length := binary.BigEndian.AppendUint32(nil, heldMax)
	params := append(binary.BigEndian.AppendUint32(nil, 0xffff), copyPacket)
	for _, a := range []netlink.Attribute{
		{Type: attrConfigCmd, Data: []byte{cmdBind, 0, 0, syscall.AF_INET}},
		{Type: attrConfigMaxLen, Data: length},
		{Type: attrConfigParams, Data: params}, // from here on packets come
	} {
		m, err := message(msgConfig, netlink.Request|netlink.Acknowledge, number, a)
		if err != nil {
			return err
		}
		if _, err := q.conn.Execute(m); err != nil {
			return err
		}
	}
	if q.out, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.IPPROTO_RAW); err != nil {
		return fmt.Errorf("raw socket: %w", err)
	}
	return nil
}

// message is a netlink message to the queue of that number.
func message(kind netlink.HeaderType, flags netlink.HeaderFlags, number uint16, attrs ...netlink.Attribute) (netlink.Message, error) {
	body, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		return netlink.Message{}, err
	}
	head := []byte{syscall.AF_UNSPEC, 0, byte(number >> 8), byte(number)}
	return netlink.Message{Header: netlink.Header{Type: kind, Flags: flags}, Data: append(head, body...)}, nil
}

// A queued packet waits in the kernel for its verdict.
type queued struct {
	id     uint32
	number uint16
	data   []byte // from the IP header on
}

// receive waits for packets.
func (q *queue) receive() ([]queued, error) {
	messages, err := q.conn.Receive()
	if err != nil {
		return nil, fmt.Errorf("packet queue: %w", err)
	}
	var packets []queued
	for _, m := range messages {
		if m.Header.Type != msgPacket || len(m.Data) < 4 {
			continue
		}
		attrs, err := netlink.UnmarshalAttributes(m.Data[4:])
		if err != nil {
			return packets, fmt.Errorf("packet queue: %w", err)
		}
		p := queued{number: binary.BigEndian.Uint16(m.Data[2:])}
		known := false
		for _, a := range attrs {
			switch {
			case a.Type == attrPacketHeader && len(a.Data) >= 4:
				p.id, known = binary.BigEndian.Uint32(a.Data), true
			case a.Type == attrPayload:
				p.data = a.Data
			}
		}
		if known {
			packets = append(packets, p)
		}
	}
	return packets, nil
}

// judge ends the wait of a packet. One that is accepted goes on as changed, if changed is
// not nil.
func (q *queue) judge(p queued, accept bool, changed []byte) error {
	verdict := uint32(verdictDrop)
	if accept {
		verdict = verdictAccept
	}
	attrs := []netlink.Attribute{{
		Type: attrVerdict,
		Data: binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, verdict), p.id),
	}}
	if accept && changed != nil {
		attrs = append(attrs, netlink.Attribute{Type: attrPayload, Data: changed})
	}
	m, err := message(msgVerdict, netlink.Request, p.number, attrs...)
	if err == nil {
		_, err = q.conn.Send(m)
	}
	if err != nil {
		return fmt.Errorf("verdict: %w", err)
	}
	return nil
}

// inject sends a packet to where it is meant for, which is here: it comes in by the
// loopback interface, and the rules let it pass there.
func (q *queue) inject(packet []byte) error {
	to, ok := netip.AddrFromSlice(packet[16:20])
	if !ok {
		return errors.New("copy: no receiver")
	}
	if err := syscall.Sendto(q.out, packet, 0, &syscall.SockaddrInet4{Addr: to.As4()}); err != nil {
		return fmt.Errorf("copy to %s: %w", to, err)
	}
	return nil
}

func (q *queue) close() error {
	err := q.conn.Close()
	if q.out >= 0 {
		err = errors.Join(err, syscall.Close(q.out))
		q.out = -1
	}
	return err
}
