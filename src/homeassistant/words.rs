//! Names as people write them, and ids as Home Assistant takes them.

/// `front-door` becomes `Front door`.
pub(super) fn title(name: &str) -> String {
    let spaced: String = name.chars().map(|c| if matches!(c, '-' | '_') { ' ' } else { c }).collect();
    let spaced = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = spaced.chars();
    letters.next().map_or(spaced.clone(), |first| first.to_uppercase().chain(letters).collect())
}

/// A label as a word of an id: letters, digits and `_` only. Where that loses something, a number made of the label is put
/// at its end, so that two labels never become one.
pub(super) fn slug(label: &str) -> String {
    let mut lost = false;
    let letter = |c: char| match c {
        'a'..='z' | '0'..='9' => c,
        ' ' | '_' => '_',
        _ => {
            lost = true;
            if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }
        }
    };
    let word: String = label.chars().map(letter).collect();
    if lost || word.is_empty() { format!("{word}_{:08x}", number_of(label)) } else { word }
}

/// FNV-1a: the same in every release, for ids are kept for years.
fn number_of(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The topic prefix as the first word of every id: two installations on one broker must not share ids.
pub(super) fn root(topic_prefix: &str) -> String {
    topic_prefix.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).collect()
}

/// A picture for what is counted, of Material Design Icons.
pub(super) fn icon(label: &str) -> &'static str {
    match label {
        "person" => "mdi:account",
        "face" => "mdi:face-man",
        "car" => "mdi:car",
        "truck" => "mdi:truck",
        "bus" => "mdi:bus",
        "train" => "mdi:train",
        "bicycle" => "mdi:bicycle",
        "motorcycle" | "motorbike" => "mdi:motorbike",
        "boat" => "mdi:sail-boat",
        "dog" => "mdi:dog",
        "cat" => "mdi:cat",
        "bird" => "mdi:bird",
        "horse" => "mdi:horse",
        "cow" => "mdi:cow",
        "sheep" => "mdi:sheep",
        "package" => "mdi:package-variant-closed",
        _ => "mdi:shape",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_people_write_them() {
        for (name, title_of) in [
            ("front-door", "Front door"),
            ("cam_2", "Cam 2"),
            ("traffic light", "Traffic light"),
            ("собака", "Собака"),
            ("", ""),
        ] {
            assert_eq!(title(name), title_of);
        }
    }

    #[test]
    fn no_two_labels_become_one_id() {
        assert_eq!(slug("traffic light"), "traffic_light");
        let labels = ["a", "A", "ä", "ö", "a/b", "a.b", "", "_", "кот", "лев"];
        let slugs: std::collections::BTreeSet<String> = labels.iter().map(|label| slug(label)).collect();
        assert_eq!(slugs.len(), labels.len(), "{slugs:?}");
        assert!(
            slugs.iter().all(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')),
            "{slugs:?}"
        );
    }
}
