package edn

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"cartwheel/harness"
)

// Write writes the client operations of a history for Jepsen's tools, one a line, with
// [key value] pairs as values where there is more than one key. It refuses what they have
// no words for: answers with several siblings, deletes, and values of more than one item
// that are read as a register.
func Write(w io.Writer, ops []harness.Op) error {
	out := bufio.NewWriter(w)
	keys := map[string]bool{}
	for _, op := range ops {
		if op.Process >= 0 {
			keys[op.Key] = true
		}
	}
	index := 0
	for _, op := range ops {
		if op.Process < 0 {
			continue
		}
		f, value, err := told(op)
		if err != nil {
			return fmt.Errorf("op %d: %w", op.Index, err)
		}
		if len(keys) > 1 {
			value = fmt.Sprintf("[%s %s]", scalar(op.Key), value)
		}
		fmt.Fprintf(out, "{:process %d, :type :%s, :f :%s, :value %s, :time %d, :index %d", op.Process, op.Kind, f, value, op.Time.Nanoseconds(), index)
		if op.Error != "" {
			fmt.Fprintf(out, ", :error %s", quoted(op.Error))
		}
		fmt.Fprintln(out, "}")
		index++
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write EDN: %w", err)
	}
	return nil
}

func told(op harness.Op) (f, value string, err error) {
	switch op.F {
	case harness.Get:
		if op.Kind != harness.OK {
			return "read", "nil", nil
		}
		value, err = seen(op.Siblings)
		return "read", value, err
	case harness.Put:
		if op.Action == "add" {
			return "add", scalar(op.Element), nil
		}
		return "write", scalar(op.Value), nil
	case harness.CAS:
		return "cas", fmt.Sprintf("[%s %s]", scalar(op.Element), scalar(op.Value)), nil
	case harness.Add, harness.Append:
		return op.F, scalar(op.Element), nil
	}
	return "", "", fmt.Errorf("there is no word for a %s", op.F)
}

// seen is a read's value: nil, a scalar, or a vector of items.
func seen(siblings []harness.Sibling) (string, error) {
	var live []harness.Sibling
	for _, s := range siblings {
		if !s.Tombstone {
			live = append(live, s)
		}
	}
	var items struct {
		Items []string `json:"items"`
	}
	switch {
	case len(live) == 0:
		return "nil", nil
	case len(live) > 1:
		return "", fmt.Errorf("%d siblings: a register has one value", len(live))
	case json.Unmarshal([]byte(live[0].Value), &items) != nil || items.Items == nil:
		return scalar(live[0].Value), nil
	}
	words := make([]string, len(items.Items))
	for i, e := range items.Items {
		words[i] = scalar(e)
	}
	return "[" + strings.Join(words, " ") + "]", nil
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
}
