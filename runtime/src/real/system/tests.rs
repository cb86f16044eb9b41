use super::random_words;

#[test]
fn random_words_are_all_filled_and_differ() {
    let words: [u64; 8] = random_words().unwrap();
    let more: [u64; 8] = random_words().unwrap();
    assert!(words.iter().chain(&more).all(|word| *word != 0) && words != more);
}
