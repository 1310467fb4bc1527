package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/chromedp/chromedp"
)

// Person is someone at a browser: headless Chromium, who signs in and decides on the real pages.
//
// Easy to get wrong: the browser has to land somewhere on its way back to an application. For the confidential client
// that is the demo's sample app, which redeems no code whose `state` it does not know.
type Person struct {
	demo    *Demo
	browser context.Context
	profile context.Context
	leave   []context.CancelFunc
}

// Acts are what a person does at the consent page.
type Acts struct {
	// Untick names the scopes to leave out.
	Untick []string
	// Deny presses the button that refuses.
	Deny bool
}

// StartPerson starts a browser with a fresh profile.
func StartPerson(ctx context.Context, demo *Demo) (*Person, error) {
	path := os.Getenv("DOORWARD_CHROMIUM")
	if path == "" {
		path = "/usr/bin/chromium"
	}
	// Without these Chromium calls home, or needs a display or privileges that a test machine lacks.
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox,
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	allocator, release := chromedp.NewExecAllocator(ctx, options...)
	browser, quit := chromedp.NewContext(allocator)
	person := &Person{demo: demo, browser: browser, leave: []context.CancelFunc{quit, release}}
	// The first use of a context starts its browser.
	if err := chromedp.Do(browser); err != nil {
		person.Leave()
		return nil, fmt.Errorf("Chromium does not start: %w", err)
	}
	if err := person.Forget(); err != nil {
		person.Leave()
		return nil, err
	}
	return person, nil
}

// Forget goes on with a browser that has no cookies, so that nobody is signed in.
func (p *Person) Forget() error {
	profile, end := chromedp.NewContext(p.browser, chromedp.WithNewBrowserContext())
	p.profile = profile
	p.leave = append([]context.CancelFunc{end}, p.leave...)
	return chromedp.Do(profile)
}

// Leave closes the browser.
func (p *Person) Leave() {
	for _, leave := range p.leave {
		leave()
	}
}

// Authorize follows an authorization request until the browser is back at redirectURI, and gives the parameters that
// it came back with. It signs in where asked to. `shown` lists the pages that were met: `sign-in`, `consent`.
func (p *Person) Authorize(request, redirectURI string, acts Acts) (callback url.Values, shown []string, err error) {
	tab, closeTab := chromedp.NewContext(p.profile)
	defer closeTab()
	if err := chromedp.Do(tab); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(tab, timeout)
	defer cancel()

	location, err := follow(ctx, chromedp.Navigate(request))
	if err == nil && p.isAt(location, "/sign-in/") {
		shown = append(shown, "sign-in")
		location, err = p.signIn(ctx)
	}
	if err == nil && p.isAt(location, "/consent/") {
		shown = append(shown, "consent")
		location, err = decide(ctx, acts)
	}
	if err != nil {
		return nil, shown, err
	}
	query, isBack := strings.CutPrefix(location, redirectURI+"?")
	if !isBack {
		return nil, shown, fmt.Errorf("the browser ended at %s", location)
	}
	callback, err = url.ParseQuery(query)
	return callback, shown, err
}

func (p *Person) isAt(location, path string) bool {
	return strings.HasPrefix(location, p.demo.Issuer+path)
}

func (p *Person) signIn(ctx context.Context) (string, error) {
	err := chromedp.Do(ctx,
		chromedp.SendKeys(chromedp.ID("username"), p.demo.Username),
		chromedp.SendKeys(chromedp.ID("password"), p.demo.Password),
	)
	if err != nil {
		return "", err
	}
	return follow(ctx, press("sign-in"))
}

func decide(ctx context.Context, acts Acts) (string, error) {
	for _, scope := range acts.Untick {
		// A colon would have to be escaped in `#id`.
		box := chromedp.CSS(fmt.Sprintf("[id=%q]", "scope-"+scope))
		if err := chromedp.Do(ctx, chromedp.Click(box)); err != nil {
			return "", err
		}
		ticked, err := chromedp.Run(ctx, chromedp.JavascriptAttribute[bool](box, "checked"))
		if err != nil {
			return "", err
		}
		if ticked {
			return "", fmt.Errorf("%s can't be unticked", scope)
		}
	}
	if acts.Deny {
		return follow(ctx, press("deny"))
	}
	return follow(ctx, press("allow"))
}

func press(id string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.ID(id))
}

// follow does what leaves the page, waits for the page that comes, through all redirects, and gives its URL.
func follow(ctx context.Context, step chromedp.Action[chromedp.Void]) (string, error) {
	if _, err := chromedp.RunResponse(ctx, step); err != nil {
		return "", err
	}
	return chromedp.Run(ctx, chromedp.Location())
}
