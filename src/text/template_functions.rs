//! What transformers gives to chat templates and plain Jinja does not have.

use minijinja::{
    Error, ErrorKind, Output, State,
    value::{Kwargs, Value, ValueKind},
};
use serde_json::Value as Json;
use std::fmt;

/// Marks the errors of `raise_exception` among others.
#[derive(Debug)]
struct Refusal(String);
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for Refusal {}

/// `raise_exception(message)`: the template refuses the conversation.
pub(super) fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Refusal(message)))
}

/// The message of `raise_exception`, if that is where the error comes from.
pub(super) fn refusal(error: &Error) -> Option<&str> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(Refusal(message)) = error.downcast_ref() {
            return Some(message);
        }
        source = error.source();
    }
    None
}

/// Prints as Python does: `True`, `False`, `None`.
pub(super) fn format_as_python(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let name = match bool::try_from(value.clone()) {
        Ok(true) => "True",
        Ok(false) => "False",
        Err(_) if value.is_none() => "None",
        Err(_) => return minijinja::escape_formatter(out, state, value),
    };
    out.write_str(name).map_err(|_| Error::new(ErrorKind::WriteFailure, "writing the rendered text"))
}

/// Python's notion of it: strings are, `None` is not.
pub(super) fn is_iterable(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map | ValueKind::Iterable)
}

/// Python's `json.dumps`, with non-ASCII characters as they are unless `ensure_ascii`.
pub(super) fn tojson(value: Value, options: Kwargs) -> Result<String, Error> {
    let bad = |message: String| Error::new(ErrorKind::InvalidOperation, message);
    if value.is_undefined() {
        return Err(bad("tojson of an undefined value".to_owned()));
    }
    let json = serde_json::to_value(&value).map_err(|e| bad(format!("tojson: {e}")))?;
    let indent = match options.get::<Option<Value>>("indent")? {
        None => None,
        Some(v) if v.is_none() => None,
        Some(v) => match (v.as_str(), v.as_usize()) {
            (Some(text), _) => Some(text.to_owned()),
            (None, Some(n)) => Some(" ".repeat(n.min(64))),
            _ => return Err(bad(format!("tojson: indent is {v}"))),
        },
    };
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    let (item, key) = match separators.as_deref() {
        Some([item, key]) => (item.as_str(), key.as_str()),
        Some(_) => return Err(bad("tojson: separators must be two strings".to_owned())),
        None => (if indent.is_some() { "," } else { ", " }, ": "),
    };
    let ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    let sort = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    options.assert_all_used()?;
    let mut out = String::new();
    Dump { item, key, indent: indent.as_deref(), ascii, sort }.value(&json, 0, &mut out);
    Ok(out)
}

/// How JSON is written.
struct Dump<'a> {
    item: &'a str,
    key: &'a str,
    indent: Option<&'a str>,
    ascii: bool,
    sort: bool,
}

impl Dump<'_> {
    fn value(&self, value: &Json, depth: usize, out: &mut String) {
        match value {
            Json::Array(items) if items.is_empty() => out.push_str("[]"),
            Json::Object(entries) if entries.is_empty() => out.push_str("{}"),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    self.next_line(i, depth + 1, out);
                    self.value(item, depth + 1, out);
                }
                self.last_line(depth, out);
                out.push(']');
            }
            Json::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                if self.sort {
                    entries.sort_by_key(|e| e.0);
                }
                out.push('{');
                for (i, (key, value)) in entries.into_iter().enumerate() {
                    self.next_line(i, depth + 1, out);
                    self.string(key, out);
                    out.push_str(self.key);
                    self.value(value, depth + 1, out);
                }
                self.last_line(depth, out);
                out.push('}');
            }
            Json::String(text) => self.string(text, out),
            other => out.push_str(&other.to_string()),
        }
    }

    fn next_line(&self, index: usize, depth: usize, out: &mut String) {
        if index > 0 {
            out.push_str(self.item);
        }
        self.last_line(depth, out);
    }

    fn last_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            (0..depth).for_each(|_| out.push_str(indent));
        }
    }

    fn string(&self, text: &str, out: &mut String) {
        let quoted = Json::from(text).to_string();
        if !self.ascii {
            // Python writes U+007F as it is, and so does serde_json.
            return out.push_str(&quoted);
        }
        for c in quoted.chars() {
            if c.is_ascii() {
                out.push(c);
            } else {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
        }
    }
}

/// Replaces the tags `{% generation %}` and `{% endgeneration %}`, by which transformers marks the assistant's words
/// in training, by tags of no effect with the same white space control.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        // After the opening: in `{%}` the two overlap.
        let Some(end) = tag[2..].find("%}").map(|at| at + 2) else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(end + 2);
        let inner = tag[2..end].trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
        match inner {
            "generation" => out.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endif")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Seconds since 1970 in UTC.
pub(super) fn now() -> i64 {
    #[cfg(target_arch = "wasm32")]
    {
        (js_sys::Date::now() / 1000.0) as i64
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |t| t.as_secs() as i64)
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Python's `strftime` of a time in seconds since 1970, with English names.
pub(super) fn strftime(time: i64, format: &str) -> Result<String, Error> {
    let (days, second) = (time.div_euclid(86_400), time.rem_euclid(86_400));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // Days are counted in eras of 400 years that begin on 1 March, so that leap days come last
    // (H. Hinnant, "chrono-compatible low-level date algorithms").
    let day = days + 719_468;
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let day_in_year = if month > 2 { day_of_year + 60 + i64::from(leap) } else { day_of_year - 305 };
    let weekday = DAYS[(days + 4).rem_euclid(7) as usize];
    let month_name = MONTHS[(month - 1) as usize];
    let hour12 = (hour + 11) % 12 + 1;

    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut code = chars.next();
        let plain = code == Some('-');
        if plain {
            code = chars.next();
        }
        let number = |n: i64, width: usize| if plain { n.to_string() } else { format!("{n:0width$}") };
        let text = match code {
            Some('Y') => number(year, 4),
            Some('y') => number(year.rem_euclid(100), 2),
            Some('m') => number(month, 2),
            Some('d') => number(day_of_month, 2),
            Some('e') => format!("{day_of_month:>2}"),
            Some('j') => number(day_in_year, 3),
            Some('H') => number(hour, 2),
            Some('I') => number(hour12, 2),
            Some('M') => number(minute, 2),
            Some('S') => number(second, 2),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            Some('B') => month_name.to_owned(),
            Some('b' | 'h') => month_name[..3].to_owned(),
            Some('A') => weekday.to_owned(),
            Some('a') => weekday[..3].to_owned(),
            Some('F') => format!("{year:04}-{month:02}-{day_of_month:02}"),
            Some('T') => format!("{hour:02}:{minute:02}:{second:02}"),
            Some('D') => format!("{month:02}/{day_of_month:02}/{:02}", year.rem_euclid(100)),
            Some('Z') => "UTC".to_owned(),
            Some('z') => "+0000".to_owned(),
            Some('n') => "\n".to_owned(),
            Some('t') => "\t".to_owned(),
            Some('%') => "%".to_owned(),
            other => {
                let code = other.map_or_else(String::new, String::from);
                return Err(Error::new(ErrorKind::InvalidOperation, format!("strftime_now: %{code} is not known")));
            }
        };
        out.push_str(&text);
    }
    Ok(out)
}
