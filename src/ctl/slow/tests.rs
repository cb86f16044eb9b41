use super::show;

const TOLD: &str = r#"[
    {"at":1.5,"shard":0,"operation":"GetItem","table":"a","nanoseconds":2500,"limit_nanoseconds":9,"stages":{"parse":500,"read":2000},"followers":[]},
    {"at":1.25,"shard":1,"operation":"PutItem","table":"b","nanoseconds":90000,"limit_nanoseconds":9,"stages":{"durable":90000},"followers":[{"node":2,"nanoseconds":3}]}
]"#;

#[test]
fn the_slowest_come_first() {
    let text = show(TOLD, 10, false).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[1].contains("90.0  PutItem") && lines[1].contains("durable 90.0"), "{text}");
    assert!(lines[2].contains("2.5  GetItem") && lines[2].contains("read 2.0, parse 0.5"), "{text}");
    assert_eq!(show(TOLD, 1, false).unwrap().lines().count(), 2);
    assert!(show("[]", 1, false).unwrap().contains("no request"));
    assert!(show("{}", 1, false).is_err());
}

#[test]
fn json_keeps_everything() {
    let all: Vec<serde_json::Value> = serde_json::from_str(&show(TOLD, 10, true).unwrap()).unwrap();
    assert_eq!(all[0]["followers"][0]["node"], 2);
    assert_eq!(all[1]["stages"]["read"], 2000);
}
