package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

func TestEveryCodeHasItsLine(t *testing.T) {
	for _, code := range messages.Codes {
		how, ok := RefusalOf(code)
		if !ok || how.Status < 400 || !strings.HasSuffix(how.Sentence, ".") {
			t.Errorf("%s: %+v", code, how)
		}
		if (how.Status == 429 || how.Status == 503) != (how.Seconds() != "") {
			t.Errorf("%s: status %d, Retry-After %q", code, how.Status, how.Seconds())
		}
	}
	if len(refusals) != len(messages.Codes) {
		t.Errorf("%d lines for %d codes", len(refusals), len(messages.Codes))
	}
}

// What caused a problem, and codes that nobody knows, stay inside.
func TestWhatIsTold(t *testing.T) {
	secret := errors.New("secret detail")
	for _, tt := range []struct {
		err  error
		want messages.Code
	}{
		{secret, messages.CodeInternal},
		{Internal("it broke: %w", secret), messages.CodeInternal},
		{&Problem{Code: "something new", Sentence: "secret detail"}, messages.CodeInternal},
		{fmt.Errorf("a store: %w", &messages.Error{Code: messages.CodeUserNotFound, Cause: secret}), messages.CodeUserNotFound},
		{fmt.Errorf("secret detail: %w", context.DeadlineExceeded), messages.CodeOutcomeUnknown},
		{AsRead(fmt.Errorf("secret detail: %w", context.Canceled)), messages.CodeUnavailable},
	} {
		p := ProblemOf(tt.err, false)
		_, body := p.Body()
		text, err := json.Marshal(body)
		if err != nil || body.Code != tt.want || strings.Contains(string(text), "secret") || body.Error == "" {
			t.Errorf("%v is told as %s, %v; want %s", tt.err, text, err, tt.want)
		}
		if p.Error() == "" || !strings.Contains(p.Error(), "secret detail") {
			t.Errorf("the log is told %q", p.Error())
		}
	}
	if p := ProblemOf(context.DeadlineExceeded, true); p.Code != messages.CodeUnavailable {
		t.Errorf("a read that ran out of time: %s", p.Code)
	}
}
