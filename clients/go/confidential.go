package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

var inactive = map[string]any{"active": false}

// Confidential is a web application with a secret: every grant, and what becomes of its tokens.
func Confidential(ctx context.Context, checks *Checks, demo *Demo, person *Person) {
	check := func(promise string, body func()) { checks.Check("x/oauth2 and go-oidc, confidential: "+promise, body) }
	prompt := func(value string) oauth2.AuthCodeOption { return oauth2.SetAuthURLParam("prompt", value) }
	var application *Application
	var answer *Answer
	var tokens *Granted

	check("discovery names the issuer and PKCE with S256", func() {
		application = must(Discover(ctx, demo, demo.ClientID, demo.ClientSecret, demo.RedirectURI))
		equal(application.Metadata.Issuer, demo.Issuer)
		equal(application.Metadata.CodeChallengeMethods, []string{"S256"})
	})

	check("the code comes back with state and iss after sign-in and consent", func() {
		answer = must(application.Ask(person, Acts{}))
		equal(answer.Shown, []string{"sign-in", "consent"})
		equal(answer.Callback["state"], []string{answer.state})
		equal(answer.Callback["iss"], []string{demo.Issuer})
	})

	check("the code is redeemed for an access token, a refresh token and an ID token", func() {
		tokens = must(application.Redeem(ctx, answer))
		equal(tokens.Type(), "Bearer")
		hold(tokens.TokenType != "", "the answer names its token_type")
		equal(scopesOf(tokens.Token), sorted(allScopes...))
		hold(tokens.RefreshToken != "", "there is a refresh token")
		equal(tokens.ID.Issuer, demo.Issuer)
		equal(tokens.ID.Audience, []string{demo.ClientID})
		equal(tokens.ID.Nonce, answer.nonce)
	})

	check("userinfo names who signed in, under the subject of the ID token", func() {
		info := must(application.UserInfo(ctx, tokens.Token))
		equal(info.Subject, tokens.ID.Subject)
		var claims struct {
			Username string `json:"preferred_username"`
		}
		succeed(info.Claims(&claims))
		equal(claims.Username, demo.Username)
	})

	check("the notes API takes the token for reading and for writing", func() {
		equal(demo.Read(ctx, tokens.Token).Status, http.StatusOK)
		equal(demo.Write(ctx, tokens.Token).Status, http.StatusCreated)
	})

	check("a refresh rotates the token, a repeat gets the same successor, a reuse ends the family", func() {
		first := tokens.RefreshToken
		rotated := must(application.Refresh(ctx, first))
		hold(rotated.RefreshToken != first, "the refresh token is another")
		equal(must(application.Refresh(ctx, first)).RefreshToken, rotated.RefreshToken)
		second := must(application.Refresh(ctx, rotated.RefreshToken))
		earlier := []string{first, rotated.RefreshToken}
		hold(!slices.Contains(earlier, second.RefreshToken), "the refresh token is another again")
		equal(must(application.Introspect(ctx, second.AccessToken))["active"], any(true))
		_, err := application.Refresh(ctx, first)
		refused(err, "invalid_grant")
		_, err = application.Refresh(ctx, second.RefreshToken)
		refused(err, "invalid_grant")
		equal(must(application.Introspect(ctx, second.AccessToken)), inactive)
	})

	check("consent is remembered: prompt=none gets a code without a page", func() {
		silent := must(application.Ask(person, Acts{}, prompt("none")))
		equal(len(silent.Shown), 0)
		tokens = must(application.Redeem(ctx, silent))
		equal(demo.Read(ctx, tokens.Token).Status, http.StatusOK)
	})

	check("introspection turns from active to inactive when the token is revoked", func() {
		before := must(application.Introspect(ctx, tokens.AccessToken))
		equal(before["active"], any(true))
		equal(before["client_id"], any(demo.ClientID))
		equal(before["sub"], any(tokens.ID.Subject))
		succeed(application.Revoke(ctx, tokens.AccessToken))
		equal(must(application.Introspect(ctx, tokens.AccessToken)), inactive)
		succeed(application.Revoke(ctx, tokens.RefreshToken))
		equal(must(application.Introspect(ctx, tokens.RefreshToken)), inactive)
		_, err := application.Refresh(ctx, tokens.RefreshToken)
		refused(err, "invalid_grant")
	})

	check("a scope that was unticked is not granted, and the API refuses what needs it", func() {
		asked := must(application.Ask(person, Acts{Untick: []string{"notes:write"}}, prompt("consent")))
		narrowed := must(application.Redeem(ctx, asked))
		left := slices.DeleteFunc(sorted(allScopes...), func(scope string) bool { return scope == "notes:write" })
		equal(scopesOf(narrowed.Token), left)
		equal(demo.Read(ctx, narrowed.Token).Status, http.StatusOK)
		demo.AssertMayNotWrite(ctx, narrowed.Token)
	})

	check("a code that is redeemed twice gives nothing and takes back what it gave", func() {
		again := must(application.Ask(person, Acts{}))
		given := must(application.Redeem(ctx, again))
		equal(must(application.Introspect(ctx, given.AccessToken))["active"], any(true))
		_, err := application.Redeem(ctx, again)
		refused(err, "invalid_grant")
		equal(must(application.Introspect(ctx, given.AccessToken)), inactive)
		_, err = application.Refresh(ctx, given.RefreshToken)
		refused(err, "invalid_grant")
	})

	check("a wrong code_verifier is refused and leaves the code good", func() {
		asked := must(application.Ask(person, Acts{}))
		_, err := application.Redeem(ctx, asked.WithVerifier(oauth2.GenerateVerifier()))
		refused(err, "invalid_grant")
		equal(demo.Read(ctx, must(application.Redeem(ctx, asked)).Token).Status, http.StatusOK)
	})

	check("a refusal by the person comes back as access_denied", func() {
		denied := must(application.Ask(person, Acts{Deny: true}, prompt("consent")))
		equal(denied.Callback["iss"], []string{demo.Issuer})
		_, err := application.Redeem(ctx, denied)
		refused(err, "access_denied")
	})

	check("client_credentials gives a token without a refresh token, for the scopes that were asked", func() {
		resource := url.Values{"resource": {demo.APIAudience}}
		own := must(application.Credentials(ctx, oauth2.AuthStyleInHeader, resource, "notes:read"))
		equal(scopesOf(own), []string{"notes:read"})
		equal(own.RefreshToken, "")
		equal(demo.Read(ctx, own).Status, http.StatusOK)
		demo.AssertMayNotWrite(ctx, own)
		seen := must(application.Introspect(ctx, own.AccessToken))
		equal(seen["active"], any(true))
		equal(seen["aud"], any(demo.APIAudience))
		succeed(application.Revoke(ctx, own.AccessToken))
		equal(must(application.Introspect(ctx, own.AccessToken)), inactive)
	})

	check("the secret may stand in the body, and a wrong one is invalid_client", func() {
		posted := must(application.Credentials(ctx, oauth2.AuthStyleInParams, nil, "notes:read"))
		equal(demo.Read(ctx, posted).Status, http.StatusOK)
		wrong := must(Discover(ctx, demo, demo.ClientID, demo.APIClientSecret, ""))
		_, err := wrong.Credentials(ctx, oauth2.AuthStyleInParams, nil, "notes:read")
		refused(err, "invalid_client")
		_, err = wrong.Credentials(ctx, oauth2.AuthStyleInHeader, nil, "notes:read")
		refused(err, "invalid_client")
		// Basic is answered with a challenge of the same scheme (RFC 6749 5.2).
		var retrieve *oauth2.RetrieveError
		hold(errors.As(err, &retrieve), "the token endpoint refused")
		equal(retrieve.Response.StatusCode, http.StatusUnauthorized)
		challenge := retrieve.Response.Header.Get("WWW-Authenticate")
		hold(strings.HasPrefix(challenge, "Basic "), challenge)
	})
}
