//! The sentences of denials, in which backticks enclose code.

/// The pieces of a sentence, each with whether it is in backticks.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = (bool, &str)> {
    text.split('`').enumerate().map(|(place, piece)| (place % 2 == 1, piece))
}

#[cfg(test)]
mod tests {
    use doorward_core::denial::Denial;

    use super::*;

    #[test]
    fn text_in_backticks_is_code() {
        let found: Vec<_> = pieces("Send `X-API-Key: …` once.").collect();
        assert_eq!(found, [(false, "Send "), (true, "X-API-Key: …"), (false, " once.")]);
    }

    #[test]
    fn every_backtick_of_a_denial_has_its_second_one() {
        for denial in Denial::ALL {
            for text in [denial.sentence(), denial.cause(), denial.remedy()] {
                assert_eq!(text.matches('`').count() % 2, 0, "{denial}: {text}");
            }
        }
    }
}
