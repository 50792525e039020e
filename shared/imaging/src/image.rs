use crate::Reject;
use crate::limits::Budget;
use crate::planes::{Chroma, Planes};
use crate::raster::Raster;
use crate::resize::resize;

/// A picture on its way from one rendering to the next: upright, and sRGB unless it keeps its own colours.
#[derive(Debug)]
pub(crate) enum Image {
    /// RGB or RGBA.
    Raster(Raster),
    /// With halved chroma: of a photograph of which nothing but photographs are made.
    Planes(Planes),
}

impl Image {
    pub(crate) fn size(&self) -> (u32, u32) {
        match self {
            Self::Raster(raster) => (raster.width, raster.height),
            Self::Planes(planes) => planes.size(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Raster(raster) => raster.bytes(),
            Self::Planes(planes) => planes.bytes(),
        }
    }

    pub(crate) fn resize(self, size: (u32, u32), budget: &Budget) -> Result<Self, Reject> {
        Ok(match self {
            Self::Raster(raster) => Self::Raster(resize(raster, size, budget)?),
            Self::Planes(planes) => Self::Planes(planes.resize(size, Chroma::Half, budget)?),
        })
    }

    /// As RGB or RGBA of this size.
    pub(crate) fn into_raster(self, size: (u32, u32), budget: &Budget) -> Result<Raster, Reject> {
        match self {
            Self::Raster(raster) => resize(raster, size, budget),
            Self::Planes(planes) => {
                let raster = planes.resize(size, Chroma::Full, budget)?.into_raster(budget)?;
                crate::colour::to_srgb(raster, None, budget)
            }
        }
    }
}
