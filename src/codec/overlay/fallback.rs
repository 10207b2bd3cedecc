//! Letters that Inter lacks, Chinese or Arabic say, from the fonts of the machine, if it has any.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ab_glyph::{Font, FontArc, FontVec};

const FOLDERS: [&str; 3] = ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts"];
/// The largest fonts there are, of all Chinese characters, have about half of this.
const MOST_BYTES: u64 = 64 << 20;
/// Font files that are opened for one letter at most.
const MOST_TRIED: usize = 48;
const DEEPEST: usize = 4;

/// A font of this machine that has the letter. It may open many files: ask once a letter.
pub(super) fn find(letter: char) -> Option<FontArc> {
    find_in(files(), letter)
}

fn find_in(files: &[PathBuf], letter: char) -> Option<FontArc> {
    files.iter().take(MOST_TRIED).find_map(|path| {
        let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= MOST_BYTES);
        let bytes = small.then(|| std::fs::read(path).ok()).flatten()?;
        // The first font of a collection.
        let font = FontArc::new(FontVec::try_from_vec_and_index(bytes, 0).ok()?);
        has(&font, letter).then_some(font)
    })
}

/// Whether the font can draw the letter: colour fonts list letters that they have no outline of.
pub(super) fn has(font: &FontArc, letter: char) -> bool {
    let id = font.glyph_id(letter);
    id.0 != 0 && (letter.is_whitespace() || font.outline(id).is_some())
}

/// The machine's font files, the likeliest first. Looked up once.
fn files() -> &'static [PathBuf] {
    static FILES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut found = Vec::new();
        let home = std::env::home_dir().map(|home| [home.join(".fonts"), home.join(".local/share/fonts")]);
        for folder in FOLDERS.iter().map(PathBuf::from).chain(home.into_iter().flatten()) {
            walk(&folder, DEEPEST, &mut found);
        }
        sort(&mut found);
        found
    })
}

fn walk(folder: &Path, deep: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        if ["ttf", "otf", "ttc", "otc"].contains(&extension.as_str()) {
            found.push(path);
        } else if deep > 0 && path.is_dir() {
            walk(&path, deep - 1, found);
        }
    }
}

fn sort(found: &mut [PathBuf]) {
    found.sort_by_cached_key(|path| (unlikely(path), path.clone()));
}

/// Upright sans of many scripts come first.
fn unlikely(path: &Path) -> u8 {
    let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default().to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let wide = any(&["cjk", "wqy", "zenhei", "microhei", "droidsansfallback", "unifont", "dejavusans", "notosans"]);
    u8::from(!wide) + 2 * u8::from(any(&["italic", "oblique", "serif", "mono", "thin", "light", "condensed", "emoji"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_font_is_found_by_its_letter_and_what_is_no_font_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(folder.path().join("NotoSansCJK.ttc"), "no font").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no font").unwrap();
        std::fs::write(deep.join("Some.otf"), super::super::text::INTER).unwrap();
        let mut found = Vec::new();
        walk(folder.path(), DEEPEST, &mut found);
        sort(&mut found);
        assert!(found[0].ends_with("NotoSansCJK.ttc") && found.len() == 2, "{found:?}");
        assert!(find_in(&found, 'ж').is_some());
        assert!(find_in(&found, '人').is_none());
    }
}
