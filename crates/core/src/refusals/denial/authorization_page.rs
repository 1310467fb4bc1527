//! The authorization endpoint: shown on a page, since no redirect URI can be trusted (RFC 6749 section 4.1.2.1).

macro_rules! authorization_page {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        AuthorizeClientUnknown { code: "authorize_client_unknown", status: 400, error: "invalid_request", class: Request,
            sentence: "The app that sent you here is unknown.",
            cause: "The `client_id` is missing or unknown, or its client is disabled or may not use the code flow.",
            remedy: "See `doorward client list`." }
        AuthorizeNotNavigated { code: "authorize_not_navigated", status: 400, error: "invalid_request", class: Request,
            sentence: "Signing in needs a page of its own. Open the app again in a browser window.",
            cause: "Something other than a page navigation requested the authorization endpoint (`Sec-Fetch-Dest`, `Sec-Fetch-Mode`): an image, a script, a frame, `fetch`, `HEAD` or a prefetch (`Sec-Purpose`).",
            remedy: "An app must send the browser to the endpoint (`location.href = …`). In a frame it needs `prompt=none`. Many such requests from other sites suggest an attack. Nothing was stored." }
        AuthorizeThrottled { code: "authorize_throttled", status: 429, error: "temporarily_unavailable", class: Request,
            sentence: "Too many sign-ins were started here and not finished. Wait, then try again.",
            cause: "This network has `limits.open_requests_per_network` unanswered authorization requests, all from signed-in users.",
            remedy: "If many people share the address, raise the limit. Otherwise a program sends requests in a loop. The audit log has its address." }
        RedirectUriMissing { code: "redirect_uri_missing", status: 400, error: "invalid_request", class: Request,
            sentence: "The app that sent you here did not say where to return.",
            cause: "`redirect_uri` is missing or empty.",
            remedy: "The client must always send it." }
        RedirectUriNotRegistered { code: "redirect_uri_not_registered", status: 400, error: "invalid_request", class: Request,
            sentence: "The app that sent you here asked to return to an address that is not registered.",
            cause: "The `redirect_uri` does not exactly match one registered for the client.",
            remedy: "Compare it with `doorward client show`. If it is right, register a client with it." }
        PostLogoutRedirectUriNotRegistered { code: "post_logout_redirect_uri_not_registered", status: 400, error: "invalid_request", class: Request,
            sentence: "The app that sent you here asked to continue to an address that is not registered. You were not signed out.",
            cause: "The `post_logout_redirect_uri` does not exactly match one registered for the client, or the client is disabled.",
            remedy: "Compare it with `doorward client show`. Register addresses with `doorward client create --post-logout-redirect-uri`." }
        InteractionUnknown { code: "interaction_unknown", status: 400, error: "invalid_request", class: Request,
            sentence: "This page has expired, or belongs to another browser. Start over in the app.",
            cause: "The stored authorization request is unknown, finished, or belongs to another browser.",
            remedy: "The user should start over in the app." }
        FormExpired { code: "form_expired", status: 403, error: "invalid_request", class: Request,
            sentence: "This page has expired. Nothing was changed. Try again.",
            cause: "The form's CSRF token does not match the session, or the session ended before the form took effect.",
            remedy: "The user should reload the page. Many of these from one origin suggest an attack." }
    } };
}
