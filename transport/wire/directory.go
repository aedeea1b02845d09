package wire

import (
	"context"

	"github.com/dibs-calls/dibs/messages"
	"github.com/dibs-calls/dibs/phone"
)

// Lengths of what a directory is asked for, in bytes.
const (
	maxEmail = 320
	maxPhone = 64
)

// Directory finds whom requests name by address and by number, as telephones
// and their servers know people. Errors: CodeUnavailable.
type Directory interface {
	// UsersByEmail returns the ids of those addresses that accounts have, under
	// the addresses as they were given.
	UsersByEmail(ctx context.Context, emails []string) (map[string]messages.UserID, error)
	// ClientsByPhone answers each query, in their order.
	ClientsByPhone(ctx context.Context, queries []messages.PhoneQuery) ([]messages.PhoneMatch, error)
}

// SetDirectory lets requests name users by e-mail address and clients by phone
// number; a number without a country is one of region. Without it they name
// them by id. It must be called before the first request.
func (d *Desk) SetDirectory(directory Directory, region string) {
	d.directory, d.region = directory, region
}

// UserByEmail returns the id of the user with this address.
func (d *Desk) UserByEmail(ctx context.Context, email string) (id messages.UserID, err error) {
	if email, err = Text("user_email", email, maxEmail); err != nil {
		return id, err
	}
	if d.directory == nil {
		return id, BadRequest("user_email is not understood here: give user_id.")
	}
	found, err := d.directory.UsersByEmail(ctx, []string{email})
	if err != nil {
		return id, AsRead(err)
	}
	if id = found[email]; id.IsZero() {
		return id, &Problem{Code: messages.CodeUserNotFound}
	}
	return id, nil
}

// clientByPhone returns the id of the client with this number. One that is no
// telephone number may be a client's all the same, as it was typed.
func (d *Desk) clientByPhone(ctx context.Context, user messages.UserID, number string) (id messages.ClientID, err error) {
	if number, err = Text("client_phone", number, maxPhone); err != nil {
		return id, err
	}
	if d.directory == nil {
		return id, BadRequest("client_phone is not understood here: give client_id.")
	}
	if e164, err := phone.E164(number, d.region); err == nil {
		number = e164
	}
	found, err := d.directory.ClientsByPhone(ctx, []messages.PhoneQuery{{User: user, Phone: number}})
	switch {
	case err != nil:
		return id, AsRead(err)
	case len(found) != 1:
		return id, Internal("one number was asked for, and %d were answered", len(found))
	case found[0].Clients == 0:
		return id, &Problem{Code: messages.CodeClientNotFound}
	case found[0].Client.IsZero():
		return id, BadRequest("Several clients have this phone number: give client_id.")
	}
	return found[0].Client, nil
}
