//! What the cameras see, for browsers and players: MJPEG, one picture, HLS.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};

use super::Board;
use super::api::Shared;
use super::problem::Problem;
use super::table::{Answer, Kind, Operation};
use crate::live::{HLS_PLAYLIST, Picture, Pictures, Studio, Way};

const MULTIPART: &str = "multipart/x-mixed-replace; boundary=picture";
/// A browser shows a picture when it sees what ends it, so this goes out with the picture and not with the next one.
const BOUNDARY: &[u8] = b"--picture\r\n";
const END: &[u8] = b"\r\n--picture\r\n";
/// Seconds since the Unix epoch, as in the detections message.
const TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");
/// `frame.id` of the detections message; 0 of a picture that shows none of the camera's.
const FRAME_ID: HeaderName = HeaderName::from_static("x-frame-id");

pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/cameras/{camera}/stream.mjpeg", "mjpeg", "The camera as MJPEG, with boxes", get(mjpeg))
            .tag("live")
            .kind(Kind::Stream)
            .details(
                "Every part has Content-Length, X-Timestamp and X-Frame-Id. A viewer that is slow gets fewer pictures, each \
                 the newest. A camera that shows nothing is said so in the picture.",
            )
            .answer(Answer::media("multipart/x-mixed-replace").says("JPEG pictures, one after the other, without end"))
            .problem(404, "No such camera on this node")
            .problem(503, "No picture can be made; the log says why"),
        Operation::get("/cameras/{camera}/frame.jpg", "frame", "The camera now, with boxes", get(still))
            .tag("pictures")
            .details("Encoded for this request. X-Timestamp and X-Frame-Id tell which frame it is; X-Frame-Id 0 is none of the camera's.")
            .answer(Answer::media("image/jpeg").says("The picture"))
            .problem(404, "No such camera on this node")
            .problem(503, "No picture can be made; the log says why"),
        Operation::get("/cameras/{camera}/hls/index.m3u8", "hls", "The camera as HLS, with boxes: the playlist", get(playlist))
            .tag("live")
            .details(
                "Segments of about a second, fragmented MP4 with H.264. The first who asks waits for the first segment; ten \
                 seconds after the last one asked, encoding ends.",
            )
            .answer(Answer::media(HLS_PLAYLIST).says("The playlist"))
            .problem(404, "No such camera on this node")
            .problem(503, "No segment was made in time; try again"),
        Operation::get("/cameras/{camera}/hls/{file}", "hls_file", "A file that the HLS playlist names", get(file))
            .tag("live")
            .answer(Answer::media("video/mp4").says("The head, or a segment (then of type video/iso.segment)"))
            .problem(404, "No such camera, or not there any more"),
    ]
}

/// The camera's studio.
pub(super) fn studio(board: &dyn Board, camera: &str) -> Result<Arc<Studio>, Problem> {
    let unknown = || Problem::missing("unknown_camera", "no such camera on this node; /api/cameras names them");
    board.studio(camera).ok_or_else(unknown)
}

fn watch(studio: &Studio, way: Way) -> Result<Pictures, Problem> {
    studio.jpegs(way).ok_or_else(no_video)
}

fn no_video() -> Problem {
    let detail = "no picture can be made of this camera now; the log says why";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_video", detail).retry_after(2)
}

async fn mjpeg(State(board): Shared, method: Method, Path(camera): Path<String>) -> Result<Response, Problem> {
    let studio = studio(board.as_ref(), &camera)?;
    let kind = [(header::CONTENT_TYPE, MULTIPART)];
    if method == Method::HEAD {
        return Ok(kind.into_response());
    }
    let pictures = watch(&studio, Way::Mjpeg)?;
    Ok((kind, Body::from_stream(parts(studio, pictures).map(Ok::<_, Infallible>))).into_response())
}

/// The newest picture whenever the socket takes another one.
fn parts(studio: Arc<Studio>, pictures: Pictures) -> impl Stream<Item = Bytes> {
    let parts = stream::unfold((studio, pictures), |(studio, mut pictures)| async {
        let picture = pictures.next().await?;
        let part = picture.wrapped(part);
        studio.metrics.sent(Way::Mjpeg, part.len());
        Some((part, (studio, pictures)))
    });
    stream::once(std::future::ready(Bytes::from_static(BOUNDARY))).chain(parts)
}

fn part(picture: &Picture) -> Bytes {
    let head = format!(
        "Content-Type: image/jpeg\r\nContent-Length: {}\r\nX-Timestamp: {}\r\nX-Frame-Id: {}\r\n\r\n",
        picture.jpeg.len(),
        picture.captured_at.as_secs_f64(),
        picture.frame_id,
    );
    // In one piece: one write, one packet's delay.
    let mut part = BytesMut::with_capacity(head.len() + picture.jpeg.len() + END.len());
    part.put_slice(head.as_bytes());
    part.put_slice(&picture.jpeg);
    part.put_slice(END);
    part.freeze()
}

async fn still(State(board): Shared, method: Method, Path(camera): Path<String>) -> Result<Response, Problem> {
    let studio = studio(board.as_ref(), &camera)?;
    let kind = (header::CONTENT_TYPE, "image/jpeg");
    if method == Method::HEAD {
        return Ok([kind].into_response());
    }
    let picture = watch(&studio, Way::Still)?.next().await.ok_or_else(no_video)?;
    studio.metrics.sent(Way::Still, picture.jpeg.len());
    let said = [(TIMESTAMP, picture.captured_at.as_secs_f64().to_string()), (FRAME_ID, picture.frame_id.to_string())];
    Ok(([kind], said, picture.jpeg.clone()).into_response())
}

async fn playlist(State(board): Shared, method: Method, Path(camera): Path<String>) -> Result<Response, Problem> {
    let studio = studio(board.as_ref(), &camera)?;
    if method == Method::HEAD {
        return Ok([(header::CONTENT_TYPE, HLS_PLAYLIST)].into_response());
    }
    let late = || {
        let detail = "the video's first segment was not there in time; try again";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_video", detail).retry_after(1)
    };
    let text = studio.hls_playlist().await.ok_or_else(late)?;
    studio.metrics.sent(Way::Hls, text.len());
    Ok(([(header::CONTENT_TYPE, HLS_PLAYLIST)], text).into_response())
}

async fn file(State(board): Shared, Path((camera, file)): Path<(String, String)>) -> Result<Response, Problem> {
    let studio = studio(board.as_ref(), &camera)?;
    let gone = || Problem::missing("no_segment", "not there any more, or never was; index.m3u8 names what there is");
    let (bytes, kind) = studio.hls_file(&file).ok_or_else(gone)?;
    studio.metrics.sent(Way::Hls, bytes.len());
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn a_part_tells_its_length_and_its_frame_and_ends_with_the_boundary() {
        let captured_at = Timestamp::from_micros(1_763_683_200_123_456);
        let part = part(&Picture::new(Bytes::from_static(b"jpeg"), captured_at, 7));
        let text = String::from_utf8(part.to_vec()).unwrap();
        let head =
            "Content-Type: image/jpeg\r\nContent-Length: 4\r\nX-Timestamp: 1763683200.123456\r\nX-Frame-Id: 7\r\n";
        assert_eq!(text, format!("{head}\r\njpeg\r\n--picture\r\n"));
    }
}
