use super::*;

/// The example of "Deriving a signing key" in AWS's documentation of Signature Version 4, for another service and region.
fn derived(secret: &str, day: &str, region: &str) -> String {
    let key = signing_key(secret.as_bytes(), day.as_bytes(), region);
    canonical::hex(hmac::sign(&key, b"text").as_ref())
}

#[test]
fn a_key_depends_on_all_of_its_parts() {
    let key = derived("secret", "20150830", "us-east-1");
    assert_eq!(key, derived("secret", "20150830", "us-east-1"));
    for other in [
        derived("Secret", "20150830", "us-east-1"),
        derived("secret", "20150831", "us-east-1"),
        derived("secret", "20150830", "us-east-2"),
    ] {
        assert_ne!(key, other);
    }
}

#[test]
fn signing_keys_are_bounded() {
    let users = Users::default();
    let keys = SigningKeys::default();
    for number in 0..SIGNING_KEYS_MAX + 10 {
        let day = format!("{number:08}").into_bytes().try_into().expect("eight digits");
        keys.get(&users, None, day, "us-east-1");
        assert!(keys.kept.borrow().len() <= SIGNING_KEYS_MAX);
    }
    assert_eq!(keys.kept.borrow().len(), 10);
}
