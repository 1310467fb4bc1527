package main

import (
	"context"
	"net/http"

	"golang.org/x/oauth2"
)

// Public is a native application: a public client on a loopback port of its own (RFC 8252).
func Public(ctx context.Context, checks *Checks, demo *Demo, person *Person, redirectURI string) {
	check := func(promise string, body func()) { checks.Check("x/oauth2 and go-oidc, public: "+promise, body) }
	var application, api *Application
	var tokens *Granted

	check("the code flow works on a loopback port that was not registered", func() {
		hold(redirectURI != demo.RedirectURI, "the port is another")
		application = must(Discover(ctx, demo, demo.PublicClientID, "", redirectURI))
		api = must(Discover(ctx, demo, demo.APIClientID, demo.APIClientSecret, ""))
		answer := must(application.Ask(person, Acts{}))
		equal(answer.Shown, []string{"sign-in", "consent"})
		tokens = must(application.Redeem(ctx, answer))
		equal(scopesOf(tokens.Token), sorted(allScopes...))
		equal(tokens.ID.Audience, []string{demo.PublicClientID})
		equal(demo.Read(ctx, tokens.Token).Status, http.StatusOK)
	})

	check("userinfo answers under the same subject", func() {
		equal(must(application.UserInfo(ctx, tokens.Token)).Subject, tokens.ID.Subject)
	})

	check("consent is asked each time, so prompt=none gets consent_required", func() {
		silent := must(application.Ask(person, Acts{}, oauth2.SetAuthURLParam("prompt", "none")))
		equal(len(silent.Shown), 0)
		_, err := application.Redeem(ctx, silent)
		refused(err, "consent_required")
	})

	check("a refresh rotates the token, and the old one is refused after the new one's use", func() {
		first := tokens.RefreshToken
		rotated := must(application.Refresh(ctx, first))
		hold(rotated.RefreshToken != first, "the refresh token is another")
		equal(must(application.Refresh(ctx, first)).RefreshToken, rotated.RefreshToken)
		second := must(application.Refresh(ctx, rotated.RefreshToken))
		equal(demo.Read(ctx, second).Status, http.StatusOK)
		_, err := application.Refresh(ctx, first)
		refused(err, "invalid_grant")
		_, err = application.Refresh(ctx, second.RefreshToken)
		refused(err, "invalid_grant")
	})

	check("without offline_access there is no refresh token", func() {
		scope := oauth2.SetAuthURLParam("scope", "openid notes:read")
		brief := must(application.Redeem(ctx, must(application.Ask(person, Acts{}, scope))))
		equal(scopesOf(brief.Token), []string{"notes:read", "openid"})
		equal(brief.RefreshToken, "")
	})

	check("revoking the refresh token ends its access token for the API that asks", func() {
		fresh := must(application.Redeem(ctx, must(application.Ask(person, Acts{}))))
		seen := must(api.Introspect(ctx, fresh.AccessToken))
		equal(seen["active"], any(true))
		equal(seen["client_id"], any(demo.PublicClientID))
		succeed(application.Revoke(ctx, fresh.RefreshToken))
		equal(must(api.Introspect(ctx, fresh.AccessToken)), inactive)
		_, err := application.Refresh(ctx, fresh.RefreshToken)
		refused(err, "invalid_grant")
	})
}
