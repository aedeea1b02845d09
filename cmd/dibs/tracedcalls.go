package main

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/dibs-calls/dibs/actors"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/httpapi"
	"github.com/dibs-calls/dibs/transport/spans"
	"github.com/dibs-calls/dibs/transport/wire"
)

// What spans say of commands and batches.
const (
	attrAction  = attribute.Key("dibs.action")
	attrUser    = attribute.Key("dibs.user.id")
	attrClient  = attribute.Key("dibs.client.id")
	attrCall    = attribute.Key("dibs.call.id")
	attrOutcome = attribute.Key("dibs.outcome")
	attrBatch   = attribute.Key("dibs.batch.size")
	attrStore   = attribute.Key("dibs.store")
)

// tracedCalls is the engine with a span around each command. A question about
// availability has none: it is answered from memory in a microsecond or so.
type tracedCalls struct {
	httpapi.Calls
	tracer trace.Tracer
}

// calls is the engine as the transports ask it.
func (n *node) calls() httpapi.Calls {
	if n.tracing == nil {
		return n.engine
	}
	return tracedCalls{n.engine, n.tracing.Tracer}
}

// StartCall implements [httpapi.Calls].
func (t tracedCalls) StartCall(ctx context.Context, cmd messages.StartCall) messages.Answer {
	return t.command(ctx, "start", cmd.User, cmd.Client, cmd.Call, func(ctx context.Context) messages.Answer {
		return t.Calls.StartCall(ctx, cmd)
	})
}

// EndCall implements [httpapi.Calls].
func (t tracedCalls) EndCall(ctx context.Context, cmd messages.EndCall) messages.Answer {
	return t.command(ctx, "end", cmd.User, messages.ClientID{}, cmd.Call, func(ctx context.Context) messages.Answer {
		return t.Calls.EndCall(ctx, cmd)
	})
}

// RenewCall implements [httpapi.Calls].
func (t tracedCalls) RenewCall(ctx context.Context, cmd messages.RenewCall) messages.Answer {
	return t.command(ctx, "renew", cmd.User, messages.ClientID{}, cmd.Call, func(ctx context.Context) messages.Answer {
		return t.Calls.RenewCall(ctx, cmd)
	})
}

// SaveLog implements [httpapi.Calls].
func (t tracedCalls) SaveLog(ctx context.Context, cmd messages.SaveLog) messages.Answer {
	return t.command(ctx, "log", cmd.User, cmd.Log.ClientID, messages.CallID{}, func(ctx context.Context) messages.Answer {
		return t.Calls.SaveLog(ctx, cmd)
	})
}

// command carries out one command within a span. client and call are what the
// command names, zero where it names none.
func (t tracedCalls) command(ctx context.Context, action string, user messages.UserID, client messages.ClientID,
	call messages.CallID, carryOut func(context.Context) messages.Answer,
) messages.Answer {
	ctx, span := t.tracer.Start(ctx, "dibs "+action, trace.WithAttributes(
		attrAction.String(action), attrUser.String(user.String())))
	defer span.End()
	answer := carryOut(ctx)
	if !span.IsRecording() {
		return answer
	}
	// The call that was started, renewed or ended is in the answer. A replay may name
	// another than the command, and the answer is the one that is true.
	about := answer.Ended
	if about == nil && answer.Code == messages.OK && action != "end" && action != "log" {
		about = answer.Call
	}
	if about != nil {
		client, call = about.ClientID, about.ID
	}
	if !client.IsZero() {
		span.SetAttributes(attrClient.String(client.String()))
	}
	if !call.IsZero() {
		span.SetAttributes(attrCall.String(call.String()))
	}
	outcome := "ok"
	if answer.Code != messages.OK {
		outcome = string(answer.Code)
		how, _ := (&wire.Problem{Code: answer.Code}).Body()
		spans.Refused(span, answer.Code, how.Status)
	}
	span.SetAttributes(attrOutcome.String(outcome))
	return answer
}

// tracedJournal is the journal with a span around each batch, which belongs to no
// request: the requests of many are in it.
type tracedJournal struct {
	actors.Journal
	tracer trace.Tracer
	about  []attribute.KeyValue // the same for all
}

// journal is the store as the engine writes to it.
func (n *node) journal() actors.Journal {
	if n.tracing == nil {
		return n.store
	}
	name, system := "sqlite", semconv.DBSystemNameSQLite
	if n.cfg.Store.DatabaseURL != "" {
		name, system = "postgres", semconv.DBSystemNamePostgreSQL
	}
	return tracedJournal{n.store, n.tracing.Tracer, []attribute.KeyValue{attrStore.String(name), system}}
}

// Commit implements [actors.Journal]. What the store says of an error stays out of
// the span: Postgres quotes rows.
func (t tracedJournal) Commit(ctx context.Context, batch []messages.Write) ([]messages.Outcome, error) {
	ctx, span := t.tracer.Start(ctx, "dibs commit", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(t.about...), trace.WithAttributes(attrBatch.Int(len(batch))))
	defer span.End()
	outcomes, err := t.Journal.Commit(ctx, batch)
	if err != nil {
		span.SetAttributes(spans.Code.String(string(messages.CodeOf(err))), semconv.ErrorTypeKey.String(string(messages.CodeOf(err))))
		span.SetStatus(codes.Error, "")
	}
	return outcomes, err
}
