//! What a viewer's offer asks for, judged before anything is built for it.

use str0m::change::SdpOffer;
use str0m::media::Mid;

/// Longer offers are not read.
const LONGEST_OFFER: usize = 64 * 1024;
/// A viewer needs one; browsers add a few more when a page asks for them.
const MOST_MEDIA: usize = 16;

/// What is wrong with an offer, in words for whoever wrote the player.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    #[error("the offer is no SDP that can be read: {0}")]
    Unreadable(String),
    #[error("the offer has no video: add a recvonly video transceiver")]
    NoVideo,
    #[error("the offer has {0} video sections; a camera is one picture: offer one")]
    SeveralVideos(usize),
    #[error("the offer's video does not want to receive: make it recvonly")]
    NotReceiving,
    #[error("the offer's video has no H264 of packetization-mode 1 and the baseline profile (42e01f or 42001f)")]
    NoH264,
}

pub(super) struct Offer {
    pub sdp: SdpOffer,
    /// The video's section.
    pub video: Mid,
}

/// The offer as the session takes it. Candidates are left out: this side never calls, it answers whoever knows the session's
/// password, so nobody can be made to flood an address by naming it.
pub(super) fn read(text: &str) -> Result<Offer, OfferError> {
    if text.len() > LONGEST_OFFER {
        return Err(OfferError::Unreadable(format!("it is longer than {LONGEST_OFFER} bytes")));
    }
    let sections = text.lines().filter(|line| line.starts_with("m=")).count();
    if sections > MOST_MEDIA {
        return Err(OfferError::Unreadable(format!("it has more than {MOST_MEDIA} media sections")));
    }
    let mut kept = String::with_capacity(text.len());
    let mut videos = 0;
    let mut receives = true;
    let mut mid = None;
    let mut in_video = false;
    for line in text.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            // Port 0 is a section that was given up.
            in_video = media.starts_with("video ") && media.split(' ').nth(1) != Some("0");
            videos += usize::from(in_video);
        }
        if let Some(id) = line.strip_prefix("a=mid:").filter(|_| in_video) {
            mid = Some(Mid::from(id.trim()));
        }
        let line = match line {
            // The answer to it is to say sendonly: what a viewer would send is not wanted.
            "a=sendrecv" if in_video => "a=recvonly",
            "a=sendonly" | "a=inactive" if in_video => {
                receives = false;
                line
            }
            line if line.starts_with("a=candidate:") || line == "a=end-of-candidates" => continue,
            line => line,
        };
        kept.push_str(line);
        kept.push_str("\r\n");
    }
    match videos {
        _ if sections == 0 && !text.starts_with("v=0") => {
            Err(OfferError::Unreadable("it does not begin with v=0".into()))
        }
        0 => Err(OfferError::NoVideo),
        1 if !receives => Err(OfferError::NotReceiving),
        1 => {
            let video = mid.ok_or_else(|| OfferError::Unreadable("its video section has no a=mid".into()))?;
            let sdp = SdpOffer::from_sdp_string(&kept).map_err(|e| OfferError::Unreadable(e.to_string()))?;
            Ok(Offer { sdp, video })
        }
        several => Err(OfferError::SeveralVideos(several)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";

    fn refused(body: &str) -> OfferError {
        read(&format!("{HEAD}{body}")).err().unwrap()
    }

    #[test]
    fn an_offer_that_cannot_be_served_is_told_why() {
        assert!(matches!(read(""), Err(OfferError::Unreadable(_))));
        assert!(matches!(read("hello"), Err(OfferError::Unreadable(_))));
        assert_eq!(refused(""), OfferError::NoVideo);
        assert_eq!(refused("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"), OfferError::NoVideo);
        assert_eq!(refused("m=video 0 UDP/TLS/RTP/SAVPF 96\r\n"), OfferError::NoVideo);
        let video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n";
        assert_eq!(refused(&format!("{video}a=sendonly\r\n")), OfferError::NotReceiving);
        assert_eq!(refused(&video.repeat(3)), OfferError::SeveralVideos(3));
        assert!(matches!(refused(&"m=audio 9 X 1\r\n".repeat(40)), OfferError::Unreadable(_)));
        assert!(matches!(refused(&"a".repeat(LONGEST_OFFER)), OfferError::Unreadable(_)));
    }
}
