package main

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"golang.org/x/oauth2"
)

// Checks runs what the suite promises, check by check, and prints the last line, which `cargo xtask test` reads.
//
// Easy to get wrong: checks stand in the order in which a client acts, so one that needs what an earlier one failed to
// get must fail as well and not be left out. What checks hand on is therefore a pointer, nil until it was got, and any
// panic of a check is its failure.
type Checks struct {
	passed, failed int
}

// failure is what an assertion panics with to end its check, as testing.T.FailNow ends a test.
type failure struct{ error }

// Check runs body as the check of promise.
func (c *Checks) Check(promise string, body func()) {
	defer func() {
		switch reason := recover().(type) {
		case nil:
			c.passed++
			fmt.Println("ok      " + promise)
		case runtime.Error:
			c.fail(promise, fmt.Sprintf("needs what an earlier check failed to get: %v", reason))
		default:
			c.fail(promise, fmt.Sprint(reason))
		}
	}()
	body()
}

// Finish prints the count and returns whether all passed.
func (c *Checks) Finish() bool {
	fmt.Printf("%d passed, %d failed\n", c.passed, c.failed)
	return c.failed == 0 && c.passed > 0
}

func (c *Checks) fail(promise, reason string) {
	c.failed++
	fmt.Printf("FAILED  %s\n        %s\n", promise, strings.ReplaceAll(reason, "\n", "\n        "))
}

// must gives the value of a call that has to succeed.
func must[V any](value V, err error) V {
	succeed(err)
	return value
}

// succeed asserts that there was no error.
func succeed(err error) {
	if err != nil {
		failAt("%w", err)
	}
}

// equal asserts that two values are deeply equal.
func equal[V any](got, want V) {
	if !reflect.DeepEqual(got, want) {
		failAt("%#v is not %#v", got, want)
	}
}

// hold asserts that something is so; what says what.
func hold(so bool, what string) {
	if !so {
		failAt("does not hold: %s", what)
	}
}

// refused asserts that err is the OAuth error of this code, of either endpoint (RFC 6749 4.1.2.1 and 5.2).
func refused(err error, code string) {
	var denied *AuthorizationError
	var retrieve *oauth2.RetrieveError
	switch {
	case errors.As(err, &denied):
		equal(denied.Code, code)
	case errors.As(err, &retrieve):
		equal(retrieve.ErrorCode, code)
	default:
		failAt("was not refused as %s, but: %v", code, err)
	}
}

// failAt ends the check and says from which line of it: the first caller that is no assertion.
func failAt(format string, arguments ...any) {
	reason := fmt.Errorf(format, arguments...)
	callers := make([]uintptr, 8)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for frame, more := frames.Next(); more; frame, more = frames.Next() {
		if !strings.HasSuffix(frame.File, "/checks.go") {
			reason = fmt.Errorf("%s:%d: %w", frame.File[strings.LastIndex(frame.File, "/")+1:], frame.Line, reason)
			break
		}
	}
	panic(failure{reason})
}
