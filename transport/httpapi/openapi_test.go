package httpapi

import (
	"net/http"
	"slices"
	"testing"

	"github.com/dibs-calls/dibs/messages"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
)

func loadSpec(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPIDocument)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDocumentIsValid(t *testing.T) {
	if err := loadSpec(t).Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestDocumentIsServed(t *testing.T) {
	w := newWorld(t)
	got := w.do("", "GET", "/openapi.json", nil).is(200)
	if string(got.body) != string(openAPIDocument) {
		t.Error("another document is served")
	}
	w.do("", "GET", "/openapi.json", nil, "If-None-Match", got.header.Get("Etag")).is(304)
}

func TestRoutesAndDocumentAgree(t *testing.T) {
	var served, documented []string
	err := chi.Walk(newWorld(t).api.handler.(*straight).others, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if path != "/" && path != "/assets/*" { // the page is for people
			served = append(served, method+" "+path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range loadSpec(t).Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(documented)
	if !slices.Equal(served, documented) {
		t.Errorf("served:     %q\ndocumented: %q", served, documented)
	}
}

func TestDocumentHasTheCodes(t *testing.T) {
	enum := loadSpec(t).Components.Schemas["Error"].Value.Properties["code"].Value.Enum
	var documented []messages.Code
	for _, code := range enum {
		documented = append(documented, messages.Code(code.(string)))
	}
	if !slices.Equal(documented, messages.Codes[:]) {
		t.Errorf("documented: %q\nin messages: %q", documented, messages.Codes)
	}
}
