//! The operating system's user who runs a command, as the audit records it.

use nix::unistd::{Uid, User};

/// The user of this process by name and number, `alice(1000)`, from the user database; only the number where the
/// database has no such user, as in a container.
///
/// Root acts as the owner of a data folder ([`crate::cli`]), and sudo as somebody else: both are recorded,
/// `alice as doorward(998)`. The variables of the environment are a record of what sudo did and prove nothing: anyone who
/// may run the command may also set them.
pub(crate) fn os_user() -> String {
    described(Uid::current(), invoker())
}

fn described(uid: Uid, invoker: Option<Uid>) -> String {
    let user = match name_of(uid) {
        Some(name) => format!("{name}({uid})"),
        None => uid.to_string(),
    };
    match invoker.filter(|invoker| *invoker != uid) {
        Some(invoker) => format!("{} as {user}", name_of(invoker).unwrap_or_else(|| invoker.to_string())),
        None => user,
    }
}

/// The variable by which root, before it becomes the owner of a folder, hands on who it was.
pub(crate) const INVOKER: &str = "SUDO_UID";

/// Who called sudo, or root if root became the owner.
pub(crate) fn invoker() -> Option<Uid> {
    let number = std::env::var(INVOKER).ok()?;
    number.parse().ok().map(Uid::from_raw)
}

fn name_of(uid: Uid) -> Option<String> {
    let name = User::from_uid(uid).ok()??.name;
    Some(name).filter(|name| name.len() <= 32 && !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invoker_without_a_name_is_a_number() {
        let (root, nameless) = (Uid::from_raw(0), Uid::from_raw(4_000_000_000));
        assert_eq!(described(nameless, Some(root)), "root as 4000000000");
        assert_eq!(described(root, Some(nameless)), "4000000000 as root(0)");
        assert_eq!(described(root, Some(root)), "root(0)");
        assert_eq!(described(root, None), "root(0)");
    }

    #[test]
    fn user_has_the_name_of_the_user_database() {
        assert_eq!(name_of(Uid::from_raw(0)).as_deref(), Some("root"));
        assert_eq!(name_of(Uid::from_raw(4_000_000_000)), None);
    }
}
