//! One value of an Arrow array as JSON.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowTemporalType, Date32Type, Date64Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType, PrimitiveArray};
use arrow_schema::{DataType, TimeUnit};
use paceline_model::limits;
use serde_json::{Map, Number, Value as Json};

/// The value at `at`. Moments, dates and times become text in ISO 8601 (a moment without a zone is taken for UTC), bytes
/// that are no text become hex digits, and what is nested becomes JSON.
pub(crate) fn json(array: &dyn Array, at: usize) -> Result<Json, String> {
    nested(array, at, limits::JSON_DEPTH_MAX)
}

fn nested(array: &dyn Array, at: usize, levels_left: usize) -> Result<Json, String> {
    if array.is_null(at) {
        return Ok(Json::Null);
    }
    let Some(below) = levels_left.checked_sub(1) else {
        return Err(format!("nested deeper than {} levels", limits::JSON_DEPTH_MAX));
    };
    match array.data_type() {
        DataType::List(_) => list(array.as_list::<i32>().value(at).as_ref(), below),
        DataType::LargeList(_) => list(array.as_list::<i64>().value(at).as_ref(), below),
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(at).as_ref(), below),
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let mut object = Map::new();
            for (field, column) in fields.iter().zip(columns) {
                object.insert(field.name().clone(), nested(column.as_ref(), at, below)?);
            }
            Ok(Json::Object(object))
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(at);
            let (keys, values) = (entries.column(0), entries.column(1));
            let mut object = Map::new();
            for entry in 0..entries.len() {
                let key = match nested(keys.as_ref(), entry, below)? {
                    Json::String(text) => text,
                    other => other.to_string(),
                };
                object.insert(key, nested(values.as_ref(), entry, below)?);
            }
            Ok(Json::Object(object))
        }
        _ => flat(array, at),
    }
}

fn list(items: &dyn Array, levels_left: usize) -> Result<Json, String> {
    (0..items.len()).map(|at| nested(items, at, levels_left)).collect()
}

fn flat(array: &dyn Array, at: usize) -> Result<Json, String> {
    Ok(match array.data_type() {
        DataType::Null => Json::Null,
        DataType::Boolean => array.as_boolean().value(at).into(),
        DataType::Int8 => whole::<Int8Type>(array, at),
        DataType::Int16 => whole::<Int16Type>(array, at),
        DataType::Int32 => whole::<Int32Type>(array, at),
        DataType::Int64 => whole::<Int64Type>(array, at),
        DataType::UInt8 => whole::<UInt8Type>(array, at),
        DataType::UInt16 => whole::<UInt16Type>(array, at),
        DataType::UInt32 => whole::<UInt32Type>(array, at),
        DataType::UInt64 => whole::<UInt64Type>(array, at),
        // Through its text: 0.1 as a float is 0.1, not 0.10000000149011612.
        DataType::Float32 => {
            double(array.as_primitive::<Float32Type>().value(at).to_string().parse())?
        }
        DataType::Float64 => double(Ok(array.as_primitive::<Float64Type>().value(at)))?,
        DataType::Decimal128(..) => {
            let text = array.as_primitive::<Decimal128Type>().value_as_string(at);
            match text.parse::<i64>() {
                Ok(whole) => whole.into(),
                Err(_) => double(text.parse())?,
            }
        }
        DataType::Utf8 => array.as_string::<i32>().value(at).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(at).into(),
        DataType::Binary => bytes(array.as_binary::<i32>().value(at)),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().value(at)),
        DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(at)),
        other => moment(other, array, at)?,
    })
}

fn moment(kind: &DataType, array: &dyn Array, at: usize) -> Result<Json, String> {
    let text = match kind {
        DataType::Date32 => {
            array.as_primitive::<Date32Type>().value_as_date(at).map(|date| date.to_string())
        }
        DataType::Date64 => {
            array.as_primitive::<Date64Type>().value_as_date(at).map(|date| date.to_string())
        }
        DataType::Time32(TimeUnit::Second) => time::<Time32SecondType>(array, at),
        DataType::Time32(_) => time::<Time32MillisecondType>(array, at),
        DataType::Time64(TimeUnit::Microsecond) => time::<Time64MicrosecondType>(array, at),
        DataType::Time64(_) => time::<Time64NanosecondType>(array, at),
        DataType::Timestamp(unit, _) => {
            let made = match unit {
                TimeUnit::Second => {
                    jiff::Timestamp::from_second(number::<TimestampSecondType>(array, at))
                }
                TimeUnit::Millisecond => {
                    jiff::Timestamp::from_millisecond(number::<TimestampMillisecondType>(array, at))
                }
                TimeUnit::Microsecond => {
                    jiff::Timestamp::from_microsecond(number::<TimestampMicrosecondType>(array, at))
                }
                TimeUnit::Nanosecond => {
                    jiff::Timestamp::from_nanosecond(i128::from(number::<TimestampNanosecondType>(
                        array, at,
                    )))
                }
            };
            made.ok().map(|made| made.to_string())
        }
        other => return Err(format!("values of the type {other} cannot be taken")),
    };
    text.map(Json::String).ok_or_else(|| "a date or time is out of range".to_owned())
}

fn number<T: ArrowPrimitiveType>(array: &dyn Array, at: usize) -> T::Native {
    array.as_primitive::<T>().value(at)
}

fn whole<T: ArrowPrimitiveType>(array: &dyn Array, at: usize) -> Json
where
    Json: From<T::Native>,
{
    number::<T>(array, at).into()
}

fn time<T: ArrowTemporalType>(array: &dyn Array, at: usize) -> Option<String>
where
    i64: From<T::Native>,
{
    let array: &PrimitiveArray<T> = array.as_primitive::<T>();
    array.value_as_time(at).map(|time| time.to_string())
}

/// A double; a whole one that is surely the one that was meant becomes a whole number.
fn double(parsed: Result<f64, std::num::ParseFloatError>) -> Result<Json, String> {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let number = parsed.map_err(|error| error.to_string())?;
    // What data frames write where nothing is.
    if number.is_nan() {
        return Ok(Json::Null);
    }
    let minus_zero = number == 0.0 && number.is_sign_negative();
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX && !minus_zero {
        return Ok(Json::from(number as i64));
    }
    Number::from_f64(number)
        .map(Json::Number)
        .ok_or_else(|| "a number is infinite; leave the cell empty instead".to_owned())
}

fn bytes(bytes: &[u8]) -> Json {
    std::str::from_utf8(bytes).map_or_else(|_| hex(bytes), Json::from)
}

fn hex(bytes: &[u8]) -> Json {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    Json::String(digits.collect())
}
