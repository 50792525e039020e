//! What people say of an image: title, alternative text, tags, focal point, and whatever their application
//! wants to know again.
//!
//! Each is a type that only a good value can have, so that a request is checked while it is read.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{ArrayBuilder, Object, ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A value that does not fit, and what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must {0}")]
pub struct Unfit(String);

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, 1..=$longest:literal, $meaning:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// How many characters it may have.
            pub const LONGEST: usize = $longest;

            /// As it was given, without the white space around it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Unfit;

            fn from_str(text: &str) -> Result<Self, Unfit> {
                let text = text.trim();
                if !(1..=$longest).contains(&text.chars().count()) {
                    return Err(Unfit(format!("have 1 to {} characters", $longest)));
                }
                // They break logs, headers and lists, and no name has one.
                if text.chars().any(char::is_control) {
                    return Err(Unfit("have no control characters".into()));
                }
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Unfit;

            fn try_from(text: String) -> Result<Self, Unfit> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Described for $name {
            const MEANING: &str = $meaning;
            const LONGEST: usize = $longest;
            const EXAMPLE: &str = $example;
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                described::<Self>(r"^\s*{text}\s*$").into()
            }
        }

        impl ToSchema for $name {}
    };
}

/// What the reference says of a text.
trait Described {
    const MEANING: &str;
    const LONGEST: usize;
    const EXAMPLE: &str;
}

/// A text: so many characters, none of them a control character, and white space around it, which is cut off. (So
/// its length is a part of the pattern: a `maxLength` would count what is cut off.)
fn described<T: Described>(pattern: &str) -> ObjectBuilder {
    let (any, visible) = (r"[^\x00-\x1f\x7f-\x9f]", r"[^\s\x00-\x1f\x7f-\x9f]");
    let text = format!("{visible}({any}{{0,{}}}{visible})?", T::LONGEST - 2);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!("{} At most {} characters.", T::MEANING, T::LONGEST)))
        .pattern(Some(pattern.replace("{text}", &text)))
        .examples([T::EXAMPLE])
}

text!(
    /// What people call a project or a key.
    Name, 1..=100, "What people call it.", "Harbour"
);
text!(
    /// What people call an image. Longer titles are descriptions.
    Title, 1..=200, "What people call the image.", "Harbour at dawn"
);
text!(
    /// What an image shows, for who cannot see it.
    AltText, 1..=1000, "What the image shows, for who cannot see it.", "Fishing boats at a quay, before sunrise"
);
text!(
    /// A word that images are found by.
    Tag, 1..=50, "A word that images are found by.", "harbour"
);
text!(
    /// A user of the application, as its issuer of tokens calls them.
    UserId, 1..=128, "A user of your application, as its issuer of tokens calls them.", "auth0|5f7c8ec7c33c6c004bbafe82"
);

/// The tags of an image. Each is a row and a count in one transaction, which has a hundred writes at most.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "BTreeSet<Tag>", try_from = "BTreeSet<Tag>")]
pub struct Tags(BTreeSet<Tag>);

impl Tags {
    /// How many an image may have.
    pub const MOST: usize = 20;

    /// In alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &Tag> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With some more, and without some others.
    pub fn changed(&self, add: &Self, remove: &Self) -> Result<Self, Unfit> {
        self.0
            .union(&add.0)
            .filter(|tag| !remove.0.contains(*tag))
            .cloned()
            .collect::<BTreeSet<_>>()
            .try_into()
    }
}

impl TryFrom<BTreeSet<Tag>> for Tags {
    type Error = Unfit;

    fn try_from(tags: BTreeSet<Tag>) -> Result<Self, Unfit> {
        if tags.len() <= Self::MOST {
            Ok(Self(tags))
        } else {
            Err(Unfit(format!("be at most {} tags", Self::MOST)))
        }
    }
}

impl From<Tags> for BTreeSet<Tag> {
    fn from(tags: Tags) -> Self {
        tags.0
    }
}

impl PartialSchema for Tags {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Ref::from_schema_name(Tag::name()))
            .max_items(Some(Self::MOST))
            .description(Some("Words that images are found by."))
            .examples([["harbour", "dawn"]])
            .into()
    }
}

impl ToSchema for Tags {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Tag::name().into_owned(), Tag::schema()));
    }
}

/// The place in a picture that must not be cut off, in parts of its width and height: 0 is left and top.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, try_from = "Point")]
#[schema(examples(json!({ "x": 0.5, "y": 0.33 })))]
pub struct FocalPoint {
    #[schema(minimum = 0, maximum = 1)]
    x: f64,
    #[schema(minimum = 0, maximum = 1)]
    y: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Point {
    x: f64,
    y: f64,
}

impl FocalPoint {
    /// A point of the picture.
    pub fn new(x: f64, y: f64) -> Result<Self, Unfit> {
        let inside = |value: f64| (0.0..=1.0).contains(&value);
        // Finer than any pixel, and no smaller than the numbers that the table takes (1e-130).
        let rounded = |value: f64| (value * 1e6).round() / 1e6;
        if inside(x) && inside(y) {
            Ok(Self { x: rounded(x), y: rounded(y) })
        } else {
            Err(Unfit("have `x` and `y` from 0 to 1".into()))
        }
    }

    /// Parts of the width, from the left.
    pub const fn x(self) -> f64 {
        self.x
    }

    /// Parts of the height, from the top.
    pub const fn y(self) -> f64 {
        self.y
    }
}

impl TryFrom<Point> for FocalPoint {
    type Error = Unfit;

    fn try_from(Point { x, y }: Point) -> Result<Self, Unfit> {
        Self::new(x, y)
    }
}

/// What an application keeps with an image and Tintype does not look into: a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "serde_json::Map<String, serde_json::Value>")]
pub struct Metadata(serde_json::Map<String, serde_json::Value>);

impl PartialSchema for Metadata {
    fn schema() -> RefOr<Schema> {
        let said = "What your application keeps with the image: at most 2 KB as JSON, nested 8 levels deep.";
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(said))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .examples([serde_json::json!({ "order": 1817 })])
            .into()
    }
}

impl ToSchema for Metadata {}

impl Metadata {
    /// How many bytes it may have as JSON.
    pub const LARGEST: usize = 2048;
    /// How deep it may be nested.
    const DEEPEST: usize = 8;

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With a merge patch applied (RFC 7396): `null` removes.
    pub fn merged(&self, patch: serde_json::Map<String, serde_json::Value>) -> Result<Self, Unfit> {
        let mut merged = serde_json::Value::Object(self.0.clone());
        merge(&mut merged, serde_json::Value::Object(patch));
        match merged {
            serde_json::Value::Object(object) => object.try_into(),
            _ => Ok(Self::default()),
        }
    }
}

impl TryFrom<serde_json::Map<String, serde_json::Value>> for Metadata {
    type Error = Unfit;

    fn try_from(object: serde_json::Map<String, serde_json::Value>) -> Result<Self, Unfit> {
        let value = serde_json::Value::Object(object);
        if value.to_string().len() > Self::LARGEST {
            return Err(Unfit(format!("have at most {} bytes as JSON", Self::LARGEST)));
        }
        if depth(&value) > Self::DEEPEST {
            return Err(Unfit(format!("be nested at most {} levels deep", Self::DEEPEST)));
        }
        let serde_json::Value::Object(object) = value else { return Ok(Self::default()) };
        Ok(Self(object))
    }
}

fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => 0,
    }
}

/// RFC 7396, section 2.
fn merge(target: &mut serde_json::Value, patch: serde_json::Value) {
    let serde_json::Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = serde_json::Value::Object(serde_json::Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            object.remove(&name);
        } else {
            merge(object.entry(name).or_insert(serde_json::Value::Null), value);
        }
    }
}

/// All of it. What is not said is not stored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Details {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    /// What it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<AltText>,
    /// What it is found by.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// What must not be cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_point: Option<FocalPoint>,
    /// What the application keeps with it.
    #[serde(default, skip_serializing_if = "Metadata::is_empty", with = "as_text")]
    pub metadata: Metadata,
}

/// The table's numbers and names are not JSON's: what it is not asked about is text to it.
mod as_text {
    use super::{Deserialize as _, Metadata};
    use serde::ser::Error as _;

    pub fn serialize<S: serde::Serializer>(metadata: &Metadata, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(metadata).map_err(S::Error::custom)?)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Metadata, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(serde::de::Error::custom)
    }
}

/// A merge patch (RFC 7396) of details: absent leaves as it is, `null` removes.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetailsPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "given")]
    pub title: Option<Option<Title>>,
    /// What it shows.
    #[serde(default, deserialize_with = "given")]
    pub alt: Option<Option<AltText>>,
    /// What it is found by: all of the tags.
    #[serde(default, deserialize_with = "given")]
    pub tags: Option<Option<Tags>>,
    /// What must not be cut off.
    #[serde(default, deserialize_with = "given")]
    pub focal_point: Option<Option<FocalPoint>>,
    /// What the application keeps with it, member by member.
    #[serde(default, deserialize_with = "given")]
    pub metadata: Option<Option<serde_json::Map<String, serde_json::Value>>>,
}

/// Tells `null` from absent, which serde reads alike.
pub fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// How [`unless_blank`] is described.
#[expect(private_bounds, reason = "the texts of this module, and no others")]
pub fn or_blank<T: Described>() -> Object {
    described::<T>(r"^\s*({text})?\s*$")
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .build()
}

/// Reads a blank text as none: forms send what nobody filled in.
pub fn unless_blank<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err = Unfit>,
    D: serde::Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.trim().is_empty());
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

impl Details {
    /// With a patch applied.
    pub fn patched(&self, patch: &DetailsPatch) -> Result<Self, Unfit> {
        let metadata = match patch.metadata.clone() {
            None => self.metadata.clone(),
            Some(None) => Metadata::default(),
            Some(Some(patch)) => self.metadata.merged(patch)?,
        };
        Ok(Self {
            title: patch.title.clone().unwrap_or_else(|| self.title.clone()),
            alt: patch.alt.clone().unwrap_or_else(|| self.alt.clone()),
            tags: patch.tags.clone().map_or_else(|| self.tags.clone(), Option::unwrap_or_default),
            focal_point: patch.focal_point.unwrap_or(self.focal_point),
            metadata,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn details() -> Details {
        let stored = json!({
            "title": "Harbour", "alt": "Boats at dawn", "tags": ["sea", "boats"],
            "focal_point": { "x": 0.25, "y": 1.0 }, "metadata": "{\"album\":{\"page\":3,\"side\":\"left\"}}",
        });
        serde_json::from_value(stored).unwrap()
    }

    fn patched(patch: serde_json::Value) -> serde_json::Value {
        let patch: DetailsPatch = serde_json::from_value(patch).unwrap();
        serde_json::to_value(details().patched(&patch).unwrap()).unwrap()
    }

    /// Such a number is refused by the table, and that looked like an outage.
    #[test]
    fn a_focal_point_too_small_for_the_table_is_the_corner() {
        let point: FocalPoint = serde_json::from_str(r#"{"x":5.8e-267,"y":0.123456789}"#).unwrap();
        assert_eq!((point.x(), point.y()), (0.0, 0.123_457));
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_removes() {
        let all = serde_json::to_value(details()).unwrap();
        assert_eq!(patched(json!({})), all);
        assert_eq!(patched(json!({ "title": "Quay" }))["title"], "Quay");
        assert_eq!(patched(json!({ "tags": ["b", "a", "b"] }))["tags"], json!(["a", "b"]));
        let without = patched(
            json!({ "title": null, "alt": null, "tags": null, "focal_point": null, "metadata": null }),
        );
        assert_eq!(without, json!({}));
    }

    #[test]
    fn metadata_is_merged_member_by_member() {
        let patch = json!({ "metadata": { "album": { "page": 4, "side": null }, "new": [1] } });
        assert_eq!(patched(patch)["metadata"], r#"{"album":{"page":4},"new":[1]}"#);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for bad in [
            json!({ "title": "" }),
            json!({ "title": "  " }),
            json!({ "title": "x".repeat(201) }),
            json!({ "title": "a\nb" }),
            json!({ "tags": ["x".repeat(51)] }),
            json!({ "tags": (0..21).map(|n| n.to_string()).collect::<Vec<_>>() }),
            json!({ "focal_point": { "x": 1.1, "y": 0 } }),
            json!({ "focal_point": { "x": 1, "y": 0, "z": 0 } }),
            json!({ "metadata": [] }),
            json!({ "owner": "me" }),
        ] {
            assert!(serde_json::from_value::<DetailsPatch>(bad.clone()).is_err(), "{bad}");
        }
        let large = json!({ "x".repeat(Metadata::LARGEST): 1 });
        let patch: DetailsPatch = serde_json::from_value(json!({ "metadata": large })).unwrap();
        assert!(details().patched(&patch).is_err());
        let deep = (0..40).fold(json!(1), |deep, _| json!({ "a": deep }));
        let patch: DetailsPatch = serde_json::from_value(json!({ "metadata": deep })).unwrap();
        assert!(details().patched(&patch).is_err());
    }

    #[test]
    fn tags_are_added_and_removed() {
        let tags = |list: &[&str]| serde_json::from_value::<Tags>(json!(list)).unwrap();
        let changed = tags(&["a", "b"]).changed(&tags(&["c", "d"]), &tags(&["a", "d"])).unwrap();
        assert_eq!(changed, tags(&["b", "c"]));
        let twenty: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
        let twenty: Tags = serde_json::from_value(json!(twenty)).unwrap();
        assert!(twenty.changed(&tags(&["one more"]), &Tags::default()).is_err());
    }

    proptest! {
        #[test]
        fn details_read_back(title in "\\PC{0,300}", tags in prop::collection::vec("\\PC{0,60}", 0..25)) {
            let patch = json!({ "title": title, "tags": tags });
            if let Ok(patch) = serde_json::from_value::<DetailsPatch>(patch) {
                let details = Details::default().patched(&patch).unwrap();
                let stored = serde_json::to_value(&details).unwrap();
                prop_assert_eq!(serde_json::from_value::<Details>(stored).unwrap(), details);
            }
        }
    }
}
