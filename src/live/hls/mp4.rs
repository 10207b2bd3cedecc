//! Fragmented MP4 (ISO/IEC 14496-12, -15; CMAF): a head, and a fragment a segment. One video track.

use super::nal::Parameters;

/// Ticks a second of the track's time.
pub(super) const TIMESCALE: u32 = 90_000;
const TRACK: u32 = 1;
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// `sample_flags`: depends on no other; depends on others and is no place to begin.
const SYNC: u32 = 0x0200_0000;
const NOT_SYNC: u32 = 0x0101_0000;

pub(super) struct Sample {
    /// NAL units after their lengths.
    pub data: Vec<u8>,
    /// Ticks.
    pub duration: u32,
    pub idr: bool,
}

/// The head: everything a player needs before the first fragment.
pub(super) fn head(width: u32, height: u32, parameters: &Parameters) -> Vec<u8> {
    let mut out = Writer::default();
    out.boxed(*b"ftyp", |out| {
        out.bytes(b"iso6").u32(0).bytes(b"iso6cmfcmp41");
    });
    out.boxed(*b"moov", |out| {
        out.full(*b"mvhd", 0, |out| {
            out.u32(0).u32(0).u32(TIMESCALE).u32(0).u32(0x1_0000).u16(0x100).zeros(10);
            out.matrix().zeros(24).u32(TRACK + 1);
        });
        out.boxed(*b"trak", |out| {
            out.full(*b"tkhd", 7, |out| {
                out.u32(0).u32(0).u32(TRACK).u32(0).u32(0).zeros(16).matrix().u32(width << 16).u32(height << 16);
            });
            out.boxed(*b"mdia", |out| media(out, width, height, parameters));
        });
        out.boxed(*b"mvex", |out| {
            out.full(*b"trex", 0, |out| {
                out.u32(TRACK).u32(1).u32(0).u32(0).u32(0);
            });
        });
    });
    out.0
}

fn media(out: &mut Writer, width: u32, height: u32, parameters: &Parameters) {
    out.full(*b"mdhd", 0, |out| {
        // The language is not known: `und`.
        out.u32(0).u32(0).u32(TIMESCALE).u32(0).u16(0x55c4).u16(0);
    });
    out.full(*b"hdlr", 0, |out| {
        out.u32(0).bytes(b"vide").zeros(12).bytes(b"video\0");
    });
    out.boxed(*b"minf", |out| {
        out.full(*b"vmhd", 1, |out| {
            out.zeros(8);
        });
        out.boxed(*b"dinf", |out| {
            out.full(*b"dref", 0, |out| {
                out.u32(1).full(*b"url ", 1, |_| {});
            });
        });
        out.boxed(*b"stbl", |out| {
            out.full(*b"stsd", 0, |out| {
                out.u32(1).boxed(*b"avc1", |out| entry(out, width, height, parameters));
            });
            for (name, words) in [(*b"stts", 1), (*b"stsc", 1), (*b"stsz", 2), (*b"stco", 1)] {
                out.full(name, 0, |out| {
                    out.zeros(4 * words);
                });
            }
        });
    });
}

fn entry(out: &mut Writer, width: u32, height: u32, Parameters { sps, pps }: &Parameters) {
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
    out.zeros(6).u16(1).zeros(16).u16(side(width)).u16(side(height));
    // 72 dots an inch, one frame a sample, no compressor's name, 24 bits a pixel.
    out.u32(0x48_0000).u32(0x48_0000).u32(0).u16(1).zeros(32).u16(24).u16(u16::MAX);
    out.boxed(*b"avcC", |out| {
        // Version 1, profile and level as the SPS has them, lengths of 4 bytes, one SPS, one PPS.
        out.bytes(&[1]).bytes(&sps[1..4]).bytes(&[0xff, 0xe1]).u16(size(sps)).bytes(sps);
        out.bytes(&[1]).u16(size(pps)).bytes(pps);
    });
}

fn size(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

/// One fragment, from `begin` on (ticks).
pub(super) fn fragment(sequence: u64, begin: u64, samples: &[Sample]) -> Vec<u8> {
    let mut out = Writer::default();
    out.boxed(*b"styp", |out| {
        out.bytes(b"msdh").u32(0).bytes(b"msdhcmfs");
    });
    let start = out.0.len();
    let mut offset_at = 0;
    out.boxed(*b"moof", |out| {
        out.full(*b"mfhd", 0, |out| {
            // The number is to grow; that it begins anew after 2^32 harms nobody.
            out.bytes(&sequence.to_be_bytes()[4..]);
        });
        out.boxed(*b"traf", |out| {
            // Places count from the fragment's own begin.
            out.full(*b"tfhd", 0x02_0000, |out| {
                out.u32(TRACK);
            });
            out.full(*b"tfdt", 0x0100_0000, |out| {
                out.bytes(&begin.to_be_bytes());
            });
            // With data offset, and duration, size and flags of each sample.
            out.full(*b"trun", 0x701, |out| {
                out.u32(length(samples.len()));
                offset_at = out.0.len();
                out.u32(0);
                for sample in samples {
                    out.u32(sample.duration).u32(length(sample.data.len()));
                    out.u32(if sample.idr { SYNC } else { NOT_SYNC });
                }
            });
        });
    });
    let offset = length(out.0.len() - start + 8);
    out.0[offset_at..offset_at + 4].copy_from_slice(&offset.to_be_bytes());
    out.boxed(*b"mdat", |out| {
        for sample in samples {
            out.bytes(&sample.data);
        }
    });
    out.0
}

fn length(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn boxed(&mut self, name: [u8; 4], fill: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.u32(0).bytes(&name);
        fill(self);
        let length = length(self.0.len() - start);
        self.0[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// A box with version (the highest byte) and flags.
    fn full(&mut self, name: [u8; 4], version_and_flags: u32, fill: impl FnOnce(&mut Self)) {
        self.boxed(name, |out| {
            out.u32(version_and_flags);
            fill(out);
        });
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    fn zeros(&mut self, count: usize) -> &mut Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    fn matrix(&mut self) -> &mut Self {
        MATRIX.iter().fold(self, |out, &value| out.u32(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the boxes at one level, with their contents.
    fn boxes(mut data: &[u8]) -> Vec<(String, &[u8])> {
        let mut found = Vec::new();
        while !data.is_empty() {
            let length = u32::from_be_bytes(data[..4].try_into().unwrap()) as usize;
            found.push((String::from_utf8(data[4..8].to_vec()).unwrap(), &data[8..length]));
            data = &data[length..];
        }
        found
    }

    fn names(data: &[u8]) -> Vec<String> {
        boxes(data).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_head_and_a_fragment_are_made_of_whole_boxes() {
        let parameters = Parameters { sps: vec![0x67, 66, 192, 30, 1], pps: vec![0x68, 9] };
        let head = head(640, 480, &parameters);
        assert_eq!(names(&head), ["ftyp", "moov"]);
        assert_eq!(names(boxes(&head)[1].1), ["mvhd", "trak", "mvex"]);
        let samples = [true, false].map(|idr| Sample { data: vec![7; 5], duration: 6000, idr });
        let fragment = fragment(3, 90_000, &samples);
        assert_eq!(names(&fragment), ["styp", "moof", "mdat"]);
        assert_eq!(boxes(&fragment)[2].1, [7; 10]);
    }

    #[test]
    fn a_fragment_points_at_its_first_sample() {
        let fragment = fragment(0, 0, &[Sample { data: vec![9; 4], duration: 1, idr: true }]);
        let trun = fragment.windows(4).position(|w| w == b"trun").unwrap() + 4;
        let offset = u32::from_be_bytes(fragment[trun + 8..trun + 12].try_into().unwrap()) as usize;
        let moof = fragment.windows(4).position(|w| w == b"moof").unwrap() - 4;
        assert_eq!(fragment[moof + offset..], [9; 4]);
    }
}
