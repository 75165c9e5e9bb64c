//! Values of every type of column from every vendor.

use paceline_clock::SimClock;
use paceline_lab::{AiConfig, AiDialect, ai_text};
use paceline_model::{ColumnType, RunStatus, Value};
use serde_json::{Value as Json, json};

use crate::support::{World, config, rate};

/// The value of the one cell of a column of this type.
fn asked(dialect: AiDialect, kind: ColumnType, options: &[&str], output: &Json) -> Value {
    SimClock::new().run(|clock| async move {
        let world = World::new(AiConfig::default(), &clock);
        let table = world.rows(1).await;
        let mut config = config(dialect, "Rate {{n}}");
        if !output.is_null() {
            config["output"] = output.clone();
        }
        let table = world.add(&table, kind, options, config, rate(&[], 1)).await.unwrap();
        let run = world.run(&table).await;
        let errors = world.errors(&table).await;
        assert_eq!(run.status, RunStatus::Completed, "{dialect:?} {kind:?}: {errors:?}");
        world.values(&table).await.remove(0)
    })
}

#[test]
fn a_text_column_gets_what_the_model_says() {
    for dialect in AiDialect::ALL {
        let value = asked(dialect, ColumnType::Text, &[], &Json::Null);
        assert_eq!(value, Value::Text(ai_text("Rate 1")), "{dialect:?}");
    }
}

#[test]
fn a_typed_column_asks_for_its_type_and_gets_it() {
    for dialect in AiDialect::ALL {
        let of = |kind, options: &[&str]| asked(dialect, kind, options, &Json::Null);
        for kind in [ColumnType::Number, ColumnType::Currency, ColumnType::Relation] {
            let value = of(kind, &[]);
            assert!(matches!(value, Value::Int(_) | Value::Number(_)), "{dialect:?} {value:?}");
        }
        assert!(matches!(of(ColumnType::Boolean, &[]), Value::Bool(_)), "{dialect:?}");
        match of(ColumnType::Select, &["large", "small"]) {
            Value::Text(text) => assert!(["large", "small"].contains(&text.as_str())),
            other => panic!("{dialect:?} {other:?}"),
        }
        match of(ColumnType::MultiSelect, &["large", "small"]) {
            Value::Json(Json::Array(items)) => assert_eq!(items.len(), 1),
            other => panic!("{dialect:?} {other:?}"),
        }
        assert!(matches!(of(ColumnType::Json, &[]), Value::Json(Json::Object(_))), "{dialect:?}");
    }
}

#[test]
fn a_json_column_gets_the_fields_or_the_schema_it_asks_for() {
    let fields = json!({"fields": {
        "size": {"type": "select", "options": ["large", "small"], "description": "how large"},
        "score": "number",
        "open": "boolean",
    }});
    let schema = json!({"schema": {
        "type": "object",
        "properties": {"names": {"type": "array", "items": {"type": "string", "maxLength": 5}}},
        "required": ["names"],
    }});
    for dialect in AiDialect::ALL {
        let value = asked(dialect, ColumnType::Json, &[], &fields).to_json();
        assert!(
            ["large", "small"].contains(&value["size"].as_str().unwrap()),
            "{dialect:?} {value}"
        );
        assert!(value["score"].is_number() && value["open"].is_boolean(), "{dialect:?} {value}");
        let value = asked(dialect, ColumnType::Json, &[], &schema).to_json();
        assert_eq!(value["names"][0].as_str().unwrap().len(), 5, "{dialect:?} {value}");
    }
}
