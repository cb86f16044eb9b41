//! Programs against a naive evaluator of trees, and against damage.

use super::*;
use crate::{
    expression::{
        Action, Comparator, Condition, Operand, Path, Projection, Segment, SetValue, Sign, Update, Wording,
        testing::show,
    },
    item::{ItemRef, Value},
    number::Number,
    testing::Chance,
};
use std::{cmp::Ordering, collections::BTreeMap, rc::Rc};

type Attributes = BTreeMap<String, Value>;

// A small world: few names, few values, so that things meet.

/// Chance, and values that are used again and again.
struct Draw {
    chance: Chance,
    shared: Vec<Rc<[u8]>>,
}

impl Draw {
    fn new(seed: u64) -> Draw {
        let mut draw = Draw { chance: Chance::new(seed), shared: Vec::new() };
        draw.shared = (0..8).map(|_| draw_value(&mut draw, 1).encode().into()).collect();
        draw
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.chance.below(bound)
    }

    fn next(&mut self) -> u64 {
        self.chance.next()
    }

    fn value(&mut self, depth: usize) -> Rc<[u8]> {
        match self.below(2) {
            0 => Rc::clone(&self.shared[self.chance.below(8) as usize]),
            _ => draw_value(self, depth).encode().into(),
        }
    }
}

fn draw_name(chance: &mut Draw) -> String {
    ["a", "b", "c", "d"][chance.below(4) as usize].to_string()
}

fn draw_path(chance: &mut Draw) -> Path {
    let mut segments = vec![Segment::Name(draw_name(chance))];
    while chance.below(3) == 0 {
        segments.push(match chance.below(2) {
            0 => Segment::Index(chance.below(4) as u32),
            _ => Segment::Name(draw_name(chance)),
        });
    }
    Path(segments)
}

fn draw_value(chance: &mut Draw, depth: usize) -> Value {
    let text = |chance: &mut Draw| ["", "x", "xy", "y"][chance.below(4) as usize].to_string();
    let number = |chance: &mut Draw| Number::from(chance.below(4) as i64 - 1);
    match chance.below(if depth == 0 { 8 } else { 12 }) {
        0 => Value::S(text(chance)),
        1 | 2 => Value::N(number(chance)),
        3 => Value::B(text(chance).into_bytes()),
        4 => Value::Bool(chance.below(2) == 0),
        5 => Value::Null,
        6 => Value::Ss([["x", "y"][chance.below(2) as usize].to_string(), "z".to_string()].into()),
        7 => Value::Ns([number(chance), number(chance)].into()),
        8 | 9 => Value::L((0..chance.below(4)).map(|_| draw_value(chance, depth - 1)).collect()),
        _ => Value::M(draw_attributes(chance, depth - 1)),
    }
}

fn draw_attributes(chance: &mut Draw, depth: usize) -> Attributes {
    (0..chance.below(4)).map(|_| (draw_name(chance), draw_value(chance, depth))).collect()
}

fn draw_operand(chance: &mut Draw) -> Operand {
    match chance.below(5) {
        0 | 1 => Operand::Path(draw_path(chance)),
        2 => Operand::Size(Box::new(Operand::Path(draw_path(chance)))),
        _ => Operand::Value(chance.value(1)),
    }
}

fn draw_condition(chance: &mut Draw, depth: usize) -> Condition {
    const COMPARATORS: [Comparator; 6] = [
        Comparator::Equal,
        Comparator::NotEqual,
        Comparator::Less,
        Comparator::LessOrEqual,
        Comparator::Greater,
        Comparator::GreaterOrEqual,
    ];
    let many = |chance: &mut Draw| (0..chance.below(4)).map(|_| draw_condition(chance, depth - 1)).collect();
    match chance.below(if depth == 0 { 9 } else { 14 }) {
        0 | 1 => {
            let comparator = COMPARATORS[chance.below(6) as usize];
            Condition::Compare(comparator, draw_operand(chance), draw_operand(chance))
        }
        2 => Condition::Between(draw_operand(chance), draw_operand(chance), draw_operand(chance)),
        3 => {
            Condition::In(draw_operand(chance), (0..chance.below(4)).map(|_| draw_operand(chance)).collect())
        }
        4 => Condition::Exists(draw_path(chance)),
        5 => Condition::NotExists(draw_path(chance)),
        6 => Condition::HasType(draw_path(chance), TYPE_NAMES[chance.below(10) as usize]),
        7 => Condition::BeginsWith(draw_operand(chance), draw_operand(chance)),
        8 => Condition::Contains(draw_operand(chance), draw_operand(chance)),
        9 | 10 => Condition::And(many(chance)),
        11 | 12 => Condition::Or(many(chance)),
        _ => Condition::Not(Box::new(draw_condition(chance, depth - 1))),
    }
}

fn draw_set_value(chance: &mut Draw, depth: usize) -> SetValue {
    let two = |chance: &mut Draw| Box::new([0; 2].map(|_| draw_set_value(chance, depth - 1)));
    match chance.below(if depth == 0 { 4 } else { 8 }) {
        0 | 1 => SetValue::Path(draw_path(chance)),
        2 | 3 => SetValue::Value(chance.value(1)),
        4 => SetValue::Arithmetic(Sign::Plus, two(chance)),
        5 => SetValue::Arithmetic(Sign::Minus, two(chance)),
        6 => SetValue::IfNotExists(draw_path(chance), Box::new(draw_set_value(chance, depth - 1))),
        _ => SetValue::ListAppend(two(chance)),
    }
}

/// Actions on paths that are not in each other's way.
fn draw_update(chance: &mut Draw) -> Update {
    let mut actions: Vec<Action> = Vec::new();
    for _ in 0..1 + chance.below(5) {
        let path = draw_path(chance);
        let action = match chance.below(6) {
            0..=2 => Action::Set(path, draw_set_value(chance, 2)),
            3 => Action::Remove(path),
            4 => Action::Add(path, chance.value(0)),
            _ => Action::Delete(path, chance.value(0)),
        };
        if actions.iter().all(|other| apart(other.path(), action.path())) {
            actions.push(action);
        }
    }
    Update { actions, ..Update::default() }
}

fn apart(one: &Path, two: &Path) -> bool {
    use Segment::{Index, Name};
    let difference = one.0.iter().zip(&two.0).find(|(one, two)| one != two);
    matches!(difference, Some((Name(_), Name(_)) | (Index(_), Index(_))))
}

// The naive evaluator: trees against trees, in the words of DynamoDB's documentation.

fn find<'v>(attributes: &'v Attributes, path: &Path) -> Option<&'v Value> {
    let mut found = attributes.get(path.top())?;
    for segment in &path.0[1..] {
        found = match (found, segment) {
            (Value::M(map), Segment::Name(name)) => map.get(name)?,
            (Value::L(list), Segment::Index(index)) => list.get(*index as usize)?,
            _ => return None,
        };
    }
    Some(found)
}

fn decode(encoded: &[u8]) -> Value {
    Value::from(crate::item::ValueRef::check(encoded).unwrap())
}

fn operand(attributes: &Attributes, operand_tree: &Operand) -> Option<Value> {
    match operand_tree {
        Operand::Path(path) => find(attributes, path).cloned(),
        Operand::Value(encoded) => Some(decode(encoded)),
        Operand::Size(inner) => {
            let size = match operand(attributes, inner)? {
                Value::S(text) => text.len(),
                Value::B(bytes) => bytes.len(),
                Value::M(map) => map.len(),
                Value::L(list) => list.len(),
                Value::Ss(set) => set.len(),
                Value::Ns(set) => set.len(),
                Value::Bs(set) => set.len(),
                Value::N(_) | Value::Bool(_) | Value::Null => return None,
            };
            Some(Value::N(Number::from(size as u64)))
        }
    }
}

fn order(left: &Option<Value>, right: &Option<Value>) -> Option<Ordering> {
    match (left.as_ref()?, right.as_ref()?) {
        (Value::S(left), Value::S(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Value::N(left), Value::N(right)) => Some(left.cmp(right)),
        (Value::B(left), Value::B(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn equal(left: &Option<Value>, right: &Option<Value>) -> bool {
    left.is_some() && left == right
}

fn naive(attributes: &Attributes, condition: &Condition) -> bool {
    let of = |tree: &Operand| operand(attributes, tree);
    match condition {
        Condition::And(all) => all.iter().all(|condition| naive(attributes, condition)),
        Condition::Or(any) => any.iter().any(|condition| naive(attributes, condition)),
        Condition::Not(condition) => !naive(attributes, condition),
        Condition::Compare(comparator, left, right) => {
            let (left, right) = (of(left), of(right));
            match comparator {
                Comparator::Equal => equal(&left, &right),
                Comparator::NotEqual => !equal(&left, &right),
                Comparator::Less => order(&left, &right) == Some(Ordering::Less),
                Comparator::Greater => order(&left, &right) == Some(Ordering::Greater),
                Comparator::LessOrEqual => order(&left, &right).is_some_and(Ordering::is_le),
                Comparator::GreaterOrEqual => order(&left, &right).is_some_and(Ordering::is_ge),
            }
        }
        Condition::Between(value, lower, upper) => {
            let value = of(value);
            order(&value, &of(lower)).is_some_and(Ordering::is_ge)
                && order(&value, &of(upper)).is_some_and(Ordering::is_le)
        }
        Condition::In(value, choices) => choices.iter().any(|choice| equal(&of(value), &of(choice))),
        Condition::Exists(path) => find(attributes, path).is_some(),
        Condition::NotExists(path) => find(attributes, path).is_none(),
        Condition::HasType(path, name) => {
            find(attributes, path).is_some_and(|value| value.type_name() == *name)
        }
        Condition::BeginsWith(value, prefix) => match (of(value), of(prefix)) {
            (Some(Value::S(value)), Some(Value::S(prefix))) => value.starts_with(&prefix),
            (Some(Value::B(value)), Some(Value::B(prefix))) => value.starts_with(&prefix),
            _ => false,
        },
        Condition::Contains(value, part) => match (of(value), of(part)) {
            (Some(Value::S(value)), Some(Value::S(part))) => value.contains(&part),
            (Some(Value::B(value)), Some(Value::B(part))) => {
                part.is_empty() || value.windows(part.len()).any(|window| window == part)
            }
            (Some(Value::Ss(set)), Some(Value::S(part))) => set.contains(&part),
            (Some(Value::Ns(set)), Some(Value::N(part))) => set.contains(&part),
            (Some(Value::Bs(set)), Some(Value::B(part))) => set.contains(&part),
            (Some(Value::L(list)), Some(part)) => list.contains(&part),
            _ => false,
        },
    }
}

fn naive_set_value(old: &Attributes, tree: &SetValue) -> Option<Value> {
    match tree {
        SetValue::Path(path) => find(old, path).cloned(),
        SetValue::Value(encoded) => Some(decode(encoded)),
        SetValue::Arithmetic(sign, operands) => {
            match (naive_set_value(old, &operands[0])?, naive_set_value(old, &operands[1])?) {
                (Value::N(left), Value::N(right)) if *sign == Sign::Plus => {
                    Some(Value::N(left.add(right).ok()?))
                }
                (Value::N(left), Value::N(right)) => Some(Value::N(left.sub(right).ok()?)),
                _ => None,
            }
        }
        SetValue::IfNotExists(path, default) => {
            find(old, path).cloned().or_else(|| naive_set_value(old, default))
        }
        SetValue::ListAppend(operands) => {
            match (naive_set_value(old, &operands[0])?, naive_set_value(old, &operands[1])?) {
                (Value::L(left), Value::L(right)) => Some(Value::L([left, right].concat())),
                _ => None,
            }
        }
    }
}

/// What a path becomes: None is an error, Some(None) is gone.
fn naive_result(old: &Attributes, action: &Action) -> Option<Option<Value>> {
    let found = find(old, action.path()).cloned();
    match action {
        Action::Set(_, value) => naive_set_value(old, value).map(Some),
        Action::Remove(_) => Some(None),
        Action::Add(_, encoded) => match (found, decode(encoded)) {
            (None, value @ (Value::N(_) | Value::Ss(_) | Value::Ns(_) | Value::Bs(_) | Value::L(_))) => {
                Some(Some(value))
            }
            (Some(Value::N(old)), Value::N(more)) => Some(Some(Value::N(old.add(more).ok()?))),
            (Some(Value::Ss(old)), Value::Ss(more)) => Some(Some(Value::Ss(&old | &more))),
            (Some(Value::Ns(old)), Value::Ns(more)) => Some(Some(Value::Ns(&old | &more))),
            _ => None,
        },
        Action::Delete(_, encoded) => match (found, decode(encoded)) {
            (None, _) => Some(None),
            (Some(Value::Ss(old)), Value::Ss(less)) => {
                let left = &old - &less;
                Some((!left.is_empty()).then_some(Value::Ss(left)))
            }
            (Some(Value::Ns(old)), Value::Ns(less)) => {
                let left = &old - &less;
                Some((!left.is_empty()).then_some(Value::Ns(left)))
            }
            _ => None,
        },
    }
}

/// Holes are cut out of lists when all else is done; appended elements wait beyond the end, by their index.
fn naive_update(old: &Attributes, update: &Update) -> Option<Attributes> {
    #[derive(Clone)]
    enum Node {
        Leaf(Value),
        Map(BTreeMap<String, Node>),
        List(BTreeMap<u32, Node>),
    }
    fn open(value: &Value) -> Node {
        match value {
            Value::M(map) => Node::Map(map.iter().map(|(name, value)| (name.clone(), open(value))).collect()),
            Value::L(list) => Node::List((0..).zip(list.iter().map(open)).collect()),
            other => Node::Leaf(other.clone()),
        }
    }
    fn close(node: Node) -> Value {
        match node {
            Node::Leaf(value) => value,
            Node::Map(map) => Value::M(map.into_iter().map(|(name, node)| (name, close(node))).collect()),
            Node::List(list) => Value::L(list.into_values().map(close).collect()),
        }
    }
    fn place(node: &mut Node, segments: &[Segment], new: Option<Value>) -> Option<()> {
        match (node, segments) {
            (Node::Map(map), [Segment::Name(name)]) => match new {
                Some(value) => drop(map.insert(name.clone(), open(&value))),
                None => drop(map.remove(name)),
            },
            (Node::List(list), [Segment::Index(index)]) => match new {
                Some(value) => drop(list.insert(*index, open(&value))),
                None => drop(list.remove(index)),
            },
            (Node::Map(map), [Segment::Name(name), rest @ ..]) => place(map.get_mut(name)?, rest, new)?,
            (Node::List(list), [Segment::Index(index), rest @ ..]) => place(list.get_mut(index)?, rest, new)?,
            _ => return None,
        }
        Some(())
    }
    let results: Option<Vec<_>> = update.actions.iter().map(|action| naive_result(old, action)).collect();
    let mut root = open(&Value::M(old.clone()));
    for (action, new) in update.actions.iter().zip(results?) {
        place(&mut root, &action.path().0, new)?;
    }
    let Value::M(attributes) = close(root) else { unreachable!("the root is a map") };
    Some(attributes)
}

// Programs and trees say the same.

#[test]
fn conditions_are_as_naive() {
    let mut chance = Draw::new(1);
    let mut counts = [0; 2];
    for round in 0..20_000 {
        let attributes = draw_attributes(&mut chance, 3);
        let bytes = Value::encode_item(&attributes);
        let condition = draw_condition(&mut chance, 3);
        let program = condition.encode();
        let program = ConditionProgram::check(&program).unwrap();
        let expected = naive(&attributes, &condition);
        let found = program.eval(Some(ItemRef::check(&bytes).unwrap()));
        assert_eq!(found, expected, "round {round}: {condition:?} on {}", show(&Value::M(attributes)));
        assert_eq!(program.eval(None), naive(&Attributes::new(), &condition), "round {round}: {condition:?}");
        counts[usize::from(found)] += 1;
    }
    assert!(counts.iter().all(|count| *count > 4000), "both answers are common: {counts:?}");
}

#[test]
fn updates_are_as_naive() {
    let mut chance = Draw::new(2);
    let mut counts = [0; 2];
    for round in 0..20_000 {
        let attributes = draw_attributes(&mut chance, 3);
        let bytes = Value::encode_item(&attributes);
        let old = ItemRef::check(&bytes).unwrap();
        let update = draw_update(&mut chance);
        let program = update.encode();
        let found = UpdateProgram::check(&program).unwrap().apply(Some(old), old).ok();
        let found = found.map(|updated| Value::attributes(ItemRef::check(&updated.item).unwrap()));
        let expected = naive_update(&attributes, &update);
        counts[usize::from(found.is_some())] += 1;
        assert_eq!(found, expected, "round {round}: {update:?} on {}", show(&Value::M(attributes)));
    }
    assert!(counts.iter().all(|count| *count > 2000), "both ends are common: {counts:?}");
}

// Damaged programs.

/// Whatever passes the check is evaluated without a panic.
fn evaluate(bytes: &[u8], item: ItemRef<'_>) -> usize {
    let condition = ConditionProgram::check(bytes).map(|program| program.eval(Some(item)) as u8);
    let projection = ProjectionProgram::check(bytes).map(|program| {
        let projected = program.project(item);
        ItemRef::check(&projected).unwrap();
    });
    let update = UpdateProgram::check(bytes).map(|program| {
        if let Ok(updated) = program.apply(Some(item), item) {
            ItemRef::check(&updated.item).unwrap();
            for parts in [updated.updated_new(), updated.updated_old(Some(item))].into_iter().flatten() {
                ItemRef::check(&parts).unwrap();
            }
        }
        drop(program.apply(None, item));
    });
    usize::from(condition.is_ok()) + usize::from(projection.is_ok()) + usize::from(update.is_ok())
}

fn draw_program(chance: &mut Draw) -> Vec<u8> {
    match chance.below(3) {
        0 => draw_condition(chance, 3).encode(),
        1 => draw_update(chance).encode(),
        _ => Projection { paths: (0..1 + chance.below(4)).map(|_| draw_path(chance)).collect() }.encode(),
    }
}

fn damage(chance: &mut Draw, bytes: &mut Vec<u8>) {
    let place = chance.below(bytes.len() as u64) as usize;
    match chance.below(5) {
        0 => bytes[place] ^= 1 << chance.below(8),
        1 => bytes[place] = chance.next() as u8,
        2 => bytes.truncate(place.max(1)),
        3 => drop(bytes.remove(place)),
        _ => bytes.insert(place, chance.next() as u8),
    }
    if bytes.is_empty() {
        bytes.push(0);
    }
}

#[test]
fn damaged_programs_are_refused_or_evaluated() {
    let mut chance = Draw::new(3);
    let mut passed = 0;
    for _ in 0..30_000 {
        let bytes = Value::encode_item(&draw_attributes(&mut chance, 3));
        let mut program = draw_program(&mut chance);
        for _ in 0..1 + chance.below(3) {
            damage(&mut chance, &mut program);
        }
        passed += evaluate(&program, ItemRef::check(&bytes).unwrap());
    }
    assert!(passed > 500, "some damage leaves a program: {passed}");
}

#[test]
fn random_bytes_are_refused_or_evaluated() {
    let mut chance = Draw::new(4);
    let bytes = Value::encode_item(&draw_attributes(&mut chance, 3));
    for round in 0..50_000 {
        let length = chance.below(40);
        let mut program = vec![1 + (round % 3) as u8, VERSION];
        program.extend((0..length).map(|_| match chance.below(3) {
            0 => 0,
            1 => chance.below(0x80) as u8,
            _ => chance.next() as u8,
        }));
        evaluate(&program, ItemRef::check(&bytes).unwrap());
    }
}

#[test]
fn paths_in_each_others_way_do_no_harm() {
    let path = |text: &str| {
        Path(
            text.split('.')
                .map(|name| match name.parse() {
                    Ok(index) => Segment::Index(index),
                    Err(_) => Segment::Name(name.to_string()),
                })
                .collect(),
        )
    };
    let item = crate::expression::testing::item("{a: {b: [1, 2]}, c: [{d: 1}]}");
    let item = ItemRef::check(&item).unwrap();
    for (one, two) in
        [("a", "a.b"), ("a.b", "a"), ("a.b", "a.0"), ("a.b.0", "a.b.c"), ("c.0", "c.0.d"), ("a.b.1", "a.b.1")]
    {
        let paths = vec![path(one), path(two)];
        assert_eq!(evaluate(&Projection { paths }.encode(), item), 1);
        let value: Rc<[u8]> = Value::N(Number::from(1i64)).encode().into();
        for second in [
            Action::Set(path(two), SetValue::Value(value.clone())),
            Action::Remove(path(two)),
            Action::Add(path(two), value.clone()),
        ] {
            for first in [Action::Set(path(one), SetValue::Value(value.clone())), Action::Remove(path(one))] {
                assert_eq!(
                    evaluate(
                        &Update { actions: vec![first, second.clone()], ..Update::default() }.encode(),
                        item
                    ),
                    1
                );
            }
        }
    }
}

// The check itself.

fn check_refused(bytes: &[u8], what: &str, offset: usize) {
    let corrupt = match bytes[0] {
        kind::UPDATE => UpdateProgram::check(bytes).unwrap_err(),
        kind::PROJECTION => ProjectionProgram::check(bytes).unwrap_err(),
        _ => ConditionProgram::check(bytes).unwrap_err(),
    };
    assert_eq!((corrupt.what, corrupt.offset), (what, offset), "{bytes:?}");
}

/// Old bytes: what docs/WIRE.md describes, written by hand. A change here is a new version.
#[test]
fn programs_are_as_described() {
    let name = |name: &str| Segment::Name(name.to_string());
    let a = Path::attribute("a");
    let b = Path(vec![name("b"), Segment::Index(258)]);
    let (path_a, path_b) = (b"\x01\x70\x01\0a".as_slice(), b"\x02\x70\x01\0b\x71\x02\x01\0\0".as_slice());
    let null: Rc<[u8]> = Value::Null.encode().into();
    let value = [&[0x41, null.len() as u8, 0, 0, 0], &null[..]].concat();

    let compare =
        Condition::Compare(Comparator::LessOrEqual, Operand::Path(a.clone()), Operand::Value(null.clone()));
    let choice =
        Condition::In(Operand::Size(Box::new(Operand::Path(b.clone()))), vec![Operand::Value(null.clone())]);
    let both = Condition::And(vec![Condition::Not(Box::new(compare)), choice]);
    let compare = [&[0x03, 0x13, 0x40], path_a, &value].concat();
    let choice = [&[1, 0, 0, 0, 0x42, 0x40], path_b, &[0x47, 20, 0, 0, 0]].concat();
    let choice = [&[0x17, choice.len() as u8, 0, 0, 0], &choice[..]].concat();
    let inner = [&[2, 0, 0, 0], &compare[..], &choice].concat();
    let expected = [&[1, 1, 0x01, inner.len() as u8, 0, 0, 0], &inner[..]].concat();
    assert_eq!(both.encode(), expected);

    let default = Box::new(SetValue::Path(a.clone()));
    let set = Action::Set(b.clone(), SetValue::IfNotExists(a.clone(), default));
    let update = Update { actions: vec![set, Action::Remove(a.clone())], wording: Wording::AttributeUpdates };
    let default = [&[0x40], path_a].concat();
    let set = [&[0x60], path_b, &[0x45], path_a, &[default.len() as u8, 0, 0, 0], &default].concat();
    let expected = [&[2, 1, 1, 2, 0, 0, 0], &set[..], &[0x61], path_a].concat();
    assert_eq!(update.encode(), expected);

    let projection = Projection { paths: vec![a, b] };
    assert_eq!(projection.encode(), [&[3, 1, 2, 0, 0, 0], path_a, path_b].concat());
}

#[test]
fn what_the_check_finds() {
    let good = Condition::Exists(Path::attribute("ab")).encode();
    assert_eq!(good, [1, 1, 0x20, 1, 0x70, 2, 0, b'a', b'b']);
    assert!(ConditionProgram::check(&good).is_ok());
    let with = |place: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[place] = byte;
        bytes
    };
    check_refused(&with(0, 9), "a program of another kind", 0);
    check_refused(&with(1, 2), "a program of an unknown version", 1);
    check_refused(&with(2, 0x7f), "an unknown condition", 2);
    check_refused(&with(3, 0), "a path of a wrong length", 3);
    check_refused(&with(3, 33), "a path of a wrong length", 3);
    check_refused(&with(4, 0x71), "an unknown segment", 4);
    check_refused(&with(5, 1), "bytes after the program", 8);
    check_refused(&with(5, 3), "the end of a program", 9);
    check_refused(&with(7, 0xff), "a name that is not UTF-8", 7);
    assert!(ConditionProgram::check(&[]).is_err());
    assert!(UpdateProgram::check(&good).is_err());
    check_refused(&[1, 1, 0x01, 9, 0, 0, 0, 0, 0, 0, 0], "a wrong length", 11);
    check_refused(&[1, 1, 0x01, 4, 0, 0, 0, 255, 255, 255, 255], "the end of a program", 11);
    check_refused(&[1, 1, 0x22, 1, 0x70, 1, 0, b'a', 10], "an unknown type", 8);
    check_refused(&[3, 1, 1, 0, 0, 0, 1, 0x72], "an unknown segment", 7);
    check_refused(&[2, 1, 0, 1, 0, 0, 0, 0x64], "an unknown action", 7);
    check_refused(&[2, 1, 2, 0, 0, 0, 0], "an unknown wording", 2);
    check_refused(&[1, 1, 0x10, 0x41, 1, 0, 0, 0, 6, 0x47, 5, 0, 0, 0], "the place of no value", 13);
    assert!(ConditionProgram::check(&[1, 1, 0x10, 0x41, 1, 0, 0, 0, 6, 0x47, 4, 0, 0, 0]).is_ok());
}

/// A text of 4096 bytes must not become a program of a gigabyte.
#[test]
fn a_value_is_written_once() {
    let large: Rc<[u8]> = Value::B(vec![7; 100_000]).encode().into();
    let choices = vec![Operand::Value(Rc::clone(&large)); 1000];
    let program = Condition::In(Operand::Path(Path::attribute("a")), choices).encode();
    assert!(program.len() < 110_000, "{} bytes", program.len());
    let actions =
        (0..500).map(|index| Action::Add(Path::attribute(&index.to_string()), Rc::clone(&large))).collect();
    let program = Update { actions, ..Update::default() }.encode();
    assert!(program.len() < 110_000, "{} bytes", program.len());
}

#[test]
fn depth_is_bounded() {
    let nots = |count: usize| {
        [&[kind::CONDITION, VERSION][..], &vec![tag::NOT; count], &[tag::EXISTS, 1, tag::NAME, 1, 0, b'a']]
            .concat()
    };
    assert!(ConditionProgram::check(&nots(300)).is_ok());
    check_refused(&nots(20_000), "conditions nested too deep", 2 + DEPTH_MAX);
    let sizes = [&[kind::CONDITION, VERSION, tag::EQUAL][..], &[tag::SIZE; 20_000]].concat();
    assert!(ConditionProgram::check(&sizes).is_err());
    let sums = [
        &[kind::UPDATE, VERSION, 0, 1, 0, 0, 0, tag::SET, 1, tag::NAME, 1, 0, b'a'][..],
        &[tag::PLUS; 20_000],
    ]
    .concat();
    assert!(UpdateProgram::check(&sums).is_err());
}
