//! OpenID Connect beyond OAuth: a file per endpoint. Its id_tokens are made at the token endpoint.

pub(crate) mod userinfo;
