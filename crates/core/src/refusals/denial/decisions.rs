//! What a known principal is not allowed to do.

macro_rules! decisions {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        InsufficientScope { code: "insufficient_scope", status: 403, error: "insufficient_scope", class: Permission,
            sentence: "The credential is valid, but does not have the scope that this needs.",
            cause: "A scope that the route demands is missing in the credential.",
            remedy: "Make a key with the scope, or let the client ask for it. The user may have unticked it on the consent page." }
        InsufficientPermission { code: "insufficient_permission", status: 403, error: "", class: Permission,
            sentence: "You are known, but not permitted to do this.",
            cause: "A role or policy that the route demands is not met.",
            remedy: "If this is right for the principal: `doorward role grant`." }
    } };
}
