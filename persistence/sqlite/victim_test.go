package sqlite

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dibs-calls/dibs/messages"
)

// victimEnv makes the test binary a process that writes to the file that it
// names until it is killed.
const victimEnv = "DIBS_TEST_VICTIM"

// acknowledged is a line that the victim prints once a batch is committed.
type acknowledged struct {
	Started []messages.Call
	Ended   []messages.Call
}

// victim starts and ends calls in batches and says so.
func victim(path string) {
	ctx := context.Background()
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	users, err := s.ListUsers(ctx)
	if err != nil {
		panic(err)
	}
	clients, _, err := s.ListClients(ctx, messages.ClientQuery{Page: 1, Limit: len(users)})
	if err != nil {
		panic(err)
	}
	out := json.NewEncoder(os.Stdout)
	var running []messages.Call
	for round := 0; ; round++ {
		var batch []messages.Write
		for _, c := range running {
			batch = append(batch, releaseOf(c))
		}
		for i := range clients {
			if i%2 == round%2 {
				batch = append(batch, claimOf(users[i].ID, clients[i].ID))
			}
		}
		outcomes, err := s.Commit(ctx, batch)
		if err != nil {
			panic(err)
		}
		var ack acknowledged
		ack.Ended, running = running, nil
		for i, o := range outcomes {
			if o.Kind == messages.OutcomeDone && batch[i].Kind == messages.WriteClaim {
				running = append(running, o.Call)
			}
		}
		ack.Started = running
		if err := out.Encode(ack); err != nil {
			panic(err)
		}
	}
}

// killOne lets a victim write to the file, kills it at a moment that nobody
// chose and returns what it had acknowledged.
func killOne(t *testing.T, path string, after int) []acknowledged {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var acks []acknowledged
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // dead; a line that is cut off was told to nobody
			break
		}
		var ack acknowledged
		if err := json.Unmarshal(line, &ack); err != nil {
			t.Fatal(err)
		}
		if acks = append(acks, ack); len(acks) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.Success() {
		t.Fatalf("the victim ended by itself: %v", err)
	}
	if len(acks) < after {
		t.Fatalf("the victim acknowledged %d batches before it fell: %v", len(acks), cmd.ProcessState)
	}
	return acks
}

// TestKilledInMidBatch: I3. What a process acknowledged before kill -9 is there,
// every batch is there whole or not at all, and the file is sound.
func TestKilledInMidBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dibs.db")
	if _, err := Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, path)
	cast(t, s, 40)
	for round := range 8 {
		acks := killOne(t, path, 1+3*round)
		checkAfterKill(t, s, acks)
		endAll(t, s)
	}
}

func checkAfterKill(t *testing.T, s *Store, acks []acknowledged) {
	t.Helper()
	last := acks[len(acks)-1]
	held := heldCalls(t, s)
	missing := 0
	for _, c := range last.Started {
		if _, ok := held[c.ID]; !ok {
			missing++
		}
	}
	switch {
	case missing == 0 && len(held) != len(last.Started):
		t.Fatalf("%d calls are in progress, %d were acknowledged", len(held), len(last.Started))
	case missing != 0 && missing != len(last.Started):
		t.Fatalf("I3: half a batch: %d of %d calls are missing", missing, len(last.Started))
	case missing != 0 && len(held) != 20:
		// The next batch was committed and not acknowledged any more.
		t.Fatalf("half a batch: %d calls are in progress", len(held))
	}
	told := toldOf(t, s)
	for _, ack := range acks {
		for _, c := range ack.Started {
			if !told[messages.EventID(c.ID, messages.EventCallStarted)] {
				t.Fatalf("I7: call %s was started and will never be told of", c.ID)
			}
		}
		for _, c := range ack.Ended {
			if _, ok := held[c.ID]; ok {
				t.Fatalf("I3: call %s was ended and is in progress", c.ID)
			}
			if !told[messages.EventID(c.ID, messages.EventCallEnded)] {
				t.Fatalf("I7: call %s was ended and will never be told of", c.ID)
			}
		}
	}
	for id := range held {
		if !told[messages.EventID(id, messages.EventCallStarted)] {
			t.Fatalf("I7: call %s is in progress and will never be told of", id)
		}
	}
	wantSound(t, s)
}

// toldOf returns the ids of the events in the outbox.
func toldOf(t *testing.T, s *Store) map[string]bool {
	t.Helper()
	told := map[string]bool{}
	for _, row := range outboxRows(t, s) {
		for _, e := range row.Events {
			if told[e.ID] {
				t.Fatalf("I7: %s stands in the outbox twice", e.ID)
			}
			told[e.ID] = true
		}
	}
	return told
}

func wantSound(t *testing.T, s *Store) {
	t.Helper()
	var verdict string
	if _, err := s.row(t.Context(), `pragma integrity_check`, nil, &verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity_check: %s (%v)", verdict, err)
	}
	if err := s.write(t.Context(), func(x *tx) error {
		_, err := x.exec(`insert into client_trigrams (client_trigrams, rank) values ('integrity-check', 1)`)
		return err
	}); err != nil {
		t.Fatalf("the trigrams are out of step: %v", err)
	}
}

func endAll(t *testing.T, s *Store) {
	t.Helper()
	var batch []messages.Write
	for _, h := range heldCalls(t, s) {
		batch = append(batch, releaseOf(h.Call))
	}
	if _, err := s.Commit(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}
