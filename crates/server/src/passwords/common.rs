//! Passwords of 15 characters and more that attackers try first: keyboard walks, repetitions of words, famous examples.
//!
//! Shorter ones need no list, they are refused by their length; a deployment adds a list of its own by
//! `password.breached_list_file`.

/// Whether a password, in lower case, is on the list.
pub(crate) fn contains(lower: &str) -> bool {
    let compact: String = lower.chars().filter(|c| c.is_alphanumeric()).collect();
    COMMON.contains(&lower) || COMMON.contains(&compact.as_str())
}

/// In lower case, letters and digits alone.
const COMMON: &[&str] = &[
    "0123456789abcdef",
    "012345678910111213",
    "1234567890123456",
    "12345678901234567890",
    "1234567890qwerty",
    "1234567890qwertyuiop",
    "123456789123456789",
    "1q2w3e4r5t6y7u8i",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv",
    "1qaz2wsx3edc4rfv5tgb",
    "abcdefghijklmno",
    "abcdefghijklmnop",
    "abcdefghijklmnopqrstuvwxyz",
    "adminadminadmin",
    "administrator123",
    "asdfghjklasdfghjkl",
    "changemechangeme",
    "changethispassword",
    "correcthorsebatterystaple",
    "defaultpassword",
    "iloveyouiloveyou",
    "letmeinletmeinletmein",
    "mypasswordispassword",
    "ncc1701ncc1701ncc1701",
    "password1234567",
    "password12345678",
    "password123456789",
    "password1234567890",
    "passwordpassword",
    "passwordpassword1",
    "passwordpassword123",
    "qazwsxedcrfvtgb",
    "qazwsxedcrfvtgbyhnujm",
    "qwertyqwertyqwerty",
    "qwertyuiop123456",
    "qwertyuiop1234567890",
    "qwertyuiopasdfghjkl",
    "qwertyuiopasdfghjklzxcvbnm",
    "thequickbrownfox",
    "thisisapassword",
    "thisismypassword",
    "tobeornottobethatisthequestion",
    "trustno1trustno1",
    "welcomewelcome1",
    "welcome123456789",
    "zaq12wsxcde34rfv",
    "zxcvbnmasdfghjkl",
    "zxcvbnmasdfghjklqwertyuiop",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_dashes_do_not_hide_a_common_password() {
        assert!(contains("correct horse battery staple"));
        assert!(contains("correct-horse-battery-staple"));
        assert!(!contains("a sentence that nobody else uses"));
    }
}
