package httpapi

import (
	"context"
	_ "embed"
)

// openAPIDocument describes the wire. It is written by hand; the tests hold it
// to the routes and to every exchange.
//
//go:embed openapi.json
var openAPIDocument []byte

func (a *API) openAPI(_ context.Context, x *exchange) error {
	x.writeTagged(openAPIDocument, a.openAPITag)
	return nil
}
