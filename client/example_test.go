package client_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dibs-calls/dibs/client"
)

const (
	ana   = "0198c2a5-0000-7000-8000-00000000a0a0"
	ben   = "0198c2a5-0000-7000-8000-00000000b0b0"
	xenia = "0198c2a5-0000-7000-8000-0000000000c1"
)

// A dialer claims a client, dials, and says how it went. While it dials, nobody
// else can call that client.
func Example() {
	server := newServer() // stands for the server at https://dibs.example.com
	defer server.Close()

	dibs, err := client.New(server.URL, client.APIKey("dibs_k_…"))
	if err != nil {
		panic(err)
	}
	defer dibs.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	held, err := dibs.Hold(ctx, ana, xenia, client.Lease(10*time.Second))
	if err != nil {
		panic(err)
	}
	fmt.Println("Ana is calling")

	_, err = dibs.Start(ctx, ben, xenia)
	fmt.Println(errors.Is(err, client.CodeClientBeingCalled), err)

	dial := func(context.Context) string { return "interested" } // hangs up when its context ends
	if err := held.End(ctx, client.Outcome{Disposition: dial(held.Context())}); err != nil {
		panic(err)
	}
	fmt.Println("the call is over:", held.Context().Err())
	// Output:
	// Ana is calling
	// true dibs: client_being_called: This client is already being called by Ana Alvarez. Please try again later.
	// the call is over: context canceled
}

// A telephony server knows an address and a number, not ids.
func ExampleClient_Start_names() {
	server := newServer()
	defer server.Close()
	dibs, err := client.New(server.URL, client.APIKey("dibs_k_…"))
	if err != nil {
		panic(err)
	}
	defer dibs.Close()

	call, err := dibs.Start(context.Background(), client.Email("ana@example.com"), client.Phone("(202) 555-0143"))
	if err != nil {
		panic(err)
	}
	fmt.Println(call.UserID == ana, call.ClientID == xenia)
	// Output: true true
}

// A program that keeps the lease itself, because something else tells it whether
// the call goes on.
func ExampleClient_Renew() {
	server := newServer()
	defer server.Close()
	dibs, err := client.New(server.URL, client.APIKey("dibs_k_…"))
	if err != nil {
		panic(err)
	}
	defer dibs.Close()
	ctx := context.Background()

	call, err := dibs.Start(ctx, ana, xenia, client.Lease(time.Minute))
	fmt.Println("token", call.Token, err)
	call, err = dibs.Renew(ctx, call, time.Minute)
	fmt.Println("renewed:", err)
	err = dibs.End(ctx, call, client.Outcome{Disposition: "no answer"})
	fmt.Println("ended:", err)
	_, err = dibs.Renew(ctx, call, time.Minute)
	fmt.Println("renewed:", errors.Is(err, client.CodeCallOver))
	// Output:
	// token 1 <nil>
	// renewed: <nil>
	// ended: <nil>
	// renewed: true
}

// The refusal says who is calling, and since when.
func ExampleError() {
	server := newServer()
	defer server.Close()
	dibs, err := client.New(server.URL, client.APIKey("dibs_k_…"))
	if err != nil {
		panic(err)
	}
	defer dibs.Close()
	ctx := context.Background()

	if _, err := dibs.Start(ctx, ana, xenia); err != nil {
		panic(err)
	}
	_, err = dibs.Start(ctx, ben, xenia)
	var refused *client.Error
	if errors.As(err, &refused) && refused.Caller != nil {
		fmt.Println(refused.Code, "by", refused.Caller.Name)
	}
	// Output: client_being_called by Ana Alvarez
}

func ExampleClient_Availability() {
	server := newServer()
	defer server.Close()
	dibs, err := client.New(server.URL, client.APIKey("dibs_k_…"))
	if err != nil {
		panic(err)
	}
	defer dibs.Close()
	ctx := context.Background()

	now, err := dibs.Availability(ctx, xenia)
	fmt.Println(now.Available, err)
	if _, err := dibs.Start(ctx, ana, xenia); err != nil {
		panic(err)
	}
	now, err = dibs.Availability(ctx, xenia)
	fmt.Println(now.Available, now.Caller.Name, err)
	// Output:
	// true <nil>
	// false Ana Alvarez <nil>
}

// A wall board follows who is on a call with whom.
func ExampleClient_Watch() {
	server := newServer()
	defer server.Close()
	dibs, err := client.New(server.URL, client.APIKey("dibs_k_…"))
	if err != nil {
		panic(err)
	}
	defer dibs.Close()

	onCall := map[string]string{} // who, by call
	for event, err := range dibs.Watch(context.Background()) {
		if err != nil {
			panic(err) // trying again would not help
		}
		switch event.Type {
		case client.Snapshot: // what was known before is forgotten
			clear(onCall)
			for _, c := range event.Calls {
				onCall[c.Call.ID] = c.User.FirstName
			}
		case client.CallStarted:
			onCall[event.Call.ID] = event.User.FirstName
		case client.CallEnded:
			delete(onCall, event.Call.ID)
		}
		fmt.Println(event.Type, onCall)
		if event.Type == client.CallEnded {
			break
		}
	}
	// Output:
	// snapshot map[call-1:Ana]
	// call.started map[call-1:Ana call-2:Ben]
	// call.ended map[call-1:Ana]
}
