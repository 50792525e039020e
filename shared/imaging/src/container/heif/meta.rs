//! The `meta` box: which items there are, where their bytes lie, and what is said of them
//! (ISO/IEC 14496-12, 8.11, and ISO/IEC 23008-12, 9.3).

use std::borrow::Cow;

use super::BROKEN;
use super::boxes::{Block, Numbers, blocks};
use crate::Reject;
use crate::container::Cursor;

/// Items, references, properties and extents that are read of one file. A photograph in tiles of 512
/// pixels, which is what phones write, has fifty items; with 120 megapixels it would have 500.
const MOST: usize = 10_000;

const TOO_MANY: Reject = Reject::Undecodable("more parts than any picture has");

#[derive(Debug)]
pub(super) struct Meta<'a> {
    file: &'a [u8],
    pub(super) primary: u32,
    /// In the order of their ids.
    items: Vec<Item>,
    /// In the order of what they refer from, and else as they stand.
    references: Vec<Reference>,
    /// In the order of their index, which counts from 1.
    properties: Vec<Block<'a>>,
    idat: &'a [u8],
}

#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) id: u32,
    pub(super) kind: [u8; 4],
    in_idat: bool,
    extents: Vec<(u64, u64)>,
    /// Index, and whether a reader that does not know it has to leave the item alone.
    pub(super) properties: Vec<(u16, bool)>,
}

/// Where the bytes of an item lie. They may be in many pieces, and pieces of many items may be the same bytes:
/// who puts them together does so one item after another.
#[derive(Debug)]
pub(crate) struct Data<'a> {
    pub(super) pieces: Vec<&'a [u8]>,
}

impl<'a> Data<'a> {
    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    /// The bytes of an item in one piece.
    pub(super) fn piece(&self) -> Option<&'a [u8]> {
        if let [piece] = self.pieces.as_slice() { Some(piece) } else { None }
    }

    /// Puts them together: borrowed where they lie in one piece.
    pub(crate) fn join(&self) -> Cow<'a, [u8]> {
        self.piece().map_or_else(|| self.pieces.concat().into(), Cow::Borrowed)
    }
}

#[derive(Debug, Clone, Copy)]
struct Reference {
    kind: [u8; 4],
    from: u32,
    to: u32,
}

impl<'a> Meta<'a> {
    /// Reads the body of a `meta` box. `file` is what offsets count from.
    pub(super) fn read(body: &'a [u8], file: &'a [u8]) -> Result<Self, Reject> {
        // The box is there as a whole: what reaches out of it is wrong, not missing.
        Self::parse(body, file).map_err(|reject| if reject == Reject::Truncated { BROKEN } else { reject })
    }

    fn parse(body: &'a [u8], file: &'a [u8]) -> Result<Self, Reject> {
        let mut meta =
            Self { file, primary: 0, items: vec![], references: vec![], properties: vec![], idat: &[] };
        let children = body.get(4..).ok_or(BROKEN)?;
        let find = |kind: &[u8; 4]| {
            let mut found = blocks(children).map_while(Result::ok);
            found.find(|block| block.kind == *kind).map(|block| Cursor::new(block.body, 0))
        };
        let mut pitm = find(b"pitm").ok_or(BROKEN)?;
        let (version, _) = pitm.version()?;
        meta.primary = pitm.id(version > 0)?;
        meta.read_items(find(b"iinf").ok_or(BROKEN)?)?;
        meta.read_locations(find(b"iloc").ok_or(BROKEN)?)?;
        if let Some(iref) = find(b"iref") {
            meta.read_references(iref)?;
        }
        if let Some(iprp) = find(b"iprp") {
            meta.read_properties(iprp.bytes)?;
        }
        meta.idat = find(b"idat").map_or(&[], |idat| idat.bytes);
        Ok(meta)
    }

    fn read_items(&mut self, mut iinf: Cursor<'a>) -> Result<(), Reject> {
        let (version, _) = iinf.version()?;
        iinf.id(version > 0)?;
        for entry in blocks(iinf.rest()) {
            let entry = entry?;
            let mut infe = Cursor::new(entry.body, 0);
            let (version, _) = infe.version()?;
            if entry.kind != *b"infe" || version < 2 {
                continue;
            }
            if self.items.len() == MOST {
                return Err(TOO_MANY);
            }
            let id = infe.id(version > 2)?;
            infe.take(2)?;
            let kind = infe.array()?;
            self.items.push(Item { id, kind, ..Item::default() });
        }
        self.items.sort_by_key(|item| item.id);
        if self.items.windows(2).any(|pair| pair[0].id == pair[1].id) {
            return Err(Reject::Undecodable("two items of one number"));
        }
        Ok(())
    }

    fn read_locations(&mut self, mut iloc: Cursor<'a>) -> Result<(), Reject> {
        let (version, _) = iloc.version()?;
        let [sizes, more] = iloc.array()?;
        let (offset_size, length_size, base_size) = (sizes >> 4, sizes & 15, more >> 4);
        let index_size = if version == 0 { 0 } else { more & 15 };
        let mut all = 0;
        for _ in 0..iloc.id(version > 1)? {
            let id = iloc.id(version > 1)?;
            let method = if version == 0 { 0 } else { iloc.u16()? & 15 };
            let other_file = iloc.u16()? != 0;
            let base = iloc.number(base_size)?;
            let count = usize::from(iloc.u16()?);
            all += count;
            if all > MOST {
                return Err(TOO_MANY);
            }
            let mut extents = Vec::with_capacity(count);
            for _ in 0..count {
                iloc.number(index_size)?;
                let offset = iloc.number(offset_size)?;
                let length = iloc.number(length_size)?;
                extents.push((base.checked_add(offset).ok_or(BROKEN)?, length));
            }
            // Of method 2, offsets into other items, no writer makes use.
            if let (Ok(at), false, 0 | 1) = (self.position(id), other_file, method) {
                self.items[at].in_idat = method == 1;
                self.items[at].extents = extents;
            }
        }
        Ok(())
    }

    fn read_references(&mut self, mut iref: Cursor<'a>) -> Result<(), Reject> {
        let (version, _) = iref.version()?;
        for entry in blocks(iref.rest()) {
            let entry = entry?;
            let mut cursor = Cursor::new(entry.body, 0);
            let from = cursor.id(version > 0)?;
            for _ in 0..cursor.u16()? {
                if self.references.len() == MOST {
                    return Err(TOO_MANY);
                }
                let to = cursor.id(version > 0)?;
                self.references.push(Reference { kind: entry.kind, from, to });
            }
        }
        self.references.sort_by_key(|one| one.from);
        Ok(())
    }

    fn read_properties(&mut self, iprp: &'a [u8]) -> Result<(), Reject> {
        let mut all = 0;
        for part in blocks(iprp) {
            let part = part?;
            match &part.kind {
                b"ipco" => {
                    for property in blocks(part.body) {
                        if self.properties.len() == MOST {
                            return Err(TOO_MANY);
                        }
                        self.properties.push(property?);
                    }
                }
                b"ipma" => {
                    let mut cursor = Cursor::new(part.body, 0);
                    let (version, flags) = cursor.version()?;
                    for _ in 0..cursor.u32()? {
                        let id = cursor.id(version > 0)?;
                        let count = cursor.u8()?;
                        all += usize::from(count);
                        if all > MOST {
                            return Err(TOO_MANY);
                        }
                        let mut properties = Vec::with_capacity(count.into());
                        for _ in 0..count {
                            properties.push(if flags & 1 == 1 {
                                let word = cursor.u16()?;
                                (word & 0x7fff, word & 0x8000 != 0)
                            } else {
                                let byte = cursor.u8()?;
                                (u16::from(byte & 0x7f), byte & 0x80 != 0)
                            });
                        }
                        if let Ok(at) = self.position(id) {
                            self.items[at].properties = properties;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(super) fn item(&self, id: u32) -> Result<&Item, Reject> {
        let found = self.position(id).map(|at| &self.items[at]);
        found.map_err(|_| Reject::Undecodable("it refers to an item that it has not"))
    }

    fn position(&self, id: u32) -> Result<usize, usize> {
        self.items.binary_search_by_key(&id, |item| item.id)
    }

    /// What `from` refers to in this way, in order.
    pub(super) fn referred(&self, from: u32, kind: [u8; 4]) -> impl Iterator<Item = u32> {
        let start = self.references.partition_point(|one| one.from < from);
        let found = self.references[start..].iter().take_while(move |one| one.from == from);
        found.filter(move |one| one.kind == kind).map(|one| one.to)
    }

    /// What refers to `to` in this way.
    pub(super) fn referring(&self, to: u32, kind: [u8; 4]) -> impl Iterator<Item = u32> {
        let found = self.references.iter().filter(move |one| one.kind == kind && one.to == to);
        found.map(|one| one.from)
    }

    /// The properties of an item in the order in which they apply.
    pub(super) fn properties(&self, item: &Item) -> impl Iterator<Item = (Block<'a>, bool)> {
        item.properties.iter().filter_map(|&(index, essential)| Some((self.property_at(index)?, essential)))
    }

    pub(super) fn property_at(&self, index: u16) -> Option<Block<'a>> {
        self.properties.get(usize::from(index).checked_sub(1)?).copied()
    }

    pub(super) fn property(&self, item: &Item, kind: [u8; 4]) -> Option<&'a [u8]> {
        self.properties(item).find(|(property, _)| property.kind == kind).map(|(property, _)| property.body)
    }

    /// Where the bytes of an item lie. All of them are there.
    pub(super) fn data(&self, item: &Item) -> Result<Data<'a>, Reject> {
        let (whole, missing) =
            if item.in_idat { (self.idat, BROKEN) } else { (self.file, Reject::Truncated) };
        let piece = |&(offset, length): &(u64, u64)| {
            let rest = usize::try_from(offset).ok().and_then(|at| whole.get(at..)).ok_or(missing.clone())?;
            match usize::try_from(length) {
                // All there is.
                Ok(0) => Ok(rest),
                Ok(length) => rest.get(..length).ok_or(missing.clone()),
                Err(_) => Err(missing.clone()),
            }
        };
        let pieces = item.extents.iter().map(piece).collect::<Result<Vec<_>, _>>()?;
        if pieces.is_empty() { Err(Reject::Undecodable("an item without data")) } else { Ok(Data { pieces }) }
    }
}
