package natsapi

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/transport/natsapi/natstest"
	"github.com/dibs-calls/dibs/transport/wire"
)

// TestAsyncAPISubjects: the document has the subjects of the code, and no others.
func TestAsyncAPISubjects(t *testing.T) {
	d := loadAsyncAPI(t)
	want := []string{IngestStarted, IngestEnded, deadPrefix + "{subject}"}
	for _, kind := range constants(t, "EventType", "../../messages/events.go") {
		want = append(want, SubjectPrefix+kind+".{client_id}.{user_id}")
	}
	for _, e := range (&Service{}).endpoints() {
		want = append(want, rpcPrefix+e.name, rpcPrefix+e.name+".{name}")
	}
	var got []string
	for name, c := range d.Channels {
		if c.Address == nil {
			continue // where somebody listens for an answer
		}
		got = append(got, *c.Address)
		for parameter := range c.Parameters {
			if !strings.Contains(*c.Address, "{"+parameter+"}") {
				t.Errorf("channel %s has the parameter %s and no place for it", name, parameter)
			}
		}
		if strings.Count(*c.Address, "{") != len(c.Parameters) {
			t.Errorf("channel %s does not explain its parameters", name)
		}
	}
	same(t, "subjects", got, want)
}

// TestAsyncAPIReferences: every reference leads somewhere, every schema compiles,
// and nothing stands in the document for nothing.
func TestAsyncAPIReferences(t *testing.T) {
	d := loadAsyncAPI(t)
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				if !d.resolves(ref) {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(d.raw)
	for name := range d.Components.Schemas {
		if _, err := d.compiler.Compile("file:///asyncapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
		if !used["#/components/schemas/"+name] {
			t.Errorf("nobody uses the schema %s", name)
		}
	}
	for name := range d.Components.Messages {
		if !used["#/components/messages/"+name] {
			t.Errorf("nobody uses the message %s", name)
		}
	}
	for name, c := range d.Channels {
		if !used["#/channels/"+name] {
			t.Errorf("no operation uses the channel %s", name)
		}
		for message := range c.Messages {
			if !used["#/channels/"+name+"/messages/"+message] {
				t.Errorf("no operation uses the message %s of the channel %s", message, name)
			}
		}
	}
}

func (d *asyncAPI) resolves(ref string) bool {
	path, local := strings.CutPrefix(ref, "#/")
	if !local {
		return false
	}
	v := d.raw
	for part := range strings.SplitSeq(path, "/") {
		object, ok := v.(map[string]any)
		if v = object[part]; !ok || v == nil {
			return false
		}
	}
	return true
}

// TestAsyncAPIClosedSets: every word that can be said is in the document.
func TestAsyncAPIClosedSets(t *testing.T) {
	d := loadAsyncAPI(t)
	same(t, "reasons of an end", d.Components.Schemas["Reason"].Enum, constants(t, "EndReason", "../../messages/calls.go"))
	same(t, "reasons of dead letters", d.Components.Schemas["DeadLetterHeaders"].Properties["Dibs-Reason"].Enum,
		constants(t, "Reason", "deadletter.go"))
	var codes []string
	for _, code := range messages.Codes {
		codes = append(codes, string(code))
	}
	same(t, "codes", d.Components.Schemas["Code"].Enum, codes)
}

// TestAsyncAPIFields: each schema has the fields of the Go type behind it.
func TestAsyncAPIFields(t *testing.T) {
	d := loadAsyncAPI(t)
	for _, tt := range []struct {
		schemas string // together
		is      any
		without []string // read only to be refused
	}{
		{"CallStarted", cloudEvent{}, nil}, {"CallEnded", cloudEvent{}, nil}, {"CallRefused", cloudEvent{}, nil},
		{"CallStartedData CallEndedData CallRefusedData", messages.Event{}, nil},
		{"Call", messages.Call{}, nil}, {"User", messages.User{}, nil}, {"Client", messages.ClientSummary{}, nil},
		{"Caller", messages.Caller{}, nil}, {"Refusal", messages.Refusal{}, nil},
		{"ReportStarted", incoming{}, []string{"data_base64"}}, {"ReportEnded", incoming{}, []string{"data_base64"}},
		{"ReportStartedData", incomingData{}, nil}, {"ReportEndedData", incomingData{}, nil},
		{"StartRequest EndRequest RenewRequest", wire.Change{}, nil},
		{"StartAnswer", wire.StartAnswer{}, nil}, {"EndAnswer", wire.EndAnswer{}, nil}, {"RenewAnswer", wire.RenewAnswer{}, nil},
		{"AvailabilityAnswer", wire.AvailabilityAnswer{}, nil}, {"StatusAnswer", StatusAnswer{}, nil}, {"CallInProgress", messages.LiveCall{}, nil},
		{"CallingUser", wire.CallingUser{}, nil}, {"Problem", wire.Body{}, nil},
	} {
		documented := map[string]bool{}
		for name := range strings.FieldsSeq(tt.schemas) {
			for property := range d.Components.Schemas[name].Properties {
				documented[property] = true
			}
		}
		var names, fields []string
		for name := range documented {
			names = append(names, name)
		}
		for _, field := range reflect.VisibleFields(reflect.TypeOf(tt.is)) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "" && name != "-" && !slices.Contains(tt.without, name) {
				fields = append(fields, name)
			}
		}
		same(t, tt.schemas, names, fields)
	}
}

// TestAsyncAPIEvents: what is published is what the document says.
func TestAsyncAPIEvents(t *testing.T) {
	d := loadAsyncAPI(t)
	started, ended := natstest.Started(1, 1), natstest.Ended(1, 1)
	ended.Disposition = "sale"
	refused := started
	refused.ID, refused.Type = "x/call.refused", messages.EventCallRefused
	refused.Call = messages.Call{ID: refused.Call.ID, ClientID: refused.Call.ClientID, UserID: refused.Call.UserID}
	onCall := started.Call
	for _, tt := range []struct {
		schema  string
		event   messages.Event
		refusal *messages.Refusal
	}{
		{"CallStarted", started, nil}, {"CallEnded", ended, nil},
		{"CallRefused", refused, &messages.Refusal{Code: messages.CodeClientBeingCalled, Source: "/pbx", ID: "1", CallRef: "c",
			Caller: &messages.Caller{ID: onCall.UserID, Name: "Ana", CallStartedAt: onCall.StartedAt}}},
		{"CallRefused", refused, &messages.Refusal{Code: messages.CodeUserOnCall, Source: "/pbx", ID: "1", CallRef: "c", Call: &onCall}},
	} {
		tt.event.Refusal = tt.refusal
		for _, reduced := range []string{"", "too large"} {
			msg, err := encoded(tt.event, reduced)
			if err != nil {
				t.Fatal(err)
			}
			d.holds(tt.schema, msg.Data)
			d.headersHold("EventHeaders", msg.Header)
		}
	}
	// The schemas can say no.
	msg, err := encoded(ended, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range [][2]string{{`"reason":"completed"`, `"reason":"bored"`}, {`"token":`, `"tocken":`},
		{`"specversion":"1.0"`, `"specversion":"2.0"`}, {`"at":"2`, `"at":"then 2`}} {
		body := strings.Replace(string(msg.Data), broken[0], broken[1], 1)
		if body == string(msg.Data) || d.check("CallEnded", []byte(body)) == nil {
			t.Errorf("%s passes for an event", body)
		}
	}
}

// TestAsyncAPIReports: what the document gives as examples is taken, and what it
// forbids is refused.
func TestAsyncAPIReports(t *testing.T) {
	d := loadAsyncAPI(t)
	for name, subject := range map[string]string{"ReportStarted": IngestStarted, "ReportEnded": IngestEnded} {
		examples := d.Components.Messages[name].Examples
		if len(examples) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, example := range examples {
			d.holds(name, example.Payload)
			if _, why := readEvent(subject, nil, example.Payload, "US"); why != nil {
				t.Errorf("%s %s is refused: %v", name, example.Name, why)
			}
			for _, field := range []string{"specversion", "id", "source", "type", "data"} {
				var e map[string]any
				if err := json.Unmarshal(example.Payload, &e); err != nil {
					t.Fatal(err)
				}
				delete(e, field)
				body, err := json.Marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				if _, why := readEvent(subject, nil, body, "US"); why == nil || d.check(name, body) == nil {
					t.Errorf("%s without %s: %v, %v", name, field, why, d.check(name, body))
				}
			}
		}
	}
}

// TestAsyncAPIDeadLetters: a letter has the headers of the document.
func TestAsyncAPIDeadLetters(t *testing.T) {
	d := loadAsyncAPI(t)
	meta := &jetstream.MsgMetadata{NumDelivered: 3, Timestamp: time.Unix(1, 0)}
	letter := deadLetter(buriable{}, meta, &rejection{ReasonUserNotFound, "no user has the address"}, 1<<20)
	d.headersHold("DeadLetterHeaders", letter.Header)
	if channel := *d.Channels["deadLetters"].Address; strings.Replace(channel, "{subject}", IngestStarted, 1) != letter.Subject {
		t.Errorf("the letter went to %s", letter.Subject)
	}
}

// buriable is an event without headers.
type buriable struct{ jetstream.Msg }

func (buriable) Subject() string      { return IngestStarted }
func (buriable) Headers() nats.Header { return nil }
func (buriable) Data() []byte         { return []byte("{}") }

// TestAsyncAPIRequests: the examples of the document are understood, the answers
// are what it says, and the micro service says the same of itself.
func TestAsyncAPIRequests(t *testing.T) {
	d := loadAsyncAPI(t)
	a := newAsking(t, func(c *ServiceConfig) { c.Directory, c.InProgress = directory{}, &callsInProgress{calls: liveCalls(3)} })
	for _, e := range a.service.endpoints() {
		name := strings.ToUpper(e.name[:1]) + e.name[1:]
		example := d.Components.Messages[name+"Request"].Examples[0].Payload
		d.holds(name+"Request", example)
		body := []byte(strings.NewReplacer("0198c2a5-0000-7000-8000-00000000a0a0", theUser.String(),
			"0198c2a5-0000-7000-8000-0000000000c1", theClient.String()).Replace(string(example)))
		answer, err := a.nc.Request(rpcPrefix+e.name, body, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		d.holds(name+"Answer", answer.Data)
		wrong := []byte("{}")
		if e.name == "status" { // which needs nothing
			wrong = []byte(`{"after":1}`)
		}
		refusal, err := a.nc.Request(rpcPrefix+e.name, wrong, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		d.holds("Problem", refusal.Data)
		d.headersHold("ProblemHeaders", refusal.Header)
		if d.check(name+"Request", wrong) == nil {
			t.Errorf("%sRequest may be %s, and is refused", name, wrong)
		}

		var said jsonSchema
		if err := json.Unmarshal([]byte(e.schema), &said); err != nil {
			t.Fatal(err)
		}
		var here, there []string
		for property := range d.Components.Schemas[name+"Request"].Properties {
			if property != "action" { // not needed on a subject that says it
				here = append(here, property)
			}
		}
		for property := range said.Properties {
			there = append(there, property)
		}
		same(t, name+"Request and what the micro service says", here, there)
		same(t, "what "+name+"Request requires", d.Components.Schemas[name+"Request"].Required, said.Required)
	}
	a.engine.set(func(e *engine) {
		e.says = messages.Answer{Code: messages.CodeClientBeingCalled, Caller: &messages.Caller{ID: messages.UserID{UUID: theUser}}}
	})
	body, err := json.Marshal(map[string]uuid.UUID{"user_id": theUser, "client_id": theClient})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := a.nc.Request(rpcPrefix+"start", body, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	d.holds("Problem", answer.Data)
}

// directory knows one user and one client.
type directory struct{}

func (directory) UsersByEmail(_ context.Context, emails []string) (map[string]messages.UserID, error) {
	return map[string]messages.UserID{emails[0]: {UUID: theUser}}, nil
}

func (directory) ClientsByPhone(_ context.Context, queries []messages.PhoneQuery) ([]messages.PhoneMatch, error) {
	return []messages.PhoneMatch{{Clients: 1, Client: messages.ClientID{UUID: theClient}}}, nil
}
