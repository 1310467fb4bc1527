package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

var allScopes = []string{"openid", "profile", "email", "offline_access", "notes:read", "notes:write"}

// Application is one client of the demo, and each exchange with the server as one call.
//
// Easy to get wrong: the libraries check neither `state`, `iss` (RFC 9207) and `error` of the authorization response
// nor the nonce of an ID token; their callers must.
type Application struct {
	Metadata Metadata
	config   oauth2.Config
	provider *oidc.Provider
}

// Metadata is what go-oidc hands on of the discovery document without using it itself.
type Metadata struct {
	Issuer                string   `json:"issuer"`
	CodeChallengeMethods  []string `json:"code_challenge_methods_supported"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
}

// AuthorizationError is an error that came back to the redirect URI (RFC 6749 4.1.2.1).
type AuthorizationError struct{ Code, Description string }

func (e *AuthorizationError) Error() string { return e.Code + ": " + e.Description }

// Answer is what came back from an authorization request, and what was kept for the token request.
type Answer struct {
	Callback               url.Values
	Shown                  []string
	state, nonce, verifier string
}

// Granted is the token answer with the ID token that it held, verified.
type Granted struct {
	*oauth2.Token
	ID *oidc.IDToken
}

// Discover makes an application of a client's credential; without a secret it is a public one.
func Discover(ctx context.Context, demo *Demo, clientID, secret, redirectURI string) (*Application, error) {
	provider, err := oidc.NewProvider(bounded(ctx), demo.Issuer)
	if err != nil {
		return nil, err
	}
	endpoint := provider.Endpoint()
	// Left to find out, the library would send each refused request a second time in the other style.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if secret == "" {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	config := oauth2.Config{
		ClientID:     clientID,
		ClientSecret: secret,
		Endpoint:     endpoint,
		RedirectURL:  redirectURI,
		Scopes:       allScopes,
	}
	application := &Application{config: config, provider: provider}
	return application, provider.Claims(&application.Metadata)
}

// Ask sends the person to the authorization endpoint; options replace or join the parameters of the request.
func (a *Application) Ask(person *Person, acts Acts, options ...oauth2.AuthCodeOption) (*Answer, error) {
	answer := &Answer{state: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier()}
	own := []oauth2.AuthCodeOption{oidc.Nonce(answer.nonce), oauth2.S256ChallengeOption(answer.verifier)}
	request := a.config.AuthCodeURL(answer.state, append(own, options...)...)
	var err error
	answer.Callback, answer.Shown, err = person.Authorize(request, a.config.RedirectURL, acts)
	return answer, err
}

// WithVerifier gives the same answer with another code_verifier.
func (a *Answer) WithVerifier(verifier string) *Answer {
	changed := *a
	changed.verifier = verifier
	return &changed
}

// Redeem checks the authorization response, redeems its code and verifies the ID token.
func (a *Application) Redeem(ctx context.Context, answer *Answer) (*Granted, error) {
	if state := answer.Callback.Get("state"); state != answer.state {
		return nil, fmt.Errorf("state is %q", state)
	}
	if issuer := answer.Callback.Get("iss"); issuer != a.Metadata.Issuer {
		return nil, fmt.Errorf("iss is %q", issuer)
	}
	if code := answer.Callback.Get("error"); code != "" {
		return nil, &AuthorizationError{code, answer.Callback.Get("error_description")}
	}
	code := answer.Callback.Get("code")
	token, err := a.config.Exchange(bounded(ctx), code, oauth2.VerifierOption(answer.verifier))
	if err != nil {
		return nil, err
	}
	id, err := a.verify(ctx, token, answer.nonce)
	return &Granted{token, id}, err
}

// Refresh exchanges a refresh token: a token without an access token is never valid, so the source renews it at once.
func (a *Application) Refresh(ctx context.Context, refreshToken string) (*oauth2.Token, error) {
	return a.config.TokenSource(bounded(ctx), &oauth2.Token{RefreshToken: refreshToken}).Token()
}

// Credentials is the client_credentials grant with a way to authenticate.
func (a *Application) Credentials(
	ctx context.Context, style oauth2.AuthStyle, parameters url.Values, scopes ...string,
) (*oauth2.Token, error) {
	config := clientcredentials.Config{
		ClientID:       a.config.ClientID,
		ClientSecret:   a.config.ClientSecret,
		TokenURL:       a.config.Endpoint.TokenURL,
		Scopes:         scopes,
		EndpointParams: parameters,
		AuthStyle:      style,
	}
	return config.Token(bounded(ctx))
}

// UserInfo gives the subject and the claims about the person.
func (a *Application) UserInfo(ctx context.Context, token *oauth2.Token) (*oidc.UserInfo, error) {
	return a.provider.UserInfo(bounded(ctx), oauth2.StaticTokenSource(token))
}

// Introspect asks about a token (RFC 7662); the libraries have no call for it.
func (a *Application) Introspect(ctx context.Context, token string) (map[string]any, error) {
	response, err := a.post(ctx, a.Metadata.IntrospectionEndpoint, token)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var state map[string]any
	return state, json.NewDecoder(response.Body).Decode(&state)
}

// Revoke ends a token (RFC 7009); the libraries have no call for it.
func (a *Application) Revoke(ctx context.Context, token string) error {
	response, err := a.post(ctx, a.Metadata.RevocationEndpoint, token)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// post sends a token in a form with the client's authentication (RFC 6749 2.3.1); any status but 200 is an error.
func (a *Application) post(ctx context.Context, endpoint, token string) (*http.Response, error) {
	form := url.Values{"token": {token}}
	if a.config.ClientSecret == "" {
		form.Set("client_id", a.config.ClientID)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a.config.ClientSecret != "" {
		request.SetBasicAuth(url.QueryEscape(a.config.ClientID), url.QueryEscape(a.config.ClientSecret))
	}
	response, err := (&http.Client{Timeout: timeout}).Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("%s answered %s", endpoint, response.Status)
	}
	return response, nil
}

// verify checks signature, iss, aud, exp, nonce and at_hash, and that RS256 is used, which is due where a client
// registered nothing else (OpenID Connect Registration 2).
func (a *Application) verify(ctx context.Context, token *oauth2.Token, nonce string) (*oidc.IDToken, error) {
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, fmt.Errorf("there is no id_token")
	}
	config := &oidc.Config{ClientID: a.config.ClientID, SupportedSigningAlgs: []string{oidc.RS256}}
	id, err := a.provider.VerifierContext(bounded(ctx), config).Verify(bounded(ctx), raw)
	if err != nil {
		return nil, err
	}
	if id.Nonce != nonce {
		return nil, fmt.Errorf("the nonce is %q", id.Nonce)
	}
	return id, id.VerifyAccessToken(token.AccessToken)
}

// scopesOf gives the scopes that a token answer names, sorted.
func scopesOf(token *oauth2.Token) []string {
	scope, _ := token.Extra("scope").(string)
	return sorted(strings.Fields(scope)...)
}

func sorted(words ...string) []string {
	return slices.Sorted(slices.Values(words))
}

// bounded makes both libraries use a client that does not wait forever.
func bounded(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, &http.Client{Timeout: timeout})
}
