use super::{Action, Step, parse};

fn shown(step: &Step) -> String {
    let action = match &step.action {
        Action::Call(operation, input) => format!("{operation} {input}"),
        Action::Http(text) => format!("http {text}"),
        Action::Wait(table) => format!("wait {table}"),
        Action::Gone(table) => format!("gone {table}"),
    };
    format!("{}: {action} => {:?}", step.line, step.answers)
}

#[test]
fn a_script_has_tables_names_and_cases() {
    let script = parse(
        "x",
        "# A comment.\n\
         table t: p S, s N\n\
         let key \"p\":1\n\
         given PutItem {}\n\
         \n\
         case one\n\
         GetItem {\"a\":\n  1}\n\
         => {}\n\
         => header A: b\n\
         case[torc] two $1\n\
         given PutItem {}\n\
         wait $t\n\
         http GET /x\n  A: b\n\
         =>\n\
         | a | b\n\
         | c |\n",
    )
    .expect("it is well written");
    assert_eq!(script.tables, [("t".to_owned(), "p S, s N".to_owned())]);
    assert_eq!(script.lets["key"], "\"p\":1");
    assert_eq!(script.given.iter().map(shown).collect::<Vec<_>>(), ["4: PutItem {} => []"]);
    assert_eq!(script.cases.len(), 3);
    let one = &script.cases[0];
    assert_eq!((one.title().as_str(), one.only_torc), ("one", false));
    assert_eq!(
        one.steps.iter().map(shown).collect::<Vec<_>>(),
        ["7: GetItem {\"a\":\n  1} => [\"{}\", \"header A: b\"]"]
    );
    let three = &script.cases[2];
    assert_eq!((three.title().as_str(), three.only_torc), ("two $1 | c | ", true));
    assert_eq!(
        three.steps.iter().map(shown).collect::<Vec<_>>(),
        ["12: PutItem {} => []", "13: wait $t => []", "14: http GET /x\n  A: b => [\"\"]"]
    );
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for text in
        ["GetItem {}", "=> {}", "case a\n=> {}", "case a\nGetItem", "case a\nget {}", "| a", "table x"]
    {
        assert!(parse("x", text).is_err(), "{text}");
    }
}
