package pcap

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	headBytes   = 24 // of a file
	recordBytes = 16 // before each packet: seconds, micro- or nanoseconds, bytes that follow, bytes on the wire
)

// ErrFormat marks what is no capture.
var ErrFormat = errors.New("not a capture of packets")

// order finds out in which order a file's machine wrote the bytes of a number.
func order(file []byte) (binary.ByteOrder, error) {
	if len(file) < headBytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrFormat, len(file))
	}
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if magic := o.Uint32(file); magic == 0xa1b2c3d4 || magic == 0xa1b23c4d {
			return o, nil
		}
	}
	return nil, fmt.Errorf("%w: it begins with %x", ErrFormat, file[:4])
}

// Packets splits a file into the records of its packets, each with the bytes before it. A last one that was
// not written to its end is left out.
func Packets(file []byte) ([][]byte, error) {
	o, err := order(file)
	if err != nil {
		return nil, err
	}
	var packets [][]byte
	for rest := file[headBytes:]; len(rest) >= recordBytes; {
		size := recordBytes + int64(o.Uint32(rest[8:]))
		if size > int64(len(rest)) {
			break
		}
		packets, rest = append(packets, rest[:size]), rest[size:]
	}
	return packets, nil
}

// Join writes one file with the packets of all parts, those of the part first that began first, and returns how many there are.
// Parts come from one machine. One too short for a head has no packets; if all are, that is [ErrFormat].
func Join(w io.Writer, parts [][]byte) (packets int, err error) {
	type piece struct {
		begun [2]uint32
		body  []byte
	}
	var head []byte
	var pieces []piece
	for _, part := range parts {
		if len(part) < headBytes {
			continue // it was being begun
		}
		all, err := Packets(part)
		if err != nil {
			return 0, err
		}
		if head == nil {
			head = part[:headBytes]
		} else if !bytes.Equal(head, part[:headBytes]) {
			return 0, fmt.Errorf("%w: parts are of different kinds", ErrFormat)
		}
		if len(all) == 0 {
			continue
		}
		o, _ := order(part) // it has one: its packets are known
		size := 0
		for _, p := range all {
			size += len(p)
		}
		packets += len(all)
		pieces = append(pieces, piece{
			begun: [2]uint32{o.Uint32(all[0]), o.Uint32(all[0][4:])},
			body:  part[headBytes : headBytes+size],
		})
	}
	if head == nil {
		return 0, fmt.Errorf("%w: there is no file with a head", ErrFormat)
	}
	slices.SortStableFunc(pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.begun[0], b.begun[0]), cmp.Compare(a.begun[1], b.begun[1]))
	})
	if _, err := w.Write(head); err != nil {
		return 0, fmt.Errorf("write packets: %w", err)
	}
	for _, p := range pieces {
		if _, err := w.Write(p.body); err != nil {
			return 0, fmt.Errorf("write packets: %w", err)
		}
	}
	return packets, nil
}
