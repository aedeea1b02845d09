package sqlite

import (
	"context"
	"slices"

	"github.com/dibs-calls/dibs/messages"
)

// Commit implements [persistence.Journal]. A batch with a text that cannot be
// held (see checkText) fails with [messages.CodeBadRequest], before anything of
// it is applied.
func (s *Store) Commit(ctx context.Context, writes []messages.Write) ([]messages.Outcome, error) {
	if len(writes) == 0 {
		return nil, nil
	}
	for _, w := range writes {
		if err := checkWrite(w); err != nil {
			return nil, err
		}
	}
	outcomes := make([]messages.Outcome, len(writes))
	err := s.write(ctx, func(x *tx) error {
		for _, i := range inOrder(writes) {
			var err error
			if outcomes[i], err = x.apply(writes[i]); err != nil {
				return err
			}
		}
		return x.publish(outcomes)
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

func checkWrite(w messages.Write) error {
	texts := []string{w.Disposition, w.Notes}
	if w.Key != nil {
		texts = append(texts, w.Key.Caller, w.Key.Value)
	}
	if l := w.Log; l != nil {
		texts = append(texts, l.CallType, l.CallStatus, l.Notes)
	}
	if w.Audit != nil {
		if err := checkAudit(*w.Audit); err != nil {
			return err
		}
	}
	return checkText(texts...)
}

// inOrder returns the indexes of the writes in the order in which they take
// effect: releases, renewals, claims, notes. Of the renewals of one call the
// one that reaches farthest comes last, so that no caller is answered a later
// end than the store holds.
func inOrder(writes []messages.Write) []int {
	order := make([]int, len(writes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		wa, wb := &writes[a], &writes[b]
		if d := turn(wa.Kind) - turn(wb.Kind); d != 0 || wa.Kind != messages.WriteRenew {
			return d
		}
		return int((wa.Lease + wa.Slack - wb.Lease - wb.Slack).Microseconds())
	})
	return order
}

func turn(k messages.WriteKind) int {
	switch k {
	case messages.WriteRelease:
		return 0
	case messages.WriteRenew:
		return 1
	case messages.WriteClaim:
		return 2
	}
	return 3
}

// apply carries out one write, once for its key or its report.
func (x *tx) apply(w messages.Write) (messages.Outcome, error) {
	if w.Report != nil {
		return x.report(w)
	}
	if w.Key != nil {
		known, err := x.replay(*w.Key)
		if err != nil || known.Kind != 0 {
			return known, err
		}
	}
	o, err := x.carryOut(w)
	if err != nil || w.Key == nil {
		return o, err
	}
	return o, x.record(*w.Key, messages.AnswerOf(w, o))
}

func (x *tx) carryOut(w messages.Write) (messages.Outcome, error) {
	switch w.Kind {
	case messages.WriteClaim:
		return x.claim(w)
	case messages.WriteRelease:
		return x.release(w)
	case messages.WriteRenew:
		return x.renew(w)
	}
	return x.note(w)
}
