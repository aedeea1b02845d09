// Command dialer calls clients for a user, one after another, and leaves out
// those whom somebody else is calling:
//
//	DIBS_URL=http://127.0.0.1:8080 DIBS_KEY=… dialer <user id> <client id>…
//
// If it is killed, its client is free again ten seconds later.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/dibs-calls/dibs/client"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: DIBS_URL=… DIBS_KEY=… dialer <user id> <client id>…")
	}
	dibs, err := client.New(os.Getenv("DIBS_URL"), client.APIKey(os.Getenv("DIBS_KEY")))
	if err != nil {
		log.Fatal(err)
	}
	for _, lead := range os.Args[2:] {
		held, err := dibs.Hold(context.Background(), os.Args[1], lead, client.Lease(10*time.Second))
		if err != nil {
			log.Printf("%s is left out: %v", lead, err)
			continue
		}
		outcome := dial(held.Context(), lead)
		if err := held.End(context.Background(), client.Outcome{Disposition: outcome}); err != nil {
			log.Printf("%s: %v", lead, err)
		}
	}
}
