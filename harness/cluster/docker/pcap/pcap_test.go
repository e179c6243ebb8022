package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// capture makes a file with a packet for each second, of that many bytes.
func capture(o binary.AppendByteOrder, seconds ...uint32) []byte {
	b := o.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, make([]byte, headBytes-4)...)
	for _, s := range seconds {
		b = o.AppendUint32(o.AppendUint32(o.AppendUint32(o.AppendUint32(b, s), 0), s), s)
		b = append(b, strings.Repeat("x", int(s))...)
	}
	return b
}

func TestPartsAreJoinedInTheOrderOfTime(t *testing.T) {
	for _, o := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		var got bytes.Buffer
		n, err := Join(&got, [][]byte{capture(o, 5, 6), capture(o), nil, capture(o, 3, 4)})
		if err != nil || n != 4 || !bytes.Equal(got.Bytes(), capture(o, 3, 4, 5, 6)) {
			t.Errorf("%v: got %d packets, %v, %x", o, n, err, got.Bytes())
		}
	}
}

func TestAPacketThatWasNotWrittenToItsEndIsLeftOut(t *testing.T) {
	whole := capture(binary.LittleEndian, 3, 9)
	for cut := 1; cut < recordBytes+9; cut++ {
		var got bytes.Buffer
		n, err := Join(&got, [][]byte{whole[:len(whole)-cut]})
		if err != nil || n != 1 || !bytes.Equal(got.Bytes(), capture(binary.LittleEndian, 3)) {
			t.Errorf("%d bytes short: got %d packets, %v", cut, n, err)
		}
	}
}

func TestWhatIsNoCaptureIsRefused(t *testing.T) {
	for name, parts := range map[string][][]byte{
		"nothing":         nil,
		"too short":       {[]byte("x")},
		"another format":  {make([]byte, 100)},
		"different kinds": {capture(binary.LittleEndian, 1), capture(binary.BigEndian, 2)},
	} {
		if _, err := Join(new(bytes.Buffer), parts); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want %v", name, err, ErrFormat)
		}
	}
}
