//! Which keys differ between two configurations: what a running server is asked to take over.

use doorward_core::secret::{ExposeSecret, SecretString};

use super::{
    schema::{KEYS, Kind},
    settings::Config,
};

/// The keys whose values differ.
pub(crate) fn changed(old: &mut Config, new: &mut Config) -> Vec<&'static str> {
    KEYS.iter().filter(|key| !key.kind.is_same(old, new)).map(|key| key.path).collect()
}

impl Kind {
    fn is_same(&self, old: &mut Config, new: &mut Config) -> bool {
        let exposed = |secret: &Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        match self {
            Self::Addresses(field) => field(old) == field(new),
            Self::Boolean(field) => field(old) == field(new),
            Self::Choice(_, _, position) => position(old) == position(new),
            Self::Colour(field) => field(old) == field(new),
            Self::Count(_, field) => field(old).to_string() == field(new).to_string(),
            Self::DatabaseUrl(_) => exposed(&old.program.postgres) == exposed(&new.program.postgres),
            Self::Duration(_, field) => field(old) == field(new),
            Self::Issuer(_) => old.server.issuer == new.server.issuer,
            Self::Link(field) => field(old) == field(new),
            // From the environment alone, which a running process keeps.
            Self::MasterKey(_) => true,
            Self::Name(field) => field(old) == field(new),
            Self::Networks(field) => field(old) == field(new),
            Self::Path(field) => field(old) == field(new),
            Self::Size(_, field) => field(old) == field(new),
        }
    }
}
