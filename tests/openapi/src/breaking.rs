//! What of one document breaks the clients of another.
//!
//! Under `/v1` things are only added. What a client sends may become more, never less: so types, enumerations and
//! limits of requests only widen. What a client gets may become more, too, but each field that was there stays, as
//! what it was.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What a client of `old` would stumble over in `new`, place by place.
pub fn breaking(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison { old, new, found: vec![], entered: BTreeSet::new() };
    comparison.paths();
    comparison.found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    found: Vec<String>,
    /// The pairs of references that are being compared: schemas may contain themselves.
    entered: BTreeSet<(String, String)>,
}

/// The fields of an object; none of what is not there.
fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn texts(value: &Value) -> BTreeSet<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let target =
        value.get("$ref").and_then(Value::as_str).and_then(|reference| document.pointer(&reference[1..]));
    target.map_or(value, |target| resolve(document, target))
}

impl<'a> Comparison<'a> {
    fn say(&mut self, place: &str, what: impl std::fmt::Display) {
        self.found.push(format!("{place}: {what}"));
    }

    fn paths(&mut self) {
        let (old, new) = (self.old, self.new);
        for (path, item) in fields(&old["paths"]) {
            for (method, operation) in fields(item) {
                let place = format!("{} {path}", method.to_uppercase());
                match new["paths"][path].get(method) {
                    Some(now) => self.operation(&place, operation, now),
                    None => self.say(&place, "is gone"),
                }
            }
        }
    }

    fn operation(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        if old["operationId"] != new["operationId"] {
            self.say(
                place,
                format_args!("was called {} and is called {}", old["operationId"], new["operationId"]),
            );
        }
        // There may be more ways in; none may be closed.
        if let Some(security) = new.get("security") {
            let ways = |operation: &'a Value| operation["security"].as_array().into_iter().flatten();
            let open = |way: &Value| ways(new).any(|new| new == way);
            if old.get("security").is_none() || !ways(old).all(open) {
                self.say(place, format_args!("now takes {security}"));
            }
        }
        self.parameters(place, old, new);
        self.request(place, &old["requestBody"], &new["requestBody"]);
        for (status, response) in fields(&old["responses"]) {
            let place = format!("{place} {status}");
            match new["responses"].get(status) {
                Some(now) => self.answer(&place, resolve(self.old, response), resolve(self.new, now)),
                None => self.say(&place, "is gone"),
            }
        }
    }

    fn parameters(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        let list = |document: &'a Value, operation: &'a Value| {
            let all = operation["parameters"].as_array().into_iter().flatten();
            all.map(|one| resolve(document, one)).collect::<Vec<_>>()
        };
        let (old, new) = (list(self.old, old), list(self.new, new));
        let same = |a: &Value, b: &Value| a["name"] == b["name"] && a["in"] == b["in"];
        for parameter in &old {
            let place = format!("{place} {}", parameter["name"]);
            match new.iter().find(|now| same(now, parameter)) {
                Some(now) => self.schema(&place, &parameter["schema"], &now["schema"], Direction::Request),
                None => self.say(&place, "is gone"),
            }
        }
        for parameter in new {
            let before = old.iter().find(|before| same(before, parameter));
            if parameter["required"] == true && before.is_none_or(|before| before["required"] != true) {
                self.say(place, format_args!("the parameter {} is required", parameter["name"]));
            }
        }
    }

    fn request(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        if new["required"] == true && old["required"] != true {
            self.say(place, "a body is required");
        }
        for (kind, media) in fields(&old["content"]) {
            match new["content"].get(kind) {
                Some(now) => self.schema(place, &media["schema"], &now["schema"], Direction::Request),
                None => self.say(place, format_args!("takes no {kind}")),
            }
        }
    }

    fn answer(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        for (name, _) in fields(&old["headers"]) {
            if new["headers"].get(name).is_none() {
                self.say(place, format_args!("the header {name} is gone"));
            }
        }
        for (kind, media) in fields(&old["content"]) {
            match new["content"].get(kind) {
                Some(now) => self.schema(place, &media["schema"], &now["schema"], Direction::Answer),
                None => self.say(place, format_args!("does not come as {kind}")),
            }
        }
    }

    fn schema(&mut self, place: &str, old: &'a Value, new: &'a Value, direction: Direction) {
        let pair = (old["$ref"].to_string(), new["$ref"].to_string());
        let named = old.get("$ref").is_some();
        if named && !self.entered.insert(pair.clone()) {
            return;
        }
        let (before, after) = (resolve(self.old, old), resolve(self.new, new));
        self.kinds(place, before, after, direction);
        self.alternatives(place, before, after, direction);
        match direction {
            Direction::Request => self.limits(place, before, after),
            Direction::Answer => {}
        }
        self.properties(place, before, after, direction);
        if let (Some(old), Some(new)) = (before.get("items"), after.get("items")) {
            self.schema(&format!("{place}[]"), old, new, direction);
        }
        if named {
            self.entered.remove(&pair);
        }
    }

    /// Types, and the values of enumerations.
    fn kinds(&mut self, place: &str, old: &'a Value, new: &'a Value, direction: Direction) {
        let types = |schema: &'a Value| match &schema["type"] {
            Value::String(one) => BTreeSet::from([one.as_str()]),
            several => texts(several),
        };
        let (before, after) = (types(old), types(new));
        let broken = match direction {
            // No type is any type.
            Direction::Request => !after.is_empty() && (before.is_empty() || !before.is_subset(&after)),
            Direction::Answer => !before.is_empty() && (after.is_empty() || !after.is_subset(&before)),
        };
        if broken {
            self.say(place, format_args!("was {} and is {}", old["type"], new["type"]));
        }
        // Clients are told that answers may name new values.
        if direction == Direction::Request
            && let Some(values) = new["enum"].as_array()
        {
            match old["enum"].as_array() {
                None => self.say(place, "takes fewer values"),
                Some(before) => {
                    let gone: Vec<_> = before.iter().filter(|value| !values.contains(value)).collect();
                    if !gone.is_empty() {
                        self.say(place, format_args!("does not take {gone:?}"));
                    }
                }
            }
        }
    }

    fn alternatives(&mut self, place: &str, old: &'a Value, new: &'a Value, direction: Direction) {
        for name in ["oneOf", "anyOf", "allOf"] {
            let list = |schema: &'a Value| schema[name].as_array().map_or(&[][..], Vec::as_slice);
            let (before, after) = (list(old), list(new));
            let fewer = after.len() < before.len();
            let more = after.len() > before.len();
            // Every part of `allOf` narrows; every part of the others widens.
            let broken = match (direction, name) {
                (Direction::Request, "allOf") | (Direction::Answer, "oneOf" | "anyOf") => more,
                _ => fewer,
            };
            if broken {
                self.say(
                    place,
                    format_args!("the parts of {name} were {} and are {}", before.len(), after.len()),
                );
            }
            for (index, (old, new)) in before.iter().zip(after).enumerate() {
                self.schema(&format!("{place}<{index}>"), old, new, direction);
            }
        }
    }

    /// What a request may be at most and at least.
    fn limits(&mut self, place: &str, old: &'a Value, new: &'a Value) {
        for (name, at_most) in [
            ("maximum", true),
            ("maxLength", true),
            ("maxItems", true),
            ("minimum", false),
            ("minLength", false),
            ("minItems", false),
        ] {
            let Some(now) = new[name].as_f64() else { continue };
            let narrower = match old[name].as_f64() {
                // Nothing is shorter than nothing.
                None => at_most || now > 0.0,
                Some(before) => {
                    if at_most {
                        now < before
                    } else {
                        now > before
                    }
                }
            };
            if narrower {
                self.say(place, format_args!("{name} was {} and is {}", old[name], new[name]));
            }
        }
        for name in ["pattern", "format", "const"] {
            if new.get(name).is_some_and(|now| old.get(name) != Some(now)) {
                self.say(place, format_args!("{name} was {} and is {}", old[name], new[name]));
            }
        }
        if new["additionalProperties"] == false && old["additionalProperties"] != false {
            self.say(place, "takes no other fields");
        }
    }

    fn properties(&mut self, place: &str, old: &'a Value, new: &'a Value, direction: Direction) {
        for (name, schema) in fields(&old["properties"]) {
            let place = format!("{place}.{name}");
            match new["properties"].get(name) {
                Some(now) => self.schema(&place, schema, now, direction),
                None => self.say(&place, "is gone"),
            }
        }
        let (before, after) = (texts(&old["required"]), texts(&new["required"]));
        let broken: Vec<_> = match direction {
            Direction::Request => after.difference(&before).collect(),
            Direction::Answer => before.difference(&after).collect(),
        };
        let now = if direction == Direction::Request { "required" } else { "not always there" };
        for name in broken {
            self.say(&format!("{place}.{name}"), format_args!("is {now}"));
        }
    }
}
