//! The authorization endpoint: shown on a page, since no redirect URI can be trusted (RFC 6749 section 4.1.2.1).

macro_rules! authorization_page {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        AuthorizeClientUnknown { code: "authorize_client_unknown", status: 400, error: "invalid_request", class: Request,
            sentence: "The app that sent you here is not known.",
            cause: "The `client_id` is missing, unknown, or its client is disabled or may not use the code flow.",
            remedy: "See `doorward client list`." }
        AuthorizeNotNavigated { code: "authorize_not_navigated", status: 400, error: "invalid_request", class: Request,
            sentence: "Signing in needs a page of its own. Open the app again in a window of your browser.",
            cause: "An image, a script, a frame or `fetch` of some page, a browser that looks ahead (`Sec-Purpose`), or `HEAD` asked for the authorization endpoint (`Sec-Fetch-Dest`, `Sec-Fetch-Mode`), where only a page could go on.",
            remedy: "An app sends the browser to the endpoint (`location.href = …`); in a frame it needs `prompt=none`. Many such requests from other sites suggest an attack; nothing was stored." }
        AuthorizeThrottled { code: "authorize_throttled", status: 429, error: "temporarily_unavailable", class: Request,
            sentence: "Too many sign-ins were begun here and not finished. Wait, then try again.",
            cause: "As many authorization requests of this network, all of them of people who are signed in, wait for an answer as `limits.open_requests_per_network` permits.",
            remedy: "Many people behind one address: raise the limit. Otherwise a program asks in a loop: the audit has its address." }
        RedirectUriMissing { code: "redirect_uri_missing", status: 400, error: "invalid_request", class: Request,
            sentence: "The app that sent you here did not say where to return.",
            cause: "`redirect_uri` is missing or empty.",
            remedy: "The client has to send it, always." }
        RedirectUriNotRegistered { code: "redirect_uri_not_registered", status: 400, error: "invalid_request", class: Request,
            sentence: "The app that sent you here asked to return to an address that is not registered.",
            cause: "The `redirect_uri` does not exactly match one registered for the client.",
            remedy: "Compare with `doorward client show`; if it is right, register a client with it." }
        PostLogoutRedirectUriNotRegistered { code: "post_logout_redirect_uri_not_registered", status: 400, error: "invalid_request", class: Request,
            sentence: "The app that sent you here asked to go on to an address that is not registered. You were not signed out.",
            cause: "The `post_logout_redirect_uri` does not exactly match one registered for the client, or the client is disabled.",
            remedy: "Compare with `doorward client show`; addresses are registered by `doorward client create --post-logout-redirect-uri`." }
        InteractionUnknown { code: "interaction_unknown", status: 400, error: "invalid_request", class: Request,
            sentence: "This page has expired, or belongs to another browser. Start over at the app.",
            cause: "The stored authorization request is unknown, over, or bound to another browser.",
            remedy: "The user should start over at the app." }
        FormExpired { code: "form_expired", status: 403, error: "invalid_request", class: Request,
            sentence: "This page has expired. Nothing was changed; try again.",
            cause: "The form's CSRF token does not fit the session, or the session was ended before the form took effect.",
            remedy: "The user should reload the page. Many of these from one origin are an attack." }
    } };
}
