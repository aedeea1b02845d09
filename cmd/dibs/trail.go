package main

import (
	"encoding/json"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dibs-calls/dibs/messages"
	"github.com/google/uuid"
)

// byCLI names who runs this process, as the operating system knows them, for
// the audit trail.
func byCLI() string {
	name := "uid " + strconv.Itoa(os.Getuid()) // of a container without a list of users
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	return "cli:" + strings.ToValidUTF8(name, "?")
}

// audit is an entry about one thing. detail becomes a JSON object; nil: none.
func (c *cli) audit(action, subject string, detail map[string]any) messages.Audit {
	a := messages.Audit{By: c.by, Action: action, Subject: subject}
	if detail != nil {
		a.Detail, _ = json.Marshal(detail) // texts and numbers always have a JSON form
	}
	return a
}

func userSubject(id messages.UserID) string { return "user:" + id.String() }

// importTrail is what an import leaves on the audit trail: an entry for each
// batch that changed something, in the transaction of the batch. So the trail
// is right about an import that was interrupted or killed, too; one entry at the
// end would then be missing, and one at the beginning would not know the count.
type importTrail struct {
	cli     *cli
	subject string // the same for all of one import
	file    string
}

func (c *cli) newImportTrail(name string) importTrail {
	file := filepath.Base(name)
	if name == "-" {
		file = "standard input"
	}
	return importTrail{cli: c, subject: "import:" + uuid.NewString(), file: strings.ToValidUTF8(file, "?")}
}

// entry is about n rows of those between two lines.
func (t importTrail) entry(action string, firstLine, lastLine, n int) messages.Audit {
	return t.cli.audit(action, t.subject, map[string]any{
		"file": t.file, "first_line": firstLine, "last_line": lastLine, "count": n,
	})
}
