//! What a known principal is not allowed to do.

macro_rules! decisions {
    ($next:ident, $($rest:tt)*) => { $next! { $($rest)*
        InsufficientScope { code: "insufficient_scope", status: 403, error: "insufficient_scope", class: Permission,
            sentence: "The credential is valid, but lacks the required scope.",
            cause: "The credential lacks a scope that the route requires.",
            remedy: "Create a key with the scope, or have the client request it. The user may have unticked it on the consent page." }
        InsufficientPermission { code: "insufficient_permission", status: 403, error: "", class: Permission,
            sentence: "You are not permitted to do this.",
            cause: "The caller lacks a role that the route requires, or a policy denied the request.",
            remedy: "If the caller should have access, grant the role: `doorward role grant`." }
    } };
}
