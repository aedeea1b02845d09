package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/dibs-calls/dibs/transport/natsapi"
)

func (c *cli) printLetters(found []natsapi.DeadLetter, total int, asJSON bool) error {
	if asJSON {
		all := make([]shownLetter, len(found))
		for i, l := range found {
			all[i] = show(l)
		}
		return c.printJSON(all)
	}
	t := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "NUMBER\tGIVEN UP\tREASON\tTRIES\tSUBJECT\tWHY")
	for _, l := range found {
		_, _ = fmt.Fprintf(t, "%d\t%s\t%s\t%d\t%s\t%s\n", l.Seq, timeText(&l.At, ""), printable(string(l.Reason)), l.Deliveries,
			printable(l.Subject), printable(l.Error))
	}
	if err := t.Flush(); err != nil { // it keeps the first error
		return err
	}
	if len(found) < total {
		_, _ = fmt.Fprintf(c.stderr, "%d of %d dead letters\n", len(found), total)
	}
	return nil
}

// shownLetter is a letter as JSON: with the event inside where it is JSON.
type shownLetter struct {
	natsapi.DeadLetter
	Event       json.RawMessage `json:"event,omitempty"`
	EventBase64 string          `json:"event_base64,omitempty"`
}

func show(l natsapi.DeadLetter) shownLetter {
	s := shownLetter{DeadLetter: l}
	if json.Valid(l.Event) {
		s.Event = l.Event
	} else {
		s.EventBase64 = base64.StdEncoding.EncodeToString(l.Event)
	}
	return s
}

func (c *cli) printJSON(v any) error {
	out := json.NewEncoder(c.stdout)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

func (c *cli) printLetter(l natsapi.DeadLetter) error {
	body := printable(strconv.QuoteToGraphic(string(l.Event)))
	if indented, err := json.MarshalIndent(json.RawMessage(l.Event), "", "  "); err == nil {
		lines := strings.Split(string(indented), "\n")
		for i, line := range lines { // JSON escapes some control characters, not all
			lines[i] = printable(line)
		}
		body = strings.Join(lines, "\n")
	}
	_, err := fmt.Fprintf(c.stdout, "number    %d\nsubject   %s\nreceived  %s\ngiven up  %s, at try %d\nreason    %s\nwhy       %s\n\n%s\n",
		l.Seq, printable(l.Subject), timeText(&l.Received, ""), timeText(&l.At, ""), l.Deliveries,
		printable(string(l.Reason)), printable(l.Error), body)
	return err
}

// printable leaves out what could play tricks with a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}
