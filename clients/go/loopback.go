package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
)

// Listen is the listener of a native application: it takes a free port, which nobody registered, of the host of the
// registered redirect URI (RFC 8252 section 7.3). It gives the redirect URI with that port, and what ends it.
func Listen(demo *Demo) (redirectURI string, stop func() error, err error) {
	registered, err := url.Parse(demo.RedirectURI)
	if err != nil {
		return "", nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(registered.Hostname(), "0"))
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) {
		io.WriteString(response, "You can close this page.")
	})}
	go server.Serve(listener)
	port := listener.Addr().(*net.TCPAddr).Port
	registered.Host = net.JoinHostPort(registered.Hostname(), strconv.Itoa(port))
	return registered.String(), server.Close, nil
}
