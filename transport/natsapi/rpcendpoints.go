package natsapi

import (
	"context"
	"regexp"
	"strings"

	"github.com/dibs-calls/dibs/admission"
	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/wire"
)

// endpoint is one thing that can be asked for.
type endpoint struct {
	name   string
	class  admission.Class
	paced  bool   // how long it takes says how busy the process is
	action string // of the same request over HTTP; empty: it changes nothing
	handle func(ctx context.Context, x *rpc) (any, error)
	schema string // JSON Schema of the body
}

const (
	schemaID    = `{"type":"string","format":"uuid"}`
	schemaLease = `{"type":"integer","minimum":1,"maximum":86400}`
	schemaToken = `{"type":"integer","minimum":1}`
	schemaEmail = `{"type":"string","maxLength":320}` // instead of user_id
	schemaPhone = `{"type":"string","maxLength":64}`  // instead of client_id
)

func (s *Service) endpoints() []endpoint {
	return []endpoint{
		{"start", admission.Start, true, wire.ActionStart, func(ctx context.Context, x *rpc) (any, error) {
			in, user, key, err := x.change(ctx)
			if err != nil {
				return nil, err
			}
			return s.desk.Start(ctx, user, in, key)
		}, schema("", "user_id", schemaID, "user_email", schemaEmail, "client_id", schemaID, "client_phone", schemaPhone, "lease_seconds", schemaLease)},

		{"end", admission.End, true, wire.ActionEnd, func(ctx context.Context, x *rpc) (any, error) {
			in, user, key, err := x.change(ctx)
			if err != nil {
				return nil, err
			}
			return s.desk.End(ctx, user, in, key)
		}, schema("", "user_id", schemaID, "user_email", schemaEmail, "call_id", schemaID, "token", schemaToken,
			"disposition", `{"type":"string","maxLength":200}`, "notes", `{"type":"string","maxLength":16384}`)},

		{"renew", admission.End, false, wire.ActionRenew, func(ctx context.Context, x *rpc) (any, error) {
			in, user, key, err := x.change(ctx)
			if err != nil {
				return nil, err
			}
			return s.desk.Renew(ctx, user, in, key)
		}, schema("call_id token", "user_id", schemaID, "user_email", schemaEmail, "call_id", schemaID, "token", schemaToken,
			"lease_seconds", schemaLease)},

		{"availability", admission.Ask, false, "", func(ctx context.Context, x *rpc) (any, error) {
			client, err := x.client()
			if err != nil {
				return nil, err
			}
			return s.desk.Availability(ctx, client)
		}, schema("client_id", "client_id", schemaID)},

		s.statusEndpoint(),
	}
}

// client reads a question about a client.
func (x *rpc) client() (id messages.ClientID, err error) {
	var in struct {
		ClientID string `json:"client_id"`
	}
	if err = wire.Decode(x.body, &in); err != nil {
		return id, err
	}
	if id.UUID, err = wire.ParseID("client_id", in.ClientID); err != nil {
		return id, err
	}
	_, err = x.caller()
	return id, err
}

func (e *endpoint) metadata() map[string]string {
	return map[string]string{
		"format": "application/json", "request_schema": e.schema,
		"response": "as over HTTP, see /openapi.json",
	}
}

// schema is the JSON Schema of an object: names of required fields, and then
// each field with its own.
func schema(required string, fields ...string) string {
	var out strings.Builder
	out.WriteString(`{"type":"object",`)
	if required != "" {
		out.WriteString(`"required":["` + strings.ReplaceAll(required, " ", `","`) + `"],`)
	}
	out.WriteString(`"properties":{`)
	for i := 0; i < len(fields); i += 2 {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(`"` + fields[i] + `":` + fields[i+1])
	}
	out.WriteString("}}")
	return out.String()
}

// semantic is the version as micro services must have it (semver.org).
func semantic(version string) string {
	version = strings.TrimPrefix(version, "v")
	const number, identifier = `(0|[1-9]\d*)`, `(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)`
	pattern := regexp.MustCompile(`^` + number + `\.` + number + `\.` + number +
		`(-` + identifier + `(\.` + identifier + `)*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$`)
	if !pattern.MatchString(version) {
		return "0.0.0"
	}
	return version
}
