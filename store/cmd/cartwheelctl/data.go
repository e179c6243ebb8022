package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
)

// A context is base64 on the command line.
var contextEncoding = base64.RawURLEncoding

func getCommand(g *globals) *cobra.Command {
	var c choice
	cmd := &cobra.Command{
		Use: "get KEY", Short: "Print the value of a key", Args: arguments("KEY"),
		Long: "Print the value of a key, or all values if there are concurrent ones, a line each.",
		RunE: func(cmd *cobra.Command, args []string) error {
			res, err := g.read(cmd, c, args[0], func(res store.ReadResult) error {
				for _, s := range res.Siblings {
					if !s.Tombstone {
						fmt.Fprintln(cmd.OutOrStdout(), string(s.Value))
					}
				}
				if len(res.Siblings) > 1 {
					fmt.Fprintf(cmd.ErrOrStderr(), "%d siblings: writes that did not know of each other. 'cartwheelctl siblings %s' shows them, a put with --merge replaces them\n", len(res.Siblings), args[0])
				}
				return nil
			})
			if err == nil && !slices.ContainsFunc(res.Siblings, func(s store.Sibling) bool { return !s.Tombstone }) {
				err = fmt.Errorf("%q has %w: it was never written, or was deleted", args[0], errNoValue)
			}
			return err
		},
	}
	c.registerRead(cmd)
	return cmd
}

func siblingsCommand(g *globals) *cobra.Command {
	var c choice
	cmd := &cobra.Command{
		Use: "siblings KEY", Short: "Show all versions of a key, their context and who answered", Args: arguments("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := g.read(cmd, c, args[0], func(res store.ReadResult) error {
				return showState(cmd.OutOrStdout(), res.Siblings, res.Context, res.Meta)
			})
			return err
		},
	}
	c.registerRead(cmd)
	return cmd
}

// read gets a key and shows it: as JSON, or with f.
func (g *globals) read(cmd *cobra.Command, c choice, key string, f func(store.ReadResult) error) (res store.ReadResult, err error) {
	o, err := c.read()
	if err != nil {
		return store.ReadResult{}, err
	}
	err = g.withClient(func(cl *client.Client) error {
		if res, err = cl.Get(cmd.Context(), store.Key(key), o); err != nil {
			return err
		}
		if g.json {
			return printJSON(cmd.OutOrStdout(), stateJSON(key, res.Siblings, res.Context, res.Meta))
		}
		return f(res)
	})
	return res, err
}

// A past is what a write supersedes.
type past struct {
	token string
	merge bool
}

func (p *past) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.token, "context", "", "supersede what this context has seen; reads and writes print it")
	cmd.Flags().BoolVar(&p.merge, "merge", false, "supersede all that a read shows now")
}

// context returns the token that the write is to carry.
func (p *past) context(cmd *cobra.Command, c *client.Client, key store.Key, o store.WriteOptions) (store.Context, error) {
	switch {
	case p.merge && p.token != "":
		return nil, fmt.Errorf("%w: --context and --merge exclude each other", errUsage)
	case p.merge:
		res, err := c.Get(cmd.Context(), key, store.ReadOptions{Mode: o.Mode})
		return res.Context, err
	}
	token, err := contextEncoding.DecodeString(p.token)
	if err != nil {
		return nil, fmt.Errorf("%w: --context: %w", store.ErrBadContext, err)
	}
	return token, nil
}

func putCommand(g *globals) *cobra.Command {
	var c choice
	var p past
	cmd := &cobra.Command{
		Use: "put KEY VALUE", Short: "Write a value", Args: arguments("KEY", "VALUE"),
		Long: "Write a value. It supersedes what --context has seen, or, with --merge, all that a read shows now.\n" +
			"Without either it supersedes nothing: what is there stays beside it as a sibling.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.write(cmd, c, p, args[0], func(cl *client.Client, past store.Context, o store.WriteOptions) (store.WriteResult, error) {
				return cl.Put(cmd.Context(), store.Key(args[0]), []byte(args[1]), past, o)
			})
		},
	}
	c.registerWrite(cmd)
	p.register(cmd)
	return cmd
}

func deleteCommand(g *globals) *cobra.Command {
	var c choice
	var p past
	cmd := &cobra.Command{
		Use: "delete KEY", Short: "Delete what a context has seen of a key", Args: arguments("KEY"),
		Long: "Delete what --context has seen of a key, or, with --merge, all that a read shows now. Writes that are\n" +
			"concurrent with the delete survive it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.token == "" && !p.merge {
				return fmt.Errorf("%w: a delete removes what has been seen: pass the --context that 'cartwheelctl siblings %s' prints, or --merge", errUsage, args[0])
			}
			return g.write(cmd, c, p, args[0], func(cl *client.Client, past store.Context, o store.WriteOptions) (store.WriteResult, error) {
				return cl.Delete(cmd.Context(), store.Key(args[0]), past, o)
			})
		},
	}
	c.registerWrite(cmd)
	p.register(cmd)
	return cmd
}

func (g *globals) write(cmd *cobra.Command, c choice, p past, key string, f func(*client.Client, store.Context, store.WriteOptions) (store.WriteResult, error)) error {
	o, err := c.write()
	if err != nil {
		return err
	}
	return g.withClient(func(cl *client.Client) error {
		token, err := p.context(cmd, cl, store.Key(key), o)
		if err != nil {
			return err
		}
		res, err := f(cl, token, o)
		if err != nil {
			return err
		}
		if g.json {
			return printJSON(cmd.OutOrStdout(), stateJSON(key, res.Siblings, res.Context, res.Meta))
		}
		return showState(cmd.OutOrStdout(), res.Siblings, res.Context, res.Meta)
	})
}

// showState prints siblings, their context and how the request was served.
func showState(w io.Writer, siblings []store.Sibling, c store.Context, m store.Meta) error {
	if len(siblings) == 0 {
		fmt.Fprintln(w, "no versions")
	} else {
		rows := [][]string{{"VALUE", "WRITE"}}
		for _, s := range siblings {
			rows = append(rows, []string{valueText(s), s.WriteID.String()})
		}
		if err := table(w, rows); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "context %s\n\n%s\n", contextEncoding.EncodeToString(c), servedBy(m))
	if len(m.Replies) == 0 {
		return nil
	}
	return table(w, replyRows(m))
}

func servedBy(m store.Meta) string {
	parts := []string{
		fmt.Sprintf("partition %d, coordinated by %s in %v", m.Partition, m.Coordinator, m.Total.Round(time.Microsecond)),
		fmt.Sprintf("%d of n=%d answered, %d wanted", m.Owners+m.StandIns, m.N, m.Need),
	}
	if m.StandIns > 0 {
		parts = append(parts, fmt.Sprintf("%d of them stand-ins", m.StandIns))
	}
	if m.Forwarded {
		parts = append(parts, "forwarded")
	}
	if m.Degraded {
		parts = append(parts, "degraded: too few owners took part")
	}
	if m.Hinted > 0 {
		parts = append(parts, fmt.Sprintf("%d hinted", m.Hinted))
	}
	if m.Repairs > 0 {
		parts = append(parts, fmt.Sprintf("%d repaired", m.Repairs))
	}
	return strings.Join(parts, ", ")
}

func replyRows(m store.Meta) [][]string {
	rows := [][]string{{"REPLICA", "STANDS FOR", "STATE", "TIME"}}
	for _, r := range m.Replies {
		rows = append(rows, []string{string(r.Node), orDash(string(r.For)), r.State.String(), r.RTT.Round(time.Microsecond).String()})
	}
	return rows
}

// valueText shows a value on one line.
func valueText(s store.Sibling) string {
	switch {
	case s.Tombstone:
		return "(deleted)"
	case len(s.Value) > 200:
		return fmt.Sprintf("%s... (%d bytes)", valueText(store.Sibling{Value: s.Value[:200]}), len(s.Value))
	case utf8.Valid(s.Value) && !strings.ContainsAny(string(s.Value), "\n\r\t") && len(s.Value) > 0:
		return string(s.Value)
	}
	return strconv.Quote(string(s.Value))
}

// isAnswer reports whether an error came from a node, so that others would say the same.
func isAnswer(err error) bool {
	return !errors.Is(err, store.ErrDown) && !client.IsUnreachable(err)
}
