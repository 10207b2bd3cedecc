//! One viewer's connection: a state machine without socket, thread or clock.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::bwe::{Bitrate, BweKind};
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{MediaTime, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcError};

use super::offer::{self, OfferError};
use super::socket::Datagram;
use super::thrift::Thrift;
use crate::live::AccessUnit;

/// How long a viewer may take from its offer to the first picture.
const CONNECT: Duration = Duration::from_secs(15);
/// How long a viewer that fell silent may take to come back; that it fell silent shows after 15 s without its checks.
const RETURN: Duration = Duration::from_secs(10);
/// What a line is taken to carry until it has shown what it carries, bits a second.
const FIRST_ESTIMATE: u64 = 4_000_000;
/// What is looked for on a line, bits a second: above what a camera's stream takes.
const ENOUGH: u64 = 8_000_000;
/// A viewer shows a frame as soon as it is whole, and holds none back for longer to smooth them.
const LONGEST_HOLD: MediaTime = MediaTime::from_millis(200);
/// An IDR costs every viewer of the camera: one viewer asks for one at most so often.
const BETWEEN_IDRS: Duration = Duration::from_secs(1);
/// And so often when all it has to say is that its line is thin.
const BETWEEN_THIN_IDRS: Duration = Duration::from_secs(4);
/// Time to say good-bye.
const GOOD_BYE: Duration = Duration::from_millis(500);
/// Frames may have been captured before the session was opened; their time still counts from its zero.
const BEFORE: Duration = Duration::from_hours(1);
/// Addresses of one viewer that are remembered; browsers try one an interface.
const MOST_ROUTES: usize = 16;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The viewer said so, by DELETE or by closing its connection.
    Left,
    /// It never connected.
    NeverConnected,
    /// It fell silent.
    Lost,
    /// The camera is gone.
    CameraRemoved,
    /// The node shuts down.
    Shutdown,
    /// Something in the connection failed; the log says what.
    Failed,
}

impl End {
    pub const ALL: [Self; 6] =
        [Self::Left, Self::NeverConnected, Self::Lost, Self::CameraRemoved, Self::Shutdown, Self::Failed];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::NeverConnected => "never_connected",
            Self::Lost => "lost",
            Self::CameraRemoved => "camera_removed",
            Self::Shutdown => "shutdown",
            Self::Failed => "failed",
        }
    }
}

/// What the session wants done.
pub(super) enum Step {
    Send {
        to: SocketAddr,
        from: Option<IpAddr>,
        data: Vec<u8>,
    },
    /// Connected: frames may come.
    Watch,
    WantIdr,
    /// Nothing until then.
    Wait(Instant),
    Ended(End),
}

/// What all sessions share.
pub(super) struct Common {
    pub crypto: Arc<CryptoProvider>,
    pub cert: DtlsCert,
}

pub(super) struct Session {
    rtc: Rtc,
    mid: Mid,
    pt: Pt,
    /// The addresses the viewer was told; datagrams count as sent to one of them.
    told: Vec<SocketAddr>,
    /// From which of the machine's addresses each of the viewer's is answered.
    routes: Vec<(SocketAddr, IpAddr)>,
    /// Zero of the RTP clock.
    epoch: Instant,
    /// Ended unless it connects (again) by then.
    deadline: Option<(Instant, End)>,
    /// It will be over as soon as what it has to say is sent.
    ending: Option<End>,
    thrift: Thrift,
    last_idr_wish: Option<Instant>,
}

impl Session {
    /// The session and its answer to the offer.
    pub fn open(
        common: &Common,
        creds: IceCreds,
        told: Vec<SocketAddr>,
        offer: &str,
        now: Instant,
    ) -> Result<(Self, String), OfferError> {
        let offer = offer::read(offer)?;
        let unreadable = |e: RtcError| OfferError::Unreadable(e.to_string());
        let mut rtc = rtc(common, creds, now);
        for addr in &told {
            match Candidate::host(*addr, "udp") {
                Ok(candidate) => drop(rtc.add_local_candidate(candidate)),
                Err(e) => tracing::warn!(%addr, "an address cannot be told to viewers: {e}"),
            }
        }
        let answer = rtc.sdp_api().accept_offer(offer.sdp).map_err(unreadable)?;
        let mid = offer.video;
        if rtc.media(mid).is_none() {
            return Err(OfferError::NoVideo);
        }
        let pt = rtc.writer(mid).and_then(|writer| {
            writer.payload_params().find(|params| params.spec().codec == Codec::H264).map(PayloadParams::pt)
        });
        let session = Self {
            rtc,
            mid,
            pt: pt.ok_or(OfferError::NoH264)?,
            told,
            routes: Vec::new(),
            epoch: now.checked_sub(BEFORE).unwrap_or(now),
            deadline: Some((now + CONNECT, End::NeverConnected)),
            ending: None,
            thrift: Thrift::new(now),
            last_idr_wish: None,
        };
        Ok((session, answer.to_sdp_string()))
    }

    /// The next thing to do. After every input it is to be asked until it waits or has ended.
    pub fn poll(&mut self, now: Instant) -> Step {
        loop {
            if !self.rtc.is_alive() {
                return Step::Ended(self.ending.unwrap_or(End::Left));
            }
            if let Some((_, end)) = self.deadline.filter(|(deadline, _)| *deadline <= now) {
                // Nobody is there to be told.
                self.ending.get_or_insert(end);
                self.rtc.disconnect();
                continue;
            }
            // The studio makes no IDR by the clock: what was skipped for want of room ends with one that is asked for.
            if self.rtc.is_connected()
                && self.thrift.may_begin_again(now)
                && let Some(step) = self.wish_idr(now, BETWEEN_THIN_IDRS)
            {
                return step;
            }
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    let to = transmit.destination;
                    let from = self.routes.iter().find(|(viewer, _)| *viewer == to).map(|(_, own)| *own);
                    return Step::Send { to, from, data: transmit.contents.to_vec() };
                }
                Ok(Output::Timeout(at)) => {
                    let deadline = self.deadline.map_or(at, |(deadline, _)| deadline.min(at));
                    return Step::Wait(deadline);
                }
                Ok(Output::Event(event)) => {
                    if let Some(step) = self.on(&event, now) {
                        return step;
                    }
                }
                Err(e) => return self.failed(&e),
            }
        }
    }

    fn on(&mut self, event: &Event, now: Instant) -> Option<Step> {
        match event {
            Event::Connected => {
                self.deadline = None;
                self.rtc.bwe().set_desired_bitrate(Bitrate::bps(ENOUGH));
                Some(Step::Watch)
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) if self.ending.is_none() => {
                self.deadline = Some((now + RETURN, End::Lost));
                None
            }
            Event::IceConnectionStateChange(state) if state.is_connected() && self.rtc.is_connected() => {
                self.deadline = None;
                None
            }
            Event::KeyframeRequest(_) => self.wish_idr(now, BETWEEN_IDRS),
            Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                self.thrift.estimate(estimate.as_f64(), now);
                None
            }
            _ => None,
        }
    }

    /// A datagram that is said to be for this session. Whether it proves that its sender knows the session's password:
    /// then what comes from there, signed or not, is for this session.
    pub fn receive(&mut self, datagram: &Datagram, now: Instant) -> bool {
        let told = |same_ip: bool| {
            self.told.iter().copied().find(|told| {
                if same_ip { Some(told.ip()) == datagram.to } else { told.is_ipv4() == datagram.from.is_ipv4() }
            })
        };
        // An announced address is never the one a datagram arrives at.
        let Some(destination) = told(true).or_else(|| told(false)).or_else(|| self.told.first().copied()) else {
            return false;
        };
        let Ok(contents) = datagram.data.as_ref().try_into() else { return false };
        let received = Receive { proto: Protocol::Udp, source: datagram.from, destination, contents };
        let input = Input::Receive(now, received);
        if !self.rtc.accepts(&input) {
            return false;
        }
        if let Some(own) = datagram.to {
            self.routes.retain(|(viewer, _)| *viewer != datagram.from);
            self.routes.truncate(MOST_ROUTES - 1);
            self.routes.insert(0, (datagram.from, own));
        }
        if let Err(e) = self.rtc.handle_input(input) {
            // One bad datagram ends no session: anybody can send one under a viewer's address.
            tracing::debug!(from = %datagram.from, "a datagram was not understood: {e}");
        }
        true
    }

    pub fn tick(&mut self, now: Instant) {
        if let Err(e) = self.rtc.handle_input(Input::Timeout(now)) {
            let _ = self.failed(&e);
        }
    }

    /// A frame for the viewer; whether it is sent.
    pub fn show(&mut self, unit: &AccessUnit, now: Instant) -> bool {
        if self.ending.is_some() || !self.rtc.is_connected() {
            self.thrift.broke();
            return false;
        }
        if !self.thrift.admits(unit.data.len(), unit.idr, now) {
            return false;
        }
        let Some(writer) = self.rtc.writer(self.mid) else { return false };
        let since = unit.captured_instant.saturating_duration_since(self.epoch);
        let at = MediaTime::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        let writer = writer.playout_delay(MediaTime::from_millis(0), LONGEST_HOLD);
        match writer.write(self.pt, unit.captured_instant, at, unit.data.as_ref()) {
            Ok(()) => true,
            Err(e) => {
                tracing::debug!("a frame was not taken: {e}");
                self.thrift.broke();
                false
            }
        }
    }

    /// Frames were lost before they came here.
    pub fn missed(&mut self) {
        self.thrift.broke();
    }

    fn wish_idr(&mut self, now: Instant, apart: Duration) -> Option<Step> {
        if self.ending.is_some() || self.last_idr_wish.is_some_and(|last| now.saturating_duration_since(last) < apart) {
            return None;
        }
        self.last_idr_wish = Some(now);
        Some(Step::WantIdr)
    }

    /// Says good-bye; over as soon as that is sent.
    pub fn end(&mut self, end: End, now: Instant) {
        let end = *self.ending.get_or_insert(end);
        self.deadline = Some((now + GOOD_BYE, end));
        if !self.rtc.is_connected() || self.rtc.close().is_err() {
            self.rtc.disconnect();
        }
    }

    fn failed(&mut self, e: &RtcError) -> Step {
        tracing::debug!("a viewer's connection failed: {e}");
        self.rtc.disconnect();
        Step::Ended(*self.ending.get_or_insert(End::Failed))
    }
}

fn rtc(common: &Common, creds: IceCreds, now: Instant) -> Rtc {
    let mut extensions = ExtensionMap::empty();
    extensions.set(2, Extension::AbsoluteSendTime);
    extensions.set(3, Extension::TransportSequenceNumber);
    extensions.set(4, Extension::RtpMid);
    extensions.set(5, Extension::PlayoutDelay);
    let mut config = Rtc::builder()
        .set_crypto_provider(common.crypto.clone())
        .set_dtls_cert(common.cert.clone())
        .set_local_ice_credentials(creds)
        .set_ice_lite(true)
        .set_extension_map(extensions)
        .enable_bwe(Some(Bitrate::bps(FIRST_ESTIMATE)))
        .clear_codecs();
    // The plain baseline of the studio's encoder, as browsers call it; numbers are the offer's in the end.
    config.codec_config().add_h264(108.into(), Some(109.into()), true, 0x42_e0_1f);
    config.codec_config().add_h264(127.into(), Some(121.into()), true, 0x42_00_1f);
    config.build(now)
}
