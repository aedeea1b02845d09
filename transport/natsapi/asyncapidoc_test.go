package natsapi

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const asyncAPIFile = "../../docs/asyncapi.json"

// asyncAPI is docs/asyncapi.json, which is written by hand.
type asyncAPI struct {
	t        *testing.T
	raw      any // as jsonschema wants it
	compiler *jsonschema.Compiler

	Channels map[string]struct {
		Address    *string
		Parameters map[string]any
		Messages   map[string]any
	}
	Operations map[string]map[string]any
	Components struct {
		Messages map[string]struct {
			Headers *struct {
				Ref string `json:"$ref"`
			}
			Payload struct {
				Ref string `json:"$ref"`
			}
			Examples []struct {
				Name    string
				Payload json.RawMessage
			}
		}
		Schemas map[string]jsonSchema
	}
}

// jsonSchema is what the tests look at of one.
type jsonSchema struct {
	Type       any
	Required   []string
	Properties map[string]jsonSchema
	Enum       []string
	AllOf      []jsonSchema
}

func loadAsyncAPI(t *testing.T) *asyncAPI {
	t.Helper()
	text, err := os.ReadFile(asyncAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	d := &asyncAPI{t: t, compiler: jsonschema.NewCompiler()}
	if err := json.Unmarshal(text, d); err != nil {
		t.Fatal(err)
	}
	if d.raw, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	d.compiler.DefaultDraft(jsonschema.Draft7) // as AsyncAPI 3.0 has it
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource("file:///asyncapi.json", d.raw); err != nil {
		t.Fatal(err)
	}
	return d
}

// check holds a value, as JSON, to a schema of the document.
func (d *asyncAPI) check(schema string, body []byte) error {
	d.t.Helper()
	s, err := d.compiler.Compile("file:///asyncapi.json#/components/schemas/" + schema)
	if err != nil {
		d.t.Fatalf("schema %s: %v", schema, err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	return s.Validate(v)
}

func (d *asyncAPI) holds(schema string, body []byte) {
	d.t.Helper()
	if err := d.check(schema, body); err != nil {
		d.t.Errorf("%s\nis not a %s: %v", body, schema, err)
	}
}

func (d *asyncAPI) headersHold(schema string, header nats.Header) {
	d.t.Helper()
	flat := map[string]string{}
	for name, lines := range header {
		flat[name] = strings.Join(lines, ", ")
		if _, ok := d.Components.Schemas[schema].Properties[name]; !ok {
			d.t.Errorf("the header %s is not in %s", name, schema)
		}
	}
	body, err := json.Marshal(flat)
	if err != nil {
		d.t.Fatal(err)
	}
	d.holds(schema, body)
}

// constants returns the values of the string constants of a type in Go files.
func constants(t *testing.T, typeName string, files ...string) []string {
	t.Helper()
	var found []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != typeName {
				return true
			}
			for _, value := range spec.Values {
				if lit, ok := value.(*ast.BasicLit); ok {
					s, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					found = append(found, s)
				}
			}
			return true
		})
	}
	if len(found) < 2 {
		t.Fatalf("found %d constants of type %s", len(found), typeName)
	}
	return found
}

func same(t *testing.T, what string, documented, is []string) {
	t.Helper()
	documented, is = slices.Sorted(slices.Values(documented)), slices.Sorted(slices.Values(is))
	if !slices.Equal(documented, is) {
		t.Errorf("%s\ndocumented:  %q\nin the code: %q", what, documented, is)
	}
}
