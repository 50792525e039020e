//! The rows beside an image by which it is found: one for each tag, one for its owner; and the number of images
//! that each tag of the project has.

use std::collections::BTreeSet;

use super::item::{encode, number, primary_key, text};
use super::keys;
use super::transaction::{Expression, Part, Transaction};
use crate::domain::details::Tag;
use crate::domain::image::Image;
use crate::domain::{Unavailable, UserId};

/// What an image is found by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FoundBy<'a> {
    Tag(&'a Tag),
    Owner(&'a UserId),
}

/// What is in the trash is found there and nowhere else.
fn found_by(image: Option<&Image>) -> BTreeSet<FoundBy<'_>> {
    let live = image.filter(|image| image.is_live());
    let tags = live.into_iter().flat_map(|image| image.details.tags.iter().map(FoundBy::Tag));
    tags.chain(live.and_then(|image| image.owner.as_ref()).map(FoundBy::Owner)).collect()
}

#[derive(serde::Serialize)]
struct Nothing {}

/// Moves the rows along with the image.
pub fn moves(
    transaction: &mut Transaction<'_>, operation: &'static str, before: Option<&Image>, after: &Image,
) -> Result<(), Unavailable> {
    let (was, is) = (found_by(before), found_by(Some(after)));
    for gone in was.difference(&is) {
        transaction.delete(
            Part::Unconditional,
            primary_key(keys::image(after.project, after.id), sort(gone)),
            None,
        )?;
        count(transaction, after, gone, -1)?;
    }
    for new in is.difference(&was) {
        let mut key = primary_key(keys::image(after.project, after.id), sort(new));
        let (kind, partition) = match new {
            FoundBy::Tag(tag) => ("tag", keys::images_with_tag(after.project, tag)),
            FoundBy::Owner(owner) => ("owner", keys::images_of_owner(after.project, owner)),
        };
        key.insert("GSI1PK".into(), text(partition));
        key.insert("GSI1SK".into(), text(after.id.to_string()));
        transaction.put(Part::Unconditional, encode(operation, kind, key, &Nothing {})?, None)?;
        count(transaction, after, new, 1)?;
    }
    Ok(())
}

fn sort(found_by: &FoundBy<'_>) -> String {
    match found_by {
        FoundBy::Tag(tag) => format!("TAG#{tag}"),
        FoundBy::Owner(owner) => format!("OWNER#{owner}"),
    }
}

fn count(
    transaction: &mut Transaction<'_>, image: &Image, found_by: &FoundBy<'_>, by: i64,
) -> Result<(), Unavailable> {
    let FoundBy::Tag(tag) = found_by else { return Ok(()) };
    let update = Expression::new("ADD #images :by SET #tag = :tag, #type = :type, #schema = :schema")
        .name("#images", "images")
        .name("#tag", "tag")
        .name("#type", "type")
        .name("#schema", "schema")
        .value(":by", aws_sdk_dynamodb::types::AttributeValue::N(by.to_string()))
        .value(":tag", text(tag.as_str()))
        .value(":type", text("tag-count"))
        .value(":schema", number(1));
    let key = primary_key(keys::project(image.project), keys::tag_count(tag));
    transaction.update(Part::Unconditional, key, update, None)
}
