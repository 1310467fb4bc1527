//! The names that people sign in with.

/// The form of a user name that is compared: neither case nor spaces around it tell two users apart.
pub fn fold(username: &str) -> String {
    username.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    #[test]
    fn case_and_spaces_around_a_name_do_not_count() {
        assert_eq!(super::fold(" Ada LOVELACE "), super::fold("ada lovelace"));
        assert_ne!(super::fold("ada lovelace"), super::fold("adalovelace"));
    }
}
