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
//	err = held.End(context.WithoutCancel(ctx), client.Outcome{Disposition: outcome})
//
// Users and clients go by their ids in dibs, or by [Email] and [Phone].
//
// # Claims
//
// A call in progress is a claim on the client: nobody else gets it until it
// ends, by [Client.End] or because its lease ran out. [Client.Hold] renews the
// lease in the background for as long as the program lives, so the lease can be
// short, and a dialer that crashes blocks nobody for longer. [Held.Context] is
// cancelled when the claim is lost. A program that was suspended for longer than
// the lease (a virtual machine that is moved) learns of the loss within a second
// after it goes on, by the wall clock. Where that second matters, give
// [Call.Token] along, which rises with each call of a client.
//
// The context of [Client.Hold] is that of the program. It may have ended when the
// call is: [Held.End] is sent all the same.
//
// # Failures
//
// Every method tries again, with growing pauses, as long as that can help and
// its context allows (30 seconds, if that has no deadline). A request that
// changes something keeps its idempotency key, so that it takes effect once,
// however often it was sent; renewals need none, because they name the call and
// its token. One attempt has a third of the time that is left, so a deadline
// should leave room for some. An answer that is not what was asked for counts as
// none ([CodeInternal]): it may be of something that stands before dibs. Errors are
// of type [*Error] and match a [Code]:
//
//	errors.Is(err, client.CodeUserOnCall)
//
// [CodeOutcomeUnknown] means that the answer did not come in time: the call may
// have been started or not. If it was, it ends by its lease, which for a
// [Client.Start] without [Lease] is two hours. A start with the same key
// ([Error.IdempotencyKey]) says what came of it. An error may match it beside
// another code, when the last attempt was refused and an earlier one may not have
// been.
//
// A Client is safe for concurrent use.
package client
