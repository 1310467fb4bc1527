package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// timeout bounds each answer that a check waits for.
const timeout = 20 * time.Second

// Demo is what `doorward demo --json` printed.
type Demo struct {
	Issuer          string `json:"issuer"`
	API             string `json:"api"`
	APIAudience     string `json:"api_audience"`
	APIClientID     string `json:"api_client_id"`
	APIClientSecret string `json:"api_client_secret"`
	ClientID        string `json:"client_id"`
	ClientSecret    string `json:"client_secret"`
	PublicClientID  string `json:"public_client_id"`
	RedirectURI     string `json:"redirect_uri"`
	Username        string `json:"username"`
	Password        string `json:"password"`
}

// ReadDemo reads the file that DOORWARD_DEMO_JSON names.
func ReadDemo() (*Demo, error) {
	line, err := os.ReadFile(os.Getenv("DOORWARD_DEMO_JSON"))
	if err != nil {
		return nil, err
	}
	demo := new(Demo)
	return demo, json.Unmarshal(line, demo)
}

// Reply is an answer of the notes API.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Read gets the notes with an access token.
func (d *Demo) Read(ctx context.Context, token *oauth2.Token) Reply {
	return d.notes(ctx, token, http.MethodGet, "")
}

// Write posts a note with an access token.
func (d *Demo) Write(ctx context.Context, token *oauth2.Token) Reply {
	return d.notes(ctx, token, http.MethodPost, `{"text": "from a client suite"}`)
}

var traceID = regexp.MustCompile("^[0-9a-f]{32}$")

// AssertMayNotWrite asserts that a write without `notes:write` is 403 and the answer says which scope would do (RFC
// 6750 3.1).
func (d *Demo) AssertMayNotWrite(ctx context.Context, token *oauth2.Token) {
	refusal := d.Write(ctx, token)
	equal(refusal.Status, http.StatusForbidden)
	challenge := refusal.Header.Get("WWW-Authenticate")
	hold(strings.Contains(challenge, `error="insufficient_scope"`), challenge)
	hold(strings.Contains(challenge, `scope="notes:write"`), challenge)
	var problem struct {
		Status  int    `json:"status"`
		TraceID string `json:"trace_id"`
	}
	succeed(json.Unmarshal(refusal.Body, &problem))
	equal(problem.Status, http.StatusForbidden)
	hold(traceID.MatchString(problem.TraceID), "trace_id of "+string(refusal.Body))
}

func (d *Demo) notes(ctx context.Context, token *oauth2.Token, method, body string) Reply {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request := must(http.NewRequestWithContext(ctx, method, d.API+"/notes", strings.NewReader(body)))
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response := must(oauth2.NewClient(ctx, oauth2.StaticTokenSource(token)).Do(request))
	defer response.Body.Close()
	return Reply{response.StatusCode, response.Header, must(io.ReadAll(response.Body))}
}
