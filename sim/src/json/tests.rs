use super::*;

#[test]
fn items_are_read() {
    let text = r#"{"Item":{"p":{"S":"a\"\u00e4\n"},"v":{"N":"12"},"l":{"L":[{"NULL":true},{"BOOL":false}]}}, "x" : [ ] }"#;
    let json = Json::read(text).unwrap();
    let item = json.get("Item").unwrap();
    assert_eq!((item.s("p"), item.n("v")), (Some("a\"ä\n"), Some(12)));
    assert_eq!(item.get("l").unwrap().get("L").unwrap().list().len(), 2);
    assert_eq!(json.get("x"), Some(&Json::List(Vec::new())));
    assert_eq!((item.n("p"), item.s("v"), item.get("none")), (None, None, None));
}

#[test]
fn what_is_no_json_is_refused() {
    for text in ["", "{", "[1,]", "{\"a\" 1}", "\"a", "{}x", "{\"a\":}", &"[".repeat(100)] {
        assert_eq!(Json::read(text), None, "{text}");
    }
}
