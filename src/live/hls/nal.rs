//! H.264's NAL units: out of the encoder's byte stream, into the form of MP4.

const SPS: u8 = 7;
const PPS: u8 = 8;

/// The NAL units of an Annex B byte stream, without start codes.
pub(super) fn units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts: Vec<usize> =
        data.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(at, _)| at + 3).collect();
    let ends: Vec<usize> = starts.iter().skip(1).map(|next| next - 3).chain([data.len()]).collect();
    // Zeros before a start code belong to it: no NAL unit ends with one (ITU-T H.264, 7.4.1).
    let trim = |unit: &'_ [u8]| unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    starts
        .into_iter()
        .zip(ends)
        .map(move |(from, to)| &data[from..from + trim(&data[from..to])])
        .filter(|u| !u.is_empty())
}

/// What a decoder must know before the first picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters {
    pub sps: Vec<u8>,
    pub pps: Vec<u8>,
}

impl Parameters {
    /// Those in front of an IDR picture.
    pub fn of(data: &[u8]) -> Option<Self> {
        let find = |kind| units(data).find(|unit| unit[0] & 31 == kind).map(<[u8]>::to_vec);
        Some(Self { sps: find(SPS).filter(|sps| sps.len() >= 4)?, pps: find(PPS)? })
    }
}

/// The picture, each NAL unit after its length. Its parameters stay with it although the file's head has them: ffmpeg's player
/// reads one head and no second, and would take a picture of another size for rubble.
pub(super) fn sample(data: &[u8]) -> Vec<u8> {
    let mut sample = Vec::with_capacity(data.len() + 8);
    for unit in units(data) {
        sample.extend(u32::try_from(unit.len()).unwrap_or(u32::MAX).to_be_bytes());
        sample.extend_from_slice(unit);
    }
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = &[0, 0, 0, 1, 0x67, 66, 192, 30, 0, 0, 0, 1, 0x68, 9, 0, 0, 1, 0x65, 1, 2, 3];

    #[test]
    fn units_are_found_after_short_and_long_start_codes() {
        let found: Vec<&[u8]> = units(STREAM).collect();
        assert_eq!(found, [&[0x67, 66, 192, 30][..], &[0x68, 9], &[0x65, 1, 2, 3]]);
        assert_eq!(units(&[]).count() + units(&[1, 2, 3]).count() + units(&[0, 0, 1]).count(), 0);
    }

    #[test]
    fn a_sample_has_lengths_and_a_head_has_the_parameters_as_well() {
        let wanted = [0, 0, 0, 4, 0x67, 66, 192, 30, 0, 0, 0, 2, 0x68, 9, 0, 0, 0, 4, 0x65, 1, 2, 3];
        assert_eq!(sample(STREAM), wanted);
        let told = Parameters::of(STREAM).unwrap();
        assert_eq!((told.sps, told.pps), (vec![0x67, 66, 192, 30], vec![0x68, 9]));
        assert_eq!(Parameters::of(&[0, 0, 1, 0x65, 1]), None);
    }
}
