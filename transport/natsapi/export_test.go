package natsapi

import "net"

// Addr is where other programs reach the embedded server; nil if they cannot.
func (b *Bus) Addr() net.Addr {
	if b.embedded == nil {
		return nil
	}
	return b.embedded.Addr()
}
