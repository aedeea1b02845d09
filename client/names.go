package client

import "strings"

// Names other than ids are URIs, so that none can be taken for an id: a slip in
// an id must not become the number of somebody else.
const (
	emailScheme = "mailto:"
	phoneScheme = "tel:"
)

// Email names a user by e-mail address, for [Client.Start] and [Client.Hold]:
//
//	held, err := dibs.Hold(ctx, client.Email("ana@example.com"), client.Phone("(202) 555-0143"))
//
// It is "mailto:" and the address.
func Email(address string) string { return emailScheme + address }

// Phone names a client by phone number, in any spelling, for [Client.Start] and
// [Client.Hold]. A number without a country is one of the server's region. One
// that several clients have names none of them ([CodeBadRequest]), and one that
// nobody has is [CodeClientNotFound]. It is "tel:" and the number.
func Phone(number string) string { return phoneScheme + number }

// whom is a change for a user and a client, each by id or by another name.
func whom(user, client string) (in change, err error) {
	in.UserID, in.ClientID = user, client
	if address, ok := strings.CutPrefix(user, emailScheme); ok {
		in.UserID, in.UserEmail = "", address
		if strings.TrimSpace(address) == "" { // without one, a token's own user would be meant
			return in, badRequest("The user's e-mail address is empty.")
		}
	}
	if number, ok := strings.CutPrefix(client, phoneScheme); ok {
		in.ClientID, in.ClientPhone = "", number
		if strings.TrimSpace(number) == "" {
			return in, badRequest("The client's phone number is empty.")
		}
	}
	return in, nil
}
