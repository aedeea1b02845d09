package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// addressOf is where a request comes from, as the limits count it. Behind a
// proxy it is what our proxy appended, the last entry: everything before it is
// what the caller claims.
func (a *API) addressOf(r *http.Request) string {
	peer := r.RemoteAddr
	if a.BehindProxy {
		if lines := r.Header.Values("X-Forwarded-For"); len(lines) > 0 {
			line := lines[len(lines)-1]
			peer = strings.TrimSpace(line[strings.LastIndexByte(line, ',')+1:])
		}
	}
	if host, _, err := net.SplitHostPort(peer); err == nil {
		peer = host
	}
	address, err := netip.ParseAddr(peer)
	if err != nil {
		return "unknown"
	}
	return network(address.Unmap().WithZone("")).String()
}

// network is what one subscriber has at least: of IPv6 that is a /64, whose
// addresses anybody can go through.
func network(address netip.Addr) netip.Addr {
	if !address.Is6() {
		return address
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.Addr()
}
