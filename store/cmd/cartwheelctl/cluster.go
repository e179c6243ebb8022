package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"cartwheel/store"
	"cartwheel/store/client"
)

// An asked member is what one member answered, or why it did not.
type asked[T any] struct {
	member store.Member
	answer T
	err    error
}

// askAll puts a question to every member at once. It fails only if no member list can be had.
func askAll[T any](ctx context.Context, g *globals, question func(context.Context, *client.Admin) (T, error)) ([]asked[T], client.Layout, error) {
	var layout client.Layout
	err := g.withClient(func(c *client.Client) (err error) {
		layout, err = c.Layout(ctx)
		return err
	})
	if err != nil {
		return nil, layout, err
	}
	answers := make([]asked[T], len(layout.Members))
	var wg sync.WaitGroup
	for i, m := range layout.Members {
		m.Address = g.reach(m)
		answers[i].member = m
		wg.Go(func() { answers[i].answer, answers[i].err = askOne(ctx, g, m, question) })
	}
	wg.Wait()
	return answers, layout, nil
}

func askOne[T any](ctx context.Context, g *globals, m store.Member, question func(context.Context, *client.Admin) (T, error)) (answer T, err error) {
	admin, err := client.DialAdmin(m.Address, client.Options{Timeout: g.timeout, DialOptions: g.dial})
	if err != nil {
		return answer, err
	}
	defer func() { err = errors.Join(err, admin.Close()) }()
	return question(ctx, admin)
}

// reach returns the address at which a member serves operators, as it is reached from here.
func (g *globals) reach(m store.Member) string {
	for _, pair := range g.mapped {
		if id, address, _ := strings.Cut(pair, "="); id == string(m.ID) {
			return address
		}
	}
	if host, _, err := net.SplitHostPort(m.Address); err == nil && g.adminPort != 0 {
		return net.JoinHostPort(host, strconv.Itoa(g.adminPort))
	}
	return m.Address
}

// trouble says in a few words why a member did not answer.
func trouble(err error) string {
	switch {
	case isAnswer(err):
		return "error: " + err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	}
	return "not reached"
}

// unreachable returns an error that is those of all members that did not answer, or refused to; nil if there are none.
func unreachable[T any](answers []asked[T]) error {
	var missing []string
	var causes []error
	for _, a := range answers {
		if a.err != nil {
			missing = append(missing, fmt.Sprintf("%s at %s (%s)", a.member.ID, a.member.Address, trouble(a.err)))
			causes = append(causes, a.err)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &missingError{fmt.Sprintf("%d of %d members did not answer: %s", len(missing), len(answers), strings.Join(missing, ", ")), causes}
}

// A missingError names members in one line, and is all that went wrong with them.
type missingError struct {
	text   string
	causes []error
}

func (e *missingError) Error() string   { return e.text }
func (e *missingError) Unwrap() []error { return e.causes }

func hintsCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "hints", Short: "Show the writes that wait on members for owners out of reach", Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			answers, _, err := askAll(cmd.Context(), g, func(ctx context.Context, a *client.Admin) ([]client.HintStat, error) { return a.HintStats(ctx) })
			if err != nil {
				return err
			}
			type hintJSON struct {
				On    store.NodeID `json:"on"`
				For   store.NodeID `json:"for"`
				Hints uint64       `json:"hints"`
				Bytes uint64       `json:"bytes"`
			}
			list, rows := []hintJSON{}, [][]string{{"ON", "FOR", "HINTS", "BYTES"}}
			for _, a := range answers {
				for _, h := range a.answer {
					list = append(list, hintJSON{a.member.ID, h.Target, h.Hints, h.Bytes})
					rows = append(rows, []string{string(a.member.ID), string(h.Target), fmt.Sprint(h.Hints), fmt.Sprint(h.Bytes)})
				}
			}
			switch {
			case g.json:
				err = printJSON(cmd.OutOrStdout(), list)
			case len(list) == 0:
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "no hints wait")
			default:
				err = table(cmd.OutOrStdout(), rows)
			}
			return errors.Join(err, unreachable(answers))
		},
	}
}

func statusCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show how every member is", Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			answers, _, err := askAll(cmd.Context(), g, func(ctx context.Context, a *client.Admin) (client.Status, error) { return a.Status(ctx) })
			if err != nil {
				return err
			}
			list, rows := []statusJSON{}, [][]string{{"MEMBER", "ADDRESS", "STATE", "UPTIME", "LIFE", "HINTS", "IN FLIGHT", "BELIEVES DOWN", "RING"}}
			for _, a := range answers {
				if a.err != nil {
					rows = append(rows, []string{string(a.member.ID), a.member.Address, trouble(a.err)})
					list = append(list, statusJSON{Member: a.member.ID, Error: a.err.Error()})
					continue
				}
				s := a.answer
				list = append(list, statusOf(a.member.ID, s))
				rows = append(rows, []string{
					string(s.Node), a.member.Address, stateText(s), s.Uptime.Round(time.Second).String(), fmt.Sprint(s.Incarnation),
					fmt.Sprint(s.Hints), fmt.Sprint(s.InFlight), orDash(join(down(s))), ringDigest(s.RingDigest)[:8],
				})
			}
			if g.json {
				err = printJSON(cmd.OutOrStdout(), list)
			} else {
				err = table(cmd.OutOrStdout(), rows)
			}
			return errors.Join(err, unreachable(answers))
		},
	}
}

func down(s client.Status) (out []store.NodeID) {
	for _, p := range s.Peers {
		if !p.Up {
			out = append(out, p.Node)
		}
	}
	return out
}

func stateText(s client.Status) string {
	switch {
	case s.Fault != "":
		return "read only: " + s.Fault
	case s.Settled:
		return "settled"
	}
	return "working"
}
