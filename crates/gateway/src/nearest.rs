//! What was probably meant where a word is unknown.

/// The known word that is nearest to what was written, if one is near.
pub fn nearest<'n>(written: &str, known: &[&'n str]) -> Option<&'n str> {
    let lower = written.to_ascii_lowercase();
    let edits = |known: &str| strsim::damerau_levenshtein(&lower, &known.to_ascii_lowercase());
    let best = known.iter().copied().map(|known| (edits(known), known)).min();
    best.filter(|(edits, known)| *edits <= 1 + known.len() / 4).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        let known = ["listen", "lame_duck_ms", "data"];
        assert_eq!(nearest("Lisen", &known), Some("listen"));
        assert_eq!(nearest("lame_duck", &known), Some("lame_duck_ms"));
        assert_eq!(nearest("colour", &known), None);
    }
}
