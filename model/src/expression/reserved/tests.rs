use super::*;

#[test]
fn words_are_sorted_and_bounded() {
    assert!(WORDS.is_sorted());
    assert_eq!(WORDS.len(), 573);
    assert_eq!(WORDS.iter().map(|word| word.len()).max(), Some(WORD_BYTES_MAX));
}

#[test]
fn case_does_not_matter_and_near_misses_are_free() {
    for word in ["ABORT", "abort", "Name", "sIzE", "zone", "LOCALTIMESTAMP", "ttl", "url"] {
        assert!(is_reserved(word), "{word}");
    }
    for word in ["", "id", "pk", "names_", "aborted", "zones", "LOCALTIMESTAMPS", "näme", "SE"] {
        assert!(!is_reserved(word), "{word}");
    }
}
