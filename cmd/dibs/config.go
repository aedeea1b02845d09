package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/dibs-calls/dibs/importer"
	"github.com/dibs-calls/dibs/phone"
	"github.com/spf13/pflag"
)

// serveConfig is what 'dibs serve' is told.
type serveConfig struct {
	Store           storeConfig
	NATS            natsConfig
	Cluster         clusterConfig
	Tracing         tracingConfig
	Listen          string // host:port; port 0: any that is free
	Demo            bool
	BehindProxy     bool   // TLS ends at a proxy in front
	TLSCert, TLSKey string // files; both or neither
	DefaultRegion   string // of numbers without a country
	AdminEmail      string // of the administrator made at the first start
	LogLevel        slog.Level
	LogFormat       string // text or json
	Retain          age    // how long finished calls and their logs are kept
	ShutdownTimeout time.Duration
	AdmissionLimit  int // commands in flight; 0: as many as are answered in good time
}

func (cfg *serveConfig) bind(flags *pflag.FlagSet) {
	flags.StringVar(&cfg.Listen, "listen", "127.0.0.1:8080", "address to listen on (host:port)")
	flags.BoolVar(&cfg.Demo, "demo", false, "made-up people and clients to try it with; on this machine only")
	flags.BoolVar(&cfg.BehindProxy, "behind-proxy", false, "a proxy in front speaks TLS and sets X-Forwarded-For")
	flags.StringVar(&cfg.TLSCert, "tls-cert", "", "file with the TLS certificate chain (PEM)")
	flags.StringVar(&cfg.TLSKey, "tls-key", "", "file with its private key (PEM)")
	flags.StringVar(&cfg.DefaultRegion, "default-region", "US", "whose a phone number without a country is (two letters)")
	flags.StringVar(&cfg.AdminEmail, "admin-email", "admin@dibs.local", "administrator made at the first start with nobody in the store")
	flags.TextVar(&cfg.LogLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	flags.StringVar(&cfg.LogFormat, "log-format", "text", "text or json")
	flags.Var(&cfg.Retain, "retain", "how long finished calls and their logs are kept, as in 365d or 8760h; 0: for ever")
	cfg.NATS.bind(flags)
	cfg.Cluster.bind(flags)
	flags.IntVar(&cfg.AdmissionLimit, "admission-limit", 0, "starts and ends at a time, before more starts are refused; 0: as many as are answered in good time")
	flags.DurationVar(&cfg.ShutdownTimeout, "shutdown-timeout", 10*time.Second, "how long a stop may take")
}

// check finds what can never work: it needs no store and touches nothing.
func (cfg *serveConfig) check() error {
	host, port, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return usagef("--listen %q: give host:port, as in 127.0.0.1:8080", cfg.Listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return usagef("--listen %q: %q is not a port", cfg.Listen, port)
	}
	switch {
	case (cfg.TLSCert == "") != (cfg.TLSKey == ""):
		return usagef("--tls-cert and --tls-key belong together: give both or neither")
	case cfg.LogFormat != "text" && cfg.LogFormat != "json":
		return usagef("--log-format %q: give text or json", cfg.LogFormat)
	case cfg.AdmissionLimit < 0:
		return usagef("--admission-limit %d: give a number above zero, or 0 to let it follow how long requests take", cfg.AdmissionLimit)
	case cfg.ShutdownTimeout <= 0:
		return usagef("--shutdown-timeout %s: give a time above zero, as in 10s", cfg.ShutdownTimeout)
	case !phone.ValidRegion(cfg.DefaultRegion):
		return usagef("--default-region %q is not a region: give two capital letters, as in US or GB", cfg.DefaultRegion)
	}
	if err := cfg.NATS.check(); err != nil {
		return err
	}
	if err := cfg.checkRetain(); err != nil {
		return err
	}
	if err := cfg.Cluster.check(cfg); err != nil {
		return err
	}
	if cfg.AdminEmail, err = importer.Email(cfg.AdminEmail); err != nil {
		return usagef("--admin-email: %w", err)
	}
	if cfg.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(cfg.TLSCert, cfg.TLSKey); err != nil {
			return fmt.Errorf("the TLS files: %w", err)
		}
	}
	return cfg.checkExposure(host)
}

// checkExposure refuses to show passwords and clients to a network.
func (cfg *serveConfig) checkExposure(host string) error {
	switch {
	case cfg.Demo && cfg.exposed():
		return refusef("--demo is for this machine only, because everybody knows its passwords: leave out --behind-proxy, and --listen or give it 127.0.0.1")
	case !isLoopback(host) && cfg.TLSCert == "" && !cfg.BehindProxy:
		return refusef("--listen %s can be reached from other machines, and without TLS they could read passwords on the way: give --tls-cert and --tls-key, or --behind-proxy if a proxy in front speaks TLS, or listen on 127.0.0.1", cfg.Listen)
	}
	return nil
}

// exposed reports whether other machines can reach the server: by its address,
// or through the proxy in front of it.
func (cfg *serveConfig) exposed() bool {
	host, _, _ := net.SplitHostPort(cfg.Listen) // check has seen it
	return cfg.BehindProxy || !isLoopback(host)
}

// isLoopback reports whether host can be reached from this machine alone. A
// name counts only if it is localhost, which resolves to nothing else (RFC
// 6761, section 6.3).
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func (cfg *serveConfig) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
