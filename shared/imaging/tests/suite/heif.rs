//! HEIF put together by hand: where the bytes of its items lie, and how often they are asked for.

use std::time::{Duration, Instant};

use imaging::{Reject, probe};

use crate::made::{all, fixture, process};

fn block(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(8 + body.len()).unwrap().to_be_bytes();
    [&length[..], &kind, body].concat()
}

/// A block with a version and flags.
fn full(kind: [u8; 4], version: u32, body: &[u8]) -> Vec<u8> {
    block(kind, &[&version.to_be_bytes()[..], body].concat())
}

fn shorts(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn longs(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// Offset and length.
type Extent = (u32, u32);

/// An AVIF of tiles, which are 61 x 43.
struct Grid<'a> {
    columns: u8,
    rows: u8,
    /// Of which items it is, which are numbered from 2.
    tiles: &'a [u16],
    /// Where in the data they lie.
    items: &'a [Vec<Extent>],
    config: &'a [u8],
    data: &'a [u8],
}

impl Grid<'_> {
    fn file(&self) -> Vec<u8> {
        const SIZE: (u32, u32) = (61, 43);
        let count = u16::try_from(self.items.len()).unwrap();
        let (width, height) = (SIZE.0 * u32::from(self.columns), SIZE.1 * u32::from(self.rows));
        let grid = [vec![0, 1, self.rows - 1, self.columns - 1], longs(&[width, height])].concat();
        let start = u32::try_from(grid.len()).unwrap();

        let entry =
            |id: u16, kind: &[u8; 4]| full(*b"infe", 2 << 24, &[&shorts(&[id, 0])[..], kind, b"\0"].concat());
        let tiles = (2..).take(self.items.len());
        let entries: Vec<u8> = tiles.clone().flat_map(|id| entry(id, b"av01")).collect();
        // All of it lies in `idat`.
        let place = |id: u16, extents: &[Extent]| {
            let extents: Vec<u8> = extents.iter().flat_map(|&(at, length)| longs(&[at, length])).collect();
            let count = u16::try_from(extents.len() / 8).unwrap();
            [shorts(&[id, 1, 0, count]), extents].concat()
        };
        let places = tiles.clone().zip(self.items).flat_map(|(id, extents)| {
            let extents: Vec<Extent> = extents.iter().map(|&(at, length)| (start + at, length)).collect();
            place(id, &extents)
        });
        let references =
            [shorts(&[1, u16::try_from(self.tiles.len()).unwrap()]), shorts(self.tiles)].concat();
        let size = |width, height| full(*b"ispe", 0, &longs(&[width, height]));
        let properties = [size(width, height), size(SIZE.0, SIZE.1), self.config.to_vec()].concat();
        let of_tiles = tiles.flat_map(|id| [shorts(&[id]), vec![2, 2, 3]].concat());
        let owners: Vec<u8> = [longs(&[u32::from(count) + 1]), shorts(&[1]), vec![1, 1]]
            .concat()
            .into_iter()
            .chain(of_tiles)
            .collect();

        let lists = [
            full(*b"pitm", 0, &shorts(&[1])),
            full(*b"iinf", 0, &[shorts(&[count + 1]), entry(1, b"grid"), entries].concat()),
            full(
                *b"iloc",
                1 << 24,
                &[vec![0x44, 0], shorts(&[count + 1]), place(1, &[(0, start)]), places.collect()].concat(),
            ),
            full(*b"iref", 0, &block(*b"dimg", &references)),
            block(*b"iprp", &[block(*b"ipco", &properties), full(*b"ipma", 0, &owners)].concat()),
            block(*b"idat", &[&grid, self.data].concat()),
        ];
        [block(*b"ftyp", b"avif\0\0\0\0avifmif1"), full(*b"meta", 0, &lists.concat())].concat()
    }
}

/// The configuration and the data of a picture of 61 x 43.
fn picture() -> (&'static [u8], &'static [u8]) {
    let file = fixture!("avif/444.avif");
    let at = |kind: &[u8; 4]| file.windows(4).position(|four| four == kind).unwrap();
    (&file[at(b"av1C") - 4..at(b"av1C") + 8], &file[at(b"mdat") + 4..])
}

#[test]
fn a_tile_in_two_pieces_is_put_together() {
    let (config, data) = picture();
    let (half, length) = (100, u32::try_from(data.len()).unwrap());
    let items = [vec![(0, half), (half, length - half)], vec![(length, length)]];
    let file =
        Grid { columns: 2, rows: 1, tiles: &[2, 3], items: &items, config, data: &data.repeat(2) }.file();
    let (shown, expected) = (all(&file), all(fixture!("avif/444.avif")));
    assert_eq!((shown.width, shown.height), (122, 43));
    for (x, y) in (0..61).flat_map(|x| (0..43).map(move |y| (x, y))) {
        assert_eq!(shown.at(x, y), expected.at(x, y));
        assert_eq!(shown.at(61 + x, y), expected.at(x, y));
    }
}

#[test]
fn a_tile_in_ten_thousand_places_is_refused_before_it_is_read() {
    let data = vec![0; 1 << 20];
    let half = (0, 1 << 19);
    for pieces in [2, 200] {
        let items = [vec![half; pieces]];
        let tiles = vec![2; 99 * 99];
        let file =
            Grid { columns: 99, rows: 99, tiles: &tiles, items: &items, config: picture().0, data: &data };
        let file = file.file();
        let start = Instant::now();
        assert_eq!(probe(&file).unwrap_err(), Reject::Undecodable("it has one tile in two places"));
        assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    }
}

#[test]
fn tiles_that_share_bytes_are_together_no_more_than_the_file() {
    let (config, data) = picture();
    let length = u32::try_from(data.len()).unwrap();
    for extents in [vec![(0, length)], vec![(0, length - 9), (length - 9, 9)], vec![(0, 0)]] {
        let items = vec![extents; 900];
        let tiles: Vec<u16> = (2..902).collect();
        let file = Grid { columns: 30, rows: 30, tiles: &tiles, items: &items, config, data };
        let start = Instant::now();
        assert_eq!(probe(&file.file()).unwrap_err().code(), "undecodable");
        assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    }
}

#[test]
fn a_grid_of_thousands_of_tiles_is_cleaned_soon() {
    let count = 70 * 70;
    let items: Vec<Vec<Extent>> = (0..count).map(|at| vec![(at, 1)]).collect();
    let tiles: Vec<u16> = (2..).take(items.len()).collect();
    let data = vec![0; items.len()];
    let file = Grid { columns: 70, rows: 70, tiles: &tiles, items: &items, config: picture().0, data: &data };
    let file = file.file();
    let start = Instant::now();
    let header = probe(&file).unwrap();
    imaging::clean(&file, &header, &crate::made::budget()).unwrap();
    assert!(process(&file, &[]).is_err());
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}
