use super::*;

/// Reads any value and writes it back in one canonical spelling.
fn echo(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Malformed> {
    match reader.peek()? {
        Kind::Null => {
            reader.null()?;
            out.push_str("null");
        }
        Kind::True | Kind::False => out.push_str(if reader.boolean()? { "true" } else { "false" }),
        Kind::Number => out.push_str(reader.number()?),
        Kind::String => out.push_str(&format!("{:?}", reader.string()?)),
        Kind::Array => {
            reader.begin_array()?;
            out.push('[');
            while reader.next_element()? {
                echo(reader, out)?;
                out.push(';');
            }
            out.push(']');
        }
        Kind::Object => {
            reader.begin_object()?;
            out.push('{');
            while let Some(key) = reader.next_key()? {
                out.push_str(&format!("{key:?}="));
                echo(reader, out)?;
                out.push(';');
            }
            out.push('}');
        }
    }
    Ok(())
}

fn read(input: &[u8]) -> Result<String, Malformed> {
    let mut reader = Reader::over(input)?;
    let mut out = String::new();
    echo(&mut reader, &mut out)?;
    reader.end()?;
    // Skipping takes exactly what reading takes.
    let mut skipper = Reader::over(input)?;
    skipper.skip()?;
    skipper.end()?;
    Ok(out)
}

fn check(input: &str, expected: &str) {
    assert_eq!(read(input.as_bytes()).as_deref(), Ok(expected), "reading {input}");
}

fn refused(input: &[u8], offset: usize) {
    assert_eq!(read(input), Err(Malformed { offset }), "reading {}", String::from_utf8_lossy(input));
    let skipped = Reader::over(input).and_then(|mut reader| reader.skip().and_then(|()| reader.end()));
    assert_eq!(skipped, Err(Malformed { offset }), "skipping {}", String::from_utf8_lossy(input));
}

#[test]
fn values() {
    check("null", "null");
    check(" \t\r\n true \n", "true");
    check("false", "false");
    check("[]", "[]");
    check("[ ]", "[]");
    check("{}", "{}");
    check("{ }", "{}");
    check("[1,2 , 3]", "[1;2;3;]");
    check("[[],[[]],{}]", "[[];[[];];{};]");
    check(r#"{"a":1,"b":[true,{"c":null}]}"#, r#"{"a"=1;"b"=[true;{"c"=null;};];}"#);
    check(r#"{"a":1,"a":2}"#, r#"{"a"=1;"a"=2;}"#);
    check(r#"{"":""}"#, r#"{""="";}"#);
}

#[test]
fn numbers_keep_their_spelling() {
    for number in ["0", "-0", "1", "10", "-12.50", "1e5", "1E+5", "0.1e-7", "123456789012345678901234567890"]
    {
        check(number, number);
    }
    refused(b"01", 1);
    refused(b"-", 1);
    refused(b"1.", 2);
    refused(b".5", 0);
    refused(b"1e", 2);
    refused(b"1e+", 3);
    refused(b"+1", 0);
    refused(b"NaN", 0);
    refused(b"0x1", 1);
}

#[test]
fn strings_and_escapes() {
    check(r#""plain""#, r#""plain""#);
    check(r#""a\"b\\c\/d""#, r#""a\"b\\c/d""#);
    check(r#""\b\f\n\r\t""#, r#""\u{8}\u{c}\n\r\t""#);
    check(r#""\u0041\u00e9\u20AC""#, r#""Aé€""#);
    check(r#""\ud83d\ude00""#, r#""😀""#);
    check(r#""\u0000""#, r#""\0""#);
    check("\"\u{7f}\u{20ac}😀\"", "\"\\u{7f}€😀\"");
    check(r#""x\n""#, r#""x\n""#);
    refused(br#""a"#, 2);
    refused(br#""\"#, 2);
    refused(br#""\x""#, 2);
    refused(br#""\u12""#, 5);
    refused(br#""\u12G4""#, 5);
    refused(br#""\ud83d""#, 7);
    refused(br#""\ud83dx""#, 7);
    refused(br#""\ud83d\n""#, 8);
    refused(br#""\ud83d\u0041""#, 13);
    refused(br#""\ude00""#, 7);
    refused(b"\"a\nb\"", 2);
    refused(b"\"\x00\"", 1);
    refused(b"\"\x1f\"", 1);
}

#[test]
fn borrows_what_it_can() {
    assert!(matches!(Reader::new(r#""plain""#).string(), Ok(Cow::Borrowed("plain"))));
    assert!(matches!(Reader::new(r#""pl\u0061in""#).string(), Ok(Cow::Owned(text)) if text == "plain"));
}

#[test]
fn invalid_utf8_is_refused_at_its_place() {
    refused(b"\"a\xff\"", 2);
    refused(b"\"\xc0\x80\"", 1);
    refused(b"\"\xed\xa0\x80\"", 1);
    refused(b"[\"ok\"]\xfe", 6);
}

#[test]
fn structure_errors() {
    refused(b"", 0);
    refused(b"   ", 3);
    refused(b"[", 1);
    refused(b"[1", 2);
    refused(b"[1,", 3);
    refused(b"[1,]", 3);
    refused(b"[,1]", 1);
    refused(b"[1 2]", 3);
    refused(b"[1}", 2);
    refused(b"{", 1);
    refused(br#"{"a""#, 4);
    refused(br#"{"a":"#, 5);
    refused(br#"{"a":1"#, 6);
    refused(br#"{"a":1,"#, 7);
    refused(br#"{"a":1,}"#, 7);
    refused(br#"{"a" 1}"#, 5);
    refused(b"{a:1}", 1);
    refused(b"{1:1}", 1);
    refused(b"null null", 5);
    refused(b"nul", 0);
    refused(b"truE", 0);
    refused(b"'a'", 0);
    refused(b"[1]//", 3);
}

#[test]
fn depth_is_bounded() {
    let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert!(read(&deep(DEPTH_MAX)).is_ok());
    refused(&deep(DEPTH_MAX + 1), DEPTH_MAX);
    refused(&deep(1_000_000), DEPTH_MAX);
    let objects = "{\"a\":".repeat(1_000_000);
    refused(objects.as_bytes(), DEPTH_MAX * 5);
}

/// Whatever random changes make of a document, this parser and serde_json agree on whether it is one.
#[test]
fn agrees_with_another_parser() {
    let mut seed = 3u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits") % below
    };
    let whole =
        r#" {"a":[1,-2.50,0,true,false,null,{"b":"x\n\u00e9\ud83d\ude00€"}],"c":{"":[[]]},"d":"\"\\/"} "#;
    let alphabet = b"{}[]\",:\\ /01.-untrfalsx\n\x01\xc3\xa9\xffdD8";
    let mut accepted = 0;
    for _ in 0..100_000 {
        let mut bytes = whole.as_bytes().to_vec();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] = alphabet[random(alphabet.len())],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, alphabet[random(alphabet.len())]),
            }
        }
        let ours = read(&bytes).is_ok();
        let theirs = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(&bytes));
        accepted += u32::from(ours);
    }
    assert!(accepted > 5000, "only {accepted} of the changed documents were JSON");
}

/// `taken` is the string, or nothing when the value must be read the long way.
fn check_tagged(input: &str, taken: Option<&str>) {
    let mut reader = Reader::new(input);
    let found = reader.tagged_string(b"SN");
    assert_eq!(found.map(|(_, text)| text), taken, "{input}");
    let mut whole = Reader::new(input);
    match taken {
        Some(_) => {
            whole.skip().expect("it is a value");
            assert_eq!(reader.offset(), whole.offset(), "{input}");
        }
        None => {
            whole.skip_space();
            assert_eq!(reader.offset(), whole.offset(), "{input}");
        }
    }
}

#[test]
fn values_of_the_usual_form_are_taken_at_once() {
    check_tagged(r#"{"S":"a"}"#, Some("a"));
    check_tagged(r#" {"S": "grüße"}, "#, Some("grüße"));
    check_tagged(r#"{"N":"-1.5"}}"#, Some("-1.5"));
    check_tagged(r#"{"S":""}"#, Some(""));
    for other in [
        r#"{"S":"a\n"}"#,
        r#"{"S":"a" }"#,
        r#"{"S":  "a"}"#,
        r#"{ "S":"a"}"#,
        r#"{"S":"a","N":"1"}"#,
        r#"{"B":"AA=="}"#,
        r#"{"SS":["a"]}"#,
        r#"{"S":1}"#,
        r#"{"S":"a"#,
        r#"{"S":"#,
        "{\"S\":\"a\u{1}\"}",
        "null",
        "",
    ] {
        check_tagged(other, None);
    }
}

#[test]
fn a_value_of_the_usual_form_is_no_deeper_than_others() {
    let nested = |levels: usize| "[".repeat(levels) + r#"{"S":"a"}"#;
    for (levels, taken) in [(DEPTH_MAX - 1, true), (DEPTH_MAX, false)] {
        let text = nested(levels);
        let mut reader = Reader::new(&text);
        (0..levels).for_each(|_| {
            reader.begin_array().expect("not too deep");
            reader.next_element().expect("there is one");
        });
        assert_eq!(reader.tagged_string(b"S").is_some(), taken, "{levels} levels");
    }
}
