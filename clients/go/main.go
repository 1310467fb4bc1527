// The suite of golang.org/x/oauth2 and coreos/go-oidc against a live demo: what they do for a confidential client (a
// web application) and for a public one (a native application on a loopback port of its own).
package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	checks := &Checks{}
	if err := run(context.Background(), checks); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if !checks.Finish() {
		os.Exit(1)
	}
}

func run(ctx context.Context, checks *Checks) error {
	demo, err := ReadDemo()
	if err != nil {
		return err
	}
	person, err := StartPerson(ctx, demo)
	if err != nil {
		return err
	}
	defer person.Leave()
	redirectURI, stop, err := Listen(demo)
	if err != nil {
		return err
	}
	defer stop()

	Confidential(ctx, checks, demo, person)
	if err := person.Forget(); err != nil {
		return err
	}
	Public(ctx, checks, demo, person, redirectURI)
	return nil
}
