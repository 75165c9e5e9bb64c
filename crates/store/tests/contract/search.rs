//! Random rows, filters and orders: every store finds what the model finds, and pages show every row once, in order.

use paceline_model::{
    Column, ColumnType, Filter, NewTable, Operator, PathStep, Row, RowId, RowQuery, Sort, Store,
    Subject, Table, Test, Value,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};

use crate::backends::Home;
use crate::model::ModelRow;
use crate::support::column;

const TYPES: [ColumnType; 6] = [
    ColumnType::Text,
    ColumnType::Number,
    ColumnType::Boolean,
    ColumnType::Json,
    ColumnType::MultiSelect,
    ColumnType::Relation,
];

/// Text of few letters, so that things are alike; those that a database might trip over among them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[aAb0]{0,2}",
        1 => "[aA01%_\\\\\"'.\u{0}\u{1}\u{2}é\u{FDD0}\u{FDD1}\u{E000}\u{1F980}]{0,3}",
    ]
}

/// Numbers where whole ones and doubles lie close together.
fn number() -> impl Strategy<Value = Value> {
    let big = 1_i64 << 62;
    prop_oneof![
        4 => (-2..3_i64).prop_map(Value::Int),
        2 => (-4..5_i32).prop_map(|n| Value::Number(f64::from(n) / 2.0)),
        1 => (big - 2..big + 3).prop_map(Value::Int),
        1 => prop::sample::select(vec![2_f64.powi(62), 2_f64.powi(63), -2_f64.powi(63), 1e300, 2_f64.powi(53)])
            .prop_map(Value::Number),
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, (1 << 53) + 1]).prop_map(Value::Int),
    ]
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(|b| json!(b)),
        number().prop_map(|n| n.to_json()),
        text().prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| json!(items)),
            prop::collection::vec(("[a0.\"\\\\é]{0,2}", inner), 0..3)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

fn value(kind: ColumnType) -> BoxedStrategy<Value> {
    match kind {
        ColumnType::Number => number().boxed(),
        ColumnType::Boolean => any::<bool>().prop_map(Value::Bool).boxed(),
        ColumnType::Json => json_value()
            .prop_map(|json| if json.is_null() { Value::Null } else { Value::Json(json) })
            .boxed(),
        ColumnType::MultiSelect => {
            prop::collection::vec(text(), 0..3).prop_map(|items| Value::Json(json!(items))).boxed()
        }
        ColumnType::Relation => (-2..3_i64).prop_map(Value::Int).boxed(),
        _ => text().prop_map(Value::Text).boxed(),
    }
}

fn row() -> impl Strategy<Value = Vec<Value>> {
    TYPES
        .map(|kind| prop_oneof![1 => Just(Value::Null), 4 => value(kind)].boxed())
        .to_vec()
        .prop_map(|values: Vec<Value>| values)
}

fn path() -> impl Strategy<Value = Vec<PathStep>> {
    let step = prop_oneof![
        "[a0.\"\\\\é]{0,2}".prop_map(PathStep::Key),
        (0..3_usize).prop_map(PathStep::Index),
    ];
    prop::collection::vec(step, 1..3)
}

/// The operators that are held against values; a value is there to be compared by order.
fn operator(
    value: BoxedStrategy<Value>,
    ordered: bool,
    texts: bool,
    items: bool,
) -> BoxedStrategy<Operator> {
    let not_null = value.prop_filter("nothing is compared with null", |value| !value.is_null());
    let value = || not_null.clone();
    let mut all = vec![
        value().prop_map(Operator::Eq).boxed(),
        value().prop_map(Operator::Neq).boxed(),
        prop::collection::vec(value(), 0..4).prop_map(Operator::In).boxed(),
        any::<bool>().prop_map(Operator::IsNull).boxed(),
    ];
    if ordered {
        all.extend([
            value().prop_map(Operator::Gt).boxed(),
            value().prop_map(Operator::Gte).boxed(),
            value().prop_map(Operator::Lt).boxed(),
            value().prop_map(Operator::Lte).boxed(),
            (value(), value()).prop_map(|(first, last)| Operator::Between(first, last)).boxed(),
        ]);
    }
    if texts {
        all.push(text().prop_map(Operator::StartsWith).boxed());
    }
    if texts || items {
        all.extend([(); 3].map(|()| text().prop_map(Operator::Contains).boxed()));
    }
    prop::strategy::Union::new(all).boxed()
}

/// Tests of the columns, which are numbered from 0 here.
fn test() -> impl Strategy<Value = (usize, Vec<PathStep>, Operator)> {
    let whole = (0..TYPES.len()).prop_flat_map(|at| {
        let kind = TYPES[at];
        let ordered = matches!(kind, ColumnType::Text | ColumnType::Number | ColumnType::Relation);
        let items = kind == ColumnType::MultiSelect;
        (
            Just(at),
            Just(Vec::new()),
            operator(value(kind), ordered, kind == ColumnType::Text, items),
        )
    });
    let scalar = prop_oneof![number(), text().prop_map(Value::Text)].boxed();
    let flag = any::<bool>().prop_map(Value::Bool).boxed();
    let inside =
        prop_oneof![operator(scalar, true, true, false), operator(flag, false, false, false),];
    prop_oneof![3 => whole, 2 => (Just(3_usize), path(), inside)]
}

#[derive(Clone, Debug)]
enum Tree {
    Test(usize, Vec<PathStep>, Operator),
    All(Vec<Tree>),
    Any(Vec<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = test().prop_map(|(at, path, operator)| Tree::Test(at, path, operator));
    leaf.prop_recursive(2, 6, 3, |inner| {
        let several = prop::collection::vec(inner, 0..3);
        prop_oneof![several.clone().prop_map(Tree::All), several.prop_map(Tree::Any)]
    })
}

impl Tree {
    fn filter(&self, columns: &[Column]) -> Filter {
        let each = |trees: &[Self]| trees.iter().map(|tree| tree.filter(columns)).collect();
        match self {
            Self::All(trees) => Filter::All(each(trees)),
            Self::Any(trees) => Filter::Any(each(trees)),
            Self::Test(at, path, operator) => Filter::Test(Test {
                subject: Subject::Column(columns[*at].id),
                path: path.clone(),
                operator: operator.clone(),
            }),
        }
    }
}

/// Keys of an order: text, number, boolean, relation, the id, and their directions.
fn keys() -> impl Strategy<Value = Vec<(usize, bool)>> {
    let key = (prop::sample::select(vec![0, 1, 2, 5, 99]), any::<bool>());
    prop::collection::vec(key, 0..4)
}

fn sort(keys: &[(usize, bool)], columns: &[Column]) -> Vec<Sort> {
    let subject = |at: usize| columns.get(at).map_or(Subject::Id, |c| Subject::Column(c.id));
    let key =
        |(at, descending): &(usize, bool)| Sort { subject: subject(*at), descending: *descending };
    keys.iter().map(key).collect()
}

async fn make(store: &dyn Store) -> Table {
    let columns = TYPES.iter().map(|kind| column(kind.as_str(), *kind)).collect();
    let table = NewTable { name: "things".into(), description: String::new(), columns };
    store.create_table(table).await.unwrap()
}

async fn pages(
    store: &dyn Store,
    table: &Table,
    filter: &Filter,
    sort: &[Sort],
    limit: usize,
) -> Vec<RowId> {
    let mut query = RowQuery {
        columns: table.columns.iter().map(|column| column.id).collect(),
        filter: Some(filter.clone()),
        sort: sort.to_vec(),
        limit,
        ..RowQuery::of(table.id)
    };
    let mut ids = Vec::new();
    loop {
        let page = store.rows(query.clone()).await.unwrap();
        ids.extend(page.iter().map(|row| row.id));
        let Some(last) = page.last().filter(|_| page.len() == limit) else { return ids };
        query.after = last.id;
        query.after_keys = ModelRow { table, row: last }.keys(sort);
    }
}

fn wanted(table: &Table, rows: &[Row], filter: &Filter, sort: &[Sort]) -> Vec<RowId> {
    let rows = rows.iter().map(|row| ModelRow { table, row });
    let mut passed: Vec<ModelRow<'_>> = rows.filter(|row| row.passes(filter)).collect();
    passed.sort_by(|one, other| one.order(other, sort));
    passed.iter().map(|row| row.row.id).collect()
}

/// What the filter says of the rows without any database, as the condition of a smart column does.
fn in_memory(table: &Table, rows: &[Row], filter: &Filter) -> Vec<RowId> {
    let passing = rows.iter().filter(|row| filter.passes(&ModelRow { table, row }));
    passing.map(|row| row.id).collect()
}

fn sorted(mut ids: Vec<RowId>) -> Vec<RowId> {
    ids.sort_unstable();
    ids
}

#[test]
fn every_store_finds_and_orders_what_the_model_does() {
    for home in Home::each() {
        println!("backend: {}", home.name);
        let cases = if home.database.is_some() { 30 } else { 60 };
        let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = home.open(paceline_clock::Clock::system());
        let table = runtime.block_on(make(store.as_ref()));
        let ids: Vec<_> = table.columns.iter().map(|column| column.id).collect();
        let searches = prop::collection::vec((tree(), keys(), 1..9_usize), 16);
        let input = (prop::collection::vec(row(), 0..25), searches);
        let ran = TestRunner::new(config).run(&input, |(rows, searches)| {
            runtime.block_on(async {
                store.delete_rows(table.id, Filter::All(vec![])).await.unwrap();
                store.insert_rows(table.id, &ids, rows).await.unwrap();
                let query = RowQuery { columns: ids.clone(), ..RowQuery::of(table.id) };
                let rows = store.rows(query).await.unwrap();
                for (tree, keys, limit) in searches {
                    let filter = tree.filter(&table.columns);
                    let sort = sort(&keys, &table.columns);
                    let wanted = wanted(&table, &rows, &filter, &sort);
                    let found = pages(store.as_ref(), &table, &filter, &sort, limit).await;
                    prop_assert_eq!(&found, &wanted, "{:?} {:?}", &filter, &sort);
                    prop_assert_eq!(
                        in_memory(&table, &rows, &filter),
                        sorted(found),
                        "{:?}",
                        &filter
                    );
                    let count = store.count_rows(table.id, Some(filter)).await.unwrap();
                    prop_assert_eq!(count, wanted.len() as u64);
                }
                Ok(())
            })
        });
        if let Err(error) = ran {
            panic!("{error}");
        }
    }
}
