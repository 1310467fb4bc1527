// The application: `manager` is the library's, set up as its documentation says. The suite calls it from here, so that
// the browser treats each request as one of this page.

const settings = await (await fetch("/settings.json")).json();
const here = `${location.origin}${location.pathname}`;

/** Another manager of the same application, with settings of its own. */
globalThis.managerWith = (own) => new oidc.UserManager({
  ...settings,
  redirect_uri: here,
  silent_redirect_uri: here,
  loadUserInfo: true,
  automaticSilentRenew: false,
  silentRequestTimeoutInSeconds: 10,
  stateStore: new oidc.WebStorageStateStore({ store: sessionStorage }),
  userStore: new oidc.WebStorageStateStore({ store: sessionStorage }),
  ...own,
});
globalThis.manager = managerWith({});

// The library's hidden frame comes back to this same page.
if (window.parent !== window) await manager.signinSilentCallback();
