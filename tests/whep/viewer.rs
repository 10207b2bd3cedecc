//! A viewer without a browser: str0m as a client, and a decoder.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use openh264::decoder::Decoder;
use openh264::formats::YUVSource;
use sightwire::domain::Timestamp;
use sightwire::source::synthetic::read_clock;
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, KeyframeRequestKind, MediaData, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::http::{Response, post};

/// A picture as the viewer shows it.
pub struct Shown {
    pub width: usize,
    pub height: usize,
    /// The time that is painted into the picture.
    pub clock: Option<Timestamp>,
    pub at: Timestamp,
}

pub struct Viewer {
    rtc: Rtc,
    socket: UdpSocket,
    mid: Mid,
    decoder: Decoder,
    pub location: String,
    pub etag: String,
    pub answer: String,
    /// NAL unit types of each access unit.
    pub units: Vec<Vec<u8>>,
    pub connected: bool,
    /// Whether it looks at the pictures: a crowd of viewers need not.
    pub decodes: bool,
    /// Once connected it takes this long over each datagram: a device that is too slow for the stream.
    pub lag: Duration,
    /// Of so many datagrams one is lost on the way to it; 0: none.
    pub loses_one_in: u32,
    /// What the address that it was told stands for, as behind a router.
    pub leads_to: Option<(SocketAddr, SocketAddr)>,
    received: u32,
    /// Something is missing; nothing can be shown before the next IDR picture.
    lost: bool,
}

/// An offer as a client of str0m's makes it.
pub struct Offer {
    rtc: Rtc,
    socket: UdpSocket,
    mid: Mid,
    pending: SdpPendingOffer,
    pub sdp: String,
}

impl Offer {
    pub fn new(direction: Direction, h264: bool) -> Self {
        Self::from(Ipv4Addr::LOCALHOST.into(), direction, h264)
    }

    /// Of a viewer that has this address.
    pub fn from(ip: IpAddr, direction: Direction, h264: bool) -> Self {
        let mut config = Rtc::builder().clear_codecs().enable_vp8(true);
        if h264 {
            config = config.enable_h264(true);
        }
        let mut rtc = config.build(Instant::now());
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap()).unwrap();
        let mut changes = rtc.sdp_api();
        let mid = changes.add_media(MediaKind::Video, direction, None, None, None);
        let (offer, pending) = changes.apply().unwrap();
        Self { rtc, socket, mid, pending, sdp: offer.to_sdp_string() }
    }

    pub fn accept(mut self, response: &Response) -> Viewer {
        assert_eq!(response.status, 201, "{}", response.body);
        assert_eq!(response.header("content-type"), "application/sdp");
        let answer = SdpAnswer::from_sdp_string(&response.body).unwrap();
        self.rtc.sdp_api().accept_answer(self.pending, answer).unwrap();
        Viewer {
            rtc: self.rtc,
            socket: self.socket,
            mid: self.mid,
            decoder: Decoder::new().unwrap(),
            location: response.header("location").to_owned(),
            etag: response.header("etag").to_owned(),
            answer: response.body.clone(),
            units: Vec::new(),
            connected: false,
            decodes: true,
            lag: Duration::ZERO,
            loses_one_in: 0,
            leads_to: None,
            received: 0,
            lost: true,
        }
    }
}

impl Viewer {
    pub fn open(addr: &str, camera: &str) -> Self {
        let offer = Offer::new(Direction::RecvOnly, true);
        let response = post(addr, camera, &offer.sdp);
        offer.accept(&response)
    }

    pub fn is_alive(&self) -> bool {
        self.rtc.is_alive()
    }

    /// Closes the connection, as a page that is left does.
    pub fn hang_up(&mut self) {
        self.rtc.close().unwrap();
        self.watch(Duration::from_secs(2), |_| false);
    }

    /// As a decoder that lost a picture does.
    pub fn ask_for_idr(&mut self) {
        self.rtc.writer(self.mid).unwrap().request_keyframe(None, KeyframeRequestKind::Pli).unwrap();
    }

    /// Watches until `enough` or until the connection is over; each picture is shown to `enough`.
    pub fn watch(&mut self, patience: Duration, mut enough: impl FnMut(&Shown) -> bool) -> bool {
        let end = Instant::now() + patience;
        let mut buffer = vec![0; 2000];
        while Instant::now() < end && self.rtc.is_alive() {
            let until = match self.rtc.poll_output().unwrap() {
                Output::Transmit(transmit) => {
                    // Nobody listens there any more once the node has ended.
                    let to = self.leads_to.filter(|(told, _)| *told == transmit.destination);
                    let to = to.map_or(transmit.destination, |(_, real)| real);
                    let _gone = self.socket.send_to(&transmit.contents, to);
                    continue;
                }
                Output::Event(Event::Connected) => {
                    self.connected = true;
                    continue;
                }
                Output::Event(Event::MediaData(data)) => {
                    if self.shown(&data).is_some_and(|shown| enough(&shown)) {
                        return true;
                    }
                    continue;
                }
                Output::Event(_) => continue,
                Output::Timeout(until) => until,
            };
            let wait = until.min(end).saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(wait)).unwrap();
            let input = match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => {
                    if self.connected {
                        std::thread::sleep(self.lag);
                    }
                    self.received += 1;
                    if self.loses_one_in > 0 && self.connected && self.received.is_multiple_of(self.loses_one_in) {
                        continue;
                    }
                    let source = self.leads_to.filter(|(_, real)| *real == source).map_or(source, |(told, _)| told);
                    let destination = self.socket.local_addr().unwrap();
                    let Ok(contents) = buffer[..length].try_into() else { continue };
                    Input::Receive(Instant::now(), Receive { proto: Protocol::Udp, source, destination, contents })
                }
                Err(_time_out) => Input::Timeout(Instant::now()),
            };
            self.rtc.handle_input(input).unwrap();
        }
        false
    }

    fn shown(&mut self, data: &MediaData) -> Option<Shown> {
        assert_eq!(data.params.spec().codec, Codec::H264);
        let unit: Vec<u8> = data.data.windows(4).filter(|w| w[..3] == [0, 0, 1]).map(|w| w[3] & 31).collect();
        self.lost = (self.lost || !data.contiguous) && !unit.contains(&5);
        self.units.push(unit);
        if self.lost {
            self.ask_for_idr();
            return None;
        }
        if !self.decodes {
            return Some(Shown { width: 0, height: 0, clock: None, at: Timestamp::now() });
        }
        let picture = self.decoder.decode(&data.data).unwrap()?;
        let (width, height) = picture.dimensions();
        let mut rgb = vec![0; width * height * 3];
        picture.write_rgb8(&mut rgb);
        Some(Shown { width, height, clock: read_clock(&rgb, width, height), at: Timestamp::now() })
    }
}
