//! The one UDP port. Each datagram comes with the address it was sent to, and answers leave from there: a machine of several
//! addresses would else answer from one that the viewer never asked.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The longest there is, and what the kernel may hand over at once of one sender.
const LONGEST: usize = 65_535;
/// Room for the bursts of all viewers' feedback.
const KERNEL_BUFFER: usize = 1 << 20;

pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    pub local: SocketAddr,
}

#[derive(Debug, Clone)]
pub(super) struct Datagram {
    pub from: SocketAddr,
    /// The machine's own address it was sent to; unknown on some platforms.
    pub to: Option<IpAddr>,
    pub data: Bytes,
}

impl Socket {
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        let io = UdpSocket::bind(addr).await?;
        let state = UdpSocketState::new((&io).into())?;
        // As far as the system allows; what it does not, shows as loss and is sent again.
        let _ = state.set_recv_buffer_size((&io).into(), KERNEL_BUFFER);
        let _ = state.set_send_buffer_size((&io).into(), KERNEL_BUFFER);
        Ok(Self { local: io.local_addr()?, io, state })
    }

    /// What has arrived, waiting for something; all of one sender.
    pub async fn receive(&self, buffer: &mut Vec<u8>, mut each: impl FnMut(Datagram)) -> io::Result<()> {
        buffer.resize(LONGEST, 0);
        let mut meta = [RecvMeta::default()];
        let receive = || self.state.recv((&self.io).into(), &mut [IoSliceMut::new(buffer)], &mut meta);
        self.io.async_io(Interest::READABLE, receive).await?;
        let meta = &meta[0];
        let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
        let to = meta.dst_ip.map(|ip| ip.to_canonical());
        for data in buffer[..meta.len].chunks(meta.stride.max(1)) {
            each(Datagram { from, to, data: Bytes::copy_from_slice(data) });
        }
        Ok(())
    }

    /// Sends now or not at all: what finds the kernel's buffer full is lost as on any network.
    pub fn send(&self, to: SocketAddr, from: Option<IpAddr>, contents: &[u8]) {
        let mapped = |ip: IpAddr| match ip {
            IpAddr::V4(v4) if self.local.is_ipv6() => IpAddr::V6(v4.to_ipv6_mapped()),
            ip => ip,
        };
        let transmit = Transmit {
            destination: SocketAddr::new(mapped(to.ip()), to.port()),
            ecn: None,
            contents,
            segment_size: None,
            src_ip: from.map(mapped),
        };
        let sent = self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &transmit));
        if let Err(e) = sent {
            tracing::trace!(%to, "a datagram was not sent: {e}");
        }
    }
}
