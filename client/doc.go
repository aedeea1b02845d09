// Package client lets programs that place calls ask dibs first: dialers,
// telephony servers, back offices.
//
// A [Client] speaks to dibs over HTTP ([New], with an API key made by `dibs
// token create`) or over NATS ([OverNATS], on a connection that may request
// dibs.rpc.>). The two behave the same.
//
//	dibs, err := client.New("https://dibs.example.com", client.APIKey(os.Getenv("DIBS_KEY")))
//	…
//	held, err := dibs.Hold(ctx, user, lead, client.Lease(30*time.Second))
//	if errors.Is(err, client.CodeClientBeingCalled) {
//		return // somebody else is calling; err says who
//	}
//	…
//	outcome := dial(held.Context(), lead) // hangs up when the context ends
//	err = held.End(ctx, client.Outcome{Disposition: outcome})
//
// # Claims
//
// A call in progress is a claim on the client: nobody else gets it until it
// ends, by [Client.End] or because its lease ran out. [Client.Hold] renews the
// lease in the background for as long as the program lives, so the lease can be
// short, and a dialer that crashes blocks nobody for longer. [Held.Context] is
// cancelled when the claim is lost. A program that can be suspended for longer
// than the lease (a virtual machine that is moved) learns of the loss only when
// it goes on; where that matters, give [Call.Token] along, which rises with each
// call of a client.
//
// # Failures
//
// Every method tries again, with growing pauses, as long as that can help and
// its context allows (30 seconds, if that has no deadline). A request that
// changes something keeps its idempotency key, so that it takes effect once,
// however often it was sent; renewals need none, because they name the call and
// its token. Errors are of type [*Error] and match a [Code]:
//
//	errors.Is(err, client.CodeUserOnCall)
//
// [CodeOutcomeUnknown] means that the answer did not come in time: the call may
// have been started or not. If it was, it ends by its lease.
//
// A Client is safe for concurrent use.
package client
