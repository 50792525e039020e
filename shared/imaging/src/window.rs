/// A rectangle of a picture in fractions of pixels: what becomes the whole of a smaller one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Window {
    /// All of something whose sides count as 1.
    pub(crate) const ALL: Self = Self { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };

    pub(crate) fn whole((width, height): (u32, u32)) -> Self {
        Self { x: 0.0, y: 0.0, width: width.into(), height: height.into() }
    }

    /// The same in shares of the sides of what it is in.
    pub(crate) fn shares_of(self, (width, height): (u32, u32)) -> Self {
        self.scaled(1.0 / f64::from(width), 1.0 / f64::from(height))
    }

    pub(crate) fn scaled(self, across: f64, down: f64) -> Self {
        let Self { x, y, width, height } = self;
        Self { x: x * across, y: y * down, width: width * across, height: height * down }
    }
}

/// A rectangle of whole pixels. No side is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Area {
    pub(crate) fn whole((width, height): (u32, u32)) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    pub(crate) fn size(self) -> (u32, u32) {
        (self.width, self.height)
    }

    pub(crate) fn window(self) -> Window {
        let Self { x, y, width, height } = self;
        Window { x: x.into(), y: y.into(), width: width.into(), height: height.into() }
    }
}
