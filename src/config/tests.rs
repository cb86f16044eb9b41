use super::*;

fn http(http: HttpArgs) -> ServeArgs {
    ServeArgs { http, ..ServeArgs::default() }
}

fn load(flags: ServeArgs) -> Result<Config, String> {
    Config::load(flags).map_err(|error| format!("{error:#}"))
}

#[test]
fn bytes_are_read_as_people_write_them() {
    let check = |text: &str, expected: Option<u64>| assert_eq!(parse_bytes(text).ok(), expected, "{text:?}");
    check("1024", Some(1024));
    check("64KiB", Some(65_536));
    check("2 GiB", Some(2 << 30));
    check("5MB", Some(5_000_000));
    check("", None);
    check("MiB", None);
    check("1.5GiB", None);
    check("12parsecs", None);
    check("99999999999GiB", None);
}

#[test]
fn compression_is_said_from_level_0_down() {
    use lsm::Compression::{Lz4, None as Plain, Zstd};
    let check = |text: &str, expected: [lsm::Compression; 7]| {
        assert_eq!(text.parse::<Compressions>().unwrap().0, expected, "{text}");
    };
    check("zstd", [Zstd; 7]);
    check("none, none,lz4", [Plain, Plain, Lz4, Lz4, Lz4, Lz4, Lz4]);
    check("none,none,lz4,lz4,lz4,lz4,zstd", lsm::TreeOptions::new("/").compression);
    let refuse = |text: &str, part: &str| {
        assert!(text.parse::<Compressions>().unwrap_err().contains(part), "{text}");
    };
    refuse("gzip", "\"gzip\" is none of");
    refuse("", "is none of");
    refuse("lz4,", "is none of");
    refuse("lz4,lz4,lz4,lz4,lz4,lz4,lz4,lz4", "8 words for 7 levels");
}

#[test]
fn bytes_are_shown_with_a_unit() {
    let check = |bytes, expected: &str| assert_eq!(show_bytes(bytes), expected);
    check(512, "0.5 KiB");
    check(1 << 20, "1.0 MiB");
    check(6 << 30, "6.0 GiB");
    check(5 << 40, "5.0 TiB");
}

#[test]
fn defaults_are_local() {
    let config = load(ServeArgs::default()).unwrap();
    assert_eq!(config.http, Some("127.0.0.1:8000".parse().unwrap()));
    assert_eq!((config.https, config.users_named), (None, false));
    assert_eq!(config.users, PathBuf::from("torc-data/users.toml"));
    assert_eq!(config.data_dir, PathBuf::from("torc-data"));
    assert_eq!((config.region.as_str(), config.account.as_str()), ("us-east-1", "000000000000"));
}

#[test]
fn what_cannot_work_is_refused() {
    let check = |flags: ServeArgs, part: &str| {
        let refusal = load(flags).unwrap_err();
        assert!(refusal.contains(part), "{refusal}");
    };
    let public = Some("0.0.0.0:8000".parse().unwrap());
    check(http(HttpArgs { http: public, ..HttpArgs::default() }), "--allow-public");
    check(http(HttpArgs { http: public, ..HttpArgs::default() }), "torc ctl user add");
    check(http(HttpArgs { http: Some(Endpoint::None), ..HttpArgs::default() }), "nothing to serve");
    let file = || Some(PathBuf::from("x.pem"));
    check(http(HttpArgs { tls_cert: file(), ..HttpArgs::default() }), "--tls-key");
    check(http(HttpArgs { tls_key: file(), ..HttpArgs::default() }), "--tls-cert");
    let https = Some("127.0.0.1:1".parse().unwrap());
    check(http(HttpArgs { https, ..HttpArgs::default() }), "--tls-cert");
    let https = Some("0.0.0.0:1".parse().unwrap());
    check(
        http(HttpArgs { https, tls_cert: file(), tls_key: file(), ..HttpArgs::default() }),
        "--allow-public",
    );
    let store = StoreArgs { shards: Some(0), ..StoreArgs::default() };
    check(ServeArgs { store, ..ServeArgs::default() }, "--shards");
    check(http(HttpArgs { account: Some("12".into()), ..HttpArgs::default() }), "twelve digits");
    check(http(HttpArgs { region: Some("a b".into()), ..HttpArgs::default() }), "--region");
    check(
        http(HttpArgs { config: Some("/nonexistent.toml".into()), ..HttpArgs::default() }),
        "/nonexistent.toml",
    );
    assert!(load(http(HttpArgs { http: public, allow_public: true, ..HttpArgs::default() })).is_ok());
    assert!(
        load(http(HttpArgs { http: public, users: Some("u.toml".into()), ..HttpArgs::default() })).is_ok()
    );
}

#[test]
fn https_comes_with_a_certificate() {
    let files =
        HttpArgs { tls_cert: Some("c.pem".into()), tls_key: Some("k.pem".into()), ..HttpArgs::default() };
    let config = load(http(files.clone())).unwrap();
    assert_eq!(config.https.unwrap().address.to_string(), "127.0.0.1:8443");
    assert!(config.http.is_some(), "HTTP stays");
    let alone = load(http(HttpArgs { http: Some(Endpoint::None), ..files })).unwrap();
    assert_eq!(alone.addresses().count(), 1);
}

#[test]
fn the_file_has_the_flags_names() {
    let parsed: ServeArgs =
        toml::from_str("data-dir = \"/d\"\nmemory = \"1GiB\"\nshards = 3\nallow-public = true").unwrap();
    let (store, http) = (parsed.store, parsed.http);
    assert_eq!((store.memory, store.shards, http.allow_public), (Some(1 << 30), Some(3), true));
    let parsed: ServeArgs = toml::from_str(
        "http = \"none\"\nhttps = \"[::1]:8443\"\ntls-cert = \"c\"\ntls-key = \"k\"\nusers = \"u\"",
    )
    .unwrap();
    assert_eq!((parsed.http.http, parsed.http.users), (Some(Endpoint::None), Some(PathBuf::from("u"))));
    let parsed: ServeArgs = toml::from_str("compression = \"none,zstd\"\ndisk-reserve = \"2GiB\"").unwrap();
    let store = parsed.store;
    assert_eq!((store.compression, store.disk_reserve), ("none,zstd".parse().ok(), Some(2 << 30)));
    assert!(toml::from_str::<ServeArgs>("compression = \"best\"").unwrap_err().to_string().contains("best"));
    assert!(toml::from_str::<ServeArgs>("http = \"8000\"").is_err());
    assert!(toml::from_str::<ServeArgs>("data_dirr = \"/d\"").unwrap().unknown.contains_key("data_dirr"));
    assert!(toml::from_str::<ServeArgs>("memory = \"much\"").is_err());
}

#[test]
fn each_shard_gets_its_part_of_the_memory() {
    let config = Config { memory_bytes: Some(1 << 30), ..load(ServeArgs::default()).unwrap() };
    assert_eq!(config.memory_bytes_per_shard(4).unwrap(), 256 << 20);
    assert!(config.memory_bytes_per_shard(100).unwrap_err().to_string().contains("--memory"));
}
