"""Makes `Inter-SemiBold.otf` here: Latin with Vietnamese, Greek, Cyrillic and some signs; digits all of one width.

    apt-get download fonts-inter && dpkg-deb -x fonts-inter_4.0~beta7+ds-1_all.deb inter
    pip install fonttools==4.68.0
    python subset.py inter/usr/share/fonts/opentype/inter/Inter-SemiBold.otf Inter-SemiBold.otf
"""
import sys
from fontTools import subset
from fontTools.ttLib import TTFont

source, target = sys.argv[1:]
font = TTFont(source)
# A label's width must not jump from picture to picture as its score changes: the digits of `tnum` in the place of the others.
gsub = font["GSUB"].table
tabular = {}
for record in gsub.FeatureList.FeatureRecord:
    if record.FeatureTag == "tnum":
        for index in record.Feature.LookupListIndex:
            for table in gsub.LookupList.Lookup[index].SubTable:
                table = getattr(table, "ExtSubTable", table)
                tabular.update(getattr(table, "mapping", {}))
for table in font["cmap"].tables:
    # Tables share their mapping: a digit that is changed already is left as it is.
    for code in range(0x30, 0x3A):
        table.cmap[code] = tabular.get(table.cmap[code], table.cmap[code])

options = subset.Options(layout_features=[], name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14], hinting=False, desubroutinize=False, notdef_outline=True)
options.drop_tables += ["STAT", "DSIG", "meta"]
ranges = [(0x20, 0x7E), (0xA0, 0x24F), (0x2B0, 0x2FF), (0x370, 0x52F), (0x1E00, 0x1EFF), (0x2010, 0x205E), (0x2070, 0x20BF), (0x2100, 0x214F), (0x2190, 0x2199), (0x2200, 0x22FF), (0x25A0, 0x25FF)]
subsetter = subset.Subsetter(options)
subsetter.populate(unicodes=[code for low, high in ranges for code in range(low, high + 1)])
subsetter.subset(font)
font.save(target)
print(len(font.getBestCmap()), "characters")
