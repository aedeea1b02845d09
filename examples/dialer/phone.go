package main

import (
	"context"
	"log"
	"time"
)

// dial stands for your telephony: a call of a second. It hangs up when ctx ends,
// because then the client is somebody else's to call.
func dial(ctx context.Context, lead string) (disposition string) {
	log.Printf("calling %s", lead)
	select {
	case <-time.After(time.Second):
		return "answered"
	case <-ctx.Done():
		return "hung up"
	}
}
